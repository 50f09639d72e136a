"""References in the real window: what is shown is what the library makes."""

import shlex

import numpy as np
import pytest
from napari.layers import Points
from qtpy.QtGui import QGuiApplication

from napari_recolor.panel.strip_panel import ALTERNATIVES
from napari_recolor.runs.layers import KEY
from recolor_core import Reference
from recolor_core.color_from import ColorSource, apply_color
from tests.core.cli_runner import recolor

from .windows import choose, image_of, rerun

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(open_panel, photo, finish):
    """The panel with a finished run."""
    panel = open_panel(photo)
    panel.controls.run.click()
    finish(panel)
    return panel


@pytest.fixture
def colored(photo):
    """The image in color, as another tool may have made it."""
    rgb = np.stack([photo, photo // 2, 255 - photo], axis=-1)
    return np.ascontiguousarray(rgb)


def open_strip(panel, rest):
    panel.controls.strip.title.click()
    rest(panel)
    assert panel.controls.gallery.count() == ALTERNATIVES + 1


def test_a_reference_acts_at_once_and_says_how_much_was_matched(
    panel, photo, colored, direct, rest
):
    rgb = image_of(panel)
    before = rgb.data.copy()
    panel.viewer.add_image(colored, name="autochrome", rgb=True)
    panel.viewer.layers.selection.active = panel.viewer.layers["photo"]
    choose(panel.controls.like, "autochrome")
    rest(panel)
    expected = direct(photo, references=[Reference(colored, "autochrome")])
    np.testing.assert_array_equal(rgb.data, expected.rgb)
    assert panel.controls.likes.text() == f"autochrome: {expected.matches[0].words}"
    assert rgb.metadata[KEY]["references"] == expected.provenance["references"]
    np.testing.assert_array_equal(rerun(panel), rgb.data)
    panel.controls.copy_command.click()
    assert "copy" in panel.controls.status.text()
    if len(expected.matches[0].image):
        panel.controls.matches.click()
        points = panel.viewer.layers[-1]
        assert isinstance(points, Points)
        np.testing.assert_allclose(points.data, expected.matches[0].image[:, ::-1])
    panel.viewer.layers.selection.active = panel.viewer.layers["photo"]
    panel.controls.clear_like.click()
    rest(panel)
    np.testing.assert_array_equal(rgb.data, before)
    assert panel.controls.likes.isHidden()


def test_references_belong_to_one_image(panel, photo, colored, rest):
    panel.viewer.add_image(colored, name="autochrome", rgb=True)
    panel.viewer.layers.selection.active = panel.viewer.layers["photo"]
    choose(panel.controls.like, "autochrome")
    rest(panel)
    panel.viewer.add_image(photo[::-1], name="second")
    assert panel.controls.likes.isHidden()
    panel.viewer.layers.selection.active = panel.viewer.layers["photo"]
    assert panel.controls.likes.text().startswith("autochrome")


@pytest.mark.slow
def test_the_color_of_another_image_is_put_on_the_gray(panel, photo, colored, direct, rest):
    panel.viewer.add_image(colored, name="by hand", rgb=True)
    panel.viewer.layers.selection.active = panel.viewer.layers["photo"]
    choose(panel.controls.color_from, "by hand")
    assert "Press Colorize" in panel.controls.status.text()
    rest(panel)
    panel.controls.run.click()
    rest(panel)
    rgb = image_of(panel)
    expected = apply_color(direct(photo), ColorSource(colored, "by hand"))
    np.testing.assert_array_equal(rgb.data, expected.rgb)
    assert rgb.metadata[KEY]["color_from"] == expected.provenance["color_from"]
    np.testing.assert_array_equal(rerun(panel), rgb.data)


def test_a_file_is_a_reference_and_goes_into_the_command(
    open_panel, photo, colored, finish, rest, tmp_path, monkeypatch
):
    import tifffile
    from PIL import Image

    tifffile.imwrite(tmp_path / "photo.tif", photo, photometric="minisblack")
    Image.fromarray(colored).save(tmp_path / "autochrome.png")
    panel = open_panel()
    panel.viewer.open(tmp_path / "photo.tif", plugin="napari")
    dialog = "napari_recolor.panel.wish_panel.QFileDialog.getOpenFileName"
    monkeypatch.setattr(dialog, lambda *_: (str(tmp_path / "autochrome.png"), ""))
    choose(panel.controls.like, "choose a file…")
    panel.controls.run.click()
    rest(panel)
    panel.controls.copy_command.click()
    command = QGuiApplication.clipboard().text()
    assert f"--reference {tmp_path / 'autochrome.png'}" in command
    np.testing.assert_array_equal(rerun(panel), image_of(panel).data)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["alternative", "reference", "color from"])
def test_the_command_writes_the_same_image(
    open_panel, photo, colored, rest, tmp_path, monkeypatch, kind
):
    import tifffile
    from PIL import Image

    tifffile.imwrite(tmp_path / "photo.tif", photo, photometric="minisblack")
    Image.fromarray(colored).save(tmp_path / "colored.png")
    panel = open_panel()
    panel.viewer.open(tmp_path / "photo.tif", plugin="napari")
    dialog = "napari_recolor.panel.wish_panel.QFileDialog.getOpenFileName"
    monkeypatch.setattr(dialog, lambda *_: (str(tmp_path / "colored.png"), ""))
    if kind != "alternative":
        menu = panel.controls.like if kind == "reference" else panel.controls.color_from
        choose(menu, "choose a file…")
    panel.controls.run.click()
    rest(panel)
    if kind == "alternative":
        open_strip(panel, rest)
        panel.controls.gallery.setCurrentRow(2)
        panel.controls.gallery._take()
        rest(panel)
    panel.controls.copy_command.click()
    assert panel.controls.status.text().startswith("Copied")
    command, *words = shlex.split(QGuiApplication.clipboard().text())
    assert command == "recolor"
    call = recolor(*words)
    assert call.code == 0, call.err
    written = tifffile.imread(tmp_path / "photo.recolor.tif")
    np.testing.assert_array_equal(written, image_of(panel).data)

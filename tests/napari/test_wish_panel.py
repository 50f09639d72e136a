"""References and alternatives in the real window: what is shown is what the library makes."""

import shlex

import numpy as np
import pytest
from napari.layers import Points
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtTest import QTest

from napari_recolor.layers import KEY
from napari_recolor.strip_panel import ALTERNATIVES
from recolor_core import Hint, Reference, Region
from recolor_core.color_from import ColorSource, apply_color
from tests.core.cli_runner import recolor

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(open_panel, photo, finish):
    """The panel with a finished run."""
    panel = open_panel(photo)
    panel.controls.run.click()
    finish(panel)
    return panel


@pytest.fixture
def rest(qtbot):
    """Wait until a panel does nothing more."""

    def wait(panel):
        qtbot.wait(150)  # changes are told when they have come to rest
        qtbot.waitUntil(
            lambda: panel._queue.job is None and not panel._live.busy and not panel.busy,
            timeout=120_000,
        )

    return wait


def image_of(panel):
    return [x for x in panel.viewer.layers if KEY in x.metadata and x.rgb][-1]


def choose(menu, text):
    """Choose an entry of a menu as a user does."""
    menu.setCurrentIndex(menu.findText(text))
    menu.activated.emit(menu.currentIndex())


def open_strip(panel, rest):
    panel.controls.strip.title.click()
    rest(panel)
    assert panel.controls.gallery.count() == ALTERNATIVES + 1


def rerun(panel):
    """The pixels of the program that the panel copies."""
    panel.controls.copy_python.click()
    scope = {"viewer": panel.viewer}
    exec(QGuiApplication.clipboard().text(), scope)
    return np.array(scope["rgb"])


@pytest.fixture
def colored(photo):
    """The image in color, as another tool may have made it."""
    rgb = np.stack([photo, photo // 2, 255 - photo], axis=-1)
    return np.ascontiguousarray(rgb)


def test_a_click_shows_an_alternative_and_a_double_click_takes_it(panel, photo, direct, rest):
    rgb = image_of(panel)
    before = rgb.data.copy()
    open_strip(panel, rest)
    gallery, made = panel.controls.gallery, direct(photo, alternatives=ALTERNATIVES)
    gallery.setCurrentRow(2)
    rest(panel)
    np.testing.assert_array_equal(rgb.data, made.take(2).rgb)
    panel.controls.strip.title.click()  # only looked at
    rest(panel)
    np.testing.assert_array_equal(rgb.data, before)

    panel.controls.strip.title.click()
    rest(panel)
    gallery.setCurrentRow(3)
    gallery.itemDoubleClicked.emit(gallery.item(3))
    rest(panel)
    panel.controls.strip.title.click()
    rest(panel)
    np.testing.assert_array_equal(rgb.data, made.take(3).rgb)
    assert rgb.metadata[KEY]["alternative"] == 3
    np.testing.assert_array_equal(rerun(panel), rgb.data)
    panel._history.note()
    panel.controls.undo.click()
    rest(panel)
    np.testing.assert_array_equal(rgb.data, before)
    panel.controls.redo.click()
    rest(panel)
    np.testing.assert_array_equal(rgb.data, made.take(3).rgb)


def test_enter_takes_the_alternative_that_the_arrow_keys_reached(panel, photo, direct, rest):
    open_strip(panel, rest)
    gallery = panel.controls.gallery
    gallery.setFocus()
    gallery.setCurrentRow(0)
    gallery.setCurrentRow(1)
    rest(panel)
    gallery._take()
    rest(panel)
    assert panel._wishes.taken.draw.number == 1
    expected = direct(photo, alternatives=ALTERNATIVES).take(1).rgb
    np.testing.assert_array_equal(image_of(panel).data, expected)


def test_hints_apply_to_an_alternative_that_was_taken(panel, photo, direct, rest):
    open_strip(panel, rest)
    panel.controls.gallery.taken.emit(2)
    panel.controls.gallery.setCurrentRow(2)
    panel.controls.gallery._take()
    rest(panel)
    panel._hints.add().put([Hint(40, 30, "#ff0000", 6)])
    rest(panel)
    hints = panel._hints.current.values()
    expected = direct(photo, alternatives=ALTERNATIVES, hints=hints).take(2).rgb
    np.testing.assert_array_equal(image_of(panel).data, expected)
    panel.controls.run.click()  # a run begins with what was taken
    rest(panel)
    np.testing.assert_array_equal(image_of(panel).data, expected)


@pytest.mark.parametrize("mode", ["part", "drawn"])
def test_a_region_from_another_alternative(panel, photo, direct, rest, mode):
    rgb = image_of(panel)
    before = rgb.data.copy()
    shapes = panel._hints.add().marks.draw()
    corners = [[10.0, 20.0], [10.0, 90.0], [60.0, 90.0], [60.0, 20.0]]
    shapes.add(np.array(corners), shape_type="polygon")
    shapes.selected_data = {0}
    panel._hints.current.styles.set_style(kind="limit")
    rest(panel)
    np.testing.assert_array_equal(rgb.data, before)
    menu = panel.controls.alternatives_of
    menu.setCurrentIndex(menu.findData(mode))
    menu.activated.emit(menu.currentIndex())
    open_strip(panel, rest)
    panel.controls.gallery.setCurrentRow(2)
    panel.controls.gallery._take()
    rest(panel)
    region = Region(tuple((x, y) for y, x in corners), kind="keep")
    limited = {"region": region} if mode == "drawn" else {}
    other = direct(photo, alternatives=ALTERNATIVES, **limited).take(2)
    np.testing.assert_array_equal(rgb.data, direct(photo).combine(other, region).rgb)
    assert (rgb.data != before).any()
    outside = np.ones(photo.shape, bool)
    outside[:75, :105] = False
    np.testing.assert_array_equal(rgb.data[outside], before[outside])
    np.testing.assert_array_equal(rerun(panel), rgb.data)


def test_without_a_region_it_says_how_to_draw_one(panel, rest):
    menu = panel.controls.alternatives_of
    menu.setCurrentIndex(menu.findData("part"))
    panel.controls.strip.title.click()
    assert "Draw shapes" in panel.controls.status.text()
    assert panel.controls.gallery.count() == 0


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
    dialog = "napari_recolor.wish_panel.QFileDialog.getOpenFileName"
    monkeypatch.setattr(dialog, lambda *_: (str(tmp_path / "autochrome.png"), ""))
    choose(panel.controls.like, "choose a file…")
    panel.controls.run.click()
    rest(panel)
    panel.controls.copy_command.click()
    command = QGuiApplication.clipboard().text()
    assert f"--reference {tmp_path / 'autochrome.png'}" in command
    np.testing.assert_array_equal(rerun(panel), image_of(panel).data)


def test_the_strip_shows_that_it_is_being_filled(panel, rest):
    gallery = panel.controls.gallery
    panel.controls.strip.title.click()
    assert gallery.busy
    assert {gallery.item(i).text() for i in range(gallery.count())} == {"…"}
    assert gallery.count() == ALTERNATIVES + 1
    rest(panel)
    assert not gallery.busy
    before = [gallery.item(i).text() for i in range(gallery.count())]
    assert "…" not in before
    panel.controls.more_alternatives.click()
    assert gallery.busy
    assert [gallery.item(i).text() for i in range(gallery.count())] == before
    rest(panel)
    assert not gallery.busy


def test_a_strip_that_cannot_be_filled_is_empty(panel, rest, monkeypatch):
    def fail(*_, **__):
        raise ValueError("broken")

    monkeypatch.setattr("napari_recolor.engine.Engine.draw", fail)
    panel.controls.strip.title.click()
    rest(panel)
    assert "broken" in panel.controls.status.text()
    assert not panel.controls.gallery.busy
    assert panel.controls.gallery.count() == 0


def test_keys_reach_the_strip(panel, rest):
    open_strip(panel, rest)
    gallery = panel.controls.gallery
    gallery.setCurrentRow(0)
    QTest.keyClick(gallery, Qt.Key.Key_Return)
    assert gallery.item(1).data(Qt.ItemDataRole.AccessibleTextRole) == "1"


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
    dialog = "napari_recolor.wish_panel.QFileDialog.getOpenFileName"
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

"""Saving from the panel: our writer, beside the source, and it says so."""

import json

import numpy as np
import pytest
import tifffile
from napari.layers import Image
from qtpy.QtWidgets import QLabel, QPushButton

from napari_recolor.layers import KEY
from napari_recolor.saving import save_active, suggested_path
from napari_recolor.writer import write_image
from recolor_core import ImageError
from recolor_core.images import open_image

pytestmark = pytest.mark.gui


def button(panel, name):
    return panel.findChild(QPushButton, f"recolor.{name}")


def status(panel):
    return panel.findChild(QLabel, "recolor.status").text()


@pytest.fixture
def ask(monkeypatch):
    """Answers the file dialog, and notes what it suggested."""
    asked = []

    def answer(path):
        def dialog(parent, title, suggested, *_):
            asked.append(suggested)
            return str(path or ""), ""

        monkeypatch.setattr("napari_recolor.save_panel.QFileDialog.getSaveFileName", dialog)
        return asked

    return answer


def test_the_button_saves_with_provenance_beside_the_source(
    open_panel, photo, finish, tmp_path, qtbot, ask
):
    path = tmp_path / "scan.tif"
    deep = (photo.astype(np.uint16) * 257)[:60]
    tifffile.imwrite(path, deep, photometric="minisblack", resolution=(600, 600), resolutionunit=2)
    panel = open_panel()
    panel.viewer.open(path, plugin="napari")
    assert not button(panel, "save_image").isEnabled()
    qtbot.waitUntil(button(panel, "run").isEnabled)
    button(panel, "run").click()
    finish(panel)
    target = tmp_path / "scan.recolor.tif"
    asked = ask(target)
    button(panel, "save_image").click()
    assert asked == [str(target)]
    qtbot.waitUntil(lambda: "Saved, with provenance" in status(panel), timeout=60_000)
    assert str(target) in status(panel)
    with tifffile.TiffFile(target) as file:
        saved = file.pages[0].asarray()
        assert (
            file.pages[0].tags["XResolution"].value[0] / file.pages[0].tags["XResolution"].value[1]
            == 600
        )
    rgb = panel._runner.last.layers["rgb"]
    np.testing.assert_array_equal(saved, rgb.data)
    assert saved.dtype == np.uint16
    with open_image(target) as file:
        (page,) = file
    assert b"compositeWithTrainedAlgorithmicMedia" in page.metadata.xmp


def test_the_source_is_never_written_over(
    open_panel, photo, finish, tmp_path, qtbot, ask, monkeypatch
):
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, photo, photometric="minisblack")
    before = path.read_bytes()
    panel = open_panel()
    panel.viewer.open(path, plugin="napari")
    qtbot.waitUntil(button(panel, "run").isEnabled)
    button(panel, "run").click()
    finish(panel)
    told = []
    monkeypatch.setattr("napari_recolor.saving.show_error", told.append)
    (tmp_path / "link.tif").symlink_to(path)
    (tmp_path / "other name.tif").hardlink_to(path)
    for name in ("scan.tif", "scan", "link.tif", "link", "other name.tif"):
        ask(tmp_path / name)
        panel._say("")
        button(panel, "save_image").click()
        qtbot.waitUntil(lambda: status(panel).startswith("Not saved"), timeout=60_000)
        assert path.read_bytes() == before
        save_active(panel.viewer)  # from the command palette
        assert len(told) == 1
        told.clear()
        assert path.read_bytes() == before


def test_what_cannot_be_written_is_told(open_panel, photo, finish, tmp_path, qtbot, ask):
    panel = open_panel(photo)
    button(panel, "run").click()
    finish(panel)
    ask(tmp_path / "no such folder" / "image.tif")
    button(panel, "save_image").click()
    qtbot.waitUntil(lambda: "Not saved" in status(panel), timeout=60_000)
    ask(None)
    button(panel, "save_image").click()  # canceled
    assert button(panel, "save_image").isEnabled()


def test_a_path_is_suggested_for_layers_of_no_file():
    layer = Image(np.zeros((4, 4, 3), np.uint8), metadata={KEY: {"source": {"layer": "a/b: c"}}})
    assert suggested_path(layer).name == "a_b_ c.recolor.tif"


@pytest.mark.parametrize("name", ["photo · RGB", "scan 1.5 dpi, left"])
def test_a_name_without_an_ending_gets_one(tmp_path, name):
    data = np.zeros((4, 5, 3), np.uint8)
    meta = {"name": name, "rgb": True, "metadata": {}}
    (written,) = write_image(str(tmp_path / name), data, meta)
    assert written == str(tmp_path / f"{name}.tif")
    assert tifffile.imread(written).shape == data.shape


def test_a_file_that_the_dialog_did_not_ask_about_is_not_replaced(tmp_path):
    (tmp_path / "keep.tif").write_bytes(b"precious")
    meta = {"name": "photo", "rgb": True, "metadata": {}}
    with pytest.raises(ImageError, match="whole name"):
        write_image(str(tmp_path / "keep"), np.zeros((4, 5, 3), np.uint8), meta)
    assert (tmp_path / "keep.tif").read_bytes() == b"precious"
    write_image(str(tmp_path / "keep.tif"), np.zeros((4, 5, 3), np.uint8), meta)  # was asked about


def test_stages_carry_their_provenance(tmp_path):
    about = {"layer": "a refined", "weights": {"sha256": "0" * 64}, "images": []}
    meta = {"name": "photo", "rgb": False, "metadata": {KEY: about}}
    (written,) = write_image(str(tmp_path / "a.tif"), np.zeros((4, 5), np.float32), meta)
    with tifffile.TiffFile(written) as file:
        text = file.pages[0].description
    assert json.loads(text.split("\n", 1)[1])["weights"]["sha256"] == "0" * 64

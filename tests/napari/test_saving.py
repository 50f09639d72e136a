"""Saving from the panel: our writer, beside the source, and it says so."""

import json

import numpy as np
import pytest
import tifffile
from napari.layers import Image
from qtpy.QtWidgets import QLabel, QPushButton

from napari_recolor.files.saving import save_active, suggested_path
from napari_recolor.files.writer import write_image
from napari_recolor.runs.layers import KEY
from recolor_core import ImageError
from recolor_core.batch.verify import verify_image
from recolor_core.images import open_image
from recolor_core.provenance import read_xmp

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

        monkeypatch.setattr("napari_recolor.panel.save_panel.QFileDialog.getSaveFileName", dialog)
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
    monkeypatch.setattr("napari_recolor.files.saving.show_error", told.append)
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


def save_to(panel, layer, path):
    data, meta, _ = layer.as_layer_data_tuple()
    write_image(str(path), data, meta)


@pytest.mark.parametrize(
    ("dtype", "name"), [(np.uint8, "a.tif"), (np.uint8, "a.png"), (np.uint16, "a.tif")]
)
def test_what_the_panel_saves_can_be_verified(open_panel, photo, finish, tmp_path, dtype, name):
    source, target = tmp_path / "scan.tif", tmp_path / name
    scale = np.iinfo(dtype).max // 255
    tifffile.imwrite(source, photo.astype(dtype) * dtype(scale), photometric="minisblack")
    panel = open_panel()
    panel.viewer.open(source, plugin="napari")
    button(panel, "run").click()
    finish(panel)
    rgb = panel._runner.last.layers["rgb"]
    save_to(panel, rgb, target)
    for known in (None, source):
        found = verify_image(target, known)
        assert found.unaltered, found.line()
        assert found.exact_pages == 1
    with open_image(target) as file:
        (page,) = file
    record = read_xmp(page.metadata.xmp)
    assert str(tmp_path) not in json.dumps(record)
    rgb.data = rgb.data // 2  # by someone else
    save_to(panel, rgb, target)
    assert verify_image(target).altered


def test_other_results_can_be_verified(open_panel, photo, finish, tmp_path, qtbot):
    source, target = tmp_path / "stack.tif", tmp_path / "out.tif"
    stack = np.stack([photo, photo[::-1], photo // 2])
    tifffile.imwrite(source, stack, photometric="minisblack")
    panel = open_panel()
    panel.viewer.open(source, plugin="napari")
    panel.controls.scope.setCurrentIndex(panel.controls.scope.findData("slice"))
    panel.viewer.dims.set_point(0, 1)
    button(panel, "run").click()
    finish(panel)
    run = panel._runner.last
    assert len(run.request.indices) == 1
    save_to(panel, run.layers["rgb"], target)
    found = verify_image(target, source)
    assert found.unaltered, found.line()
    for role in ("coarse", "uncertainty", "a refined"):
        layer = panel._runner.show_stages(run, [role])[role]
        save_to(panel, layer, target)
        found = verify_image(target, source)
        assert found.unaltered, found.line()
    panel.controls.scope.setCurrentIndex(panel.controls.scope.findData("stack"))
    panel.controls.steady.setChecked(False)
    button(panel, "run").click()
    finish(panel)
    save_to(panel, panel._runner.last.layers["rgb"], target)
    found = verify_image(target, source)
    assert found.unaltered, found.line()
    assert found.exact_pages == 3


def test_a_region_and_an_image_that_was_no_file_can_be_verified(
    open_panel, photo, finish, tmp_path, qtbot
):
    source, target = tmp_path / "scan.tif", tmp_path / "out.tif"
    tifffile.imwrite(source, photo, photometric="minisblack")
    panel = open_panel(photo)
    button(panel, "run").click()
    finish(panel)
    save_to(panel, panel._runner.last.layers["rgb"], target)
    for known in (None, source):
        found = verify_image(target, known)
        assert found.unaltered, found.line()
    panel.viewer.layers.clear()
    panel.viewer.open(source, plugin="napari")
    panel.viewer.scene.camera.zoom *= 3
    panel.controls.scope.setCurrentIndex(panel.controls.scope.findData("region"))
    button(panel, "run").click()
    finish(panel)
    rgb = panel._runner.last.layers["rgb"]
    assert rgb.data.shape[:2] < photo.shape
    save_to(panel, rgb, target)
    found = verify_image(target, source)
    assert found.unaltered, found.line()

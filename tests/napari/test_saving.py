"""Saving from the panel: our writer, beside the source, and it says so."""

import json

import imagecodecs
import numpy as np
import pytest
import tifffile
from napari.layers import Image
from PIL import Image as Pillow
from qtpy.QtWidgets import QLabel, QPushButton

from napari_recolor.files.recall import read_wishes
from napari_recolor.files.saving import save_active, suggested_path
from napari_recolor.files.writer import write_image
from napari_recolor.runs.layers import KEY
from napari_recolor.runs.wishes import ColorImage, Wishes
from recolor_core import ImageError
from recolor_core.batch.verify import verify_image
from recolor_core.digest import digest_codes
from recolor_core.files import sha256_of
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


WIDE = imagecodecs.cms_profile(
    "rgb",
    gamma=563 / 256,
    primaries=[0.64, 0.33, 0.21, 0.71, 0.15, 0.06],
    whitepoint=[0.3127, 0.3290, 1.0],
)
GRAY_22 = imagecodecs.cms_profile("gray", gamma=2.2)
INCH = 2


def in_mode(photo, mode):
    return photo if mode == "gray" else np.stack([photo, photo // 2, 255 - photo], axis=-1)


def write_with_profile(path, photo, mode):
    profile, image = GRAY_22 if mode == "gray" else WIDE, in_mode(photo, mode)
    if path.suffix == ".png":
        Pillow.fromarray(image).save(path, icc_profile=profile, dpi=(600, 600))
        return
    photometric = "minisblack" if mode == "gray" else "rgb"
    with tifffile.TiffWriter(path) as file:
        for page in (image, image[::-1], image // 2):
            file.write(
                page.astype(np.uint16) * 257, photometric=photometric, iccprofile=profile,
                resolution=(600, 600), resolutionunit=INCH, metadata=None,
            )  # fmt: skip


def colorize(panel, finish, scope):
    choice = panel.controls.scope
    choice.setCurrentIndex(choice.findData(scope))
    panel.controls.steady.setChecked(False)
    button(panel, "run").click()
    finish(panel)
    return panel._runner.last.layers["rgb"]


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["slice", "stack", "region"])
@pytest.mark.parametrize("mode", ["gray", "rgb"])
@pytest.mark.parametrize("name", ["scan.tif", "scan.png"])
def test_the_color_profile_goes_along(open_panel, photo, finish, tmp_path, name, mode, scope):
    source, target = tmp_path / name, tmp_path / f"out{name[-4:]}"
    write_with_profile(source, photo, mode)
    panel = open_panel()
    panel.viewer.open(source, plugin="napari")
    stack = name == "scan.tif"
    if stack:
        panel.viewer.dims.set_point(0, 1)
    if scope == "region":
        panel.viewer.scene.camera.zoom *= 3
    rgb = colorize(panel, finish, scope)
    save_to(panel, rgb, target)
    with open_image(source) as file:
        original, *_ = file
    with open_image(target) as file:
        pages = list(file)
    assert len(pages) == (3 if stack and scope == "stack" else 1)
    for page in pages:
        assert page.metadata.icc == original.metadata.icc
        assert page.space == original.space
        assert float(page.metadata.resolution.per_inch()[0]) == pytest.approx(600, abs=0.01)
    for known in (None, source):
        found = verify_image(target, known)
        assert found.unaltered, found.line()
        assert found.exact_pages == len(pages)
    rgb.data = np.where(rgb.data > 20, rgb.data - 5, rgb.data)  # by someone else
    save_to(panel, rgb, target)
    assert verify_image(target).altered
    assert verify_image(target, source).altered


@pytest.mark.parametrize("mode", ["gray", "rgb"])
def test_the_color_profile_goes_along_if_the_file_has_gone(
    open_panel, photo, finish, tmp_path, mode
):
    source, target = tmp_path / "scan.png", tmp_path / "out.tif"
    write_with_profile(source, photo, mode)
    with open_image(source) as file:
        (original,) = file
    panel = open_panel()
    panel.viewer.open(source, plugin="napari")
    rgb = colorize(panel, finish, "slice")
    moved = source.rename(tmp_path / "moved.png")
    save_to(panel, rgb, target)
    with open_image(target) as file:
        (page,) = file
    assert page.metadata.icc == original.metadata.icc
    for known in (None, moved):
        found = verify_image(target, known)
        assert found.unaltered, found.line()


def test_an_image_in_memory_is_not_called_altered_because_of_a_file_with_a_profile(
    open_panel, photo, finish, tmp_path
):
    source, target = tmp_path / "scan.png", tmp_path / "out.tif"
    write_with_profile(source, photo, "rgb")
    panel = open_panel(in_mode(photo, "rgb"), rgb=True)
    rgb = colorize(panel, finish, "slice")
    save_to(panel, rgb, target)
    assert verify_image(target).unaltered
    with open_image(target) as file:
        (page,) = file
    assert page.metadata.icc is None
    found = verify_image(target, source)  # whose codes mean other colors
    assert not found.altered, found.line()
    assert not found.unaltered
    assert "image in memory" in found.line()
    rgb.data = rgb.data // 2  # by someone else
    save_to(panel, rgb, target)
    assert verify_image(target).altered
    assert verify_image(target, source).altered


def test_pages_of_different_profiles_are_taken_for_srgb(open_panel, photo, finish, tmp_path):
    source, target = tmp_path / "scan.tif", tmp_path / "out.tif"
    with tifffile.TiffWriter(source) as file:
        for profile in (WIDE, None):
            image = in_mode(photo, "rgb")
            file.write(image, photometric="rgb", iccprofile=profile, metadata=None)
    panel = open_panel()
    panel.viewer.open(source, plugin="napari")
    save_to(panel, colorize(panel, finish, "stack"), target)
    assert verify_image(target).unaltered
    found = verify_image(target, source)
    assert not found.altered, found.line()


def test_of_a_stack_that_was_canceled_the_finished_images_are_saved(tmp_path, photo):
    source, target = tmp_path / "stack.tif", tmp_path / "out.tif"
    stack = np.stack([photo, photo[::-1], photo // 2])
    tifffile.imwrite(source, stack, photometric="minisblack")
    with open_image(source) as file:
        known = {"path": str(source), "sha256": file.sha256, "pages": 3, "icc": ""}
    images = [
        {"index": [i], "of_source": [i], "gray_sha256": digest_codes(stack[i])} for i in (0, 2)
    ]
    about = {
        "software": "recolor",
        "version": "0",
        "layer": "rgb",
        "weights": {"name": "w"},
        "source": {"file": known, "shape": stack.shape},
        "region": None,
        "images": images,
    }
    colors = np.repeat(stack[..., None], 3, axis=-1)
    colors[1] = 0
    write_image(str(target), colors, {"name": "x", "rgb": True, "metadata": {KEY: about}})
    np.testing.assert_array_equal(tifffile.imread(target), colors[[0, 2]])
    for source_or_not in (None, source):
        found = verify_image(target, source_or_not)
        assert found.unaltered, found.line()


@pytest.mark.slow
def test_images_that_colors_were_taken_from_are_named_without_their_folders(
    open_panel, photo, finish, tmp_path
):
    source, target = tmp_path / "scan.tif", tmp_path / "out.tif"
    colored = tmp_path / "private" / "autochrome.png"
    colored.parent.mkdir()
    Pillow.fromarray(in_mode(photo, "rgb")).save(colored)
    tifffile.imwrite(source, photo, photometric="minisblack")
    panel = open_panel()
    panel.viewer.open(source, plugin="napari")
    image = ColorImage(colored.name, str(colored))
    panel._wishes.put(Wishes((image,), image))
    rgb = colorize(panel, finish, "slice")
    assert rgb.metadata[KEY]["wishes"]["references"][0]["path"] == str(colored)  # to be copied
    save_to(panel, rgb, target)
    with open_image(target) as file:
        (page,) = file
    record = read_xmp(page.metadata.xmp)
    named = {"name": "autochrome.png", "part": "", "sha256": sha256_of(colored)}
    assert record["wishes"] == {"references": [named], "color_from": named}
    assert str(tmp_path) not in json.dumps(record)
    wishes, missing = read_wishes(record, [tmp_path])
    assert wishes == Wishes()
    assert missing == [colored.name] * 2
    wishes, missing = read_wishes(record, [tmp_path, colored.parent])
    assert wishes == Wishes((image,), image)
    assert not missing
    Pillow.fromarray(in_mode(photo, "rgb")[::-1]).save(colored)  # another image of this name
    wishes, missing = read_wishes(record, [colored.parent])
    assert missing == [colored.name] * 2


def test_weights_are_named_without_their_folder(tmp_path):
    weights = {"name": "mine", "asked": str(tmp_path / "mine.st")}
    about = {"software": "recolor", "version": "0", "layer": "rgb", "weights": weights}
    meta = {"name": "photo", "rgb": True, "metadata": {KEY: about}}
    write_image(str(tmp_path / "out.tif"), np.zeros((4, 5, 3), np.uint8), meta)
    with open_image(tmp_path / "out.tif") as file:
        (page,) = file
    record = read_xmp(page.metadata.xmp)
    assert record["weights"]["asked"] == "mine.st"
    assert str(tmp_path) not in json.dumps(record)

"""Saving layers: every code, the depth, the pages, the provenance, the size in the world."""

import re
from html import unescape

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from npe2 import PluginManager
from PIL import Image

from napari_recolor.files.writer import write_image
from recolor_core import ImageError
from recolor_core.images import open_image

ABOUT = {"software": "recolor", "version": "0", "id": "f00", "layer": "rgb"}
DTYPES = [np.uint8, np.uint16, np.float32]


def image(dtype, shape=(7, 9, 3)):
    rng = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape, dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def save(path, data, **options):
    layer = ViewerModel().add_image(data, **{"rgb": True, "name": "photo", **options})
    assert write_image(str(path), *layer.as_layer_data_tuple()[:2]) == [str(path)]
    with open_image(path) as file:
        return list(file)


def xmp_of(page):
    return unescape(page.metadata.xmp.decode()) if page.metadata.xmp else ""


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("dtype", DTYPES)
def test_tiff_keeps_every_code(tmp_path, dtype, channels):
    data = image(dtype, (7, 9, channels))
    (page,) = save(tmp_path / "out.tif", data, metadata={"recolor": ABOUT})
    np.testing.assert_array_equal(page.codes, data[..., :3])
    assert page.codes.dtype == dtype
    assert page.alpha is None if channels == 3 else (page.alpha == data[..., 3]).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_keeps_every_code(tmp_path, dtype):
    data = image(dtype)
    (page,) = save(tmp_path / "out.png", data, metadata={"recolor": ABOUT})
    np.testing.assert_array_equal(page.codes, data)
    assert page.codes.dtype == dtype


def test_png_refuses_floating_point_with_a_remedy(tmp_path):
    with pytest.raises(ImageError, match=r"\.tif"):
        save(tmp_path / "out.png", image(np.float32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.tif", "out.png"])
def test_provenance_is_in_the_file(tmp_path, name):
    (page,) = save(tmp_path / name, image(np.uint8), metadata={"recolor": ABOUT})
    assert "compositeWithTrainedAlgorithmicMedia" in xmp_of(page)
    assert '"id": "f00"' in xmp_of(page)


def test_other_images_in_color_get_no_mark(tmp_path):
    (page,) = save(tmp_path / "out.tif", image(np.uint8))
    assert xmp_of(page) == ""


def test_each_page_of_a_stack_has_its_own_provenance(tmp_path):
    data = image(np.uint16, (2, 3, 7, 9, 3))
    images = [{"index": [t, z], "levels": [t, 10 + z]} for t in range(2) for z in range(3)]
    about = {**ABOUT, "images": images}
    pages = save(tmp_path / "out.tif", data, metadata={"recolor": about})
    np.testing.assert_array_equal([page.codes for page in pages], data.reshape(6, 7, 9, 3))
    levels = [re.findall(r'"levels": \[(\d+), (\d+)\]', xmp_of(page)) for page in pages]
    assert levels == [[(str(t), str(10 + z))] for t in range(2) for z in range(3)]


def test_what_the_source_holds_beside_pixels_goes_along(tmp_path):
    gray = np.random.default_rng(0).integers(0, 65535, (7, 9), np.uint16)
    tifffile.imwrite(
        tmp_path / "scan.tif", gray, resolution=(300, 300), resolutionunit="INCH",
        description="a view of the sea", software="scanner", metadata=None,
    )  # fmt: skip
    with open_image(tmp_path / "scan.tif") as file:
        known = {"path": str(tmp_path / "scan.tif"), "sha256": file.sha256, "pages": 1}
    about = {**ABOUT, "source": {"file": known}, "region": None, "images": [{"index": []}]}

    def saved(about):
        return save(tmp_path / "out.tif", image(np.uint16), metadata={"recolor": about})[0]

    page = saved(about)
    assert page.metadata.resolution.per_inch() == (300, 300)
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.pages[0].description == "a view of the sea"
    np.testing.assert_array_equal(page.codes, image(np.uint16))

    # A region has the resolution, and not what describes the whole page.
    page = saved({**about, "region": [[0, 7], [0, 9]]})
    assert page.metadata.resolution.per_inch() == (300, 300)
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert "ImageDescription" not in file.pages[0].tags

    # A file that has changed since is another one.
    tifffile.imwrite(tmp_path / "scan.tif", gray, resolution=(72, 72))
    assert saved(about).metadata.resolution is None
    (tmp_path / "scan.tif").unlink()
    assert saved(about).metadata.resolution is None


@pytest.mark.parametrize("layer", ["rgb", "coarse", "uncertainty"])
def test_the_source_is_not_replaced_through_any_door(tmp_path, plugins, layer):
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, np.zeros((7, 9), np.uint8))
    before = path.read_bytes()
    about = {**ABOUT, "layer": layer, "source": {"path": str(path), "file": None}, "region": None}
    data = image(np.float32, (7, 9)) if layer == "uncertainty" else image(np.uint8)
    viewer = ViewerModel()
    viewer.add_image(data, rgb=data.ndim == 3, metadata={"recolor": about})
    with pytest.raises(RuntimeError, match="never changed"):
        viewer.layers.save(str(path), plugin="napari-recolor")
    assert path.read_bytes() == before


def test_of_a_multiscale_layer_the_largest_is_written(tmp_path):
    data = image(np.uint8, (16, 16, 3))
    (page,) = save(tmp_path / "out.tif", [data, data[::2, ::2]], multiscale=True)
    np.testing.assert_array_equal(page.codes, data)


def test_lengths_become_the_resolution(tmp_path):
    data = image(np.uint8)
    (page,) = save(tmp_path / "out.tif", data, scale=(0.02, 0.01), units=("mm", "mm"))
    resolution = page.metadata.resolution
    assert resolution.unit == "cm"
    assert (float(resolution.x), float(resolution.y)) == pytest.approx((1000, 500))
    (page,) = save(tmp_path / "pixels.tif", data, scale=(0.02, 0.01))
    assert page.metadata.resolution is None or page.metadata.resolution.unit == "none"


def test_stages_are_written_as_numbers(tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 7, 9)).astype(np.float32)
    about = {**ABOUT, "layer": "a refined"}
    layer = ViewerModel().add_image(values, name="a* refined", metadata={"recolor": about})
    write_image(str(tmp_path / "a.tif"), *layer.as_layer_data_tuple()[:2])
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), values)
    with pytest.raises(ImageError, match=r"\.tif"):
        write_image(str(tmp_path / "a.png"), *layer.as_layer_data_tuple()[:2])


def test_layers_of_others_are_left_to_others(tmp_path):
    layer = ViewerModel().add_image(np.zeros((7, 9), np.uint8))
    with pytest.raises(ImageError, match="napari builtins"):
        write_image(str(tmp_path / "gray.tif"), *layer.as_layer_data_tuple()[:2])
    assert not list(tmp_path.iterdir())


@pytest.fixture
def plugins():
    """The plugins that napari knows."""
    plugins = PluginManager.instance()
    plugins.discover()
    return plugins


@pytest.mark.parametrize("name", ["out.tif", "out.png"])
def test_napari_finds_the_writer_by_its_name(plugins, name):
    writer, path = plugins.get_writer(name, ["image"], "napari-recolor")
    assert writer.command == "napari-recolor.write_image"
    assert path == name


def test_the_command_s_own_endings_lead_to_the_writer_unasked(plugins):
    for name in ("photo.recolor.tif", "photo.recolor.png"):
        writer, _ = plugins.get_writer(name, ["image"])
        assert writer.command == "napari-recolor.write_image"
    writer, _ = plugins.get_writer("photo.tif", ["image"])
    assert writer.command == "napari.write_image"


def test_saved_from_the_viewer(tmp_path, plugins):
    data = image(np.uint16)
    viewer = ViewerModel()
    viewer.add_image(data, rgb=True, metadata={"recolor": ABOUT})
    (path,) = viewer.layers.save(str(tmp_path / "out.recolor.tif"), plugin="napari-recolor")
    np.testing.assert_array_equal(tifffile.imread(path), data)


def test_pillow_opens_the_png(tmp_path):
    data = image(np.uint8)
    save(tmp_path / "out.png", data, metadata={"recolor": ABOUT})
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), data)

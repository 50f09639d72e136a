import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points

from napari_recolor.runs.reading import LevelRule, Request, Source, make_request, result_itemsize
from recolor_core import ImageError
from recolor_core.gray import read_gray

AUTO = LevelRule()


def request_of(array, scope="stack", rule=AUTO, **arguments):
    viewer = ViewerModel()
    return make_request(viewer.add_image(array, name="photo", **arguments), viewer, scope, rule)


class Lazy:
    """An array that counts what is read of it, and refuses to be read as a whole."""

    def __init__(self, shape, dtype=np.uint16):
        self.shape, self.dtype, self.ndim = shape, np.dtype(dtype), len(shape)
        self.read = []

    def __getitem__(self, key):
        values = np.broadcast_to(np.arange(self.shape[-1], dtype=self.dtype), self.shape)[key]
        assert values.ndim == 2, f"{key} reads more than one image"
        self.read.append(key)
        return values

    def __array__(self, *arguments, **more):
        raise AssertionError("the whole array was read")


def test_says_what_will_be_done():
    request = request_of(np.zeros((12, 20, 30), np.uint16), axis_labels=("t", "y", "x"))
    assert request.summary() == (
        "12 × 20 × 30 uint16, read as T × Y × X: 12 images. Every gray value is kept exactly."
    )


@pytest.mark.parametrize(
    ("array", "arguments", "scope", "expected"),
    [
        (np.zeros((20, 30), np.uint8), {}, "slice", "20 × 30 uint8, read as Y × X: 1 image."),
        (np.zeros((20, 30), np.uint8), {}, "stack", "20 × 30 uint8, read as Y × X: 1 image."),
        (np.zeros((20, 30, 3), np.uint8), {"rgb": True}, "slice", "read as Y × X × RGB: 1 image"),
        (np.zeros((20, 30, 4)), {"rgb": True}, "slice", "read as Y × X × RGBA: 1 image"),
        (np.zeros((2, 5, 20, 30)), {}, "stack", "read as stack × stack × Y × X: 10 images"),
        (
            np.zeros((9, 20, 30)),
            {"axis_labels": ("z", "y", "x")},
            "slice",
            "1 image at Z = 4",
        ),
        (np.zeros((20, 30, 3)), {"rgb": False}, "stack", "add the layer with rgb=True"),
        (np.zeros((3, 20, 30)), {}, "stack", "merge it to RGB first"),
        (np.zeros((20, 30), np.int16), {}, "slice", "the 0.1 and 99.9 percentiles of it"),
        (np.zeros((5, 20, 30), np.int16), {}, "stack", "percentiles of the stack"),
        (np.zeros((20, 30)), {}, "slice", "Values from 0 to 1 are kept as they are"),
        (np.zeros((20, 30, 3), np.uint8), {"rgb": True}, "slice", "Every luminance is kept"),
    ],
)
def test_says_how_it_reads_a_layer(array, arguments, scope, expected):
    assert expected in request_of(array, scope, **arguments).summary()


def test_says_how_much_memory_a_large_result_takes():
    lazy = da.zeros((500, 1000, 1000), dtype=np.uint16, chunks=(1, 1000, 1000))
    assert "The result takes 2.8 GB." in request_of(lazy).summary()


def test_labels_are_refused_with_a_sentence():
    with pytest.raises(ImageError, match=r"“cells” holds labels.*Choose an image layer\."):
        Source.of(Labels(np.zeros((4, 4), int), name="cells"))


def test_other_layers_and_values_are_refused(monkeypatch):
    with pytest.raises(ImageError, match="is no image"):
        Source.of(Points(np.zeros((1, 2))))
    layer = Image(np.ones((4, 4)))
    # napari itself trips over complex numbers in some places, in others not.
    monkeypatch.setattr(layer, "_data", np.ones((4, 4), np.complex64))
    with pytest.raises(ImageError, match="complex64 values, not brightness"):
        Source.of(layer)


def test_the_shown_image_comes_first_and_every_one_once():
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((2, 3, 8, 8), np.uint8))
    viewer.dims.set_point((0, 1), (1, 2))
    request = make_request(layer, viewer, "stack", AUTO)
    assert request.indices[0] == (1, 2)
    assert sorted(request.indices) == list(np.ndindex(2, 3))


def test_the_current_slice_is_where_the_layer_is_cut_in_the_world():
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((5, 8, 8), np.uint8), scale=(2, 1, 1), translate=(10, 0, 0))
    viewer.dims.set_point(0, 16)
    request = make_request(layer, viewer, "slice", AUTO)
    assert request.indices == ((3,),)
    assert request.origin == (3, 0, 0)
    assert request.leading == (1,)


def test_the_visible_region_is_what_the_camera_sees():
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((200, 300), np.uint8), scale=(2, 2))
    viewer.canvas.size = (100, 120)
    viewer.scene.camera.zoom = 2  # canvas pixels per unit of the world
    viewer.scene.camera.center = (0, 100, 200)  # pixel (50, 100)
    request = make_request(layer, viewer, "region", AUTO)
    # 100 x 120 canvas pixels are 50 x 60 units, 25 x 30 pixels of the image.
    assert request.region == (slice(38, 63), slice(85, 116))
    assert request.size == (25, 31)
    viewer.scene.camera.center = (0, 100, 5000)
    with pytest.raises(ImageError, match=r"Nothing of .* is in view"):
        make_request(layer, viewer, "region", AUTO)


def test_reads_one_image_at_a_time():
    lazy = Lazy((40, 30, 50))
    source = Source("lazy", lazy, False, ("stack", "Y", "X"), (0, 1))
    request = Request(source, "stack", tuple(np.ndindex(40)), (slice(10, 20), slice(0, 50)))
    image = request.load((7,))
    assert image.shape == (10, 50)
    assert lazy.read == [(7, slice(10, 20), slice(0, 50))]


def test_measures_levels_in_few_images_of_a_stack():
    lazy = Lazy((400, 30, 50), np.int16)
    source = Source("lazy", lazy, False, ("stack", "Y", "X"), (0, 1))
    request = Request(source, "stack", tuple(np.ndindex(400)), source.whole)
    assert request.stack_levels() == pytest.approx((0, 49), abs=0.5)
    assert len(lazy.read) <= 16


def test_what_is_loaded_is_a_copy():
    array = np.zeros((4, 4), np.uint8)
    request = request_of(array)
    image = request.load(())
    array[:] = 9
    assert not image.any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, bool])
def test_what_has_a_white_is_not_leveled(dtype):
    request = request_of(np.ones((8, 8), dtype))
    assert request.stack_levels() is None
    assert request.image_levels(request.load(())) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.2, 0.7], (0, 1)),
        ([0.0, np.nan], (0, 1)),
        ([np.nan, np.nan], (0, 1)),
        ([0.5, 0.5], (0, 1)),
        ([-3.0, 5.0], (-3, 5)),
        ([7.0, 7.0], (7, 8)),
        ([7.0, np.inf], (7, 8)),
    ],
)
def test_levels_of_floating_point(values, expected):
    array = np.tile(np.array(values, np.float32), (4, 4))
    rule = LevelRule(low=0, high=100)
    request = request_of(array, rule=rule, contrast_limits=(0, 1))
    levels = request.stack_levels()
    assert levels == pytest.approx(expected)
    read_gray(request.load(()), levels=levels)  # the core takes them, NaN included


def test_levels_of_each_slice():
    stack = np.stack([np.arange(64).reshape(8, 8), 100 + np.arange(64).reshape(8, 8)])
    request = request_of(stack.astype(np.int16), rule=LevelRule(low=0, high=100, per="slice"))
    assert request.stack_levels() is None
    assert request.image_levels(request.load((1,))) == (100, 163)


def test_contrast_limits_as_levels():
    request = request_of(
        np.zeros((8, 8), np.uint16), rule=LevelRule("contrast"), contrast_limits=(100, 4095)
    )
    assert request.stack_levels() == (100, 4095)
    assert "Black is 100, white 4095" in request.summary()


def test_of_a_multiscale_layer_the_full_resolution_is_read():
    levels = [np.zeros((64, 96), np.uint8), np.zeros((32, 48), np.uint8)]
    request = request_of(levels, multiscale=True)
    assert request.size == (64, 96)
    assert request.source.multiscale


@pytest.mark.parametrize(
    "dtype",
    [bool, np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int64, ">u2", "f2", "f4", "f8"],
)
def test_size_of_the_result_is_that_of_the_core(dtype):
    codes = read_gray(np.eye(4).astype(dtype), levels=(0, 1)).codes
    assert result_itemsize(np.dtype(dtype)) == codes.dtype.itemsize

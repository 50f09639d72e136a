import numpy as np
import pytest
from napari.layers import Image

from napari_recolor.runs.layers import (
    KEY,
    Geometry,
    chroma_colormap,
    contrast_limits,
    covering,
    is_result,
    layers_of_run,
    limits_of,
    make_layers,
)
from recolor_core import rgb_to_lab

ABOUT = {"run": 3, "id": "abc", "source": {"layer": "photo"}}


def arrays_of(leading=(), size=(40, 60), working=(30, 45), dtype=np.uint8):
    """Like those of a run; a coarse cell is 4 working pixels, the last ones stick out."""
    coarse = tuple(-(-n // 4) for n in working)
    rng = np.random.default_rng(0)

    def stage(shape):
        return rng.normal(0, 12, (*leading, *shape)).astype(np.float32)

    return {
        "rgb": np.ones((*leading, *size, 3), dtype),
        "coarse": np.ones((*leading, *size, 3), dtype),
        "a coarse": stage(coarse),
        "b coarse": stage(coarse),
        "uncertainty": abs(stage(coarse)),
        "a refined": stage(working),
        "b refined": stage(working),
        "change": abs(stage(working)),
        "alternative 1": np.ones((*leading, *size, 3), dtype),
    }


def layers_over(source, arrays, origin=None):
    origin = origin or (0,) * source.ndim
    return make_layers(arrays, Geometry.of(source), origin, limits_of(arrays), ABOUT, arrays)


def skewed(shape, rgb=False, dtype=np.uint8):
    """A layer with everything that a geometry can have."""
    n = len(shape) - rgb
    affine, rotate = np.eye(n + 1), np.eye(n)
    rotate[-2:, -2:] = [[0.8, -0.6], [0.6, 0.8]]  # napari slices along axes of the world only
    affine[-3:-1, -3:-1] = [[0.9, 0.2], [-0.1, 1.1]]
    affine[:-1, -1] = np.arange(n) + 5
    return Image(
        np.zeros(shape, dtype),
        rgb=rgb,
        scale=np.arange(2, 2 + n) / 2,
        translate=np.arange(n) * 7 + 1,
        rotate=rotate,
        shear=[0] * (n * (n - 1) // 2 - 1) + [0.3],
        affine=affine,
        units=("s", "um", "um")[-n:],
        axis_labels=("t", "y", "x")[-n:],
    )


def edges(layer, size):
    """Where the corners of (..., H, W) pixels lie in the world, outer edges, not centers."""
    lead = (0.0,) * (layer.ndim - 2)
    corners = [(y, x) for y in (-0.5, size[0] - 0.5) for x in (-0.5, size[1] - 0.5)]
    return np.array([layer.data_to_world((*lead, *corner)) for corner in corners])


@pytest.mark.parametrize(("shape", "rgb"), [((40, 60), False), ((40, 60, 3), True)])
def test_every_layer_lies_on_its_source(shape, rgb):
    source = skewed(shape, rgb)
    layers = layers_over(source, arrays_of())
    for role, layer in layers.items():
        size = {"rgb": (40, 60), "coarse": (40, 60), "alternative 1": (40, 60)}.get(role)
        # 30 x 45 working pixels are 7.5 x 11.25 coarse cells.
        coarse = role in ("a coarse", "b coarse", "uncertainty")
        size = size or ((7.5, 11.25) if coarse else (30, 45))
        np.testing.assert_allclose(edges(layer, size), edges(source, (40, 60)), atol=1e-9)
        assert layer.units == source.units
        assert layer.axis_labels == source.axis_labels


def test_a_region_of_a_slice_lies_where_it_was_taken():
    source = skewed((5, 40, 60))
    layers = layers_over(source, arrays_of((1,), (20, 24)), origin=(3, 10, 16))
    rgb = layers["rgb"]
    for pixel in [(0, 0, 0), (0, 19, 23)]:
        expected = source.data_to_world(np.add(pixel, (3, 10, 16)))
        np.testing.assert_allclose(rgb.data_to_world(pixel), expected, atol=1e-9)
    np.testing.assert_allclose(edges(layers["a refined"], (30, 45)), edges(rgb, (20, 24)))


def test_large_pixels_are_placed_by_their_centers():
    plain = Geometry.of(Image(np.zeros((40, 60))))
    coarse = covering(plain, (0, 0), (40, 60), (10, 15))
    assert coarse.scale.tolist() == [4, 4]
    assert coarse.translate.tolist() == [1.5, 1.5]  # pixels 0 to 3 of the image


def test_names_tell_source_run_and_result():
    layers = layers_over(Image(np.zeros((40, 60)), name="photo"), arrays_of())
    assert [layer.name for layer in layers.values()] == [
        "photo · RGB · run 3",
        "photo · coarse colors · run 3",
        "photo · a* coarse · run 3",
        "photo · b* coarse · run 3",
        "photo · uncertainty · run 3",
        "photo · a* refined · run 3",
        "photo · b* refined · run 3",
        "photo · ab change · run 3",
        "photo · alternative 1 · run 3",
    ]


def test_metadata_tell_what_a_layer_is():
    layers = layers_over(Image(np.zeros((40, 60))), arrays_of())
    assert layers["a coarse"].metadata[KEY] == {**ABOUT, "layer": "a coarse"}
    others = [Image(np.zeros((4, 4))), Image(np.zeros((4, 4)), metadata={KEY: {"id": "other"}})]
    assert layers_of_run([*others, *layers.values()], "abc") == layers
    assert [is_result(layer) for layer in others] == [False, True]


@pytest.mark.parametrize(
    ("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1), (np.float64, 1)]
)
def test_images_are_not_stretched(dtype, white):
    layers = layers_over(Image(np.zeros((40, 60))), arrays_of(dtype=dtype))
    for role in ("rgb", "alternative 1"):
        assert layers[role].contrast_limits == [0, white]
        assert layers[role].rgb


def test_only_the_image_is_shown_at_first():
    layers = layers_over(Image(np.zeros((40, 60))), arrays_of())
    assert [role for role, layer in layers.items() if layer.visible] == ["rgb"]


def test_coarse_and_refined_have_the_same_symmetric_limits():
    arrays = arrays_of()
    arrays["a refined"] *= 2
    limits = limits_of(arrays)
    for axis in "ab":
        coarse, refined = limits[f"{axis} coarse"], limits[f"{axis} refined"]
        assert coarse == refined
        assert contrast_limits(f"{axis} coarse", coarse) == [-coarse, coarse]
    largest = np.percentile(abs(arrays["a refined"]), 99.9)
    assert largest <= limits["a coarse"] < largest + 5
    assert contrast_limits("uncertainty", 20) == [0, 20]


def test_a_image_without_color_has_limits_too():
    limits = limits_of({role: np.zeros_like(array) for role, array in arrays_of().items()})
    assert limits["a coarse"] == 10
    assert limits["change"] == 1


@pytest.mark.parametrize(
    ("axis", "low", "high"), [("a", "green", "magenta"), ("b", "blue", "yellow")]
)
def test_diverging_colors_have_the_right_polarity(axis, low, high):
    table = np.asarray(chroma_colormap(axis).map(np.linspace(0, 1, 101)))[:, :3]
    lab = rgb_to_lab(table[None].astype(np.float64))[0]
    np.testing.assert_allclose(lab[:, 0], 70, atol=0.3)
    along, across = (lab[:, 1], lab[:, 2]) if axis == "a" else (lab[:, 2], lab[:, 1])
    assert (np.diff(along) > 0).all()  # never flat: every step of a value is a step of color
    np.testing.assert_allclose(across, 0, atol=0.5)
    assert abs(along[50]) < 0.5  # zero is neutral
    assert along[0] < -25
    assert along[-1] > 25
    # By eye: green has most G, magenta least; blue has most B, yellow least.
    channel = {"green": 1, "magenta": 1, "blue": 2, "yellow": 2}[low]
    assert table[0].argmax() == channel
    assert table[-1].argmin() == channel


def test_layers_show_the_arrays_themselves():
    arrays = arrays_of((3,))
    layers = layers_over(Image(np.zeros((3, 40, 60))), arrays)
    arrays["rgb"][1] = 7
    assert (layers["rgb"].data[1] == 7).all()

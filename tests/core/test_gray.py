"""Any array becomes gray codes, or is refused in one line."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from recolor_core import ImageError
from recolor_core.gray import read_gray
from recolor_core.lab import ColorSpace, ToneCurve, gray_codes, lightness

LINEAR = ColorSpace("linear", ToneCurve(1, a=1, b=0, c=1, d=0))


def ramp(dtype, shape=(6, 8)):
    """All of a dtype's range, in reading order."""
    unit = np.linspace(0, 1, int(np.prod(shape))).reshape(shape)
    if np.dtype(dtype).kind == "f":
        return unit.astype(dtype)
    info = np.iinfo(dtype)
    return np.rint(info.min + unit * (float(info.max) - info.min)).astype(dtype)


# What is read


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("shape", [(6, 8), (1, 1), (1, 9), (9, 1), (6, 8, 1)])
def test_gray_codes_are_kept_as_they_are(dtype, shape):
    array = ramp(dtype, shape)
    gray = read_gray(array)
    assert gray.shape == shape[:2]
    assert gray.codes.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(gray.codes, array.reshape(shape[:2]))
    assert "gray" in gray.reading
    assert "sRGB" in gray.reading


def test_bool_is_black_and_white():
    gray = read_gray(np.array([[True, False]]))
    assert gray.codes.tolist() == [[255, 0]]
    assert gray.codes.dtype == np.uint8


@pytest.mark.parametrize(("dtype", "kept"), [("f2", "f4"), (np.longdouble, "f8")])
def test_other_floats_become_those_that_are_computed_with(dtype, kept):
    gray = read_gray(ramp(dtype))
    assert gray.codes.dtype == kept
    np.testing.assert_allclose(gray.codes, ramp(dtype).astype(kept))


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
@pytest.mark.parametrize("space", [ColorSpace(), LINEAR], ids=["sRGB", "linear"])
def test_of_color_the_luminance_counts_and_alpha_does_not(dtype, space):
    rgb = np.random.default_rng(0).permutation(ramp(dtype, (6, 8, 3)).ravel()).reshape(6, 8, 3)
    gray = read_gray(rgb, space)
    expected = gray_codes(rgb, space)
    assert np.array_equal(gray.codes, expected)
    assert gray.space == space
    assert "color" in gray.reading
    for alpha in (0, rgb.max()):
        rgba = np.concatenate((rgb, np.full((6, 8, 1), alpha, dtype)), axis=2)
        assert np.array_equal(read_gray(rgba, space).codes, expected)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_neutral_color_is_read_as_gray(dtype):
    array = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(16, -1)
    gray = read_gray(np.repeat(array[..., None], 3, axis=2))
    np.testing.assert_array_equal(gray.codes, array)


def test_arrays_of_every_layout_are_read():
    array = ramp("u1", (12, 16))
    frozen = array.copy()
    frozen.flags.writeable = False
    for same in (
        np.asfortranarray(array),
        array[::-1][::-1],
        np.repeat(array, 2, axis=1)[:, ::2],
        frozen,
        array.tolist() and torch.from_numpy(array),
    ):
        np.testing.assert_array_equal(read_gray(same).codes, array)


def test_the_image_of_the_caller_is_not_written_to():
    array = ramp("f4")
    before = array.copy()
    read_gray(array).lightness((3, 4))
    read_gray(array, levels=(0.2, 0.8))
    np.testing.assert_array_equal(array, before)


# Levels


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u4", "u8", "f4"])
def test_levels_say_what_is_black_and_white(dtype):
    array = np.array([[0, 10, 60, 110, 127]], dtype)
    gray = read_gray(array, levels=(10, 110))
    codes = gray.codes
    white = {"i1": 255, "f4": 1}.get(dtype, 65535)
    np.testing.assert_allclose(codes, [[0, 0, white / 2, white, white]], atol=0.5 * (white > 1))
    assert "10 (black)" in gray.reading
    assert "110 (white)" in gray.reading


@pytest.mark.parametrize("dtype", ["i2", "f8"])
def test_auto_levels_are_the_smallest_and_the_largest_number(dtype):
    codes = read_gray(np.array([[-500, 0, 500]], dtype), levels="auto").codes
    top = 1 if dtype == "f8" else 65535
    np.testing.assert_allclose(codes, [[0, top / 2, top]], atol=0.5 * (top > 1))


def test_with_levels_nan_is_black_and_infinity_is_cut():
    array = np.array([[np.nan, -np.inf, np.inf, 2.0, 4.0]], np.float32)
    for levels in ((2, 4), "auto"):
        assert read_gray(array, levels=levels).codes.tolist() == [[0, 0, 1, 0, 1]]


def test_a_constant_image_with_auto_levels_is_black():
    assert not read_gray(np.full((2, 2), 7, np.int16), levels="auto").codes.any()


def test_levels_of_color_are_set_before_its_luminance_is_taken():
    array = np.random.default_rng(0).integers(-100, 100, (5, 6, 3), np.int32)
    codes = np.rint((array + 100.0) / 200 * 65535).astype(np.uint16)
    gray = read_gray(array, levels=(-100, 100))
    assert np.array_equal(gray.codes, read_gray(codes).codes)


finite = st.floats(-1e6, 1e6)


@pytest.mark.slow
@settings(max_examples=50)
@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.int16, np.uint32, np.uint8]),
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=6),
    ),
    st.tuples(finite, finite).filter(lambda pair: pair[0] + 1e-3 < pair[1]),
)
def test_levels_give_codes_in_range_and_in_order(array, levels):
    codes = read_gray(array, levels=levels).codes
    unit = codes.astype(np.float64) / {"uint8": 255, "uint16": 65535}.get(codes.dtype.name, 1)
    assert unit.min() >= 0
    assert unit.max() <= 1
    number = np.nan_to_num(array.astype(np.float64), nan=-np.inf).ravel()
    assert bool((np.diff(unit.ravel()[np.argsort(number, kind="stable")]) >= 0).all())


# What is refused


@pytest.mark.parametrize(
    "shape", [(), (5,), (2, 3, 4, 3), (3, 40, 50), (4, 5, 2), (0, 5), (5, 0), (0, 0, 3), (5, 6, 0)]
)
def test_other_shapes_are_refused(shape):
    with pytest.raises(ImageError, match=r"expected an image .*got shape"):
        read_gray(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u4", "u8", "c8", "M8[s]", "U3", "O"])
def test_a_dtype_without_a_white_is_refused(dtype):
    with pytest.raises(ImageError, match=r"expected uint8, uint16, bool or floating.*levels="):
        read_gray(np.zeros((2, 2), dtype))


@pytest.mark.parametrize("dtype", ["c8", "M8[s]", "U3", "O"])
def test_what_are_no_real_numbers_is_refused_with_levels_too(dtype):
    with pytest.raises(ImageError, match="expected real numbers"):
        read_gray(np.zeros((2, 2), dtype), levels=(0, 1))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_and_counted(bad):
    array = np.full((3, 4), 0.5, np.float32)
    array[1, 1:3] = bad
    with pytest.raises(ImageError, match="NaN or infinity in 2 of 12 values"):
        read_gray(array)


@pytest.mark.parametrize("bad", [-0.001, 1.001, 255.0])
def test_floats_beyond_the_unit_range_are_refused_with_their_range(bad):
    with pytest.raises(ImageError, match=r"\[0, 1\], got \[.*levels=") as caught:
        read_gray(np.array([[0.5, bad]]))
    assert f"{bad:g}" in str(caught.value)


@pytest.mark.parametrize(
    "levels", [(1, 1), (2, 1), (float("nan"), 1), (0, float("nan")), "full", (0, float("inf"))]
)
def test_levels_that_are_none_are_refused(levels):
    with pytest.raises(ImageError, match="expected levels="):
        read_gray(np.zeros((2, 2), np.int16), levels=levels)


@pytest.mark.parametrize("levels", [(1,), (1, 2, 3), ("a", "b"), 5])
def test_levels_of_another_form_are_refused(levels):
    with pytest.raises(ImageError, match="expected levels="):
        read_gray(np.zeros((2, 2), np.int16), levels=levels)


def test_auto_levels_of_nothing_but_nan_are_refused():
    with pytest.raises(ImageError, match="at least one number"):
        read_gray(np.full((2, 2), np.nan), levels="auto")


# Lightness at the working size


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
@pytest.mark.parametrize("full", [(1, 1), (1, 300), (97, 61), (1000, 700)])
@pytest.mark.parametrize("size", [(1, 1), (30, 40), (120, 80)])
def test_lightness_of_a_constant_image_is_constant_at_any_size(dtype, full, size):
    array = np.full(full, 0.25, dtype) if dtype[0] == "f" else np.full(full, 64, dtype)
    small = read_gray(array).lightness(size)
    expected = lightness(array[:1, :1]).item()
    assert small.dtype == np.float32
    np.testing.assert_allclose(small, np.full(size, expected), rtol=0, atol=1e-3)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("full", [(31, 45), (130, 110), (1280, 1000)])
def test_lightness_keeps_places_and_depth_at_any_size(dtype, full):
    down, across = np.meshgrid(
        (np.arange(full[0]) + 0.5) / full[0], (np.arange(full[1]) + 0.5) / full[1], indexing="ij"
    )
    unit = 0.5 + 0.2 * down - 0.1 * across
    top = 1 if dtype == "f4" else np.iinfo(dtype).max
    small = read_gray(
        (unit * top if dtype == "f4" else np.rint(unit * top)).astype(dtype)
    ).lightness((64, 50))
    expected = lightness(
        0.5 + 0.2 * (np.arange(64)[:, None] + 0.5) / 64 - 0.1 * (np.arange(50) + 0.5) / 50
    )
    inner = (slice(3, -3), slice(3, -3))
    np.testing.assert_allclose(small[inner], expected[inner], rtol=0, atol=0.25)


def test_lightness_stays_in_range_where_it_is_enlarged():
    checkers = np.indices((8, 8)).sum(0) % 2 * np.uint8(255)
    large = read_gray(checkers.astype(np.uint8)).lightness((96, 96))
    assert large.min() >= 0
    assert large.max() <= 100


# Pillow images


def photograph_in(mode):
    """A colorful image with alpha, in a mode of Pillow, and its true RGB as Pillow converts it."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (9, 12, 4), dtype=np.uint8), "RGBA")
    if mode in ("La", "RGBa"):
        image = image.convert(mode.upper())
    elif mode == "PA":
        image = image.convert("RGB").quantize(16).convert("PA")
    image = image.convert(mode)
    back = {"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}.get(mode, "RGB")
    return image, np.asarray(image.convert(back).convert("RGB"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "PA", "YCbCr", "HSV", "RGBa", "LA", "La"])
def test_the_gray_of_a_pillow_image_is_that_of_its_rgb(mode):
    image, rgb = photograph_in(mode)
    gray = read_gray(image)
    expected = gray_codes(rgb)
    assert np.array_equal(gray.codes, expected)
    assert (f", {mode} converted to " in gray.reading) == (mode not in ("RGB", "RGBA"))


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "I;16B", "F"])
def test_gray_modes_are_read_as_they_are(mode):
    codes = np.array([[0, 1, 200], [7, 255, 255]], np.uint8)
    array = {
        "1": codes > 100,
        "L": codes,
        "I;16": codes.astype("<u2") * 257,
        "I;16B": codes.astype(">u2") * 257,
        "F": codes.astype("f4") / 255,
    }[mode]
    if mode == "I;16B":
        image = Image.frombytes(mode, (3, 2), array.tobytes())
    else:
        image = Image.fromarray(array)
    assert image.mode == mode
    assert np.array_equal(read_gray(image).codes, read_gray(array).codes)


def test_a_palette_of_grays_keeps_each_of_them():
    image = Image.new("P", (16, 16))
    image.putpalette([255 - n // 3 for n in range(768)])  # index n is gray 255 - n
    image.putdata(list(range(256)))
    np.testing.assert_array_equal(read_gray(image).codes.flatten(), np.arange(255, -1, -1))


@pytest.mark.parametrize("mode", ["CMYK", "LAB"])
def test_modes_without_an_agreed_rgb_are_refused(mode):
    with pytest.raises(ImageError, match=rf"mode {mode}, which has no RGB.*ImageCms"):
        read_gray(Image.new(mode, (4, 4)))

"""CIELAB and the promise: the gray of the colored image is the input, code for code.

Oracles: published values, scikit-image and colour-science. The gray of a result is measured here a
second time, in NumPy, by `gray_of`: a mistake shared by `to_rgb` and `gray_codes` would show.
"""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recolor_core import ImageError, lab, lab_to_rgb, rgb_to_lab
from recolor_core.lab import SRGB, ColorSpace, ToneCurve, max_code

with warnings.catch_warnings():
    # It says which of its features lack an optional package.
    warnings.simplefilter("ignore")
    import colour

from skimage.color import rgb2lab

INTEGERS = [torch.uint8, torch.uint16]
FLOATS = [torch.float32, torch.float64]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def normalized(*rows):
    return tuple(tuple(value / sum(row) for value in row) for row in rows)


def power(gamma):
    return ToneCurve(gamma, a=1, b=0, c=0, d=0)


def sampled(count, function):
    return ToneCurve(table=tuple(float(value) for value in function(np.linspace(0, 1, count))))


# Linear RGB -> XYZ of the space's own white (Lindbloom's tables; Adobe RGB (1998), 4.3.5.3).
ADOBE_RGB = normalized(
    (0.57667, 0.18556, 0.18823), (0.29734, 0.62736, 0.07529), (0.02703, 0.07069, 0.99134)
)
PROPHOTO_RGB = normalized(
    (0.7976749, 0.1351917, 0.0313534), (0.2880402, 0.7118741, 0.0000857), (0.0, 0.0, 0.8252100)
)
SPACES = {
    space.name: space
    for space in (
        SRGB,
        ColorSpace("linear", power(1.0)),
        ColorSpace("gamma 1.8", power(1.8)),
        ColorSpace("gamma 2.2", power(2.2)),
        ColorSpace("Adobe RGB (1998)", power(563 / 256), ADOBE_RGB),
        ColorSpace("ProPhoto RGB", ToneCurve(1.8, 1, 0, 1 / 16, 1 / 32), PROPHOTO_RGB),
        ColorSpace("sRGB, 1024 samples", sampled(1024, colour.models.eotf_sRGB)),
        ColorSpace("brightened, 256 samples", sampled(256, lambda x: x**0.7)),
        ColorSpace("dot gain, 32 samples", sampled(32, lambda x: 0.3 * x + 0.7 * x**3)),
    )
}
every_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())


def last(codes):
    """An array (H, W, 3) of a tensor (3, H, W); others as they are."""
    return np.ascontiguousarray((codes.permute(1, 2, 0) if codes.ndim == 3 else codes).numpy())


def gray_codes(codes, space=SRGB):
    return torch.from_numpy(lab.gray_codes(last(codes), space))


def lightness(codes, space=SRGB):
    return torch.from_numpy(lab.lightness(last(codes), space))


def to_rgb(gray, ab, space=SRGB):
    return torch.from_numpy(lab.to_rgb(gray.numpy(), ab.numpy(), space)).permute(2, 0, 1)


def every_code(dtype):
    """Every code of an integer dtype, as an image of one row."""
    return torch.arange(max_code(dtype) + 1).to(dtype)[None]


def random_ab(shape, scale, seed=0):
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed)) * scale


def gray_of(codes, space=SRGB):
    """The gray of (3, H, W) codes by another implementation: NumPy, float64, colour-science."""
    top = max_code(codes.dtype)
    unit = codes.numpy().astype(np.float64) / top
    curve = space.curve
    if curve.table is not None:
        grid = np.linspace(0, 1, len(curve.table))
        linear = np.interp(unit, grid, curve.table)
    elif space is SRGB:
        linear = colour.models.eotf_sRGB(unit)
    else:
        linear = np.where(
            unit >= curve.d, np.maximum(curve.a * unit + curve.b, 0) ** curve.gamma, curve.c * unit
        )
    luminance = np.tensordot(np.array(space.to_white_xyz[1]), linear, axes=1)
    if curve.table is not None:
        gray = np.interp(luminance, curve.table, grid)
    elif space is SRGB:
        gray = colour.models.eotf_inverse_sRGB(luminance)
    else:
        power_part = (luminance ** (1 / curve.gamma) - curve.b) / curve.a
        gray = power_part
        if curve.c:
            gray = np.where(luminance >= curve.c * curve.d, power_part, luminance / curve.c)
    return gray * top if codes.dtype.is_floating_point else np.rint(gray * top)


def differing(codes, gray, space=SRGB):
    """Number of pixels whose gray is not `gray`, by both measures; they have to agree."""
    ours = int((gray_codes(codes, space) != gray).sum())
    assert int((gray_of(codes, space) != gray.numpy()).sum()) == ours
    return ours


# Published values


# Bruce Lindbloom's CIE color calculator, sRGB, D65 as reference white. His matrix has seven digits,
# the one of IEC 61966-2-1 four: they differ by up to 0.01 in Lab.
@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((1, 0, 0), (53.2408, 80.0925, 67.2032)),
        ((0, 1, 0), (87.7347, -86.1827, 83.1793)),
        ((0, 0, 1), (32.2970, 79.1875, -107.8602)),
        ((0, 1, 1), (91.1132, -48.0875, -14.1312)),
        ((1, 0, 1), (60.3242, 98.2343, -60.8249)),
        ((1, 1, 0), (97.1393, -21.5537, 94.4780)),
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_published_lab_of_the_srgb_primaries(rgb, expected):
    np.testing.assert_allclose(rgb_to_lab(np.array(rgb, np.float64)), expected, atol=0.025)


@pytest.mark.parametrize(("code", "expected"), [(128, 53.5850), (119, 50.0344), (1, 0.2742)])
def test_published_lightness_of_gray_codes(code, expected):
    assert lightness(torch.tensor([[code]], dtype=torch.uint8)).item() == pytest.approx(
        expected, abs=1e-3
    )


def test_lightness_of_the_gray_card():
    # CIE 15:2004 (8.3): 18 % reflectance.
    linear = ColorSpace("linear", power(1.0))
    gray = torch.tensor([[0.18]], dtype=torch.float64)
    assert lightness(gray, linear).item() == pytest.approx(49.4961, abs=1e-4)


# Other implementations


def test_curve_is_that_of_colour_science():
    codes = np.linspace(0, 1, 4097)
    ours = SRGB.curve.decode(torch.from_numpy(codes)).numpy()
    np.testing.assert_allclose(ours, colour.models.eotf_sRGB(codes), rtol=0, atol=1e-15)
    back = SRGB.curve.encode(torch.from_numpy(codes)).numpy()
    expected = colour.models.eotf_inverse_sRGB(codes)
    # The standard rounds the knee, to 0.04045 on one side and 0.0031308 on the other.
    np.testing.assert_allclose(back, expected, rtol=0, atol=1e-7)


def test_lab_is_that_of_colour_science():
    codes = np.random.default_rng(0).random((1000, 3))
    white = np.array([0.9505, 1.0, 1.0890])  # the row sums of the standard's matrix
    xyz = colour.models.eotf_sRGB(codes) @ (np.array(SRGB.to_white_xyz) * white[:, None]).T
    expected = colour.XYZ_to_Lab(xyz, colour.XYZ_to_xy(white))
    np.testing.assert_allclose(rgb_to_lab(codes), expected, rtol=0, atol=1e-9)


def test_lab_is_that_of_scikit_image():
    # Its matrix has six digits and its white is (0.95047, 1, 1.08883).
    codes = np.random.default_rng(1).random((50, 60, 3))
    np.testing.assert_allclose(rgb_to_lab(codes), rgb2lab(codes), rtol=0, atol=0.03)


# Properties of the conversions


@every_space
def test_gray_is_neutral_and_white_is_100(space):
    gray = every_code(torch.uint16).expand(3, 1, -1)
    lightness_, a, b = rgb_to_lab(gray, space)
    assert lightness_.dtype == torch.float64
    assert max(a.abs().max().item(), b.abs().max().item()) < 1e-9
    assert lightness_[0, 0].abs() < 1e-9
    assert lightness_[0, -1].item() == pytest.approx(100, abs=1e-9)
    assert bool((lightness_.diff() > 0).all())


unit = st.floats(0, 1)
colors = st.tuples(unit, unit, unit)


@given(colors, st.sampled_from(sorted(SPACES)))
def test_rgb_comes_back_from_lab(rgb, name):
    rgb = np.array(rgb)
    back = lab_to_rgb(rgb_to_lab(rgb, SPACES[name]), SPACES[name])
    # The two pieces of sRGB, as the standard rounds them, miss each other by 3e-8; near black a
    # power is so steep that rounding in Lab shows.
    np.testing.assert_allclose(back, rgb, rtol=0, atol=1e-7 if name == "sRGB" else 1e-5)


@given(st.floats(0, 100), st.floats(-300, 300), st.floats(-300, 300))
def test_lab_comes_back_from_rgb_far_beyond_the_gamut_too(lightness_, a, b):
    lab = np.array([lightness_, a, b])
    np.testing.assert_allclose(rgb_to_lab(lab_to_rgb(lab)), lab, rtol=0, atol=1e-6)


def test_float32_is_close_to_float64():
    codes = torch.rand(3, 100, 100, generator=torch.Generator().manual_seed(0))
    exact = rgb_to_lab(codes.double())
    assert rgb_to_lab(codes).dtype == torch.float32
    torch.testing.assert_close(rgb_to_lab(codes).double(), exact, rtol=0, atol=1e-3)
    torch.testing.assert_close(
        lab_to_rgb(exact.float()).double(), codes.double(), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_arrays_carry_channels_last_and_tensors_first(dtype):
    rng = np.random.default_rng(2)
    array = rng.random((5, 6, 3))
    array = array.astype(dtype) if dtype(0.5) else (array * np.iinfo(dtype).max).astype(dtype)
    of_array = rgb_to_lab(array)
    of_tensor = rgb_to_lab(torch.from_numpy(array).permute(2, 0, 1))
    assert of_array.dtype == {1: np.float32, 2: np.float64}.get(array.itemsize, dtype)
    assert isinstance(of_array, np.ndarray)
    np.testing.assert_allclose(of_array, of_tensor.permute(1, 2, 0).numpy(), rtol=0, atol=1e-4)
    np.testing.assert_allclose(rgb_to_lab(array[::-1, ::2]), of_array[::-1, ::2], atol=1e-4)
    np.testing.assert_allclose(rgb_to_lab(array[0, 0]), of_array[0, 0], atol=1e-4)


def test_batches_are_converted_like_single_images():
    batch = torch.rand(2, 4, 3, 5, 6, dtype=torch.float64)
    lab = rgb_to_lab(batch)
    assert lab.shape == batch.shape
    torch.testing.assert_close(lab[1, 2], rgb_to_lab(batch[1, 2]), rtol=0, atol=1e-12)
    torch.testing.assert_close(lab_to_rgb(lab), batch, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [">u2", ">f4", "<f8"])
def test_arrays_of_any_byte_order_and_read_only_ones_are_converted(dtype):
    array = (np.arange(60).reshape(4, 5, 3) / 100).astype(dtype)
    expected = rgb_to_lab(array.astype(array.dtype.newbyteorder("=")))
    array.flags.writeable = False
    torch.set_warn_always(True)
    try:
        np.testing.assert_array_equal(rgb_to_lab(array), expected)
    finally:
        torch.set_warn_always(False)


def test_lab_of_integers_is_refused():
    with pytest.raises(ImageError, match="floating point"):
        lab_to_rgb(np.array([50, 0, 0]))


@pytest.mark.parametrize("convert", [rgb_to_lab, lab_to_rgb])
@pytest.mark.parametrize(
    "value", [np.zeros((4, 4)), np.zeros((3, 4, 4)), torch.zeros(4, 4, 3), torch.zeros(3, 4)]
)
def test_other_than_three_channels_are_refused(convert, value):
    if value.shape == (3, 4):
        value = value[:2]
    with pytest.raises(ImageError, match=r"expected .*\(\.\.\., 3"):
        convert(value)


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.uint32])
def test_rgb_of_a_dtype_without_a_white_is_refused(dtype):
    with pytest.raises(ImageError, match=r"uint8, uint16 or floating point.*convert"):
        rgb_to_lab(np.zeros((2, 2, 3), dtype))


# Derivatives


def test_derivatives_are_those_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    rgb = 0.05 + 0.9 * torch.rand(3, 2, 3, dtype=torch.float64, generator=generator)
    assert torch.autograd.gradcheck(rgb_to_lab, rgb.requires_grad_())
    lab = rgb_to_lab(rgb.detach()).requires_grad_()
    assert torch.autograd.gradcheck(lab_to_rgb, lab)


@every_space
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("value", [0.0, 1e-9, 0.002, 0.04045, 0.5, 1.0])
def test_derivatives_are_finite_from_black_to_white(space, dtype, value):
    rgb = torch.full((3, 1, 1), value, dtype=dtype, requires_grad=True)
    rgb_to_lab(rgb, space).sum().backward()
    assert bool(torch.isfinite(rgb.grad).all())
    lab = rgb_to_lab(rgb.detach(), space).requires_grad_()
    lab_to_rgb(lab, space).sum().backward()
    assert bool(torch.isfinite(lab.grad).all())


# Lightness


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
def test_lightness_is_that_of_lab_for_gray_and_neutral_rgb(dtype):
    if dtype in INTEGERS:
        gray = every_code(dtype)
    else:
        gray = torch.rand(3, 50, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = rgb_to_lab(gray.expand(3, -1, -1).to(torch.float64) / max_code(dtype))[0]
    for codes in (gray, gray.expand(3, -1, -1)):
        ours = lightness(codes)
        assert ours.shape == gray.shape
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("dtype", "step"), [(torch.uint8, 0.3), (torch.uint16, 0.0012)])
def test_lightness_of_a_tinted_scan_is_its_luminance(dtype, step):
    codes = (torch.rand(3, 40, 50) * max_code(dtype)).to(dtype)
    exact = rgb_to_lab(codes.to(torch.float64) / max_code(dtype))[0]
    # Read as a gray code, so within half a code.
    torch.testing.assert_close(lightness(codes).double(), exact, rtol=0, atol=step)


# The promise


@every_space
@pytest.mark.parametrize("dtype", INTEGERS)
def test_gray_of_neutral_codes_is_the_code(dtype, space):
    gray = every_code(dtype)
    assert differing(gray.expand(3, 1, -1), gray, space) == 0


@every_space
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("scale", [0.3, 20, 300])
def test_every_gray_code_comes_back_whatever_the_color(dtype, space, scale):
    gray = every_code(dtype).expand(256 if dtype == torch.uint8 else 1, -1).contiguous()
    rgb = to_rgb(gray, random_ab(gray.shape, scale, seed=int(scale)), space)
    assert rgb.dtype == dtype
    assert differing(rgb, gray, space) == 0


@every_space
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_linear_light_is_rounded_to_the_nearest_code_with_a_table_of_any_size(dtype, space):
    tables = lab.code_tables(space, np.dtype(dtype))
    steps = np.diff(tables.code_of_root)
    assert steps.max() <= 1 or len(tables.code_of_root) == max(lab._ROOTS)
    light = np.random.default_rng(0).random(20_000, np.float32) ** 3
    inner = tables.edges[1:-1]
    place = np.searchsorted(inner, light, side="right")
    gap = np.abs(light[:, None] - inner[np.clip(place[:, None] + [-1, 0], 0, len(inner) - 1)])
    clear = gap.min(axis=1) > 1e-6 * light  # rounding decides at the edges themselves
    if steps.max() <= 1:
        np.testing.assert_array_equal(lab._nearest_codes(light, tables)[clear], place[clear])


@every_space
def test_every_gray_code_comes_back_at_the_extremes_of_ab(space):
    extremes = [-1e6, -300, -128, -110, -1e-3, 0, 1e-3, 110, 127, 300, 1e6]
    pairs = torch.cartesian_prod(torch.tensor(extremes), torch.tensor(extremes)).T[:, :, None]
    for gray in (every_code(torch.uint8), every_code(torch.uint16)[:, ::257].contiguous()):
        gray = gray.expand(pairs.shape[1], -1).contiguous()
        rgb = to_rgb(gray, pairs.expand(-1, -1, gray.shape[1]), space)
        assert differing(rgb, gray, space) == 0


@pytest.mark.slow
@pytest.mark.parametrize("angle", range(0, 360, 15))
def test_every_16_bit_code_comes_back_along_every_hue(angle):
    gray = every_code(torch.uint16).expand(8, -1).contiguous()
    chroma = torch.linspace(2, 150, 8)[:, None].expand(gray.shape)
    radians = torch.tensor(angle).deg2rad()
    rgb = to_rgb(gray, torch.stack((chroma * radians.cos(), chroma * radians.sin())))
    assert differing(rgb, gray) == 0


ab_values = st.floats(-300, 300, width=32)


@given(
    st.sampled_from(INTEGERS),
    st.lists(st.tuples(st.floats(0, 1), ab_values, ab_values), min_size=1, max_size=40),
    st.sampled_from(sorted(SPACES)),
)
def test_any_gray_of_any_color_comes_back(dtype, pixels, name):
    shares, a, b = zip(*pixels, strict=True)
    gray = (torch.tensor([shares], dtype=torch.float64) * max_code(dtype)).round().to(dtype)
    rgb = to_rgb(gray, torch.tensor([[a], [b]]), SPACES[name])
    assert differing(rgb, gray, SPACES[name]) == 0


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("gamma", [2.4, 2.6])
def test_every_gray_code_comes_back_with_a_steep_power_curve(dtype, gamma):
    space, gray = ColorSpace("power", power(gamma)), every_code(dtype)
    assert differing(gray.expand(3, 1, -1), gray, space) == 0
    assert differing(to_rgb(gray, random_ab(gray.shape, 20), space), gray, space) == 0


@pytest.mark.parametrize("dtype", INTEGERS)
def test_codes_that_a_curve_does_not_tell_apart_keep_their_luminance(dtype):
    # As in ICC profiles whose 16-bit samples are too coarse for the foot of their curve.
    curve = sampled(1024, lambda x: np.rint(x**2.2 * 65535) / 65535)
    space, gray = ColorSpace("coarse", curve), every_code(dtype)
    neutral = gray_codes(gray.expand(3, 1, -1), space)
    assert (neutral == gray).float().mean() > 0.98
    rgb = to_rgb(gray, random_ab(gray.shape, 20), space)
    assert torch.equal(gray_codes(rgb, space), neutral)


@pytest.mark.parametrize("gamma", [1.8, 2.2])
def test_dark_float32_gray_comes_back_with_a_power_curve(gamma):
    space = ColorSpace("power", power(gamma))
    gray = torch.logspace(-7, -3, 100)[None]
    assert torch.equal(gray_codes(gray.expand(3, 1, -1), space), gray)
    assert torch.equal(gray_codes(to_rgb(gray, random_ab(gray.shape, 20), space), space), gray)


@pytest.mark.parametrize("scale", [0.3, 20, 300])
def test_float32_gray_comes_back_to_the_bit(scale):
    gray = torch.rand(50, 1000, generator=torch.Generator().manual_seed(3))
    gray[0, :2] = torch.tensor([0.0, 1.0])
    rgb = to_rgb(gray, random_ab(gray.shape, scale))
    assert rgb.dtype == torch.float32
    assert torch.equal(gray_codes(rgb), gray)
    np.testing.assert_allclose(gray_of(rgb), gray, rtol=1e-7, atol=0)


def test_float64_gray_comes_back_within_rounding():
    gray = torch.rand(50, 100, dtype=torch.float64)
    rgb = to_rgb(gray, random_ab(gray.shape, 40))
    assert rgb.dtype == torch.float64
    torch.testing.assert_close(gray_codes(rgb), gray, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
def test_codes_stay_in_range_and_numbers_far_beyond_the_gamut(dtype):
    gray = (torch.rand(100, 100, dtype=torch.float64) * max_code(dtype)).to(dtype)
    rgb = to_rgb(gray, random_ab(gray.shape, 300)).to(torch.float64)
    assert bool(torch.isfinite(rgb).all())
    assert rgb.min() >= 0
    assert rgb.max() <= max_code(dtype)


@every_space
@pytest.mark.parametrize("dtype", INTEGERS)
def test_no_color_gives_equal_channels(dtype, space):
    gray = every_code(dtype)
    rgb = to_rgb(gray, torch.zeros(2, *gray.shape), space)
    assert torch.equal(rgb, gray.expand(3, 1, -1))


@pytest.mark.parametrize("dtype", FLOATS)
def test_no_color_gives_equal_channels_of_floats(dtype):
    gray = torch.rand(20, 500, dtype=dtype)
    rgb = to_rgb(gray, torch.zeros(2, *gray.shape))
    torch.testing.assert_close(rgb, gray.expand(3, -1, -1), rtol=1e-7, atol=1e-9)


# How color is fitted


# What rounding to codes costs in Lab. Of 16 bit the most is one step of the search for the
# largest chroma of the gamut, which rounding may decide.
@pytest.mark.parametrize(
    ("dtype", "most"),
    [
        (torch.uint8, 1.5),
        (torch.uint16, 0.1),
        (torch.float32, 1e-3),
    ],
)
def test_rounding_to_exact_gray_hardly_moves_the_color(dtype, most):
    generator = torch.Generator().manual_seed(4)
    gray = (torch.rand(200, 500, dtype=torch.float64, generator=generator) * max_code(dtype)).to(
        dtype
    )
    ab = random_ab(gray.shape, 40)
    ideal = rgb_to_lab(to_rgb(gray.to(torch.float64) / max_code(dtype), ab))
    ours = rgb_to_lab(to_rgb(gray, ab).to(torch.float64) / max_code(dtype))
    assert (ours - ideal)[1:].norm(dim=0).max().item() < most


@pytest.mark.parametrize("dtype", INTEGERS)
def test_colors_of_the_gamut_come_back_within_a_code(dtype):
    top = max_code(dtype)
    generator = torch.Generator().manual_seed(5)
    rgb = torch.rand(3, 200, 200, dtype=torch.float64, generator=generator)
    gray = (gray_codes(rgb) * top).round()
    # The same color at the lightness of its gray code, where it still lies in the gamut.
    wanted = lab_to_rgb(torch.cat((lightness((gray / top)).double()[None], rgb_to_lab(rgb)[1:])))
    inside = ((wanted > 0) & (wanted < 1)).all(0)
    assert inside.float().mean() > 0.9
    ours = to_rgb(gray.to(dtype), rgb_to_lab(rgb)[1:])
    off = (ours.to(torch.float64) - wanted * top)[:, inside].abs()
    assert off[[0, 2]].max() <= 1
    # Green makes up for the rounding of red and blue; where it is dark beside them, the curve is
    # steeper there and takes more codes.
    assert off[1].quantile(0.95) <= 1
    assert off[1].max() < 8


def test_color_of_the_gamut_is_left_alone():
    rgb = 0.01 + 0.98 * torch.rand(3, 100, 100, dtype=torch.float64)
    ours = to_rgb(gray_codes(rgb), rgb_to_lab(rgb)[1:])
    torch.testing.assert_close(ours, rgb, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["sRGB", "Adobe RGB (1998)", "ProPhoto RGB"])
def test_chroma_is_shrunk_at_constant_lightness_and_hue_and_no_more_than_needed(name):
    space = SPACES[name]
    gray = 0.02 + 0.96 * torch.rand(100, 100, dtype=torch.float64)
    ab = random_ab(gray.shape, 80).double()
    lab = rgb_to_lab(to_rgb(gray, ab, space), space)
    wanted = rgb_to_lab(gray.expand(3, -1, -1), space)[0]
    torch.testing.assert_close(lab[0], wanted, rtol=0, atol=1e-9)

    chroma, share = ab.norm(dim=0), lab[1:].norm(dim=0) / ab.norm(dim=0)
    assert share.max() < 1 + 1e-9
    shrunk = share < 1 - 1e-9
    assert 0.1 < shrunk.float().mean() < 0.9  # both cases are there
    across = (lab[1] * ab[1] - lab[2] * ab[0]) / chroma  # distance from the line of constant hue
    assert across.abs().max() < 1e-6
    # A little more chroma would leave the gamut.
    more = torch.cat((wanted[None], ab * (share + 2**-10)))[:, shrunk][..., None]
    linear = lab_to_rgb(more, replace(space, curve=ToneCurve(1, a=1, b=0, c=1, d=0)))
    assert bool(((linear < 0) | (linear > 1)).any(0).all())


# Strips


# 7 are fewer than a vector register holds; the last of 1021 are left over by the vectors before.
@pytest.mark.slow
@pytest.mark.parametrize("columns", [7, 1021])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_the_result_does_not_depend_on_the_cut(dtype, columns):
    generator = torch.Generator().manual_seed(6)
    gray = (torch.rand(1, 300 * columns, generator=generator) * max_code(dtype)).to(dtype)
    ab = random_ab(gray.shape, 40)
    parts = zip(gray.split(columns, dim=1), ab.split(columns, dim=2), strict=True)
    assert torch.equal(torch.cat([to_rgb(*part) for part in parts], dim=2), to_rgb(gray, ab))


# Errors


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.bool, torch.int8])
def test_gray_of_a_dtype_without_a_white_is_refused(dtype):
    with pytest.raises(ImageError, match="uint8, uint16 or floating point"):
        to_rgb(torch.zeros(2, 2, dtype=dtype), torch.zeros(2, 2, 2))
    with pytest.raises(ImageError, match="uint8, uint16 or floating point"):
        gray_codes(torch.zeros(3, 2, 2, dtype=dtype))

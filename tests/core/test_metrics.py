"""Measures of single images against other implementations, and at the edges."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import deltaE_ciede2000
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from recolor_core import ImageError
from recolor_core.lab import rgb_to_lab, to_rgb
from recolor_core.metrics import (
    EDGE_BAND,
    SSIM_WINDOW,
    ab_mse,
    ab_rmse,
    channel_psnr,
    channel_ssim,
    ciede2000,
    coarse_error,
    colorfulness,
    edge_band,
    edge_error,
    lightness_fidelity,
    mean_ciede2000,
    psnr,
    ssim,
)

with warnings.catch_warnings():
    # It says which of its features lack an optional package.
    warnings.simplefilter("ignore")
    import colour

# Sharma, Wu and Dalal 2005, table 1: two colors and their difference.
PUBLISHED = """
50 2.6772 -79.7751   50 0 -82.7485   2.0425
50 3.1571 -77.2803   50 0 -82.7485   2.8615
50 2.8361 -74.0200   50 0 -82.7485   3.4412
50 -1.3802 -84.2814   50 0 -82.7485   1
50 -1.1848 -84.8006   50 0 -82.7485   1
50 -0.9009 -85.5211   50 0 -82.7485   1
50 0 0   50 -1 2   2.3669
50 -1 2   50 0 0   2.3669
50 2.4900 -0.0010   50 -2.4900 0.0009   7.1792
50 2.4900 -0.0010   50 -2.4900 0.0010   7.1792
50 2.4900 -0.0010   50 -2.4900 0.0011   7.2195
50 2.4900 -0.0010   50 -2.4900 0.0012   7.2195
50 -0.0010 2.4900   50 0.0009 -2.4900   4.8045
50 -0.0010 2.4900   50 0.0010 -2.4900   4.8045
50 -0.0010 2.4900   50 0.0011 -2.4900   4.7461
50 2.5 0   50 0 -2.5   4.3065
50 2.5 0   73 25 -18   27.1492
50 2.5 0   61 -5 29   22.8977
50 2.5 0   56 -27 -3   31.9030
50 2.5 0   58 24 15   19.4535
50 2.5 0   50 3.1736 0.5854   1
50 2.5 0   50 3.2972 0   1
50 2.5 0   50 1.8634 0.5757   1
50 2.5 0   50 3.2592 0.3350   1
60.2574 -34.0099 36.2677   60.4626 -34.1751 39.4387   1.2644
63.0109 -31.0961 -5.8663   62.8187 -29.7946 -4.0864   1.2630
61.2901 3.7196 -5.3901   61.4292 2.2480 -4.9620   1.8731
35.0831 -44.1164 3.7933   35.0232 -40.0716 1.5901   1.8645
22.7233 20.0904 -46.6940   23.0331 14.9730 -42.5619   2.0373
36.4612 47.8580 18.3852   36.2715 50.5065 21.2231   1.4146
90.8027 -2.0831 1.4410   91.1528 -1.6435 0.0447   1.4441
90.9257 -0.5406 -0.9208   88.6381 -0.8985 -0.7239   1.5381
6.7747 -0.2908 -2.4247   5.8714 -0.0985 -2.2286   0.6377
2.0776 0.0795 -1.1350   0.9033 -0.0636 -0.5514   0.9082
"""


def two(shape, seed=0, dtype=np.float64):
    """Two random images, channels in front, and the same for scikit-image."""
    one, other = np.random.default_rng(seed).random((2, *shape)).astype(dtype)
    return torch.from_numpy(one), torch.from_numpy(other), one, other


def random_lab(shape, seed=0):
    low = torch.tensor([0.0, -110, -110], dtype=torch.float64)[:, None, None]
    high = torch.tensor([100.0, 110, 110], dtype=torch.float64)[:, None, None]
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)


def last(lab):
    return lab.movedim(-3, -1).numpy()


# Errors of ab and of codes


def test_coarse_error_is_of_ab_over_255():
    true = torch.zeros(2, 2, 4, 4)
    ab = torch.stack((torch.full((2, 4, 4), 25.5), torch.full((2, 4, 4), 51.0)))
    assert coarse_error(ab, true) == pytest.approx(torch.tensor([0.01, 0.04]))


def test_ab_errors_agree_with_scikit_image():
    ab, true, one, other = two((3, 2, 16, 20))
    expected = [mean_squared_error(*pair) for pair in zip(100 * one, 100 * other, strict=True)]
    np.testing.assert_allclose(ab_mse(100 * ab, 100 * true), expected, rtol=1e-12)
    np.testing.assert_allclose(ab_rmse(100 * ab, 100 * true), np.sqrt(expected), rtol=1e-12)


def test_ab_mse_is_half_the_squared_chroma_distance():
    shift = torch.tensor([3.0, 4.0])[:, None, None].expand(1, 2, 1, 1)
    assert ab_mse(shift, torch.zeros(1, 2, 1, 1)) == pytest.approx(torch.tensor([12.5]))


def test_psnr_agrees_with_scikit_image():
    rgb, true, one, other = two((3, 3, 16, 20), dtype=np.float32)
    expected = [
        peak_signal_noise_ratio(b, a, data_range=1) for a, b in zip(one, other, strict=True)
    ]
    assert psnr(rgb, true).numpy() == pytest.approx(expected)
    expected = [
        [peak_signal_noise_ratio(d, c, data_range=1) for c, d in zip(a, b, strict=True)]
        for a, b in zip(one, other, strict=True)
    ]
    np.testing.assert_allclose(channel_psnr(rgb, true), expected, rtol=1e-5)


def test_psnr_of_equal_images_is_finite():
    image = torch.rand(1, 3, 8, 8)
    assert psnr(image, image)[0] == 100
    assert (channel_psnr(image, image) == 100).all()
    black = torch.zeros(1, 3, 1, 1)
    assert psnr(black, 1 - black)[0] == 0


# SSIM


@pytest.mark.parametrize(
    ("dtype", "shape", "tolerance"),
    [
        (np.float64, (2, 3, 40, 31), 1e-10),
        (np.float64, (1, 3, SSIM_WINDOW, SSIM_WINDOW), 1e-10),
        (np.float32, (1, 3, 64, 64), 1e-5),
    ],
)
def test_ssim_agrees_with_scikit_image(dtype, shape, tolerance):
    rgb, true, one, other = two(shape, seed=1, dtype=dtype)
    one, rgb = (one + 2 * other) / 3, (rgb + 2 * true) / 3
    options = {
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
        "data_range": 1,
    }
    expected = [
        [structural_similarity(d, c, **options) for c, d in zip(a, b, strict=True)]
        for a, b in zip(one, other, strict=True)
    ]
    np.testing.assert_allclose(channel_ssim(rgb, true), expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(ssim(rgb, true), np.mean(expected, 1), rtol=0, atol=tolerance)


def test_ssim_agrees_with_torchmetrics_where_its_window_fits():
    from torchmetrics.functional.image import structural_similarity_index_measure  # seconds

    # It mirrors the image at its borders and counts the places there too.
    rgb, true, *_ = two((2, 3, 40, 31), seed=2)
    _, places = structural_similarity_index_measure(
        rgb, true, data_range=1.0, return_full_image=True
    )
    inside = places[..., 5:-5, 5:-5].mean(dim=(2, 3))
    np.testing.assert_allclose(channel_ssim(rgb, true), inside, rtol=0, atol=1e-10)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_ssim_of_flat_images(value):
    flat = torch.full((1, 3, 20, 20), value)
    assert channel_ssim(flat, flat).numpy() == pytest.approx(np.ones((1, 3)), abs=1e-6)
    # without structure, luminance alone counts
    other = torch.full_like(flat, 0.5)
    expected = (value + 1e-4) / (value**2 + 0.25 + 1e-4)
    assert float(ssim(flat, other)[0]) == pytest.approx(expected, abs=2e-4)


def test_ssim_of_a_negative_is_negative():
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert float(ssim(image, 1 - image)[0]) < -0.8


def test_ssim_refuses_images_smaller_than_its_window():
    with pytest.raises(ImageError, match=r"at least 11 x 11 .* got \(10, 40\)"):
        ssim(torch.zeros(1, 3, 10, 40), torch.zeros(1, 3, 10, 40))


# CIEDE2000


def test_ciede2000_of_the_published_pairs():
    table = np.array([line.split() for line in PUBLISHED.strip().split("\n")], dtype=np.float64)
    assert len(table) == 34
    one, other = (torch.from_numpy(table[:, i : i + 3, None, None]) for i in (0, 3))
    np.testing.assert_allclose(ciede2000(one, other)[:, 0, 0], table[:, 6], rtol=0, atol=5.1e-5)
    np.testing.assert_allclose(ciede2000(other, one)[:, 0, 0], table[:, 6], rtol=0, atol=5.1e-5)


def test_ciede2000_agrees_with_colour_science_and_scikit_image():
    lab, true = random_lab((2, 3, 40, 50)), random_lab((2, 3, 40, 50), seed=1)
    true[:, :, :20] = lab[:, :, :20] + (true[:, :, :20] - lab[:, :, :20]) / 50  # near ones too
    lab[:, 1:, 5], true[:, 1:, 6] = 0, 0  # neutral grays
    ours = ciede2000(lab, true)
    assert ours.shape == (2, 40, 50)
    expected = colour.delta_E(last(lab), last(true), method="CIE 2000")
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(ours, deltaE_ciede2000(last(lab), last(true)), rtol=0, atol=1e-10)
    single = ciede2000(lab.float(), true.float())
    np.testing.assert_allclose(single, expected, rtol=0, atol=1e-3)
    np.testing.assert_allclose(mean_ciede2000(lab, true), expected.mean(axis=(1, 2)), rtol=1e-12)


@pytest.mark.slow
@given(st.integers(0, 10_000))
def test_ciede2000_is_symmetric_and_zero_for_equal_colors_alone(seed):
    lab, true = random_lab((1, 3, 4, 4), seed), random_lab((1, 3, 4, 4), seed + 1)
    assert torch.allclose(ciede2000(lab, true), ciede2000(true, lab), rtol=0, atol=1e-9)
    assert (ciede2000(lab, lab) == 0).all()
    assert (ciede2000(lab, true) > 0).all()


def test_ciede2000_of_black_white_and_grays():
    lab = rgb_to_lab(torch.tensor([0.0, 1.0])[:, None, None, None].expand(2, 3, 1, 1))
    assert float(mean_ciede2000(lab[:1], lab[1:])) == pytest.approx(100, abs=1e-3)
    assert (ciede2000(lab, lab) == 0).all()


# Colorfulness


def test_colorfulness_of_gray_is_zero_and_grows_with_chroma():
    gray = torch.rand(1, 1, 8, 8).expand(1, 3, 8, 8)
    assert colorfulness(gray)[0] == pytest.approx(0, abs=1e-4)
    tinted = gray + torch.tensor([0.1, 0, -0.1])[:, None, None]
    # a constant tint: rg = 25.5, yb = 38.25 everywhere, no deviation
    assert colorfulness(tinted)[0] == pytest.approx(0.3 * np.hypot(25.5, 38.25), rel=1e-4)


def test_colorfulness_of_two_colors_by_hand():
    # half red, half green: rg = +-255, yb = 127.5 everywhere
    image = torch.zeros(1, 3, 2, 2)
    image[0, 0, 0], image[0, 1, 1] = 1, 1
    assert colorfulness(image)[0] == pytest.approx(255 + 0.3 * 127.5, rel=1e-5)
    assert colorfulness(torch.ones(1, 3, 1, 1))[0] == 0


# Edges


def test_the_band_lies_along_color_edges_alone():
    ab = torch.zeros(1, 2, 20, 20)
    ab[0, 0, :, 10:] = 30
    band = edge_band(ab)[0, 0]
    columns = band.all(0).nonzero().flatten().tolist()
    assert columns == list(range(9 - EDGE_BAND, 11 + EDGE_BAND))
    assert band.any(0).sum() == len(columns)
    assert not edge_band(torch.full((1, 2, 9, 9), 40.0)).any()


def test_edge_error_looks_at_the_band_alone():
    true = torch.zeros(1, 2, 20, 20)
    true[0, 0, :, 10:] = 30
    wrong = true.clone()
    wrong[0, :, :, 0] += 50  # far from the edge
    assert edge_error(wrong, true)[0] == 0
    shifted = true + torch.tensor([3.0, 4.0])[:, None, None]
    assert edge_error(shifted, true)[0] == pytest.approx(5)
    assert edge_error(true, torch.zeros_like(true)).isnan().all()


# Lightness


def colored(dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    top = 255 if dtype == torch.uint8 else 65535
    gray = torch.randint(0, top + 1, (30, 40), generator=generator).to(dtype)
    return gray, torch.from_numpy(
        to_rgb(gray.numpy(), 60 * torch.randn(2, 30, 40, generator=generator).numpy())
    ).permute(2, 0, 1)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_lightness_fidelity_of_what_the_library_makes_is_exact(dtype):
    gray, rgb = colored(dtype)
    fidelity = lightness_fidelity(rgb, gray)
    assert fidelity.exact_fraction == 1
    # half a code; the steepest place of L* over 8-bit codes is 0.48 a code
    assert 0 < fidelity.mean_error < fidelity.max_error < (0.25 if dtype == torch.uint8 else 0.001)
    assert lightness_fidelity(gray.expand(3, -1, -1), gray) == (0, 0, 1)


def test_lightness_fidelity_agrees_with_colour_science(monkeypatch):
    monkeypatch.setattr("recolor_core.metrics.fidelity._STRIP", 7 * 40)  # strips of seven rows
    gray, rgb = colored(torch.uint8)
    noise = torch.randint(-3, 4, rgb.shape, generator=torch.Generator().manual_seed(1))
    rgb = (rgb.int() + noise).clamp(0, 255).to(torch.uint8)
    fidelity = lightness_fidelity(rgb, gray)
    linear = colour.models.eotf_sRGB(rgb.numpy() / 255)
    luminance = np.tensordot([0.2126, 0.7152, 0.0722], linear, 1)
    true = colour.models.eotf_sRGB(gray.numpy() / 255)
    one, other = (colour.lightness(100 * y, method="CIE 1976") for y in (luminance, true))
    error = np.abs(one - other)
    assert fidelity.max_error == pytest.approx(error.max(), abs=1e-5)
    assert fidelity.mean_error == pytest.approx(error.mean(), abs=1e-6)
    back = np.rint(colour.models.eotf_inverse_sRGB(luminance) * 255)
    assert fidelity.exact_fraction == pytest.approx((back == gray.numpy()).mean(), abs=1e-12)
    assert 0.1 < fidelity.exact_fraction < 0.9


def test_lightness_fidelity_takes_a_tinted_source():
    _, tinted = colored(torch.uint8, seed=1)
    assert lightness_fidelity(tinted, tinted) == (0, 0, 1)
    assert lightness_fidelity(tinted[:, :1, :1], tinted[:, :1, :1]).exact_fraction == 1


def test_lightness_fidelity_refuses_what_does_not_fit():
    gray, rgb = colored(torch.uint8)
    with pytest.raises(ImageError, match="expected integer codes"):
        lightness_fidelity(rgb.float(), gray.float())
    with pytest.raises(ImageError, match=r"expected a source of torch\.uint8 \(3, 30, 40\)"):
        lightness_fidelity(rgb, gray[1:])
    with pytest.raises(ImageError, match=r"expected a source of torch\.uint8"):
        lightness_fidelity(rgb, gray.to(torch.uint16))

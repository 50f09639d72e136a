import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from recolor_core.metrics import (
    EDGE_BAND,
    bootstrap_interval,
    coarse_error,
    colorfulness,
    edge_band,
    edge_error,
    psnr,
)


def test_coarse_error_is_of_ab_over_255():
    true = torch.zeros(2, 2, 4, 4)
    ab = torch.stack((torch.full((2, 4, 4), 25.5), torch.full((2, 4, 4), 51.0)))
    assert coarse_error(ab, true) == pytest.approx(torch.tensor([0.01, 0.04]))


def test_psnr_agrees_with_scikit_image():
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 3, 3, 16, 20)).astype(np.float32)
    expected = [
        peak_signal_noise_ratio(b, a, data_range=1) for a, b in zip(one, other, strict=True)
    ]
    assert psnr(torch.from_numpy(one), torch.from_numpy(other)).numpy() == pytest.approx(expected)


def test_psnr_of_equal_pictures_is_finite():
    picture = torch.rand(1, 3, 8, 8)
    assert psnr(picture, picture)[0] == 100


def test_colorfulness_of_gray_is_zero_and_grows_with_chroma():
    gray = torch.rand(1, 1, 8, 8).expand(1, 3, 8, 8)
    assert colorfulness(gray)[0] == pytest.approx(0, abs=1e-4)
    tinted = gray + torch.tensor([0.1, 0, -0.1])[:, None, None]
    # a constant tint: rg = 25.5, yb = 38.25 everywhere, no deviation
    assert colorfulness(tinted)[0] == pytest.approx(0.3 * np.hypot(25.5, 38.25), rel=1e-4)


def test_colorfulness_of_two_colors_by_hand():
    # half red, half green: rg = +-255, yb = 127.5 everywhere
    picture = torch.zeros(1, 3, 2, 2)
    picture[0, 0, 0], picture[0, 1, 1] = 1, 1
    assert colorfulness(picture)[0] == pytest.approx(255 + 0.3 * 127.5, rel=1e-5)


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


def test_bootstrap_interval_of_a_mean_is_that_of_theory():
    values = np.random.default_rng(1).normal(5, 2, 400)
    mean, low, high = bootstrap_interval(values)
    assert mean == pytest.approx(values.mean())
    error = values.std() / 20
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.04)
    assert bootstrap_interval(values) == (mean, low, high)  # repeatable


def test_bootstrap_interval_of_a_ratio_leaves_out_what_has_no_value():
    pairs = np.array([[1.0, 2.0], [3.0, 6.0], [np.nan, 1.0]])

    def ratio(sample):
        return sample[:, 0].mean() / sample[:, 1].mean()

    assert bootstrap_interval(pairs, ratio) == pytest.approx((0.5, 0.5, 0.5))
    assert np.isnan(bootstrap_interval(np.array([np.nan]))).all()

"""Every measure has its cheat, and every cheat is exposed by another measure.

The images are patches, each with a hue that its lightness does not tell: what an honest colorizer
faces.
"""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from recolor_core.lab import lab_to_rgb, rgb_to_lab, to_rgb
from recolor_core.metrics import (
    ab_rmse,
    best_of_n,
    bootstrap_interval,
    cdc,
    channel_ssim,
    color_over_time,
    colorfulness,
    difference_of_means,
    edge_error,
    flicker_spectrum,
    lightness_fidelity,
    mean_ciede2000,
    mean_of_differences,
    psnr,
    ratio_of_means,
    reliability,
    risk_coverage,
    sigma_ratio,
    warped_error,
)

COUNT, SIDE = 12, 32


def patches(seed, count=COUNT):
    """Chroma of (count, 2, 32, 32): 4 x 4 patches, half of them orange and half blue."""
    generator = torch.Generator().manual_seed(seed)
    hue = torch.randint(0, 2, (count, 1, 4, 4), generator=generator) * 2.0 - 1
    strength = 0.2 + torch.rand(count, 1, 1, 1, generator=generator)  # from pale to vivid
    ab = strength * hue * torch.tensor([12.0, 25.0])[:, None, None]
    return F.interpolate(ab + torch.tensor([2.0, 4.0])[:, None, None], scale_factor=8)


@pytest.fixture(scope="module")
def lightness():
    generator = torch.Generator().manual_seed(0)
    rough = 35 + 30 * torch.rand(COUNT, 1, 8, 8, generator=generator)
    return F.interpolate(rough, size=SIDE, mode="bilinear")


@pytest.fixture(scope="module")
def measure(lightness):
    """What an evaluation says of colorings of these images: means over them, and of the set."""
    true = patches(1)

    def lab(ab):
        return torch.cat((lightness, ab), dim=1)

    def measure(ab):
        rgb, true_rgb = (lab_to_rgb(lab(x)).clamp(0, 1) for x in (ab, true))
        vivid = torch.stack((colorfulness(rgb), colorfulness(true_rgb)), dim=1).numpy()
        return {
            "psnr": float(psnr(rgb, true_rgb).mean()),
            "ssim": float(channel_ssim(rgb, true_rgb).mean()),
            "ab_rmse": float(ab_rmse(ab, true).mean()),
            "ciede2000": float(mean_ciede2000(rgb_to_lab(rgb), rgb_to_lab(true_rgb)).mean()),
            "edge_error": float(edge_error(ab, true).nanmean()),
            "colorfulness": float(vivid[:, 0].mean()),
            "ratio": float(ratio_of_means(vivid)),
            "difference of means": float(difference_of_means(vivid)),
            "mean of differences": float(mean_of_differences(vivid)),
            "ratio interval": bootstrap_interval(vivid, ratio_of_means, draws=200),
        }

    return measure


def test_all_gray_wins_by_errors_and_is_exposed_by_colorfulness(measure):
    true, guess = patches(1), patches(2)
    guess = (
        guess * true.abs().amax((1, 2, 3), keepdim=True) / guess.abs().amax((1, 2, 3), keepdim=True)
    )  # honest: as vivid as the truth, half of the hues wrong
    gray = measure(torch.zeros_like(true))
    brown = measure(true.mean(dim=(0, 2, 3), keepdim=True).expand_as(true))
    honest = measure(guess)
    for timid in (gray, brown):
        assert timid["psnr"] > honest["psnr"] + 1
        assert timid["ab_rmse"] < honest["ab_rmse"]
        assert timid["ciede2000"] < honest["ciede2000"]
        assert timid["ratio"] < 0.35
        assert timid["ratio interval"][2] < 0.5
    assert gray["ratio"] < 0.001
    assert honest["ratio"] == pytest.approx(1, abs=0.1)


def test_oversaturation_wins_by_colorfulness_and_is_exposed_by_its_ratio_and_errors(measure):
    true = patches(1)
    honest, garish = measure(0.9 * true), measure(2 * true)
    assert garish["colorfulness"] > 1.5 * honest["colorfulness"]
    assert garish["ratio interval"][1] > 1.3  # the whole interval is above 1
    assert garish["psnr"] < honest["psnr"] - 5
    assert garish["ciede2000"] > 2 * honest["ciede2000"]
    assert garish["ssim"] < honest["ssim"]


def test_half_gray_half_garish_is_right_on_average_and_exposed_pair_by_pair(measure):
    true = patches(1)
    _, order = true.abs().amax((1, 2, 3)).sort()
    factor = torch.zeros(COUNT, 1, 1, 1)
    factor[order[1::2]] = 1.8  # every other one by vividness, so that the means come out alike
    mixed = measure(factor * true)
    assert mixed["difference of means"] < 0.2 * mixed["mean of differences"]
    assert mixed["ratio"] == pytest.approx(1, abs=0.2)
    assert mixed["mean of differences"] > 0.7 * measure(true)["colorfulness"]


def test_shuffled_pairs_have_the_right_colorfulness_and_are_exposed_by_every_paired_measure(
    measure,
):
    true = patches(1)
    right, shuffled = measure(true), measure(true.roll(1, 0))
    assert shuffled["ratio"] == pytest.approx(1, abs=0.02)
    assert shuffled["difference of means"] < 0.5
    assert shuffled["mean of differences"] > 5
    assert shuffled["psnr"] < 20 < right["psnr"]
    assert shuffled["ab_rmse"] > 10
    assert shuffled["ciede2000"] > 10
    assert shuffled["ssim"] < 0.95


def test_bleeding_is_forgiven_by_psnr_and_exposed_by_the_edge_band(measure):
    true = patches(1)
    blurred = F.avg_pool2d(F.pad(true, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    bleeding = measure(blurred)
    sharp = measure(0.62 * true)  # pale, and sharp
    assert bleeding["psnr"] > sharp["psnr"]
    assert bleeding["ab_rmse"] < sharp["ab_rmse"]
    assert bleeding["edge_error"] > sharp["edge_error"]


def test_an_altered_gray_is_forgiven_by_psnr_and_ssim_and_exposed_by_fidelity(lightness):
    codes = (lab_to_rgb(torch.cat((lightness, 0 * patches(1)), 1))[0, 0] * 255).round()
    gray = codes.to(torch.uint8)
    kept, altered = (
        torch.from_numpy(to_rgb(one.numpy(), patches(1)[0].numpy())).permute(2, 0, 1)
        for one in (gray, gray + 1)
    )
    one, other = kept[None] / 255, altered[None] / 255
    assert psnr(other, one)[0] > 45
    assert channel_ssim(other, one).min() > 0.99
    assert lightness_fidelity(kept, gray).exact_fraction == 1
    assert lightness_fidelity(altered, gray).exact_fraction == 0
    assert lightness_fidelity(altered, gray).mean_error > 0.3


# Uncertainty


def test_a_constant_sigma_of_the_right_size_has_no_skill_and_an_order_alone_no_size():
    rng = np.random.default_rng(0)
    sigma = rng.uniform(1, 20, 5000)
    error = np.abs(rng.normal(0, sigma))
    constant = np.full_like(sigma, np.sqrt((error**2).mean()))
    assert sigma_ratio(error, constant) == pytest.approx(1)
    assert risk_coverage(error, constant).skill == pytest.approx(0, abs=1e-9)
    assert risk_coverage(error, sigma).skill > 0.4
    # an order without a size: the same skill, and sigma says so
    assert risk_coverage(error, sigma / 9).skill == risk_coverage(error, sigma).skill
    assert sigma_ratio(error, sigma / 9) == pytest.approx(9, rel=0.1)
    # right on the whole, reversed in detail: only the table and the curve tell
    backwards = 21 - sigma
    backwards *= np.sqrt((error**2).mean() / (backwards**2).mean())
    assert sigma_ratio(error, backwards) == pytest.approx(1)
    assert reliability(error, backwards).calibration_error > 0.5
    assert reliability(error, sigma).calibration_error < 0.1
    assert risk_coverage(error, backwards).skill < 0


def test_wild_alternatives_win_by_the_best_and_are_exposed_by_their_mean():
    true = patches(1)
    generator = torch.Generator().manual_seed(0)
    careful = [0.5 * true + torch.randn(COUNT, 2, 1, 1, generator=generator) for _ in range(8)]
    angles = torch.arange(8) * torch.pi / 4
    # the true colors, their hues turned by eight angles
    turns = torch.stack((angles.cos(), -angles.sin(), angles.sin(), angles.cos()), 1).view(8, 2, 2)
    wild = torch.einsum("nij,bjhw->nbihw", turns, true)
    errors = [torch.stack([ab_rmse(ab, true) for ab in some]).numpy() for some in (careful, wild)]
    assert best_of_n(errors[1])[-1].mean() < best_of_n(errors[0])[-1].mean()
    assert errors[1].mean() > 2 * errors[0].mean()


# Stacks and film


@pytest.fixture(scope="module")
def film():
    """Eight frames of a pan by two pixels a frame: true ab, lightness, flow and visibility."""
    wide = torch.cat((patches(3, 1), patches(4, 1)), dim=3)
    ab = torch.cat([wide[..., 2 * t : 2 * t + SIDE] for t in range(8)])
    flow = torch.tensor([2.0, 0.0])[:, None, None].expand(7, 2, SIDE, SIDE)
    visible = torch.ones(7, SIDE, SIDE, dtype=torch.bool)
    return ab, flow, visible


def as_rgb(ab):
    return lab_to_rgb(torch.cat((torch.full_like(ab[:, :1], 55), ab), dim=1)).clamp(0, 1)


def test_gray_film_is_the_steadiest_and_exposed_by_single_frames(film):
    ab, flow, visible = film
    gray = torch.zeros_like(ab)
    assert (warped_error(gray, flow, visible) == 0).all()
    assert cdc(as_rgb(gray)) == 0 < cdc(as_rgb(ab))
    assert psnr(as_rgb(gray), as_rgb(ab)).max() < 30
    assert colorfulness(as_rgb(gray)).max() < 0.01 * colorfulness(as_rgb(ab)).min()


def test_frozen_color_is_consistent_and_exposed_by_the_motion(film):
    ab, flow, visible = film
    frozen = ab[:1].expand_as(ab)
    assert cdc(as_rgb(frozen)) == 0
    assert float(flicker_spectrum(color_over_time(frozen)).power.sum()) == 0
    assert warped_error(frozen, flow, visible).min() > 1
    assert warped_error(ab, flow, visible).max() < 0.01


def test_colors_that_change_places_are_exposed_by_the_motion(film):
    # the histograms stay as they are, so that the color distribution is perfectly consistent
    ab, flow, visible = film
    still = ab[:1].expand_as(ab)
    swapping = torch.cat([still[t : t + 1].roll(8 * t, 3) for t in range(8)])
    assert cdc(as_rgb(swapping)) == pytest.approx(0, abs=1e-9)
    assert warped_error(swapping, 0 * flow, visible).min() > 2


def test_flicker_and_drift_of_one_size_are_told_apart_by_the_spectrum(film):
    ab, flow, visible = film
    still = ab[:1].expand_as(ab)
    time = torch.arange(8.0).view(8, 1, 1, 1)
    flicker, drift = still + 2 * (-1) ** time, still + 4 * time
    errors = [warped_error(x, 0 * flow, visible).mean() for x in (flicker, drift)]
    assert errors[0] == pytest.approx(errors[1])
    fast, slow = (flicker_spectrum(color_over_time(x)).power for x in (flicker, drift))
    assert fast[-1] > 10 * fast[0]
    assert slow[0] > 0.99 * slow.sum()

"""Steadiness of color over time, against SciPy and by known motion."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal
from scipy.ndimage import map_coordinates
from scipy.spatial.distance import jensenshannon

from recolor_core import ImageError
from recolor_core.metrics import cdc, color_over_time, flicker_spectrum, warped_error


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def all_visible(frames, height, width):
    return torch.ones(frames - 1, height, width, dtype=torch.bool)


# Warped error


def pan(frames, dx, dy, seed=0):
    """A window that moves over a still image by whole pixels, and its motion."""
    scene = 100 * random(2, 60, 70, seed=seed)
    ab = torch.stack([scene[:, 20 + t * dy :, 20 + t * dx :][:, :20, :24] for t in range(frames)])
    flow = torch.tensor([dx, dy], dtype=ab.dtype)[:, None, None].expand(frames - 1, 2, 20, 24)
    return ab, flow


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (3, 0), (0, -2), (-4, 5)])
def test_color_that_moves_with_the_image_has_no_warped_error(dx, dy):
    ab, flow = pan(4, dx, dy)
    visible = all_visible(4, 20, 24)
    # float32 too: coordinates go through [-1, 1] and back
    assert warped_error(ab, flow, visible).numpy() == pytest.approx(np.zeros(3), abs=1e-10)
    single = warped_error(ab.float(), flow, visible)
    assert single.numpy() == pytest.approx(np.zeros(3), abs=1e-3)
    if dx or dy:
        assert (warped_error(ab, -flow, visible) > 5).all()


def test_warped_error_agrees_with_scipy():
    ab, flow = random(3, 2, 15, 18), 5 * random(2, 2, 15, 18, seed=1) - 2.5
    visible = random(2, 15, 18, seed=2) > 0.3
    y, x = np.mgrid[:15, :18]
    expected = []
    for t in range(2):
        place = np.stack((y + flow[t, 1].numpy(), x + flow[t, 0].numpy()))
        before = [map_coordinates(c, place, order=1, mode="nearest") for c in ab[t].numpy()]
        inside = (place >= 0).all(0) & (place[0] <= 14) & (place[1] <= 17) & visible[t].numpy()
        expected.append(np.abs(ab[t + 1].numpy() - before)[:, inside].mean())
    np.testing.assert_allclose(warped_error(ab, flow, visible), expected, rtol=1e-9)


def test_what_is_hidden_or_comes_from_outside_does_not_count():
    ab = torch.zeros(2, 2, 4, 6)
    ab[1, :, :, :2] = 50  # two new columns come in on the left
    flow = torch.zeros(1, 2, 4, 6)
    flow[:, 0] = -2
    assert warped_error(ab, flow, all_visible(2, 4, 6)).tolist() == [0]
    hidden = all_visible(2, 4, 6)
    hidden[..., :2] = False
    assert warped_error(ab, torch.zeros_like(flow), hidden).tolist() == [0]
    assert warped_error(ab, torch.zeros_like(flow), ~hidden).tolist() == [50]
    assert warped_error(ab, flow, torch.zeros_like(hidden)).isnan().all()  # a cut


def test_warped_error_of_one_pixel_and_of_one_frame():
    ab = torch.tensor([0.0, 3.0]).view(2, 1, 1, 1).expand(2, 2, 1, 1)
    assert warped_error(ab, torch.zeros(1, 2, 1, 1), all_visible(2, 1, 1)).tolist() == [3]
    alone = warped_error(ab[:1], torch.zeros(0, 2, 1, 1), all_visible(1, 1, 1))
    assert alone.shape == (0,)


def test_warped_error_refuses_what_does_not_fit():
    with pytest.raises(ImageError, match=r"expected flow \(T - 1, 2, H, W\)"):
        warped_error(torch.zeros(3, 2, 4, 4), torch.zeros(3, 2, 4, 4), all_visible(3, 4, 4))


# Color distribution consistency


def test_cdc_agrees_with_scipy():
    rgb = random(7, 3, 12, 13) ** torch.linspace(0.5, 3, 7).view(7, 1, 1, 1)
    codes = np.rint(255 * rgb.numpy()).astype(int)
    histograms = np.array([[np.bincount(c.ravel(), minlength=256) for c in f] for f in codes])
    distances = [
        np.mean(
            [
                jensenshannon(histograms[t, c], histograms[t + step, c]) ** 2
                for t in range(7 - step)
                for c in range(3)
            ]
        )
        for step in (1, 2, 4)
    ]
    assert cdc(rgb) == pytest.approx(np.mean(distances), rel=1e-9)


def test_cdc_of_equal_frames_is_zero_and_of_foreign_ones_ln_2():
    frame = random(1, 3, 9, 9)
    assert cdc(frame.expand(6, 3, 9, 9)) == 0
    steps = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 3, 1, 1) / 10
    assert cdc(steps) == pytest.approx(math.log(2))


def test_cdc_needs_five_frames():
    with pytest.raises(ImageError, match=r"at least 5 frames .* got 4"):
        cdc(torch.zeros(4, 3, 8, 8))


# Color over time and its spectrum


def test_color_over_time_at_points_and_on_average():
    ab = random(5, 2, 6, 7)
    colors = color_over_time(ab, [(0, 0), (5, 6), (2, 3)])
    assert colors.shape == (5, 3, 2)
    assert torch.equal(colors[:, 1], ab[:, :, 5, 6])
    assert torch.equal(colors[4, 2], ab[4, :, 2, 3])
    assert torch.allclose(color_over_time(ab)[:, 0], ab.mean(dim=(2, 3)))
    for outside in ((6, 0), (0, 7), (-1, 0)):
        with pytest.raises(ImageError, match="within 6 x 7"):
            color_over_time(ab, [outside])


@pytest.mark.parametrize("frames", [2, 3, 24, 25])
def test_the_spectrum_is_the_periodogram_of_scipy(frames):
    colors = 20 * random(frames, 4, 2)
    ours = flicker_spectrum(colors, rate=24)
    frequency, power = signal.periodogram(
        np.diff(colors.numpy(), axis=0), fs=24, detrend=False, scaling="spectrum", axis=0
    )
    np.testing.assert_allclose(ours.frequency, frequency, rtol=1e-6)
    np.testing.assert_allclose(ours.power, power.sum(2).mean(1), rtol=1e-6, atol=1e-9)


@given(st.integers(0, 10_000), st.integers(2, 40))
def test_the_powers_add_up_to_the_mean_squared_step(seed, frames):
    colors = random(frames, 3, 2, seed=seed)
    expected = colors.diff(dim=0).square().sum(2).mean()
    assert float(flicker_spectrum(colors).power.sum()) == pytest.approx(float(expected))


def test_flicker_and_drift_lie_at_the_ends_of_the_spectrum():
    time = torch.arange(33.0)
    drift = flicker_spectrum(time.view(-1, 1, 1))
    assert drift.power.argmax() == 0
    assert float(drift.power.sum()) == pytest.approx(1)
    flicker = flicker_spectrum(3 * (-1) ** time.view(-1, 1, 1), rate=25)
    assert float(flicker.frequency[flicker.power.argmax()]) == 12.5
    assert float(flicker.power.sum()) == pytest.approx(36)


def test_a_spectrum_needs_two_frames():
    with pytest.raises(ImageError, match="at least two frames"):
        flicker_spectrum(torch.zeros(1, 1, 2))

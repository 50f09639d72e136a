"""Whether color is steady from frame to frame: for stacks and film.

A frozen or a gray film is perfectly steady, so report these beside the errors of single frames and
beside what the true colors give.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from recolor_core.errors import ImageError

CDC_STEPS = (1, 2, 4)
"""Frames between the two whose histograms the color distribution consistency compares."""


def warped_error(ab: Tensor, flow: Tensor, visible: Tensor) -> Tensor:
    """Mean absolute change of color along the motion, between each frame and the one before.

    Frame t - 1 is brought to frame t by the given motion, bilinearly (Lai et al. 2018, with the
    absolute difference, so that it is in Lab units, and with motion from outside).

    Parameters
    ----------
    ab
        (T, C, H, W), a* and b* in Lab units, or any other channels in their own unit.
    flow
        (T - 1, 2, H, W): for each pixel of frame t, how far to the right and down it was in frame
        t - 1, in pixels.
    visible
        (T - 1, H, W), bool: pixels of frame t that were to be seen in frame t - 1 (not covered, no
        cut). Those from outside the frame are left out in any case.

    Returns
    -------
    Tensor
        (T - 1,), the mean over channels and visible pixels, at least 0; 0 is best. NaN where
        nothing was visible: take ``nanmean`` for a film.

    Raises
    ------
    ImageError
        If the shapes do not fit together.
    """
    frames, _, height, width = ab.shape
    expected = (frames - 1, height, width)
    if flow.shape != (frames - 1, 2, height, width) or visible.shape != expected:
        raise ImageError(
            f"expected flow (T - 1, 2, H, W) and visible (T - 1, H, W) for frames "
            f"{tuple(ab.shape)}, got {tuple(flow.shape)} and {tuple(visible.shape)}"
        )
    flow = flow.to(ab.dtype)
    x = torch.arange(width, dtype=ab.dtype, device=ab.device) + flow[:, 0]
    y = torch.arange(height, dtype=ab.dtype, device=ab.device)[:, None] + flow[:, 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    # grid_sample wants the centers of the first and last pixel at -1 and 1.
    grid = torch.stack((x * 2 / max(width - 1, 1) - 1, y * 2 / max(height - 1, 1) - 1), dim=-1)
    before = F.grid_sample(ab[:-1], grid, padding_mode="border", align_corners=True)
    counts = inside & visible
    change = (ab[1:] - before).abs().mean(dim=1) * counts
    return change.sum(dim=(1, 2)) / counts.sum(dim=(1, 2))


def cdc(rgb: Tensor) -> float:
    """Color distribution consistency (Liu et al. 2021, TCVC); 0 is best.

    Jensen-Shannon divergence (natural logarithm) of the 256-bin histograms of red, green and blue
    of two frames, mean over channels, over all pairs 1, 2 and 4 frames apart, and over these three.

    Parameters
    ----------
    rgb
        (T, 3, H, W), codes in [0, 1], at least five frames.

    Returns
    -------
    float
        In [0, ln 2].

    Raises
    ------
    ImageError
        If there are too few frames.
    """
    if len(rgb) <= max(CDC_STEPS):
        raise ImageError(
            f"expected at least {max(CDC_STEPS) + 1} frames for the color distribution "
            f"consistency, got {len(rgb)}; take a longer clip"
        )
    histograms = _histograms(rgb)
    entropy = _entropy(histograms)
    divergences = []
    for step in CDC_STEPS:
        mixed = _entropy((histograms[step:] + histograms[:-step]) / 2)
        divergences.append((mixed - (entropy[step:] + entropy[:-step]) / 2).clamp(min=0).mean())
    return float(torch.stack(divergences).mean())


def color_over_time(ab: Tensor, points: Sequence[tuple[int, int]] | None = None) -> Tensor:
    """Color at chosen points, frame by frame.

    Parameters
    ----------
    ab
        (T, C, H, W), a* and b* in Lab units, or any other channels.
    points
        P pairs (row, column), pixels that are followed through all frames at their place. None is
        one entry, the mean of the frame.

    Returns
    -------
    Tensor
        (T, P, C).

    Raises
    ------
    ImageError
        If a point lies outside the frame.
    """
    if points is None:
        return ab.mean(dim=(2, 3))[:, None]
    height, width = ab.shape[-2:]
    for row, column in points:
        if not (0 <= row < height and 0 <= column < width):
            raise ImageError(
                f"expected points (row, column) within {height} x {width}, got {(row, column)}"
            )
    rows, columns = zip(*points, strict=True)
    return ab[:, :, list(rows), list(columns)].transpose(1, 2)


class FlickerSpectrum(NamedTuple):
    """How strongly color changes, by frequency."""

    frequency: Tensor
    """(F,), from 0 to half the frame rate, in its unit."""
    power: Tensor
    """(F,), squared Lab units per frame step. The sum is the mean squared step from frame to frame;
    the first entry is steady drift, the last ones are what is seen as flicker."""


def flicker_spectrum(colors: Tensor, rate: float = 1.0) -> FlickerSpectrum:
    """Spectrum of the change of color from frame to frame.

    One-sided periodogram of the differences of consecutive frames, added up over the channels,
    averaged over the points.

    Parameters
    ----------
    colors
        (T, P, C), as `color_over_time` gives them, in Lab units; at least two frames.
    rate
        Frames per second; 1 gives frequencies in cycles per frame.

    Raises
    ------
    ImageError
        If there is but one frame.
    """
    if len(colors) < 2:
        raise ImageError(f"expected at least two frames for a spectrum, got {len(colors)}")
    steps = colors.diff(dim=0)
    count = len(steps)
    power = (torch.fft.rfft(steps, dim=0).abs() / count).square().sum(dim=2).mean(dim=1)
    # Each frequency but 0 and, where it is met, half the rate stands for its negative too.
    power[1 : (count + 1) // 2] *= 2
    return FlickerSpectrum(torch.fft.rfftfreq(count, 1 / rate, device=power.device), power)


def _histograms(rgb: Tensor) -> Tensor:
    """Shares of the 256 codes, (T, 3, 256), float64."""
    shares = []
    for frame in rgb:  # one by one: the index of a whole film is eight times its size in bytes
        codes = (frame.clamp(0, 1) * 255).round().long().flatten(1)
        codes += 256 * torch.arange(3, device=codes.device)[:, None]
        counts = torch.bincount(codes.flatten(), minlength=3 * 256)
        shares.append(counts.view(3, 256).cpu().double() / codes.shape[1])
    return torch.stack(shares)


def _entropy(shares: Tensor) -> Tensor:
    return -torch.xlogy(shares, shares).sum(dim=-1)

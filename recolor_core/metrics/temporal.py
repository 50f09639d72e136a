"""Metrics of the steadiness of color from frame to frame, for stacks and film.

A frozen or gray film is perfectly steady. Therefore report these metrics together with the errors
of single frames and with the values of the true colors.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from recolor_core.errors import ImageError

CDC_STEPS = (1, 2, 4)
"""Distances, in frames, of the pairs of frames that the color distribution consistency compares."""


def warped_error(ab: Tensor, flow: Tensor, visible: Tensor) -> Tensor:
    """Compute the mean absolute change of color along the motion between consecutive frames.

    Frame t - 1 is warped to frame t along the given motion with bilinear interpolation, as in Lai
    et al. 2018. Unlike there, the difference is absolute, so that the result is in Lab units, and
    the caller provides the motion.

    Parameters
    ----------
    ab : Tensor
        (T, C, H, W): a* and b* in Lab units, or any other channels in their own unit.
    flow : Tensor
        (T - 1, 2, H, W): displacement of each pixel of frame t to its position in frame t - 1, to
        the right and down, in pixels.
    visible : Tensor
        (T - 1, H, W) bool: the pixels of frame t that are visible in frame t - 1, that is, neither
        covered nor behind a cut. Pixels from outside the frame are always left out.

    Returns
    -------
    Tensor
        (T - 1,): the mean over channels and visible pixels, at least 0; 0 is best. NaN if no pixel
        is visible; use ``nanmean`` for a film.

    Raises
    ------
    ImageError
        If the shapes do not match.
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
    # grid_sample expects the centers of the first and last pixel at -1 and 1.
    grid = torch.stack((x * 2 / max(width - 1, 1) - 1, y * 2 / max(height - 1, 1) - 1), dim=-1)
    before = F.grid_sample(ab[:-1], grid, padding_mode="border", align_corners=True)
    counts = inside & visible
    change = (ab[1:] - before).abs().mean(dim=1) * counts
    return change.sum(dim=(1, 2)) / counts.sum(dim=(1, 2))


def cdc(rgb: Tensor) -> float:
    """Compute the color distribution consistency (Liu et al. 2021, TCVC).

    The metric is the Jensen-Shannon divergence (natural logarithm) between the 256-bin histograms
    of two frames. It is averaged over red, green and blue, over all pairs of frames with the same
    distance, and over the distances of 1, 2 and 4 frames.

    Parameters
    ----------
    rgb : Tensor
        (T, 3, H, W): codes in [0, 1], at least five frames.

    Returns
    -------
    float
        In [0, ln 2]; 0 is best.

    Raises
    ------
    ImageError
        If there are too few frames.
    """
    if len(rgb) <= max(CDC_STEPS):
        raise ImageError(
            f"expected at least {max(CDC_STEPS) + 1} frames for the color distribution "
            f"consistency, got {len(rgb)}; use a longer clip"
        )
    histograms = _histograms(rgb)
    entropy = _entropy(histograms)
    divergences = []
    for step in CDC_STEPS:
        mixed = _entropy((histograms[step:] + histograms[:-step]) / 2)
        divergences.append((mixed - (entropy[step:] + entropy[:-step]) / 2).clamp(min=0).mean())
    return float(torch.stack(divergences).mean())


def color_over_time(ab: Tensor, points: Sequence[tuple[int, int]] | None = None) -> Tensor:
    """Read the color at fixed points in all frames.

    Parameters
    ----------
    ab : Tensor
        (T, C, H, W): a* and b* in Lab units, or any other channels.
    points : sequence of tuple of int, optional
        P pairs (row, column) of pixels. By default there is one entry, the mean of the frame.

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
    """The power of the change of color, by frequency.

    Parameters
    ----------
    frequency : Tensor
        (F,): from 0 to half the frame rate, in the unit of the frame rate.
    power : Tensor
        (F,): squared Lab units per frame step. The sum is the mean squared step from frame to
        frame. The first entry is steady drift; the last entries are visible flicker.
    """

    frequency: Tensor
    power: Tensor


def flicker_spectrum(colors: Tensor, rate: float = 1.0) -> FlickerSpectrum:
    """Compute the spectrum of the change of color from frame to frame.

    The spectrum is the one-sided periodogram of the differences of consecutive frames, summed over
    the channels and averaged over the points.

    Parameters
    ----------
    colors : Tensor
        (T, P, C): colors in Lab units from `color_over_time`, at least two frames.
    rate : float
        Frames per second. A rate of 1 gives frequencies in cycles per frame.

    Returns
    -------
    FlickerSpectrum
        The frequencies and their power.

    Raises
    ------
    ImageError
        If there are fewer than two frames.
    """
    if len(colors) < 2:
        raise ImageError(f"expected at least two frames for a spectrum, got {len(colors)}")
    steps = colors.diff(dim=0)
    count = len(steps)
    power = (torch.fft.rfft(steps, dim=0).abs() / count).square().sum(dim=2).mean(dim=1)
    # Each frequency, except 0 and half the rate, also represents its negative.
    power[1 : (count + 1) // 2] *= 2
    return FlickerSpectrum(torch.fft.rfftfreq(count, 1 / rate, device=power.device), power)


def _histograms(rgb: Tensor) -> Tensor:
    """Compute the probabilities of the 256 codes, (T, 3, 256) float64."""
    probabilities = []
    for frame in rgb:  # one by one, because the int64 codes of a whole film need much memory
        codes = (frame.clamp(0, 1) * 255).round().long().flatten(1)
        codes += 256 * torch.arange(3, device=codes.device)[:, None]
        counts = torch.bincount(codes.flatten(), minlength=3 * 256)
        probabilities.append(counts.view(3, 256).cpu().double() / codes.shape[1])
    return torch.stack(probabilities)


def _entropy(probability: Tensor) -> Tensor:
    return -torch.xlogy(probability, probability).sum(dim=-1)

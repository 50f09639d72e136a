"""A cleaned copy of worn film for the networks to look at: no flicker, dust, scratches and grain.

The copy is small, and nothing of it gets into the result but the colors that the networks see in
it. Frames are compared with their neighbors along the motion of the lightness.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from recolor_core.motion import estimate_motion, warp

MOTION_HEIGHT = 112
"""Short side, in pixels, of the images between which motion is estimated."""

MAX_GAIN = 1.25
"""Largest change of contrast that counts as flicker."""

DUST = 8.0
"""L* units by which a speck differs from both neighbors, while these agree within half as much."""

SMEAR = 4.0
"""L* units beyond which a difference to a neighbor is not grain."""

_LEAK = 0.9  # part of the correction of light that is kept from frame to frame


@dataclass(frozen=True, eq=False)
class WornFrame:
    """A frame to clean.

    Parameters
    ----------
    lightness : Tensor
        (1, 1, h, w): L* in [0, 100], small.
    begins : bool
        Whether nothing of the frame before is shown in it: a shot begins.
    steady : bool
        Whether its light should be like that of its neighbors; not in fades, dissolves and flashes.
    """

    lightness: Tensor
    begins: bool = False
    steady: bool = True


def clean_frames(frames: Iterable[WornFrame]) -> Iterator[Tensor]:
    """Clean frames, in order; one frame ahead is read.

    Parameters
    ----------
    frames : Iterable of WornFrame
        The frames.

    Yields
    ------
    Tensor
        (1, 1, h, w): the cleaned L* of each frame. Frames that are not steady stay as they are.
    """
    before: Tensor | None = None  # with the light corrected
    now: WornFrame | None = None
    light: Tensor | None = None
    for after in frames:
        if now is not None and light is not None:
            joined = not after.begins and after.steady and now.steady
            later = _relit(after.lightness, light) if joined else None
            yield _mended(before, light, later) if now.steady else light
            before = light if now.steady else None
            light = later if later is not None else after.lightness
            if after.begins:
                before = None
        else:
            light = after.lightness
        now = after
    if now is not None and light is not None:
        yield _mended(before, light, None) if now.steady else light


@torch.inference_mode()
def _relit(now: Tensor, before: Tensor) -> Tensor:
    """A frame with the light of the frame before it, as far as both show the same."""
    aligned = _aligned(before, now)
    gain, offset = torch.tensor(1.0), torch.tensor(0.0)
    weight = torch.ones_like(now)
    for _ in range(3):  # least squares, with less and less of what has moved or been damaged
        total = weight.sum()
        mean_now, mean_before = (weight * now).sum() / total, (weight * aligned).sum() / total
        spread = (weight * (now - mean_now) ** 2).sum() / total
        both = (weight * (now - mean_now) * (aligned - mean_before)).sum() / total
        # Towards 1 where there is little contrast to tell it from.
        gain = ((both + 25) / (spread + 25)).clamp(1 / MAX_GAIN, MAX_GAIN)
        offset = mean_before - gain * mean_now
        error = (gain * now + offset - aligned).abs()
        weight = 1 / (1 + (error / (2 * error.median() + 0.5)) ** 2)
    change = (gain - 1) * now + offset
    return (now + _LEAK * change).clamp(0, 100)


@torch.inference_mode()
def _mended(before: Tensor | None, now: Tensor, after: Tensor | None) -> Tensor:
    """A frame without dust, scratches and grain, by its neighbors in time."""
    if before is None or after is None:
        return now
    one, other = _aligned(before, now), _aligned(after, now)
    low, high = torch.minimum(one, other), torch.maximum(one, other)
    beyond = (now - high).clamp(min=0) + (low - now).clamp(min=0)
    agree = high - low < DUST / 2
    dust = ((beyond - DUST / 2) / (DUST / 2)).clamp(0, 1) * agree
    median = torch.minimum(torch.maximum(now, low), high)
    now = torch.lerp(now, median, dust)
    weights = [torch.exp(-(((x - now) / SMEAR) ** 2)) for x in (one, other)]
    return (now + weights[0] * one + weights[1] * other) / (1 + weights[0] + weights[1])


def _aligned(other: Tensor, now: Tensor) -> Tensor:
    """A neighbor with its content where it is in a frame."""
    height, width = now.shape[-2:]
    scale = min(1.0, MOTION_HEIGHT / min(height, width))
    size = (max(8, round(height * scale)), max(8, round(width * scale)))
    small = [F.interpolate(x, size=size, mode="area") for x in (other, now)]
    flow = estimate_motion(*small)
    flow = F.interpolate(flow, size=(height, width), mode="bilinear")
    flow = flow * torch.tensor([width / size[1], height / size[0]]).view(1, 2, 1, 1)
    return warp(other, flow)

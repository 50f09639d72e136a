"""A cleaned copy of worn film for the networks to look at: no flicker, dust, scratches and grain.

The copy is small, and nothing of it gets into the result but the colors that the networks see in
it. Frames are compared with their neighbors along the motion of the lightness.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from recolor_core.frames import Eyes, FrameGuide
from recolor_core.gray import read_gray, working_size
from recolor_core.lab import SRGB, ColorSpace
from recolor_core.motion import estimate_motion, warp

_Item = TypeVar("_Item")

MOTION_HEIGHT = 112
"""Short side, in pixels, of the images between which motion is estimated."""

MAX_GAIN = 1.25
"""Largest change of contrast that counts as flicker."""

DUST = 8.0
"""L* units by which a speck differs from both neighbors, while these agree within half as much."""

SMEAR = 4.0
"""L* units beyond which a difference to a neighbor is not grain."""

_KEPT = 0.9  # part of the correction of light that is kept from frame to frame
_STEP = 3  # every third pixel across and down tells the change of light
_FLAT = 25.0  # variance of L* that says little of contrast


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


def with_eyes(
    frames: Iterable[tuple[_Item, NDArray[Any], FrameGuide]], size: int, space: ColorSpace = SRGB
) -> Iterator[tuple[_Item, FrameGuide]]:
    """Add a cleaned copy to what is known of each frame.

    Parameters
    ----------
    frames : Iterable of tuple
        Anything, the image of a frame, and its guide, in order.
    size : int
        `Settings.size`, in pixels.
    space : ColorSpace
        What the codes of the images mean.

    Yields
    ------
    tuple
        The same thing, and the guide with `FrameGuide.eyes`.
    """
    waiting: deque[tuple[_Item, FrameGuide, Tensor]] = deque()

    def worn() -> Iterator[WornFrame]:
        for item, image, guide in frames:
            gray = read_gray(image, space)
            light = torch.from_numpy(gray.lightness(working_size(gray.shape, size)))[None, None]
            waiting.append((item, guide, light))
            steady = guide.visible == guide.light == 1 and not guide.passing
            yield WornFrame(light, bool(guide.begins), steady)

    for cleaned in clean_frames(worn()):
        item, guide, light = waiting.popleft()
        yield item, replace(guide, eyes=Eyes(cleaned, light))


def clean_frames(frames: Iterable[WornFrame]) -> Iterator[Tensor]:
    """Clean frames, in order; one frame ahead is read.

    The light of each frame is corrected to that of the frame before, as far as both show the same,
    so that slow changes stay. Then what differs from both neighbors, while they agree, is replaced
    by their median; and what differs little is averaged. Nothing is carried into a frame that
    begins a shot.

    Parameters
    ----------
    frames : Iterable of WornFrame
        The frames.

    Yields
    ------
    Tensor
        (1, 1, h, w): the cleaned L* of each frame. Frames that are not steady stay as they are.
    """
    before: _Lit | None = None
    now: _Lit | None = None
    for frame in frames:
        later = _lit(frame, now)
        if now is not None:
            yield _mended(before, now, later)
        before, now = now, later
    if now is not None:
        yield _mended(before, now, None)


@dataclass(frozen=True, eq=False)
class _Lit:
    """A frame with its light corrected.

    Parameters
    ----------
    lightness : Tensor
        (1, 1, h, w): L*.
    flow : Tensor or None
        (1, 2, h, w): backward motion to the frame before; None if the two are not to be compared.
    steady : bool
        As of `WornFrame`.
    """

    lightness: Tensor
    flow: Tensor | None
    steady: bool


@torch.inference_mode()
def _lit(frame: WornFrame, before: _Lit | None) -> _Lit:
    """A frame with the light of the frame before it, as far as both show the same."""
    now = frame.lightness
    if before is None or frame.begins or not (frame.steady and before.steady):
        return _Lit(now, None, frame.steady)
    flow = _motion(before.lightness, now)
    some = (..., slice(None, None, _STEP), slice(None, None, _STEP))
    gain, offset = _change_of_light(now[some], warp(before.lightness, flow)[some])
    change = gain * now + offset - now
    return _Lit((now + _KEPT * change).clamp(0, 100), flow, steady=True)


def _change_of_light(now: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Gain and offset that give a frame the light of the one before it, aligned to it."""
    gain, offset = torch.tensor(1.0), (before - now).median()
    for _ in range(3):  # least squares, with less and less of what has moved or been damaged
        error = (gain * now + offset - before).abs()
        weight = 1 / (1 + (error / (2 * error.median() + 0.5)) ** 4)
        total = weight.sum()
        mean, target = (weight * now).sum() / total, (weight * before).sum() / total
        spread = (weight * (now - mean) ** 2).sum() / total
        both = (weight * (now - mean) * (before - target)).sum() / total
        # Towards 1 where there is little contrast to tell it from.
        gain = ((both + _FLAT) / (spread + _FLAT)).clamp(1 / MAX_GAIN, MAX_GAIN)
        offset = target - gain * mean
    return gain, offset


@torch.inference_mode()
def _mended(before: _Lit | None, frame: _Lit, after: _Lit | None) -> Tensor:
    """A frame without dust, scratches and grain, by its neighbors in time."""
    now = frame.lightness
    if before is None or after is None or frame.flow is None or after.flow is None:
        return now
    one = warp(before.lightness, frame.flow)
    other = warp(after.lightness, _motion(after.lightness, now))
    low, high = torch.minimum(one, other), torch.maximum(one, other)
    beyond = (now - high).clamp(min=0) + (low - now).clamp(min=0)
    dust = (2 * beyond / DUST - 1).clamp(0, 1) * (high - low < DUST / 2)
    now = torch.lerp(now, now.clamp(low, high), dust)
    weights = [torch.exp(-(((x - now) / SMEAR) ** 2)) for x in (one, other)]
    return (now + weights[0] * one + weights[1] * other) / (1 + weights[0] + weights[1])


def _motion(other: Tensor, now: Tensor) -> Tensor:
    """Backward motion from a frame to a neighbor, (1, 2, h, w) in pixels."""
    height, width = now.shape[-2:]
    scale = min(1.0, MOTION_HEIGHT / min(height, width))
    size = (max(8, round(height * scale)), max(8, round(width * scale)))
    flow = estimate_motion(*(F.interpolate(x, size=size, mode="area") for x in (other, now)))
    flow = F.interpolate(flow, size=(height, width), mode="bilinear")
    return flow * torch.tensor([width / size[1], height / size[0]]).view(1, 2, 1, 1)

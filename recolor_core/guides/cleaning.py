"""A cleaned copy of worn film for the networks to look at: no flicker, dust, scratches and grain.

The copy is small, and nothing of it gets into the result but the colors that the networks see in
it. Frames are compared with their neighbors along the motion of the lightness.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice, tee
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from recolor_core.frames import Eyes, FrameGuide
from recolor_core.gray import Levels, read_gray, working_size
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


@dataclass(frozen=True, eq=False)
class LitFrame:
    """A frame with its light corrected to that of the frame before it.

    Parameters
    ----------
    lightness : Tensor
        (1, 1, h, w): the corrected L*.
    own : Tensor
        (1, 1, h, w): L* of the frame itself.
    flow : Tensor or None
        (1, 2, h, w): backward motion to the frame before; None if the two are not to be compared.
    steady : bool
        As of `WornFrame`.
    """

    lightness: Tensor
    own: Tensor
    flow: Tensor | None
    steady: bool


def with_eyes(
    frames: Iterable[tuple[_Item, Any, FrameGuide]],
    size: int,
    space: ColorSpace = SRGB,
    levels: Levels | None = None,
) -> Iterator[tuple[_Item, FrameGuide]]:
    """Add a cleaned copy to what is known of each frame; one frame ahead is read.

    Parameters
    ----------
    frames : Iterable of tuple
        Anything, the image of a frame, and its guide, in order.
    size : int
        `Settings.size`, in pixels.
    space : ColorSpace
        What the codes of the images mean.
    levels : tuple of float or None
        As in `recolor_core.read_gray`.

    Yields
    ------
    tuple
        The same thing, and the guide with `FrameGuide.eyes`.
    """
    waiting: deque[tuple[_Item, FrameGuide]] = deque()

    def worn() -> Iterator[WornFrame]:
        for item, image, guide in frames:
            waiting.append((item, guide))
            yield worn_frame(image, guide, size, space, levels)

    for before, frame, after in with_neighbors(light_frames(worn())):
        item, guide = waiting.popleft()
        yield item, replace(guide, eyes=Eyes(clean_frame(before, frame, after), frame.own))


def worn_frame(
    image: Any, guide: FrameGuide, size: int, space: ColorSpace, levels: Levels | None
) -> WornFrame:
    """Make a small copy of a frame to clean. The parameters are those of `with_eyes`."""
    gray = read_gray(image, space, levels)
    light = torch.from_numpy(gray.lightness(working_size(gray.shape, size)))[None, None]
    steady = guide.visible == guide.light == 1 and not guide.passing
    return WornFrame(light, bool(guide.begins), steady)


def light_frames(frames: Iterable[WornFrame], before: LitFrame | None = None) -> Iterator[LitFrame]:
    """Correct the light of each frame to that of the frame before, as far as both show the same.

    Slow changes stay.

    Parameters
    ----------
    frames : Iterable of WornFrame
        The frames, in order.
    before : LitFrame or None
        The frame before them, to go on from.

    Yields
    ------
    LitFrame
        Each frame. Frames that begin a shot or are not steady keep their light.
    """
    for frame in frames:
        before = _lit(frame, before)
        yield before


def with_neighbors(
    frames: Iterable[LitFrame],
) -> Iterator[tuple[LitFrame | None, LitFrame, LitFrame | None]]:
    """Give each frame, in order, with the frame before and the frame after it, if there are any."""
    ends: list[LitFrame | None] = [None]
    before, now, after = tee(chain(ends, frames, ends), 3)
    return zip(before, islice(now, 1, None), islice(after, 2, None), strict=False)  # type: ignore[arg-type]


@torch.inference_mode()
def clean_frame(before: LitFrame | None, frame: LitFrame, after: LitFrame | None) -> Tensor:
    """Remove dust, scratches and grain from a frame by its neighbors in time.

    What differs from both neighbors, while they agree, is replaced by their median; and what
    differs little is averaged.

    Parameters
    ----------
    before, after : LitFrame or None
        Its neighbors. A frame without one of them, or that must not be compared to one of them,
        stays as it is.
    frame : LitFrame
        The frame.

    Returns
    -------
    Tensor
        (1, 1, h, w): the cleaned L*.
    """
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


@torch.inference_mode()
def _lit(frame: WornFrame, before: LitFrame | None) -> LitFrame:
    """A frame with the light of the frame before it, as far as both show the same."""
    now = frame.lightness
    if before is None or frame.begins or not (frame.steady and before.steady):
        return LitFrame(now, now, None, frame.steady)
    flow = _motion(before.lightness, now)
    some = (..., slice(None, None, _STEP), slice(None, None, _STEP))
    gain, offset = _change_of_light(now[some], warp(before.lightness, flow)[some])
    change = gain * now + offset - now
    return LitFrame((now + _KEPT * change).clamp(0, 100), now, flow, steady=True)


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


def _motion(other: Tensor, now: Tensor) -> Tensor:
    """Backward motion from a frame to a neighbor, (1, 2, h, w) in pixels."""
    height, width = now.shape[-2:]
    scale = min(1.0, MOTION_HEIGHT / min(height, width))
    size = (max(8, round(height * scale)), max(8, round(width * scale)))
    flow = estimate_motion(*(F.interpolate(x, size=size, mode="area") for x in (other, now)))
    flow = F.interpolate(flow, size=(height, width), mode="bilinear")
    return flow * torch.tensor([width / size[1], height / size[0]]).view(1, 2, 1, 1)

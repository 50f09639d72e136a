"""Dense motion between frames, estimated from lightness, and the detection of cuts."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

LEVELS = 4
"""Levels of the pyramid, each half as fine; motion of up to about 8 cells is found."""

ITERATIONS = 2
"""Lucas-Kanade steps on each level."""

WINDOW = 7
"""Side of the window over which motion is assumed to be constant, in pixels of a level."""

FLATNESS = 4.0
"""Squared gradient of L* per pixel below which a place says little about its motion."""

CUT_MATCH = 0.45
"""Correlation of two motion-compensated frames below which they belong to different shots."""


@dataclass(frozen=True, eq=False)
class Motion:
    """How a frame follows from the one before it.

    Parameters
    ----------
    flow : Tensor
        (B, 2, h, w): backward motion in pixels, as of `estimate_motion`.
    aligned : Tensor
        (B, 1, h, w): L* of the frame before, moved along by `flow`.
    cut : Tensor
        (B,) bool: whether the frames are of different shots.
    """

    flow: Tensor
    aligned: Tensor
    cut: Tensor

    def to(self, device: torch.device | str) -> "Motion":
        """Move it to another device."""
        return Motion(self.flow.to(device), self.aligned.to(device), self.cut.to(device))


def follow_frame(before: Tensor, now: Tensor) -> Motion:
    """Estimate the motion between two frames, and whether there is a cut between them.

    Parameters
    ----------
    before, now : Tensor
        (B, 1, h, w): L* in [0, 100] of consecutive frames.

    Returns
    -------
    Motion
    """
    flow = estimate_motion(before, now)
    aligned = warp(before, flow)
    return Motion(flow, aligned, match(aligned, now) < CUT_MATCH)


def estimate_motion(before: Tensor, now: Tensor) -> Tensor:
    """Estimate backward motion between two frames from their lightness.

    Pyramidal Lucas-Kanade (Bouguet 2001) for every pixel, on lightness minus its local mean, so
    that flicker and drifting exposure are not taken for motion.

    Parameters
    ----------
    before, now : Tensor
        (B, 1, h, w): L* in [0, 100] of consecutive frames.

    Returns
    -------
    Tensor
        (B, 2, h, w): how far to the right and down each pixel of `now` was in `before`, in pixels;
        0 where the images do not show it.
    """
    pyramid = [(before, now)]
    while len(pyramid) < LEVELS and min(pyramid[-1][0].shape[-2:]) >= 2 * WINDOW:
        pyramid.append(tuple(F.avg_pool2d(x, 2, ceil_mode=True) for x in pyramid[-1]))  # type: ignore[arg-type]
    flow = now.new_zeros(len(now), 2, *pyramid[-1][1].shape[-2:])
    for then, here in reversed(pyramid):
        if flow.shape[-2:] != here.shape[-2:]:
            flow = 2 * F.interpolate(flow, size=here.shape[-2:], mode="bilinear")
        flow = _steps(_details(then), _details(here), flow)
    return flow


def _steps(then: Tensor, here: Tensor, flow: Tensor) -> Tensor:
    """Improve an estimate by Lucas-Kanade steps on one level."""
    padded = F.pad(here, (1, 1, 1, 1), mode="replicate")
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    products = torch.cat((across * across, across * down, down * down), 1)
    xx, xy, yy = _mean(products).chunk(3, 1)
    xx, yy = xx + FLATNESS, yy + FLATNESS
    determinant = xx * yy - xy * xy
    # How well a place shows its motion: the smaller eigenvalue of its structure tensor.
    half = (xx + yy) / 2
    known = half - (half * half - determinant).clamp(min=0).sqrt()
    around = _mean(known)
    for _ in range(ITERATIONS):
        change = here - warp(then, flow)
        x, y = _mean(torch.cat((across * change, down * change), 1)).chunk(2, 1)
        step = torch.cat((yy * x - xy * y, xx * y - xy * x), 1) / determinant
        flow = flow + step.clamp(-1, 1)
        flow = _mean(flow * known) / around
    return flow


def warp(x: Tensor, flow: Tensor) -> Tensor:
    """Move the previous frame to where its content is now.

    Parameters
    ----------
    x : Tensor
        (B, C, h, w): the previous frame.
    flow : Tensor
        (B, 2, h, w): backward motion in pixels.

    Returns
    -------
    Tensor
        (B, C, h, w). The border is repeated for what was outside the frame.
    """
    height, width = x.shape[-2:]
    column = torch.arange(width, device=x.device, dtype=x.dtype) + flow[:, 0]
    row = torch.arange(height, device=x.device, dtype=x.dtype)[:, None] + flow[:, 1]
    grid = torch.stack(((2 * column + 1) / width - 1, (2 * row + 1) / height - 1), dim=-1)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def inside(flow: Tensor) -> Tensor:
    """Which pixels were inside the previous frame: (B, 1, h, w) of 0 and 1."""
    height, width = flow.shape[-2:]
    column = torch.arange(width, device=flow.device) + flow[:, :1]
    row = torch.arange(height, device=flow.device)[:, None] + flow[:, 1:]
    within = (column >= -0.5) & (column <= width - 0.5) & (row >= -0.5) & (row <= height - 0.5)
    return within.to(flow.dtype)


def follow_points(points: Tensor, flow: Tensor) -> Tensor:
    """Find where points of the previous frame are now.

    Parameters
    ----------
    points : Tensor
        (N, 2): x and y in pixels; the centers of pixels are at whole numbers.
    flow : Tensor
        (1, 2, h, w): backward motion in pixels.

    Returns
    -------
    Tensor
        (N, 2): x and y in pixels. They may lie outside the frame.
    """
    height, width = flow.shape[-2:]
    size = points.new_tensor([width, height])
    now = points
    for _ in range(4):  # the motion is that at the new place, which is not known yet
        grid = ((2 * now + 1) / size - 1)[None, None]
        there = F.grid_sample(flow, grid, padding_mode="border", align_corners=False)
        now = points - there[0, :, 0].T
    return now


def mismatch(before: Tensor, now: Tensor) -> Tensor:
    """Difference of two aligned frames in their details, (B, 1, h, w), in L* units."""
    return _mean((_details(now) - _details(before)).abs(), 3)


def match(before: Tensor, now: Tensor) -> Tensor:
    """Correlation of the details of two aligned frames, (B,) in [-1, 1].

    A change of light changes the details little. Two flat frames have correlation 1, even if they
    differ in brightness.
    """
    before, now = _details(before), _details(now)
    both = (before * now).mean(dim=(1, 2, 3))
    spread = (before.square().mean(dim=(1, 2, 3)) * now.square().mean(dim=(1, 2, 3))).sqrt()
    noise = 0.25  # squared L* units: the grain of a flat frame
    return (both + noise) / (spread + noise)


def _details(x: Tensor) -> Tensor:
    return x - _mean(x, 9)


def _mean(x: Tensor, side: int = WINDOW) -> Tensor:
    """Mean over a window; at the border, over the part of it that is inside."""
    # Down, then across: the same mean for a third of the work.
    for axis in (-2, -1):
        x = _sums(x, axis, side) / _counts(x.shape[axis], side).to(x).view(-1, *[1] * (-1 - axis))
    return x


def _sums(x: Tensor, axis: int, side: int) -> Tensor:
    """Sum over a window of an odd number of pixels along an axis, with zeros outside.

    Sums of 2, 4 and 8 neighbors are made first. Adding whole images is several times as fast as
    `torch.nn.functional.avg_pool2d`.
    """
    around = [side // 2, side // 2]
    total = F.pad(x, around if axis == -1 else [0, 0, *around])
    length = x.shape[axis]
    parts: list[Tensor] = []
    start, width, rest = 0, 1, side
    while rest:
        if rest & 1:
            parts.append(total.narrow(axis, start, length))
            start += width
        rest >>= 1
        if rest:
            count = total.shape[axis] - width
            total = total.narrow(axis, 0, count) + total.narrow(axis, width, count)
            width *= 2
    result = parts[0] + parts[1] if len(parts) > 1 else parts[0]
    for part in parts[2:]:
        result = result + part
    return result


@lru_cache(maxsize=64)
def _counts(length: int, side: int) -> Tensor:
    """How many pixels of a window lie inside, for each position along an axis."""
    with torch.inference_mode(False):  # a training may use what an inference has cached
        position = torch.arange(length)
        above = (position - side // 2).clamp(min=0)
        below = (position + side // 2).clamp(max=length - 1)
        return (below - above + 1).float()

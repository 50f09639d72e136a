"""The frames of a stack or film, colorized one after the other without flicker."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from recolor_core import motion
from recolor_core.colorizer import Coarse, Colorization, Colorizer, Settings
from recolor_core.errors import ImageError, WeightsError
from recolor_core.hints import Hint
from recolor_core.intake import GrayPicture, Levels, read_gray
from recolor_core.lab import SRGB, ColorSpace
from recolor_core.palette import Palette
from recolor_core.temporal import ColorMemory, TemporalState

BLOCK = 32
"""Frames that a backward pass finishes at a time."""

AHEAD = 16
"""Frames that a backward pass begins after the end of its block."""


@dataclass(frozen=True)
class FrameState:
    """What the frames so far leave behind; the same size however many there were.

    Parameters
    ----------
    number
        Frames so far.
    temporal
        Of the color memory; None before the first frame and where the weights have no memory.
    hints
        The hints of the shot, at the places of the last frame.
    """

    number: int = 0
    temporal: TemporalState | None = None
    hints: tuple[Hint, ...] = ()


@dataclass(frozen=True, eq=False)
class Frame:
    """A colorized frame.

    Parameters
    ----------
    result
        As of a single picture.
    first
        Whether a shot begins with it, or one of its hints is given for it: then nothing is
        carried over from the frame before.
    state
        To go on from with the frame after it.
    """

    result: Colorization
    first: bool
    state: FrameState


@dataclass(frozen=True)
class _Step:
    """A frame after the forward pass: its coarse ab, hints spread, and what is steady of it."""

    coarse: Coarse
    ab: Tensor
    steady: Tensor
    first: bool
    state: FrameState


def colorize_frames(
    colorizer: Colorizer,
    frames: Iterable[Any],
    settings: Settings | None = None,
    *,
    hints: Mapping[int, Sequence[Hint]] | None = None,
    palette: Palette | None = None,
    space: ColorSpace = SRGB,
    levels: Levels | str | None = None,
    passes: int = 1,
    state: FrameState | None = None,
    **changes: Any,
) -> Iterator[Frame]:
    """Colorize frames lazily, in order, in constant memory.

    Color is carried from frame to frame along the motion of the lightness, never across a cut. The
    first frame of each shot comes out as a single picture does.

    Parameters
    ----------
    colorizer
        Its weights must have a color memory.
    frames
        Pictures of one size, as of a call of `Colorizer`; anything that `numpy.asarray` takes.
    settings, palette, space, levels, **changes
        As in a call of `Colorizer`. Alternatives there are none.
    hints
        By the number of the frame that they are given for. They move with what they lie on until
        they leave the frame or the shot ends.
    passes
        1 looks at the frames before alone. 2 looks ahead, too, `AHEAD` frames and more, and takes
        the mean of both ways: steadier, for what is not live.
    state
        Of the last frame that is done, to go on from there; hints count from the first frame of
        all. The frames given are those after it.

    Yields
    ------
    Frame

    Raises
    ------
    WeightsError
        Where the weights have no color memory.
    ImageError
        Where a frame or a setting cannot be used, or the frames differ in size.
    HintsError
        Where a hint lies outside its frame.
    """
    settings = replace(settings or Settings(), **changes)
    if passes not in (1, 2):
        raise ImageError(f"expected 1 or 2 passes, got {passes!r}")
    if settings.alternatives:
        raise ImageError(
            f"expected no alternatives of a stack or film, got {settings.alternatives}; ask for "
            "them frame by frame"
        )
    if colorizer.memory is None:
        raise WeightsError(
            f"weights {colorizer.record.name!r} have no color memory, which stacks and films "
            "need; colorize frame by frame, or train one with `python -m training.train temporal`"
        )
    grays = (read_gray(frame, space, levels) for frame in frames)
    steps = _forward(colorizer, grays, settings, hints or {}, palette, state or FrameState())
    if passes == 2:
        steps = _backward(colorizer, steps)
    for step in steps:
        coarse = replace(step.coarse, ab=step.steady)
        result = colorizer.refine(coarse, settings, step.state.hints, palette)
        yield Frame(result, step.first, step.state)


def _forward(
    colorizer: Colorizer,
    grays: Iterable[GrayPicture],
    settings: Settings,
    hints: Mapping[int, Sequence[Hint]],
    palette: Palette | None,
    state: FrameState,
) -> Iterator[_Step]:
    memory = colorizer.memory
    assert memory is not None
    shape: tuple[int, int] | None = None
    for gray in grays:
        if shape is not None and shape != gray.shape:
            raise ImageError(
                f"expected frames of one size, got {shape[1]} x {shape[0]} pixels and, as frame "
                f"{state.number}, {gray.shape[1]} x {gray.shape[0]}; colorize them apart"
            )
        shape = gray.shape
        coarse = colorizer.generate(gray, settings.size)
        given = tuple(hints.get(state.number, ()))
        known = _carried(state, coarse.lightness, shape) + given
        ab = colorizer.coarse_ab(coarse, settings, known, palette)
        # What is corrected by hand shall not be averaged with what it corrects.
        before = None if given else state.temporal
        temporal = _remember(memory, colorizer.device, coarse.lightness, ab, before)
        state = FrameState(state.number + 1, temporal, known)
        yield _Step(coarse, ab, temporal.ab.cpu(), bool(temporal.first[0]), state)


def _backward(colorizer: Colorizer, steps: Iterable[_Step]) -> Iterator[_Step]:
    """The mean of the steady ab of both directions, block by block."""
    memory = colorizer.memory
    assert memory is not None
    waiting: deque[_Step] = deque()

    def finish(count: int) -> Iterator[_Step]:
        means: list[Tensor] = []
        later: TemporalState | None = None
        for step in reversed(waiting):
            light = step.coarse.lightness
            later = _remember(memory, colorizer.device, light, step.ab, later)
            means.append((step.steady + later.ab.cpu()) / 2)
            if step.first:
                later = None
        means.reverse()
        for mean in means[:count]:
            yield replace(waiting.popleft(), steady=mean)

    for step in steps:
        waiting.append(step)
        if len(waiting) == BLOCK + AHEAD:
            yield from finish(BLOCK)
    yield from finish(len(waiting))


@torch.inference_mode()
def _remember(
    memory: ColorMemory,
    device: torch.device,
    lightness: Tensor,
    ab: Tensor,
    before: TemporalState | None,
) -> TemporalState:
    memory.to(device)
    before = before.to(device) if before else None
    state: TemporalState = memory(lightness.to(device), ab.to(device), before)
    return state


def _carried(state: FrameState, lightness: Tensor, shape: tuple[int, int]) -> tuple[Hint, ...]:
    """The hints of the frames before, where they are now; none across a cut."""
    if not state.hints or state.temporal is None:
        return ()
    before = state.temporal.lightness.cpu()
    grid = (before.shape[-2], before.shape[-1])
    now = F.adaptive_avg_pool2d(lightness, grid)
    flow = motion.estimate_motion(before, now)
    if bool(motion.match(motion.warp(before, flow), now) < motion.CUT_MATCH):
        return ()
    scale = torch.tensor([grid[1] / shape[1], grid[0] / shape[0]])
    places = torch.tensor([[hint.x, hint.y] for hint in state.hints])
    places = (motion.follow((places + 0.5) * scale - 0.5, flow) + 0.5) / scale - 0.5
    moved = [
        replace(hint, x=x, y=y)
        for hint, (x, y) in zip(state.hints, places.tolist(), strict=True)
        if -0.5 <= x <= shape[1] - 0.5 and -0.5 <= y <= shape[0] - 0.5
    ]
    return tuple(moved)

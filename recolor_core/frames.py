"""Colorize the frames of a stack or film in order, without flicker."""

import math
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from recolor_core.arguments import described, expect, expect_all, is_whole
from recolor_core.color_from import ColorSource, TakenColor, mixed, take_color, with_color
from recolor_core.colorizer import Colorizer, check_arguments
from recolor_core.errors import HintsError, ImageError, ImageWarning, WeightsError
from recolor_core.gray import GrayImage, Levels, read_gray
from recolor_core.hints import Hint, Mark, MarksInTime, Mask, Region, Stroke
from recolor_core.lab import SRGB, ColorSpace, lab_to_rgb
from recolor_core.models.memory import MemoryState, motion_lightness
from recolor_core.motion import Motion, follow_frame, follow_points, inside, mismatch, warp
from recolor_core.palette import Palette
from recolor_core.reference import Reference
from recolor_core.reference import Seen as SeenReference
from recolor_core.result import Coarse, Colorization
from recolor_core.settings import Settings, changed
from recolor_core.view import look
from recolor_core.wording import counted

BLOCK = 32
"""Number of frames that a backward pass finishes at a time."""

AHEAD = 16
"""How many frames after the end of its block a backward pass begins."""


NEW_DETAIL = 5.0
"""Difference in detail, in L* units, above which a place was not in the frame before."""

MAX_NEW = 0.05
"""Largest part of a frame that may be new if the generator does not look at the frame."""


@dataclass(frozen=True, eq=False)
class Eyes:
    """What the networks see of a frame in place of its own lightness.

    Parameters
    ----------
    cleaned : Tensor
        (1, 1, h, w): L* in [0, 100] at the working size, without flicker and damage.
    lightness : Tensor
        (1, 1, h, w): L* of the frame itself, at that size.
    """

    cleaned: Tensor
    lightness: Tensor


@dataclass(frozen=True)
class FrameGuide:
    """What is known about a frame before it is colorized, for example from `recolor_core.guides`.

    Parameters
    ----------
    begins : bool or None
        Whether a shot begins with the frame. If None, its lightness decides.
    visible : float
        How much of the image of the shot is visible in the frame, in [0, 1]. Color from a frame in
        which less was visible has less weight.
    light : float
        Factor for the chroma of the frame, in [0, 1]; it is below 1 in a fade, because there is no
        color without light.
    passing : bool
        Whether the frame shows something else for a moment, such as a flash. It gets its own color,
        and the frame after it continues from the frame before it.
    sources : tuple of tuple
        Images whose color the frame takes, as pairs of a `ColorSource` and its weight; see
        `recolor_core.color_from`.
    marks : MarksInTime or None
        Hints of this and other frames of the film, at their places in this frame. They have no
        effect on other frames.
    eyes : Eyes or None
        A cleaned copy of the frame for the generator and the color memory; None to show them the
        frame itself. The refiner and the full resolution always follow the frame itself.
    """

    begins: bool | None = None
    visible: float = 1.0
    light: float = 1.0
    passing: bool = False
    sources: tuple[tuple[ColorSource, float], ...] = ()
    marks: MarksInTime | None = None
    eyes: Eyes | None = None


@dataclass(frozen=True, eq=False)
class Known:
    """What the generator said of a frame, moved along to the frame at hand.

    Parameters
    ----------
    coarse : Coarse
        The output of the generator for the last frame that it saw.
    ab : Tensor
        (1, 2, h, w): the coarse ab of that frame by itself, moved to the last frame, in Lab units.
    """

    coarse: Coarse
    ab: Tensor


@dataclass(frozen=True)
class FrameState:
    """What later frames need from the frames so far. Its size does not grow.

    Parameters
    ----------
    number : int
        Number of frames so far.
    memory : MemoryState or None
        State of the color memory; None before the first frame.
    hints : tuple of Hint
        The hints of the shot, at their positions in the last frame.
    shape : tuple of int or None
        Height and width of the frames; None before the first frame.
    visible : float
        How much of the image of the shot was visible in the frames from which the color comes, in
        [0, 1].
    known : Known or None
        What the generator said of the last frame, if the next one may go by it.
    """

    number: int = 0
    memory: MemoryState | None = None
    hints: tuple[Mark, ...] = ()
    shape: tuple[int, int] | None = None
    visible: float = 1.0
    known: Known | None = None


@dataclass(frozen=True, eq=False)
class Frame:
    """A colorized frame.

    Parameters
    ----------
    result : Colorization
        The result, as for a single image. Its provenance also has ``"frames"``: the number of
        ``"passes"``, the ``"number"`` of the frame, counted from 0, ``"first"``, and ``"given"``,
        how many of its hints, the last ones, were given for this frame.
    first : bool
        Whether a shot begins with the frame, or a hint is given for it. In both cases no color is
        carried over from the previous frame.
    state : FrameState
        What the next frame needs.
    """

    result: Colorization
    first: bool
    state: FrameState


@dataclass(frozen=True, eq=False)
class Seen:
    """A frame after the generator and the color memory, and before the refiner.

    Parameters
    ----------
    coarse : Coarse
        The output of the generator, as for a single image.
    ab : Tensor
        (1, 2, h, w): the coarse ab of the frame by itself, with hints spread, in Lab units.
    steady : Tensor
        (1, 2, h, w): the coarse ab after the color memory steadied it, in Lab units.
    first : bool
        As in `Frame`.
    state : FrameState
        As in `Frame`.
    given : int
        How many of the hints of the state, the last ones, are given for this frame.
    passes : int
        The number of directions in time from which the steady ab comes, 1 or 2.
    guide : FrameGuide
        What is known about the frame.
    taken : TakenColor or None
        The color that the frame takes from other images; None if it takes none.
    references : tuple of reference.Seen
        The color images whose colors go where they show the same as the frame.
    """

    coarse: Coarse
    ab: Tensor
    steady: Tensor
    first: bool
    state: FrameState
    given: int = 0
    passes: int = 1
    guide: FrameGuide = FrameGuide()
    taken: TakenColor | None = None
    references: tuple[SeenReference, ...] = ()


def colorize_frames(
    colorizer: Colorizer,
    frames: Iterable[Any],
    settings: Settings | None = None,
    *,
    hints: Mapping[int, Sequence[Mark]] | None = None,
    palette: Palette | None = None,
    space: ColorSpace = SRGB,
    levels: Levels | None = None,
    passes: int = 1,
    state: FrameState | None = None,
    guides: Mapping[int, FrameGuide] | None = None,
    references: Sequence[Reference] = (),
    **changes: Any,
) -> Iterator[Frame]:
    """Colorize frames lazily, in order, in constant memory.

    Color is carried from frame to frame along the motion of the lightness, never across a cut.
    With one pass, the result for the first frame of each shot is that of a single image with
    `Settings.find_photograph` and `Settings.correct_tones` off.

    Parameters
    ----------
    colorizer : Colorizer
        Its weights must have a color memory.
    frames : iterable of array_like
        Images of one size, each as in a call of `Colorizer`.
    settings, palette, space, **changes
        As in a call of `Colorizer`. Alternatives are not supported.
    hints : mapping of int to sequence of Hint, optional
        Hints by the number of their frame. They move with the object they lie on until they leave
        the frame, the shot ends, or a later hint covers them.
    levels : tuple of float, optional
        The values that become black and white in all frames.
    passes : int
        1 uses only the frames before. 2 also looks at least `AHEAD` frames ahead and takes the mean
        of both directions, which is steadier; it is not suited for live images.
    state : FrameState, optional
        The state of the last finished frame, to continue from there. `frames` are then those after
        it, and the numbers of the hints still count from the first frame of all. The result is the
        same as in one run; with 2 passes, only if the number of finished frames is a multiple of
        `BLOCK`.
    guides : mapping of int to FrameGuide, optional
        What is known about frames, by their number.
    references : sequence of Reference
        As in a call of `Colorizer`: images in color, whose colors go where they show the same as a
        frame.

    Returns
    -------
    iterator of Frame
        The colorized frames, in order.

    Raises
    ------
    WeightsError
        If the weights have no color memory.
    ImageError
        If a frame or a setting is not supported, or the frames differ in size.
    HintsError
        If a hint lies outside its frame.

    Warns
    -----
    ImageWarning
        At the end, if there are hints for frames after the last one.
    """
    settings = changed(settings, **changes)
    check_frames(settings, passes)
    expect(
        "colorizer",
        colorizer,
        Colorizer,
        "a Colorizer; make one of weights with Colorizer(weights)",
    )
    expect("frames", frames, Iterable, "images in order")
    check_arguments((), palette, references, space)
    expect("state", state, FrameState | None, "the FrameState of a Frame, or None")
    expect("guides", guides, Mapping | None, "FrameGuides by the numbers of frames")
    hints = _by_number({} if hints is None else hints)
    seen = see_frames(
        colorizer,
        frames,
        settings,
        hints=hints,
        palette=palette,
        space=space,
        levels=levels,
        state=state,
        guides=guides,
        references=[colorizer.look(reference, settings) for reference in references],
    )
    both = look_both_ways(colorizer, seen) if passes == 2 else seen
    return (
        color_frame(colorizer, one, settings, palette)
        for one in _with_all_hints(both, hints)
        if one is not None
    )


def _by_number(hints: Mapping[int, Sequence[Mark]]) -> Mapping[int, Sequence[Mark]]:
    """Check the types of the hints of frames."""
    words = "lists of hints by the number of their frame, such as {0: [Hint(...)]}"
    expect("hints", hints, Mapping, words, HintsError)
    for number, marks in hints.items():
        if not is_whole(number) or number < 0:
            raise HintsError(
                f"expected the numbers of frames of hints from 0 on, got {described(number)}"
            )
        words = "a list of Hint, Stroke, Region or Mask"
        expect_all(f"hints[{number}]", marks, (Hint, Stroke, Region, Mask), words, HintsError)
    return hints


def _with_all_hints(
    frames: Iterable[Seen | None], hints: Mapping[int, Sequence[Mark]]
) -> Iterator[Seen | None]:
    """Yield all frames; warn at the end if there are hints for frames after the last one."""
    count = 0
    for one in frames:
        count = count if one is None else one.state.number
        yield one
    later = sorted(number for number, marks in hints.items() if marks and number >= count)
    if later:
        warnings.warn(
            f"expected hints within the {counted(count, 'frame')}, got some for frame {later[0]}, "
            "which have no effect; correct the number, counted from 0, or leave them out",
            ImageWarning,
            stacklevel=2,
        )


def check_frames(settings: Settings, passes: int) -> None:
    """Check that frames can be colorized with these settings.

    Parameters
    ----------
    settings : Settings
        The settings.
    passes : int
        As in `colorize_frames`.

    Raises
    ------
    ImageError
        If `passes` is not 1 or 2, or the settings ask for alternatives.
    """
    if not is_whole(passes) or passes not in (1, 2):
        raise ImageError(f"expected 1 or 2 passes, got {passes!r}")
    if settings.alternatives:
        raise ImageError(
            f"expected no alternatives for a stack or film, got {settings.alternatives}; ask for "
            "them image by image"
        )


def see_frames(
    colorizer: Colorizer,
    frames: Iterable[Any],
    settings: Settings,
    *,
    hints: Mapping[int, Sequence[Mark]] | None = None,
    palette: Palette | None = None,
    space: ColorSpace = SRGB,
    levels: Levels | None = None,
    state: FrameState | None = None,
    guides: Mapping[int, FrameGuide] | None = None,
    references: Sequence[SeenReference] = (),
    every: int = 1,
) -> Iterator[Seen]:
    """Run the first part of `colorize_frames`, up to the color memory.

    The other parameters and the errors are those of `colorize_frames`.

    Parameters
    ----------
    references : sequence of SeenReference
        What `Colorizer.look` returned.
    every : int
        With 2, the generator looks at every second frame, counted from the first one of all. For
        the frames between, what it said of the frame before is moved along, unless more than
        `MAX_NEW` of the frame was not in the one before, a shot begins, or hints, a palette,
        references or anything else is given for it.

    Returns
    -------
    iterator of Seen
        The frames, in order.
    """
    if isinstance(levels, str):
        raise ImageError(
            f"expected levels=(low, high) that all frames share, got {levels!r}, which would "
            "flicker; recolor_core.colorize_stack finds them for a whole stack"
        )
    if not colorizer.runner.has_memory:
        raise WeightsError(
            f"weights {colorizer.record.name!r} have no color memory, which stacks and films "
            "need; colorize frame by frame, or train one with `python -m training.train memory`"
        )
    grays = (read_gray(frame, space, levels) for frame in frames)
    return _see(
        colorizer,
        grays,
        settings,
        {} if hints is None else hints,
        palette,
        state or FrameState(),
        {} if guides is None else guides,
        tuple(references),
        every,
    )


def _see(
    colorizer: Colorizer,
    grays: Iterable[GrayImage],
    settings: Settings,
    hints: Mapping[int, Sequence[Mark]],
    palette: Palette | None,
    state: FrameState,
    guides: Mapping[int, FrameGuide],
    references: tuple[SeenReference, ...],
    every: int,
) -> Iterator[Seen]:
    for gray in grays:
        if state.shape not in (None, gray.shape):
            assert state.shape is not None
            raise ImageError(
                f"expected frames of one size, got {state.shape[1]} x {state.shape[0]} pixels and, "
                f"as frame {state.number}, {gray.shape[1]} x {gray.shape[0]}; colorize them apart"
            )
        guide = guides.get(state.number, FrameGuide())
        before = None if guide.begins else state.memory
        given = tuple(hints.get(state.number, ()))
        moved: Known | None = None
        motion: Motion | None = None
        plain = palette is None and not (given or references) and _is_plain(guide)
        if plain and state.number % every:
            moved, motion = _moved(colorizer, gray, settings, state, before, guide)
        if moved is None:
            coarse = _generate(colorizer, gray, settings, guide.eyes)
            motion = motion or _motion(before, coarse, guide)
        else:
            coarse = moved.coarse
        known = _carried(state.hints, motion, coarse, given) + given
        if moved is None:
            ab = torch.from_numpy(colorizer.coarse_ab(coarse, settings, known, palette, references))
        else:
            ab = moved.ab
        taken = None
        if guide.sources:
            lightness = torch.from_numpy(coarse.lightness)
            taken = mixed([(take_color(source, lightness), w) for source, w in guide.sources])
            # `color_frame` scales all chroma, but the taken color must not be scaled.
            ab = replace(taken, ab=taken.ab / max(settings.chroma, 1e-3)).over(ab)
        if guide.passing and not given:
            state = replace(state, number=state.number + 1, shape=gray.shape)
            yield Seen(coarse, ab, ab, False, state, 0, 1, guide, taken, references)
            continue
        # A frame with new hints must not be averaged with the colors that the hints correct.
        before = None if given else before
        carried = FrameState(memory=before, visible=state.visible)
        memory, visible = _remember(colorizer, coarse, ab, carried, motion, guide)
        goes_on = every > 1 and not known and guide.eyes is None
        state = FrameState(
            state.number + 1,
            memory,
            known,
            gray.shape,
            visible,
            Known(coarse, ab) if goes_on else None,
        )
        first = bool(memory.first[0])
        more = (len(given), 1, guide, taken, references)
        yield Seen(coarse, ab, memory.ab, first, state, *more)


def _is_plain(guide: FrameGuide) -> bool:
    """Whether nothing but the frame before is known of a frame."""
    return (
        not guide.begins
        and guide.visible == guide.light == 1
        and not (guide.passing or guide.sources or guide.marks or guide.eyes)
    )


@torch.inference_mode()
def _moved(
    colorizer: Colorizer,
    gray: GrayImage,
    settings: Settings,
    state: FrameState,
    before: MemoryState | None,
    guide: FrameGuide,
) -> tuple[Known | None, Motion | None]:
    """Move what the generator said of the frame before to a frame, if that shows nothing new."""
    if state.known is None or before is None or state.hints:
        return None, None
    view = look(gray, settings.size, find=False, correct=False)
    coarse = replace(
        state.known.coarse, grays=(gray,), lightness=view.lightness[None, None], shown=(view,)
    )
    motion = _motion(before, coarse, guide)
    assert motion is not None
    if bool(motion.cut[0]):
        return None, motion
    grid = (before.ab.shape[-2], before.ab.shape[-1])
    light = motion_lightness(torch.from_numpy(coarse.lightness), grid)
    new = (mismatch(motion.aligned, light) > NEW_DETAIL) | (inside(motion.flow) == 0)
    if float(new.float().mean()) > MAX_NEW:
        return None, motion
    flow = F.avg_pool2d(motion.flow, 2) / 2
    return Known(coarse, warp(state.known.ab, flow)), motion


def _generate(
    colorizer: Colorizer, gray: GrayImage, settings: Settings, eyes: Eyes | None
) -> Coarse:
    """Run the generator on a frame, or on what it is to see in its place."""
    # Borders that are found in one frame but not in the next would make the colors jump.
    whole = {"find_photograph": False, "correct_tones": False}
    if eyes is None:
        return colorizer.generate(gray, settings, **whole)
    lab = torch.cat((eyes.cleaned[0], torch.zeros(2, *eyes.cleaned.shape[-2:])))
    seen = read_gray(lab_to_rgb(lab)[0].clamp(0, 1).numpy())
    return replace(colorizer.generate(seen, settings, **whole), grays=(gray,))


def _remember(
    colorizer: Colorizer,
    coarse: Coarse,
    ab: Tensor,
    before: FrameState,
    motion: Motion | None,
    guide: FrameGuide,
) -> tuple[MemoryState, float]:
    """Compute the steady color of a frame, and how much was visible in its source frames.

    Color from frames in which less was visible has less weight, by the sixth power of the ratio.
    A fade therefore ends with the color of the frame in which everything is visible.
    """
    lightness = torch.from_numpy(coarse.lightness)
    memory = colorizer.runner.remember(lightness, ab, before.memory, motion)
    if before.memory is None or before.visible >= guide.visible:
        return memory, guide.visible if before.memory is None else before.visible
    weight = (before.visible / guide.visible) ** 6
    memory = replace(memory, ab=torch.lerp(ab, memory.ab, weight))
    return memory, guide.visible


def look_both_ways(colorizer: Colorizer, frames: Iterable[Seen]) -> Iterator[Seen | None]:
    """Take the mean of the steady ab of both directions, block by block.

    Parameters
    ----------
    colorizer : Colorizer
        As in `see_frames`.
    frames : iterable of Seen
        The frames from `see_frames`; `BLOCK` + `AHEAD` of them are read at a time.

    Yields
    ------
    Seen or None
        The frames in order, and None after each frame that is read, to report progress.
    """
    waiting: deque[Seen] = deque()

    def finish(count: int) -> Iterator[Seen]:
        means: list[Tensor] = []
        later = FrameState()
        for one in reversed(waiting):
            if one.guide.passing and not one.given:
                means.append(one.steady)
                continue
            motion = _motion(later.memory, one.coarse, one.guide)
            memory, visible = _remember(colorizer, one.coarse, one.ab, later, motion, one.guide)
            means.append((one.steady + memory.ab) / 2)
            later = FrameState() if one.first else FrameState(memory=memory, visible=visible)
        means.reverse()
        for mean in means[:count]:
            yield replace(waiting.popleft(), steady=mean, passes=2)

    for one in frames:
        waiting.append(one)
        yield None
        if len(waiting) == BLOCK + AHEAD:
            yield from finish(BLOCK)
    yield from finish(len(waiting))


def color_frame(
    colorizer: Colorizer, seen: Seen, settings: Settings, palette: Palette | None = None
) -> Frame:
    """Run the last part of `colorize_frames`: the refiner.

    Parameters
    ----------
    colorizer : Colorizer
        As in `see_frames`.
    seen : Seen
        The frame.
    settings : Settings
        As in `see_frames`.
    palette : Palette, optional
        As in `see_frames`.

    Returns
    -------
    Frame
        The colorized frame.
    """
    coarse = replace(seen.coarse, ab=seen.steady.numpy())
    if seen.guide.eyes is not None:
        coarse = replace(coarse, lightness=seen.guide.eyes.lightness.numpy())
    marks = seen.guide.marks
    if marks is not None:  # on top of the steady color, so that the memory does not delay them
        coarse = replace(coarse, ab=colorizer.coarse_ab(coarse, settings, marks, palette))
    if seen.guide.light < 1:
        settings = replace(settings, saturation=settings.saturation * seen.guide.light)
    hints = marks or seen.state.hints
    result = colorizer.refine(coarse, settings, hints, palette, seen.references)
    if seen.taken is not None:
        refined = torch.from_numpy(result.ab_refined)[None]
        sources = [source for source, _ in seen.guide.sources]
        taken = replace(seen.taken, ab=seen.taken.ab * seen.guide.light)
        result = with_color(result, taken, refined, sources)
    told = {
        "passes": seen.passes,
        "number": seen.state.number - 1,
        "first": seen.first,
        "given": marks.given if marks else seen.given,
    }
    result = replace(result, provenance={**result.provenance, "frames": told})
    return Frame(result, seen.first, seen.state)


@torch.inference_mode()
def _motion(before: MemoryState | None, coarse: Coarse, guide: FrameGuide) -> Motion | None:
    """Estimate the motion from the previous frame to this one, for hints and the color memory."""
    if before is None:
        return None
    grid = (before.ab.shape[-2], before.ab.shape[-1])
    lightness = motion_lightness(torch.from_numpy(coarse.lightness), grid)
    motion = follow_frame(before.lightness, lightness)
    if guide.begins is None:
        return motion
    return replace(motion, cut=torch.full_like(motion.cut, fill_value=False))


def _carried(
    hints: Sequence[Mark], motion: Motion | None, coarse: Coarse, given: Sequence[Mark]
) -> tuple[Mark, ...]:
    """Move the hints of the previous frame along the motion; a cut removes them.

    The corners of strokes and regions move one by one. A mask counts for its own frame only.
    """
    moving = [hint for hint in hints if not isinstance(hint, Mask)]
    if not moving or motion is None or bool(motion.cut[0]):
        return ()
    grid = motion.flow.shape[-2:]
    height, width = coarse.gray.shape
    scale = torch.tensor([grid[1] / width, grid[0] / height])
    corners = [point for hint in moving for point in corners_of(hint)]
    places = torch.tensor(corners, dtype=torch.float32)
    places = (follow_points((places + 0.5) * scale - 0.5, motion.flow) + 0.5) / scale - 0.5
    rest = iter([(x, y) for x, y in places.tolist()])
    moved = [moved_to(hint, list(islice(rest, len(corners_of(hint))))) for hint in moving]
    inside = [hint for hint in moved if touches(hint, width, height)]
    return uncovered(inside, given, coarse)


def corners_of(mark: Hint | Stroke | Region) -> list[tuple[float, float]]:
    """The points that a mark moves with: its own, then those that it stays within."""
    own = ((mark.x, mark.y),) if isinstance(mark, Hint) else mark.points
    return [*own, *(() if isinstance(mark, Region) else mark.within)]


def moved_to(
    mark: Hint | Stroke | Region, corners: list[tuple[float, float]]
) -> Hint | Stroke | Region:
    """A mark at other corners, in the order of `corners_of`."""
    if isinstance(mark, Hint):
        (x, y), *within = corners
        return replace(mark, x=x, y=y, within=tuple(within))
    if isinstance(mark, Region):
        return replace(mark, points=tuple(corners))
    count = len(mark.points)
    return replace(mark, points=tuple(corners[:count]), within=tuple(corners[count:]))


def touches(mark: Hint | Stroke | Region, width: int, height: int) -> bool:
    """Whether a mark lies, with a part of it, in the frame."""
    own = [(mark.x, mark.y)] if isinstance(mark, Hint) else mark.points
    x, y = torch.tensor(own).T
    return bool(
        (x.max() >= -0.5) & (y.max() >= -0.5) & (x.min() <= width - 0.5) & (y.min() <= height - 0.5)
    )


def uncovered(carried: Sequence[Mark], given: Sequence[Mark], coarse: Coarse) -> tuple[Mark, ...]:
    """Remove the carried points that a point given for the frame covers.

    Parameters
    ----------
    carried : sequence of Mark
        Hints from the previous frame, at their positions in this frame.
    given : sequence of Mark
        Hints given for this frame.
    coarse : Coarse
        The output of the generator for this frame.

    Returns
    -------
    tuple of Mark
        The hints of `carried` that remain.
    """
    cell = coarse.gray.shape[0] / coarse.logits.shape[-2]
    return tuple(
        hint
        for hint in carried
        if not isinstance(hint, Hint)
        or all(
            math.hypot(hint.x - x.x, hint.y - x.y) > max(x.radius, cell)
            for x in given
            if isinstance(x, Hint)
        )
    )

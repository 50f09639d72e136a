"""Stacks: arrays of images, in memory or lazy, with colors that are steady over time."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, TypeVar, overload
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from recolor_core.arguments import expect, expect_all, is_whole
from recolor_core.arrays import as_array
from recolor_core.color_from import ColorSource, apply_color
from recolor_core.colorizer import Colorizer, check_arguments
from recolor_core.errors import HintsError, ImageError, WeightsError
from recolor_core.frames import (
    BLOCK,
    Eyes,
    FrameGuide,
    FrameState,
    Seen,
    check_frames,
    color_frame,
    look_both_ways,
)
from recolor_core.gray import Levels, auto_levels, read_gray, working_size
from recolor_core.guides.cleaning import LitFrame, clean_frame, light_frames, worn_frame
from recolor_core.guides.film import (
    Guides,
    find_guides,
    glance,
    look_first,
    see_film,
    see_guided,
    with_source,
)
from recolor_core.hints import Hint, Mark, Mask, Region, Stroke, check_marks
from recolor_core.lab import SRGB, ColorSpace
from recolor_core.models.config import SCALE
from recolor_core.palette import Palette
from recolor_core.reference import Reference
from recolor_core.reference import Seen as SeenReference
from recolor_core.result import Colorization
from recolor_core.settings import Settings, changed

Index = tuple[int, ...]
"""Position of an image along the axes before height and width."""

Hints = Mapping[Index, Sequence[Mark]]

_Known = TypeVar("_Known")


@dataclass(frozen=True, eq=False)
class ColorizedStack:
    """A colorized stack and its intermediate stages: NumPy or dask arrays, like the stack.

    Parameters
    ----------
    rgb : array
        (..., Y, X, 3).
    ab_coarse, ab_refined : array
        (..., 2, h, w) and (..., 2, h', w') float32, Lab units, as in `Colorization`. The coarse ab
        is the steady one.
    uncertainty : array
        (..., h, w) float32, Lab units.
    """

    rgb: Any
    ab_coarse: Any
    ab_refined: Any
    uncertainty: Any


@overload
def colorize_stack(
    stack: Any, settings: Settings | None = None, *, stages: Literal[False] = False, **options: Any
) -> Any: ...
@overload
def colorize_stack(
    stack: Any, settings: Settings | None = None, *, stages: Literal[True], **options: Any
) -> ColorizedStack: ...
def colorize_stack(
    stack: Any,
    settings: Settings | None = None,
    *,
    time_axis: int | None = 0,
    passes: int = 1,
    clean: bool = False,
    hints: Mapping[int | Index, Sequence[Mark]] | None = None,
    references: Sequence[Reference] = (),
    color_from: ColorSource | Mapping[int | Index, ColorSource] | None = None,
    palette: Palette | None = None,
    space: ColorSpace = SRGB,
    levels: Levels | str | None = None,
    stages: bool = False,
    weights: str | Path = "default",
    device: str = "auto",
    colorizer: Colorizer | None = None,
    **changes: Any,
) -> Any:
    """Colorize a stack of images; a dask array is colorized lazily.

    Along the time axis, color is carried from frame to frame. Along other axes, such as depth or
    channel, each image has its own colors: in (T, Z, Y, X) every Z is a film of its own. For frames
    that arrive one by one, see `recolor_core.colorize_frames`.

    Parameters
    ----------
    stack : array_like
        (..., Y, X), or (..., Y, X, 3 or 4) if there are four axes or more, with at least one axis
        in front. Anything that can be indexed like a NumPy array is read image by image. The dtypes
        are those of a call of `Colorizer`.

        A dask array is computed only as far as needed. One frame needs the coarse color of the
        frames before it and the full resolution of its own chunk. Chunks of at most
        `recolor_core.frames.BLOCK` frames pass on the state of the color memory. Computing the
        whole stack, for example into a file, computes each frame once and needs the memory of a few
        chunks. With `clean`, and in films that have hints, all frames of a film are read once more
        before its first frame is colorized, and small copies of them are kept: 33 KB for each.
    settings, palette, space, **changes
        As in a call of `Colorizer`. Alternatives are not supported.
    time_axis : int or None
        The axis of time, counted from 0. None colorizes each image by itself, which also works with
        weights that have no color memory.
    passes : int
        1 or 2, as in `recolor_core.colorize_frames`; no effect if `time_axis` is None.
    clean : bool
        Let the networks look at a copy without flicker, dust, scratches and grain; the gray of the
        result is still that of the stack. It makes the colors of worn film steadier. No effect if
        `time_axis` is None.
    hints : mapping, optional
        Hints by the position of their image: ``(t, z)`` in (T, Z, Y, X), or a number if there is
        one axis in front. Over time they move with the object they lie on, forward and backward,
        until a cut or until they leave the image, and hold in later shots that show the same.
        Between two images with hints, colors pass smoothly from one to the other where both claim a
        place.
    references : sequence of Reference
        As in a call of `Colorizer`.
    color_from : ColorSource or mapping, optional
        An image whose color is put on the gray of every image that shows the same, or one for
        each position; see `recolor_core.color_from`.
    levels : tuple of float, "auto" or None
        Values of black and white, for arrays without an agreed range. ``"auto"`` takes the smallest
        and the largest finite value of the whole stack, so that nothing flickers; a dask array is
        read once for this, immediately.
    stages : bool
        Also return the intermediate stages.
    weights, device
        As in `Colorizer`.
    colorizer : Colorizer, optional
        An existing colorizer to use in place of `weights` and `device`.

    Returns
    -------
    array or ColorizedStack
        (..., Y, X, 3), of the dtype that single images would have; NumPy or dask, like the stack.

    Raises
    ------
    ImageError
        If the stack or a setting is not supported. The values of a dask array are checked when they
        are computed.
    HintsError
        If a hint lies outside the stack or its image.
    WeightsError
        If the weights are unknown or damaged or, with an axis of time, have no color memory.
    """
    settings = changed(settings, **changes)
    check_frames(settings, passes)
    check_arguments((), palette, references, space)
    expect("clean", clean, bool, "True or False")
    expect("stages", stages, bool, "True or False")
    expect("colorizer", colorizer, Colorizer | None, "a Colorizer; a name of weights is `weights`")
    if not (hasattr(stack, "shape") and hasattr(stack, "dtype")):
        stack = _together(stack)
    color = _is_color(stack)
    leading: Index = tuple(stack.shape[: stack.ndim - 2 - color])
    if time_axis is not None and (not is_whole(time_axis) or time_axis not in range(len(leading))):
        raise ImageError(
            f"expected time_axis from 0 to {len(leading) - 1}, an axis before height and width of "
            f"the shape {tuple(stack.shape)}, or None, got {time_axis!r}"
        )
    known = _by_index(hints or {}, leading)
    for index, marks in known.items():
        words = "a list of Hint, Stroke, Region or Mask"
        expect_all(f"hints at {index}", marks, (Hint, Stroke, Region, Mask), words, HintsError)
    sources = _sources(color_from, leading)
    # This also refuses an unsupported dtype before anything is colorized.
    pixel = np.zeros((1, 1, 3) if color else (1, 1), stack.dtype)
    dtype = read_gray(pixel, space, levels).codes.dtype
    colorizer = colorizer or Colorizer(weights, device)
    if time_axis is not None and not colorizer.runner.has_memory:
        raise WeightsError(
            f"weights {colorizer.record.name!r} have no color memory; pass time_axis=None to "
            "colorize image by image, or weights that have one"
        )
    lazy = _is_dask(stack)
    if isinstance(levels, str):
        levels = _dask_levels(stack, color) if lazy else auto_levels(_colors(stack, color, leading))
    size: tuple[int, int] = tuple(stack.shape[len(leading) : len(leading) + 2])
    working = working_size(size, settings.size)
    grid = (-(-working[0] // SCALE), -(-working[1] // SCALE))
    shapes: dict[str, tuple[Index, np.dtype[Any]]] = {"rgb": ((*size, 3), dtype)}
    if stages:
        single = np.dtype(np.float32)
        shapes |= {
            "ab_coarse": ((2, *grid), single),
            "ab_refined": ((2, *working), single),
            "uncertainty": (grid, single),
        }
    for marks in known.values():
        check_marks(marks, size)
    looked = tuple(colorizer.look(reference, settings) for reference in references)
    way = _Way(
        *(colorizer, settings, palette, space, levels, passes, clean, time_axis, size),
        *(tuple(shapes), looked, sources),
    )
    make = _lazily if lazy else _at_once
    arrays = make(way, stack, leading, known, shapes)
    return ColorizedStack(**arrays) if stages else arrays["rgb"]


@dataclass(frozen=True, eq=False)
class _Way:
    """The job of a stack: colorize its films. The images of a film differ only in time."""

    colorizer: Colorizer
    settings: Settings
    palette: Palette | None
    space: ColorSpace
    levels: Levels | None
    passes: int
    clean: bool
    time_axis: int | None
    size: tuple[int, int]
    roles: tuple[str, ...]
    references: tuple[SeenReference, ...]
    color_from: Mapping[Index, ColorSource]

    def looks_first(self, hints: Mapping[int, Sequence[Mark]]) -> bool:
        """Whether a film with these hints is looked at before its first frame is colorized."""
        return self.clean or bool(hints)

    def see(
        self,
        frames: Callable[[], Iterable[Any]],
        hints: Mapping[int, Sequence[Mark]],
        film: Sequence[Index],
    ) -> Iterator[Seen]:
        """See the frames of a film in memory."""
        guides = None
        if self.looks_first(hints):
            *_, guides = look_first(frames(), hints, space=self.space, levels=self.levels)
        return see_film(
            self.colorizer,
            frames(),
            self.settings,
            guides=guides,
            clean=self.clean,
            palette=self.palette,
            space=self.space,
            levels=self.levels,
            references=self.references,
            sources=_numbered(self.color_from, film),
        )

    def color(self, seen: Iterable[Seen]) -> Iterator[Colorization]:
        both = look_both_ways(self.colorizer, seen) if self.passes == 2 else seen
        for one in both:
            if one is not None:
                yield color_frame(self.colorizer, one, self.settings, self.palette).result

    def alone(self, image: Any, hints: Sequence[Mark], index: Index) -> Colorization:
        # The stages of a stack have one shape.
        settings = replace(self.settings, find_photograph=False, correct_tones=False)
        gray = read_gray(image, self.space, self.levels)
        coarse = self.colorizer.generate(gray, settings)
        result = self.colorizer.refine(coarse, settings, hints, self.palette, self.references)
        source = self.color_from.get(index)
        return result if source is None else apply_color(result, source)

    # Chunks of a dask array

    def look_chunk(self, chunk: "_Chunk") -> list[NDArray[np.uint16]]:
        frames = self._frames(chunk.read())
        return [glance(read_gray(frame, self.space, self.levels)) for frame in frames]

    def light_chunk(
        self, chunk: "_Chunk", guides: Guides, before: LitFrame | None, first: int
    ) -> list[LitFrame]:
        """Correct the light of a chunk, whose first frame has this number."""
        frames = (
            worn_frame(frame, guides.at(number), self.settings.size, self.space, self.levels)
            for number, frame in enumerate(self._frames(chunk.read()), first)
        )
        return list(light_frames(frames, before))

    def see_chunk(
        self,
        chunk: "_Chunk",
        state: FrameState | None,
        guides: Guides | None = None,
        lit: Sequence[LitFrame] | None = None,
        around: Sequence[LitFrame | None] = (None, None),
        *,
        film: Sequence[Index],
    ) -> list[Seen]:
        """See a chunk; `lit` are its frames to clean, and `around` those before and after it."""
        first = state.number if state else 0
        frames = list(self._frames(chunk.read()))
        known = [guides.at(first + n) if guides else FrameGuide() for n in range(len(frames))]
        if lit is not None:
            before, after = around
            triples = zip([before, *lit], lit, [*lit[1:], after], strict=False)
            eyes = [Eyes(clean_frame(*three), three[1].own) for three in triples]
            known = [replace(guide, eyes=one) for guide, one in zip(known, eyes, strict=True)]
        sources = [self.color_from.get(index) for index in film[first : first + len(frames)]]
        known = list(map(with_source, known, sources))
        return list(
            see_guided(
                self.colorizer,
                zip(frames, known, strict=True),
                self.settings,
                palette=self.palette,
                space=self.space,
                levels=self.levels,
                state=state,
                references=self.references,
            )
        )

    def color_chunk(
        self, seen: Sequence[Seen], ahead: Sequence[Seen] | None, lead: int
    ) -> dict[str, NDArray[Any]]:
        return self._chunk(islice(self.color([*seen, *(ahead or ())]), len(seen)), lead)

    def alone_chunk(
        self, chunk: "_Chunk", hints: Sequence[Mark], lead: int, index: Index
    ) -> dict[str, NDArray[Any]]:
        return self._chunk([self.alone(next(self._frames(chunk.read())), hints, index)], lead)

    def _frames(self, chunk: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """The images of a chunk. Its leading axes other than time have length 1."""
        color = _is_color(chunk)
        yield from chunk.reshape(-1, *chunk.shape[chunk.ndim - 2 - color :])

    def _chunk(self, results: Iterable[Colorization], lead: int) -> dict[str, NDArray[Any]]:
        """The arrays of consecutive images, with `lead` leading axes."""
        parts = [{role: getattr(result, role) for role in self.roles} for result in results]
        leading = [1] * lead
        leading[self.time_axis or 0] = len(parts)
        return {
            role: np.stack([part[role] for part in parts]).reshape(*leading, *parts[0][role].shape)
            for role in self.roles
        }


@dataclass(frozen=True, eq=False)
class _Chunk:
    """A chunk of a dask array that is computed when it is needed.

    If it were part of the same graph, idle threads would read all chunks at once while one frame
    waits for another. As a task without dependencies, it lets dask finish one chunk before it
    begins the next.
    """

    delayed: Any

    def read(self) -> NDArray[Any]:
        chunk: NDArray[Any] = self.delayed.compute(scheduler="synchronous")
        return chunk


def _at_once(
    way: _Way,
    stack: Any,
    leading: Index,
    hints: Hints,
    shapes: Mapping[str, tuple[Index, np.dtype[Any]]],
) -> dict[str, NDArray[Any]]:
    arrays = {role: np.empty((*leading, *shape), dtype) for role, (shape, dtype) in shapes.items()}
    for film in films(leading, way.time_axis):
        if way.time_axis is None:
            (index,) = film
            results: Iterable[Colorization] = [
                way.alone(stack[index], hints.get(index, ()), index),
            ]
        else:
            frames = partial(map, stack.__getitem__, film)
            results = way.color(way.see(frames, _numbered(hints, film), film))
        for index, result in zip(film, results, strict=True):
            for role, array in arrays.items():
                array[index] = getattr(result, role)
    return arrays


def _lazily(
    way: _Way,
    stack: Any,
    leading: Index,
    hints: Hints,
    shapes: Mapping[str, tuple[Index, np.dtype[Any]]],
) -> dict[str, Any]:
    import dask.array as da
    from dask.highlevelgraph import HighLevelGraph

    time, lead = way.time_axis, len(leading)
    sizes = dict.fromkeys(range(lead), 1) | dict.fromkeys(range(lead, stack.ndim), -1)
    if time is not None:
        sizes[time] = BLOCK if way.passes == 2 else min(BLOCK, max(stack.chunks[time]))
    stack = stack.rechunk(sizes)
    name = f"colorize-{uuid4().hex}"
    graph: dict[Any, Any] = {name: way}
    for place, chunk in zip(
        np.ndindex(stack.numblocks[:lead]), stack.to_delayed().flat, strict=True
    ):
        graph["read", name, *place] = (partial(_Chunk, chunk),)
    for line in films(stack.numblocks[:lead], time):
        if time is None:
            own = hints.get(line[0], ())
            alone = partial(_Way.alone_chunk, hints=own, lead=lead, index=line[0])
            graph["color", name, *line[0]] = (alone, name, ("read", name, *line[0]))
            continue
        film = [(*line[0][:time], t, *line[0][time + 1 :]) for t in range(leading[time])]
        see = partial(_Way.see_chunk, film=film)
        color = partial(_Way.color_chunk, lead=lead)
        given = _numbered(hints, film)
        known = _guide_chunks(graph, name, line, way, given, stack.chunks[time])
        state: Any = None
        for place, after in zip(line, [*line[1:], None], strict=True):
            seen = ("see", name, *place)
            ahead = ("see", name, *after) if after and way.passes == 2 else None
            read = ("read", name, *place)
            graph[seen] = (see, name, read, state, *known[place])
            graph["color", name, *place] = (color, name, seen, ahead)
            state = ("state", name, *place)
            graph[state] = (_last_state, seen)
    arrays = {}
    for role, (shape, dtype) in shapes.items():
        layer = {
            (f"{role}-{name}", *place, *(0 for _ in shape)): (
                itemgetter(role),
                ("color", name, *place),
            )
            for place in np.ndindex(stack.numblocks[:lead])
        }
        layers = {name: graph, f"{role}-{name}": layer}
        whole = HighLevelGraph(layers, {name: set(), f"{role}-{name}": {name}})
        chunks = (*stack.chunks[:lead], *((n,) for n in shape))
        arrays[role] = da.Array(whole, f"{role}-{name}", chunks, dtype=dtype)
    return arrays


def _guide_chunks(
    graph: dict[Any, Any],
    name: str,
    line: Sequence[Index],
    way: _Way,
    hints: Mapping[int, Sequence[Mark]],
    lengths: Sequence[int],
) -> dict[Index, tuple[Any, ...]]:
    """Add what is known about the chunks of a film: more arguments of `_Way.see_chunk` for each."""
    if not way.looks_first(hints):
        return dict.fromkeys(line, ())
    guides = ("guides", name, *line[0])
    looks = []
    for place in line:
        looks.append(("look", name, *place))
        graph[looks[-1]] = (_Way.look_chunk, name, ("read", name, *place))
    graph[guides] = (partial(_guides, hints, way.size), looks)
    if not way.clean:
        return dict.fromkeys(line, (guides,))
    ends: dict[Index, tuple[Any, Any]] = {}
    before: Any = None
    for place, first in zip(line, accumulate(lengths, initial=0), strict=False):
        lit = ("light", name, *place)
        light = partial(_Way.light_chunk, first=first)
        graph[lit] = (light, name, ("read", name, *place), guides, before)
        ends[place] = (("begin", *lit), ("end", *lit))
        for end, number in zip(ends[place], (0, -1), strict=True):
            graph[end] = (itemgetter(number), lit)
        before = ends[place][1]
    known = {}
    neighbors = zip([None, *line[:-1]], line, [*line[1:], None], strict=True)
    for previous, place, after in neighbors:
        around = [previous and ends[previous][1], after and ends[after][0]]
        known[place] = (guides, ("light", name, *place), around)
    return known


def _guides(
    hints: Mapping[int, Sequence[Mark]],
    size: tuple[int, int],
    looks: Iterable[Sequence[NDArray[np.uint16]]],
) -> Guides:
    return find_guides(list(chain.from_iterable(looks)), hints, size)


def films(leading: Index, time_axis: int | None) -> Iterator[list[Index]]:
    """List the positions of the images of each film in a stack.

    Parameters
    ----------
    leading : tuple of int
        Lengths of the axes before height and width.
    time_axis : int or None
        The axis of time. If it is None, each image is a film.

    Yields
    ------
    list of tuple of int
        The positions of the images of one film, in order of time.
    """
    if time_axis is None:
        yield from ([index] for index in np.ndindex(leading))
        return
    others = (*leading[:time_axis], *leading[time_axis + 1 :])
    for rest in np.ndindex(others):
        yield [(*rest[:time_axis], t, *rest[time_axis:]) for t in range(leading[time_axis])]


def _numbered(known: Mapping[Index, _Known], film: Sequence[Index]) -> dict[int, _Known]:
    return {number: known[index] for number, index in enumerate(film) if index in known}


def _last_state(seen: Sequence[Seen]) -> FrameState:
    return seen[-1].state


def _is_color(stack: Any) -> bool:
    """Check that an array is a stack, and tell whether its last axis is color.

    Raises
    ------
    ImageError
        If the array is not a stack.
    """
    last = stack.shape[-1] if stack.ndim else 0
    if stack.ndim < 3 or (stack.ndim == 3 and last in (3, 4)):
        raise ImageError(
            "expected a stack (T, Y, X), (T, Y, X, 3) or with more axes in front, got shape "
            f"{tuple(stack.shape)}; a single image is for recolor_core.colorize"
        )
    if 0 in stack.shape:
        raise ImageError(f"expected a stack of at least one image, got shape {stack.shape}")
    return stack.ndim > 3 and last in (3, 4)


def _together(images: Any) -> NDArray[Any]:
    """Combine a sequence of images into one array."""
    if isinstance(images, list | tuple):
        images = [as_array(image)[0] for image in images]
    try:
        return np.asarray(images)
    except ValueError as error:  # NumPy raises it if the lengths differ
        raise ImageError(
            "expected a stack of images of one size and kind, got different sizes or kinds; "
            "colorize the images one by one with Colorizer.map"
        ) from error


def _sources(
    color_from: ColorSource | Mapping[int | Index, ColorSource] | None, leading: Index
) -> Mapping[Index, ColorSource]:
    """The image whose color each image of a stack takes, by its position."""
    if isinstance(color_from, ColorSource):
        return dict.fromkeys(np.ndindex(leading), color_from)
    return _by_index(color_from or {}, leading, "images in color")


def _by_index(
    given: Mapping[int | Index, _Known], leading: Index, what: str = "hints"
) -> dict[Index, _Known]:
    """What is given for images of a stack, by their positions."""
    if not isinstance(given, Mapping):
        raise HintsError(
            f"expected a dict of {what} by position, such as {{0: …}}, got {type(given).__name__}"
        )
    known: dict[Index, _Known] = {}
    for key, value in given.items():
        index = key if isinstance(key, tuple) else (key,)
        if len(index) != len(leading) or any(
            i not in range(n) for i, n in zip(index, leading, strict=True)
        ):
            raise HintsError(
                f"expected {what} at positions within {leading}, got {what} at {key!r}; count "
                "from 0 and give one number for each axis before height and width"
            )
        known[index] = value
    return known


def _colors(stack: Any, color: bool, leading: Index) -> Iterator[NDArray[Any]]:
    for index in np.ndindex(leading):
        yield np.asarray(stack[index])[..., : 3 if color else None]


def _is_dask(stack: Any) -> bool:
    module = sys.modules.get("dask.array")  # if it is not loaded, nothing can be a dask array
    return module is not None and isinstance(stack, module.Array)


def _dask_levels(stack: Any, color: bool) -> Levels:
    import dask.array as da

    values = stack[..., :3] if color else stack
    finite = da.isfinite(values)
    ends = (da.where(finite, values, np.inf).min(), da.where(finite, values, -np.inf).max())
    return auto_levels([np.array(da.compute(*ends))])

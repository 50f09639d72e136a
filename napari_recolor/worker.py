"""Runs a Colorizer off the GUI thread: a generator of steps that knows no layer and no widget.

PyTorch is imported in here alone, by the thread that runs these functions: opening the widget does
not wait for it.
"""

import ctypes
import importlib.util
import os
import sys
import tempfile
import traceback
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_recolor.palette import colors_of
from napari_recolor.pyramid import COARSE, colors_of_every, is_large, paint_preview, preview_step
from napari_recolor.reading import Index, Request, Source
from napari_recolor.wishes import ColorImage, Draw, Wishes
from recolor_core.errors import DeviceWarning, ImageError, RecolorError
from recolor_core.hints import Area, Mark
from recolor_core.settings import Settings, list_settings

if TYPE_CHECKING:
    from recolor_core.color_from import ColorSource
    from recolor_core.colorizer import Colorizer
    from recolor_core.gray import GrayImage
    from recolor_core.hints import MarksInTime
    from recolor_core.lab import ColorSpace
    from recolor_core.palette import Palette
    from recolor_core.reference import Reference, Seen
    from recolor_core.result import Coarse, Colorization

Levels = tuple[float, float] | None

Hints = Mapping[Index, Sequence[Mark]]
"""The hints of each image."""

IN_MEMORY = 2**32
"""Results of more bytes than this lie in a temporary file, which napari reads as it needs it."""

THUMBNAIL = 160
"""The longer side of the small images of alternatives, in pixels."""

REMEMBERED = 4
"""Number of images whose generator output is kept for hints."""


@dataclass(frozen=True)
class Options(Settings):
    """How to colorize: `recolor_core.Settings`, the networks, and what is outside of one image.

    Parameters
    ----------
    weights, device, runtime : str
        As in `recolor_core.Colorizer`.
    palette : str
        Colors such as ``"#5b3a1e,#6ca0dc"``; empty for none.
    passes, clean
        As in `recolor_core.colorize_stack`.
    wishes : Wishes
        References and alternatives. Images that are kept steady over time have no alternatives.
    """

    weights: str = "default"
    device: str = "auto"
    runtime: str = "auto"
    palette: str = ""
    passes: int = 1
    clean: bool = False
    wishes: Wishes = field(default_factory=Wishes)

    @property
    def settings(self) -> dict[str, Any]:
        """The fields of `recolor_core.Settings`."""
        return {setting.name: getattr(self, setting.name) for setting in list_settings(Settings)}

    def read_palette(self) -> "Palette | None":
        """The palette as `recolor_core` takes it."""
        from recolor_core.palette import palette_of_colors

        colors = colors_of(self.palette)
        return palette_of_colors(colors) if colors else None


@dataclass(frozen=True, eq=False)
class Carried:
    """What an image has from others in time.

    Parameters
    ----------
    ab
        (1, 2, h, w): its coarse ab, kept steady, without hints.
    marks
        The hints of it and of others, at their places in it.
    """

    ab: NDArray[np.float32]
    marks: "MarksInTime"


@dataclass(eq=False)
class Stages:
    """The results of a run, filled image by image; empty until the first one is ready.

    Parameters
    ----------
    request
        What is colorized.
    file
        Path, SHA-256 and number of pages of the file that holds just what the layer holds.
    arrays
        By role, each with the leading axes of the request: ``rgb`` (..., H, W, 3),
        ``alternative 1`` and so on alike; ``a coarse``, ``b coarse``, ``uncertainty``
        (..., h, w); ``a refined``, ``b refined``, ``change`` (..., h', w'), Lab units. ``change``
        is the distance in the ab plane by which the refiner moved a color. ``coarse``
        (..., h", w", 3): the image in the colors of the first network, every n-th pixel of it.
    provenance
        How each image came to be: that of `recolor_core`, with its levels. JSON types alone.
    steady
        Whether colors are kept steady over time. They are not where the weights have no memory.
    carried
        What each image has from those before it, where they are.
    matches
        What the references show of each image.
    in_view
        The first row that is in view and the last one plus 1: these rows of a large image are
        computed first. The main thread may set it at any time.
    machine
        The name of the GPU that the networks ran on; empty for a CPU.
    """

    request: Request
    file: dict[str, Any] | None = None
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    provenance: dict[Index, dict[str, Any]] = field(default_factory=dict)
    steady: bool = False
    carried: dict[Index, Carried] = field(default_factory=dict)
    matches: "dict[Index, tuple[Found, ...]]" = field(default_factory=dict)
    in_view: tuple[int, int] = (0, 0)
    machine: str = ""

    @property
    def has_preview(self) -> bool:
        """Whether the image is shown before its full resolution is known: a large single one."""
        return prod(self.request.leading) == 1 and is_large(self.request.size)

    def fill(
        self, index: Index, result: "Colorization", levels: Levels
    ) -> Iterator[tuple[int, bool]]:
        """Take over the results of an image.

        Yields
        ------
        int
            Number of steps done, of `fill_steps`.
        bool
            Whether what is in view has changed: the preview is there, or the strips in view are.
        """
        colorings = {"rgb": result.ab_refined}
        colorings |= {f"alternative {i}": ab for i, ab in enumerate(result.ab_alternatives, 1)}
        codes = np.asarray(result.gray.codes[:1, :1])
        done = 0
        if self.has_preview:
            self.fill_stages(index, result, levels)
        for role, ab in colorings.items():
            target = self._slot(role, index, (*result.shape, 3), codes.dtype)
            if role == "rgb" and self.has_preview:
                paint_preview(result, target)
                yield done, True
            for seen in paint(result, ab, target, self.in_view if role == "rgb" else (0, 0)):
                done += 1
                yield done, seen and self.has_preview
        if not self.has_preview:
            self.fill_stages(index, result, levels)

    @staticmethod
    def fill_steps(result: "Colorization") -> int:
        """Number of steps of `fill`."""
        return result.strip_count * (1 + len(result.ab_alternatives))

    def replace(self, recolored: "Recolored") -> None:
        """Take over another coloring of an image that is finished."""
        index, before = recolored.index, self.provenance[recolored.index]
        self.matches[index] = recolored.matches
        for role, values in recolored.arrays.items():
            if role == "rgb" and self.has_preview:  # a copy would stop the window
                self.arrays[role] = self.as_shown(values)
            else:
                self._slot(role, index, values.shape, values.dtype)[...] = values
        self.provenance[index] = {**recolored.provenance, "levels": before["levels"]}
        if "frames" in before:  # over time, the last hints are the image's own
            frames = {**before["frames"], "given": recolored.given}
            self.provenance[index]["frames"] = frames

    def hinted(
        self,
        colorizer: "Colorizer",
        options: Options,
        index: Index,
        coarse: "Coarse",
        values: Sequence[Mark],
    ) -> "tuple[Coarse, Sequence[Mark] | MarksInTime]":
        """How to color a finished image with other hints of its own.

        Parameters
        ----------
        colorizer, options
            How it is colorized.
        index
            Of the image.
        coarse
            What the generator saw in it.
        values
            Its own hints.

        Returns
        -------
        Coarse, Sequence of Mark or MarksInTime
            For `Colorizer.refine`. What the image has from others in time counts, too.
        """
        carried = self.carried.get(index)
        if carried is None:
            return coarse, list(values)
        marks, coarse = carried.marks.with_given(values), replace(coarse, ab=carried.ab)
        if marks.groups:
            settings, palette = Settings(**options.settings), options.read_palette()
            ab = colorizer.coarse_ab(coarse, settings, marks, palette)
            coarse = replace(coarse, ab=ab)
        return coarse, marks

    def fill_stages(self, index: Index, result: "Colorization", levels: Levels) -> None:
        """Take over all but the images in color."""
        for role, values in _looked_at(result).items():
            self._slot(role, index, values.shape, values.dtype)[...] = values
        known = None if levels is None else list(levels)
        self.matches[index] = found_in(result)
        self.provenance[index] = {**result.provenance, "levels": known}

    def as_shown(self, image: NDArray[Any]) -> NDArray[Any]:
        """Give a single image the leading axes of the request."""
        return image.reshape((*self.request.leading, *image.shape))

    def _slot(
        self, role: str, index: Index, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        """The part of an array that an image fills; the array is made for the first one."""
        if role not in self.arrays:
            self.arrays[role] = _zeros((*self.request.leading, *shape), dtype)
        part: NDArray[Any] = self.arrays[role][self.request.slot(index)]
        return part


@dataclass(frozen=True, eq=False)
class Recolored:
    """Another coloring of a finished image.

    Parameters
    ----------
    index
        Of the image.
    arrays
        By role, as in `Stages`, but of this image alone.
    provenance
        How it came to be.
    given
        How many hints were given for the image.
    finished
        Whether this is the last event. If not, `arrays` has ``rgb`` only, as a preview that is
        still being filled with the full resolution.
    """

    index: Index
    arrays: dict[str, NDArray[Any]]
    provenance: dict[str, Any]
    given: int
    finished: bool = True
    matches: "tuple[Found, ...]" = ()


@dataclass(frozen=True)
class Step:
    """What was done last: `done` of `total` steps of image number `image` (from 0).

    `previewed` says that a large image has changed where it is in view, and is not finished yet.
    """

    image: int
    images: int
    done: int
    total: int
    stage: str
    finished: Index | None = None
    previewed: Index | None = None


@dataclass(frozen=True)
class Failure:
    """Why a run ended early.

    Parameters
    ----------
    message
        What to say, with the remedy.
    error
        Where it is none that was to be expected.
    """

    message: str
    error: Exception | None = None


class Engine:
    """What is kept from run to run: the networks, and what they saw last.

    To be used by one thread at a time.
    """

    def __init__(self) -> None:
        self._key: tuple[Any, ...] | None = None
        self._colorizer: Colorizer | None = None
        self._seen: OrderedDict[tuple[Request, Index], Coarse] = OrderedDict()
        self._references: OrderedDict[tuple[Any, ...], Seen] = OrderedDict()
        self._sources: OrderedDict[tuple[ColorImage, Index], ColorSource] = OrderedDict()
        self._drawn: tuple[Any, Colorization] | None = None

    def colorizer(self, options: Options) -> "Colorizer":
        """The networks of the weights and on the device."""
        chosen = (options.weights, options.device, options.runtime)
        key = (*chosen, _state_of(options.weights))
        if self._key != key:
            from recolor_core import Colorizer

            self._colorizer = None  # makes room for the next ones
            self._references.clear()
            self._drawn = None
            self._colorizer = Colorizer(*chosen)
            self._key = key
        assert self._colorizer is not None
        return self._colorizer

    def see(self, request: Request, index: Index, gray: "GrayImage", options: Options) -> "Coarse":
        """Run the generator on an image of a request."""
        from recolor_core import Settings

        coarse = self.colorizer(options).generate(gray, Settings(**options.settings))
        self.remember(request, index, coarse)
        return coarse

    def remember(self, request: Request, index: Index, coarse: "Coarse") -> None:
        """Keep what the generator saw in an image of a request, and forget the oldest."""
        self._seen[request, index] = coarse
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def seen(self, request: Request, index: Index) -> "Coarse | None":
        """What the generator saw last in an image of a request, if that is still known."""
        return self._seen.get((request, index))

    def references(self, options: Options) -> "list[Seen]":
        """What the generator sees in the references, in the order of the options."""
        from recolor_core import Settings

        found = []
        for image in options.wishes.references:
            key = (image, options.size, options.views)
            if key not in self._references:
                reference = read_reference(image)
                seen = self.colorizer(options).look(reference, Settings(**options.settings))
                self._references[key] = seen
            self._references.move_to_end(key)
            found.append(self._references[key])
        while len(self._references) > max(REMEMBERED, len(found)):
            self._references.popitem(last=False)
        return found

    def color_source(self, image: ColorImage, index: Index) -> "ColorSource":
        """The image whose color is put on an image of the request."""
        index = index if image.leading else ()
        key = (image, index)
        if key not in self._sources:
            self._sources[key] = read_color_source(image, index)
        self._sources.move_to_end(key)
        while len(self._sources) > REMEMBERED:
            self._sources.popitem(last=False)
        return self._sources[key]

    def color(
        self,
        options: Options,
        coarse: "Coarse",
        hints: "Sequence[Mark] | MarksInTime",
        alternatives: int = 0,
        index: Index = (),
        steady: bool = False,
    ) -> "Colorization":
        """Color what the generator saw, with all that is asked for.

        Parameters
        ----------
        options : Options
            With the wishes.
        coarse : Coarse
            What the generator saw.
        hints : sequence of Mark, or MarksInTime
            In pixels of the image.
        alternatives : int
            How many to make beside the coloring that was asked for, if that is the first of all.
        index : tuple of int
            Which image of the request it is.
        steady : bool
            Whether it is a frame whose colors are kept steady over time.
        """
        wishes = options.wishes
        if not wishes.draw.number:
            result = self.draw(options, coarse, hints, Draw(alternatives))
        else:
            result = self.draw(options, coarse, hints, wishes.draw).take(wishes.draw.number)
        for part in wishes.parts:
            region = part.region if part.limited else None
            other = self.draw(options, coarse, hints, part.draw, region).take(part.draw.number)
            result = result.combine(other, part.region)
        if wishes.color_from is not None:
            source = self.color_source(wishes.color_from, index)
            result = _on_frame(result, coarse, source) if steady else _on_image(result, source)
        return result

    def draw(
        self,
        options: Options,
        coarse: "Coarse",
        hints: "Sequence[Mark] | MarksInTime",
        draw: Draw,
        region: Area | None = None,
    ) -> "Colorization":
        """Color what the generator saw, with alternatives; the last one is remembered."""
        from recolor_core import Settings

        plain = replace(options, wishes=Wishes(options.wishes.references))
        key = (id(coarse), plain, tuple(hints), draw.count, draw.seed, region)
        if self._drawn is not None and self._drawn[0] == key:
            return self._drawn[1]
        result = self.colorizer(options).refine(
            coarse,
            Settings(**{**options.settings, "alternatives": draw.count}),
            hints,
            options.read_palette(),
            self.references(options),
            seed=draw.seed,
            region=region,
        )
        if draw.count:
            self._drawn = (key, result)
        return result


def _on_image(result: "Colorization", source: "ColorSource") -> "Colorization":
    """Put the color of another image on an image."""
    from recolor_core.color_from import apply_color

    return apply_color(result, source)


def _on_frame(result: "Colorization", coarse: "Coarse", source: "ColorSource") -> "Colorization":
    """Put the color of another image on a frame, as `recolor_core.colorize_frames` does."""
    import torch

    from recolor_core.color_from import take_color, with_color

    taken = take_color(source, torch.from_numpy(coarse.lightness))
    return with_color(result, taken, torch.from_numpy(result.ab_refined)[None], [source])


def read_reference(image: ColorImage) -> "Reference":
    """A color image as a reference."""
    if image.path:
        from recolor_core.batch.request import read_reference as read

        return read(image.path)
    from recolor_core import Reference

    return Reference(np.asarray(image.rgb), image.name)


def read_color_source(image: ColorImage, index: Index = ()) -> "ColorSource":
    """A color image whose color is put on another one; of a stack, the one at a position."""
    from recolor_core.color_from import ColorSource
    from recolor_core.color_from import read_color_source as read

    if image.path:
        return read(image.path)
    rgb = np.asarray(image.rgb[index])[..., :3]
    if rgb.dtype.kind != "u":
        raise ImageError(
            f"expected an image in color of 8 or 16 bits to take the color from, got {rgb.dtype} "
            f"in “{image.name}”; convert it first"
        )
    return ColorSource(rgb, image.name)


def _state_of(weights: str) -> tuple[int, int] | None:
    """What tells one state of a weights file from another; None for weights that have a name."""
    try:
        status = Path(weights).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def colorize(
    engine: Engine, options: Options, stages: Stages, hints: Hints | None = None
) -> Iterator[Step]:
    """Colorize the images of a request, a step at a time; stop iterating to cancel.

    Parameters
    ----------
    engine
        Kept from run to run.
    options
        How to colorize.
    stages
        Is filled. An image is complete when a step says that it is `finished`.
    hints
        By the image they are for.

    Yields
    ------
    Step
    """
    request = stages.request
    count = len(request.indices)
    _only_our_warnings()
    yield Step(0, count, 0, 1, "starting")
    if _needs_torch(options, request, any((hints or {}).values())):
        _load_torch()
    from recolor_core import Settings

    settings, palette = Settings(**options.settings), options.read_palette()
    yield Step(0, count, 0, 1, "loading the weights")
    colorizer = engine.colorizer(options)
    yield Step(0, count, 0, 1, "reading")
    stages.file, space = file_of(request.source)
    stages.steady = request.time is not None and colorizer.runner.has_memory
    stages.machine = _gpu_name(str(colorizer.device))
    if stages.steady:
        yield from _over_time(engine, options, stages, settings, hints or {}, palette, space)
    else:
        yield from _each(engine, options, stages, hints or {}, space)


def _each(
    engine: Engine,
    options: Options,
    stages: Stages,
    hints: Hints,
    space: "ColorSpace",
) -> Iterator[Step]:
    """Every image by itself."""
    from recolor_core.gray import read_gray

    request = stages.request
    count, stack_levels = len(request.indices), request.stack_levels()
    for number, index in enumerate(request.indices):
        image = request.load(index)
        levels = stack_levels or request.image_levels(image)
        yield Step(number, count, 0, 1, "finding colors")
        coarse = engine.see(request, index, read_gray(image, space, levels), options)
        yield Step(number, count, 0, 1, "refining")
        own = hints.get(index, ())
        result = engine.color(options, coarse, own, options.alternatives, index)
        yield from _fill(stages, number, index, result, levels)


def _over_time(
    engine: Engine,
    options: Options,
    stages: Stages,
    settings: "Settings",
    hints: Hints,
    palette: "Palette | None",
    space: "ColorSpace",
) -> Iterator[Step]:
    """One film after the other, colors kept steady in each."""
    from recolor_core.frames import check_frames, color_frame, look_both_ways
    from recolor_core.guides.film import look_first, see_film
    from recolor_core.hints import MarksInTime

    check_frames(settings, options.passes)
    request, colorizer = stages.request, engine.colorizer(options)
    count, levels = len(request.indices), request.stack_levels()
    number = 0
    for film in request.films():
        given = {at: hints[index] for at, index in enumerate(film) if hints.get(index)}
        guides = None
        if given or options.clean:
            looked = look_first(map(request.load, film), given, space=space, levels=levels)
            for ahead, guides in enumerate(looked, 1):
                if guides is None:
                    yield Step(number, count, 0, 1, f"looking at frame {ahead} of {len(film)}")
        seen = see_film(
            colorizer,
            map(request.load, film),
            settings,
            guides=guides,
            clean=options.clean,
            palette=palette,
            space=space,
            levels=levels,
            references=engine.references(options),
            sources=_Sources(engine, options.wishes.color_from, film),
        )
        both = look_both_ways(colorizer, seen) if options.passes == 2 else seen
        rest, ahead = iter(film), 0
        yield Step(number, count, 0, 1, "finding colors")
        for one in both:
            if one is None:
                ahead += 1
                yield Step(number, count, 0, 1, f"finding colors in frame {ahead} of {len(film)}")
                continue
            index = next(rest)
            coarse, eyes = one.coarse, one.guide.eyes
            if eyes is not None:  # the refiner follows the frame itself
                coarse = replace(coarse, lightness=eyes.lightness.numpy())
            engine.remember(request, index, coarse)
            marks = one.guide.marks or MarksInTime((), ())
            stages.carried[index] = Carried(one.steady.numpy(), marks)
            yield Step(number, count, 0, 1, "refining")
            result = color_frame(colorizer, one, settings, palette).result
            yield from _fill(stages, number, index, result, levels)
            number += 1
            if number < count:
                yield Step(number, count, 0, 1, "finding colors")


class _Sources(Mapping[int, "ColorSource"]):
    """The image whose color each frame of a film takes; it is read once it is needed."""

    def __init__(self, engine: Engine, image: ColorImage | None, film: Sequence[Index]) -> None:
        self._engine, self._image, self._film = engine, image, film

    def __len__(self) -> int:
        return 0 if self._image is None else len(self._film)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __getitem__(self, number: int) -> "ColorSource":
        if self._image is None or not 0 <= number < len(self._film):
            raise KeyError(number)
        return self._engine.color_source(self._image, self._film[number])


def _fill(
    stages: Stages, number: int, index: Index, result: "Colorization", levels: Levels
) -> Iterator[Step]:
    count, total = len(stages.request.indices), stages.fill_steps(result)
    for done, seen in stages.fill(index, result, levels):
        yield Step(number, count, done, total, "coloring", previewed=index if seen else None)
    yield Step(number, count, total, total, "done", finished=index)


def recolor(
    engine: Engine,
    options: Options,
    stages: Stages,
    index: Index,
    hints: Sequence[Mark],
) -> Iterator[Recolored | None]:
    """Color a finished image anew, with other hints.

    The generator is asked again only if what it saw is no longer known.

    Parameters
    ----------
    engine : Engine
        Kept from run to run.
    options : Options
        How to colorize. Alternatives are not made.
    stages : Stages
        Of the finished run. They are read, not changed.
    index : tuple of int
        Of the image.
    hints : sequence of Mark
        All hints of the image.

    Yields
    ------
    Recolored or None
        The new coloring is the last event; every event before it is a chance to end.
    """
    _only_our_warnings()
    coarse = engine.seen(stages.request, index)
    if coarse is None:
        yield None
        coarse = _see_again(engine, options, stages, index)
    yield None
    if hints:
        _load_torch()
    coarse, known = stages.hinted(engine.colorizer(options), options, index, coarse, hints)
    steady = index in stages.carried
    result = engine.color(options, coarse, known, index=index, steady=steady)
    # No event comes before the new colors: a newer request ends this one at an event, and while a
    # slider moves there is always a newer one.
    if stages.has_preview:
        rgb = np.empty((*result.shape, 3), stages.arrays["rgb"].dtype)
        paint_preview(result, rgb)
        preview = Recolored(index, {"rgb": rgb}, result.provenance, len(hints), finished=False)
        yield preview
        for seen in paint(result, result.ab_refined, rgb, stages.in_view):
            yield preview if seen else None
    else:
        rgb = np.concatenate(list(result.strips()))
    arrays = {**_looked_at(result), "rgb": rgb}
    yield Recolored(index, arrays, result.provenance, len(hints), matches=found_in(result))


def alternatives(
    engine: Engine,
    options: Options,
    stages: Stages,
    index: Index,
    hints: Sequence[Mark],
    draw: Draw,
    region: Area | None = None,
) -> Iterator[list[NDArray[np.uint8]] | None]:
    """Make small images of the alternatives of a finished image; full resolutions are not made.

    Parameters
    ----------
    engine, stages, index, hints
        As of `recolor`.
    options : Options
        How to colorize.
    draw : Draw
        How many, and which.
    region : Region or Mask, optional
        Where they differ.

    Yields
    ------
    list of ndarray or None
        (h, w, 3) uint8: the coloring itself, then each alternative. It is the last event; every
        event before it is a chance to end.
    """
    _only_our_warnings()
    coarse = engine.seen(stages.request, index)
    if coarse is None:
        yield None
        coarse = _see_again(engine, options, stages, index)
    yield None
    coarse, known = stages.hinted(engine.colorizer(options), options, index, coarse, hints)
    result = engine.draw(options, coarse, known, draw, region)
    yield [result.take(number).thumbnail(THUMBNAIL) for number in range(draw.count + 1)]


@dataclass(frozen=True)
class Likely:
    """What a place of an image is likely to be.

    Parameters
    ----------
    colors : list of (str, float)
        ``"#rrggbb"`` and its probability, the likeliest first.
    lightness : float
        L* there, in [0, 100].
    """

    colors: list[tuple[str, float]]
    lightness: float


def likely(
    engine: Engine, options: Options, stages: Stages, index: Index, place: tuple[float, float]
) -> Iterator[Likely | None]:
    """Find the likeliest colors of a place of a finished image.

    Parameters
    ----------
    engine, options, stages, index
        As of `recolor`.
    place : (float, float)
        x and y, in pixels of what was colorized.

    Yields
    ------
    Likely or None
        It is the last event; every event before it is a chance to end.
    """
    _only_our_warnings()
    coarse = engine.seen(stages.request, index)
    if coarse is None:
        yield None
        coarse = _see_again(engine, options, stages, index)
    _load_torch()
    import torch
    from torch.nn import functional

    from recolor_core import Settings
    from recolor_core.likely import likely_colors

    height, width = stages.request.size

    def cell(grid: NDArray[np.float32]) -> NDArray[np.float32]:
        rows, columns = grid.shape[-2:]
        y = min(max(int((place[1] + 0.5) * rows / height), 0), rows - 1)
        x = min(max(int((place[0] + 0.5) * columns / width), 0), columns - 1)
        return np.asarray(grid[..., y, x])

    light = float(cell(coarse.lightness[0, 0]))
    probability = functional.softmax(torch.from_numpy(cell(coarse.logits[0])), dim=0)
    chroma = Settings(**options.settings).chroma
    bins = torch.from_numpy(engine.colorizer(options).bins.bins)
    found = likely_colors(probability, bins, light, chroma=chroma)
    yield Likely([(one.color, one.probability) for one in found], light)


@dataclass(frozen=True, eq=False)
class Found:
    """What a reference shows of an image.

    Parameters
    ----------
    name : str
        Of the reference.
    words : str
        How much was matched, or why nothing was.
    places : ndarray
        (N, 2): x and y of each match, in pixels of what was colorized.
    colors : ndarray
        (N, 3) in [0, 1]: the color that each match gives, in sRGB at one lightness.
    """

    name: str
    words: str
    places: NDArray[np.float32]
    colors: NDArray[np.float32]


def found_in(result: "Colorization") -> tuple[Found, ...]:
    """What each reference shows of an image."""
    from recolor_core import lab_to_rgb

    found = []
    for matches in result.matches:
        lab = np.concatenate((np.full((len(matches.ab), 1), 65), matches.ab), axis=1)
        colors = np.asarray(lab_to_rgb(lab.astype(np.float32)[None]))[0].clip(0, 1)
        found.append(Found(matches.reference.name, matches.words, matches.image, colors))
    return tuple(found)


def paint(
    result: "Colorization", ab: NDArray[np.float32], target: NDArray[Any], in_view: tuple[int, int]
) -> Iterator[bool]:
    """Compute the full resolution strip by strip, beginning with the strips in view.

    Parameters
    ----------
    result : Colorization
        The image.
    ab : ndarray
        (2, h, w): its colors.
    target : ndarray
        (H, W, 3): is filled.
    in_view : tuple of int
        The first row that is in view and the last one plus 1.

    Yields
    ------
    bool
        After each strip: whether it was the last one that is in view.
    """
    from recolor_core.full_resolution import strip_tops

    first, last = in_view
    tops = strip_tops(result.shape, first)
    unseen = sum(first < top + 1 <= last for top in tops[1:]) + 1
    for number, (top, strip) in enumerate(zip(tops, result.strips(ab, first), strict=True), 1):
        target[top : top + len(strip)] = strip
        yield number == unseen < len(tops)


def _see_again(engine: Engine, options: Options, stages: Stages, index: Index) -> "Coarse":
    """Run the generator on an image of a finished run."""
    from recolor_core.gray import read_gray

    known = stages.provenance[index]["levels"]
    levels = None if known is None else (known[0], known[1])
    _, space = file_of(stages.request.source)
    gray = read_gray(stages.request.load(index), space, levels)
    return engine.see(stages.request, index, gray, options)


def file_of(source: Source) -> tuple[dict[str, Any] | None, "ColorSpace"]:
    """The file that holds just what a source holds, and what its codes mean.

    napari reads images without their color profile; `recolor_core` knows it. Where a file is
    read otherwise than the layer was, or there is none, the codes are taken for sRGB.

    Returns
    -------
    dict or None
        ``path``, ``sha256`` and ``pages``.
    ColorSpace
        Of the codes.
    """
    from recolor_core.images import open_image
    from recolor_core.lab import SRGB

    # What is read lazily is too large to be read twice.
    if source.path is None or not Path(source.path).is_file() or not _in_memory(source):
        return None, SRGB
    first = source.load((0,) * len(source.leading), source.whole)
    first = first[..., :3] if source.rgb else first
    try:
        with open_image(source.path) as file:
            page = next(iter(file))
            facts = {"path": source.path, "sha256": file.sha256, "pages": len(file)}
    except RecolorError:
        return None, SRGB
    same = page.codes.dtype == first.dtype and np.array_equal(page.codes, first)
    if not same or facts["pages"] != prod(source.leading):
        return None, SRGB
    return facts, page.space


def _gpu_name(device: str) -> str:
    """Return the name of a GPU, such as "NVIDIA H100"; empty for other devices."""
    if not device.startswith("cuda"):
        return ""
    import torch

    return torch.cuda.get_device_name(device)


def _in_memory(source: Source) -> bool:
    return isinstance(source.data, np.ndarray)


def _looked_at(result: "Colorization") -> dict[str, NDArray[Any]]:
    from recolor_core.gray import working_size
    from recolor_core.models.config import SCALE
    from recolor_core.models.processing import upsample
    from recolor_core.resampling import resize

    a, b = result.ab_coarse
    start = upsample(result.ab_coarse, SCALE)
    refined, guide = result.ab_refined, result.working_lightness
    if refined.shape[-1] > start.shape[-1]:  # the color of another image is finer
        size = working_size(result.shape, result.provenance["settings"]["size"])
        refined, guide = resize(refined, size), resize(guide, size)
    height, width = refined.shape[-2:]
    a_refined, b_refined = refined
    begun = np.ascontiguousarray(start[:, :height, :width])
    change = np.hypot(*(refined - begun))
    coarse = replace(result, ab_refined=begun, working_lightness=guide)
    step = preview_step(result.shape, COARSE)
    return {
        "coarse": colors_of_every(step, coarse),
        "a coarse": a,
        "b coarse": b,
        "a refined": a_refined,
        "b refined": b_refined,
        "change": change,
        "uncertainty": result.uncertainty,
    }


def choices(engine: Engine) -> Iterator[tuple[list[str], list[str]]]:
    """Devices of this machine and names of the weights, for menus."""
    _only_our_warnings()
    from recolor_core import list_weights
    from recolor_core.device import available_devices

    yield available_devices(), [record.name for record in list_weights()]


def _needs_torch(options: Options, request: Request, hinted: bool) -> bool:
    """Whether a run uses PyTorch; the quantized networks on a CPU do not."""
    from recolor_core.device import available_devices

    on_gpu = options.device != "cpu" and available_devices() != ["cpu"]
    return on_gpu or hinted or options.runtime == "torch" or request.time is not None


def preload() -> None:
    """Import what napari and the panel need for hints: that takes a large part of a second.

    To be called in a thread, so that the window can answer.
    """
    import pandas  # noqa: F401
    from skimage.color import lab2rgb  # noqa: F401  # skimage imports its modules when asked


def _load_torch() -> None:
    """Import torch without stopping the window.

    Python holds its global lock while it loads a library, and loading PyTorch's takes a large part
    of a second. A call through ctypes does not hold it; the import then finds the library there.
    """
    if "torch" in sys.modules:
        return
    # Threads that wait for each other shall sleep: where other programs run too, and a viewer does,
    # spinning made torch several times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    spec = importlib.util.find_spec("torch")
    if spec is not None and spec.origin is not None and sys.platform != "win32":
        for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
            library = Path(spec.origin).parent / "lib" / name
            if library.exists():
                ctypes.CDLL(None).dlopen(bytes(library), ctypes.c_int(2))  # 2: RTLD_NOW
    import torch  # noqa: F401


def _only_our_warnings() -> None:
    """Of the warnings that napari shows from a thread, let only those through that tell a user."""
    warnings.simplefilter("ignore")
    warnings.simplefilter("always", DeviceWarning)


def failure_of(error: Exception) -> Failure:
    """Describe an error for the user, with a remedy if one is known."""
    text = str(error)
    if isinstance(error, RecolorError):
        return Failure(text)
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return Failure(
            "There is not enough memory for this run. Colorize the visible region or the current "
            "slice, ask for fewer alternatives, or close other layers."
        )
    if isinstance(error, ImportError | OSError) and _from_torch(error):
        return Failure(
            f"PyTorch could not be loaded ({text}). Start napari anew and colorize before other "
            "plugins run; if that does not help, reinstall PyTorch (https://pytorch.org)."
        )
    return Failure(f"{type(error).__name__}: {text}", error)


def _from_torch(error: Exception) -> bool:
    return any(
        "torch" in frame.filename for frame in traceback.extract_tb(error.__traceback__)
    ) or ("torch" in str(error))


def _zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    if prod(shape) * dtype.itemsize <= IN_MEMORY:
        return np.zeros(shape, dtype)
    # The file is gone as soon as nothing holds the array any more.
    return np.memmap(tempfile.TemporaryFile(prefix="recolor-"), dtype, shape=shape)

"""Runs a Colorizer off the GUI thread: generators of events that know no layer and no widget.

PyTorch is imported only here, and only if a run needs it: opening the panel does not wait for it.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_recolor.runs.engine import Engine
from napari_recolor.runs.events import Likely, Looked, Recolored, Step, found_in
from napari_recolor.runs.options import Options
from napari_recolor.runs.pyramid import paint_preview
from napari_recolor.runs.reading import Index
from napari_recolor.runs.source_file import file_of
from napari_recolor.runs.stages import Carried, Levels, Stages, looked_at, paint
from napari_recolor.runs.torch_import import gpu_name, load_torch, needs_torch, only_our_warnings
from napari_recolor.runs.wishes import ColorImage, Draw
from recolor_core.hints import Area, Mark

if TYPE_CHECKING:
    from recolor_core.color_from import ColorSource
    from recolor_core.lab import ColorSpace
    from recolor_core.palette import Palette
    from recolor_core.result import Coarse, Colorization
    from recolor_core.settings import Settings

Hints = Mapping[Index, Sequence[Mark]]
"""The hints of each image."""

THUMBNAIL = 160
"""The longer side of the small images of alternatives, in pixels."""


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
    only_our_warnings()
    yield Step(0, count, 0, 1, "starting")
    if needs_torch(options, request):
        load_torch()
    from recolor_core import Settings

    settings, palette = Settings(**options.settings), options.read_palette()
    yield Step(0, count, 0, 1, "loading the weights")
    colorizer = engine.colorizer(options)
    yield Step(0, count, 0, 1, "reading")
    stages.file, space = file_of(request.source)
    stages.steady = request.time is not None and colorizer.runner.has_memory
    stages.machine = gpu_name(str(colorizer.device))
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
    """Colorize every image by itself."""
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
    """Colorize one film after the other, and keep the colors steady in each."""
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
    """The image whose color each frame of a film takes; each is read when it is needed."""

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
) -> Iterator[Recolored | Looked | None]:
    """Color a finished image anew, with other hints.

    The generator runs again only if its prediction is no longer known. The colors come first, then
    what *Inspect* and the readout show.

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
    Recolored, Looked or None
        The job can be ended at each event. `Looked` is the last one.
    """
    only_our_warnings()
    coarse = yield from _seen(engine, options, stages, index)
    yield None
    coarse, known = stages.hinted(engine.colorizer(options), options, index, coarse, hints)
    steady = index in stages.carried
    result = engine.color(options, coarse, known, index=index, steady=steady)
    # There is no event before the new colors: a newer request ends this one at an event, and while
    # a slider moves there is always a newer one.
    rgb = np.empty((*result.shape, 3), stages.arrays["rgb"].dtype)
    told = (index, rgb, result.provenance, len(hints))
    if stages.has_preview:
        paint_preview(result, rgb)
        preview = Recolored(*told, finished=False)
        yield preview
        for seen in paint(result, result.ab_refined, rgb, stages.in_view):
            yield preview if seen else None
    else:
        list(paint(result, result.ab_refined, rgb, (0, 0)))
    yield Recolored(*told, matches=found_in(result))
    yield Looked(index, looked_at(result))


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
        (h, w, 3) uint8: the coloring itself, then each alternative. This is the last event. The job
        can be ended at each event.
    """
    only_our_warnings()
    coarse = yield from _seen(engine, options, stages, index)
    yield None
    coarse, known = stages.hinted(engine.colorizer(options), options, index, coarse, hints)
    result = engine.draw(options, coarse, known, draw, region)
    yield [result.take(number).thumbnail(THUMBNAIL) for number in range(draw.count + 1)]


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
        This is the last event. The job can be ended at each event.
    """
    only_our_warnings()
    coarse = yield from _seen(engine, options, stages, index)
    from recolor_core import Settings
    from recolor_core.arrays import softmax
    from recolor_core.likely import likely_colors

    height, width = stages.request.size

    def cell(grid: NDArray[np.float32]) -> NDArray[np.float32]:
        rows, columns = grid.shape[-2:]
        y = min(max(int((place[1] + 0.5) * rows / height), 0), rows - 1)
        x = min(max(int((place[0] + 0.5) * columns / width), 0), columns - 1)
        return np.asarray(grid[..., y, x])

    light = float(cell(coarse.lightness[0, 0]))
    probability = softmax(cell(coarse.logits[0]), axis=0)
    chroma = Settings(**options.settings).chroma
    bins = engine.colorizer(options).bins.bins
    found = likely_colors(probability, bins, light, chroma=chroma)
    yield Likely([(one.color, one.probability) for one in found], light)


def _seen(
    engine: Engine, options: Options, stages: Stages, index: Index
) -> Generator[None, None, "Coarse"]:
    """Return the prediction for an image of a finished run; if it is forgotten, make it again."""
    coarse = engine.seen(stages.request, index)
    if coarse is not None:
        return coarse
    yield None
    from recolor_core.gray import read_gray

    known = stages.provenance[index]["levels"]
    levels = None if known is None else (known[0], known[1])
    _, space = file_of(stages.request.source)
    gray = read_gray(stages.request.load(index), space, levels)
    return engine.see(stages.request, index, gray, options)


def choices(engine: Engine) -> Iterator[tuple[list[str], list[str]]]:
    """List the devices of this machine and the names of the weights, for menus."""
    only_our_warnings()
    from recolor_core import list_weights
    from recolor_core.device import available_devices

    yield available_devices(), [record.name for record in list_weights()]

"""What is kept from run to run: the networks, and their last predictions."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_recolor.runs.options import Options
from napari_recolor.runs.reading import Index, Request
from napari_recolor.runs.wishes import ColorImage, Draw, Wishes
from recolor_core.errors import ImageError
from recolor_core.hints import Area, Mark

if TYPE_CHECKING:
    from recolor_core.color_from import ColorSource
    from recolor_core.colorizer import Colorizer
    from recolor_core.gray import GrayImage
    from recolor_core.hints import MarksInTime
    from recolor_core.reference import Reference, Seen
    from recolor_core.result import Coarse, Colorization

REMEMBERED = 4
"""Number of images whose generator output is kept for hints."""


class Engine:
    """What is kept from run to run: the networks, and their last predictions.

    Only one thread at a time may use it.
    """

    def __init__(self) -> None:
        self._key: tuple[Any, ...] | None = None
        self._colorizer: Colorizer | None = None
        self._seen: OrderedDict[tuple[Request, Index], Coarse] = OrderedDict()
        self._references: OrderedDict[tuple[Any, ...], Seen] = OrderedDict()
        self._sources: OrderedDict[tuple[ColorImage, Index], ColorSource] = OrderedDict()
        self._drawn: tuple[Coarse, Any, Colorization] | None = None

    def colorizer(self, options: Options) -> "Colorizer":
        """Load the networks of the weights; they are kept until others are chosen."""
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
        """Keep the prediction for an image of a request, and forget the oldest."""
        self._seen[request, index] = coarse
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def seen(self, request: Request, index: Index) -> "Coarse | None":
        """Return the last prediction for an image of a request, if it is still known."""
        return self._seen.get((request, index))

    def references(self, options: Options) -> "list[Seen]":
        """Return the predictions for the references, in the order of the options."""
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
        """Return the image whose color is put on an image of the request."""
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
        """Color an image from its prediction, with all that is asked for.

        Parameters
        ----------
        options : Options
            With the wishes.
        coarse : Coarse
            The prediction.
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
        """Color an image from its prediction, with alternatives; the last ones are kept."""
        from recolor_core import Settings

        plain = replace(options, wishes=Wishes(options.wishes.references))
        key = (plain, tuple(hints), draw.count, draw.seed, region)
        if self._drawn is not None and self._drawn[0] is coarse and self._drawn[1] == key:
            return self._drawn[2]
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
            self._drawn = (coarse, key, result)
        return result


def _on_image(result: "Colorization", source: "ColorSource") -> "Colorization":
    """Put the color of another image on an image."""
    from recolor_core.color_from import apply_color

    return apply_color(result, source)


def _on_frame(result: "Colorization", coarse: "Coarse", source: "ColorSource") -> "Colorization":
    """Put the color of another image on a frame, as `recolor_core.colorize_frames` does."""
    import torch

    from recolor_core.color_from import mixed, take_color, with_color

    taken = mixed([(take_color(source, torch.from_numpy(coarse.lightness)), 1.0)])
    return with_color(result, taken, torch.from_numpy(result.ab_refined)[None], [source])


def read_reference(image: ColorImage) -> "Reference":
    """Read a color image as a reference."""
    if image.path:
        from recolor_core.batch.request import read_reference as read

        return read(image.path)
    from recolor_core import Reference

    return Reference(np.asarray(image.rgb), image.name)


def read_color_source(image: ColorImage, index: Index = ()) -> "ColorSource":
    """Read an image whose color is put on another one; of a stack, the one at a position."""
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
    """Return what distinguishes states of a weights file; None for weights that have a name."""
    try:
        status = Path(weights).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size

"""The results of a run: filled by the worker, shown by the main thread."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_recolor.runs.events import Found, Looked, Recolored, found_in
from napari_recolor.runs.options import Options
from napari_recolor.runs.pyramid import (
    COARSE,
    colors_of_every,
    is_large,
    paint_preview,
    preview_step,
)
from napari_recolor.runs.reading import Index, Request
from recolor_core.hints import Mark
from recolor_core.settings import Settings

if TYPE_CHECKING:
    from recolor_core.colorizer import Colorizer
    from recolor_core.hints import MarksInTime
    from recolor_core.result import Coarse, Colorization

Levels = tuple[float, float] | None

IN_MEMORY = 2**32
"""Results of more bytes than this lie in a temporary file, which napari reads as it needs it."""


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

    def replace(self, recolored: Recolored) -> None:
        """Take over another coloring of an image that is finished."""
        index, rgb = recolored.index, recolored.rgb
        before = self.provenance[index]
        self.matches[index] = recolored.matches
        if self.has_preview:  # a copy would stop the window
            self.arrays["rgb"] = self.as_shown(rgb)
        else:
            self._slot("rgb", index, rgb.shape, rgb.dtype)[...] = rgb
        kept = {name: before[name] for name in ("levels", "gray_sha256")}
        self.provenance[index] = {**recolored.provenance, **kept}
        if "frames" in before:  # over time, the last hints are the image's own
            frames = {**before["frames"], "given": recolored.given}
            self.provenance[index]["frames"] = frames

    def look(self, looked: Looked) -> None:
        """Take over the other results of an image whose coloring was replaced."""
        for role, values in looked.arrays.items():
            self._slot(role, looked.index, values.shape, values.dtype)[...] = values

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
        marks, coarse = carried.marks.with_given(values), coarse.with_ab(carried.ab)
        if marks.groups:
            settings, palette = Settings(**options.settings), options.read_palette()
            ab = colorizer.coarse_ab(coarse, settings, marks, palette)
            coarse = coarse.with_ab(ab)
        return coarse, marks

    def fill_stages(self, index: Index, result: "Colorization", levels: Levels) -> None:
        """Take over all but the images in color."""
        from recolor_core.digest import digest_codes

        for role, values in looked_at(result).items():
            self._slot(role, index, values.shape, values.dtype)[...] = values
        known = None if levels is None else list(levels)
        self.matches[index] = found_in(result)
        gray = digest_codes(np.asarray(result.gray.codes))
        self.provenance[index] = {**result.provenance, "levels": known, "gray_sha256": gray}

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


def looked_at(result: "Colorization") -> dict[str, NDArray[Any]]:
    """Return all results of an image but the images in color, by role: see `Stages`."""
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


def _zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    if prod(shape) * dtype.itemsize <= IN_MEMORY:
        return np.zeros(shape, dtype)
    # The file is gone as soon as nothing holds the array any more.
    return np.memmap(tempfile.TemporaryFile(prefix="recolor-"), dtype, shape=shape)

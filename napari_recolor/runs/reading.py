"""A layer of the viewer -> the images to colorize, read one at a time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from math import prod
from typing import Any, Literal

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from numpy.typing import NDArray

from recolor_core.errors import ImageError

Index = tuple[int, ...]
"""Position of an image along the axes before height and width."""

Region = tuple[slice, slice]
"""Rows and columns of an image."""

Scope = Literal["slice", "stack", "region"]
LevelMode = Literal["auto", "percentiles", "contrast"]

TIME_NAMES = ("t", "time")
"""Names of axes, in lower case, that are taken for time."""

SAMPLED_IMAGES = 16
"""The levels of a stack are measured in so many of its images, evenly spaced."""

SAMPLED_PIXELS = 2**22
"""... and in about so many pixels of each."""


@dataclass(frozen=True)
class LevelRule:
    """Which values of a layer are black and white.

    Parameters
    ----------
    mode
        ``"auto"``: the full range of uint8, uint16 and bool, [0, 1] for floating point that lies
        within it, percentiles for all else. ``"percentiles"``: always percentiles.
        ``"contrast"``: the contrast limits of the layer.
    low, high
        Percentiles, 0 to 100.
    per
        Whether percentiles are those of the whole ``"stack"`` or of each ``"slice"``.
    """

    mode: LevelMode = "auto"
    low: float = 0.1
    high: float = 99.9
    per: Literal["stack", "slice"] = "stack"


@dataclass(frozen=True, eq=False)
class Source:
    """What a layer holds, taken down at once: what happens to the layer later does not matter.

    Parameters
    ----------
    name
        Of the layer.
    data
        (..., H, W) or, where `rgb`, (..., H, W, 3 or 4): any array-like, at full resolution.
    rgb
        Whether the last axis holds colors.
    axes
        Names of the axes, colors left out.
    contrast_limits
        Of the layer.
    path
        The file that the layer was opened from, where known.
    multiscale
        Whether the layer has smaller versions too.
    """

    name: str
    data: Any
    rgb: bool
    axes: tuple[str, ...]
    contrast_limits: tuple[float, float]
    path: str | None = None
    multiscale: bool = False

    @classmethod
    def of(cls, layer: Layer) -> "Source":
        """The source that a layer is.

        Raises
        ------
        ImageError
            Where its values are no brightness.
        """
        if isinstance(layer, Labels):
            raise ImageError(
                f"“{layer.name}” holds labels: numbers of objects, not brightness. "
                "Choose an image layer."
            )
        if not isinstance(layer, Image):
            raise ImageError(f"“{layer.name}” is no image. Choose an image layer.")
        data = layer.data[0] if layer.multiscale else layer.data
        dtype = np.dtype(data.dtype)
        if dtype.kind not in "biuf":
            raise ImageError(
                f"“{layer.name}” holds {dtype} values, not brightness. Choose an image layer of "
                "real numbers."
            )
        if 0 in data.shape:
            raise ImageError(f"“{layer.name}” is empty: {_times(data.shape)}.")
        path = layer.source.path or layer.metadata.get("sample", {}).get("path")
        return cls(
            layer.name,
            data,
            bool(layer.rgb),
            _axis_names(layer.axis_labels),
            (float(layer.contrast_limits[0]), float(layer.contrast_limits[1])),
            None if path is None else str(path),
            bool(layer.multiscale),
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the values."""
        return np.dtype(self.data.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes, colors left out."""
        return tuple(self.data.shape[:-1] if self.rgb else self.data.shape)

    @property
    def leading(self) -> tuple[int, ...]:
        """Lengths of the axes before height and width."""
        return self.shape[:-2]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of each image."""
        return self.shape[-2], self.shape[-1]

    @property
    def whole(self) -> Region:
        """The region that is the whole image."""
        return slice(0, self.shape[-2]), slice(0, self.shape[-1])

    def load(self, index: Index, region: Region) -> NDArray[Any]:
        """One image, or a region of it, as an array of its own; nothing else is read."""
        return np.array(self.data[(*index, *region)], self.dtype.newbyteorder("="))


@dataclass(frozen=True, eq=False)
class Request:
    """Which images of a source are colorized, and how their values are read.

    Parameters
    ----------
    source
        Where they come from.
    scope
        ``"slice"``, ``"stack"`` or ``"region"``.
    indices
        Of the images, in the order of work.
    region
        The part of every image.
    rule
        What is black and white.
    time
        The axis over which colors are steady; None: every image is colorized by itself.
    """

    source: Source
    scope: Scope
    indices: tuple[Index, ...]
    region: Region
    rule: LevelRule = field(default_factory=LevelRule)
    time: int | None = None

    @property
    def leading(self) -> tuple[int, ...]:
        """Lengths of the leading axes of the result, which keeps all axes of the source."""
        return self.source.leading if self.scope == "stack" else (1,) * len(self.source.leading)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of each image."""
        rows, columns = self.region
        return rows.stop - rows.start, columns.stop - columns.start

    @property
    def origin(self) -> tuple[int, ...]:
        """Return the position in the source of the first pixel of the result."""
        first = (0,) * len(self.leading) if self.scope == "stack" else self.indices[0]
        return (*first, self.region[0].start, self.region[1].start)

    def slot(self, index: Index) -> Index:
        """Return the position of an image in the result."""
        return index if self.scope == "stack" else (0,) * len(index)

    def films(self) -> list[list[Index]]:
        """The images that differ in time alone, in its order; without time each by itself."""
        if self.time is None:
            return [[index] for index in self.indices]
        return [list(film) for _, film in groupby(self.indices, self._beside_time)]

    def _beside_time(self, index: Index) -> Index:
        assert self.time is not None
        return (*index[: self.time], *index[self.time + 1 :])

    def load(self, index: Index) -> NDArray[Any]:
        """One image: (H, W), or (H, W, 3 or 4)."""
        return self.source.load(index, self.region)

    @property
    def measures(self) -> bool:
        """Whether black and white have to be found in the values."""
        rule = self.rule
        return rule.mode == "percentiles" or (
            rule.mode == "auto" and not _has_white(self.source.dtype)
        )

    def stack_levels(self) -> tuple[float, float] | None:
        """Black and white of all images; None where each has its own, or the dtype has them."""
        if self.rule.mode == "contrast":
            low, high = self.source.contrast_limits
            return (low, high) if low < high else (low, low + 1)
        if not self.measures or self.rule.per == "slice":
            return None
        step = max(1, -(-len(self.indices) // SAMPLED_IMAGES))
        return self._measured(self.load(index) for index in sorted(self.indices)[::step])

    def image_levels(self, image: NDArray[Any]) -> tuple[float, float] | None:
        """Black and white of one image, where it has its own."""
        if self.measures and self.rule.per == "slice":
            return self._measured(iter([image]))
        return None

    def _measured(self, images: Iterator[NDArray[Any]]) -> tuple[float, float]:
        samples, within = [], self.rule.mode == "auto" and self.source.dtype.kind == "f"
        for image in images:
            values = image[..., :3] if self.source.rgb else image
            values = values[np.isfinite(values)]
            within = within and (values.size == 0 or (values.min() >= 0 and values.max() <= 1))
            samples.append(values[:: max(1, values.size // SAMPLED_PIXELS)])
        if within:
            return 0.0, 1.0
        sample = np.concatenate(samples)
        if sample.size == 0:
            return 0.0, 1.0
        low, high = np.percentile(sample, [self.rule.low, self.rule.high]).tolist()
        return (low, high) if low < high else (low, low + 1)

    def summary(self) -> str:
        """Describe in a sentence what will be done."""
        source, count = self.source, len(self.indices)
        shape, axes = source.shape, source.axes
        if source.rgb:
            shape, axes = (
                source.data.shape,
                (*axes, "RGB" if source.data.shape[-1] == 3 else "RGBA"),
            )
        what = f"{_times(shape)} {source.dtype}, read as {_times(axes)}: "
        if self.scope == "region":
            rows, columns = self.region
            what += f"the {_times(self.size)} pixels from row {rows.start}, column {columns.start}"
        elif self.scope == "slice" and source.leading:
            what += "1 image"
        else:
            what += "1 image" if count == 1 else f"{count} images"
        if self.scope != "stack" and source.leading:
            where = zip(source.axes, self.indices[0], strict=False)
            what += f" at {', '.join(f'{axis} = {i}' for axis, i in where)}"
        if self.time is not None:
            what += f", colors steady over {source.axes[self.time]}"
        return " ".join([what + ".", self._level_words(), *self._notes()])

    def _level_words(self) -> str:
        rule, dtype = self.rule, self.source.dtype
        kept = "luminance" if self.source.rgb else "gray value"
        if rule.mode == "contrast":
            low, high = self.source.contrast_limits
            return f"Black is {low:g}, white {high:g}: the contrast limits of the layer."
        if not self.measures:
            return f"Every {kept} is kept exactly."
        whole = rule.per == "stack" and len(self.indices) > 1
        percent = (
            f"black and white are the {rule.low:g} and {rule.high:g} percentiles of "
            f"{'the stack' if whole else 'each image' if len(self.indices) > 1 else 'it'}."
        )
        if rule.mode == "auto" and dtype.kind == "f":
            return f"Values from 0 to 1 are kept as they are; if there are others, {percent}"
        return percent.capitalize()

    def _notes(self) -> Iterator[str]:
        source, shape = self.source, self.source.shape
        if not source.rgb and shape[-1] in (3, 4) and len(shape) > 2:
            yield (
                f"The last axis has {shape[-1]} entries: if they are colors, add the layer with "
                "rgb=True."
            )
        elif not source.rgb and len(shape) == 3 and shape[0] in (3, 4):
            yield (
                f"The first axis has {shape[0]} entries: if they are colors, split the stack and "
                "merge it to RGB first."
            )
        gigabytes = self.result_bytes / 2**30
        if gigabytes >= 1:
            yield f"The result takes {gigabytes:.1f} GB."

    @property
    def result_bytes(self) -> int:
        """Memory of the RGB result."""
        return prod(self.leading) * prod(self.size) * 3 * result_itemsize(self.source.dtype)


def make_request(
    layer: Layer, viewer: ViewerModel, scope: Scope, rule: LevelRule, time: int | None = None
) -> Request:
    """What to colorize of a layer, as the viewer shows it now.

    Parameters
    ----------
    layer, viewer, scope, rule
        As of `Request`. Over time all images have the same black and white, or it would flicker.
    time
        The axis of a whole stack over which colors shall be steady, if any.

    Raises
    ------
    ImageError
        Where the layer cannot be colorized, or nothing of it is in view.
    """
    source = Source.of(layer)
    shown = shown_index(layer, viewer, source.leading)
    if scope == "region":
        return Request(source, scope, (shown,), visible_region(layer, viewer, source), rule)
    if scope == "slice" or not source.leading:
        return Request(source, "slice", (shown,), source.whole, rule)
    every = list(np.ndindex(*source.leading))
    if time is None:
        every.remove(shown)  # what is looked at comes first
        return Request(source, "stack", (shown, *every), source.whole, rule)
    request = Request(source, "stack", (), source.whole, replace(rule, per="stack"), time)
    film = request._beside_time(shown)
    every.sort(key=lambda i: (request._beside_time(i) != film, request._beside_time(i), i[time]))
    return replace(request, indices=tuple(every))


def time_axis(axes: tuple[str, ...]) -> int | None:
    """Which of the axes of a source before height and width is called time; None: none of them."""
    names = [axis.lower() for axis in axes[:-2]]
    return next((i for i, name in enumerate(names) if name in TIME_NAMES), None)


def shown_index(layer: Layer, viewer: ViewerModel, leading: tuple[int, ...]) -> Index:
    """Position of the image that is shown, within the layer."""
    if not leading:
        return ()
    position = np.rint(layer.world_to_data(viewer.dims.point))[: len(leading)]
    return tuple(int(i) for i in np.clip(position, 0, np.array(leading) - 1))


def visible_region(layer: Layer, viewer: ViewerModel, source: Source) -> Region:
    """The part of the image that is in view, as a rectangle of pixels.

    Raises
    ------
    ImageError
        Where none of it is.
    """
    displayed = list(viewer.dims.displayed)
    if len(displayed) != 2:
        raise ImageError("The visible region is only known in the 2D view. Switch to it (Ctrl+Y).")
    half = np.array(viewer.canvas.viewbox_size(viewer.layers)) / viewer.scene.camera.zoom / 2
    center = np.array(viewer.scene.camera.center[-2:])
    corners = np.tile(np.array(viewer.dims.point, float), (4, 1))
    corners[:, displayed] = center + half * [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    data = np.array([layer.world_to_data(corner) for corner in corners])[:, -2:]
    size = np.array(source.shape[-2:])
    low = np.clip(np.floor(data.min(axis=0) + 0.5), 0, size).astype(int).tolist()
    high = np.clip(np.ceil(data.max(axis=0) + 0.5), 0, size).astype(int).tolist()
    if low[0] >= high[0] or low[1] >= high[1]:
        raise ImageError(f"Nothing of “{source.name}” is in view. Move it into view (Home).")
    return slice(low[0], high[0]), slice(low[1], high[1])


def result_itemsize(dtype: np.dtype[Any]) -> int:
    """Bytes of a channel of the result; see `recolor_core.gray.read_gray`."""
    if dtype.kind == "f":
        return 8 if dtype.itemsize > 4 else 4
    return min(dtype.itemsize, 2)


def _has_white(dtype: np.dtype[Any]) -> bool:
    """Whether the largest value of a dtype is white by agreement."""
    return dtype.kind == "b" or (dtype.kind == "u" and dtype.itemsize <= 2)


def _axis_names(labels: tuple[str, ...]) -> tuple[str, ...]:
    """The labels of a layer; where it has none, what the axes are taken for."""
    taken_for = (*("stack",) * (len(labels) - 2), "Y", "X")
    return tuple(
        default if re.fullmatch(r"(axis )?-?\d+", label) else label.upper() if len(label) == 1
        else label
        for label, default in zip(labels, taken_for, strict=True)
    )  # fmt: skip


def _times(parts: Any) -> str:
    return " × ".join(str(part) for part in parts)

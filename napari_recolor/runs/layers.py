"""Results -> layers: geometry, names, contrast, colormaps, metadata."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from typing import Any

import numpy as np
from napari.components import LayerList
from napari.layers import Image, Layer
from napari.utils.colormaps import Colormap
from napari.utils.transforms import Affine, CompositeAffine
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_recolor.runs.pyramid import COARSE, first_of, is_large, levels_of, preview_step

KEY = "recolor"
"""Under which a layer's metadata tell what it is."""

CHROMA = ("a coarse", "b coarse", "a refined", "b refined")
"""The results that hold a* or b*."""

ORDER = (
    *("a coarse", "a refined", "uncertainty", "b coarse", "b refined"),
    *("coarse", "rgb", "change"),
)
"""Layers of a run, from the bottom to the top: those shown side by side, in reading order."""

AIR_MS = 20
"""Pause between one layer and the next, in milliseconds: the window can answer its user."""

COARSE_CELL = 4
"""Side of a cell of the coarse ab, in pixels of the working size."""


@dataclass(frozen=True)
class Geometry:
    """Where the pixels of a layer lie in the world; colors are no axis of it."""

    scale: NDArray[np.float64]
    translate: NDArray[np.float64]
    rotate: NDArray[np.float64]
    shear: NDArray[np.float64]
    affine: Affine
    units: tuple[Any, ...]
    axis_labels: tuple[str, ...]

    @classmethod
    def of(cls, layer: Layer) -> "Geometry":
        """The geometry of a layer."""
        values: dict[str, Any] = {}
        for one in fields(cls):
            value = getattr(layer, one.name)
            values[one.name] = value.copy() if isinstance(value, np.ndarray) else value
        return cls(**values)

    def part(self, origin: Iterable[float], step: Iterable[float]) -> "Geometry":
        """The geometry of an array whose pixels are larger, or that is a part.

        Parameters
        ----------
        origin
            Where the center of its first pixel lies, in pixels of this layer.
        step
            Size of its pixels, in pixels of this layer.
        """
        linear = CompositeAffine(
            scale=self.scale, rotate=self.rotate, shear=self.shear, ndim=len(self.scale)
        ).linear_matrix
        scale = self.scale * np.array(list(step), float)
        translate = self.translate + linear @ np.array(list(origin), float)
        changed = {"scale": scale, "translate": translate}
        return Geometry(
            **{f.name: changed.get(f.name, getattr(self, f.name)) for f in fields(self)}
        )

    @property
    def arguments(self) -> dict[str, Any]:
        """For the constructor of a layer."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def covering(
    geometry: Geometry, origin: tuple[int, ...], size: tuple[int, int], grid: tuple[float, float]
) -> Geometry:
    """The geometry of an array that covers a region of a layer with another number of pixels.

    Parameters
    ----------
    geometry
        Of the layer.
    origin
        The first pixel of the region, along all axes.
    size
        Height and width of the region, in pixels of the layer.
    grid
        How many pixels of the array it is high and wide.
    """
    steps = np.array(size, float) / np.array(grid, float)
    # Pixels are told by their centers: half a large pixel lies before the first one's center.
    first = np.array(origin[-2:], float) + steps / 2 - 0.5
    return geometry.part((*origin[:-2], *first), (*(1,) * (len(origin) - 2), *steps))


def every(
    step: int, geometry: Geometry, origin: tuple[int, ...], size: tuple[int, int]
) -> Geometry:
    """Return the geometry of every n-th pixel of a region of a layer.

    Parameters
    ----------
    step : int
        The distance n of the pixels.
    geometry : Geometry
        Of the layer.
    origin : tuple of int
        The first pixel of the region, along all axes.
    size : tuple of int
        Height and width of the region.
    """
    first = [at + first_of(step, length) for at, length in zip(origin[-2:], size, strict=True)]
    return geometry.part((*origin[:-2], *first), (*(1,) * (len(origin) - 2), step, step))


def make_layers(
    arrays: Mapping[str, NDArray[Any]],
    geometry: Geometry,
    origin: tuple[int, ...],
    limits: Mapping[str, float],
    metadata: Mapping[str, Any],
    roles: Iterable[str],
) -> dict[str, Image]:
    """Make layers of a run, by role; no viewer has them yet.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        By role, as `Stages` holds them; they are shown, not copied.
    geometry : Geometry
        The geometry of the source.
    origin : tuple of int
        The pixel of the source at which the results begin.
    limits : mapping of str to float
        By role, as `limits_of` returns them.
    metadata : mapping
        What ``layer.metadata["recolor"]`` tells of the run: ``source``, ``run`` (its number),
        ``id`` and so on. Each layer gets it with its role as ``layer``.
    roles : iterable of str
        The layers to make.

    Returns
    -------
    dict of str to Image
    """
    layers = {}
    for role in roles:
        about = _arguments(role, arrays, geometry, origin, limits, metadata)
        layers[role] = Image(
            name=layer_name(metadata["source"]["layer"], metadata["run"], role),
            visible=role == "rgb",
            multiscale=isinstance(about["data"], list),
            **about,
        )
    return layers


def update_layer(
    layer: Image,
    role: str,
    arrays: Mapping[str, NDArray[Any]],
    geometry: Geometry,
    origin: tuple[int, ...],
    limits: Mapping[str, float],
    metadata: Mapping[str, Any],
) -> None:
    """Show the result of another run in a layer that `make_layers` made.

    The name of the layer, its place in the list, and how it is blended stay as they are.

    Parameters
    ----------
    layer : Image
        The layer.
    role : str
        Its role.
    arrays, geometry, origin, limits, metadata
        As in `make_layers`.
    """
    about = _arguments(role, arrays, geometry, origin, limits, metadata)
    layer.data = about["data"]
    layer.metadata = {**layer.metadata, **about["metadata"]}
    for one in fields(Geometry):
        now, wanted = (np.asarray(x) for x in (getattr(layer, one.name), about[one.name]))
        if now.shape != wanted.shape or not np.all(now == wanted):
            setattr(layer, one.name, about[one.name])
    if not has_colors(role) and layer.contrast_limits != about["contrast_limits"]:
        layer.contrast_limits_range = layer.contrast_limits = about["contrast_limits"]


def _arguments(
    role: str,
    arrays: Mapping[str, NDArray[Any]],
    geometry: Geometry,
    origin: tuple[int, ...],
    limits: Mapping[str, float],
    metadata: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the arguments for the constructor of a layer that follow from the result."""
    array = arrays[role]
    size, working = arrays["rgb"].shape[-3:-1], arrays["a refined"].shape[-2:]
    arguments: dict[str, Any] = {
        "data": shown_data(role, array),
        "metadata": {KEY: {**metadata, "layer": role}},
    }
    if has_colors(role):
        # Otherwise napari stretches what is not uint8.
        white = 1 if array.dtype.kind == "f" else np.iinfo(array.dtype).max
        arguments |= {"rgb": True, "contrast_limits": (0, white)}
        if is_image(role):
            place = covering(geometry, origin, size, size)
        else:
            place = every(preview_step(size, COARSE), geometry, origin, size)
    else:
        # The last coarse cells may extend beyond the image: a cell is always four pixels large.
        cells = (working[0] / COARSE_CELL, working[1] / COARSE_CELL)
        grid = working if array.shape[-2:] == working else cells
        place = covering(geometry, origin, size, grid)
        if role in CHROMA:
            arguments |= {"colormap": chroma_colormap(role[0])}
        else:
            arguments |= {"colormap": "viridis" if role == "uncertainty" else "magma"}
        arguments |= {"contrast_limits": contrast_limits(role, limits[role])}
    return {**arguments, **place.arguments}


def layer_name(source: str, run: int, role: str) -> str:
    """Return the name of a layer: that of the source, the result, and the run unless it is 1."""
    return f"{source} · {title(role)}" + (f" · run {run}" if run > 1 else "")


def insert_quietly(layers: LayerList, index: int, layer: Layer) -> None:
    """Insert a layer and leave the selection as it is.

    napari selects a layer that it inserts. To announce that and then to take it back would take a
    third of the time of an insertion.
    """
    selection = layers.selection
    with selection.events.blocker_all():
        selected = set(selection)
        layers.insert(index, layer)
        selection.clear()
        selection.update(selected)


def remove_in_turns(layers: LayerList, rest: Sequence[Layer]) -> None:
    """Remove layers, each in a turn of the event loop, so that the window can answer meanwhile."""
    present = [layer for layer in rest if layer in layers]
    if present:
        layers.remove(present[0])
        QTimer.singleShot(AIR_MS, partial(remove_in_turns, layers, present[1:]))


def shown_data(role: str, array: NDArray[Any]) -> NDArray[Any] | list[NDArray[Any]]:
    """Return what a layer shows of a result: of large images a pyramid."""
    if is_image(role) and is_large(array.shape[-3:-1]):
        return levels_of(array)
    return array


def layers_of_run(layers: Iterable[Layer], run: str) -> dict[str, Layer]:
    """Those of a viewer's layers that a run made, by role."""
    about = ((layer, layer.metadata.get(KEY, {})) for layer in layers)
    return {tells["layer"]: layer for layer, tells in about if tells.get("id") == run}


def is_result(layer: Layer) -> bool:
    """Whether a run made a layer."""
    return KEY in layer.metadata


def is_image(role: str) -> bool:
    """Whether a result is an image in color."""
    return role == "rgb" or role.startswith("alternative")


def has_colors(role: str) -> bool:
    """Whether a result is shown in its own colors: an image, or what the first network makes."""
    return is_image(role) or role == "coarse"


def title(role: str) -> str:
    """Return what a result is called: "RGB", "a* coarse", "ab change", ..."""
    if role in CHROMA:
        return f"{role[0]}*{role[1:]}"
    return {"rgb": "RGB", "change": "ab change", "coarse": "coarse colors"}.get(role, role)


def limits_of(arrays: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """Up to which value each of the stages is shown, so that all but a few values lie below.

    Coarse and refined a* have the same limit, b* too: they can be compared.
    """
    found = {}
    for role, array in arrays.items():
        if not has_colors(role):
            size = np.abs(array) if role in CHROMA else array
            found[role] = max(1.0, float(np.percentile(size, 99.9)))
    for axis in "ab":
        pair = [role for role in CHROMA if role[0] == axis]
        common = 5 * float(np.ceil(max(found[role] for role in pair) / 5))
        found |= dict.fromkeys(pair, max(10.0, common))
    return found


def contrast_limits(role: str, limit: float) -> list[float]:
    """Return the contrast limits of a stage's layer: symmetric for a* and b*."""
    return [-limit if role in CHROMA else 0.0, limit]


@lru_cache
def chroma_colormap(axis: str) -> Colormap:
    """The colors that a* ("a": green to magenta) or b* ("b": blue to yellow) stand for.

    All have L* = 70, so that only the color tells; zero is neutral gray, and the ends are the most
    colorful that sRGB has at this L*.
    """
    from recolor_core.lab import SRGB, rgb_to_lab, to_rgb

    def colors(values: NDArray[np.float32]) -> NDArray[np.float32]:
        zero = np.zeros_like(values)
        ab = np.stack((values, zero) if axis == "a" else (zero, values))
        # The code of a gray of L* = 70: its luminance is ((70 + 16) / 116)^3.
        luminance = np.full(values.shape, ((70 + 16) / 116) ** 3)
        return to_rgb(SRGB.curve.encode(luminance).astype(np.float32), ab)

    outside = np.array([[-150, 150]], np.float32)  # to_rgb keeps hue and L*, and fits the chroma
    low, high = rgb_to_lab(colors(outside).astype(float))[0, :, "ab".index(axis) + 1].tolist()
    values = np.concatenate((np.linspace(low, 0, 128), np.linspace(0, high, 128)[1:]))
    table = np.clip(colors(values[None].astype(np.float32))[0], 0, 1)
    return Colormap(table, name=f"{axis}*", display_name=f"{axis}*")

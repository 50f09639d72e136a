"""Where layers lie in the pixels of an image, and the colors that they show there."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer
from numpy.typing import NDArray

SIZE = 224
"""The usual working size, in pixels."""

CELL = 4
"""Side of the square for which the networks see one color, in pixels of the working size."""


def image_shape(image: Image) -> tuple[int, int]:
    """Height and width of an image, at full resolution."""
    shape = image.data.shape[:-1] if image.rgb else image.data.shape
    return shape[-2], shape[-1]


def cell_size(image: Image, size: int = SIZE) -> float:
    """Side of a cell of the networks' color grid, in pixels of the image, at least 1."""
    return max(1.0, min(image_shape(image)) * CELL / size)


def data_to_data(source: Layer, target: Layer) -> NDArray[Any]:
    """The matrix that takes homogeneous data coordinates of one layer to those of another.

    It has ``target.ndim + 1`` rows and ``source.ndim + 1`` columns.
    """

    def through(point: NDArray[Any]) -> NDArray[Any]:
        world = np.asarray(source.data_to_world(point), float)
        missing = target.ndim - len(world)
        return np.asarray(target.world_to_data([*np.zeros(max(missing, 0)), *world]), float)

    origin = through(np.zeros(source.ndim))
    columns = [through(unit) - origin for unit in np.eye(source.ndim)]
    matrix = np.zeros((target.ndim + 1, source.ndim + 1))
    matrix[:-1] = np.stack([*columns, origin], axis=1)
    matrix[-1, -1] = 1
    return matrix


def planar(points: NDArray[Any], source: Layer, image: Image) -> NDArray[Any]:
    """Points of a layer in rows and columns of the image, (N, 2)."""
    matrix = data_to_data(source, image)
    moved: NDArray[Any] = points @ matrix[:-1, :-1].T + matrix[:-1, -1]
    return moved[:, -2:]


def place_in(
    marks: Layer, image: Image, index: tuple[int, ...], point: Sequence[float]
) -> tuple[int, ...]:
    """Where an image lies in a layer of marks, along the axes before height and width.

    Parameters
    ----------
    marks : Shapes or Labels
        The layer of marks.
    image : Image
        The image.
    index : tuple of int
        Position of the image along the axes before height and width.
    point : sequence of float
        What the viewer shows, in world coordinates; used for axes that the image does not have.
    """
    world = list(image.data_to_world((*index, 0, 0)))
    extra = marks.ndim - len(world)
    if extra > 0:
        shown = [0.0] * max(0, marks.ndim - len(point)) + list(point)
        world = shown[-marks.ndim :][:extra] + world
    at = marks.world_to_data(world[len(world) - marks.ndim :])
    return tuple(int(i) for i in np.rint(at[:-2]))


def ellipse(box: NDArray[Any]) -> NDArray[Any]:
    """The outline of the ellipse in a box of four corners."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)[:, None]
    across, down = (box[1] - box[0]) / 2, (box[3] - box[0]) / 2
    return box.mean(axis=0) + np.cos(angle) * across + np.sin(angle) * down


def color_at(
    viewer: ViewerModel,
    position: Sequence[float],
    of: Callable[[Layer], bool] = lambda _: True,
) -> str | None:
    """The color of the topmost visible RGB layer at a position of the world.

    Parameters
    ----------
    viewer : ViewerModel
        With the layers.
    position : sequence of float
        World coordinates.
    of : callable
        Which layers count.

    Returns
    -------
    str or None
        ``"#rrggbb"``; None if no such layer is there.
    """
    for layer in reversed(viewer.layers):
        if not (isinstance(layer, Image) and layer.rgb and layer.visible and of(layer)):
            continue
        value: Any = layer.get_value(position, world=True)
        if layer.multiscale and value is not None:
            value = value[1]  # behind the level that it was looked up in
        if value is not None:
            codes = np.asarray(value)[:3]
            top = np.iinfo(codes.dtype).max if codes.dtype.kind in "ui" else 1
            return hex_color(codes / top)
    return None


def hex_color(color: Any) -> str:
    """``"#rrggbb"`` of red, green, blue (and alpha, left out) in [0, 1]."""
    codes = np.rint(np.clip(np.asarray(color, float)[:3], 0, 1) * 255).astype(int)
    return "#{:02x}{:02x}{:02x}".format(*codes)


def hex_rgba(color: str) -> NDArray[Any]:
    """Red, green, blue and alpha in [0, 1] of ``"#rrggbb"``."""
    return np.array([*bytes.fromhex(color.removeprefix("#")), 255]) / 255

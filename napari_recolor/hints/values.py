"""What the layers of an image hint: read, replaced, remembered and restored."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Points

from napari_recolor.hints.label_pixels import LabelPixels
from napari_recolor.hints.mark_layers import MarkLayers
from napari_recolor.hints.mark_styles import labels_state, restore_labels, styles_of
from napari_recolor.hints.marks import (
    limits_of,
    marks_inside,
    marks_of_labels,
    marks_of_points,
    marks_of_shapes,
)
from napari_recolor.hints.placing import image_shape
from napari_recolor.hints.put_marks import (
    fill_points,
    put_masks,
    put_points,
    put_shapes,
    restore_shapes,
    shapes_state,
)
from recolor_core.errors import HintsError
from recolor_core.hints import Hint, Mark, Mask, Region

NOTHING: Any = ((False, ()), (None, ()), (None, ()))
"""The state of an image that has no layers of hints."""


def marks_at(
    layers: MarkLayers, pixels: LabelPixels, index: tuple[int, ...], *, everywhere: bool
) -> list[Mark]:
    """All marks at one image, those outside of it included: points, strokes, regions, then masks.

    Parameters
    ----------
    layers : MarkLayers
        The layers that hold the hints.
    pixels : LabelPixels
        Knows the pixels of the labels, or finds them.
    index : tuple of int
        Position of the image along the axes before height and width.
    everywhere : bool
        Whether 2D shapes and labels count for every image of a stack, or for the one shown.

    Returns
    -------
    list of Hint, Stroke, Region or Mask
        In pixels of the image.

    Raises
    ------
    HintsError
        If a layer holds more than can be hinted.
    """
    image, shapes, labels = layers.image, layers.shapes, layers.labels
    limits: dict[int, Any] = {}
    found: list[Mark] = []
    shown = index == layers.index_shown()
    if shapes is not None and (everywhere or shown or shapes.ndim > 2):
        at = layers.slice_of(shapes, index)
        limits = limits_of(shapes, image, at)
        found += marks_of_shapes(shapes, image, at)
    if labels is not None and (everywhere or shown or labels.ndim > 2):
        found += marks_of_labels(labels, image, layers.slice_of(labels, index), pixels)
    if layers.points_shown:
        found = [*marks_of_points(layers.points, image, index, limits), *found]
    return found


def inside(layers: MarkLayers, marks: Sequence[Mark]) -> list[Mark]:
    """The marks that touch the image; only these are hints."""
    shape = image_shape(layers.image)
    return marks_inside(marks, (slice(0, shape[0]), slice(0, shape[1])), shape)


def put_values(layers: MarkLayers, marks: Sequence[Mark]) -> None:
    """Replace the hints of the image shown.

    Raises
    ------
    HintsError
        If a mask does not fit the image.
    """
    masks = [mark for mark in marks if isinstance(mark, Mask)]
    points = [mark for mark in marks if isinstance(mark, Hint)]
    shapes = [mark for mark in marks if not isinstance(mark, Mask | Hint)]
    shape = image_shape(layers.image)
    for mask in masks:
        if np.shape(mask.pixels) != shape:
            got = " x ".join(map(str, np.shape(mask.pixels)[::-1]))
            raise HintsError(
                f"expected masks of {shape[1]} x {shape[0]} pixels, as the image has, got one "
                f"of {got}; use the hints of this image"
            )
    limits: dict[Any, int] = {}
    known = [style.number for style in styles_of(layers.shapes)] if layers.shapes else []
    for mark in [*points, *shapes]:
        within = mark.points if isinstance(mark, Region) else mark.within
        if within and within not in limits:
            limits[within] = max([0, *known, *limits.values()]) + 1
    index = layers.index_shown()
    put_points(layers.points, index, points, limits)
    if limits or shapes or layers.shapes is not None:
        own_shapes = layers.own_shapes()
        put_shapes(own_shapes, layers.slice_of(own_shapes, index), shapes, limits)
    if masks or layers.labels is not None:
        own_labels = layers.own_labels()
        put_masks(own_labels, layers.slice_of(own_labels, index), masks)


def state_of(layers: MarkLayers) -> Any:
    """Which layers hold hints, all points and shapes, and what labels ask for.

    States can be compared. `restore_state` brings one back.
    """
    shapes, labels = layers.shapes, layers.labels
    return (
        (layers.points_shown, _points_state(layers.points) if layers.points_shown else ()),
        (shapes, () if shapes is None else shapes_state(shapes)),
        (labels, () if labels is None else labels_state(labels)),
    )


def _points_state(layer: Points) -> tuple[Any, ...]:
    return tuple(
        (tuple(point), tuple(color), float(size), style)
        for point, color, size, style in zip(
            layer.data.tolist(),
            layer.face_color.tolist(),
            layer.size,
            styles_of(layer),
            strict=True,
        )
    )


def restore_state(layers: MarkLayers, state: Any) -> None:
    """Bring back what `state_of` gave, layers that were removed since then included."""
    (points_shown, points), (shapes, of_shapes), (labels, of_labels) = state
    layers.restore(points_shown, shapes, labels)
    if points_shown and points != _points_state(layers.points):
        fill_points(layers.points, *([one[i] for one in points] for i in range(4)))
    if shapes is not None and of_shapes != shapes_state(shapes):
        restore_shapes(shapes, of_shapes)
    if labels is not None and of_labels != labels_state(labels):
        restore_labels(labels, of_labels)

"""Puts the marks of `recolor_core.hints` into layers of points, shapes and labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from napari.layers import Labels, Points, Shapes

from napari_recolor.hints.mark_styles import (
    LIMIT,
    LIMIT_SHOWN,
    SYMBOLS,
    Style,
    set_label,
    set_styles,
    shown_color,
    styles_of,
)
from napari_recolor.hints.placing import hex_rgba
from recolor_core.hints import Hint, Mask, Region, Stroke

MASKS = "recolor masks"
"""In the metadata of layers of labels that were made for masks: they are no image to colorize."""


def put_points(
    points: Points, index: tuple[int, ...], hints: Sequence[Hint], limits: Mapping[Any, int]
) -> None:
    """Replace the points of one image of a stack.

    Parameters
    ----------
    points : Points
        Has the geometry of the image.
    index : tuple of int
        Position of the image.
    hints : sequence of Hint
        The new points, in pixels of the image.
    limits : mapping
        The number of the region of each polygon that hints stay within.
    """
    leading = np.rint(points.data[:, :-2]).astype(int)
    kept = ~(leading == np.array(index, int)).all(axis=1)
    new = np.reshape([[*index, hint.y, hint.x] for hint in hints], (-1, points.ndim))
    looks = [_look(hint, limits) for hint in hints]
    styles = [style for style, keep in zip(styles_of(points), kept, strict=True) if keep]
    fill_points(
        points,
        np.concatenate((points.data[kept], new)),
        [*points.face_color[kept], *(color for color, _ in looks)],
        [*points.size[kept], *(2 * hint.radius for hint in hints)],
        [*styles, *(style for _, style in looks)],
    )


def _look(
    mark: Hint | Stroke | Region, limits: Mapping[Any, int]
) -> tuple[tuple[float, ...], Style]:
    """The color in which a mark is shown, and its style."""
    color = tuple(hex_rgba(shown_color(mark.kind, mark.color)))
    if isinstance(mark, Region):
        return color, Style(mark.kind, number=limits.get(mark.points, 0))
    return color, Style(mark.kind, mark.reach, limits.get(mark.within, 0))


def fill_points(
    points: Points,
    data: Any,
    colors: Sequence[Any],
    sizes: Sequence[float],
    styles: Sequence[Style],
) -> None:
    """Replace all points at once: data alone would resize or recolor the selected ones."""
    points.selected_data = set()
    points.data = np.reshape(data, (-1, points.ndim))
    set_styles(points, styles)
    if len(sizes):
        points.face_color = np.array(colors)
        points.size = sizes
        points.symbol = [SYMBOLS.get(style.kind, "disc") for style in styles]
        points.refresh()


def put_shapes(
    shapes: Shapes, at: tuple[int, ...], marks: Sequence[Any], limits: Mapping[Any, int]
) -> None:
    """Replace the shapes of one image of a stack.

    Parameters
    ----------
    shapes : Shapes
        Has the geometry of the image.
    at : tuple of int
        Position of the image.
    marks : sequence of Stroke or Region
        The new shapes, in pixels of the image.
    limits : mapping
        The number of the region of each polygon that hints stay within. Those that are none of
        the regions are added as such.
    """
    kept = [one for one in shapes_state(shapes) if tuple(np.rint(one[1][0][:-2]).astype(int)) != at]
    rest = dict(limits)
    new = []

    def corners(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, ...], ...]:
        return tuple((*at, y, x) for x, y in points)

    for mark in marks:
        color, style = _look(mark, limits)
        if isinstance(mark, Stroke):
            points = mark.points if len(mark.points) > 1 else (*mark.points, *mark.points)
            new.append(("path", corners(points), color, color, 2 * mark.radius, style))
        elif isinstance(mark, Region):
            rest.pop(mark.points, None)
            width = shapes.current_edge_width
            new.append(("polygon", corners(mark.points), color, color, width, style))
    for points, number in rest.items():
        edge, style = tuple(hex_rgba(LIMIT_SHOWN)), Style(LIMIT, number=number)
        width = shapes.current_edge_width
        new.append(("polygon", corners(points), edge, (0.0, 0.0, 0.0, 0.0), width, style))
    restore_shapes(shapes, (*kept, *new))


def put_masks(labels: Labels, at: tuple[int, ...], masks: Sequence[Mask]) -> None:
    """Replace the labels of one image of a stack; of masks that overlap the last one wins."""
    data = np.array(labels.data)
    data[at] = 0
    first = int(data.max()) + 1
    if first + len(masks) > np.iinfo(data.dtype).max:
        data = data.astype(np.int32)
    for number, mask in enumerate(masks, first):
        data[at][np.asarray(mask.pixels) != 0] = number
    labels.data = data
    for number, mask in enumerate(masks, first):
        set_label(labels, number, mask.kind, mask.color)
    labels.selected_label = first


def shapes_state(shapes: Shapes) -> tuple[Any, ...]:
    """All shapes that are drawn to the end, to be compared and restored."""
    drawn = len(shapes.data) - bool(shapes._is_creating)  # the last one is being drawn
    # While a shape is added, napari has more of some of these than of others.
    rows = tuple(
        (kind, tuple(map(tuple, vertices.tolist())), tuple(edge), tuple(face), float(width), style)
        for kind, vertices, edge, face, width, style in zip(
            shapes.shape_type,
            shapes.data,
            shapes.edge_color.tolist(),
            shapes.face_color.tolist(),
            shapes.edge_width,
            styles_of(shapes),
            strict=False,
        )
    )
    return rows[:drawn]


def restore_shapes(shapes: Shapes, state: Sequence[Any]) -> None:
    """Bring back what `shapes_state` gave."""
    shapes.selected_data = set()
    shapes.data = []
    if state:
        kinds, vertices, edges, faces, widths, styles = (
            list(values) for values in zip(*state, strict=True)
        )
        shapes.add(
            [np.array(one) for one in vertices],
            shape_type=kinds,
            edge_color=np.array(edges),
            face_color=np.array(faces),
            edge_width=widths,
        )
        set_styles(shapes, styles)
        shapes.selected_data = set()

"""Layers of points, shapes and labels as the marks of `recolor_core.hints`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Points, Shapes
from numpy.typing import NDArray

from napari_recolor.hints.label_pixels import LabelPixels
from napari_recolor.hints.mark_styles import LIMIT, Style, label_kinds, styles_of
from napari_recolor.hints.placing import data_to_data, ellipse, hex_color, planar
from recolor_core.errors import HintsError
from recolor_core.hints import Hint, Mark, Mask, Region, Stroke

MAX_LABELS = 64
"""The largest number of labels of one image that count as masks."""

_PATHS = ("line", "path")
_FLAT = 1e-9  # of squared pixels: the area below which a polygon is a line


def marks_of_points(
    points: Points, image: Image, index: Sequence[int], limits: Mapping[int, NDArray[Any]]
) -> list[Mark]:
    """The points of one image.

    Parameters
    ----------
    points : Points
        Their disks are what is hinted.
    image : Image
        The image, or the stack of images.
    index : sequence of int
        Position of the image along the axes before height and width.
    limits : mapping of int to ndarray
        The outlines of the regions, (N, 2) as rows and columns, by number.

    Returns
    -------
    list of Hint
        In pixels of the image, those outside of it left out.
    """
    matrix = data_to_data(points, image)
    found: list[Mark] = []
    given = zip(points.data, points.face_color, points.size, styles_of(points), strict=True)
    for point, color, size, style in given:
        position = (matrix @ [*point, 1])[:-1]
        if tuple(np.rint(position[:-2]).astype(int)) == tuple(index):
            x, y = _round(position[-1]), _round(position[-2])
            found.append(Hint(x, y, radius=_round(size / 2), **_asks(style, color, limits)))
    return found


def limits_of(shapes: Shapes, image: Image, at: tuple[int, ...]) -> dict[int, NDArray[Any]]:
    """The outlines of the regions of a layer that hints may stay within, by number."""
    return {
        style.number: outline
        for style, outline, _ in _outlines(shapes, image, at)
        if style.number and outline is not None
    }


def regions_of(shapes: Shapes, image: Image, at: tuple[int, ...]) -> dict[int, Region]:
    """The regions of one image, whatever they ask for, by their position in the layer."""
    return {
        i: Region(_pairs(outline), kind="keep")
        for i, (_, outline, _) in enumerate(_outlines(shapes, image, at))
        if outline is not None
    }


def region_around(
    shapes: Shapes, image: Image, at: tuple[int, ...], place: Sequence[float]
) -> int | None:
    """The smallest region around a place.

    Parameters
    ----------
    shapes : Shapes
        The layer with regions.
    image : Image
        The image.
    at : tuple of int
        Which slice of the layer belongs to the image.
    place : (float, float)
        Row and column in the image.

    Returns
    -------
    int or None
        The position of the region in the layer.
    """
    from skimage.measure import points_in_poly  # napari needs scikit-image too

    around: list[tuple[float, int]] = []
    for i, (_, outline, _) in enumerate(_outlines(shapes, image, at)):
        if outline is not None and points_in_poly([place], outline)[0]:
            around.append((abs(_area(outline)), i))
    return min(around)[1] if around else None


def marks_of_shapes(shapes: Shapes, image: Image, at: tuple[int, ...]) -> list[Mark]:
    """The strokes and regions of one image.

    Lines and paths are strokes of their edge color and width. Polygons, rectangles and ellipses are
    regions of their face color; without one they are strokes along their outline.

    Parameters
    ----------
    shapes : Shapes
        The layer.
    image : Image
        The image.
    at : tuple of int
        Which slice of the layer belongs to the image.

    Returns
    -------
    list of Stroke or Region
        In pixels of the image, those outside of it left out. Strokes come first.
    """
    limits = limits_of(shapes, image, at)
    matrix = data_to_data(shapes, image)
    scale = abs(np.linalg.det(matrix[-3:-1, -3:-1])) ** 0.5
    strokes: list[Mark] = []
    regions: list[Mark] = []
    for i, (style, outline, path) in enumerate(_outlines(shapes, image, at)):
        face, edge = shapes.face_color[i], shapes.edge_color[i]
        if style.kind == LIMIT or (outline is None and path is None):
            continue
        if outline is not None and (style.kind != "color" or face[3] > 0):
            asks = _asks(style, face, {})
            regions.append(Region(_pairs(outline), color=asks["color"], kind=asks["kind"]))
            continue
        line = np.concatenate((outline, outline[:1])) if outline is not None else path
        if style.kind != "color" or edge[3] > 0:
            radius = _round(shapes.edge_width[i] / 2 * scale)
            strokes.append(Stroke(_pairs(line), radius=radius, **_asks(style, edge, limits)))
    return [*strokes, *regions]


def marks_of_labels(
    labels: Labels, image: Image, at: tuple[int, ...], pixels: LabelPixels
) -> list[Mark]:
    """The masks of one image: one for each label, in the color in which it is shown.

    Parameters
    ----------
    labels : Labels
        The layer; it may have other pixels than the image.
    image : Image
        The image.
    at : tuple of int
        Which slice of the layer belongs to the image.
    pixels : LabelPixels
        Knows the pixels of the labels, or finds them.

    Returns
    -------
    list of Mask

    Raises
    ------
    HintsError
        If there are more than `MAX_LABELS` labels.
    """
    shape = labels.data.shape
    if any(not 0 <= i < length for i, length in zip(at, shape, strict=False)):
        return []  # fewer slices than the image has
    numbers, of_label = pixels.of(labels, image, at)
    if len(numbers) > MAX_LABELS:
        raise HintsError(
            f"expected at most {MAX_LABELS} labels as masks of color, got {len(numbers)} in "
            f"“{labels.name}”; choose a layer with fewer labels"
        )
    kinds = label_kinds(labels)
    found: list[Mark] = []
    for label in numbers:
        color, kind = labels.get_color(label), kinds.get(label, "color")
        if kind != "color" or (color is not None and color[3] > 0):
            asks = _asks(Style(kind), color, {})
            found.append(Mask(of_label[label], color=asks["color"], kind=asks["kind"]))
    return found


def marks_inside(
    marks: Iterable[Mark], region: tuple[slice, slice], shape: tuple[int, int]
) -> list[Mark]:
    """Marks in pixels of an image, in pixels of a part of it; those outside are left out.

    Parameters
    ----------
    marks : iterable of Mark
        In pixels of the image.
    region : (slice, slice)
        Rows and columns of the part.
    shape : (int, int)
        Height and width of the image.
    """
    rows, columns = region
    whole = (rows.start, columns.start, rows.stop, columns.stop) == (0, 0, *shape)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    found: list[Mark] = []
    for mark in marks:
        moved = mark if whole else _moved(mark, region)
        if _touches(moved, height, width):
            found.append(moved)
    return found


def _outlines(
    shapes: Shapes, image: Image, at: tuple[int, ...]
) -> Iterable[tuple[Style, NDArray[Any] | None, NDArray[Any] | None]]:
    """Of each shape its style, and its outline or its path, as rows and columns of the image.

    Shapes of other slices, and polygons that have no area while they are drawn, have neither.
    """
    for i, (vertices, style) in enumerate(zip(shapes.data, styles_of(shapes), strict=True)):
        if tuple(np.rint(vertices[0, :-2]).astype(int)) != at:
            yield style, None, None
            continue
        place = planar(vertices, shapes, image)
        kind = shapes.shape_type[i]
        if kind in _PATHS:
            yield style, None, place
        elif len(place) < 3 or abs(_area(place)) < _FLAT:
            yield style, None, None
        else:
            yield style, ellipse(place) if kind == "ellipse" else place, None


def _asks(style: Style, color: Any, limits: Mapping[int, NDArray[Any]]) -> dict[str, Any]:
    limit = limits.get(style.within)
    return {
        "color": hex_color(color) if style.kind == "color" else "",
        "kind": style.kind,
        "reach": style.reach,
        "within": () if limit is None else _pairs(limit),
    }


def _pairs(rows_columns: NDArray[Any] | None) -> tuple[tuple[float, float], ...]:
    """Corners as (x, y), without those that repeat the one before."""
    assert rows_columns is not None
    pairs = [(_round(x), _round(y)) for y, x in rows_columns]
    return tuple(pair for i, pair in enumerate(pairs) if i == 0 or pair != pairs[i - 1])


def _round(number: Any) -> float:
    return round(float(number), 3)


def _area(outline: NDArray[Any]) -> float:
    y, x = outline.T
    return float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


def _moved(mark: Mark, region: tuple[slice, slice]) -> Mark:
    rows, columns = region
    if isinstance(mark, Mask):
        return replace(mark, pixels=mark.pixels[region])

    def move(points: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
        return tuple((x - columns.start, y - rows.start) for x, y in points)

    if isinstance(mark, Hint):
        x, y = mark.x - columns.start, mark.y - rows.start
        return replace(mark, x=x, y=y, within=move(mark.within))
    if isinstance(mark, Stroke):
        return replace(mark, points=move(mark.points), within=move(mark.within))
    return replace(mark, points=move(mark.points))


def _touches(mark: Mark, height: int, width: int) -> bool:
    if isinstance(mark, Mask):
        return bool(np.any(mark.pixels))
    x, y = np.array([(mark.x, mark.y)] if isinstance(mark, Hint) else mark.points).T
    edge = 0.5
    return bool(
        x.max() >= -edge and y.max() >= -edge
        and x.min() <= width - edge and y.min() <= height - edge
    )  # fmt: skip

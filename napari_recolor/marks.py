"""Layers of points, shapes and labels as the marks of `recolor_core.hints`, and back.

What a mark asks for, beside its color, is in the features of its layer: one row for each point or
shape, and one for each label.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_recolor.label_pixels import LabelPixels
from napari_recolor.placing import (
    data_to_data,
    ellipse,
    hex_color,
    hex_rgba,
    planar,
)
from recolor_core.errors import HintsError
from recolor_core.hints import Hint, Mark, Mask, Region, Stroke

LIMIT = "limit"
"""The kind of a region that colors nothing: hints in it that stay "only here" do not leave it."""

GRAY_SHOWN, KEEP_SHOWN = "#808080", "#ffffff"
"""The colors in which marks of the kinds *gray* and *keep* are shown."""

LIMIT_SHOWN = "#ffd000"
"""The color of the outline of a region that only limits hints."""

MASKS = "recolor masks"
"""In the metadata of layers of labels that were made for masks: they are no image to colorize."""

MAX_LABELS = 64
"""The largest number of labels of one image that count as masks."""

SYMBOLS = {"color": "disc", "keep": "square", "gray": "diamond"}
"""The symbol that points of each kind are drawn with."""

_TYPES = (("kind", object), ("reach", float), ("within", int), ("number", int))
_PATHS = ("line", "path")
_FLAT = 1e-9  # of squared pixels: the area below which a polygon is a line


@dataclass(frozen=True)
class Style:
    """What a mark asks for, beside its color.

    Parameters
    ----------
    kind : {"color", "keep", "gray", "limit"}
        As in `recolor_core.hints`; `LIMIT` is for regions.
    reach : float
        From 0 to 1; of points and strokes.
    within : int
        The number of the region that the mark does not leave; 0 for none.
    number : int
        Of a region, for `within`; 0 if it has none yet.
    """

    kind: str = "color"
    reach: float = 0.5
    within: int = 0
    number: int = 0


def styles_of(layer: Points | Shapes) -> list[Style]:
    """The style of each point or shape of a layer; a layer of other origin has the default."""
    table = layer.features
    known = [name for name in asdict(Style()) if name in table.columns]
    rows = table[known].to_dict("records") if known else []
    count = len(layer.data)  # while shapes are added, napari has more of one than of the other
    return [_style(row) for row in [*rows, *[{}] * count][:count]]


def next_style(layer: Points | Shapes) -> Style:
    """The style of the next point or shape of a layer."""
    return _style(_defaults(layer))


def set_styles(layer: Points | Shapes, styles: Sequence[Style]) -> None:
    """Give each point or shape of a layer its style; other features stay."""
    import pandas as pd  # takes a large part of a second

    rows = [asdict(style) for style in styles]
    ours = pd.DataFrame({n: pd.Series([row[n] for row in rows], dtype=t) for n, t in _TYPES})
    others = layer.features[[name for name in layer.features.columns if name not in ours.columns]]
    before = _defaults(layer)
    layer.features = pd.concat([others.reset_index(drop=True), ours], axis=1)
    layer.feature_defaults = {**_defaults(layer), **asdict(Style()), **before}


def set_next_style(layer: Points | Shapes, style: Style) -> None:
    """Set the style of the next point or shape of a layer."""
    if not set(asdict(style)) <= set(layer.features.columns):
        set_styles(layer, styles_of(layer))
    layer.feature_defaults = {**_defaults(layer), **asdict(style)}


def _defaults(layer: Points | Shapes) -> dict[str, Any]:
    table = layer.feature_defaults
    return {name: table[name].iloc[0] for name in table.columns}


def label_kinds(labels: Labels) -> dict[int, str]:
    """What kind of mark each label is; labels that are not in it are of kind ``"color"``."""
    table = labels.features
    if not {"index", "kind"} <= set(table.columns):
        return {}
    return {int(i): str(kind) for i, kind in zip(table["index"], table["kind"], strict=True)}


def set_label(labels: Labels, label: int, kind: str, color: str) -> None:
    """Set what a label asks for, and the color in which it is shown."""
    import pandas as pd

    kinds = label_kinds(labels) | {label: kind}
    labels.features = pd.DataFrame({"index": list(kinds), "kind": list(kinds.values())})
    shown: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
    before = labels.colormap
    if isinstance(before, DirectLabelColormap):
        shown = dict(before.color_dict)
    else:
        shown |= {int(i): labels.get_color(int(i)) for i in np.unique(labels.data) if i}
    shown[label] = hex_rgba(shown_color(kind, color))
    labels.colormap = DirectLabelColormap(color_dict=shown)


def labels_state(labels: Labels) -> tuple[Any, ...]:
    """What the labels of a layer ask for, and their colors, to be compared and restored."""
    shown = labels.colormap
    colors = shown.color_dict if isinstance(shown, DirectLabelColormap) else {}
    return (
        tuple(sorted(label_kinds(labels).items())),
        tuple((label, tuple(map(float, color))) for label, color in colors.items()),
    )


def restore_labels(labels: Labels, state: tuple[Any, ...]) -> None:
    """Bring back what `labels_state` gave."""
    import pandas as pd

    kinds, colors = dict(state[0]), dict(state[1])
    labels.features = pd.DataFrame({"index": list(kinds), "kind": list(kinds.values())})
    if colors:
        labels.colormap = DirectLabelColormap(color_dict=colors)


def shown_color(kind: str, color: str) -> str:
    """The color in which a mark is shown."""
    return {"keep": KEEP_SHOWN, "gray": GRAY_SHOWN, LIMIT: LIMIT_SHOWN}.get(kind, color)


# --- layers -> marks ------------------------------------------------------------------------------


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


def _style(row: Mapping[str, Any]) -> Style:
    """Read a row of features, whatever a user may have put there."""
    style = Style()
    kind = row.get("kind")
    if isinstance(kind, str) and kind in (*SYMBOLS, LIMIT):
        style = replace(style, kind=kind)
    reach = row.get("reach", style.reach)
    if isinstance(reach, int | float) and 0 <= reach <= 1:
        style = replace(style, reach=float(reach))
    numbers: dict[str, Any] = {}
    for name in ("within", "number"):
        value = row.get(name, 0)
        if isinstance(value, int | float | np.integer) and value == value:
            numbers[name] = int(value)
    return replace(style, **numbers)


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


# --- marks -> layers ------------------------------------------------------------------------------


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
    colors = [hex_rgba(shown_color(hint.kind, hint.color)) for hint in hints]
    styles = [style for style, keep in zip(styles_of(points), kept, strict=True) if keep]
    fill_points(
        points,
        np.concatenate((points.data[kept], new)),
        [*points.face_color[kept], *colors],
        [*points.size[kept], *(2 * hint.radius for hint in hints)],
        [*styles, *(Style(h.kind, h.reach, limits.get(h.within, 0)) for h in hints)],
    )


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
    shapes: Shapes, at: tuple[int, ...], marks: Sequence[Mark], limits: Mapping[Any, int]
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
        if isinstance(mark, Stroke):
            points = mark.points if len(mark.points) > 1 else (*mark.points, *mark.points)
            color = tuple(hex_rgba(shown_color(mark.kind, mark.color)))
            style = Style(mark.kind, mark.reach, limits.get(mark.within, 0))
            new.append(("path", corners(points), color, color, 2 * mark.radius, style))
        elif isinstance(mark, Region):
            color = tuple(hex_rgba(shown_color(mark.kind, mark.color)))
            style = Style(mark.kind, number=rest.pop(mark.points, 0))
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
    """All shapes, to be compared and restored."""
    return tuple(
        (kind, tuple(map(tuple, vertices.tolist())), tuple(edge), tuple(face), float(width), style)
        for kind, vertices, edge, face, width, style in zip(
            shapes.shape_type,
            shapes.data,
            shapes.edge_color.tolist(),
            shapes.face_color.tolist(),
            shapes.edge_width,
            styles_of(shapes),
            strict=True,
        )
    )


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


def numbered(shapes: Shapes) -> list[Style]:
    """Give every region a number, and return the styles of all shapes."""
    styles = styles_of(shapes)
    taken = {style.number for style in styles}
    used: set[int] = set()
    for i, style in enumerate(styles):
        if not style.number or style.number in used:  # a copy has that of its original
            new = next(n for n in range(1, len(styles) + len(taken) + 2) if n not in taken)
            styles[i] = replace(style, number=new)
            taken.add(new)
        used.add(styles[i].number)
    if styles != styles_of(shapes):
        set_styles(shapes, styles)
    return styles


def is_layer_of_marks(layer: Layer) -> bool:
    """Whether a layer can hold strokes, regions or masks."""
    return isinstance(layer, Shapes | Labels)

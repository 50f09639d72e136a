"""Color hints: the points of a layer, and strokes, as `recolor_core` takes them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.utils.colormaps.standardize_color import transform_color
from numpy.typing import NDArray
from psygnal import Signal
from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from recolor_core import Hint

Value = tuple[float, float, str, float]
"""x, y, color and radius of a hint: what `recolor_core.Hint` takes, without importing torch."""

QUIET_MS = 25
"""A change is told when so many milliseconds have passed without a further one."""

SIZE = 224
"""The usual working size, in pixels."""

CELL = 4
"""The networks see one cell of color for so many pixels of the working size, across and down."""

WHEEL_STEP = 1.15
"""A step of the mouse wheel makes a hint so much larger or smaller."""

FIRST_COLOR = "#c08040"
_GEOMETRY = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
_HINT_EVENTS = ("data", "face_color", "current_face_color", "size", "current_size")
_STROKE_EVENTS = (
    *("data", "paint", "labels_update", "colormap", "selected_label"),
    *("set_data", "edge_color", "face_color", "edge_width", "scale", "translate", "affine"),
)
_PATHS = ("line", "path")


class HintLayer:
    """A Points layer over an image: each point is a hint, its face color the color hinted.

    What a disk covers is hinted, so a hint's size is its reach. Points may be added, moved,
    recolored, resized and deleted with napari's own tools. The layer follows the image's scale,
    rotation and so on.

    Parameters
    ----------
    viewer
        Where the layer is added.
    image
        The image, 2D or a stack of images along its leading axes; RGB or gray.

    A right click on a hint removes it, and the wheel over a hint resizes it.

    Attributes
    ----------
    layer
        The Points layer.
    changed
        Emitted once after changes that alter the hints of the image shown.
    closed
        Emitted when the layer was removed from the viewer.
    eyedropper_changed
        Emitted with whether the eyedropper is on.
    """

    changed = Signal()
    closed = Signal()
    eyedropper_changed = Signal(bool)

    def __init__(self, viewer: ViewerModel, image: Image) -> None:
        self.viewer, self.image = viewer, image
        self._size = SIZE
        self.layer = Points(
            np.empty((0, image.ndim)),
            ndim=image.ndim,
            name="Color hints",
            size=2 * cell_size(image),  # a disk of about four cells
            face_color=FIRST_COLOR,
            border_color="white",
            border_width=0.15,
            canvas_size_limits=(12, 10000),  # small hints stay visible and can be grabbed
            **{name: getattr(image, name) for name in _GEOMETRY},
        )
        viewer.add_layer(self.layer)
        self.layer.mode = "add"
        self._strokes: Labels | Shapes | None = None
        self._mode_before = ""
        self._told: list[Value] = []
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(QUIET_MS)
        self._timer.timeout.connect(self._tell)
        for name in _HINT_EVENTS:
            self.layer.events[name].connect(self._touch)
        self.layer.events.features.connect(self._deselect_added)  # the last event of adding a point
        self.layer.mouse_drag_callbacks.insert(0, self._on_layer_press)  # before napari's own
        self.layer.mouse_wheel_callbacks.append(self._on_wheel)
        for name in _GEOMETRY:
            if name in image.events:
                image.events[name].connect(self._follow)
        viewer.dims.events.current_step.connect(self._touch)
        viewer.layers.events.removed.connect(self._on_removed)

    def close(self) -> None:
        """Stop watching; the layer stays where it is."""
        self.eyedropper = False
        self.strokes = None
        self._timer.stop()
        for name in _HINT_EVENTS:
            self.layer.events[name].disconnect(self._touch)
        self.layer.events.features.disconnect(self._deselect_added)
        if self._on_wheel in self.layer.mouse_wheel_callbacks:
            self.layer.mouse_drag_callbacks.remove(self._on_layer_press)
            self.layer.mouse_wheel_callbacks.remove(self._on_wheel)
        for name in _GEOMETRY:
            if name in self.image.events:
                self.image.events[name].disconnect(self._follow)
        self.viewer.dims.events.current_step.disconnect(self._touch)
        self.viewer.layers.events.removed.disconnect(self._on_removed)

    # --- what is hinted -----------------------------------------------------------------------

    def values(self, index: Sequence[int] | None = None, everywhere: bool = True) -> list[Value]:
        """The hints of one image as plain numbers, points first, then strokes.

        Parameters
        ----------
        index
            Position of the image along the axes before height and width; None for the one shown.
        everywhere
            Whether strokes of a 2D layer count for every image of a stack, or for the one shown.

        Returns
        -------
        list of (x, y, color, radius)
            In pixels of the image. Points outside of it are left out.
        """
        index = self._index_shown() if index is None else tuple(index)
        matrix = data_to_data(self.layer, self.image)
        colors = self.layer.face_color
        found: list[Value] = []
        for point, color, size in zip(self.layer.data, colors, self.layer.size, strict=True):
            position = (matrix @ [*point, 1])[:-1]
            if tuple(np.rint(position[:-2]).astype(int)) == index:
                found.append((position[-1], position[-2], hex_color(color), size / 2))
        flat = self._strokes is not None and self._strokes.ndim == 2
        if self._strokes is not None and (everywhere or not flat or index == self._index_shown()):
            found += stroke_values(
                self._strokes, self.image, index, self.viewer.dims.point, self._size
            )
        height, width = image_shape(self.image)
        return [
            (round(float(x), 3), round(float(y), 3), color, round(float(radius), 3))
            for x, y, color, radius in found
            if -0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5
        ]

    def hints(self, index: Sequence[int] | None = None) -> "list[Hint]":
        """The hints of one image; the parameters are those of `values`."""
        from recolor_core import Hint

        return [Hint(*value) for value in self.values(index)]

    def save(self, path: str | Path) -> None:
        """Write the hints of the image shown into a file that the command takes too."""
        from recolor_core.hints import write_hints

        write_hints(path, self.hints())

    def load(self, path: str | Path) -> None:
        """Replace the points of the image shown by the hints of a file.

        Raises
        ------
        recolor_core.HintsError
            If it is no file of hints, or has others than points of color.
        """
        from recolor_core.errors import HintsError
        from recolor_core.hints import Hint, read_hints

        marks = read_hints(path)
        hints = [mark for mark in marks if isinstance(mark, Hint) and mark.kind == "color"]
        if len(hints) < len(marks):
            raise HintsError(
                f"expected points with a color, got {len(marks) - len(hints)} other hints in "
                f"{path}; use the file with the command"
            )
        index = self._index_shown()
        leading = np.rint(self.layer.data[:, :-2]).astype(int)
        kept = ~(leading == np.array(index, int)).all(axis=1)
        points = [[*index, hint.y, hint.x] for hint in hints]
        data = np.concatenate((self.layer.data[kept], np.reshape(points, (-1, self.layer.ndim))))
        colors = [*self.layer.face_color[kept], *(hex_rgba(hint.color) for hint in hints)]
        sizes = [*self.layer.size[kept], *(2 * hint.radius for hint in hints)]
        self._put(data, colors, sizes)

    def _put(self, data: Any, colors: Sequence[Any], sizes: Sequence[float]) -> None:
        """Replace all points at once: data alone would resize or recolor the selected ones."""
        self.layer.selected_data = set()
        self.layer.data = np.reshape(data, (-1, self.layer.ndim))
        if len(sizes):
            self.layer.face_color = np.array(colors)
            self.layer.size = sizes

    @property
    def size(self) -> int:
        """The working size: strokes hint every cell of color that the networks see at it."""
        return self._size

    @size.setter
    def size(self, size: int) -> None:
        self._size = size
        self._touch()

    def state(self) -> Any:
        """All points and, of a Shapes layer, all strokes; to be compared and restored."""
        layer, strokes = self.layer, self._strokes
        points = tuple(
            (tuple(point), tuple(color), float(size))
            for point, color, size in zip(
                layer.data.tolist(), layer.face_color.tolist(), layer.size, strict=True
            )
        )
        return points, strokes, _shapes_state(strokes) if isinstance(strokes, Shapes) else ()

    def restore(self, state: Any) -> None:
        """Bring back what `state` gave."""
        points, strokes, shapes = state
        self._put(*([one[i] for one in points] for i in range(3)))
        if isinstance(strokes, Shapes) and strokes in self.viewer.layers:
            _restore_shapes(strokes, shapes)

    # --- colors -------------------------------------------------------------------------------

    @property
    def color(self) -> str:
        """``"#rrggbb"`` of the next hint; setting it also recolors selected hints."""
        return hex_color(transform_color(self.layer.current_face_color)[0])

    @color.setter
    def color(self, color: str) -> None:
        self.layer.current_face_color = color

    @property
    def eyedropper(self) -> bool:
        """Whether the next click takes the color of the RGB layer under it."""
        return bool(self._mode_before)

    @eyedropper.setter
    def eyedropper(self, on: bool) -> None:
        if on == self.eyedropper:
            return
        if on:
            self._mode_before = str(self.layer.mode)
            self.layer.mode = "pan_zoom"  # or the click would add a hint
            self.viewer.layers.selection.active = self.layer
            self.viewer.cursor.style = "crosshair"
            self.viewer.mouse_drag_callbacks.append(self._on_press)
        else:
            self.viewer.mouse_drag_callbacks.remove(self._on_press)
            self.viewer.cursor.style = "standard"
            selected = set(self.layer.selected_data)
            self.layer.mode, self._mode_before = self._mode_before, ""
            if self.layer.mode == "select":
                self.layer.selected_data = selected
        self.eyedropper_changed.emit(on)

    # --- the mouse ----------------------------------------------------------------------------

    def _deselect_added(self) -> None:
        """A point that was just added is selected: the next color would be its color, too."""
        if self.layer.mode == "add":
            self.layer.selected_data = set()

    def _on_layer_press(self, layer: Points, event: Any) -> Iterator[None]:
        """A right click removes the hint under it."""
        if event.button != 2 or self.eyedropper:
            return
        mode, layer.mode = str(layer.mode), "pan_zoom"  # or the click would add a hint
        index = self._hint_at(event.position)
        yield
        dragged = False
        while event.type == "mouse_move":
            dragged = True
            yield
        layer.mode = mode
        if index is not None and not dragged:
            layer.selected_data = {index}
            layer.remove_selected()

    def _on_wheel(self, layer: Points, event: Any) -> None:
        """The wheel over a hint resizes it; elsewhere it zooms."""
        index = self._hint_at(event.position)
        if index is None:
            return
        event.handled = True
        sizes = np.array(layer.size, float)
        sizes[index] *= WHEEL_STEP ** float(event.delta[1])
        sizes[index] = np.clip(sizes[index], 1, 2 * max(image_shape(self.image)))
        layer.size = sizes

    def _hint_at(self, position: Sequence[float]) -> int | None:
        index = self.layer.get_value(position, world=True)
        return None if index is None else int(index)

    def _on_press(self, viewer: ViewerModel, event: Any) -> Iterator[None]:
        color = color_at(viewer, event.position) if event.button == 1 else None
        if color is not None:
            self.color = color
        # Only when the button is up again: the layer's own tool has not seen this click then.
        yield
        while event.type == "mouse_move":
            yield
        if color is not None:
            self.eyedropper = False

    # --- strokes ------------------------------------------------------------------------------

    @property
    def strokes(self) -> Labels | Shapes | None:
        """A layer whose strokes count as hints too, in the colors they are shown in."""
        return self._strokes

    @strokes.setter
    def strokes(self, layer: Labels | Shapes | None) -> None:
        if layer is not None and not isinstance(layer, Labels | Shapes):
            raise TypeError(f"expected a Labels or Shapes layer for strokes, got {layer!r}")
        for watched, act in ((self._strokes, "disconnect"), (layer, "connect")):
            if watched is not None:
                for name in set(_STROKE_EVENTS).intersection(watched.events):
                    getattr(watched.events[name], act)(self._touch)
        self._strokes = layer
        self._touch()

    # --- events -------------------------------------------------------------------------------

    def _touch(self) -> None:
        self._timer.start()

    def _tell(self) -> None:
        values = self.values()
        if values != self._told:
            self._told = values
            self.changed.emit()

    def _follow(self) -> None:
        for name in _GEOMETRY:
            setattr(self.layer, name, getattr(self.image, name))
        self._touch()

    def _on_removed(self, event: Any) -> None:
        if event.value is self._strokes:
            self.strokes = None
        if event.value is self.layer:
            self.close()
            self.closed.emit()

    def _index_shown(self) -> tuple[int, ...]:
        if self.image.ndim == 2:
            return ()
        position = self.image.world_to_data(self.viewer.dims.point)
        return tuple(int(i) for i in np.rint(position[:-2]))


def stroke_values(
    strokes: Labels | Shapes,
    image: Image,
    index: tuple[int, ...],
    point: Sequence[float] = (),
    size: int = SIZE,
) -> list[Value]:
    """What strokes hint: one hint for each cell of the networks' color grid that they touch.

    Parameters
    ----------
    strokes : Labels or Shapes
        Labels hint the color that each label is shown in. Of Shapes, lines, paths and outlines
        hint their edge color, filled ones their face color. A 2D layer counts for every image of a
        stack.
    image : Image
        The image.
    index : tuple of int
        Position of the image along the axes before height and width.
    point : sequence of float
        What the viewer shows, in world coordinates: decides about axes that the image has not.
    size : int
        The working size, in pixels.
    """
    at = _place_in(strokes, image, index, point)
    cell = cell_size(image, size)
    if isinstance(strokes, Labels):
        return _label_values(strokes, image, at, cell)
    return _shape_values(strokes, image, at, cell)


def _place_in(
    strokes: Layer, image: Image, index: tuple[int, ...], point: Sequence[float]
) -> tuple[int, ...]:
    """Where an image lies in a layer of strokes, along the axes before height and width."""
    world = list(image.data_to_world((*index, 0, 0)))
    extra = strokes.ndim - len(world)
    if extra > 0:
        shown = [0.0] * max(0, strokes.ndim - len(point)) + list(point)
        world = shown[-strokes.ndim :][:extra] + world
    at = strokes.world_to_data(world[len(world) - strokes.ndim :])
    return tuple(int(i) for i in np.rint(at[:-2]))


def _label_values(labels: Labels, image: Image, at: tuple[int, ...], cell: float) -> list[Value]:
    shape = labels.data.shape
    if any(not 0 <= i < length for i, length in zip(at, shape, strict=False)):
        return []  # fewer slices than the image has
    plane = np.asarray(labels.data[at])
    rows, columns = np.nonzero(plane)
    if not len(rows):
        return []
    ids = plane[rows, columns]
    points = np.empty((len(rows), labels.ndim))
    points[:, :-2], points[:, -2], points[:, -1] = at, rows, columns
    yx = _planar(points, labels, image)
    values: list[Value] = []
    for label in np.unique(ids):
        color = labels.get_color(int(label))
        if color is not None and color[3] > 0:
            values += _per_cell(yx[ids == label], image, hex_color(color), cell)
    return values


def _shape_values(shapes: Shapes, image: Image, at: tuple[int, ...], cell: float) -> list[Value]:
    values: list[Value] = []
    for i, vertices in enumerate(shapes.data):
        if tuple(np.rint(vertices[0, :-2]).astype(int)) != at:
            continue
        outline = _planar(vertices, shapes, image)
        kind = shapes.shape_type[i]
        if kind == "ellipse":
            outline = _ellipse(outline)
        if kind not in _PATHS:
            outline = np.concatenate((outline, outline[:1]))
        points, color = _along(outline, cell / 4), shapes.edge_color[i]
        if kind not in _PATHS and shapes.face_color[i][3] > 0:
            points, color = np.concatenate((points, _inside(outline, cell))), shapes.face_color[i]
        if color[3] > 0:
            values += _per_cell(points, image, hex_color(color), cell)
    return values


def _shapes_state(shapes: Shapes) -> Any:
    return tuple(
        (kind, tuple(map(tuple, vertices.tolist())), tuple(edge), tuple(face), float(width))
        for kind, vertices, edge, face, width in zip(
            shapes.shape_type,
            shapes.data,
            shapes.edge_color.tolist(),
            shapes.face_color.tolist(),
            shapes.edge_width,
            strict=True,
        )
    )


def _restore_shapes(shapes: Shapes, state: Any) -> None:
    shapes.selected_data = set()
    shapes.data = []
    if state:
        kinds, vertices, edges, faces, widths = (
            list(values) for values in zip(*state, strict=True)
        )
        shapes.add(
            [np.array(one) for one in vertices],
            shape_type=kinds,
            edge_color=np.array(edges),
            face_color=np.array(faces),
            edge_width=widths,
        )
        shapes.selected_data = set()


def _per_cell(yx: NDArray[Any], image: Image, color: str, cell: float) -> list[Value]:
    """The mean of the points in each cell, as a hint of no radius: it marks exactly that cell."""
    height, width = image_shape(image)
    within = (yx >= -0.5).all(axis=1) & (yx <= (height - 0.5, width - 0.5)).all(axis=1)
    yx = yx[within]
    cells = np.floor((yx + 0.5) / cell).astype(int)
    _, which, count = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    which = which.ravel()
    y, x = (np.bincount(which, yx[:, axis], len(count)) / count for axis in (0, 1))
    return [(x_, y_, color, 0.0) for x_, y_ in zip(x, y, strict=True)]


def _along(line: NDArray[Any], step: float) -> NDArray[Any]:
    """Points on a polyline, not further apart than `step`."""
    lengths = np.linalg.norm(np.diff(line, axis=0), axis=1)
    at = np.concatenate(([0.0], np.cumsum(lengths)))
    wanted = np.linspace(0, at[-1], max(2, int(np.ceil(at[-1] / step)) + 1))
    return np.stack([np.interp(wanted, at, line[:, axis]) for axis in (0, 1)], axis=1)


def _inside(outline: NDArray[Any], cell: float) -> NDArray[Any]:
    """Points of a grid, two by two to a cell, that lie within a polygon."""
    from skimage.measure import points_in_poly  # napari needs scikit-image too

    low, high = outline.min(axis=0), outline.max(axis=0)
    axes = [np.arange(low[axis], high[axis] + cell / 2, cell / 2) for axis in (0, 1)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    return grid[points_in_poly(grid, outline)]


def _ellipse(box: NDArray[Any]) -> NDArray[Any]:
    """The outline of the ellipse in a box of four corners."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)[:, None]
    across, down = (box[1] - box[0]) / 2, (box[3] - box[0]) / 2
    return box.mean(axis=0) + np.cos(angle) * across + np.sin(angle) * down


def color_at(viewer: ViewerModel, position: Sequence[float]) -> str | None:
    """The color of the topmost visible RGB layer at a position of the world, or None."""
    for layer in reversed(viewer.layers):
        if not (isinstance(layer, Image) and layer.rgb and layer.visible):
            continue
        value: Any = layer.get_value(position, world=True)
        if layer.multiscale and value is not None:
            value = value[1]  # behind the level that it was looked up in
        if value is not None:
            codes = np.asarray(value)[:3]
            top = np.iinfo(codes.dtype).max if codes.dtype.kind in "ui" else 1
            return hex_color(codes / top)
    return None


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


def _planar(points: NDArray[Any], source: Layer, image: Image) -> NDArray[Any]:
    """Points of a layer in rows and columns of the image, (N, 2)."""
    matrix = data_to_data(source, image)
    moved: NDArray[Any] = points @ matrix[:-1, :-1].T + matrix[:-1, -1]
    return moved[:, -2:]


def hex_color(color: Any) -> str:
    """``"#rrggbb"`` of red, green, blue (and alpha, left out) in [0, 1]."""
    codes = np.rint(np.clip(np.asarray(color, float)[:3], 0, 1) * 255).astype(int)
    return "#{:02x}{:02x}{:02x}".format(*codes)


def hex_rgba(color: str) -> NDArray[Any]:
    """Red, green, blue and alpha in [0, 1] of ``"#rrggbb"``."""
    return np.array([*bytes.fromhex(color.removeprefix("#")), 255]) / 255

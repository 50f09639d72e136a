"""Before and after at once: the source left of a line on the canvas, the result right of it."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer
from numpy.typing import NDArray
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_recolor.connections import Connections
from napari_recolor.runs.layers import insert_quietly
from napari_recolor.runs.reading import Source, visible_region
from napari_recolor.views.clipping import ClippedLayers
from recolor_core.errors import ImageError

BEFORE = "recolor before"
"""In the metadata of the layer that stands in for a removed source: it is no image to colorize."""

GRIP = 8
"""The line can be taken within this distance, in pixels of the screen."""


class Wipe:
    """Shows a result only right of a line that the mouse can move, and its source left of it.

    No layer is added or changed for that: the result is clipped, so that what lies below it is
    seen. To insert and remove a layer would stop the window for half a second.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer of the two layers.

    Attributes
    ----------
    changed : Signal
        Emitted with `active` when it starts and when it stops, also if it stops because one of the
        two layers was removed.
    """

    changed = Signal(bool)

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self._clipped = ClippedLayers(viewer)
        self._connections = Connections()
        self._result: Image | None = None
        self._source: Layer | None = None
        self._uncovered = False  # whether the source was hidden before
        self._column = 0
        self._cursor: str | None = None  # the style of the cursor away from the line

    @property
    def active(self) -> bool:
        """Whether part of a result is clipped."""
        return self._result is not None

    @property
    def column(self) -> int:
        """The number of columns of the result left of the line, from 0 to all."""
        return self._column

    @column.setter
    def column(self, column: float) -> None:
        if self._result is not None:
            column = int(np.clip(round(column), 0, _width(self._result)))
            if column != self._column:
                self._column = column
                self._clip()

    def start(self, result: Image, source: Image) -> None:
        """Clip a result at the middle of what is in view.

        Parameters
        ----------
        result : Image
            A layer of the viewer.
        source : Image
            The layer that it was made from. If it was removed from the viewer, a copy of it is
            there as long as this is active.
        """
        self.stop()
        layers, dims, grid = self.viewer.layers, self.viewer.dims, self.viewer.canvas.grid
        if result not in layers:
            return
        dims.ndisplay, grid.enabled = 2, False
        self._result, self._source = result, source
        if source not in layers:
            data, meta, _ = source.as_layer_data_tuple()
            meta |= {"name": f"{source.name} · before", "metadata": {BEFORE: True}}
            self._source = Layer.create(data, {**meta, "visible": True}, "image")
            insert_quietly(layers, layers.index(result), self._source)
        self._uncovered, self._source.visible = not self._source.visible, True
        self._column = self._middle(result)
        self._clip()
        connect = self._connections.connect
        connect(layers.events.removed, self._on_removed)
        connect(layers.events.inserted, self._clip)
        connect(layers.events.reordered, self._clip)
        connect(dims.events.order, self._clip)
        connect(dims.events.ndisplay, self._on_view)
        connect(grid.events.enabled, self._on_view)
        self.viewer.mouse_drag_callbacks.append(self._on_press)
        self.viewer.mouse_move_callbacks.append(self._on_move)
        self.changed.emit(True)

    def _middle(self, result: Image) -> int:
        """Return the column in the middle of what is in view of the result."""
        source = Source.of(result)
        try:
            _, columns = visible_region(result, self.viewer, source)
        except ImageError:  # nothing of it is in view
            columns = source.whole[1]
        return (columns.start + columns.stop) // 2

    def stop(self) -> None:
        """Show the whole result again."""
        if self._result is None:
            return
        source, self._result, self._source = self._source, None, None
        self._connections.close()
        self.viewer.mouse_drag_callbacks.remove(self._on_press)
        self.viewer.mouse_move_callbacks.remove(self._on_move)
        self._point(False)
        self._clipped.clip((), (0, 0), (1, 0))
        if source is not None and source in self.viewer.layers:
            if BEFORE in source.metadata:  # not while napari is still removing another layer
                QTimer.singleShot(0, partial(self._remove, source))
            elif self._uncovered:
                source.visible = False
        self.changed.emit(False)

    def _remove(self, layer: Layer) -> None:
        if layer in self.viewer.layers:
            self.viewer.layers.remove(layer)

    def _clip(self, _: Any = None) -> None:
        """Clip the upper one of the two layers, and all images between them.

        If the user has moved the source above the result, the right side of the source is clipped.
        """
        line, layers = self._line(), self.viewer.layers
        if line is None or self._source is None or self._result is None:
            return
        point, normal = line
        first, last = layers.index(self._source), layers.index(self._result)
        if first > last:
            first, last, normal = last, first, -normal
        images = [layer for layer in layers[first + 1 : last + 1] if isinstance(layer, Image)]
        self._clipped.clip(images, point[::-1], normal[::-1])

    def _line(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Return a point of the line and the direction across it, toward larger columns.

        Both are in the displayed coordinates of the world. None if the columns are no displayed
        axis.
        """
        result, displayed = self._result, self.viewer.dims.displayed
        if result is None or len(displayed) != 2:
            return None

        def world(row: float, column: float) -> NDArray[np.float64]:
            pixel = result.world_to_data(self.viewer.dims.point).copy()
            pixel[-2:] = row, column
            position = np.zeros(self.viewer.dims.ndim)
            position[-result.ndim :] = result.data_to_world(pixel)
            return position[list(displayed)]

        point = world(0, self._column - 0.5)
        (y, x), right = world(1, self._column - 0.5) - point, world(0, self._column + 0.5) - point
        across = np.array((-x, y)) / (np.hypot(x, y) or 1)
        side = across @ right
        return None if side == 0 else (point, across * np.sign(side))

    def _on_removed(self, event: Any) -> None:
        if event.value in (self._source, self._result):
            self.stop()
        else:
            self._clip()

    def _on_view(self, _: Any = None) -> None:
        """Stop in 3D, where there is no left and right, and in a grid, where nothing is covered."""
        if self.viewer.dims.ndisplay != 2 or self.viewer.canvas.grid.enabled:
            self.stop()

    # --- the mouse ----------------------------------------------------------------------------

    def _on_move(self, viewer: ViewerModel, event: Any) -> None:
        """Show where the line can be taken."""
        self._point(self._distance(event.position) <= GRIP)

    def _point(self, at_line: bool) -> None:
        """Give the cursor the form of a hand, or the form that it had before."""
        cursor = self.viewer.cursor
        if at_line and cursor.style != "pointing":
            self._cursor, cursor.style = str(cursor.style), "pointing"
        elif not at_line and self._cursor is not None:
            if cursor.style == "pointing":
                cursor.style = self._cursor
            self._cursor = None

    def _on_press(self, viewer: ViewerModel, event: Any) -> Iterator[None]:
        """Move the line; neither the camera nor the tool of a layer follows the mouse meanwhile."""
        if event.button != 1 or self._distance(event.position) > GRIP:
            return
        active: Any = viewer.layers.selection.active
        mode, pan = getattr(active, "mode", None), viewer.scene.camera.mouse_pan
        if mode is not None:
            active.mode = "pan_zoom"
        viewer.scene.camera.mouse_pan = False
        yield
        while event.type == "mouse_move":
            if self._result is not None:
                self.column = self._result.world_to_data(event.position)[-1] + 0.5
            yield
        if mode is not None:
            active.mode = mode
        viewer.scene.camera.mouse_pan = pan

    def _distance(self, position: Any) -> float:
        """Return the distance from the line, in pixels of the screen."""
        line = self._line()
        if line is None:
            return np.inf
        point, normal = line
        at = np.array(position, float)[list(self.viewer.dims.displayed)]
        return float(abs((at - point) @ normal)) * self.viewer.scene.camera.zoom


def _width(layer: Image) -> int:
    return int(Source.of(layer).shape[-1])

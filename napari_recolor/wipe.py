"""Before and after at once: the source left of a line on the canvas, the result right of it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer
from psygnal import Signal

from napari_recolor.layers import insert_quietly
from napari_recolor.pyramid import is_large, levels_of
from napari_recolor.reading import Source, visible_region
from recolor_core.errors import ImageError

BEFORE = "recolor before"
"""In the metadata of the layer that covers the left of a result: it is no image to colorize."""

GRIP = 8
"""The line can be taken within this distance, in pixels of the screen."""


class Wipe:
    """Covers the left of a result with its source, up to a line that the mouse can move.

    The cover is a layer of the viewer, cut at the line. napari has no clipping of images in 2D.

    Parameters
    ----------
    viewer : ViewerModel
        Gets the layer.

    Attributes
    ----------
    changed : Signal
        Emitted with `active` when it starts and when it stops, also if it stops because one of the
        two layers was removed.
    """

    changed = Signal(bool)

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self._result: Image | None = None
        self._source: Image | None = None
        self._cover: Image | None = None
        self._column = 0

    @property
    def active(self) -> bool:
        """Whether a result is covered in part."""
        return self._cover is not None

    @property
    def column(self) -> int:
        """The number of columns of the source left of the line, at least 1."""
        return self._column

    @column.setter
    def column(self, column: float) -> None:
        if self._source is None or self._cover is None:
            return
        column = int(np.clip(round(column), 1, _width(self._source)))
        if column != self._column:
            self._column = column
            self._cover.data = _cut(self._source, column)

    def start(self, result: Image, source: Image) -> None:
        """Cover a result, up to the middle of what is in view.

        Parameters
        ----------
        result : Image
            A layer of the viewer.
        source : Image
            The layer that it was made from; it need not be in the viewer.
        """
        self.stop()
        layers = self.viewer.layers
        if result not in layers:
            return
        self.viewer.dims.ndisplay = 2
        self._result, self._source = result, source
        self._column = self._middle(result, source)
        data, meta, _ = source.as_layer_data_tuple()
        data = _cut(source, self._column)
        meta |= {
            "name": f"{source.name} · before",
            "metadata": {BEFORE: True},
            "visible": True,
            "multiscale": isinstance(data, list),
        }
        cover = self._cover = Layer.create(data, meta, "image")
        box = cover.bounding_box
        box.lines, box.points, box.line_color, box.line_thickness = True, False, "white", 2
        insert_quietly(layers, layers.index(result) + 1, cover)
        box.visible = True
        layers.events.removed.connect(self._on_removed)
        self.viewer.dims.events.ndisplay.connect(self._on_ndisplay)
        self.viewer.mouse_drag_callbacks.append(self._on_press)
        self.viewer.mouse_move_callbacks.append(self._on_move)
        self.changed.emit(True)

    def _middle(self, result: Image, source: Image) -> int:
        """Return the column of the source in the middle of what is in view of the result."""
        try:
            _, columns = visible_region(result, self.viewer, Source.of(result))
        except ImageError:  # nothing of it is in view, or it is shown in 3D
            columns = Source.of(result).whole[1]
        shape = result.data.shape[:-1]
        middle = (columns.start + columns.stop - 1) / 2
        world = result.data_to_world((*(0,) * (len(shape) - 2), shape[-2] / 2, middle))
        return int(np.clip(round(source.world_to_data(world)[-1] + 0.5), 1, _width(source)))

    def stop(self) -> None:
        """Take the cover away."""
        cover, self._cover, self._result, self._source = self._cover, None, None, None
        if cover is None:
            return
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.viewer.dims.events.ndisplay.disconnect(self._on_ndisplay)
        self.viewer.mouse_drag_callbacks.remove(self._on_press)
        self.viewer.mouse_move_callbacks.remove(self._on_move)
        if self.viewer.cursor.style == "pointing":
            self.viewer.cursor.style = "standard"
        if cover in self.viewer.layers:
            self.viewer.layers.remove(cover)
        self.changed.emit(False)

    def _on_removed(self, event: Any) -> None:
        if event.value in (self._cover, self._result):
            self.stop()

    def _on_ndisplay(self, _: Any = None) -> None:
        """Stop in 3D, where there is no left and right; napari crashes there over the cover."""
        if self.viewer.dims.ndisplay != 2:
            self.stop()

    # --- the mouse ----------------------------------------------------------------------------

    def _on_move(self, viewer: ViewerModel, event: Any) -> None:
        """Show where the line can be taken."""
        near = self._distance(event.position) <= GRIP
        if near and viewer.cursor.style == "standard":
            viewer.cursor.style = "pointing"
        elif not near and viewer.cursor.style == "pointing":
            viewer.cursor.style = "standard"

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
            if self._source is not None:
                self.column = self._source.world_to_data(event.position)[-1] + 0.5
            yield
        if mode is not None:
            active.mode = mode
        viewer.scene.camera.mouse_pan = pan

    def _distance(self, position: Any) -> float:
        """Return the distance from the line, in pixels of the screen."""
        source = self._source
        if source is None or len(self.viewer.dims.displayed) != 2:
            return np.inf
        at = np.array(source.world_to_data(position), float)
        on_line = at.copy()
        on_line[-1] = self._column - 0.5
        apart = np.subtract(source.data_to_world(at), source.data_to_world(on_line))
        return float(np.linalg.norm(apart)) * self.viewer.scene.camera.zoom


def _width(layer: Image) -> int:
    shape = layer.data.shape[:-1] if layer.rgb else layer.data.shape
    return int(shape[-1])


def _cut(layer: Image, columns: int) -> Any:
    """Return the data of a layer left of a column; of a large image as a pyramid."""
    if layer.multiscale:
        width = _width(layer)
        shares = [(level, level.shape[-2 if layer.rgb else -1]) for level in layer.data]
        return [_left(layer, x, max(1, round(columns * share / width))) for x, share in shares]
    data = _left(layer, layer.data, columns)
    rows = -3 if layer.rgb else -2
    # By the whole image, because a layer that is no pyramid cannot become one.
    if isinstance(data, np.ndarray) and is_large(layer.data.shape[rows:][:2]):
        return levels_of(data, rows)
    return data


def _left(layer: Image, data: Any, columns: int) -> Any:
    return data[..., :columns, :] if layer.rgb else data[..., :columns]

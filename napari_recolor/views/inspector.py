"""Looks at some layers side by side, and gives the view back afterwards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_recolor.runs.layers import AIR_MS

SPACING = 4
"""Distance between the cells of the grid, in pixels of the screen."""


@dataclass(frozen=True)
class _View:
    """The camera, order, visibility, and selection of a viewer."""

    order: tuple[Layer, ...]
    visible: dict[Layer, bool]
    selected: frozenset[Layer]
    camera: dict[str, Any]
    grid: dict[str, Any]
    dims: dict[str, Any]


class Inspector:
    """Shows layers in napari's grid, under one camera, and hides all others.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer whose view is arranged.

    Attributes
    ----------
    changed : Signal
        Emitted with `active` when it starts and when it stops, also if it stops because the last of
        the layers was removed.
    """

    changed = Signal(bool)

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self._before: _View | None = None
        self._shown: list[Layer] = []
        self._turns: Iterator[None] | None = None  # layers that are still to be shown

    @property
    def active(self) -> bool:
        """Whether layers are being inspected."""
        return self._before is not None

    @property
    def complete(self) -> bool:
        """Whether all of the layers are shown."""
        return self.active and self._turns is None

    def start(self, layers: Sequence[Layer], columns: int = 0) -> None:
        """Arrange layers side by side, one after the other.

        napari builds the programs that draw a layer when it first draws it, so each layer is shown
        in a turn of the event loop of its own.

        Parameters
        ----------
        layers : sequence of Layer
            In reading order. Those that are not in the viewer are left out.
        columns : int
            Number of columns of the grid; 0 for that in which the layers are shown largest.
        """
        shown = [layer for layer in layers if layer in self.viewer.layers]
        if shown:
            self._turns = self._arrange(shown, columns)
            self._take_turn(self._turns)

    def _take_turn(self, turns: Iterator[None]) -> None:
        if turns is not self._turns:  # it was stopped, or other layers are shown
            return
        try:
            next(turns)
        except StopIteration:
            self._turns = None
        else:
            QTimer.singleShot(AIR_MS, partial(self._take_turn, turns))

    def _arrange(self, shown: list[Layer], columns: int) -> Iterator[None]:
        """Arrange the first layer, then one more at each step."""
        self._shown = list(shown)
        if self._before is None:
            self._before = _look(self.viewer)
            self.viewer.layers.events.removed.connect(self._on_removed)
        for layer in shown:  # those that came since
            self._before.visible.setdefault(layer, layer.visible)
        columns = min(columns, len(shown)) or _best_columns(self.viewer, shown)
        rows = -(-len(shown) // columns)
        with self.viewer.layers.batched_update():
            self.viewer.dims.ndisplay = 2
            for layer in self.viewer.layers:
                layer.visible = layer is shown[0]
            # napari fills the grid from the top left with the visible layers, in their order.
            if shown != [layer for layer in self.viewer.layers if layer in shown]:
                hidden = [layer for layer in self.viewer.layers if layer not in shown]
                sort_layers(self.viewer, [*shown, *hidden])
            self.viewer.canvas.grid.update(
                {"stride": 1, "shape": (rows, columns), "spacing": SPACING}
            )
        self.changed.emit(True)
        yield
        with self.viewer.layers.batched_update():  # a turn of its own: napari makes the cells
            self.viewer.canvas.grid.enabled = True
            # Before each cell has a camera that follows.
            self.viewer.fit_to_view(layers=self._shown)
        yield
        if self.viewer.layers.selection.active not in shown:
            self.viewer.layers.selection.active = shown[0]
        for layer in shown[1:]:
            yield
            if layer in self._shown:  # it may have been removed
                layer.visible = True

    def close(self) -> None:
        """Show no more layers; the view stays as it is."""
        self._turns = None

    def stop(self) -> None:
        """Give the view back: order, visibility, selection, grid, dims and camera.

        Layers that came in the meantime stay as they are, on top of those before.
        """
        self._turns = None
        before, self._shown = self._before, []
        if before is None:
            return
        viewer = self.viewer
        viewer.layers.events.removed.disconnect(self._on_removed)
        new = [layer for layer in viewer.layers if layer not in before.order]
        old = [layer for layer in before.order if layer in viewer.layers]
        with viewer.layers.batched_update():
            viewer.canvas.grid.update(before.grid)
            for layer, visible in before.visible.items():
                layer.visible = visible
            if old != [layer for layer in viewer.layers if layer in old]:
                sort_layers(viewer, [*old, *new])
        self._before = None
        if viewer.dims.ndim == before.dims["ndim"]:
            viewer.dims.update(before.dims)
        viewer.layers.selection = before.selected.intersection(viewer.layers)
        viewer.scene.camera.update(before.camera)  # last: dims and grid move it
        self.changed.emit(False)

    def _on_removed(self, event: Any) -> None:
        if event.value in self._shown:
            self._shown.remove(event.value)
            if not self._shown:
                self.stop()


def _best_columns(viewer: ViewerModel, shown: Sequence[Layer]) -> int:
    """Return the number of columns in which layers side by side are largest on the canvas."""
    low, high = shown[0].extent.world[:, -2:]
    height, width = np.maximum(high - low, 1e-9)
    canvas_height, canvas_width = viewer.canvas.size

    def scale(columns: int) -> float:
        rows = -(-len(shown) // columns)
        return float(min(canvas_height / rows / height, canvas_width / columns / width))

    return max(range(1, len(shown) + 1), key=scale)


def _look(viewer: ViewerModel) -> _View:
    camera, grid, dims = viewer.scene.camera, viewer.canvas.grid, viewer.dims
    return _View(
        order=tuple(viewer.layers),
        visible={layer: layer.visible for layer in viewer.layers},
        selected=frozenset(viewer.layers.selection),
        camera={name: getattr(camera, name) for name in ("center", "zoom", "angles")},
        grid={name: getattr(grid, name) for name in ("stride", "shape", "spacing", "enabled")},
        dims={name: getattr(dims, name) for name in ("ndim", "ndisplay", "order", "point")},
    )


def sort_layers(viewer: ViewerModel, order: Sequence[Layer]) -> None:
    """Move the layers of a viewer into an order, from the bottom to the top."""
    for target, layer in enumerate(order):
        index = viewer.layers.index(layer)
        if index != target:
            viewer.layers.move(index, target)

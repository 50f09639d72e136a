"""Looks at some layers side by side, and gives the view back afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari.components import ViewerModel
from napari.layers import Layer
from psygnal import Signal

SPACING = 4  # between the viewboxes, in pixels of the screen


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
    viewer
        Whose view is arranged.

    Attributes
    ----------
    changed
        Emitted with `active` when it starts and when it stops, by itself too: where the last of the
        layers was removed.
    """

    changed = Signal(bool)

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self._before: _View | None = None
        self._shown: list[Layer] = []

    @property
    def active(self) -> bool:
        """Whether layers are being inspected."""
        return self._before is not None

    def start(self, layers: Sequence[Layer], columns: int = 0) -> None:
        """Arrange layers side by side.

        Parameters
        ----------
        layers
            In reading order. Those that are not in the viewer are left out.
        columns
            Of the grid; 0 leaves the shape to napari.
        """
        shown = [layer for layer in layers if layer in self.viewer.layers]
        if not shown:
            return
        self.stop()
        self._before = _look(self.viewer)
        self._shown = shown
        self.viewer.layers.events.removed.connect(self._on_removed)

        # Off first and on last: with the grid on, every layer that moves builds it anew.
        self.viewer.canvas.grid.enabled = False
        # napari fills the grid from the top left in the order of the list.
        others = [layer for layer in self.viewer.layers if layer not in shown]
        _sort(self.viewer, [*shown, *others])
        self.viewer.dims.ndisplay = 2
        for layer in self.viewer.layers:
            layer.visible = layer in shown
        columns = min(columns, len(shown)) or -1
        rows = -(-len(shown) // columns) if columns > 0 else -1
        self.viewer.canvas.grid.update(
            {"stride": 1, "shape": (rows, columns), "spacing": SPACING, "enabled": True}
        )
        self.viewer.layers.selection.active = shown[0]
        self.viewer.fit_to_view(layers=shown)
        self.changed.emit(True)

    def stop(self) -> None:
        """Give the view back: order, visibility, selection, grid, dims and camera.

        Layers that came in the meantime stay as they are, on top of those before.
        """
        before, self._before, self._shown = self._before, None, []
        if before is None:
            return
        viewer = self.viewer
        viewer.layers.events.removed.disconnect(self._on_removed)
        new = [layer for layer in viewer.layers if layer not in before.visible]
        old = [layer for layer in before.order if layer in viewer.layers]
        viewer.canvas.grid.enabled = False
        for layer in old:
            layer.visible = before.visible[layer]
        _sort(viewer, [*old, *new])
        viewer.canvas.grid.update(before.grid)
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


def _sort(viewer: ViewerModel, order: Sequence[Layer]) -> None:
    for target, layer in enumerate(order):
        index = viewer.layers.index(layer)
        if index != target:
            viewer.layers.move(index, target)

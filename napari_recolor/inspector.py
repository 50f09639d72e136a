"""Looks at some layers side by side, and gives the view back afterwards."""

import gc
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer
from psygnal import Signal

SPACING = 4  # between the viewboxes, in pixels of the screen


@dataclass(frozen=True)
class _View:
    """The camera, order, visibility, and selection of a viewer."""

    order: tuple[Layer, ...]
    visible: dict[Layer, bool]
    named: dict[Layer, bool]
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
        self._with_colorbar: WeakSet[Layer] = WeakSet()  # hiding it is up to the user

    @property
    def active(self) -> bool:
        """Whether layers are being inspected."""
        return self._before is not None

    def start(
        self, layers: Sequence[Layer], columns: int = 0, colorbars: Collection[Layer] = ()
    ) -> None:
        """Arrange layers side by side, with their names.

        Parameters
        ----------
        layers : sequence of Layer
            In reading order. Those that are not in the viewer are left out.
        columns : int
            Of the grid; 0 for that in which the layers are shown largest.
        colorbars : collection of Layer
            Those of the layers that get a colorbar when they are first shown with one. Making one
            takes a tenth of a second.
        """
        shown = [layer for layer in layers if layer in self.viewer.layers]
        if not shown:
            return
        self._shown = shown
        if self._before is None:
            self._before = _look(self.viewer)
            self.viewer.layers.events.removed.connect(self._on_removed)
        for layer in shown:  # those that came since
            self._before.visible.setdefault(layer, layer.visible)
            self._before.named.setdefault(layer, layer.name_overlay.visible)
        columns = min(columns, len(shown)) or _best_columns(self.viewer, shown)
        rows = -(-len(shown) // columns)
        with still(self.viewer):
            self.viewer.dims.ndisplay = 2
            for layer in self.viewer.layers:
                layer.visible = layer in shown
            for layer in shown:
                layer.name_overlay.visible = True
                if layer in colorbars and layer not in self._with_colorbar:
                    self._with_colorbar.add(layer)
                    layer.colorbar.visible = True
            # napari fills the grid from the top left with the visible layers, in their order.
            if shown != [layer for layer in self.viewer.layers if layer in shown]:
                sort_layers(
                    self.viewer, [*shown, *(x for x in self.viewer.layers if x not in shown)]
                )
            self.viewer.canvas.grid.update(
                {"stride": 1, "shape": (rows, columns), "spacing": SPACING, "enabled": True}
            )
        if self.viewer.layers.selection.active not in shown:
            self.viewer.layers.selection.active = shown[0]
        self.viewer.fit_to_view(layers=shown)
        self.changed.emit(True)

    def stop(self) -> None:
        """Give the view back: order, visibility, selection, grid, dims and camera.

        Layers that came in the meantime stay as they are, on top of those before.
        """
        before, self._shown = self._before, []
        if before is None:
            return
        viewer = self.viewer
        viewer.layers.events.removed.disconnect(self._on_removed)
        new = [layer for layer in viewer.layers if layer not in before.order]
        old = [layer for layer in before.order if layer in viewer.layers]
        with still(viewer):
            viewer.canvas.grid.update(before.grid)
            for layer, visible in before.visible.items():
                layer.visible = visible
                layer.name_overlay.visible = before.named[layer]
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


@contextmanager
def still(viewer: ViewerModel) -> Iterator[None]:
    """Arrange layers without rebuilding napari's scene for each of them.

    At the end of a batch, napari collects garbage because layers may have been removed. None were,
    so the objects that exist now are kept out of that: it takes a fifth of a second.
    """
    gc.freeze()
    try:
        with viewer.layers.batched_update():
            yield
    finally:
        gc.unfreeze()


def _look(viewer: ViewerModel) -> _View:
    camera, grid, dims = viewer.scene.camera, viewer.canvas.grid, viewer.dims
    return _View(
        order=tuple(viewer.layers),
        visible={layer: layer.visible for layer in viewer.layers},
        named={layer: layer.name_overlay.visible for layer in viewer.layers},
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

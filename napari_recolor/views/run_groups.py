"""The layers of a run are one group: they are hidden, moved and removed with its RGB layer."""

from collections.abc import Callable
from functools import partial
from typing import Any

from napari.components import ViewerModel
from napari.layers import Layer
from qtpy.QtCore import QTimer

from napari_recolor.connections import Connections
from napari_recolor.runs.layers import KEY, layers_of_run, remove_in_turns
from napari_recolor.views.inspector import sort_layers


class RunGroups:
    """Keeps the stages and alternatives of each run with its RGB layer.

    napari 0.9 has no groups of layers. A group here consists of the layers whose metadata have the
    same run ID; the RGB layer stands for the group.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer whose layers are grouped.
    suspended : callable
        Returns whether layers are arranged by someone else, as by `Inspector`, who also puts them
        back.
    """

    def __init__(self, viewer: ViewerModel, suspended: Callable[[], bool]) -> None:
        self.viewer, self._suspended = viewer, suspended
        self._connections = Connections()
        self._watched: dict[Layer, Connections] = {}  # RGB layers
        self._hidden: dict[Layer, list[Layer]] = {}  # hidden with each RGB layer
        self._moved: dict[Layer, list[Layer]] = {}  # RGB layers, and the order of their groups
        self._closed = False
        events = viewer.layers.events
        for emitter, slot in (
            (events.inserted, self._on_inserted),
            (events.moving, self._on_moving),
            (events.removed, self._on_removed),
        ):
            self._connections.connect(emitter, slot)
        for layer in viewer.layers:
            self._watch(layer)

    def close(self) -> None:
        """Leave the layers alone from now on."""
        self._closed = True
        for connections in (self._connections, *self._watched.values()):
            connections.close()
        self._watched.clear()
        self._hidden.clear()

    def _group(self, rgb: Any) -> list[Layer]:
        """Return the layers of a run, from the bottom to the top; none if the layer is no RGB."""
        about = rgb.metadata.get(KEY, {})
        if about.get("layer") != "rgb":
            return []
        return list(layers_of_run(self.viewer.layers, about["id"]).values())

    def _on_inserted(self, event: Any) -> None:
        self._watch(event.value)

    def _watch(self, layer: Layer) -> None:
        if layer.metadata.get(KEY, {}).get("layer") == "rgb":
            connections = self._watched[layer] = Connections()
            connections.connect(layer.events.visible, partial(self._on_visible, layer))

    # --- hide ---------------------------------------------------------------------------------

    def _on_visible(self, rgb: Layer, _: Any = None) -> None:
        if self._suspended():
            return
        if rgb.visible:
            for layer in self._hidden.pop(rgb, []):
                layer.visible = True
            return
        shown = [layer for layer in self._group(rgb) if layer is not rgb and layer.visible]
        if shown:
            self._hidden[rgb] = shown
            for layer in shown:
                layer.visible = False

    # --- move ---------------------------------------------------------------------------------

    def _on_moving(self, event: Any) -> None:
        rgb = self.viewer.layers[event.index]
        if self._suspended() or rgb in self._moved:
            return
        group = self._group(rgb)
        if len(group) > 1:
            self._moved[rgb] = group
            # A list that is dragged moves several layers one by one, by their positions.
            QTimer.singleShot(0, self._gather)

    def _gather(self) -> None:
        """Bring the other layers of a group to where its RGB layer is now."""
        moved, self._moved = self._moved, {}
        layers = self.viewer.layers
        for rgb, order in moved.items():
            group = [layer for layer in order if layer in layers]
            if self._closed or rgb not in group:
                continue
            others = [layer for layer in layers if layer not in group]
            below = sum(layers.index(layer) < layers.index(rgb) for layer in others)
            wanted = [*others[:below], *group, *others[below:]]
            if wanted != list(layers):
                with layers.batched_update():
                    sort_layers(self.viewer, wanted)
        self._moved = {}  # the moves just made

    # --- remove -------------------------------------------------------------------------------

    def _on_removed(self, event: Any) -> None:
        rgb = event.value
        self._hidden.pop(rgb, None)
        if rgb in self._watched:
            self._watched.pop(rgb).close()
        if self._group(rgb):
            # Not while napari is still removing layers.
            QTimer.singleShot(0, partial(self._remove_rest, rgb.metadata[KEY]["id"]))

    def _remove_rest(self, run: str) -> None:
        rest = layers_of_run(self.viewer.layers, run)
        if self._closed or "rgb" in rest or not rest:
            return
        remove_in_turns(self.viewer.layers, list(rest.values()))

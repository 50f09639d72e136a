"""Which layer is colorized, and which of its axes is time."""

from functools import partial
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Shapes
from qtpy.QtCore import QObject, Signal

from napari_recolor.connections import Connections
from napari_recolor.hints.put_marks import MASKS
from napari_recolor.panel.controls import Controls
from napari_recolor.panel.parts import CHOOSE_FILE, fill
from napari_recolor.runs.layers import is_result
from napari_recolor.runs.reading import Source, time_axis
from napari_recolor.runs.wishes import ColorImage
from napari_recolor.views.wipe import BEFORE
from recolor_core.errors import RecolorError

NO_TIME = -1
"""In the menu of axes: none of them is time."""

WATCHED = ("data", "axis_labels", "contrast_limits")
"""The properties of the chosen layer that matter."""


class SourceChoice(QObject):
    """Fills the menus that list layers and axes.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers are listed.
    controls : Controls
        With the menus.
    parent : QObject, optional
        Of the object.
    """

    changed = Signal()
    """Emitted when another layer or axis is chosen, and when the chosen layer changes."""

    def __init__(
        self, viewer: ViewerModel, controls: Controls, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.viewer, self._controls = viewer, controls
        self._axes: tuple[Layer | None, tuple[str, ...]] = (None, ())  # what the menu is of
        self._viewer_events, self._layer_events = Connections(), Connections()
        self._names = Connections()
        layers = viewer.layers
        for emitter in (layers.events.inserted, layers.events.removed, layers.events.reordered):
            self._viewer_events.connect(emitter, self.list_layers)
        controls.layer.currentIndexChanged.connect(self._on_chosen)
        controls.time.currentIndexChanged.connect(partial(self._tell, None))
        self.list_layers()

    @property
    def layer(self) -> Layer | None:
        """The chosen layer, if it is still in the viewer."""
        layer: Layer | None = self._controls.layer.currentData()
        return layer if layer in self.viewer.layers else None

    @property
    def time(self) -> int | None:
        """The axis that is time, if one is."""
        axis = self._controls.time.currentData()
        return None if axis in (None, NO_TIME) else int(axis)

    def choose(self, layer: Any) -> None:
        """Choose a layer, if it is an image that can be chosen."""
        menu = self._controls.layer
        for i in range(menu.count()):
            if menu.itemData(i) is layer and isinstance(layer, Image):
                menu.setCurrentIndex(i)

    def close(self) -> None:
        """Stop listening."""
        for connections in (self._viewer_events, self._layer_events, self._names):
            connections.close()

    def list_layers(self, _: Any = None) -> None:
        """Offer the layers that are there now; what was chosen stays chosen."""
        controls = self._controls
        layers = list(reversed(self.viewer.layers))
        sources = [x for x in layers if isinstance(x, Image | Labels) and not _is_ours(x)]
        strokes = [x for x in self.viewer.layers if isinstance(x, Labels | Shapes)]
        colored = [x for x in layers if isinstance(x, Image) and x.rgb]
        fill(controls.layer, _named(sources))
        fill(controls.strokes, [("none", None), *_named(strokes)])
        fill(controls.palette_of, [("choose an image…", None), *_named(colored)])
        file = (CHOOSE_FILE, CHOOSE_FILE)
        fill(controls.like, [("add an image…", None), *_named(colored), file])
        kept = controls.color_from.currentData()
        own = [(kept.name, kept)] if isinstance(kept, ColorImage) else []
        fill(controls.color_from, [("the networks", None), *own, *_named(colored), file])
        self._names.close()
        for layer in self.viewer.layers:
            self._names.connect(layer.events.name, self.list_layers)
        self._on_chosen()

    def _on_chosen(self, _: Any = None) -> None:
        self._layer_events.close()
        if (layer := self.layer) is not None:
            for name in WATCHED:
                if name in layer.events:
                    self._layer_events.connect(layer.events[name], self._tell)
        self._tell()

    def _tell(self, _: Any = None) -> None:
        self._list_axes()
        self.changed.emit()

    def _list_axes(self) -> None:
        """Offer the axes of the layer as time; of a new layer choose the one that is called so."""
        layer = self.layer
        try:
            axes = () if layer is None else Source.of(layer).axes
        except RecolorError:
            axes = ()
        if (layer, axes) == self._axes:
            return
        self._axes = (layer, axes)
        items = [(f"over {name} (axis {i})", i) for i, name in enumerate(axes[:-2])]
        found = time_axis(axes)
        none = ("over no axis", NO_TIME)
        fill(self._controls.time, [none, *items], NO_TIME if found is None else found)


def _is_ours(layer: Layer) -> bool:
    return is_result(layer) or MASKS in layer.metadata or BEFORE in layer.metadata


def _named(layers: list[Layer]) -> list[tuple[str, Layer]]:
    return [(layer.name, layer) for layer in layers]

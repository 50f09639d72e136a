"""Controls and preferences that follow each other."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from napari.utils.events import EventedModel
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog

from napari_recolor.connections import Connections
from napari_recolor.panel.controls import Controls
from napari_recolor.panel.fields import Field
from napari_recolor.panel.parts import CHOOSE_FILE, fill
from napari_recolor.runs.events import Failure
from napari_recolor.runs.jobs import Job, JobQueue
from napari_recolor.runs.worker import choices


class Binding(QObject):
    """Keeps the controls and the plugin's preferences equal; napari saves the preferences.

    Parameters
    ----------
    controls : Controls
        Each of its `fields` has the name of a preference.
    preferences : EventedModel
        Of `preferences.preferences`.
    queue : JobQueue
        Looks for devices and weights.
    parent : QObject, optional
        Of the object.
    """

    changed = Signal(str)
    """Emitted with the name of a preference that has changed."""
    said = Signal(str)
    """A sentence that says why devices and weights were not found."""

    def __init__(
        self,
        controls: Controls,
        preferences: EventedModel,
        queue: JobQueue,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._controls, self._preferences, self._queue = controls, preferences, queue
        self._connections = Connections()
        self._searched = False
        self._offer(["cpu"], ["default"])
        controls.device.opened.connect(self.find_choices)
        controls.weights.opened.connect(self.find_choices)
        for name, field in controls.fields.items():
            field.set(getattr(preferences, name))
            field.changed.connect(partial(self._prefer, name, field.get))
            self._connections.connect(preferences.events[name], partial(self._follow, name, field))

    def close(self) -> None:
        """Stop listening."""
        self._connections.close()

    def find_choices(self) -> None:
        """Look for devices and weights, once: it takes PyTorch, so not when the panel opens."""
        if not self._searched:
            self._searched = True
            self._queue.submit(Job(choices, self._on_choices, keeps=True))

    def _on_choices(self, found: tuple[list[str], list[str]] | Failure) -> None:
        if isinstance(found, Failure):
            self.said.emit(found.message)
        else:
            self._offer(*found)

    def _offer(self, devices: list[str], weights: list[str]) -> None:
        """Fill the menus of devices and weights; what was chosen stays chosen."""
        chosen = self._preferences
        names = ["auto", *devices, *({chosen.device} - {"auto", *devices})]
        fill(self._controls.device, [(name, name) for name in names], chosen.device)
        fill(self._controls.weights, self._weights(weights), chosen.weights)

    def _prefer(self, name: str, get: Callable[[], Any], _: Any = None) -> None:
        value = get()
        if value == CHOOSE_FILE:
            value = self._choose_weights()
        setattr(self._preferences, name, value)

    def _follow(self, name: str, field: Field, _: Any = None) -> None:
        value = getattr(self._preferences, name)
        if field.get() != value:
            field.set(value)
        self.changed.emit(name)

    def _weights(self, names: list[str]) -> list[tuple[str, str]]:
        chosen = self._preferences.weights
        files = [] if chosen in names else [(Path(chosen).name, chosen)]
        return [*((name, name) for name in names), *files, (CHOOSE_FILE, CHOOSE_FILE)]

    def _choose_weights(self) -> str:
        path, _ = QFileDialog.getOpenFileName(
            self._controls, "Weights", "", "Weights (*.safetensors)"
        )
        weights = self._controls.weights
        names = [weights.itemText(i) for i in range(weights.count())]
        chosen: str = path or self._preferences.weights
        known = [name for name in names if name not in (CHOOSE_FILE, Path(chosen).name)]
        items = self._weights(known)
        if path:
            items.insert(-1, (Path(path).name, path))
        fill(weights, items, chosen)
        return chosen

"""The button Bring back: how the chosen image was colorized before."""

from functools import partial
from pathlib import Path
from typing import Any

from napari.layers import Image
from napari.utils.events import EventedModel
from qtpy.QtCore import QObject, Signal

from napari_recolor.files.recall import Recalled, find_result, recall
from napari_recolor.panel.controls import Controls
from napari_recolor.panel.hint_panel import HintPanel
from napari_recolor.panel.wish_panel import WishPanel
from napari_recolor.runs.events import Failure
from napari_recolor.runs.jobs import Job, JobQueue
from napari_recolor.runs.layers import is_result
from recolor_core.errors import RecolorError


class RecallPanel(QObject):
    """Says whether the chosen image has been colorized before, and goes on from there.

    Parameters
    ----------
    controls : Controls
        With the button and the line above it.
    preferences : EventedModel
        Of `preferences.preferences`.
    queue : JobQueue
        Reads results.
    hints : HintPanel
        Gets the hints.
    wishes : WishPanel
        Gets the references and the alternative.
    parent : QObject, optional
        Of the object.
    """

    wanted = Signal(str)
    """Emitted with the path of an image that is to be opened now."""
    said = Signal(str)
    """A sentence that says what was done."""

    def __init__(
        self,
        controls: Controls,
        preferences: EventedModel,
        queue: JobQueue,
        hints: HintPanel,
        wishes: WishPanel,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._controls, self._preferences, self._queue = controls, preferences, queue
        self._hints, self._wishes = hints, wishes
        self._found: Recalled | None = None
        self._image: Image | None = None
        controls.recall.clicked.connect(self._bring_back)

    def choose(self, image: Any) -> None:
        """Look whether the chosen image has been colorized before."""
        if image is self._image:
            return
        self._image = image
        self._show(None)
        path = None if image is None else image.source.path
        result = find_result(Path(path)) if path and not is_result(image) else None
        if result is not None:
            work = partial(recall, result=result)
            self._queue.submit(Job(work, partial(self._on_recalled, image), keeps=True))

    def _on_recalled(self, image: Image, found: Recalled | Failure | None) -> None:
        if image is self._image and isinstance(found, Recalled):
            self._show(found)

    def _show(self, found: Recalled | None) -> None:
        self._found = found
        self._controls.recalled.setText("" if found is None else found.words())
        for control in (self._controls.recalled, self._controls.recall):
            control.setVisible(found is not None)

    def _bring_back(self) -> None:
        found, image = self._found, self._image
        if found is None or image is None:
            return
        path = image.source.path
        if path and Path(path) == found.result:  # a result was opened: its source is colorized
            if found.source is None:
                self.said.emit(f"The image that {found.result.name} was made from is not there.")
                return
            self.wanted.emit(str(found.source))
        self._show(None)
        self._use(found)

    def _use(self, found: Recalled) -> None:
        """Use the settings, hints and wishes of a saved result for the chosen image."""
        known = type(self._preferences).model_fields
        for name, value in found.settings.items():
            if name in known:
                setattr(self._preferences, name, value)
        self._preferences.palette = found.palette
        try:
            hint_layer = self._hints.add() if found.hints else None
            if hint_layer is not None:
                hint_layer.put(found.hints)
        except RecolorError as error:
            self.said.emit(str(error))
            return
        self._wishes.put(found.wishes)
        self.said.emit(f"Brought back from {found.result.name}. Press Colorize (Ctrl+Enter).")

"""The buttons Undo and Redo: for settings, hints, references, alternatives, and runs."""

from typing import Any

from napari.components import ViewerModel
from napari.utils.events import EventedModel
from qtpy.QtCore import QObject

from napari_recolor.panel.controls import Controls
from napari_recolor.panel.hint_panel import HintPanel
from napari_recolor.panel.history import History
from napari_recolor.panel.wish_panel import WishPanel
from napari_recolor.runs.runner import Runner


class UndoPanel(History):
    """Remembers what the panel can bring back, and brings it back.

    Parameters
    ----------
    viewer : ViewerModel
        What was asked for images that are not in it cannot be brought back.
    controls : Controls
        With the buttons.
    preferences : EventedModel
        Of `preferences.preferences`.
    hints, wishes, runner
        What else is remembered.
    parent : QObject, optional
        Of the object.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        controls: Controls,
        preferences: EventedModel,
        hints: HintPanel,
        wishes: WishPanel,
        runner: Runner,
        parent: QObject | None = None,
    ) -> None:
        self.viewer, self._controls, self._preferences = viewer, controls, preferences
        self._hints, self._wishes, self._runner = hints, wishes, runner
        super().__init__(self._take_state, self._restore_state, parent)
        controls.undo.clicked.connect(self.undo)
        controls.redo.clicked.connect(self.redo)

    def forget_removed(self) -> None:
        """Forget what was asked for images, and the results, that are not in the viewer now."""
        self.forget(self._known)

    def undo(self) -> None:
        """Go back by one step; a shape that is being drawn is one."""
        self._hints.finish_drawing()
        super().undo()

    def redo(self) -> None:
        """Take back the last undo."""
        self._hints.finish_drawing()
        super().redo()

    def enable(self) -> None:
        """Enable what can be done now."""
        self._controls.undo.setEnabled(self.can_undo)
        self._controls.redo.setEnabled(self.can_redo)

    def _take_state(self) -> Any:
        settings = {name: getattr(self._preferences, name) for name in self._controls.fields}
        of_images = (self._hints.states(), self._wishes.states(), self._runner.states())
        return self._known((settings, *of_images))

    def _known(self, state: Any) -> Any:
        """Return a state without the images that are not in the viewer."""
        layers, (settings, *of_images) = self.viewer.layers, state
        known = ({k: x for k, x in states.items() if k in layers} for states in of_images)
        return settings, *known

    def _restore_state(self, state: Any) -> None:
        settings, hints, wishes, runs = state
        for name, value in settings.items():
            setattr(self._preferences, name, value)
        self._hints.restore(hints)
        self._runner.restore(runs)
        self._wishes.restore(wishes)

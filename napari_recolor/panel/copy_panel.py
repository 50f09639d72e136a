"""The buttons Copy as command and Copy as Python."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import platformdirs
from napari.components import ViewerModel
from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QGuiApplication

from napari_recolor.files import command_text
from napari_recolor.panel.controls import Controls
from napari_recolor.runs.runner import Runner
from recolor_core.errors import RecolorError


class CopyPanel(QObject):
    """Copies how the active layer was made.

    Parameters
    ----------
    viewer : ViewerModel
        With the layers.
    controls : Controls
        With the buttons.
    runner : Runner
        With the finished runs.
    parent : QObject, optional
        Of the object.
    """

    said = Signal(str)
    """A sentence that says what was copied, or why nothing was."""

    def __init__(
        self,
        viewer: ViewerModel,
        controls: Controls,
        runner: Runner,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer, self._runner = viewer, runner
        self._buttons = (controls.copy_command, controls.copy_python)
        controls.copy_command.clicked.connect(
            partial(self._copy, command_text.command, "a command that gives the same image")
        )
        controls.copy_python.clicked.connect(
            partial(self._copy, command_text.python, "a Python program that gives the same pixels")
        )

    def enable(self) -> None:
        """Enable what can be done now."""
        for button in self._buttons:
            button.setEnabled(not self._runner.busy and self._about() is not None)

    def _about(self) -> dict[str, Any] | None:
        return self._runner.about(self.viewer.layers.selection.active)

    def _copy(
        self, write: Callable[[Any, Path], command_text.Copy], what: str, _: Any = None
    ) -> None:
        about = self._about()
        if about is None:
            return
        try:
            copy = write(about, Path(platformdirs.user_data_dir("recolor")) / "hints")
            copy.write_files()
        except (OSError, RecolorError) as error:
            self.said.emit(str(error))
            return
        QGuiApplication.clipboard().setText(copy.text)
        self.said.emit(f"Copied: {what}.")

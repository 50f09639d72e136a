"""Running: the buttons Colorize and Cancel, and the progress of a run."""

from napari.layers import Image
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_recolor.panel.controls import Controls
from napari_recolor.panel.request_panel import RequestPanel
from napari_recolor.panel.source_choice import SourceChoice
from napari_recolor.runs.events import failure_of
from napari_recolor.runs.reading import Request
from napari_recolor.runs.runner import Runner, tell_failure


class RunPanel(QObject):
    """Starts and cancels runs.

    Parameters
    ----------
    controls : Controls
        With the buttons.
    source : SourceChoice
        The layer that is colorized.
    requests : RequestPanel
        What is done.
    runner : Runner
        Does it.
    parent : QObject, optional
        Of the object.
    """

    starting = Signal()
    """Emitted just before a run starts."""
    skipped = Signal()
    """Emitted if a layer that `run_layer` was given cannot be colorized."""
    said = Signal(str)
    """A sentence that says what is wrong."""

    def __init__(
        self,
        controls: Controls,
        source: SourceChoice,
        requests: RequestPanel,
        runner: Runner,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._controls, self._source = controls, source
        self._requests, self._runner = requests, runner
        self._focus_moved_to: QWidget | None = None  # while neither button can be pressed
        controls.run.clicked.connect(self.run)
        controls.cancel.clicked.connect(runner.cancel)
        runner.progressed.connect(self._show_progress)

    def run(self) -> None:
        """Colorize the chosen layer in a worker thread."""
        request = self._requests.read()
        if self._runner.busy or isinstance(request, str):
            return
        self.starting.emit()
        try:
            hints, wished = self._requests.hints_for(request), self._requests.options_for(request)
            self._runner.replaces = self._controls.replace_last.isChecked()
            self._runner.start(self._source.layer, request, wished, hints)
        except Exception as error:
            failure = failure_of(error)
            self.said.emit(f"Failed: {failure.message}")
            tell_failure(failure)

    def run_layer(self, layer: Image) -> None:
        """Choose a layer and colorize it."""
        menu = self._controls.layer
        menu.setCurrentIndex(next((i for i in range(menu.count()) if menu.itemData(i) is layer), 0))
        if isinstance(self._requests.read(), Request):
            self.run()
        else:
            self.skipped.emit()

    def enable(self) -> None:
        """Enable what can be done now."""
        running, controls = self._runner.running, self._controls
        can_run = running is None and isinstance(self._requests.read(), Request)
        can_cancel = running is not None and not running.canceled
        window = controls.window()
        focused = window.focusWidget()
        controls.run.setEnabled(can_run)
        controls.cancel.setEnabled(can_cancel)
        if focused is None or focused not in (controls.run, controls.cancel, self._focus_moved_to):
            return
        # Qt has moved the focus on from what is disabled: from Colorize to Undo, where the space
        # bar would take the run back.
        if can_run or can_cancel:
            (controls.run if can_run else controls.cancel).setFocus()
            self._focus_moved_to = None
        else:
            self._focus_moved_to = window.focusWidget()

    def _show_progress(self, done: float | None) -> None:
        bar = self._controls.progress
        bar.setVisible(done is not None)
        bar.setRange(0, 1000 if done else 0)
        bar.setValue(round(1000 * (done or 0)))

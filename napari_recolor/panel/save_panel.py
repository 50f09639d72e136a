"""Saving: the buttons Save image… and Save and next."""

from functools import partial

from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog

from napari_recolor.files.saving import FILTER, save, suggested_path
from napari_recolor.panel.controls import Controls
from napari_recolor.panel.hint_panel import HintPanel
from napari_recolor.panel.series_panel import SeriesPanel
from napari_recolor.runs.events import Failure
from napari_recolor.runs.jobs import Job, JobQueue
from napari_recolor.runs.layers import KEY, layers_of_run
from napari_recolor.runs.live_preview import LivePreview
from napari_recolor.runs.runner import Runner, tell_failure


class SavePanel(QObject):
    """Saves the image of a run in a worker thread.

    Parameters
    ----------
    viewer : ViewerModel
        With the images.
    controls : Controls
        With the buttons.
    queue : JobQueue
        Writes the file.
    runner : Runner
        With the finished runs.
    live : LivePreview
        What it still colors is waited for.
    hints : HintPanel
        The hint layers of an image leave with it.
    series : SeriesPanel
        Opens the next image.
    parent : QObject, optional
        Of the object.
    """

    said = Signal(str)
    """A sentence that says what was done."""

    def __init__(
        self,
        viewer: ViewerModel,
        controls: Controls,
        queue: JobQueue,
        runner: Runner,
        live: LivePreview,
        hints: HintPanel,
        series: SeriesPanel,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer, self._controls, self._queue = viewer, controls, queue
        self._runner, self._live, self._hints, self._series = runner, live, hints, series
        self._late: Job | None = None  # asked for while colors changed
        controls.save_image.clicked.connect(self._save_image)
        controls.save_next.clicked.connect(self._save_next)
        live.finished.connect(self._submit_late)

    def enable(self) -> None:
        """Enable what can be done now."""
        layer = None if self._runner.busy else self._runner.image_shown()
        has_file = layer is not None and self._series.path_of(layer) is not None
        self._controls.save_image.setEnabled(layer is not None)
        self._controls.save_next.setEnabled(has_file)

    def _save_image(self) -> None:
        self._ask(goes_on=False)

    def _ask(self, *, goes_on: bool) -> None:
        """Ask for the name of the file, and save; then the next image may open."""
        layer = self._runner.image_shown()
        if layer is None or self._runner.busy:
            return
        suggested = str(suggested_path(layer))
        path, _ = QFileDialog.getSaveFileName(self._controls, "Save image", suggested, FILTER)
        if path:
            self._save(path, layer, goes_on)

    def _save_next(self) -> None:
        """Save the image beside its source, then open the next one of the folder."""
        layer = self._runner.image_shown()
        if layer is None or self._runner.busy or self._series.path_of(layer) is None:
            return
        path = suggested_path(layer)
        if path.exists():  # a file is replaced only if the user says so
            self._ask(goes_on=True)
        else:
            self._save(str(path), layer, goes_on=True)

    def _save(self, path: str, layer: Image, goes_on: bool) -> None:
        work = partial(save, path=path, layer=layer)
        job = Job(work, partial(self._on_saved, layer, goes_on), keeps=True)
        self.said.emit("Saving…")
        if self._live.busy:  # first the colors that were asked for
            self._late = job
        else:
            self._queue.submit(job)

    def _submit_late(self) -> None:
        job, self._late = self._late, None
        if job is not None:
            self._queue.submit(job)

    def _on_saved(self, layer: Image, goes_on: bool, event: str | Failure) -> None:
        if isinstance(event, Failure):
            self.said.emit(f"Not saved: {event.message}")
            tell_failure(event)
            return
        self.said.emit(f"Saved, with provenance: {event}")
        if goes_on:
            self._open_next(layer)

    def _open_next(self, layer: Image) -> None:
        source, run = self._series.path_of(layer), self._runner.of(layer)
        done = list(layers_of_run(self.viewer.layers, layer.metadata[KEY]["id"]).values())
        if run is not None:
            hint_layer = self._hints.of(run.source)
            marks = [] if hint_layer is None else hint_layer.layers
            done += [run.source, *marks]
        if source is not None:
            self._series.next_of(source, done)

"""Runs in a viewer: from the button Colorize to the layers, with progress and cancel."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image
from napari.utils.notifications import notification_manager, show_error
from qtpy.QtCore import QObject, QTimer, Signal

from napari_recolor.jobs import Job, JobQueue
from napari_recolor.layers import CHROMA, KEY, is_result, layers_of_run
from napari_recolor.progress_bars import ProgressBars
from napari_recolor.reading import Index, Request, shown_index
from napari_recolor.run import Run
from napari_recolor.worker import Failure, HintValue, Options, Step, colorize

AIR_MS = 20
"""Pause between one new layer and the next, in milliseconds: the window can answer its user."""


class Runner(QObject):
    """Starts runs, shows how far they are and brings their layers into the viewer.

    Lives in the main thread. One run at a time.

    Parameters
    ----------
    viewer : ViewerModel
        Gets the layers.
    queue : JobQueue
        Does the work.
    parent : QObject, optional
        Of the object.
    """

    changed = Signal()
    """Emitted when `busy`, `running` or `last` has changed."""
    said = Signal(str)
    """What is going on."""
    progressed = Signal(object)
    """How much of the run is done, from 0 to 1; None if no run is on."""

    def __init__(self, viewer: ViewerModel, queue: JobQueue, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer, self._queue = viewer, queue
        self.last: Run | None = None
        """The last run whose layers are in the viewer."""
        self.running: Run | None = None
        """The run that is on."""
        self._job: Job | None = None
        self._bars: ProgressBars | None = None
        self._adding: list[Image] = []  # layers on their way into the viewer
        self._closed = False
        self._covers = True  # whether the panel shows the image of the run that is on

    @property
    def busy(self) -> bool:
        """Whether a run is on, or its layers are still on their way into the viewer."""
        return self.running is not None or bool(self._adding)

    def start(
        self,
        source: Image,
        request: Request,
        options: Options,
        hints: Mapping[Index, Sequence[HintValue]],
    ) -> None:
        """Start a run. If this raises, no run is on.

        Parameters
        ----------
        source : Image
            The layer that is colorized.
        request, options
            What is done.
        hints : mapping of index to hints
            In pixels of the source.
        """
        run = Run(self._next_number(), source, request, options)
        inside = {index: run.hints(values) for index, values in hints.items()}
        work = partial(colorize, options=options, stages=run.stages, hints=inside)
        self._bars = ProgressBars(request.source.name, len(request.indices))
        self.running, self._covers = run, True
        self._job = Job(work, partial(self._on_event, run), partial(self._on_end, run), keeps=True)
        self.said.emit("Starting…")
        self.progressed.emit(0.0)
        self._queue.submit(self._job)
        self.changed.emit()

    def cancel(self) -> None:
        """End the run; finished images are kept."""
        if self._job is not None and self.running is not None and not self.running.canceled:
            self.running.canceled = True
            self.said.emit("Canceling…")
            self._queue.cancel(self._job)
            self.changed.emit()

    def forget_removed(self) -> None:
        """Let go of the last run, and its arrays, if none of its layers is left."""
        if self.last is not None and not layers_of_run(self.viewer.layers, self.last.id):
            self.last = None
            self.changed.emit()

    def close(self) -> None:
        """Take the progress bars away and touch the viewer no more."""
        self.running, self._adding, self._job, self._closed = None, [], None, True
        self._close_bars()

    def uncover(self) -> None:
        """While a run is on, show its image where it is finished, else what lies below."""
        run = self.running
        rgb = None if run is None else run.layers.get("rgb")
        if run is None or rgb is None or rgb not in self.viewer.layers:
            return
        if rgb.visible != self._covers:  # the user chose otherwise
            return
        index = shown_index(rgb, self.viewer, run.request.leading)
        self._covers = any(run.request.slot(one) == index for one in run.finished)
        rgb.visible = self._covers

    def _next_number(self) -> int:
        numbers = [
            layer.metadata[KEY].get("run", 0) for layer in self.viewer.layers if is_result(layer)
        ]
        last = self.last.number if self.last is not None else 0
        return 1 + max([last, *numbers])

    def _on_event(self, run: Run, event: Step | Failure) -> None:
        if run is not self.running or self._bars is None:
            return
        if isinstance(event, Failure):
            run.failure = event
            return
        if self._bars.canceled:
            self.cancel()
        if event.finished is not None:
            run.finished.append(event.finished)
            if run.layers:
                run.show(self.viewer.layers, event.finished)
            else:
                self._add_layers(run)
            self.uncover()
        self._show_progress(run, event)

    def _show_progress(self, run: Run, step: Step) -> None:
        self.progressed.emit((step.image + step.done / step.total) / step.images)
        if not run.canceled:
            count = f"Image {step.image + 1} of {step.images}: " if step.images > 1 else ""
            strips = f", {step.done} of {step.total} strips" if step.stage == "coloring" else ""
            text = f"{count}{step.stage}{strips}"
            self.said.emit(f"{text[0].upper()}{text[1:]}…")
        if self._bars is not None:
            self._bars.show(step)

    def _add_layers(self, run: Run) -> None:
        """Add the image at once and the others one at a time: the window stays responsive."""
        layers = run.make_layers()
        self._adding = [layer for role, layer in layers.items() if role != "rgb"]
        self.viewer.add_layer(layers["rgb"])
        QTimer.singleShot(AIR_MS, partial(self._add_next, run))

    def _add_next(self, run: Run) -> None:
        if self._closed:
            return
        rgb = run.layers["rgb"]
        if self._adding and rgb in self.viewer.layers:
            layer = self._adding.pop(0)
            self.viewer.layers.insert(self.viewer.layers.index(rgb), layer)
            if self._adding:
                QTimer.singleShot(AIR_MS, partial(self._add_next, run))
                return
        self._adding = []
        if rgb in self.viewer.layers:
            self._settle(run)
        self.changed.emit()

    def _settle(self, run: Run) -> None:
        """All layers of a run are there."""
        layers = layers_of_run(self.viewer.layers, run.id)
        for axis in "ab":
            pair = [layers[role] for role in CHROMA if role[0] == axis and role in layers]
            self.viewer.layers.link_layers(
                pair, ("contrast_limits", "contrast_limits_range", "gamma")
            )
        self.viewer.layers.selection.active = run.layers["rgb"]
        run.show(self.viewer.layers, run.finished[-1])
        self.last = run

    def _on_end(self, run: Run) -> None:
        if run is not self.running:
            return
        self.running = self._job = None
        self._close_bars()
        rgb = run.layers.get("rgb")
        if rgb is not None and rgb.visible == self._covers:
            rgb.visible = True
        if run.finished:
            self.last = run
        self.progressed.emit(None)
        self.said.emit(run.outcome())
        if run.failure is not None:
            tell_failure(run.failure)
        self.changed.emit()

    def _close_bars(self) -> None:
        if self._bars is not None:
            self._bars.close()
            self._bars = None


def tell_failure(failure: Failure) -> None:
    """Show the user a failure; one that was not expected with its traceback."""
    error = failure.error
    if error is None:
        show_error(failure.message)
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)


def about_run(viewer: ViewerModel, run: Run | None) -> dict[str, Any] | None:
    """What is known of the run of the active layer, or else of the last run."""
    active = viewer.layers.selection.active
    if active is not None and is_result(active):
        about: dict[str, Any] = active.metadata[KEY]
        return about
    layers = {} if run is None else layers_of_run(viewer.layers, run.id)
    return next((layer.metadata[KEY] for layer in layers.values()), None)

"""Runs in a viewer: from the button Colorize to the layers, with progress and cancel."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image
from napari.utils.notifications import notification_manager, show_error
from qtpy.QtCore import QObject, QTimer, Signal

from napari_recolor.runs.events import Failure, Step
from napari_recolor.runs.jobs import Job, JobQueue
from napari_recolor.runs.layers import (
    AIR_MS,
    KEY,
    ORDER,
    insert_quietly,
    is_image,
    is_result,
    layers_of_run,
    remove_in_turns,
)
from napari_recolor.runs.options import Options
from napari_recolor.runs.progress_bars import ProgressBars
from napari_recolor.runs.reading import Index, Request, shown_index
from napari_recolor.runs.replaced import ReplacedRuns
from napari_recolor.runs.run import Run
from napari_recolor.runs.worker import colorize
from recolor_core.hints import Mark

RUN = "recolor run"
"""In the metadata of RGB layers whose panel was closed: their `Run`, for the next panel."""

PROGRESS_MS = 100
"""Progress within a stage is shown this often, in milliseconds."""


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
    """Emitted when `running` or `runs` has changed."""
    said = Signal(str)
    """A sentence that says what is going on."""
    progressed = Signal(object)
    """Fraction of the run that is done, from 0 to 1; None if no run is on."""

    def __init__(self, viewer: ViewerModel, queue: JobQueue, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer, self._queue = viewer, queue
        self.runs: dict[str, Run] = {}
        """The runs whose layers are in the viewer, by id, the newest last."""
        self.running: Run | None = None
        """The run that is on."""
        self.replaces = True
        """Whether a run takes the place of an earlier one of the same pixels."""
        self._replaced = ReplacedRuns()
        self._job: Job | None = None
        self._bars: ProgressBars | None = None
        self._closed = False
        self._active: Any = None  # the layer that was active when the run started
        self._shown: tuple[int, str] | None = None  # the image and stage of the progress shown
        self._next_progress = 0.0
        self._covers = True  # whether the panel shows the image of the run that is on
        self._take_up_left()

    @property
    def busy(self) -> bool:
        """Whether a run is on."""
        return self.running is not None

    @property
    def last(self) -> Run | None:
        """The newest run whose layers are in the viewer."""
        return next(reversed(self.runs.values()), None)

    def last_of(self, source: Any) -> Run | None:
        """The newest run of a layer whose results are in the viewer."""
        return next((run for run in reversed(self.runs.values()) if run.source is source), None)

    def of(self, layer: Any) -> Run | None:
        """The run that made a layer, or else the newest."""
        about = {} if layer is None else layer.metadata.get(KEY, {})
        return self.runs.get(about.get("id", "")) or self.last

    def image_shown(self) -> Image | None:
        """Return the active image of a run, or else that of the last run."""
        active, run = self.viewer.layers.selection.active, self.last
        if (
            isinstance(active, Image)
            and is_result(active)
            and is_image(active.metadata[KEY]["layer"])
        ):
            return active
        rgb = None if run is None else run.layers.get("rgb")
        return rgb if rgb in self.viewer.layers else None

    def source_of(self, layer: Any) -> Image | None:
        """Return the layer that a layer of a run was made from, if it is still in the viewer."""
        about = {} if layer is None else layer.metadata.get(KEY, {})
        run = self.runs.get(about.get("id", ""))
        return run.source if run is not None and run.source in self.viewer.layers else None

    def finished_index(self, run: Run) -> Index:
        """Return the finished image of a run that the viewer shows, or else the first one."""
        index = shown_index(run.source, self.viewer, run.request.source.leading)
        return index if index in run.finished else run.finished[0]

    def start(
        self,
        source: Image,
        request: Request,
        options: Options,
        hints: Mapping[Index, Sequence[Mark]],
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
        run = Run(self._next_number(source), source, request, options)
        inside = run.given = {index: run.hints(values) for index, values in hints.items()}
        work = partial(colorize, options=options, stages=run.stages, hints=inside)
        self._bars = ProgressBars(request.source.name, len(request.indices))
        self.running, self._covers = run, True
        self._active = self.viewer.layers.selection.active
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
        """Let go of runs, and their arrays, of which no layer is left.

        A run whose image was removed while it was on is canceled.
        """
        run = self.running
        if run is not None and run.layers and run.layers["rgb"] not in self.viewer.layers:
            self.cancel()
        self._replaced.forget(set(self._replaced.layers).difference(self.viewer.layers))
        gone = [id for id in self.runs if not layers_of_run(self.viewer.layers, id)]
        for id in gone:
            del self.runs[id]
        if gone:
            if not self.runs and not self.busy:
                self.said.emit("Ready.")
            self.changed.emit()

    def show_stages(self, run: Run, roles: Iterable[str] | None = None) -> dict[str, Image]:
        """Bring layers of a finished run into the viewer.

        Parameters
        ----------
        run : Run
            The run.
        roles : iterable of str, optional
            Of the layers; all if None.

        Returns
        -------
        dict
            All layers of the run that are in the viewer, by role.
        """
        layers = self.viewer.layers
        for role in run.stages.arrays if roles is None else roles:
            if role not in layers_of_run(layers, run.id):
                self._show_stage(run, role)
        return layers_of_run(layers, run.id)

    def bring_stages(self, run: Run, roles: Sequence[str], then: Callable[[], None]) -> None:
        """Bring layers into the viewer one at a time, so that the window can answer meanwhile.

        Parameters
        ----------
        run, roles
            As in `show_stages`.
        then : callable
            Is called when all are there, unless the image of the run is gone by then.
        """
        missing = [role for role in roles if role not in layers_of_run(self.viewer.layers, run.id)]
        if not missing:
            then()
            return
        self._show_stage(run, missing[0])
        QTimer.singleShot(AIR_MS, partial(self._go_on_bringing, run, roles, then))

    def _go_on_bringing(self, run: Run, roles: Sequence[str], then: Callable[[], None]) -> None:
        if not self._closed and run.id in self.runs:
            self.bring_stages(run, roles, then)

    def _show_stage(self, run: Run, role: str) -> None:
        """Add a hidden layer at its place, so that Inspect need not sort: see `layers.ORDER`."""
        layers = self.viewer.layers
        present = layers_of_run(layers, run.id)
        place = ORDER.index(role) if role in ORDER else 0
        below = [x for other, x in present.items() if other in ORDER[:place]]
        above = [x for other, x in present.items() if other in ORDER[place + 1 :]]
        if below:
            index = max(map(layers.index, below)) + 1
        else:
            index = min(map(layers.index, above), default=len(layers))
        insert_quietly(layers, index, run.make_layers(role)[role])
        for axis in "ab":
            pair = [f"{axis} coarse", f"{axis} refined"]
            if role in pair:
                present = layers_of_run(layers, run.id)
                if all(other in present for other in pair):
                    layers.link_layers(
                        [present[other] for other in pair],
                        ("contrast_limits", "contrast_limits_range", "gamma"),
                    )

    def close(self) -> None:
        """Take the progress bars away and touch the viewer no more; leave the runs to the next."""
        for run in self.runs.values():
            if run is not self.running and "rgb" in run.layers:
                run.layers["rgb"].metadata[RUN] = run
        self.runs.clear()
        self.running, self._job, self._closed = None, None, True
        self._close_bars()

    def _take_up_left(self) -> None:
        """Take the runs that an earlier panel of this viewer left."""
        for layer in self.viewer.layers:
            run = layer.metadata.pop(RUN, None)
            if run is not None and run.layers.get("rgb") is layer:  # not a copy that the user made
                self.runs[run.id] = run

    def about(self, layer: Any) -> dict[str, Any] | None:
        """What is known of the run that made a layer, or else of the newest run."""
        if layer is not None and is_result(layer):
            about: dict[str, Any] = layer.metadata[KEY]
            return about
        layers = {} if self.last is None else layers_of_run(self.viewer.layers, self.last.id)
        return next((layer.metadata[KEY] for layer in layers.values()), None)

    def uncover(self) -> None:
        """While a run is on, show its image where it is finished, else what lies below."""
        run = self.running
        rgb = None if run is None else run.layers.get("rgb")
        if run is None or rgb is None or rgb not in self.viewer.layers:
            return
        if rgb.visible != self._covers:  # the user chose otherwise
            return
        index, shown = shown_index(rgb, self.viewer, run.request.leading), run.finished
        self._covers = any(run.request.slot(one) == index for one in (*shown, *run.previewed))
        rgb.visible = self._covers

    def _next_number(self, source: Image) -> int:
        """Return the number of the next run of a layer; it is part of the names of its layers."""
        about = [layer.metadata[KEY] for layer in self.viewer.layers if is_result(layer)]
        named = [x.get("run", 0) for x in about if x.get("source", {}).get("layer") == source.name]
        return 1 + max(named, default=0)

    def _on_event(self, run: Run, event: Step | Failure) -> None:
        if run is not self.running or self._bars is None:
            return
        if isinstance(event, Failure):
            run.failure = event
            return
        if self._bars.canceled:
            self.cancel()
        if event.stage == "refining":
            run.look(self.viewer)
        if event.previewed is not None:
            self._show_preview(run, event.previewed)
        if event.finished is not None:
            run.finished.append(event.finished)
            if run.layers:
                run.show(self.viewer.layers, event.finished)
            else:
                self._add_image(run)
            self.uncover()
        self._show_progress(run, event)

    def _show_preview(self, run: Run, index: Index) -> None:
        """Show a large image that is colored in part."""
        if run.layers:
            run.layers["rgb"].refresh(extent=False)
        elif not run.canceled:
            run.previewed.append(index)
            self._add_image(run)

    def _show_progress(self, run: Run, step: Step) -> None:
        now, shown = time.monotonic(), (step.image, step.stage)
        if shown == self._shown and now < self._next_progress and step.finished is None:
            return  # to draw each strip's progress takes longer than to color it
        self._shown, self._next_progress = shown, now + PROGRESS_MS / 1000
        self.progressed.emit((step.image + step.done / step.total) / step.images)
        if not run.canceled:
            count = f"Image {step.image + 1} of {step.images}: " if step.images > 1 else ""
            strips = f", {step.done} of {step.total} strips" if step.stage == "coloring" else ""
            text = f"{count}{step.stage}{strips}"
            self.said.emit(f"{text[0].upper()}{text[1:]}…")
        if self._bars is not None:
            self._bars.show(step)

    def _add_image(self, run: Run) -> None:
        """Add the image on top of all images, but below hints and strokes, which stay active.

        So does another image that the user has made active since the run started. If the run
        replaces an earlier one, it is shown in the layer of that one.
        """
        layers, active = self.viewer.layers, self.viewer.layers.selection.active
        earlier = self._earlier(run)
        if earlier is not None:
            run.number, rgb = earlier.number, earlier.layers["rgb"]
            self._replaced.replace(rgb, earlier, run)
            self._put(earlier, run)
        else:
            images = [i for i, layer in enumerate(layers) if isinstance(layer, Image)]
            rgb = run.make_layers("rgb")["rgb"]
            insert_quietly(layers, max(images, default=-1) + 1, rgb)
            self.runs[run.id] = run
        if active is None or (isinstance(active, Image) and active is self._active):
            # In a turn of the event loop of its own: it takes half as long as the insertion.
            QTimer.singleShot(AIR_MS, partial(self._select, rgb, active))

    def _select(self, rgb: Image, active: Image | None) -> None:
        """Make the image active unless the user has chosen another layer meanwhile."""
        layers = self.viewer.layers
        if not self._closed and rgb in layers and layers.selection.active is active:
            layers.selection.active = rgb

    def _earlier(self, run: Run) -> Run | None:
        """The run that a new one replaces, if any."""
        if not self.replaces:
            return None
        layers = self.viewer.layers
        shown = (x for x in reversed(self.runs.values()) if x.layers.get("rgb") in layers)
        return next((one for one in shown if run.replaces(one)), None)

    def _put(self, shown: Run, wanted: Run) -> None:
        """Show another run in the layers of a run."""
        rest = wanted.take_over(self.viewer.layers, shown)
        del self.runs[shown.id]
        self.runs[wanted.id] = wanted
        wanted.layers["rgb"].visible = True
        remove_in_turns(self.viewer.layers, rest)

    def states(self) -> dict[Image, str]:
        """Return the run that each layer shows, of layers that can show another one."""
        return self._replaced.states()

    def restore(self, states: dict[Image, str]) -> None:
        """Show the runs that `states` returned; not while a run is on."""
        if self.busy:
            return
        changes = self._replaced.changes(states)
        for rgb, shown, wanted in changes:
            self._replaced.show(rgb, wanted)
            self._put(shown, wanted)
        if changes:
            self.changed.emit()

    def _on_end(self, run: Run) -> None:
        if run is not self.running:
            return
        self.running = self._job = None
        self._close_bars()
        rgb = run.layers.get("rgb")
        if rgb is not None and not run.finished:  # only a preview of it is there
            self._take_back(run, rgb)
            rgb = None
        if rgb is not None and rgb.visible == self._covers:
            rgb.visible = True
        if rgb is None or rgb in self.viewer.layers:
            said = run.outcome()
            if rgb is not None and self._replaced.before(rgb, run) is not None:
                said += " Undo (Ctrl+Z) brings back the result before it."
            self.said.emit(said)
        else:
            self.said.emit("Canceled: the layer of the result was removed.")
        self.progressed.emit(None)
        if run.failure is not None:
            tell_failure(run.failure)
        if "alternative 1" in run.stages.arrays and run.finished:
            self._add_alternatives(run)
        self.changed.emit()

    def _take_back(self, run: Run, rgb: Image) -> None:
        """Remove the layer of a preview, or show in it what it showed before."""
        if rgb not in self.viewer.layers:
            return
        earlier = self._replaced.before(rgb, run)
        if earlier is None:
            self.viewer.layers.remove(rgb)
            return
        self._replaced.drop(rgb, run)
        self._put(run, earlier)

    def _add_alternatives(self, run: Run, number: int = 1) -> None:
        """Add the alternatives one at a time, so that the window can answer meanwhile."""
        role, rgb, layers = f"alternative {number}", run.layers["rgb"], self.viewer.layers
        if self._closed or role not in run.stages.arrays or rgb not in layers:
            return
        if role not in layers_of_run(layers, run.id):  # it may be in the layer of an earlier run
            insert_quietly(layers, layers.index(rgb), run.make_layers(role)[role])
        QTimer.singleShot(AIR_MS, partial(self._add_alternatives, run, number + 1))

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

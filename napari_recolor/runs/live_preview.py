"""Colors the image shown anew while hints change: the generator does not run again."""

from collections.abc import Sequence
from functools import partial

from napari.components import ViewerModel
from qtpy.QtCore import QObject, Signal

from napari_recolor.runs.events import Failure, Looked, Recolored
from napari_recolor.runs.jobs import Job, JobQueue
from napari_recolor.runs.options import Options
from napari_recolor.runs.reading import Index
from napari_recolor.runs.run import Run
from napari_recolor.runs.runner import tell_failure
from napari_recolor.runs.worker import recolor
from recolor_core.hints import Mark


class LivePreview(QObject):
    """Colors images of finished runs anew. Lives in the main thread; the newest request wins.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers show the new colors.
    queue : JobQueue
        Does the work.
    parent : QObject, optional
        Of the object.
    """

    said = Signal(str)
    """A sentence that says what happens."""
    finished = Signal()
    """Emitted when nothing runs and nothing waits anymore."""

    def __init__(self, viewer: ViewerModel, queue: JobQueue, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer, self._queue = viewer, queue
        self._job: Job | None = None
        self._wanted: tuple[Run, Index, Options, list[Mark]] | None = None  # what it makes
        self._previewed: Run | None = None  # whose image is not at full resolution yet

    @property
    def busy(self) -> bool:
        """Whether an image is being colored anew, or waits to be."""
        return self._job is not None

    def coming(self, run: Run, index: Index) -> tuple[Options, list[Mark]]:
        """The options and hints that an image of a run has, or will have in a moment."""
        if self._wanted is not None and self._wanted[:2] == (run, index):
            return self._wanted[2:]
        return run.options, run.given.get(index, [])

    def request(
        self,
        run: Run,
        index: Index,
        hints: Sequence[Mark],
        options: Options | None = None,
    ) -> None:
        """Color an image of a finished run anew, in place of what was requested before.

        Parameters
        ----------
        run : Run
            A finished run; its options are used.
        index : tuple of int
            Of the image.
        hints : sequence of Mark
            All hints of the image, in pixels of the source.
        options : Options, optional
            How to colorize, if not as in the run; the run takes them over. Options of the generator
            have no effect.
        """
        wanted, inside = options or run.options, run.hints(hints)
        work = partial(
            recolor,
            options=wanted,
            stages=run.stages,
            index=index,
            hints=inside,
        )
        run.look(self.viewer)
        job = Job(work, partial(self._on_event, run, wanted, inside))
        job.on_end = partial(self._on_end, job)
        self._job, self._wanted = job, (run, index, wanted, inside)
        self.said.emit("Coloring anew…")
        self._queue.submit(job)

    def _on_event(
        self,
        run: Run,
        options: Options,
        hints: list[Mark],
        event: Recolored | Looked | Failure | None,
    ) -> None:
        if isinstance(event, Failure):
            self.said.emit(f"Failed: {event.message}")
            tell_failure(event)
        elif not run.layers:  # they were removed, or another run took them over
            return
        elif isinstance(event, Looked):
            run.stages.look(event)
            run.show_stages(self.viewer.layers, event.index)
        elif event is not None and not event.finished:
            self._previewed = run
            run.show_preview(self.viewer.layers, event)
        elif event is not None:
            self._previewed = None
            run.options = options
            run.stages.replace(event)
            run.given[event.index] = hints
            run.show_colors(self.viewer.layers)
            count = len(event.provenance["hints"])
            counted = f"with {count} hint{'' if count == 1 else 's'}" if count else "without hints"
            said = f"Colored {counted}."
            if run.stages.steady:
                said += " Colorize again to carry hints on through the shot."
            self.said.emit(said)

    def _on_end(self, job: Job) -> None:
        if self._job is job:
            self._job = self._wanted = None
            if self._previewed is not None:
                self._previewed.show_again(self.viewer.layers)
                self._previewed = None
            self.finished.emit()

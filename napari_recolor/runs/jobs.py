"""The queue in front of the engine: one job at a time. Of the jobs that wait, the newest wins."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from napari.utils.notifications import notification_manager, show_warning
from qtpy.QtCore import QObject, Signal
from superqt.utils import GeneratorWorker, create_worker
from threadpoolctl import threadpool_limits

from napari_recolor.runs.engine import Engine
from napari_recolor.runs.events import failure_of
from recolor_core.errors import DeviceWarning


@dataclass(eq=False)
class Job:
    """A piece of work for the engine.

    Parameters
    ----------
    work : callable
        Runs in a worker thread: takes the engine and yields events. The job can be ended at each
        event.
    on_event : callable
        Takes each event, in the main thread and in order. A `Failure` is the last event.
    on_end : callable
        Is called once in the main thread, after all events, even if the job never started.
    keeps : bool
        Whether newer jobs wait until this one is done. A job that does not keep is ended by a newer
        one that does not keep either. If a newer one keeps, the job is interrupted and starts again
        after that.
    """

    work: Callable[[Engine], Iterator[Any]]
    on_event: Callable[[Any], None]
    on_end: Callable[[], None] = lambda: None
    keeps: bool = False


class JobQueue(QObject):
    """Owns the engine and runs jobs on it, one at a time. Lives in the main thread.

    Jobs that keep are done in order, before any others. Of the others, only the newest waits.

    Parameters
    ----------
    parent : QObject, optional
        Of the object.
    """

    changed = Signal()
    """Emitted when a job starts and when no job is left."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = Engine()
        self._job: Job | None = None
        self._worker: GeneratorWorker | None = None
        self._kept: deque[Job] = deque()  # those that wait and keep, in order
        self._newest: Job | None = None  # of the others that wait
        self._interrupted: Job | None = None  # the job that runs, if it is to start again
        self._aborted = False  # whether the job that runs was ended before its last event
        self._events: deque[Any] = deque()
        self._draining = False

    @property
    def job(self) -> Job | None:
        """The job that runs."""
        return self._job

    def submit(self, job: Job) -> None:
        """Run a job as soon as the engine is free."""
        if job.keeps:
            self._kept.append(job)
        else:
            replaced, self._newest = self._newest, job
            if replaced is not None:
                replaced.on_end()
        if self._job is None:
            self._start_next()
        elif not self._job.keeps:
            self._interrupted = self._job if job.keeps else None
            self._quit()

    def cancel(self, job: Job) -> None:
        """End a job at its next event, or drop it if it waits."""
        if job is self._job:
            self._interrupted = None
            self._quit()
        elif job is self._newest:
            self._newest = None
            job.on_end()
        elif job in self._kept:
            self._kept.remove(job)
            job.on_end()

    def close(self) -> None:
        """End the job that runs and drop the one that waits. Nothing is called afterwards."""
        self._newest = self._interrupted = None
        self._kept.clear()
        if self._job is not None:
            self._job.on_event, self._job.on_end = _ignore, lambda: None
            self._quit()

    def _quit(self) -> None:
        if self._worker is not None:
            self._worker.quit()

    def _start_next(self) -> None:
        if self._job is not None:  # the end of a job may have submitted the next one
            return
        if self._kept:
            self._job = self._kept.popleft()
        else:
            self._job, self._newest = self._newest, None
        if self._job is not None:
            self._aborted = False
            # Errors come as a Failure: after a RuntimeError the worker would never finish.
            self._worker = worker = create_worker(
                _guarded, self._job, self._engine, _ignore_errors=True
            )
            worker.yielded.connect(self._on_event)
            worker.aborted.connect(self._on_aborted)
            worker.warned.connect(_show_warning)
            worker.finished.connect(self._on_finished)
            worker.start()
        self.changed.emit()

    def _on_event(self, event: Any) -> None:
        """Pass events on in order, one after the other.

        napari's progress bars process Qt's events when they move, so this method may be called
        again before it returns.
        """
        self._events.append(event)
        if self._draining:
            return
        self._draining = True
        try:
            while self._events:
                self._pass_on(self._events.popleft())
        finally:
            self._draining = False

    def _on_aborted(self) -> None:
        self._aborted = True

    def _on_finished(self) -> None:
        self._on_event(_END)

    def _pass_on(self, event: Any) -> None:
        job = self._job
        if job is None:
            return
        try:
            if event is not _END:
                job.on_event(event)
                return
            again = self._aborted and job is self._interrupted and self._newest is None
            self._job = self._worker = self._interrupted = None
            if again:
                self._newest = job
            else:
                job.on_end()
        except Exception as error:  # an error here must not block the queue
            self._quit()
            notification_manager.receive_error(type(error), error, error.__traceback__)
        if event is _END:
            self._start_next()


_END = object()


def _ignore(event: Any) -> None:
    pass


def _guarded(job: Job, engine: Engine) -> Iterator[Any]:
    """Do a job; an error is its last event.

    The matrices are small. With one thread of NumPy's BLAS, a hint takes two thirds of the
    processor time that it takes with two, which wait for each other; and the colors do not depend
    on the number of threads.
    """
    try:
        with threadpool_limits(1, "blas"):
            yield from job.work(engine)
    except Exception as error:
        yield failure_of(error)


def _show_warning(warned: tuple[Any, ...]) -> None:
    message, category = warned[0], warned[1]
    if issubclass(category, DeviceWarning):
        show_warning(str(message))

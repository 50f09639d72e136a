"""Where the files of a batch are done: here, in processes of this machine, or on a Dask cluster."""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from threading import Event, Lock
from typing import Any, Protocol

from recolor_core.batch.observer import BatchObserver, Observer, Stopped, Turn
from recolor_core.batch.outcome import Outcome, show_warning
from recolor_core.batch.tasks import (
    IMAGES_AT_A_TIME,
    Task,
    Work,
    images_at_a_time,
    make_colorizer,
    perform,
    perform_anywhere,
)
from recolor_core.colorizer import Colorizer
from recolor_core.device import set_thread_count
from recolor_core.errors import RecolorError
from recolor_core.pipeline import in_order

MAX_PROCESSES = 60 if sys.platform == "win32" else 1024
"""Most processes of "local:N". Windows waits for at most 63 things at a time."""

_LOOK_SECONDS = 1.0
"""Seconds between two checks of the time limits."""

_TELL_SECONDS = 0.2
"""Seconds between two messages of a worker about its progress."""

_END_SECONDS = 10.0
"""Seconds that a worker has to remove what is half done."""

_CONNECT_SECONDS = 10.0
"""Seconds to look for a cluster when the batch begins."""

_RECONNECT_SECONDS = 300.0
"""How long to look for a cluster whose scheduler is being restarted."""


@dataclass(frozen=True)
class Lost:
    """What is known of a task whose process ended before it was done.

    Parameters
    ----------
    reason : str
        How it ended, in words.
    """

    reason: str


class Scheduler(Protocol):
    """Does the tasks of a batch."""

    def run(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Outcome | Lost]]:
        """Do tasks; they are taken when there is somebody to do them.

        Parameters
        ----------
        tasks : iterator of Task
            What there is to do.

        Yields
        ------
        task, outcome
            In any order. It is `Lost` if the process that did the task was lost.
        """
        ...


class Serial:
    """Does one task after the other in this process.

    Parameters
    ----------
    colorizer : Colorizer
        Makes the colors.
    work : Work
        What is the same for all files.
    observer : BatchObserver or None
        Is told how the work on a file goes on.
    """

    def __init__(
        self, colorizer: Colorizer, work: Work, observer: BatchObserver | None = None
    ) -> None:
        self._colorizer = colorizer
        self._work = work
        self._observer = observer

    def run(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Outcome | Lost]]:
        """Do tasks; see `Scheduler`."""
        for task in tasks:
            if self._observer:
                self._observer.file(task.source)
            yield task, perform(self._colorizer, task, self._work.request, self._observer)


class LocalProcesses:
    """Does tasks in processes of their own on this machine.

    A process works on `IMAGES_AT_A_TIME` tasks at a time, so that it reads and writes one image
    while another one is in the networks. If it crashes, these tasks are lost; done alone, those
    that did not cause it succeed.

    Parameters
    ----------
    count : int
        Number of processes.
    work : Work
        What is the same for all files.
    seconds : float or None
        A process that makes no progress for this time is ended, and its file has failed.
    observer : BatchObserver or None
        Is told which files are begun and, if there is one process, how the work on them goes on.
    """

    def __init__(
        self,
        count: int,
        work: Work,
        seconds: float | None = None,
        observer: BatchObserver | None = None,
    ) -> None:
        self._count = count
        self._work = work
        self._seconds = seconds
        self._observer = observer or BatchObserver()

    def run(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Outcome | Lost]]:
        """Do tasks; see `Scheduler`."""
        workers: list[_Worker] = []
        waiting: Task | None = None
        try:
            while True:
                workers = [worker for worker in workers if worker.process.is_alive()]
                while len(workers) < self._count or any(worker.has_room for worker in workers):
                    waiting = waiting or next(tasks, None)
                    if waiting is None or (worker := self._free(workers, waiting)) is None:
                        break
                    worker.begin(waiting)
                    waiting = None
                busy = [worker for worker in workers if worker.jobs]
                if not busy:
                    return
                wait([worker.connection for worker in busy], _LOOK_SECONDS)
                for worker in busy:
                    yield from worker.outcomes(self._seconds)
        finally:
            for worker in workers:
                worker.end()

    def _free(self, workers: "list[_Worker]", task: Task) -> "_Worker | None":
        """Find a process that may begin a task, or start one; None if all have enough to do."""
        idle = [worker for worker in workers if not worker.jobs]
        if idle:
            return idle[0]
        if len(workers) < self._count:
            # The messages of several processes would be mixed up.
            observer = self._observer if self._count == 1 else _Names(self._observer)
            workers.append(_Worker(self._work, observer))
            return workers[-1]
        return next((worker for worker in workers if worker.takes(task)), None)


class _Names(BatchObserver):
    """Passes on only which files are begun."""

    def __init__(self, observer: BatchObserver) -> None:
        self._observer = observer

    def file(self, name: str) -> None:
        """See `BatchObserver`."""
        self._observer.file(name)


@dataclass
class _Job:
    """A task that a process was given.

    Parameters
    ----------
    task : Task
        The task.
    turn : Turn
        Keeps the messages about it while the process has an older task.
    heard : float or None
        When the last message came; None until the process begins the task, since it may have to
        load the networks first.
    outcome : Outcome or None
        What became of it.
    """

    task: Task
    turn: Turn
    heard: float | None = None
    outcome: Outcome | None = None


class _Worker:
    """A process that does a few tasks at a time.

    Attributes
    ----------
    jobs : list of _Job
        What it has to do, oldest first.
    """

    def __init__(self, work: Work, observer: BatchObserver) -> None:
        # Not forked: threads of PyTorch do not survive that.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work), daemon=True)
        self.process.start()
        theirs.close()
        self.jobs: list[_Job] = []
        self._observer = observer

    @property
    def has_room(self) -> bool:
        """Whether the process may begin another task, unless that is to be done alone."""
        unfinished = [job.task for job in self.jobs if job.outcome is None]
        return len(unfinished) < (1 if any(t.alone for t in unfinished) else IMAGES_AT_A_TIME)

    def takes(self, task: Task) -> bool:
        """Whether the process may begin this task while it does others."""
        return self.has_room and not (task.alone and any(job.outcome is None for job in self.jobs))

    def begin(self, task: Task) -> None:
        """Hand out a task."""
        self.jobs.append(_Job(task, Turn(self._observer, Event())))
        if len(self.jobs) == 1:
            self._turn()
        with contextlib.suppress(OSError):  # it has died: `outcomes` finds out
            self.connection.send(task)

    def outcomes(self, seconds: float | None) -> Iterator[tuple[Task, Outcome | Lost]]:
        """Tell what became of tasks, in the order in which they were handed out.

        Parameters
        ----------
        seconds : float or None
            How long the process may make no progress on a task.
        """
        try:
            while self.connection.poll():
                self._take(self.connection.recv())
        except (EOFError, ConnectionError):
            self.process.join(0.2)  # so that its exit code is that of the crash
            self.end()
            yield from self._lost(_how_it_ended(self.process.exitcode))
            return
        while self.jobs and (outcome := self.jobs[0].outcome):
            yield self.jobs.pop(0).task, outcome
            if self.jobs:
                self._turn()
        now = time.monotonic()
        for job in self.jobs:
            if seconds is None or job.heard is None or job.outcome or now - job.heard <= seconds:
                continue
            job.outcome = Outcome(
                job.task.source,
                "failed",
                f"no progress for {seconds:g} s, so the process that read it was ended; raise "
                "--timeout if the file is good",
            )
            self.process.kill()  # what hangs in a decoder hears nothing else
            self.process.join()
            self.end()
            yield from self._lost("because of another file")
            return

    def _take(self, answer: Any) -> None:
        """Take a message of the process."""
        if isinstance(answer, Exception):
            raise answer
        path, name, *facts = answer
        job = next(job for job in self.jobs if job.task.path == path)
        job.heard = time.monotonic()
        if name == "outcome":
            (job.outcome,) = facts
        elif name != "begin":
            getattr(job.turn, name)(*facts)

    def _turn(self) -> None:
        """Pass on the messages about the oldest task."""
        self._observer.file(self.jobs[0].task.source)
        self.jobs[0].turn.begin()

    def _lost(self, reason: str) -> Iterator[tuple[Task, Outcome | Lost]]:
        """Give up the tasks of a process that has ended."""
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            yield job.task, job.outcome or Lost(reason)

    def end(self) -> None:
        """End the process, after it has removed what is half done."""
        self.connection.close()
        if not self.jobs and self.process.is_alive():
            self.process.join(0.2)  # it reads that the connection is closed
        self.process.terminate()
        self.process.join(_END_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _how_it_ended(exit_code: int | None) -> str:
    """Describe in words why a process ended."""
    if exit_code is None or exit_code >= 0:
        return f"with exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = str(-exit_code)
    if name == "SIGKILL":
        return "by SIGKILL; perhaps it ran out of memory"
    return f"by {name}; perhaps the file is made to crash its decoder"


class _Teller(Observer):
    """Tells the main process how the work on a task goes on, a few times a second.

    Parameters
    ----------
    send : callable
        Sends a message.
    path : str
        Of the task.
    stopped : Event
        If it is set, the next message raises `Stopped` in the thread that does the task.
    """

    def __init__(self, send: Callable[[Any], None], path: str, stopped: Event) -> None:
        self._send = send
        self._path = path
        self._stopped = stopped
        self._megapixels = 0.0
        self._told = 0.0

    def tell(self, name: str, *facts: Any) -> None:
        """Send a message about the task."""
        if self._stopped.is_set():
            raise Stopped
        self._send((self._path, name, *facts))

    def page(self, page: int, pages: int, megapixels: float) -> None:
        """See `Observer`."""
        self.tell("page", page, pages, megapixels)

    def advance(self, megapixels: float) -> None:
        """See `Observer`."""
        self._megapixels += megapixels
        if time.monotonic() - self._told > _TELL_SECONDS or self._stopped.is_set():
            self.tell("advance", self._megapixels)
            self._megapixels, self._told = 0.0, time.monotonic()

    def warn(self, text: str) -> None:
        """See `Observer`."""
        self.tell("warn", text)


def _serve(connection: Connection, work: Work) -> None:
    """The main function of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends its workers
    signal.signal(signal.SIGTERM, _interrupt)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    warnings.showwarning = show_warning
    stopped, sending = Event(), Lock()

    def send(message: Any) -> None:
        with sending:
            connection.send(message)

    def do(colorizer: Colorizer, task: Task) -> None:
        teller = _Teller(send, task.path, stopped)
        teller.tell("begin")
        teller.tell("outcome", perform(colorizer, task, work.request, teller))

    def calls(colorizer: Colorizer) -> Iterator[Callable[[], None]]:
        while True:
            yield partial(do, colorizer, connection.recv())

    with contextlib.suppress(KeyboardInterrupt, EOFError, ConnectionError):
        if work.threads:
            set_thread_count(work.threads)
        try:
            colorizer = make_colorizer(work)
        except RecolorError as error:
            connection.send(error)
            return
        for _ in in_order(calls(colorizer), images_at_a_time(colorizer), stopped):
            pass


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


@dataclass(frozen=True)
class _Done:
    """Futures that ended: with an outcome, or lost together with their scheduler."""

    outcomes: list[tuple[Any, Outcome | Lost]]
    lost: list[Any]


class Cluster:
    """Does tasks on the workers of a Dask cluster, all of which see the same file systems.

    Lost workers are replaced by others, and a scheduler that is restarted is found again: what it
    had in hand is handed out anew.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://host:8786``, or the name of a scheduler file.
    work : Work
        What is the same for all files.

    Raises
    ------
    RecolorError
        If Dask is not installed or there is no scheduler.
    """

    def __init__(self, address: str, work: Work) -> None:
        try:
            import distributed
        except ImportError as error:
            raise RecolorError(
                f"--scheduler ADDRESS needs Dask, which cannot be imported ({error}); "
                'pip install "napari-recolor[cluster]"'
            ) from error
        self._dask: Any = distributed
        self._address = address
        self._work = work
        self._client: Any = self._connect(_CONNECT_SECONDS)

    def _connect(self, seconds: float) -> Any:
        where = (
            {"scheduler_file": self._address}
            if self._address.endswith(".json")
            else {"address": self._address}
        )
        end = time.monotonic() + seconds
        while True:
            try:
                return self._dask.Client(**where, timeout=min(5, seconds), set_as_default=False)
            except (OSError, TimeoutError, ValueError) as error:
                if time.monotonic() > end or isinstance(error, ValueError):
                    raise RecolorError(
                        f"expected a Dask scheduler at {self._address}, found none ({error}); "
                        "start one with: dask scheduler"
                    ) from error
                time.sleep(1)

    def run(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Outcome | Lost]]:
        """Do tasks; see `Scheduler`."""
        waiting: dict[Any, Task] = {}
        again: list[Task] = []
        try:
            while True:
                if self._client.status != "running":
                    again += waiting.values()
                    waiting.clear()
                    self._reconnect()
                try:
                    self._hand_out(tasks, again, waiting)
                    if not waiting:
                        return
                    done = self._finished(waiting)
                except OSError:  # the connection broke just now; its status says so soon
                    time.sleep(_LOOK_SECONDS)
                    continue
                again += [waiting.pop(future) for future in done.lost]
                for future, outcome in done.outcomes:
                    yield waiting.pop(future), outcome
        finally:
            with contextlib.suppress(Exception):
                self._client.cancel(list(waiting))
                self._client.close(timeout=5)

    def _hand_out(self, tasks: Iterator[Task], again: list[Task], waiting: dict[Any, Task]) -> None:
        """Submit tasks until each slot of the cluster has two, those that were lost first."""
        for _ in range(max(2, 2 * self._slots()) - len(waiting)):
            task = again.pop() if again else next(tasks, None)
            if task is None:
                return
            try:
                future = self._client.submit(
                    perform_anywhere, task, self._work, pure=False, retries=2
                )
            except OSError:
                again.append(task)
                raise
            waiting[future] = task

    def _finished(self, waiting: dict[Any, Task]) -> "_Done":
        """Wait a little for any of the tasks, and return what became of those that ended."""
        with (
            self._client.as_current(),
            contextlib.suppress(TimeoutError, self._dask.TimeoutError, CancelledError),
        ):
            self._dask.wait(list(waiting), timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED")
        done = _Done([], [])
        for future, task in waiting.items():
            if not future.done():
                continue
            if future.status == "finished":
                done.outcomes.append((future, future.result()))
            elif future.status in ("cancelled", "lost"):
                done.lost.append(future)  # the scheduler knows nothing of it any more
            else:
                done.outcomes.append((future, self._failed(task, future.exception())))
        return done

    def _slots(self) -> int:
        with contextlib.suppress(OSError, TimeoutError, KeyError):
            return sum(self._client.nthreads().values())
        return 1

    def _reconnect(self) -> None:
        with contextlib.suppress(Exception):
            self._client.close(timeout=5)
        self._client = self._connect(_RECONNECT_SECONDS)

    def _failed(self, task: Task, error: BaseException | None) -> Outcome | Lost:
        if isinstance(error, self._dask.KilledWorker):
            return Lost("several times, on the cluster; perhaps it ran out of memory")
        return Outcome(task.source, "failed", f"the cluster could not do it ({error})")


def make_scheduler(
    name: str, work: Work, seconds: float | None = None, observer: BatchObserver | None = None
) -> Scheduler:
    """The scheduler outside this process that a text names.

    Parameters
    ----------
    name : str
        "local:N" for N processes of this machine, or the address of a Dask scheduler.
    work : Work
        What is the same for all files.
    seconds : float or None
        How long a process may make no progress; needs "local:N".
    observer : BatchObserver or None
        Is told which files are begun and, with "local:1", how the work on them goes on.

    Raises
    ------
    RecolorError
        If the text names none.
    """
    if not name.startswith("local:"):
        return Cluster(name, work)
    count = name.removeprefix("local:")
    if not count.isdecimal() or not 1 <= int(count) <= MAX_PROCESSES:
        raise RecolorError(
            f"expected --scheduler local:N with N from 1 to {MAX_PROCESSES}, got {name!r}; "
            "for example local:4"
        )
    return LocalProcesses(int(count), work, seconds, observer)

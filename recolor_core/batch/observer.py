"""Messages while a file is being made."""

from collections.abc import Callable
from functools import partial
from threading import Event, Lock

from recolor_core.batch.outcome import Outcome


class Observer:
    """Is told how the work on a file goes on. This one does nothing."""

    def page(self, page: int, pages: int, megapixels: float) -> None:
        """A page begins; its megapixels count every coloring that is made of it."""

    def advance(self, megapixels: float) -> None:
        """A strip of the page is done."""

    def warn(self, text: str) -> None:
        """Something has to be said about the file."""


class BatchObserver(Observer):
    """Is told how a batch goes on, too. This one does nothing."""

    def expect(self, files: int) -> None:
        """So many files are to be done."""

    def file(self, name: str) -> None:
        """A file is begun."""

    def finish(self, outcome: Outcome) -> None:
        """A file is done, kept as it is, or failed."""


class Stopped(BaseException):
    """The work on a file is to end, because the call was interrupted."""


class Turn(Observer):
    """Keeps the messages about a file that another thread makes, until it is the file's turn.

    Parameters
    ----------
    observer : Observer
        Is told them from then on.
    stopped : Event
        If it is set, the next message raises `Stopped` in the thread that makes the file.
    """

    def __init__(self, observer: Observer, stopped: Event) -> None:
        self._observer = observer
        self._stopped = stopped
        self._lock = Lock()
        self._kept: list[Callable[[], None]] | None = []

    def begin(self) -> None:
        """It is the turn of the file: pass on what was kept, and whatever comes."""
        with self._lock:
            kept, self._kept = self._kept or [], None
            for message in kept:
                message()

    def page(self, page: int, pages: int, megapixels: float) -> None:
        """A page begins; its megapixels count every coloring that is made of it."""
        self._tell(partial(self._observer.page, page, pages, megapixels))

    def advance(self, megapixels: float) -> None:
        """A strip of the page is done."""
        self._tell(partial(self._observer.advance, megapixels))

    def warn(self, text: str) -> None:
        """Something has to be said about the file."""
        self._tell(partial(self._observer.warn, text))

    def _tell(self, message: Callable[[], None]) -> None:
        if self._stopped.is_set():
            raise Stopped
        with self._lock:
            if self._kept is None:
                message()
            else:
                self._kept.append(message)

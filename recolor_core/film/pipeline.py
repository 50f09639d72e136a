"""Steps of the work on a film that run beside each other: reading, coloring and coding."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

_Item = TypeVar("_Item")

_POLL = 0.1  # seconds after which a waiting reader looks whether it is still wanted


class ReadAhead(Generic[_Item]):
    """The items of an iterator, read by another thread a few at a time before they are needed.

    Use it as a context manager: at its end the thread stops. What the iterator raises is raised
    where its item would have come.

    Parameters
    ----------
    items : Iterator
        What to read.
    ahead : int
        The largest number of items that wait.
    """

    def __init__(self, items: Iterator[_Item], ahead: int = 4) -> None:
        self._items = items
        self._waiting: queue.Queue[tuple[_Item | None, BaseException | None]] = queue.Queue(ahead)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, name="recolor-read", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def __iter__(self) -> Iterator[_Item]:
        while True:
            item, error = self._waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]

    def _read(self) -> None:
        try:
            for item in self._items:
                if not self._put(item, None):
                    return
            self._put(None, StopIteration())
        except BaseException as error:
            self._put(None, error)
        finally:
            if isinstance(self._items, Generator):
                self._items.close()  # here, where it ran

    def _put(self, item: _Item | None, error: BaseException | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._waiting.put((item, error), timeout=_POLL)
            except queue.Full:
                continue
            return True
        return False


class WriteBehind:
    """Calls that another thread makes, one after the other, while the caller goes on.

    Use it as a context manager: at its end all calls are done. What a call raises is raised by a
    later `call` or at the end, and no further call is made.

    Parameters
    ----------
    behind : int
        The largest number of calls that wait.
    """

    def __init__(self, behind: int = 2) -> None:
        self._behind = behind
        self._pool = ThreadPoolExecutor(1, "recolor-write")
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            while kind is None and self._pending:
                self._pending.popleft().result()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def call(self, function: Callable[[], None]) -> None:
        """Make a call soon; waits while too many are waiting."""
        while len(self._pending) >= self._behind:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(function))

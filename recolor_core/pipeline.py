"""Overlapping stages: each stage runs in its own thread, a limited number of items ahead."""

from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

_Item = TypeVar("_Item")
_SECONDS = 0.2  # a wait without a time limit cannot be interrupted from the keyboard on Windows


def ahead(items: Iterable[_Item], count: int = 2) -> Iterator[_Item]:
    """Iterate over items that a separate thread makes while the caller uses earlier items.

    Calls can be nested to overlap several stages: ``ahead(color(ahead(read(path))))`` reads and
    colorizes while the caller writes. The items and their order are those of ``items``. An
    exception in ``items`` is raised at the same point of the iteration. ``items`` is iterated and
    closed in the same thread.

    Parameters
    ----------
    items : iterable
        Makes the items. It must not depend on what the caller does with them.
    count : int
        How many finished items may wait, at least 1. The thread makes one more item meanwhile.

    Yields
    ------
    object
        The items.
    """
    queue: Queue[_Made[_Item] | BaseException | None] = Queue(count)
    stopped = Event()
    thread = Thread(target=_make, args=(items, queue, stopped), daemon=True)
    thread.start()
    try:
        while True:
            try:
                made = queue.get(timeout=_SECONDS)
            except Empty:
                continue
            if made is None:
                return
            if isinstance(made, BaseException):
                raise made
            yield made.item
            del made  # a large item must not stay in memory during the wait for the next one
    finally:
        stopped.set()
        thread.join()


class _Made(Generic[_Item]):
    def __init__(self, item: _Item) -> None:
        self.item = item


def _make(
    items: Iterable[_Item], queue: "Queue[_Made[_Item] | BaseException | None]", stopped: Event
) -> None:
    iterator = iter(items)
    end: BaseException | None = None
    try:
        for item in iterator:
            if not _put(_Made(item), queue, stopped):
                break
    except BaseException as error:  # `ahead` raises it again in the thread of the caller
        end = error
    try:
        if close := getattr(iterator, "close", None):
            close()
    except BaseException as error:
        end = end or error
    _put(end, queue, stopped)


def _put(
    made: "_Made[_Item] | BaseException | None",
    queue: "Queue[_Made[_Item] | BaseException | None]",
    stopped: Event,
) -> bool:
    """Wait until the queue has room; return False if the caller needs no more items."""
    while not stopped.is_set():
        try:
            queue.put(made, timeout=_SECONDS)
        except Full:
            continue
        return True
    return False

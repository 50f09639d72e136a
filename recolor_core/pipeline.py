"""Stages that overlap: each runs in a thread of its own, a bounded number of items ahead."""

from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

_Item = TypeVar("_Item")
_SECONDS = 0.2  # between looks at whether to stop; Windows lets no key interrupt an endless wait


def ahead(items: Iterable[_Item], count: int = 2) -> Iterator[_Item]:
    """Iterate over items that a thread of its own makes while the caller uses those before.

    Chain it to overlap several stages: ``ahead(color(ahead(read(path))))`` reads, colors and, in
    the caller, writes at the same time. The items, their order and an exception at its place are
    those of ``items``. It is iterated and closed in that one thread.

    Parameters
    ----------
    items : iterable
        Makes the items. It must not depend on what the caller does with them.
    count : int
        How many finished items may wait; one more is in the making.

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
            del made  # it may be large, and the next one is waited for
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
    except BaseException as error:  # raised again where the items are used
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
    """Wait until there is room; False if nobody wants items any more."""
    while not stopped.is_set():
        try:
            queue.put(made, timeout=_SECONDS)
        except Full:
            continue
        return True
    return False

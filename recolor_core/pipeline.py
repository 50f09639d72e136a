"""Work that overlaps: calls in several threads, whose results come in order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from threading import Event
from typing import TypeVar

_Result = TypeVar("_Result")
_SECONDS = 0.2  # a wait without a time limit cannot be interrupted from the keyboard on Windows


def in_order(
    calls: Iterable[Callable[[], _Result]], threads: int, stopped: Event | None = None
) -> Generator[_Result]:
    """Make calls in several threads, and return their results in order.

    At most twice as many results as there are threads wait for the caller. Calls run in the context
    (see `contextvars`) of the caller.

    Parameters
    ----------
    calls : iterable of callable
        The calls.
    threads : int
        Number of threads, at least 1. With 1, the thread of the caller makes the calls.
    stopped : Event, optional
        Is set when the caller needs no more results, so that calls that still run can end early.

    Yields
    ------
    object
        The result of each call.
    """
    if threads == 1:
        for call in calls:
            yield call()
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[_Result]] = deque()
        try:
            for call in calls:
                waiting.append(pool.submit(copy_context().run, call))
                if len(waiting) == 2 * threads:
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        finally:
            if stopped is not None:
                stopped.set()
            for future in waiting:
                future.cancel()


def _result(future: Future[_Result]) -> _Result:
    while True:
        try:
            return future.result(timeout=_SECONDS)
        except TimeoutError:
            if future.done():  # the call itself raised it
                return future.result()

"""Spread work over processes with a limited number of pending items."""

import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from training.prepare.errors import PrepareError

Item = TypeVar("Item")
Result = TypeVar("Result")


def unordered(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Yield ``function(item)`` of each item as soon as it is ready, in any order.

    Parameters
    ----------
    function : callable
        A module-level function, so that another process can import it.
    items : iterable
        Items, read as they are needed: about four for each worker are pending at a time.
    workers : int
        Number of processes. If it is 1, the work runs in this process.

    Raises
    ------
    PrepareError
        If a worker process died.
    """
    if workers == 1:
        yield from map(function, items)
        return
    queue = iter(items)
    # Use "spawn": forking a process that has threads (torch, the progress bar) may hang.
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        running: set[Future[Result]] = {
            pool.submit(function, item) for item in itertools.islice(queue, 4 * workers)
        }
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
            running |= {pool.submit(function, item) for item in itertools.islice(queue, len(done))}
    except BrokenProcessPool as error:
        raise PrepareError(
            "a worker process died, most likely for lack of memory: try again with a smaller -n."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

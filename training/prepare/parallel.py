"""Work spread over processes, with a bounded number of pieces under way."""

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
    """Yield ``function(item)`` of every item as soon as it is there, in any order.

    Parameters
    ----------
    function : callable
        A function of a module, so that another process can import it.
    items : iterable
        Drawn as they are needed: about four per worker are under way at a time.
    workers : int
        Number of processes; 1 works in this process.

    Raises
    ------
    PrepareError
        A worker process died.
    """
    if workers == 1:
        yield from map(function, items)
        return
    queue = iter(items)
    # "spawn": forking a process that has threads (torch, the progress bar) may hang.
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
            "a worker process died, most likely for want of memory: try again with a smaller -n."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

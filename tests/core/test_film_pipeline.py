"""Reading ahead and writing behind: order, limits, errors, and ends."""

import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from recolor_core.film.pipeline import ReadAhead, WriteBehind


def _count(read: list[int], closed: list[bool], total: int = 1000) -> Iterator[int]:
    try:
        for number in range(total):
            read.append(number)
            yield number
    finally:
        closed.append(True)


def test_items_come_in_order():
    with ReadAhead(iter(range(50)), ahead=3) as items:
        assert list(items) == list(range(50))


def test_no_more_is_read_than_may_wait_and_the_reader_ends():
    read: list[int] = []
    closed: list[bool] = []
    threads = threading.active_count()
    with ReadAhead(_count(read, closed), ahead=3) as items:
        assert next(iter(items)) == 0
        for _ in range(50):
            time.sleep(0.01)
            if len(read) == 5:
                break
        time.sleep(0.05)
        assert len(read) == 5  # one taken, three waiting, one in the hand
    assert threading.active_count() == threads
    assert closed == [True]


def test_an_error_of_the_reader_comes_after_the_items_before_it():
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("damaged")

    with ReadAhead(broken()) as items:
        taken = iter(items)
        assert next(taken) == 1
        with pytest.raises(ValueError, match="damaged"):
            next(taken)


def test_calls_are_made_in_order_and_done_at_the_end():
    done: list[int] = []
    with WriteBehind() as behind:
        for number in range(20):
            behind.call(partial(done.append, number))
    assert done == list(range(20))


def test_an_error_of_a_call_is_raised_and_ends_the_calls():
    done: list[int] = []

    def fail() -> None:
        raise OSError("no space left")

    def work(behind: WriteBehind) -> None:
        with behind:
            behind.call(fail)
            for number in range(5):
                behind.call(partial(done.append, number))

    for allowed in (1, 9):  # noticed at a later call, or at the end
        with pytest.raises(OSError, match="no space left"):
            work(WriteBehind(allowed))

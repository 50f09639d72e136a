"""Calls in several threads: their results in order, and never too many of them."""

import threading
from contextvars import ContextVar

import numpy as np
import pytest

from recolor_core.pipeline import in_order


def test_results_come_in_the_order_of_the_calls():
    slow = threading.Event()

    def first():
        slow.wait(10)
        return np.array(0)

    def second():
        slow.set()
        return np.array(1)

    assert [int(x) for x in in_order(iter([first, second]), 2)] == [0, 1]


def test_no_more_than_twice_the_threads_are_ahead():
    made = []
    calls = (lambda i=i: made.append(i) or np.array(i) for i in range(50))
    results = in_order(calls, 2)
    next(results)
    results.close()
    assert len(made) <= 5


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_are_those_of_the_calls(threads):
    calls = [lambda i=i: i**2 for i in range(100)]
    assert list(in_order(calls, threads)) == [i**2 for i in range(100)]
    assert list(in_order([], threads)) == []


@pytest.mark.parametrize("error", [ValueError, TimeoutError])
def test_an_error_comes_where_it_was_made_and_ends_the_calls_that_run(error):
    stopped, ended = threading.Event(), threading.Event()

    def fail():
        raise error("at the second")

    def long():
        ended.set() if stopped.wait(20) else None

    results = in_order([lambda: 1, fail, long], 2, stopped)
    assert next(results) == 1
    with pytest.raises(error, match="at the second"):
        next(results)
    assert ended.is_set()


def test_calls_run_in_the_context_of_the_caller():
    variable = ContextVar("variable", default=0)
    variable.set(7)
    assert list(in_order([variable.get] * 3, 2)) == [7, 7, 7]

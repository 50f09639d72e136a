"""Items that a thread makes ahead: the same ones, and never too many."""

import gc
import threading
import weakref

import pytest

from recolor_core.pipeline import ahead


@pytest.mark.parametrize("count", [1, 3])
def test_items_and_their_order_are_the_same(count):
    assert list(ahead(range(100), count)) == list(range(100))
    assert list(ahead(ahead(iter("abc"), count), count)) == ["a", "b", "c"]
    assert list(ahead((), count)) == []


def test_none_and_exceptions_may_be_items():
    items = [None, ValueError("an item"), None]
    assert list(ahead(items)) == items


def test_an_error_comes_where_it_was_made():
    def items():
        yield 1
        yield 2
        raise ValueError("at the third")

    seen = []
    with pytest.raises(ValueError, match="at the third"):
        seen.extend(ahead(items()))
    assert seen == [1, 2]


def test_stages_run_at_the_same_time():
    # Each stage waits for the other: one after the other, they would wait for ever.
    second_made, first_used = threading.Event(), threading.Event()

    def items():
        yield 1
        second_made.set()
        assert first_used.wait(10)
        yield 2

    for item in ahead(items()):
        if item == 1:
            assert second_made.wait(10)
            first_used.set()


@pytest.mark.parametrize("count", [1, 4])
def test_memory_is_bounded(count):
    made = []

    def items():
        for index in range(1000):
            made.append(index)
            yield index

    iterator = ahead(items(), count)
    for used in range(1, 20):
        next(iterator)
        assert len(made) <= used + count + 1
    iterator.close()
    assert len(made) <= 19 + count + 1


def test_to_stop_closes_the_items_in_the_thread_that_made_them():
    threads = []

    def items():
        try:
            while True:
                yield threading.get_ident()
        finally:
            threads.append(threading.get_ident())

    iterator = ahead(items())
    maker = next(iterator)
    before = threading.active_count()
    iterator.close()
    assert threads == [maker]
    assert threading.active_count() == before - 1


def test_an_error_while_closing_is_not_lost():
    class Items:
        def __iter__(self):
            return self

        def __next__(self):
            raise StopIteration

        def close(self):
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        list(ahead(Items()))


def test_used_items_are_let_go():
    class Item:
        pass

    def items():
        for _ in range(2):
            yield Item()

    iterator = ahead(items(), 1)
    first = weakref.ref(next(iterator))
    next(iterator)
    gc.collect()
    assert first() is None

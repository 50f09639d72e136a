"""Several images at a time: each has its own warnings, and messages come in its turn."""

import threading
import warnings
from contextlib import suppress

import pytest

from recolor_core.batch.observer import Observer, Stopped, Turn
from recolor_core.batch.warned import warnings_shown_by


class Told(Observer):
    def __init__(self):
        self.messages = []

    def page(self, *about):
        self.messages.append(about)

    def advance(self, megapixels):
        self.messages.append(megapixels)

    def warn(self, text):
        self.messages.append(text)


def test_messages_are_kept_until_it_is_their_turn():
    told, stopped = Told(), threading.Event()
    first, second = Turn(told, stopped), Turn(told, stopped)
    second.page(1, 2, 3.0)
    second.warn("the second")
    first.warn("the first")
    assert told.messages == []
    first.begin()
    first.advance(0.5)
    second.begin()
    second.advance(1.5)
    assert told.messages == ["the first", 0.5, (1, 2, 3.0), "the second", 1.5]


def test_work_that_is_stopped_ends_at_its_next_message():
    stopped = threading.Event()
    turn = Turn(Told(), stopped)
    turn.advance(1)
    stopped.set()
    with pytest.raises(Stopped), suppress(Exception):
        turn.advance(1)


def warn_of(text):
    warnings.warn(text, UserWarning, stacklevel=1)


@pytest.mark.filterwarnings("default")
def test_threads_get_their_own_warnings_in_any_order_of_beginning_and_ending():
    one, two = [], []
    inside, outside = threading.Barrier(2, timeout=20), threading.Event()

    def other():
        with warnings_shown_by(lambda message: two.append(str(message))):
            inside.wait()
            warn_of("both")
            warn_of("of the other")
            outside.wait(20)
        # It ends last.

    before = warnings.showwarning
    thread = threading.Thread(target=other)
    with warnings_shown_by(lambda message: one.append(str(message))):
        thread.start()
        inside.wait()
        warn_of("both")
    outside.set()
    thread.join()
    assert one == ["both"]
    assert sorted(two) == ["both", "of the other"]
    assert warnings.showwarning is before


@pytest.mark.filterwarnings("default")
def test_threads_that_make_no_image_warn_as_ever(monkeypatch):
    shown, own = [], []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *_: shown.append(str(message)))
    with warnings_shown_by(lambda message: own.append(str(message))):
        thread = threading.Thread(target=warn_of, args=("elsewhere",))
        thread.start()
        thread.join()
    assert (shown, own) == (["elsewhere"], [])


@pytest.mark.filterwarnings("default")
def test_each_image_gets_a_warning_that_another_one_had():
    got = []
    for _ in range(2):
        with warnings_shown_by(lambda message: got.append(str(message))):
            warn_of("again")
    assert got == ["again", "again"]

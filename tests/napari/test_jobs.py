"""The queue: one job at a time, the newest wins, and nothing raised blocks it."""

import threading
import time

import pytest
from napari.utils.notifications import notification_manager

from napari_recolor.runs.events import Failure
from napari_recolor.runs.jobs import Job, JobQueue


class Recorder:
    """Makes jobs whose work waits for a gate, and notes what happens to them."""

    def __init__(self):
        self.gate = threading.Event()
        self.lock = threading.Lock()
        self.at_once = self.most_at_once = 0
        self.started, self.events, self.ended = [], [], []

    def job(self, name, keeps=False, steps=3):
        def work(engine):
            with self.lock:
                self.started.append(name)
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                for step in range(steps):
                    yield name, step
                    self.gate.wait(20)
                    time.sleep(0.005)
            finally:
                with self.lock:
                    self.at_once -= 1

        return Job(work, self.events.append, lambda: self.ended.append(name), keeps)


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def queue(qapp, recorder):
    queue = JobQueue()
    yield queue
    recorder.gate.set()
    queue.close()


def idle(queue):
    return lambda: queue.job is None


def test_events_come_in_order_and_then_the_end(queue, recorder, qtbot):
    recorder.gate.set()
    queue.submit(recorder.job("a"))
    qtbot.waitUntil(idle(queue))
    assert recorder.events == [("a", 0), ("a", 1), ("a", 2)]
    assert recorder.ended == ["a"]


def test_one_at_a_time_and_of_those_that_wait_the_newest(queue, recorder, qtbot):
    queue.submit(recorder.job("first", steps=50))
    qtbot.waitUntil(lambda: recorder.started == ["first"])
    for name in "abcdefghijkl":
        queue.submit(recorder.job(name))
        qtbot.wait(5)
    assert recorder.started == ["first"]
    recorder.gate.set()
    qtbot.waitUntil(idle(queue))
    assert recorder.started == ["first", "l"]
    assert recorder.most_at_once == 1
    assert [step for name, step in recorder.events if name == "l"] == [0, 1, 2]
    assert ("first", 49) not in recorder.events  # it was told to end
    assert sorted(recorder.ended) == sorted(["first", *"abcdefghijkl"])  # each once


def test_jobs_that_keep_are_all_done_in_order_before_the_others(queue, recorder, qtbot):
    queue.submit(recorder.job("small"))
    qtbot.waitUntil(lambda: recorder.started == ["small"])
    queue.submit(recorder.job("save", keeps=True))
    queue.submit(recorder.job("replaced"))
    queue.submit(recorder.job("run", keeps=True))
    queue.submit(recorder.job("newest"))
    recorder.gate.set()
    qtbot.waitUntil(idle(queue))
    assert recorder.started == ["small", "save", "run", "newest"]  # a newer one replaced "small"
    for name in ("save", "run", "newest"):
        assert [step for which, step in recorder.events if which == name] == [0, 1, 2]
    assert sorted(recorder.ended) == sorted(["small", "save", "replaced", "run", "newest"])


def test_a_job_that_one_that_keeps_interrupts_starts_again_after_it(queue, recorder, qtbot):
    job = recorder.job("colors", steps=30)
    queue.submit(job)
    qtbot.waitUntil(lambda: recorder.started == ["colors"])
    queue.submit(recorder.job("likely", keeps=True))
    assert recorder.ended == []
    recorder.gate.set()
    qtbot.waitUntil(idle(queue))
    assert recorder.started == ["colors", "likely", "colors"]
    assert [step for name, step in recorder.events if name == "colors"][-30:] == list(range(30))
    assert recorder.ended == ["likely", "colors"]


def test_an_interrupted_job_can_be_canceled(queue, recorder, qtbot):
    job = recorder.job("colors", steps=30)
    queue.submit(job)
    qtbot.waitUntil(lambda: recorder.started == ["colors"])
    queue.submit(recorder.job("likely", keeps=True))
    queue.cancel(job)
    recorder.gate.set()
    qtbot.waitUntil(idle(queue))
    assert recorder.started == ["colors", "likely"]
    assert recorder.ended == ["colors", "likely"]


def test_a_canceled_job_ends_and_the_next_one_runs(queue, recorder, qtbot):
    job = recorder.job("long", keeps=True, steps=1000)
    queue.submit(job)
    qtbot.waitUntil(lambda: bool(recorder.events))
    waiting = recorder.job("waiting")
    queue.submit(waiting)
    queue.cancel(waiting)
    assert recorder.ended == ["waiting"]
    queue.cancel(job)
    recorder.gate.set()
    qtbot.waitUntil(idle(queue))
    assert recorder.ended == ["waiting", "long"]
    queue.submit(recorder.job("next"))
    qtbot.waitUntil(idle(queue))
    assert recorder.ended[-1] == "next"


@pytest.mark.parametrize("error", [RuntimeError, ValueError, MemoryError])
def test_an_error_in_the_work_is_a_failure_and_the_queue_goes_on(queue, recorder, qtbot, error):
    def broken(engine):
        yield "event"
        raise error("broken")

    came = []
    queue.submit(Job(broken, came.append, lambda: came.append("end")))
    qtbot.waitUntil(idle(queue))
    event, failure, end = came
    assert (event, end) == ("event", "end")
    assert isinstance(failure, Failure)
    recorder.gate.set()
    queue.submit(recorder.job("next"))
    qtbot.waitUntil(lambda: recorder.ended == ["next"])


@pytest.mark.parametrize("where", ["on_event", "on_end"])
def test_an_error_of_a_listener_is_told_and_the_queue_goes_on(
    queue, recorder, qtbot, monkeypatch, where
):
    def broken(*_):
        raise ValueError("broken")

    told = []
    monkeypatch.setattr(notification_manager, "receive_error", lambda *a: told.append(a[1]))
    job = recorder.job("bad", steps=1)
    setattr(job, where, broken)
    recorder.gate.set()
    queue.submit(job)
    qtbot.waitUntil(idle(queue))
    assert [str(error) for error in told] == ["broken"]
    queue.submit(recorder.job("next"))
    qtbot.waitUntil(lambda: "next" in recorder.ended)


def test_a_job_may_be_submitted_at_the_end_of_another(queue, recorder, qtbot):
    recorder.gate.set()
    first = recorder.job("first", keeps=True)
    first.on_end = lambda: queue.submit(recorder.job("second", keeps=True, steps=30))
    queue.submit(first)
    qtbot.waitUntil(lambda: "second" in recorder.started)
    queue.submit(recorder.job("third", keeps=True))
    qtbot.waitUntil(idle(queue))
    assert recorder.started == ["first", "second", "third"]
    assert recorder.most_at_once == 1


def test_nothing_is_called_after_it_was_closed(queue, recorder, qtbot):
    queue.submit(recorder.job("a"))
    qtbot.waitUntil(lambda: recorder.started == ["a"])
    queue.submit(recorder.job("b"))
    queue.close()
    before = list(recorder.events)
    recorder.gate.set()
    qtbot.waitUntil(idle(queue))
    assert recorder.events == before
    assert recorder.ended == []
    assert recorder.started == ["a"]


def test_events_that_come_while_one_is_handled_wait_for_their_turn(queue, qtbot, qapp):
    """napari's progress bars process events when they move."""
    seen = []

    def work(engine):
        yield from range(20)

    def on_event(event):
        seen.append(("in", event))
        if event % 3 == 0:
            qtbot.wait(20)
        seen.append(("out", event))

    queue.submit(Job(work, on_event))
    qtbot.waitUntil(idle(queue))
    assert seen == [(way, event) for event in range(20) for way in ("in", "out")]

"""Work in turns of the event loop."""

import pytest
from qtpy.QtCore import QTimer

from napari_recolor.turns import Turns

pytestmark = pytest.mark.gui


def test_the_event_loop_turns_between_the_steps(qtbot):
    done = []

    def work():
        for i in range(5):
            QTimer.singleShot(0, lambda i=i: done.append(f"event {i}"))
            done.append(f"step {i}")
            yield
        done.append("end")

    turns = Turns(work())
    assert done == []
    assert not turns.complete
    with qtbot.waitSignal(turns.finished):
        pass
    assert turns.complete
    assert done == [*(f"{what} {i}" for i in range(5) for what in ("step", "event")), "end"]


@pytest.mark.parametrize("within_a_step", [True, False])
def test_work_that_is_stopped_is_not_taken_up_again(qtbot, within_a_step):
    done = []

    def work():
        for i in range(5):
            done.append(i)
            if i == 1 and within_a_step:
                turns.stop()
            elif i == 1:
                QTimer.singleShot(0, turns.stop)
            yield

    turns = Turns(work())
    qtbot.waitUntil(lambda: len(done) > 1)
    qtbot.wait(50)
    assert done[:2] == [0, 1]
    assert len(done) <= (2 if within_a_step else 3)
    assert not turns.complete


def test_no_step_follows_one_that_fails(qtbot):
    done = []

    def work():
        done.append("before")
        yield
        raise RuntimeError("surprise")

    turns = Turns(work())
    with qtbot.capture_exceptions() as raised:
        qtbot.waitUntil(lambda: bool(raised))
        qtbot.wait(50)
    assert [str(error) for _, error, _ in raised] == ["surprise"]
    assert done == ["before"]
    assert not turns.complete

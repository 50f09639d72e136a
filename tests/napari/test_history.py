"""Undo and redo: steps, what comes after, and changes that were not noted yet."""

import pytest

from napari_recolor.panel.history import STEPS, History


class Box:
    """A state to change."""

    def __init__(self):
        self.value = 0
        self.history = None

    def set(self, value):
        self.value = value


@pytest.fixture
def box(qapp):
    box = Box()
    box.history = History(lambda: box.value, box.set)
    return box


def change(box, *values):
    for value in values:
        box.value = value
        box.history.note()


def test_steps_are_undone_and_made_again(box):
    change(box, 1, 2, 3)
    seen = []
    for _ in range(3):
        box.history.undo()
        seen.append(box.value)
    assert seen == [2, 1, 0]
    assert not box.history.can_undo
    box.history.undo()
    assert box.value == 0
    for _ in range(3):
        box.history.redo()
    assert box.value == 3
    assert not box.history.can_redo


def test_a_new_change_ends_what_could_be_made_again(box):
    change(box, 1, 2)
    box.history.undo()
    change(box, 5)
    assert not box.history.can_redo
    box.history.undo()
    assert box.value == 1


def test_what_changed_a_moment_ago_is_undone_first(box):
    change(box, 1)
    box.value = 2
    box.history.note_soon()
    box.history.undo()
    assert box.value == 1


def test_changes_that_follow_each_other_are_one_step(box, qtbot):
    for value in range(1, 6):
        box.value = value
        box.history.note_soon()
        qtbot.wait(20)
    qtbot.waitUntil(lambda: box.history.can_undo)
    box.history.undo()
    assert box.value == 0


def test_what_cannot_be_brought_back_is_forgotten_with_its_steps(box):
    box.value = {}
    box.history.note()
    for state in ({"a": 1}, {"a": 1, "gone": 1}, {"a": 1, "gone": 2}, {"a": 2}, {"a": 3}):
        change(box, state)
    box.history.undo()
    assert box.value == {"a": 2}
    box.history.forget(lambda state: state and {name: state[name] for name in state if name == "a"})
    seen = []
    while box.history.can_undo:
        box.history.undo()
        seen.append(box.value)
    assert seen == [{"a": 1}, {}, 0]
    while box.history.can_redo:
        box.history.redo()
        seen.append(box.value)
    assert seen[3:] == [{}, {"a": 1}, {"a": 2}, {"a": 3}]


def test_nothing_can_be_undone_if_all_that_changed_is_gone(box):
    change(box, "gone", "gone too")
    box.history.undo()
    told = []
    box.history.changed.connect(lambda: told.append(box.history.can_undo))
    box.history.forget(lambda _: 0)
    assert told == [False]
    assert not box.history.can_redo


def test_without_a_change_there_is_nothing_to_undo(box):
    box.history.note()
    assert not box.history.can_undo


def test_the_oldest_steps_are_forgotten(box):
    change(box, *range(1, STEPS + 10))
    while box.history.can_undo:
        box.history.undo()
    assert box.value == 9


def test_nothing_is_noted_while_a_state_is_brought_back(qapp):
    values = [0, 0]

    def restore(state):
        for i, value in enumerate(state):
            values[i] = value
            history.note()  # as a control does that follows a setting

    history = History(lambda: tuple(values), restore)
    values[:] = [1, 1]
    history.note()
    history.undo()
    assert values == [0, 0]
    assert not history.can_undo
    history.redo()
    assert values == [1, 1]

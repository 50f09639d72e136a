from functools import partial

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton

from training.visual_turing_test.answers import Reason, Side
from training.visual_turing_test.pairs import Pair
from training.visual_turing_test.session import Questionnaire, Session
from training.visual_turing_test.window import add_test

RED, BLUE = (200, 20, 20), (20, 20, 200)


@pytest.fixture
def session(tmp_path):
    """Three trials whose photographs are red and whose twins are blue."""
    (tmp_path / "images").mkdir()
    pairs = []
    for number in range(3):
        files = (f"{number}-a.png", f"{number}-b.png")
        for file, color in zip(files, (RED, BLUE), strict=True):
            Image.new("RGB", (64, 64), color).save(tmp_path / "images" / file)
        pairs.append(Pair(f"{number}", files[0], {"default": files[1]}))
    Questionnaire(0, 64, {"default": "0" * 64}, {}, tuple(pairs)).write(tmp_path)
    return Session(tmp_path, "ada")


@pytest.fixture
def opened(make_napari_viewer, qtbot, session):
    """The test in a viewer of its own, as on the screen."""
    viewer = make_napari_viewer(show=True)
    dock = add_test(viewer, session)
    window = dock.window()
    window.resize(1000, 700)
    with qtbot.waitActive(window):
        window.activateWindow()
    return viewer, dock


def part(dock, kind, name):
    return dock.findChild(kind, f"turing.{name}")


def right_answer(session):
    return Side.LEFT if tuple(session.trial.left[0, 0]) == RED else Side.RIGHT


def answered(session, count):
    assert len(session.answers) == count


def test_both_are_drawn_alike_where_they_belong(opened, session, qtbot):
    viewer, _ = opened

    def drawn():
        shot = viewer.screenshot(canvas_only=True, flash=False)[..., :3]
        middle = shot[shot.shape[0] // 2]
        halves = np.split(middle[: len(middle) // 2 * 2], 2)
        colors = [RED, BLUE] if right_answer(session) is Side.LEFT else [BLUE, RED]
        for half, color in zip(halves, colors, strict=True):
            seen = half[half.max(axis=1) > 60]  # not the background
            assert len(seen) > 0.6 * len(half)
            np.testing.assert_allclose(seen[2:-2], np.broadcast_to(color, seen[2:-2].shape), atol=1)

    qtbot.waitUntil(drawn)
    left, right = viewer.layers
    assert [left.name, right.name] == ["left", "right"]
    for name in ("interpolation2d", "contrast_limits", "gamma", "opacity", "blending", "scale"):
        assert np.array_equal(getattr(left, name), getattr(right, name)), name
    assert not left.metadata
    assert not right.metadata
    assert left.source.path is None
    assert right.source.path is None


def test_clicks_answer(opened, session, qtbot):
    _, dock = opened
    for count in (1, 2, 3):
        side = right_answer(session)
        qtbot.mouseClick(part(dock, QPushButton, "blotches"), Qt.MouseButton.LeftButton)
        qtbot.mouseClick(part(dock, QPushButton, side), Qt.MouseButton.LeftButton)
        qtbot.waitUntil(partial(answered, session, count))
    assert session.result.fooled == 0
    assert {answer.reasons for answer in session.answers} == {(Reason.BLOTCHES,)}
    assert "Fooled in 0 of 3 trials" in part(dock, QLabel, "status").text()
    assert not any(button.isEnabled() for button in dock.findChildren(QPushButton))


def test_keys_answer_wherever_the_focus_is(opened, session, qtbot):
    viewer, dock = opened
    canvas = viewer.window._qt_viewer.canvas.native
    keys = {Side.LEFT: Qt.Key.Key_Left, Side.RIGHT: Qt.Key.Key_Right}
    for count, focus in enumerate((dock.window(), canvas, dock), start=1):
        focus.window().activateWindow()
        focus.setFocus()
        side = right_answer(session)
        gray = part(dock, QPushButton, "gray")
        qtbot.keyClick(focus, Qt.Key.Key_2)
        qtbot.waitUntil(gray.isChecked)
        qtbot.keyClick(focus, keys[side])
        qtbot.waitUntil(partial(answered, session, count))
        qtbot.waitUntil(lambda gray=gray: not gray.isChecked())
    assert session.result.fooled == 0
    assert {answer.reasons for answer in session.answers} == {(Reason.GRAY,)}


def test_closed_in_the_middle_it_goes_on(make_napari_viewer, session, qtbot):
    session.answer(right_answer(session))
    dock = add_test(make_napari_viewer(), Session(session.folder, "ada"))
    assert part(dock, QLabel, "status").text().endswith("2 of 3")
    assert dock.viewer.layers["left"].data.shape == (64, 64, 3)


def test_controls_tell_their_keys(make_napari_viewer, session):
    dock = add_test(make_napari_viewer(), session)
    keys = {button.shortcut().toString() for button in dock.findChildren(QPushButton)}
    assert keys == {"Left", "Right", "1", "2", "3", "4", "5"}
    assert all(button.toolTip() for button in dock.findChildren(QPushButton))

"""Coloring anew in the real window: one job at a time, and what comes is what the core makes."""

import threading

import numpy as np
import pytest

from napari_recolor.runs.engine import Engine
from napari_recolor.runs.layers import KEY

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(open_panel, photo, finish):
    """The panel with a finished run and a hint layer."""
    panel = open_panel(photo)
    panel.controls.run.click()
    finish(panel)
    panel.controls.hints.click()
    return panel


def image_of(panel):
    return next(layer for layer in panel.viewer.layers if KEY in layer.metadata and layer.rgb)


def test_dragging_a_hint_runs_one_job_at_a_time_and_ends_with_the_newest(
    panel, photo, direct, qtbot, monkeypatch
):
    at_once, most, asked, lock = 0, 0, [], threading.Lock()
    recolor = Engine.colorizer

    def counted(self, options):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        asked.append(threading.get_ident())
        try:
            return recolor(self, options)
        finally:
            with lock:
                at_once -= 1

    monkeypatch.setattr(Engine, "colorizer", counted)
    points = panel._hints.current.layer
    points.current_face_color = "#ff0000"
    points.add([10, 10])
    for column in range(10, 90, 2):
        points.data = np.array([[40, column]])
        qtbot.wait(30)
    qtbot.waitUntil(lambda: not panel._live.busy and panel._queue.job is None, timeout=60_000)
    assert most == 1
    assert threading.get_ident() not in asked
    hint = panel._hints.current.values()[0]
    assert hint.x == 88
    np.testing.assert_array_equal(image_of(panel).data, direct(photo, hints=[hint]).rgb)


def test_hints_wait_for_a_run(panel, photo, finish, qtbot, direct):
    points = panel._hints.current.layer
    points.current_face_color = "#ff0000"
    panel.controls.run.click()
    points.add([40, 60])
    finish(panel)
    qtbot.waitUntil(lambda: panel._queue.job is None and not panel._live.busy, timeout=60_000)
    qtbot.wait(200)
    qtbot.waitUntil(lambda: panel._queue.job is None and not panel._live.busy, timeout=60_000)
    hint = panel._hints.current.values()[0]
    (rgb,) = (x for x in panel.viewer.layers if x.name.endswith("· RGB"))
    np.testing.assert_array_equal(rgb.data, direct(photo, hints=[hint]).rgb)


@pytest.mark.parametrize("error", [RuntimeError, ValueError])
def test_errors_are_told_and_the_next_request_works(panel, qtbot, monkeypatch, error):
    def broken(self, options):
        raise error("broken")

    monkeypatch.setattr(
        "napari_recolor.runs.runner.notification_manager.receive_error", lambda *_: None
    )
    points = panel._hints.current.layer
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "colorizer", broken)
        points.add([40, 60])
        qtbot.waitUntil(lambda: "broken" in panel.controls.status.text(), timeout=60_000)
    points.add([20, 60])
    qtbot.waitUntil(lambda: "with 2 hints" in panel.controls.status.text(), timeout=60_000)


def test_a_dragged_slider_ends_with_the_newest(panel, photo, direct, qtbot):
    for vividness in np.linspace(0.1, 0.9, 17):
        panel._preferences.vividness = float(vividness)
        qtbot.wait(15)
    qtbot.waitUntil(lambda: not panel._live.busy and panel._queue.job is None, timeout=60_000)
    assert panel._runner.last.options.vividness == 0.9
    np.testing.assert_array_equal(image_of(panel).data, direct(photo, vividness=0.9).rgb)


def test_new_colors_are_not_lost_to_a_look_up(panel, photo, direct, qtbot, monkeypatch):
    started, go_on = threading.Event(), threading.Event()
    color = Engine.color

    def slow(self, *arguments, **options):
        started.set()
        go_on.wait(20)
        return color(self, *arguments, **options)

    monkeypatch.setattr(Engine, "color", slow)
    hint_layer = panel._hints.current
    hint_layer.layer.add([40, 60])
    qtbot.waitUntil(started.is_set, timeout=60_000)
    panel._chooser.wanted.emit(hint_layer, 10.0, 10.0)
    go_on.set()
    qtbot.waitUntil(lambda: not panel._live.busy and panel._queue.job is None, timeout=60_000)
    (hint,) = hint_layer.values()
    np.testing.assert_array_equal(image_of(panel).data, direct(photo, hints=[hint]).rgb)
    stages = panel._runner.last.stages
    expected = direct(photo, hints=[hint]).ab_refined[0]
    np.testing.assert_array_equal(stages.arrays["a refined"], expected)

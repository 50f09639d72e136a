"""The finished image follows settings and hints, in the real window."""

import numpy as np
import pytest

from napari_recolor.runs.layers import KEY

from .windows import button, run, text

pytestmark = pytest.mark.gui


def test_hints_color_the_image_anew(panel, finish, qtbot):
    rgb = run(panel, finish)["rgb"]
    before = rgb.data.copy()
    button(panel, "hints").click()
    hint_layer = panel._hints.current.layer
    hint_layer.current_face_color = "#ff0000"
    hint_layer.add([40, 60])
    qtbot.waitUntil(lambda: "Colored with 1 hint." in text(panel, "status"), timeout=60_000)
    assert (rgb.data != before).any()
    (image,) = rgb.metadata[KEY]["images"]
    assert [hint["color"] for hint in image["hints"]] == ["#ff0000"]
    hint_layer.data = np.empty((0, 2))
    qtbot.waitUntil(lambda: "Colored without hints." in text(panel, "status"), timeout=60_000)
    np.testing.assert_array_equal(rgb.data, before)


def test_the_finished_image_follows_vividness_and_palette(panel, photo, finish, direct, qtbot):
    rgb = run(panel, finish)["rgb"]
    panel.controls.vividness.setValue(0.2)
    expected = direct(photo, vividness=0.2).rgb
    qtbot.waitUntil(lambda: np.array_equal(rgb.data, expected), timeout=60_000)
    qtbot.waitUntil(lambda: not panel._live.busy)
    assert rgb.metadata[KEY]["settings"]["vividness"] == 0.2
    panel._history.note()
    panel.controls.palette.setText("#803020")
    qtbot.waitUntil(lambda: rgb.metadata[KEY]["palette_colors"] == ["#803020"], timeout=60_000)
    assert not np.array_equal(rgb.data, expected)
    panel.controls.undo.click()
    qtbot.waitUntil(lambda: np.array_equal(rgb.data, expected), timeout=60_000)
    panel.controls.undo.click()
    assert panel.controls.vividness.value() == 0.8
    panel.controls.redo.click()
    assert panel.controls.vividness.value() == 0.2


def test_hints_can_be_undone(panel, finish, qtbot):
    rgb = run(panel, finish)["rgb"]
    before = rgb.data.copy()
    button(panel, "hints").click()
    panel._history.note()
    panel._hints.current.layer.add([40, 60])
    qtbot.waitUntil(lambda: (rgb.data != before).any(), timeout=60_000)
    panel._history.undo()
    assert not panel._hints.current.values()
    qtbot.waitUntil(lambda: np.array_equal(rgb.data, before), timeout=60_000)
    panel._history.redo()
    assert len(panel._hints.current.values()) == 1

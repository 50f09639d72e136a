"""The buttons Colorize and Cancel in the real window."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(open_panel, photo, qtbot):
    """The panel in a window that has the focus."""
    panel = open_panel(photo, show=True)
    window = panel.viewer.window._qt_window
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    return panel


@pytest.mark.parametrize("ended_by", ["the run", "cancel"])
def test_the_keyboard_stays_with_the_buttons_of_a_run(panel, finish, ended_by):
    controls = panel.controls
    window = controls.window()
    QTest.mouseClick(controls.run, Qt.MouseButton.LeftButton)
    assert window.focusWidget() is controls.cancel
    if ended_by == "cancel":
        QTest.keyClick(controls.cancel, Qt.Key.Key_Space)
        assert controls.status.text() == "Canceling…"
    finish(panel)
    assert window.focusWidget() is controls.run


def test_a_run_takes_the_keyboard_from_no_other_control(panel, finish):
    window = panel.controls.window()
    for control in (panel.controls.vividness, panel.controls.scope):
        control.setFocus()
        focused = window.focusWidget()
        panel.controls.run.click()
        finish(panel)
        assert window.focusWidget() is focused

"""Keys in the real window: each reaches its button from the canvas, and none is napari's."""

from collections import deque
from pathlib import Path

import pytest
from qtpy.QtGui import QAction, QKeySequence, QShortcut
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel

from napari_recolor.panel import shortcuts
from napari_recolor.panel.controls import Controls
from napari_recolor.panel.parts import show_keys

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(open_panel, photo, qtbot):
    """The panel in a window that has the focus."""
    panel = open_panel(photo, show=True)
    window = panel.viewer.window._qt_window
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    return panel


def entries(menu):
    """All entries of a menu and of its submenus."""
    for action in menu.actions():
        if action.menu():
            yield from entries(action.menu())
        else:
            yield action


def test_each_key_reaches_its_button_from_the_canvas(panel, qtbot):
    buttons = panel.controls.buttons_with_keys()
    for button in buttons.values():
        button.setEnabled(False)  # a click would begin what takes its time
    pressed, ambiguous = [], []
    for shortcut in panel.findChildren(QShortcut):
        keys = shortcut.key().toString()
        shortcut.activated.connect(lambda keys=keys: pressed.append(keys))
        shortcut.activatedAmbiguously.connect(lambda keys=keys: ambiguous.append(keys))
    canvas = panel.viewer.window._qt_viewer.canvas.native
    canvas.setFocus()
    undo = {shortcuts.UNDO, shortcuts.REDO}  # on the canvas they are napari's own keys
    wanted = [keys for keys in buttons if keys not in {shortcuts.COMPARE, *undo}]
    for keys in wanted:
        QTest.keySequence(canvas, QKeySequence(keys))
    assert ambiguous == []
    assert pressed == wanted


def test_no_key_is_one_of_the_menus(panel):
    ours = {QKeySequence(keys).toString() for keys in panel.controls.buttons_with_keys()}
    menus = [one.menu() for one in panel.viewer.window._qt_window.menuBar().actions()]
    found = [one for menu in menus if menu for one in entries(menu)]
    assert any(one.shortcut().toString() == "Ctrl+O" for one in found)
    taken = {one.shortcut().toString(): one.text() for one in found if isinstance(one, QAction)}
    assert {keys: text for keys, text in taken.items() if keys in ours} == {}


def test_a_key_does_what_a_click_does(panel, qtbot):
    canvas = panel.viewer.window._qt_viewer.canvas.native
    canvas.setFocus()
    QTest.keySequence(canvas, QKeySequence(shortcuts.HINTS))
    assert panel._hints.current is not None
    QTest.keySequence(canvas, QKeySequence(shortcuts.ADVANCED))
    assert panel.controls.advanced.title.isChecked()
    assert panel.controls.size.isVisible()


@pytest.mark.parametrize("name", ["size", "alternatives", "low"])
def test_undo_reaches_the_panel_from_a_spin_box_unless_a_number_is_typed(panel, name, qtbot):
    box, history = getattr(panel.controls, name), panel._history
    panel.controls.advanced.title.click()
    qtbot.waitUntil(box.isVisible)
    history.note()
    before = box.value()
    box.setFocus()
    box.stepUp()
    history.note()
    assert box.value() != before
    QTest.keySequence(box, QKeySequence(shortcuts.UNDO))
    assert box.value() == before
    QTest.keySequence(box, QKeySequence(shortcuts.REDO))
    assert box.value() != before
    stepped, text = box.value(), box.lineEdit().text()
    box.selectAll()
    QTest.keyClicks(box, "7")
    assert box.lineEdit().text() != text
    QTest.keySequence(box, QKeySequence(shortcuts.UNDO))
    assert box.lineEdit().text() == text  # what was typed is taken back, and nothing else
    assert box.value() == stepped


def test_closing_the_panel_gives_the_keys_of_the_canvas_back(panel, qtbot):
    viewer = panel.viewer
    assert {"B", "Ctrl+Z", "Ctrl+Shift+Z"} <= {str(keys) for keys in viewer.keymap}
    viewer.window.remove_dock_widget(panel)
    assert not {"B", "Ctrl+Z", "Ctrl+Shift+Z"} & {str(keys) for keys in viewer.keymap}


def test_the_documentation_has_every_key(qtbot):
    page = (Path(__file__).parents[2] / "docs" / "napari.md").read_text(encoding="utf-8")
    rows = page[page.index("## Keys") : page.index("## Sample photographs")].splitlines()
    pairs = [row.strip("| ").split(" | ") for row in rows if row.startswith("| ")][1:]
    told = {}
    for keys, actions in pairs:
        words = actions.replace("a\\*, b\\*", "a*b*").removeprefix("unfold ").split(", ")
        told |= dict(zip(keys.replace(" (hold)", "").split(", "), words, strict=False))
    controls = Controls(QLabel())
    deque(controls.build(), maxlen=0)
    qtbot.addWidget(controls)
    buttons = controls.buttons_with_keys()
    assert set(told) >= set(map(show_keys, buttons)) >= {"Ctrl+Enter", "B", "Ctrl+Alt+K"}
    for keys, button in buttons.items():
        name = (button.accessibleName() or button.text()).replace("a*, b*", "a*b*")
        assert name.startswith(told[show_keys(keys)]), keys

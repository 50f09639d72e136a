"""The controls by themselves: fields, keys, the order of the Tab key, and the wheel."""

from collections import deque
from itertools import pairwise

import pytest
from qtpy.QtCore import QPoint, QPointF, QRect, Qt
from qtpy.QtGui import QKeySequence, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QPushButton,
    QWidget,
)
from superqt import QLabeledDoubleSlider

from napari_recolor.panel.controls import Controls
from napari_recolor.panel.parts import Button
from napari_recolor.panel.settings import panel_settings

pytestmark = pytest.mark.gui


@pytest.fixture
def controls(qtbot):
    controls = Controls(QLabel())
    deque(controls.build(), maxlen=0)
    qtbot.addWidget(controls)
    controls.weights.addItem("default", "default")
    controls.weights.addItem("choose a file…", "choose a file…")
    controls.advanced.title.setChecked(True)
    controls.more_hints.title.setChecked(True)
    controls.show()
    qtbot.waitExposed(controls)
    return controls


def turn(control):
    """A step of the wheel over a control."""
    middle = QPointF(control.rect().center())
    event = QWheelEvent(
        middle,
        QPointF(control.mapToGlobal(control.rect().center())),
        QPoint(),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(control, event)


def value_of(control):
    return control.currentIndex() if isinstance(control, QComboBox) else control.value()


@pytest.mark.parametrize("kind", [QComboBox, QAbstractSpinBox, QAbstractSlider])
def test_the_wheel_over_an_unfocused_control_changes_nothing(controls, kind):
    found = [c for c in controls.findChildren(kind) if hasattr(c, "value") or kind is QComboBox]
    assert len(found) >= 2
    controls.run.setFocus()
    for control in found:
        before = value_of(control)
        turn(control)
        assert value_of(control) == before, control.objectName()


@pytest.mark.parametrize("wanted", [0.604061, 2.01, 0.33])
def test_a_slider_gives_the_number_that_it_shows(controls, wanted):
    field, given = controls.fields["saturation"], []
    field.changed.connect(lambda _: given.append(field.get()))
    controls.saturation.setValue(wanted)
    assert given == [round(wanted, 2)]


def test_the_wheel_never_chooses_from_a_menu(controls):
    controls.weights.setFocus()
    turn(controls.weights)
    assert controls.weights.currentText() == "default"


def test_every_field_has_a_name_for_screen_readers(controls):
    kinds = (QComboBox, QAbstractSpinBox, QAbstractSlider, QLineEdit, QListWidget)
    fields = [x for kind in kinds for x in controls.findChildren(kind)]
    fields = [x for x in fields if x.objectName().startswith("recolor.")]
    assert len(fields) > 15
    without = [x.objectName() for x in fields if not x.accessibleName()]
    assert without == []
    sliders = [x for x in controls.reach.findChildren(QAbstractSlider) if x is not controls.reach]
    assert {x.accessibleName() for x in sliders} == {"Reach"}


def focusable(controls):
    """What has to be reached with the Tab key: all buttons, fields and lists."""
    kinds = (QAbstractButton, QComboBox, QAbstractSpinBox, QAbstractSlider, QListWidget)
    found = [x for kind in kinds for x in controls.findChildren(kind)]
    found += [controls.palette]
    compound = [x for x in found if isinstance(x, QLabeledDoubleSlider)]  # a slider and a number
    inner = [x for x in found if isinstance(x.parent(), QAbstractItemView | QLineEdit)]
    return [x for x in found if x.isVisible() and x not in (*compound, *inner)]


def test_the_tab_key_goes_through_all_controls_in_reading_order(controls, qtbot):
    for control in controls.findChildren(QWidget):
        control.setEnabled(True)
    for hidden in ("reset", "recall", "matches", "clear_like"):
        getattr(controls, hidden).show()
    controls.strip.title.setChecked(True)
    controls.resize(380, controls.sizeHint().height())
    qtbot.waitUntil(controls.color_from.isVisible)
    wanted = focusable(controls)
    assert len(wanted) > 55
    controls.layer.setFocus()
    reached = [controls.window().focusWidget()]
    while True:
        QTest.keyClick(reached[-1], Qt.Key.Key_Tab)
        now = controls.window().focusWidget()
        if now in reached:
            break
        reached.append(now)
    assert reached[0] is controls.layer
    assert {x.objectName() for x in wanted} == {x.objectName() for x in reached}
    assert len(reached) == len(wanted)
    for before, after in pairwise(reached):
        first, second = (QRect(x.mapTo(controls, QPoint(0, 0)), x.size()) for x in (before, after))
        below = second.center().y() > first.bottom() - 2
        beside = second.left() >= first.right() - 2
        assert below or beside, (before.objectName(), after.objectName())
    assert now is reached[0]  # round and round
    QTest.keyClick(now, Qt.Key.Key_Backtab)
    assert controls.window().focusWidget() is reached[-1]


def test_what_is_folded_away_is_not_reached(controls):
    controls.more_hints.title.setChecked(False)
    controls.only_here.setEnabled(True)
    assert not controls.only_here.isVisible()
    assert controls.more_hints.content().isHidden()


def test_folding_does_not_change_the_width(controls):
    width = controls.minimumSizeHint().width()
    for section in (controls.advanced, controls.more_hints, controls.strip):
        section.title.click()
        assert controls.minimumSizeHint().width() == width


def test_buttons_show_their_keys(controls):
    buttons = controls.buttons_with_keys()
    assert len(buttons) > 20
    sequences = [QKeySequence(keys) for keys in buttons]
    assert len({one.toString() for one in sequences}) == len(buttons)  # none twice
    plain = QPushButton("Colorize")
    plain.setStyleSheet("font-weight: bold")
    assert controls.run.sizeHint().height() > plain.sizeHint().height()
    assert "Ctrl+Enter" in controls.run.toolTip()
    assert controls.run.accessibleDescription() == "Ctrl+Enter"
    assert "Ctrl+Alt+A" in controls.strip.title.text()
    bare = Button("bare", "Colorize", "Colorize the layer.")
    for button in (controls.run, bare):
        button.resize(controls.run.sizeHint())
    shots = [button.grab().toImage() for button in (controls.run, bare)]
    assert shots[0] != shots[1]


@pytest.mark.parametrize("name", panel_settings())
def test_each_setting_has_a_control_made_from_its_declaration(controls, name):
    setting, field = panel_settings()[name], controls.fields[name]
    assert field.control is getattr(controls, name)
    assert field.control.objectName() == f"recolor.{name}"
    assert setting.help in field.control.toolTip()
    if name != "device":  # found when the panel is open
        assert field.get() == setting.default
    if setting.low is not None:
        assert (field.control.minimum(), field.control.maximum()) == (setting.low, setting.high)
        field.set(setting.high)
        assert field.get() == setting.high
    elif setting.choices:
        for choice, label in zip(setting.choices, setting.labels, strict=True):
            field.control.setCurrentText(label)
            assert field.get() == choice
    elif setting.type is bool:
        field.set(not setting.default)
        assert field.get() is not setting.default


def test_fractions_are_kept_to_the_digit(controls):
    for value in (0.29, 0.57, 2.01, 2.03, 3.99):
        controls.fields["saturation"].set(value)
        assert controls.fields["saturation"].get() == value

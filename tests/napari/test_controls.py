"""The controls by themselves: the wheel scrolls the panel and changes nothing."""

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QListWidget,
)

from napari_recolor.controls import Controls

pytestmark = pytest.mark.gui


@pytest.fixture
def controls(qtbot):
    controls = Controls(QLabel())
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

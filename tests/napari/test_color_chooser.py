"""The window with colors at a hint: what it offers, and what a choice does."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QPushButton

from napari_recolor.panel.color_chooser import NO_RUN, OUTSIDE
from napari_recolor.panel.color_popover import SIDE, ColorDisk
from napari_recolor.runs.layers import KEY
from napari_recolor.views.gl_context import canvas_of
from recolor_core import rgb_to_lab

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(open_panel, photo, finish):
    """The panel, in a window that is shown, with a finished run and hints."""
    panel = open_panel(photo, show=True)
    panel.controls.run.click()
    finish(panel)
    panel.controls.hints.click()
    return panel


def lab_of(color):
    return rgb_to_lab(np.array(list(bytes.fromhex(color[1:]))) / 255)


def swatches(panel, row):
    popover = panel._chooser.popover
    layout = {"likely": popover._likely, "recent": popover._recent}[row]
    widgets = [layout.itemAt(i).widget() for i in range(layout.count())]
    return [widget for widget in widgets if isinstance(widget, QPushButton)]


def test_a_new_hint_begins_with_the_predicted_color_and_opens_the_window(panel, qtbot):
    rgb = next(x for x in panel.viewer.layers if KEY in x.metadata)
    before = "#{:02x}{:02x}{:02x}".format(*rgb.data[30, 40])
    points = panel._hints.current.layer
    points.add([30, 40])
    assert panel._hints.current.values()[0].color == before
    popover = panel._chooser.popover
    assert popover.isVisible()
    qtbot.waitUntil(lambda: bool(swatches(panel, "likely")), timeout=60_000)
    likely = swatches(panel, "likely")
    assert len(likely) == 5
    shares = [int(button.text().rstrip("%")) for button in likely]
    assert shares == sorted(shares, reverse=True)
    assert all("likely" in button.accessibleName() for button in likely)

    color = likely[3].accessibleName()[:7]
    likely[3].click()
    assert panel._hints.current.values()[0].color == color
    assert popover.isVisible()  # another one can be tried
    qtbot.waitUntil(lambda: "with 1 hint" in panel.controls.status.text(), timeout=60_000)
    points.add([60, 90])  # the choice was for that hint
    assert panel._hints.current.values()[1].color != color
    assert [button.accessibleName() for button in swatches(panel, "recent")] == [color]
    QTest.keyClick(popover, Qt.Key.Key_Escape)
    assert not popover.isVisible()


def test_keep_gray_and_remove(panel):
    points = panel._hints.current.layer
    points.add([30, 40])
    asks = panel._chooser.popover._asks
    asks["keep"].click()
    assert panel._hints.current.values()[0].kind == "keep"
    asks["gray"].click()
    assert panel._hints.current.values()[0].kind == "gray"
    asks["remove"].click()
    assert panel._hints.current.values() == []
    assert not panel._chooser.popover.isVisible()


def test_it_closes_when_its_hint_is_gone_or_another_layer_is_worked_on(panel):
    points = panel._hints.current.layer
    popover = panel._chooser.popover
    points.add([30, 40])
    panel._hints.current.marks.draw()
    assert not popover.isVisible()
    panel.viewer.layers.selection.active = points
    points.add([60, 40])
    assert popover.isVisible()
    points.data = points.data[:1]
    points.selected_data = {0}
    assert not popover.isVisible()


def test_it_stays_with_its_hint_when_another_one_is_removed(panel):
    points = panel._hints.current.layer
    popover = panel._chooser.popover
    for row in (20, 40, 60):
        points.add([row, 40])
    panel._chooser._open(panel._hints.current, 1)
    panel._hints.current.remove(0)
    assert popover.isVisible()
    popover.chosen.emit("#123456")
    assert [value.color == "#123456" for value in panel._hints.current.values()] == [True, False]
    panel._hints.current.remove(0)
    assert not popover.isVisible()
    points.add([20, 40])
    assert popover.isVisible()
    panel.viewer.layers.remove(points)
    assert not popover.isVisible()


def test_the_disk_marks_the_color_of_the_hint(panel, qtbot):
    points = panel._hints.current.layer
    popover, disk = panel._chooser.popover, panel._chooser.popover.disk

    def marked():
        return lab_of(disk.color_at(disk._at.x(), disk._at.y()))[1:]

    def of_hint():
        return lab_of(panel._hints.current.values()[0].color)[1:]

    points.add([30, 40])
    qtbot.waitUntil(lambda: bool(swatches(panel, "likely")), timeout=60_000)
    assert np.abs(marked() - of_hint()).max() < 3
    swatches(panel, "likely")[3].click()
    assert np.abs(marked() - of_hint()).max() < 3
    before = of_hint()
    QTest.keyClick(disk, Qt.Key.Key_Right)  # one step from the color of the hint
    assert 1 < np.abs(of_hint() - before).max() < 12
    points.face_color = "#3050a0"  # as undo does
    qtbot.waitUntil(lambda: np.abs(marked() - of_hint()).max() < 12, timeout=60_000)
    assert popover.isVisible()


def test_escape_in_the_canvas_closes_it_and_keys_of_the_panel_work_in_it(panel, qtbot):
    points = panel._hints.current.layer
    popover = panel._chooser.popover
    canvas = canvas_of(panel.window())
    points.add([30, 40])
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert not popover.isVisible()
    points.add([60, 40])
    panel._history.note()
    before = panel._hints.current.values()
    popover.chosen.emit("#123456")
    assert panel._hints.current.values() != before
    QTest.keyClick(popover.disk, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert panel._hints.current.values() == before
    assert popover.isVisible()
    rgb = next(x for x in panel.viewer.layers if KEY in x.metadata)
    QTest.keyPress(popover, Qt.Key.Key_B)
    assert not rgb.visible
    QTest.keyRelease(popover, Qt.Key.Key_B)
    assert rgb.visible


def test_it_stays_on_the_screen_when_it_grows(panel, qtbot):
    popover = panel._chooser.popover
    screen = popover.screen().availableGeometry()
    popover.open_at(screen.bottomRight())
    assert screen.contains(popover.frameGeometry())
    popover.recent = ["#123456"]
    popover.open_at(screen.bottomRight())
    popover.show_likely([("#804020", 0.5), ("#204080", 0.25)], 50)
    qtbot.wait(100)  # some of the layout is done later
    assert popover.height() >= popover.sizeHint().height()
    assert screen.contains(popover.frameGeometry())


def test_tab_goes_from_top_to_bottom_and_names_are_short(panel, qtbot):
    popover = panel._chooser.popover
    popover.recent = ["#123456"]
    popover.open_at(QPoint(100, 100), activate=True)
    popover.show_likely([("#804020", 0.5), ("#204080", 0.25)], 50)
    qtbot.wait(50)  # buttons of before are deleted
    seen, widget = [popover._close], popover._close.nextInFocusChain()
    while widget is not popover._close:
        if widget.focusPolicy() != Qt.FocusPolicy.NoFocus:
            seen.append(widget)
        widget = widget.nextInFocusChain()
    assert [widget.accessibleName() for widget in seen] == [
        "Close",
        "#804020: 50% likely",
        "#204080: 25% likely",
        "All colors of this lightness",
        "#123456",
        "Keep",
        "Gray",
        "Predicted",
        "Remove",
    ]
    assert all(widget.accessibleDescription() for widget in seen)


def test_it_says_why_nothing_is_likely(panel):
    panel._hints.current.layer.add([-9, 40])
    assert panel._chooser.popover._title.text() == OUTSIDE
    panel._chooser.look(None, 1, 1)
    assert panel._chooser.popover._title.text() == NO_RUN


def test_the_button_is_for_the_color_of_what_is_selected_or_comes(panel, qtbot):
    hint_layer = panel._hints.current
    assert panel.controls.color.text() == "predicted"
    panel.controls.color.click()
    disk = panel._chooser.popover.disk
    QTest.mouseClick(disk, Qt.MouseButton.LeftButton, pos=QPoint(SIDE // 2 + 20, SIDE // 2))
    color = disk.color_at(SIDE // 2 + 20, SIDE // 2)
    assert panel.controls.color.text() == color
    hint_layer.layer.add([30, 40])
    assert hint_layer.values()[0].color == color
    panel._chooser.popover._asks["predicted"].click()
    assert panel.controls.color.text() == "predicted"


@pytest.mark.parametrize("lightness", [30, 60, 85])
def test_the_disk_has_the_colors_of_one_lightness(qapp, lightness):
    disk = ColorDisk()
    disk.show_lightness(lightness)
    middle = SIDE // 2
    gray = lab_of(disk.color_at(middle, middle))
    assert np.abs(gray[1:]).max() < 2.5
    reds, yellows = (disk.color_at(*at) for at in ((middle + 15, middle), (middle, middle - 15)))
    for color in (reds, yellows):
        assert abs(lab_of(color)[0] - lightness) < 1
    assert lab_of(reds)[1] > 12
    assert lab_of(yellows)[2] > 12
    assert disk.color_at(0, 0) is None  # no such color


def test_the_disk_answers_to_the_arrow_keys(qtbot):
    disk = ColorDisk()
    qtbot.addWidget(disk)
    with qtbot.waitSignal(disk.chosen) as told:
        QTest.keyClick(disk, Qt.Key.Key_Right)
    assert lab_of(told.args[0])[1] > 1

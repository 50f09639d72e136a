"""Undo and redo in the real window, control by control."""

from types import SimpleNamespace

import numpy as np
import pytest
from napari.layers import Labels

from napari_recolor.panel.history import QUIET_MS
from napari_recolor.panel.settings import panel_settings
from recolor_core import Hint, Region, Stroke

from .hinting import press

pytestmark = pytest.mark.gui

AXES = ("t", "y", "x")


@pytest.fixture
def panel(open_panel, photo):
    """The panel with a stack, so that every control has something to act on."""
    panel = open_panel(np.stack([photo] * 2), axis_labels=AXES)
    panel._preferences.scope = "stack"
    panel._preferences.levels = "percentiles"
    return panel


def other_value(setting, now):
    """A value that the setting may have and does not have now."""
    if setting.choices:
        return next(choice for choice in setting.choices if choice != now)
    if setting.type is bool:
        return not now
    if setting.low is not None:
        return setting.type(setting.low if now != setting.low else setting.high)
    return {"palette": "#803020", "weights": "mine.safetensors", "device": "cpu"}[setting.name]


def undone_and_redone(panel, change, value):
    """Change something, undo it and make it again; what `value` gave at each step."""
    panel._history.note()
    seen = [value()]
    change()
    panel._history.note()
    seen.append(value())
    assert panel.controls.undo.isEnabled()
    panel.controls.undo.click()
    seen.append(value())
    panel.controls.redo.click()
    seen.append(value())
    return seen


def test_every_setting(panel):
    for name, setting in panel_settings().items():
        field = panel.controls.fields[name]
        wanted = other_value(setting, field.get())
        before, after, undone, redone = undone_and_redone(
            panel, lambda field=field, wanted=wanted: field.set(wanted), field.get
        )
        assert before != after == wanted, name
        assert undone == before, name
        assert redone == after, name
        assert getattr(panel._preferences, name) == wanted
        panel.controls.undo.click()


def test_reset_and_restore(panel):
    for button in (panel.controls.reset, panel.controls.restore):
        panel.controls.vividness.setValue(0.3)
        vividness = panel.controls.vividness.value
        seen = undone_and_redone(panel, button.click, vividness)
        assert seen == [0.3, 0.8, 0.3, 0.8]


def hinted(panel):
    """The hints of the image with one point, which is selected."""
    hint_layer = panel._hints.add()
    corners = ((20, 10), (90, 10), (90, 60), (20, 60))
    hint_layer.put([Hint(40, 30, "#ff0000", 5), Region(corners, kind="keep")])
    panel.viewer.layers.selection.active = hint_layer.layer
    hint_layer.layer.mode = "select"
    hint_layer.layer.selected_data = {0}
    return hint_layer


def test_nothing_is_left_to_undo_of_images_that_were_removed(panel, photo, qtbot):
    panel._history.note()
    panel.controls.vividness.setValue(0.3)
    panel._history.note()
    colored = panel.viewer.add_image(np.stack([photo] * 3, axis=-1), name="colored", rgb=True)
    panel._source.choose(panel.viewer.layers[0])
    for _ in range(2):
        hinted(panel)
        panel._history.note()
        choose(panel.controls.like, colored)
        panel._history.note()
    panel.controls.undo.click()
    panel.viewer.layers.clear()
    qtbot.wait(2 * QUIET_MS)  # nor does a step come later
    assert not panel.controls.redo.isEnabled()
    chosen = panel._preferences
    while panel.controls.undo.isEnabled():
        before = chosen.model_dump()
        panel.controls.undo.click()
        assert chosen.model_dump() != before  # every step brings something back
    assert chosen.vividness == 0.8


def choose(menu, data):
    menu.setCurrentIndex(menu.findData(data))
    menu.activated.emit(menu.currentIndex())


CHANGES = {
    "kind": lambda panel: choose(panel.controls.kind, "gray"),
    "reach": lambda panel: panel.controls.reach.setValue(0.9),
    "only here": lambda panel: panel.controls.only_here.setChecked(True),
    "color": lambda panel: setattr(panel._hints.current.styles, "color", "#00ff00"),
    "add": lambda panel: panel._hints.current.layer.add([0, 60, 60]),
    "remove": lambda panel: panel._hints.current.remove(0),
    "load": lambda panel: panel._hints.current.put([Stroke(((5, 5), (50, 9)), "#0000ff", 3)]),
}


def test_every_control_of_a_hint(panel):
    hint_layer = hinted(panel)
    for name, change in CHANGES.items():
        hint_layer.layer.selected_data = {0}
        before, after, undone, redone = undone_and_redone(
            panel, lambda change=change: change(panel), hint_layer.values
        )
        assert before != after, name
        assert undone == before, name
        assert redone == after, name
        panel.controls.undo.click()


def test_a_stroke_that_came_with_its_layer(panel):
    hint_layer = panel._hints.add()

    def draw():
        hint_layer.marks.draw().add(np.array([[0, 10, 10], [0, 40, 80]]), shape_type="path")

    before, after, undone, redone = undone_and_redone(panel, draw, hint_layer.values)
    assert (len(before), len(after)) == (0, 1)
    assert undone == before
    assert redone == after


def test_strokes_and_regions_that_are_drawn(panel):
    hint_layer = hinted(panel)
    shapes = hint_layer.marks.draw()

    def draw():
        shapes.add(np.array([[0, 10, 10], [0, 40, 80]]), shape_type="path", edge_width=6)

    before, after, undone, redone = undone_and_redone(panel, draw, hint_layer.values)
    assert len(after) == len(before) + 1
    assert undone == before
    assert redone == after


def test_what_a_label_asks_for(panel):
    hint_layer = hinted(panel)
    labels = hint_layer.marks.paint()
    labels.data[0, 20:40, 20:40] = 1
    labels.selected_label = 1
    labels.refresh()
    assert isinstance(hint_layer.marks.target, Labels)

    def kinds():
        (mask,) = (mark for mark in hint_layer.values() if hasattr(mark, "pixels"))
        return mask.kind, mask.color

    for change in (
        lambda: setattr(hint_layer.styles, "color", "#00ff00"),
        lambda: choose(panel.controls.kind, "gray"),
    ):
        before, after, undone, redone = undone_and_redone(panel, change, kinds)
        assert before != after
        assert undone == before
        assert redone == after


def test_references_and_the_palette_of_an_image(panel, photo):
    colored = np.stack([photo, photo // 2, 255 - photo], axis=-1)
    image = panel._source.layer
    reference = panel.viewer.add_image(colored, name="autochrome", rgb=True)
    panel.viewer.layers.selection.active = image
    for menu, value in (
        (panel.controls.like, lambda: panel._wishes.taken.references),
        (panel.controls.color_from, lambda: panel._wishes.taken.color_from),
        (panel.controls.palette_of, lambda: panel._preferences.palette),
    ):
        before, after, undone, redone = undone_and_redone(
            panel,
            lambda menu=menu: choose(menu, reference),
            value,
        )
        assert not before
        assert after
        assert undone == before
        assert redone == after
    seen = undone_and_redone(
        panel, panel.controls.clear_like.click, lambda: len(panel._wishes.taken.references)
    )
    assert seen == [1, 0, 1, 0]


def test_a_polygon_that_is_being_drawn_is_one_step(open_panel, photo):
    panel = open_panel(photo)
    shapes = panel._hints.add().marks.draw()
    pen = SimpleNamespace(layer=shapes, viewer=panel.viewer)
    panel._history.note()
    for corner in ((20, 20), (20, 60), (60, 60), (60, 20)):
        press(pen, corner)
        panel._history.note()
    assert shapes._is_creating
    panel.controls.undo.click()
    assert not shapes._is_creating
    assert len(shapes.data) == 0
    assert shapes in panel.viewer.layers
    panel.controls.redo.click()
    assert len(shapes.data) == 1
    assert len(panel._hints.current.values()) == 1
    for corner in ((70, 70), (70, 80)):
        press(pen, corner)
        panel._history.note()
    panel.controls.undo.click()  # with too few corners it is dropped; the polygon is undone
    assert len(shapes.data) == 0
    for corner in ((70, 70), (70, 80)):
        press(pen, corner)
    shapes._finish_drawing()
    panel._history.note()
    assert panel._hints.current.values() == []

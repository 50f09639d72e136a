"""The strip of alternatives in the real window: what is shown is what the library makes."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_recolor.panel.strip_panel import ALTERNATIVES
from napari_recolor.runs.layers import KEY
from recolor_core import Hint, Region

from .windows import image_of, rerun

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(open_panel, photo, finish):
    """The panel with a finished run."""
    panel = open_panel(photo)
    panel.controls.run.click()
    finish(panel)
    return panel


def open_strip(panel, rest):
    panel.controls.strip.title.click()
    rest(panel)
    assert panel.controls.gallery.count() == ALTERNATIVES + 1


def test_a_click_shows_an_alternative_and_a_double_click_takes_it(panel, photo, direct, rest):
    rgb = image_of(panel)
    before = rgb.data.copy()
    open_strip(panel, rest)
    gallery, made = panel.controls.gallery, direct(photo, alternatives=ALTERNATIVES)
    gallery.setCurrentRow(2)
    rest(panel)
    np.testing.assert_array_equal(rgb.data, made.take(2).rgb)
    panel.controls.strip.title.click()  # only looked at
    rest(panel)
    np.testing.assert_array_equal(rgb.data, before)

    panel.controls.strip.title.click()
    rest(panel)
    gallery.setCurrentRow(3)
    gallery.itemDoubleClicked.emit(gallery.item(3))
    rest(panel)
    panel.controls.strip.title.click()
    rest(panel)
    np.testing.assert_array_equal(rgb.data, made.take(3).rgb)
    assert rgb.metadata[KEY]["alternative"] == 3
    np.testing.assert_array_equal(rerun(panel), rgb.data)
    panel._history.note()
    panel.controls.undo.click()
    rest(panel)
    np.testing.assert_array_equal(rgb.data, before)
    panel.controls.redo.click()
    rest(panel)
    np.testing.assert_array_equal(rgb.data, made.take(3).rgb)


def test_enter_takes_the_alternative_that_the_arrow_keys_reached(panel, photo, direct, rest):
    open_strip(panel, rest)
    gallery = panel.controls.gallery
    gallery.setFocus()
    gallery.setCurrentRow(0)
    gallery.setCurrentRow(1)
    rest(panel)
    gallery._take()
    rest(panel)
    assert panel._wishes.taken.draw.number == 1
    expected = direct(photo, alternatives=ALTERNATIVES).take(1).rgb
    np.testing.assert_array_equal(image_of(panel).data, expected)


def test_hints_apply_to_an_alternative_that_was_taken(panel, photo, direct, rest):
    open_strip(panel, rest)
    panel.controls.gallery.taken.emit(2)
    panel.controls.gallery.setCurrentRow(2)
    panel.controls.gallery._take()
    rest(panel)
    panel._hints.add().put([Hint(40, 30, "#ff0000", 6)])
    rest(panel)
    hints = panel._hints.current.values()
    expected = direct(photo, alternatives=ALTERNATIVES, hints=hints).take(2).rgb
    np.testing.assert_array_equal(image_of(panel).data, expected)
    panel.controls.run.click()  # a run begins with what was taken
    rest(panel)
    np.testing.assert_array_equal(image_of(panel).data, expected)


@pytest.mark.parametrize("mode", ["part", "drawn"])
def test_a_region_from_another_alternative(panel, photo, direct, rest, mode):
    rgb = image_of(panel)
    before = rgb.data.copy()
    shapes = panel._hints.add().marks.draw()
    corners = [[10.0, 20.0], [10.0, 90.0], [60.0, 90.0], [60.0, 20.0]]
    shapes.add(np.array(corners), shape_type="polygon")
    shapes.selected_data = {0}
    panel._hints.current.styles.set_style(kind="limit")
    rest(panel)
    np.testing.assert_array_equal(rgb.data, before)
    menu = panel.controls.alternatives_of
    menu.setCurrentIndex(menu.findData(mode))
    menu.activated.emit(menu.currentIndex())
    open_strip(panel, rest)
    panel.controls.gallery.setCurrentRow(2)
    panel.controls.gallery._take()
    rest(panel)
    region = Region(tuple((x, y) for y, x in corners), kind="keep")
    limited = {"region": region} if mode == "drawn" else {}
    other = direct(photo, alternatives=ALTERNATIVES, **limited).take(2)
    np.testing.assert_array_equal(rgb.data, direct(photo).combine(other, region).rgb)
    assert (rgb.data != before).any()
    outside = np.ones(photo.shape, bool)
    outside[:75, :105] = False
    np.testing.assert_array_equal(rgb.data[outside], before[outside])
    np.testing.assert_array_equal(rerun(panel), rgb.data)


def test_without_a_region_it_says_how_to_draw_one(panel, rest):
    menu = panel.controls.alternatives_of
    menu.setCurrentIndex(menu.findData("part"))
    panel.controls.strip.title.click()
    assert "Draw shapes" in panel.controls.status.text()
    assert panel.controls.gallery.count() == 0


def test_the_strip_shows_that_it_is_being_filled(panel, rest):
    gallery = panel.controls.gallery
    panel.controls.strip.title.click()
    assert gallery.busy
    assert {gallery.item(i).text() for i in range(gallery.count())} == {"…"}
    assert gallery.count() == ALTERNATIVES + 1
    rest(panel)
    assert not gallery.busy
    before = [gallery.item(i).text() for i in range(gallery.count())]
    assert "…" not in before
    panel.controls.more_alternatives.click()
    assert gallery.busy
    assert [gallery.item(i).text() for i in range(gallery.count())] == before
    rest(panel)
    assert not gallery.busy


def test_a_strip_that_cannot_be_filled_is_empty(panel, rest, monkeypatch):
    def fail(*_, **__):
        raise ValueError("broken")

    monkeypatch.setattr("napari_recolor.runs.engine.Engine.draw", fail)
    panel.controls.strip.title.click()
    rest(panel)
    assert "broken" in panel.controls.status.text()
    assert not panel.controls.gallery.busy
    assert panel.controls.gallery.count() == 0


def test_keys_reach_the_strip(panel, rest):
    open_strip(panel, rest)
    gallery = panel.controls.gallery
    gallery.setCurrentRow(0)
    QTest.keyClick(gallery, Qt.Key.Key_Return)
    assert gallery.item(1).data(Qt.ItemDataRole.AccessibleTextRole) == "1"

"""Which image the controls act on: the real window."""

import numpy as np
import pytest

from napari_recolor.runs.layers import KEY

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(open_panel, photo):
    """The panel with two images, of which the first is colorized and both have hints."""
    panel = open_panel(photo, photo[::-1].copy())
    for image in reversed(panel.viewer.layers[:2]):
        panel.viewer.layers.selection.active = image
        panel.controls.hints.click()
    return panel


def activate(panel, layer):
    panel.viewer.layers.selection.active = layer


def test_it_follows_the_active_layer_its_results_and_its_hints(panel, finish):
    first, second = panel.viewer.layers[:2]
    points = {image: panel._hints.of(image).layer for image in (first, second)}
    activate(panel, first)
    panel.controls.run.click()
    finish(panel)
    (rgb,) = (x for x in panel.viewer.layers if KEY in x.metadata)
    coarse = panel._runner.show_stages(panel._runner.last, ["coarse"])["coarse"]
    shapes = panel._hints.current.marks.draw()
    for layer, image in (
        *((second, second), (rgb, first), (points[second], second), (coarse, first)),
        *((points[second], second), (shapes, first), (second, second), (points[first], first)),
    ):
        activate(panel, layer)
        assert panel._source.layer is image, layer.name
        assert panel._hints.current.layer is points[image]


def test_a_change_of_a_hint_is_of_the_hint_that_is_selected(panel):
    first, second = panel.viewer.layers[:2]
    points = {image: panel._hints.of(image).layer for image in (first, second)}
    for one in points.values():
        one.add([40, 60])
    activate(panel, second)
    activate(panel, points[first])
    points[first].mode = "select"
    points[first].selected_data = {0}
    kind = panel.controls.kind
    kind.setCurrentIndex(kind.findData("gray"))
    kind.activated.emit(kind.currentIndex())
    assert [hint.kind for hint in panel._hints.of(first).values()] == ["gray"]
    assert [hint.kind for hint in panel._hints.of(second).values()] == ["color"]


def test_an_image_chosen_while_another_is_colorized_stays_chosen(panel, finish):
    first, second = panel.viewer.layers[:2]
    activate(panel, first)
    panel.controls.run.click()
    activate(panel, second)
    finish(panel)
    assert panel.viewer.layers.selection.active is second
    assert panel._source.layer is second


def test_what_is_neither_image_nor_hint_changes_nothing(panel):
    first = panel.viewer.layers[0]
    activate(panel, first)
    activate(panel, panel.viewer.add_shapes([np.array([[0, 0], [9, 9]])], shape_type="line"))
    assert panel._source.layer is first


def test_hints_of_an_image_that_was_removed_are_told_to_color_nothing(panel):
    first = panel.viewer.layers[0]
    panel.viewer.layers.remove(first)
    assert panel.controls.status.text().startswith(f"“{first.name}” was removed. Its hints")
    panel.viewer.layers.clear()
    assert panel.controls.status.text() == "Ready."

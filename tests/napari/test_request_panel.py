"""What the panel says that it will do, in the real window."""

import numpy as np
import pytest
from qtpy.QtWidgets import QComboBox

from napari_recolor.runs.layers import KEY

from .windows import button, run, text

pytestmark = pytest.mark.gui


def test_labels_are_refused_with_a_sentence(panel, photo):
    labels = panel.viewer.add_labels(photo // 100, name="cells")
    panel.controls.layer.setCurrentText("cells")
    assert panel._source.layer is labels
    assert text(panel, "summary").startswith("“cells” holds labels")
    assert not button(panel, "run").isEnabled()


def test_without_a_layer_it_says_what_to_do(open_panel):
    widget = open_panel()
    assert "Open an image" in text(widget, "summary")
    assert not button(widget, "run").isEnabled()


def test_the_plan_follows_layer_and_viewer(open_panel, photo, qtbot):
    widget = open_panel(np.stack([photo, photo]))
    assert "1 image at stack = 0" in text(widget, "summary")
    widget.viewer.dims.set_current_step(0, 1)
    qtbot.waitUntil(lambda: "stack = 1" in text(widget, "summary"))
    widget.viewer.layers[0].axis_labels = ("t", "y", "x")
    qtbot.waitUntil(lambda: "T = 1" in text(widget, "summary"))
    widget.controls.scope.setCurrentText("whole stack")
    qtbot.waitUntil(lambda: "2 images" in text(widget, "summary"))
    widget.viewer.layers[0].name = "film"
    assert widget.controls.layer.currentText() == "film"
    widget.viewer.layers.clear()
    assert "Open an image" in text(widget, "summary")


def test_a_palette_is_taken_from_a_image_and_steers(panel, finish):
    without = run(panel, finish)["rgb"].data
    color = np.zeros((30, 40, 3), np.uint8)
    color[:20], color[20:] = (200, 40, 30), (20, 90, 40)
    panel.viewer.add_image(color, name="reference", rgb=True)
    menu = panel.findChild(QComboBox, "recolor.palette_of")
    menu.setCurrentIndex(menu.findText("reference"))
    menu.activated.emit(menu.currentIndex())
    panel.controls.layer.setCurrentText("photo")
    words = panel.controls.palette.text().split(",")
    assert set(words) == {"#c8281e", "#145a28"}
    assert (words.count("#c8281e"), words.count("#145a28")) == (21, 11)  # 32nds
    rgb = run(panel, finish)["rgb"]
    assert rgb.metadata[KEY]["palette_colors"] == words
    assert (rgb.data[..., 0].astype(int) - without[..., 0]).mean() > 5


def test_what_changes_colors_is_seen_and_reset(panel, qtbot):
    controls = panel.controls
    assert panel._preferences.size != 224  # the panel of these tests is quick
    qtbot.waitUntil(lambda: "Working size" in text(panel, "changed"))
    panel.controls.palette.setText("#803020, #203080")
    panel.controls.vividness.setValue(0.3)
    qtbot.waitUntil(lambda: "Vividness 0.3" in text(panel, "changed"))
    assert "Palette #803020" in text(panel, "changed")
    assert not controls.changed.isHidden()
    assert controls.more_hints.title.isChecked()  # not folded away
    controls.reset.click()
    qtbot.waitUntil(controls.changed.isHidden)
    assert controls.palette.text() == ""
    assert controls.vividness.value() == 0.8


def test_a_wrong_palette_is_marked_while_it_is_typed(panel, qtbot):
    palette = panel.controls.palette
    palette.setText("#803020, red")
    qtbot.waitUntil(lambda: "'red'" in text(panel, "summary"))
    assert "border" in palette.styleSheet()
    assert not button(panel, "run").isEnabled()
    palette.setText("#803020")
    qtbot.waitUntil(button(panel, "run").isEnabled)
    assert palette.styleSheet() == ""


def test_alternatives_over_time_are_refused_before_the_run(open_panel, photo, qtbot):
    widget = open_panel(np.stack([photo] * 3), axis_labels=("t", "y", "x"))
    widget.controls.scope.setCurrentText("whole stack")
    widget.controls.alternatives.setValue(2)
    qtbot.waitUntil(lambda: "Alternatives cannot be kept steady" in text(widget, "summary"))
    assert not button(widget, "run").isEnabled()
    widget.controls.steady.setChecked(False)
    qtbot.waitUntil(button(widget, "run").isEnabled)

"""What is said of the pixel under the cursor."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_recolor.views.readout import Readout, describe, lightness_of


def plain(text):
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_describes_coarse_to_refined():
    text = describe(62.44, (4.12, -6.04), (12, 15.26), 8.249)
    assert plain(text) == "L* 62.4   a* +4.1 → −6.0   b* +12.0 → +15.3   uncertainty 8.2"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, ""),
        ({"lightness": 0.0}, "L* 0.0"),
        ({"a": (1.0, None)}, "a* +1.0"),
        ({"b": (None, -1.0), "uncertainty": 3.0}, "b* −1.0   uncertainty 3.0"),
        ({"a": (-0.0, 0.0)}, "a* +0.0 → +0.0"),
        ({"a": (-0.04, 0.04)}, "a* +0.0 → +0.0"),
    ],
)
def test_leaves_out_what_is_not_known(values, text):
    assert plain(describe(**values)) == text


@pytest.mark.parametrize(
    ("rgb", "lightness"),
    [
        (np.array([255, 255, 255], np.uint8), 100),
        (np.array([119, 119, 119], np.uint8), 50.03),
        (np.array([0, 0, 65535, 65535], np.uint16), 32.30),
        (np.array([1, 0, 0], np.float32), 53.24),
    ],
)
def test_lightness_of_known_colors(rgb, lightness):
    assert lightness_of(rgb) == pytest.approx(lightness, abs=0.01)


@pytest.fixture
def known():
    """What a coloring tells of the one pixel at (3, 5)."""
    values = {
        "rgb": np.array([119, 119, 119], np.uint8),
        "a coarse": np.float32(1.5),
        "a refined": np.float32(2.5),
        "b coarse": np.float32(6.0),
        "b refined": np.float32(-3.5),
        "uncertainty": np.float32(9.0),
    }
    return values, lambda position: values if tuple(position) == (3, 5) else {}


@pytest.fixture
def viewer(qapp):
    viewer = ViewerModel()
    viewer.add_image(np.full((8, 8), 7, np.uint8))
    return viewer


def test_the_label_follows_the_cursor(viewer, known, qtbot):
    label = Readout(viewer)
    qtbot.addWidget(label)
    assert label.text() == Readout.IDLE
    label.set_source(known[1])
    viewer.cursor.position = (3, 5)
    assert plain(label.text()) == ("L* 50.0   a* +1.5 → +2.5   b* +6.0 → −3.5   uncertainty 9.0")
    viewer.cursor.position = (30, 5)
    assert label.text() == Readout.IDLE
    viewer.cursor.position = (3, 5)
    label.set_source(None)
    assert label.text() == Readout.IDLE


def test_nothing_is_left_behind_when_it_goes(viewer, known, qtbot):
    count = len(viewer.cursor.events.position.callbacks)
    label = Readout(viewer)
    label.set_source(known[1])
    assert len(viewer.cursor.events.position.callbacks) == count + 1
    with qtbot.waitSignal(label.destroyed):
        label.deleteLater()
    viewer.cursor.position = (3, 4)
    assert len(viewer.cursor.events.position.callbacks) == count


def test_the_label_tells_new_colors_without_a_move(viewer, known, qtbot):
    label = Readout(viewer)
    qtbot.addWidget(label)
    label.set_source(known[1])
    viewer.cursor.position = (3, 5)
    known[0]["a refined"] = np.float32(7.0)
    label.read()
    assert "a* +1.5 → +7.0" in plain(label.text())

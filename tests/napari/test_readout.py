"""What is said of the pixel under the cursor."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_recolor.readout import Readout, describe, lightness_of, value_at


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


def test_values_are_looked_up_in_the_world():
    viewer = ViewerModel()
    data = np.arange(12.0).reshape(3, 4)
    layer = viewer.add_image(data, scale=(10, 10), rotate=90, translate=(5, -3), visible=False)
    for index in np.ndindex(3, 4):
        position = layer.data_to_world(np.array(index) + 0.4)
        assert value_at(layer, position) == data[index]
    assert value_at(layer, layer.data_to_world((-0.6, 0))) is None
    assert value_at(layer, layer.data_to_world((0, 3.6))) is None


def test_values_of_colors_and_of_multiscale():
    viewer = ViewerModel()
    data = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    layer = viewer.add_image([data, data[::2, ::2]], rgb=True, multiscale=True)
    np.testing.assert_array_equal(value_at(layer, (3, 5)), data[3, 5])


@pytest.fixture
def stages(qapp):
    viewer = ViewerModel()
    viewer.add_image(np.full((8, 8), 7, np.uint8))
    small = {"scale": (2, 2), "translate": (0.5, 0.5)}
    made = {
        "rgb": viewer.add_image(np.full((8, 8, 3), 119, np.uint8), rgb=True),
        "a coarse": viewer.add_image(np.full((4, 4), 1.5), **small),
        "a refined": viewer.add_image(np.full((8, 8), 2.5)),
        "b coarse": viewer.add_image(np.arange(16.0).reshape(4, 4), **small),
        "b refined": viewer.add_image(np.full((8, 8), -3.5), visible=False),
        "uncertainty": viewer.add_image(np.full((4, 4), 9.0), **small),
    }
    return viewer, made


def test_the_label_follows_the_cursor(stages, qtbot):
    viewer, made = stages
    label = Readout(viewer)
    qtbot.addWidget(label)
    assert label.text() == Readout.IDLE
    label.set_stages(made)
    viewer.cursor.position = (3, 5)
    assert plain(label.text()) == ("L* 50.0   a* +1.5 → +2.5   b* +6.0 → −3.5   uncertainty 9.0")
    viewer.cursor.position = (30, 5)
    assert label.text() == Readout.IDLE


def test_the_label_forgets_removed_layers(stages, qtbot):
    viewer, made = stages
    label = Readout(viewer)
    qtbot.addWidget(label)
    label.set_stages(made)
    viewer.cursor.position = (3, 5)
    viewer.layers.remove(made["uncertainty"])
    viewer.layers.remove(made["rgb"])
    viewer.cursor.position = (3, 4)
    assert plain(label.text()) == "a* +1.5 → +2.5   b* +6.0 → −3.5"


def test_nothing_is_left_behind_when_it_goes(stages, qtbot):
    viewer, made = stages
    layer_count = len(made["rgb"].events.set_data.callbacks)
    count = len(viewer.cursor.events.position.callbacks)
    label = Readout(viewer)
    label.set_stages(made)
    assert len(viewer.cursor.events.position.callbacks) == count + 1
    with qtbot.waitSignal(label.destroyed):
        label.deleteLater()
    viewer.cursor.position = (3, 4)
    assert len(viewer.cursor.events.position.callbacks) == count
    assert len(made["rgb"].events.set_data.callbacks) == layer_count


def test_the_label_tells_new_colors_without_a_move(stages, qtbot):
    viewer, made = stages
    label = Readout(viewer)
    qtbot.addWidget(label)
    label.set_stages(made)
    viewer.cursor.position = (3, 5)
    made["a refined"].data[...] = 7.0
    made["rgb"].refresh()
    assert "a* +1.5 → +7.0" in plain(label.text())

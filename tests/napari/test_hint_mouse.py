"""The mouse over hints: the eyedropper, the right click and the wheel."""

import numpy as np
import pytest

from .hinting import SHAPE, add, click, press, wheel


@pytest.mark.parametrize(
    ("image", "color"),
    [
        (np.full((*SHAPE, 3), (16, 128, 255), np.uint8), "#1080ff"),
        (np.full((*SHAPE, 4), (16, 128, 255, 9), np.uint8), "#1080ff"),
        (np.full((*SHAPE, 3), (4112, 32896, 65535), np.uint16), "#1080ff"),
        (np.full((*SHAPE, 3), (16 / 255, 128 / 255, 1), np.float32), "#1080ff"),
    ],
)
def test_eyedropper_takes_the_color_under_it(viewer, hints, image, color):
    viewer.add_image(image, rgb=True)
    states = []
    hints.eyedropper.changed.connect(states.append)
    hints.eyedropper.on = True
    click(viewer, (500, 500))  # beside all images: goes on waiting
    assert hints.eyedropper.on
    click(viewer, (20, 30))
    assert not hints.eyedropper.on
    assert states == [True, False]
    assert hints.styles.color == color
    assert hints.layer.mode == "add"
    assert len(hints.layer.data) == 0  # the click added no hint


def test_eyedropper_recolors_selected_hints(viewer, hints):
    add(hints, (20, 30))
    add(hints, (40, 30))
    hints.layer.mode = "select"
    hints.layer.selected_data = {1}
    viewer.add_image(np.full((*SHAPE, 3), (16, 128, 255), np.uint8))
    hints.eyedropper.on = True
    click(viewer, (20, 30))
    assert [value.color for value in hints.values()] == ["#4070c0", "#1080ff"]
    assert hints.layer.selected_data == {1}
    assert hints.layer.mode == "select"


def test_the_eyedropper_leaves_the_last_hint_alone(viewer, hints):
    press(hints, (20, 30))
    viewer.add_image(np.full((*SHAPE, 3), (16, 128, 255), np.uint8))
    hints.eyedropper.on = True
    click(viewer, (20, 30))
    assert hints.values()[0].color == "#c08040"
    assert hints.styles.color == "#1080ff"


@pytest.mark.parametrize("mode", ["add", "select", "pan_zoom"])
def test_a_right_click_removes_the_hint_under_it(hints, mode):
    add(hints, (20, 30))
    add(hints, (60, 90))
    hints.layer.mode = mode
    press(hints, (60, 90), button=2)
    assert [(value.x, value.y) for value in hints.values()] == [(30, 20)]
    assert hints.layer.mode == mode
    press(hints, (100, 100), button=2)  # beside all hints
    assert len(hints.values()) == 1
    press(hints, (20, 30), button=2, moves=[(20, 50)])  # a drag zooms
    assert len(hints.values()) == 1


def test_the_wheel_over_a_hint_resizes_it(hints):
    add(hints, (20, 30), size=10)
    add(hints, (60, 90), size=10)
    for steps, position in ((2, (20, 30)), (-1, (60, 90)), (1, (100, 10))):
        assert wheel(hints, position, steps) == (position != (100, 10))
    first, second = (value.radius for value in hints.values())
    assert first > 5 > second

"""When changes of hints are told, and what becomes of hints whose layer is removed."""

import numpy as np

from napari_recolor.hints.hint_layer import OUTSIDE, HintLayer

from .hinting import SHAPE, add, told, wheel


def test_changes_are_told_once_and_only_when_a_hint_differs(hints, qtbot):
    told = []
    hints.changed.connect(lambda: told.append(hints.values()))

    def settle():
        qtbot.wait(150)
        told_now = told.copy()
        told.clear()
        return told_now

    for column in range(5):
        add(hints, (10, 10 * column))
    assert [len(values) for values in settle()] == [5]

    hints.layer.data = np.add(hints.layer.data, (1, 0))  # moved
    assert [values[0].y for values in settle()] == [11]

    hints.layer.selected_data = {0}
    hints.styles.color = "#ff0000"  # recolored
    assert [[value.color for value in values] for values in settle()] == [
        ["#ff0000"] + ["#4070c0"] * 4
    ]

    hints.layer.current_size = 30  # resized
    assert [values[0].radius for values in settle()] == [15]

    hints.layer.selected_data = {1, 2}
    assert settle() == []  # to select changes nothing
    hints.layer.remove_selected()
    assert [len(values) for values in settle()] == [3]

    hints.layer.data = hints.layer.data.copy()
    assert settle() == []


def test_dragging_a_point_is_told(hints, qtbot):
    add(hints, (10, 10))
    qtbot.wait(150)
    hints.layer.mode = "select"
    with told(hints, qtbot):
        hints.layer._move([0], (10, 10))
        hints.layer._move([0], (15, 12))
    assert (hints.values()[0].x, hints.values()[0].y) == (12, 15)


def test_painting_is_told(viewer, hints, qtbot):
    labels = viewer.add_labels(np.zeros(SHAPE, np.uint8))
    hints.labels = labels
    qtbot.wait(150)
    with told(hints, qtbot):
        labels.paint((20, 30), 1)
    assert hints.values()
    with told(hints, qtbot):
        viewer.layers.remove(labels)
    assert hints.labels is None
    assert hints.values() == []


def test_a_segmentation_of_many_objects_is_refused(viewer, hints, qtbot):
    data = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) // 100
    said = []
    hints.said.connect(said.append)
    hints.labels = viewer.add_labels(data, name="cells")
    qtbot.waitUntil(lambda: bool(said))
    assert "at most 64 labels" in said[0]
    assert "“cells”" in said[0]


def test_removing_the_image_ends_it(viewer, hints):
    closed = []
    hints.closed.connect(lambda: closed.append(True))
    callbacks = viewer.mouse_drag_callbacks.copy()
    hints.eyedropper.on = True
    viewer.layers.remove(hints.image)
    assert closed == [True]
    assert not hints.eyedropper.on
    assert viewer.mouse_drag_callbacks == callbacks


def test_removing_the_layer_of_points_removes_its_hints(viewer, hints, qtbot):
    add(hints, (20, 30))
    qtbot.wait(150)
    hints.eyedropper.on = True
    with told(hints, qtbot):
        viewer.layers.remove(hints.layer)
    assert not hints.eyedropper.on
    assert hints.values() == []
    assert hints.layers == []
    hints.reopen()
    assert hints.layers == [hints.layer]
    assert hints.values() == []  # the old hints come back with undo only


def test_changes_of_images_that_are_not_shown_are_told(viewer, qtbot):
    layer = HintLayer(viewer, viewer.add_image(np.zeros((3, *SHAPE), np.uint8)))
    viewer.dims.set_point(0, 0)
    qtbot.wait(150)
    with told(layer, qtbot):
        layer.layer.add([2, 30, 40])
    with told(layer, qtbot):
        layer.layer.data = np.add(layer.layer.data, (0, 5, 0))
    with told(layer, qtbot):
        layer.layer.data = np.empty((0, 3))
    with told(layer, qtbot):  # even though both images have no hints
        viewer.dims.set_point(0, 2)
    layer.close()


def test_a_hint_outside_the_image_is_said(hints, qtbot):
    said = []
    hints.said.connect(said.append)
    add(hints, (20, 30))
    qtbot.wait(150)
    assert said == []
    add(hints, (-3, 20))
    qtbot.waitUntil(lambda: said == [OUTSIDE], timeout=60_000)
    hints.layer.data = np.array([[20, 30], [20, 30]])
    qtbot.wait(150)
    hints.layer.data = np.array([[20, SHAPE[1] + 9], [20, 30]])  # moved out
    qtbot.waitUntil(lambda: said == [OUTSIDE] * 2, timeout=60_000)
    hints.layer.current_face_color = "#00ff00"  # no other is outside
    hints.layer.add([40, 40])
    qtbot.wait(150)
    assert len(said) == 2


def test_a_size_set_with_the_wheel_is_told(hints, qtbot):
    add(hints, (20, 30), size=10)
    qtbot.wait(150)
    state = hints.state()
    with told(hints, qtbot):
        wheel(hints, (20, 30), 2)
    assert hints.values()[0].radius > 5
    assert hints.state() != state

"""All hints of an image: saved, loaded, replaced, remembered and restored."""

import json

import numpy as np
import pytest
from napari.layers import Shapes

from napari_recolor.hints.hint_layer import HintLayer
from recolor_core.errors import HintsError
from recolor_core.hints import Hint, Mask, Region, Stroke, write_hints

from .hinting import SHAPE, add


def every_kind(shape=SHAPE):
    """One mark of every sort."""
    inside = ((30.0, 20.0), (70.0, 20.0), (70.0, 60.0), (30.0, 60.5))
    pixels = np.zeros(shape, bool)
    pixels[70:90, 100:140] = True
    return [
        Hint(40, 30, "#ff0000", 5),
        Hint(50, 30, "#00ff00", 2, reach=0.25, within=inside),
        Hint(51, 40, kind="keep", radius=3),
        Hint(52, 40, kind="gray"),
        Stroke(((100, 10), (120, 12), (130, 9)), "#0000ff", 4, within=((0, 0), (160, 0), (0, 60))),
        Stroke(((100, 30), (120, 32)), kind="keep", radius=2, reach=0.75),
        Stroke(((90, 50),), kind="gray", radius=2),
        Region(inside, "#ffff00"),
        Region(((100, 40), (110, 40), (110, 60)), kind="keep"),
        Region(((120, 40), (130, 40), (130, 60)), kind="gray"),
        Mask(pixels, "#ff00ff"),
        Mask(np.roll(pixels, -60, axis=1), kind="keep"),
        Mask(np.roll(pixels, 21, axis=0), kind="gray"),
    ]


def test_every_sort_of_mark_is_loaded_and_saved(viewer, hints, tmp_path):
    marks = every_kind()
    write_hints(tmp_path / "hints.json", marks)
    add(hints, (1, 1))  # is replaced
    hints.load(tmp_path / "hints.json")
    assert hints.values() == marks
    hints.save(tmp_path / "again.json")
    hints.load(tmp_path / "again.json")
    assert hints.values() == marks


def test_marks_of_every_sort_belong_to_one_image_of_a_stack(viewer):
    image = viewer.add_image(np.zeros((3, *SHAPE), np.uint8), scale=(4, 2, 2))
    layer = HintLayer(viewer, image)
    viewer.dims.set_point(0, 4)
    layer.put(every_kind())
    viewer.dims.set_point(0, 8)
    layer.put(every_kind()[4:])
    assert [len(layer.values((t,))) for t in range(3)] == [0, 13, 9]
    assert layer.values((1,)) == every_kind()
    assert layer.values((2,)) == every_kind()[4:]
    layer.close()


def test_a_mask_of_another_image_is_refused_and_changes_nothing(hints):
    add(hints, (20, 30))
    before = hints.values()
    with pytest.raises(HintsError, match="expected masks of 168 x 112 pixels"):
        hints.put([Mask(np.ones((5, 6), bool), "#ff0000")])
    assert hints.values() == before


def test_saved_hints_come_back(viewer, hints, tmp_path):
    add(hints, (20, 30.25), "#4070c0", size=9)
    add(hints, (25, 10), "#ff0000", size=0.5)
    hints.save(tmp_path / "hints.json")
    values = hints.values()
    assert [hint["color"] for hint in json.loads((tmp_path / "hints.json").read_text())["hints"]]

    hints.layer.selected_data = {0, 1}
    hints.layer.remove_selected()
    add(hints, (50, 60))
    hints.load(tmp_path / "hints.json")
    assert hints.values() == values


def test_loading_replaces_the_hints_of_the_image_shown_alone(viewer, tmp_path):
    write_hints(tmp_path / "hints.json", [Hint(7, 8, "#102030", 0)])
    image = viewer.add_image(np.zeros((3, *SHAPE), np.uint8))
    layer = HintLayer(viewer, image)
    add(layer, (1, 30, 40), "#ff0000")
    add(layer, (2, 30, 40), "#00ff00")
    viewer.dims.set_point(0, 2)
    layer.load(tmp_path / "hints.json")
    assert layer.values((1,)) == [Hint(40, 30, "#ff0000", 5)]
    assert layer.values((2,)) == [Hint(7, 8, "#102030", 0)]
    layer.close()


def test_a_file_that_holds_no_hints_changes_nothing(hints, tmp_path):
    add(hints, (20, 30))
    before = hints.values()
    (tmp_path / "hints.json").write_text("[]")
    with pytest.raises(HintsError, match="not a file of color hints"):
        hints.load(tmp_path / "hints.json")
    assert hints.values() == before


def test_a_state_brings_points_and_shapes_back(viewer, hints):
    add(hints, (20, 30), "#ff0000", size=8)
    shapes = Shapes([np.array([[10.0, 20.0], [10.0, 60.0]])], shape_type="line", edge_color="red")
    viewer.add_layer(shapes)
    hints.shapes = shapes
    state, values = hints.state(), hints.values()
    add(hints, (60, 90), "#00ff00")
    hints.layer.selected_data = {0}
    hints.layer.remove_selected()
    shapes.add(np.array([[50.0, 20.0], [60.0, 60.0]]), shape_type="line")
    assert hints.state() != state
    hints.restore(state)
    assert hints.state() == state
    assert hints.values() == values
    empty = hints.state()
    hints.layer.data = np.empty((0, 2))
    hints.restore(empty)
    assert hints.values() == values


def test_a_state_brings_removed_layers_back(viewer, hints):
    add(hints, (20, 30), "#ff0000", size=8)
    hints.marks.draw().add(np.array([[10.0, 20.0], [10.0, 60.0]]), shape_type="line")
    hints.marks.paint().paint((40, 50), 1)
    state, values = hints.state(), hints.values()
    assert len(values) == 3
    for layer in hints.layers:
        viewer.layers.remove(layer)
    assert hints.values() == []
    assert hints.layers == []
    hints.restore(state)
    assert all(layer in viewer.layers for layer in hints.layers)
    assert hints.values() == values
    assert hints.state() == state


def test_layers_that_came_later_leave_but_those_of_the_user_stay(viewer, hints):
    state = hints.state()
    shapes = viewer.add_shapes([[10, 20], [10, 60]], shape_type="line")
    hints.shapes = shapes
    labels = hints.marks.paint()
    labels.paint((40, 50), 1)
    later, values = hints.state(), hints.values()
    hints.restore(state)
    assert hints.values() == []
    assert labels not in viewer.layers
    assert shapes in viewer.layers
    assert len(shapes.data) == 1  # it is the user's
    hints.restore(later)
    assert labels in viewer.layers
    assert hints.values() == values

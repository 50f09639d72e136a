"""What hints ask for: colors, kinds, reach, and the region that they stay within."""

import numpy as np

from napari_recolor.hints.hint_layer import HintLayer
from recolor_core.hints import Hint, Region

from .hinting import SHAPE, add, press, shapes_of, told


def test_kind_and_reach_are_those_of_the_next_hint(hints, qtbot):
    press(hints, (20, 30))
    hints.styles.set_style(kind="keep", reach=0.25)
    press(hints, (40, 30))
    hints.styles.set_style(kind="color", reach=0.5)
    press(hints, (60, 30))
    first, second, third = hints.values()
    assert second == Hint(30, 40, radius=first.radius, kind="keep", reach=0.25)
    assert (first.kind, first.reach) == (third.kind, third.reach) == ("color", 0.5)
    assert [str(symbol) for symbol in hints.layer.symbol] == ["disc", "square", "disc"]


def test_kind_and_reach_of_selected_hints_change_and_no_others(hints, qtbot):
    for row in (20, 40, 60):
        add(hints, (row, 30))
    qtbot.wait(150)
    hints.layer.mode = "select"
    hints.layer.selected_data = {1}
    with told(hints, qtbot):
        hints.styles.set_style(kind="gray", reach=0.75)
    assert [(v.kind, v.reach) for v in hints.values()] == [
        ("color", 0.5), ("gray", 0.75), ("color", 0.5)
    ]  # fmt: skip
    hints.styles.color = "#123456"  # a color makes it a hint of color again
    assert hints.values()[1].kind == "color"
    assert hints.values()[1].color == "#123456"


def test_a_region_may_keep_gray_or_only_limit(viewer, hints):
    corners = [[20, 30], [20, 70], [60, 70], [60, 30]]
    shapes = shapes_of(hints, viewer, corners, shape_type="polygon", face_color="#ffff00")
    viewer.layers.selection.active = shapes
    shapes.selected_data = {0}
    outline = ((30, 20), (70, 20), (70, 60), (30, 60))
    for kind in ("keep", "gray"):
        hints.styles.set_style(kind=kind)
        assert hints.values() == [Region(outline, kind=kind)]
    hints.styles.set_style(kind="limit")
    assert hints.values() == []
    hints.styles.color = "#00ff00"
    assert hints.values() == [Region(outline, "#00ff00")]


def test_only_here_keeps_a_hint_in_the_smallest_region_around_it(viewer, hints):
    outer = [[10, 10], [10, 100], [90, 100], [90, 10]]
    inner = [[20, 30], [20, 70], [60, 70], [60, 30]]
    shapes = shapes_of(hints, viewer, outer, shape_type="polygon", face_color="#ffff00")
    shapes.add(np.array(inner, float), shape_type="polygon")
    viewer.layers.selection.active = hints.layer
    hints.styles.set_style(only_here=True)
    press(hints, (40, 50))
    press(hints, (80, 50))
    first, second, *_ = hints.values()
    assert first.within == ((30, 20), (70, 20), (70, 60), (30, 60))
    assert second.within == ((10, 10), (100, 10), (100, 90), (10, 90))
    moved = shapes.data
    moved[1] = moved[1] + 1
    shapes.data = moved
    assert hints.values()[0].within[0] == (31, 21)  # it follows
    said = []
    hints.said.connect(said.append)
    press(hints, (100, 150))
    assert hints.values()[2].within == ()
    assert "no region is around the hint" in said[0]


def test_the_kind_of_a_label(viewer, hints):
    labels = hints.marks.paint()
    labels.paint((20, 30), 1)
    labels.paint((80, 30), 2)
    labels.selected_label = 2
    hints.styles.set_style(kind="keep")
    assert hints.styles.style.kind == "keep"
    labels.selected_label = 1
    hints.styles.color = "#00ff00"
    first, second = hints.values()
    assert (first.kind, first.color) == ("color", "#00ff00")
    assert (second.kind, second.color) == ("keep", "")
    assert not (first.pixels & second.pixels).any()


def test_new_hints_begin_with_the_predicted_color(viewer):
    image = viewer.add_image(np.zeros(SHAPE, np.uint8))
    layer = HintLayer(viewer, image, lambda position: "#123456")
    placed = []
    layer.placed.connect(placed.append)
    press(layer, (20, 30))
    assert layer.values()[0].color == "#123456"
    assert placed == [0]
    layer.styles.recolor(0, "#ff0000")  # what a person chooses for this hint is for this hint
    press(layer, (40, 30))
    assert [value.color for value in layer.values()] == ["#ff0000", "#123456"]
    layer.styles.color = "#00ff00"  # what a person chooses for hints to come is for them
    press(layer, (60, 30))
    assert layer.values()[2].color == "#00ff00"
    layer.close()


def test_the_color_of_the_next_hint_leaves_the_last_one_alone(hints):
    press(hints, (20, 30))
    hints.styles.color = "#ff0000"
    press(hints, (40, 30))
    hints.layer.current_size = 40
    assert [value.color for value in hints.values()] == ["#c08040", "#ff0000"]
    assert len({value.radius for value in hints.values()}) == 1

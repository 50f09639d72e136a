"""Color hints: where they are in the image, when they are told, colors picked up, strokes."""

import json
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Shapes

from napari_recolor.hints import HintLayer
from napari_recolor.placing import cell_size, color_at
from recolor_core.errors import HintsError
from recolor_core.hints import Hint, Mask, Region, Stroke, write_hints

SHAPE = (112, 168)  # cells of 2 x 2 pixels


@pytest.fixture
def viewer(qapp):
    return ViewerModel()


@pytest.fixture
def hints(viewer):
    image = viewer.add_image(np.zeros(SHAPE, np.uint8))
    layer = HintLayer(viewer, image)
    yield layer
    layer.close()


def add(hints, position, color="#4070c0", size=10):
    """Add a hint where a user would click: at a position of the world."""
    hints.layer.selected_data = set()
    hints.color = color
    hints.layer.current_size = size
    hints.layer.add(hints.layer.world_to_data(position))


def click(viewer, position):
    """Run the viewer's mouse callbacks as the canvas does."""
    event = SimpleNamespace(button=1, position=position, type="mouse_press", modifiers=())
    generators = [callback(viewer, event) for callback in list(viewer.mouse_drag_callbacks)]
    for step in ("mouse_press", "mouse_move", "mouse_release"):
        event.type = step
        for generator in generators:
            next(generator, None)


@pytest.mark.parametrize(
    "geometry",
    [
        {},
        {"scale": (0.5, 0.25), "translate": (100, -30)},
        {"rotate": 30, "scale": (2, 3)},
        {"shear": [0.4], "translate": (3, 4)},
        {"affine": [[0, 2, 5], [-1, 0.5, 6], [0, 0, 1]]},
    ],
)
@pytest.mark.parametrize("rgb", [False, True])
def test_hints_are_in_pixels_whatever_the_geometry(viewer, geometry, rgb):
    shape = (*SHAPE, 3) if rgb else SHAPE
    image = viewer.add_image(np.zeros(shape, np.uint8), rgb=rgb, **geometry)
    layer = HintLayer(viewer, image)
    add(layer, image.data_to_world((20, 33)), "#804020", size=12)
    assert layer.values() == [Hint(33, 20, "#804020", 6)]
    image.scale = (7, 5)  # the image moves, the hint with it
    assert layer.values() == [Hint(33, 20, "#804020", 6)]
    np.testing.assert_allclose(
        layer.layer.data_to_world(layer.layer.data[0]), image.data_to_world((20, 33))
    )
    layer.close()


def test_units_and_axis_labels_are_those_of_the_image(viewer):
    image = viewer.add_image(np.zeros(SHAPE), units=("um", "um"), axis_labels=("y", "x"))
    layer = HintLayer(viewer, image)
    assert layer.layer.units == image.units
    assert layer.layer.axis_labels == ("y", "x")
    layer.close()


def test_each_image_of_a_stack_has_its_own_hints(viewer):
    image = viewer.add_image(np.zeros((3, *SHAPE), np.uint8), scale=(10, 2, 2))
    layer = HintLayer(viewer, image)
    viewer.dims.set_point(0, 20)
    add(layer, image.data_to_world((2, 30, 40)))
    assert [(value.x, value.y) for value in layer.values()] == [(40, 30)]
    assert layer.values((1,)) == []
    viewer.dims.set_point(0, 10)
    assert layer.values() == []
    assert [(value.x, value.y) for value in layer.values((2,))] == [(40, 30)]
    layer.close()


def test_hints_outside_the_image_do_not_count(hints):
    add(hints, (-3, 20))
    add(hints, (20, SHAPE[1] + 1))
    add(hints, (SHAPE[0] - 0.5, -0.5))
    assert [(value.x, value.y) for value in hints.values()] == [(-0.5, SHAPE[0] - 0.5)]


def test_hints_are_what_the_core_takes(hints):
    add(hints, (20, 30), "#4070c0", size=9)
    assert hints.values() == [Hint(30, 20, "#4070c0", 4.5)]


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
    hints.color = "#ff0000"  # recolored
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


def test_removing_the_layer_ends_it(viewer, hints):
    closed = []
    hints.closed.connect(lambda: closed.append(True))
    callbacks = viewer.mouse_drag_callbacks.copy()
    hints.eyedropper = True
    viewer.layers.remove(hints.layer)
    assert closed == [True]
    assert not hints.eyedropper
    assert viewer.mouse_drag_callbacks == callbacks


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
    hints.eyedropper_changed.connect(states.append)
    hints.eyedropper = True
    click(viewer, (500, 500))  # beside all images: goes on waiting
    assert hints.eyedropper
    click(viewer, (20, 30))
    assert not hints.eyedropper
    assert states == [True, False]
    assert hints.color == color
    assert hints.layer.mode == "add"
    assert len(hints.layer.data) == 0  # the click added no hint


def test_eyedropper_recolors_selected_hints(viewer, hints):
    add(hints, (20, 30))
    add(hints, (40, 30))
    hints.layer.mode = "select"
    hints.layer.selected_data = {1}
    viewer.add_image(np.full((*SHAPE, 3), (16, 128, 255), np.uint8))
    hints.eyedropper = True
    click(viewer, (20, 30))
    assert [value.color for value in hints.values()] == ["#4070c0", "#1080ff"]
    assert hints.layer.selected_data == {1}
    assert hints.layer.mode == "select"


def test_color_at_looks_through_what_is_hidden_or_gray(viewer):
    viewer.add_image(np.full((*SHAPE, 3), (1, 2, 3), np.uint8))
    viewer.add_image(np.full((*SHAPE, 3), (4, 5, 6), np.uint8), visible=False)
    viewer.add_image(np.full(SHAPE, 7, np.uint8))
    assert color_at(viewer, (20, 30)) == "#010203"
    assert color_at(viewer, (-20, 30)) is None


def test_color_at_of_a_multiscale_image(viewer):
    full = np.full((*SHAPE, 3), (16, 128, 255), np.uint8)
    viewer.add_image([full, full[::2, ::2]], multiscale=True)
    assert color_at(viewer, (20, 30)) == "#1080ff"


def test_labels_are_masks_in_the_color_they_are_shown_in(viewer, hints):
    data = np.zeros(SHAPE, np.uint8)
    data[20:24, 30:40] = 1
    data[51, 61] = 2
    colors = {None: "black", 1: "#ff0000", 2: "#0000ff"}
    hints.labels = viewer.add_labels(data, colormap=colors)
    assert hints.values() == [Mask(data == 1, "#ff0000"), Mask(data == 2, "#0000ff")]


def test_labels_of_another_grid_are_placed_by_the_world(viewer, hints):
    data = np.zeros((56, 84), np.uint8)
    data[10, 20] = 1
    hints.labels = viewer.add_labels(data, scale=(2, 2), translate=(0.5, 0.5))
    (mask,) = hints.values()
    assert mask.pixels.shape == SHAPE
    assert [list(n) for n in np.nonzero(mask.pixels)] == [[20, 20, 21, 21], [40, 41, 40, 41]]


@pytest.mark.parametrize("ndim", [2, 3])
def test_labels_over_a_stack(viewer, ndim):
    image = viewer.add_image(np.zeros((3, *SHAPE), np.uint8))
    layer = HintLayer(viewer, image)
    data = np.zeros((3, *SHAPE)[-ndim:], np.uint8)
    data[(1,) * (ndim - 2) + (10, 20)] = 1
    layer.labels = viewer.add_labels(data)
    assert [len(layer.values((t,))) for t in range(3)] == ([1, 1, 1] if ndim == 2 else [0, 1, 0])
    layer.close()


def test_a_segmentation_of_many_objects_is_refused(viewer, hints, qtbot):
    data = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) // 100
    said = []
    hints.said.connect(said.append)
    hints.labels = viewer.add_labels(data, name="cells")
    qtbot.waitUntil(lambda: bool(said))
    assert "at most 64 labels" in said[0]
    assert "“cells”" in said[0]


def shapes_of(hints, viewer, data, **options):
    shapes = Shapes([np.array(data, float)], **options)
    viewer.add_layer(shapes)
    hints.shapes = shapes
    return shapes


@pytest.mark.parametrize("kind", ["line", "path"])
def test_lines_are_strokes_of_their_edge_color_and_width(viewer, hints, kind):
    options = {"shape_type": kind, "edge_color": "#00ff00", "edge_width": 6}
    shapes_of(hints, viewer, [[10, 20], [12, 60]], **options)
    assert hints.values() == [Stroke(((20, 10), (60, 12)), "#00ff00", 3)]


def test_the_width_of_strokes_is_in_pixels_of_the_image(viewer):
    image = viewer.add_image(np.zeros(SHAPE, np.uint8), scale=(0.5, 0.5))
    layer = HintLayer(viewer, image)
    options = {"shape_type": "line", "edge_color": "red", "edge_width": 4}
    shapes_of(layer, viewer, [[10, 20], [12, 30]], **options)
    assert layer.values() == [Stroke(((40, 20), (60, 24)), "#ff0000", 4)]
    layer.close()


@pytest.mark.parametrize("kind", ["rectangle", "polygon"])
def test_filled_shapes_are_regions_of_their_face_color(viewer, hints, kind):
    corners = [[20, 30], [20, 70], [60, 70], [60, 30]]
    shapes_of(hints, viewer, corners, shape_type=kind, face_color="#ffff00", edge_color="red")
    assert hints.values() == [Region(((30, 20), (70, 20), (70, 60), (30, 60)), "#ffff00")]


def test_an_ellipse_is_a_region_of_its_area(viewer, hints):
    corners = [[20, 30], [20, 70], [60, 70], [60, 30]]
    shapes_of(hints, viewer, corners, shape_type="ellipse", face_color="#ffff00")
    (region,) = hints.values()
    x, y = np.array(region.points).T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    assert abs(area - np.pi * 20**2) < 0.01 * area


def test_unfilled_shapes_are_strokes_along_their_outline(viewer, hints):
    corners = [[20, 30], [20, 70], [60, 70], [60, 30]]
    options = {"face_color": "transparent", "edge_color": "#ff00ff", "edge_width": 2}
    shapes_of(hints, viewer, corners, shape_type="polygon", **options)
    outline = ((30, 20), (70, 20), (70, 60), (30, 60), (30, 20))
    assert hints.values() == [Stroke(outline, "#ff00ff", 1)]


def test_a_polygon_that_is_being_drawn_is_no_region_yet(viewer, hints):
    shapes_of(hints, viewer, [[20, 30], [20, 30], [20, 31]], shape_type="polygon")
    assert hints.values() == []


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


def test_other_layers_are_refused(viewer, hints):
    with pytest.raises(TypeError, match="Shapes"):
        hints.shapes = viewer.add_points([[1, 2]])
    with pytest.raises(TypeError, match="Labels"):
        hints.labels = viewer.add_points([[1, 2]])


# --- what marks ask for -----------------------------------------------------------------------


def test_kind_and_reach_are_those_of_the_next_hint(hints, qtbot):
    press(hints, (20, 30))
    hints.set_style(kind="keep", reach=0.25)
    press(hints, (40, 30))
    hints.set_style(kind="color", reach=0.5)
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
        hints.set_style(kind="gray", reach=0.75)
    assert [(v.kind, v.reach) for v in hints.values()] == [
        ("color", 0.5), ("gray", 0.75), ("color", 0.5)
    ]  # fmt: skip
    hints.color = "#123456"  # a color makes it a hint of color again
    assert hints.values()[1].kind == "color"
    assert hints.values()[1].color == "#123456"


def test_a_region_may_keep_gray_or_only_limit(viewer, hints):
    corners = [[20, 30], [20, 70], [60, 70], [60, 30]]
    shapes = shapes_of(hints, viewer, corners, shape_type="polygon", face_color="#ffff00")
    viewer.layers.selection.active = shapes
    shapes.selected_data = {0}
    outline = ((30, 20), (70, 20), (70, 60), (30, 60))
    for kind in ("keep", "gray"):
        hints.set_style(kind=kind)
        assert hints.values() == [Region(outline, kind=kind)]
    hints.set_style(kind="limit")
    assert hints.values() == []
    hints.color = "#00ff00"
    assert hints.values() == [Region(outline, "#00ff00")]


def test_only_here_keeps_a_hint_in_the_smallest_region_around_it(viewer, hints):
    outer = [[10, 10], [10, 100], [90, 100], [90, 10]]
    inner = [[20, 30], [20, 70], [60, 70], [60, 30]]
    shapes = shapes_of(hints, viewer, outer, shape_type="polygon", face_color="#ffff00")
    shapes.add(np.array(inner, float), shape_type="polygon")
    viewer.layers.selection.active = hints.layer
    hints.set_style(only_here=True)
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
    labels = hints.paint()
    labels.paint((20, 30), 1)
    labels.paint((80, 30), 2)
    labels.selected_label = 2
    hints.set_style(kind="keep")
    assert hints.style.kind == "keep"
    labels.selected_label = 1
    hints.color = "#00ff00"
    first, second = hints.values()
    assert (first.kind, first.color) == ("color", "#00ff00")
    assert (second.kind, second.color) == ("keep", "")
    assert not (first.pixels & second.pixels).any()


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


def test_new_hints_begin_with_the_predicted_color(viewer):
    image = viewer.add_image(np.zeros(SHAPE, np.uint8))
    layer = HintLayer(viewer, image, lambda position: "#123456")
    placed = []
    layer.placed.connect(placed.append)
    press(layer, (20, 30))
    assert layer.values()[0].color == "#123456"
    assert placed == [0]
    layer.recolor(0, "#ff0000")  # what a person chooses for this hint is for this hint
    press(layer, (40, 30))
    assert [value.color for value in layer.values()] == ["#ff0000", "#123456"]
    layer.color = "#00ff00"  # what a person chooses for hints to come is for them
    press(layer, (60, 30))
    assert layer.values()[2].color == "#00ff00"
    layer.close()


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


def test_cells_are_at_least_a_pixel():
    assert cell_size(Image(np.zeros((3, 4), np.uint8))) == 1
    assert cell_size(Image(np.zeros((*SHAPE, 3), np.uint8), rgb=True)) == 2


def test_a_hidden_label_hints_nothing(viewer, hints):
    data = np.zeros(SHAPE, np.uint8)
    data[4, 5], data[40, 50] = 1, 2
    labels = Labels(data, colormap={None: "transparent", 2: "#0000ff"})
    viewer.add_layer(labels)
    hints.labels = labels
    (mask,) = hints.values()
    assert mask == Mask(data == 2, "#0000ff")


@contextmanager
def told(hints, qtbot):
    """Wait for one signal."""
    count = []
    hints.changed.connect(lambda: count.append(1))
    yield
    qtbot.waitUntil(lambda: bool(count), timeout=2000)


def press(hints, position, button=1, moves=()):
    """Run the layer's mouse callbacks as the canvas does."""
    layer = hints.layer
    event = SimpleNamespace(
        button=button,
        position=position,
        pos=np.array(position, float),
        type="mouse_press",
        modifiers=(),
        handled=False,
        view_direction=None,
        up_direction=None,
        dims_displayed=list(hints.viewer.dims.displayed),
        dims_point=list(hints.viewer.dims.point),
    )
    generators = []
    for call in layer.mouse_drag_callbacks:  # a callback may change the mode, and with it the list
        made = call(layer, event)
        if made is not None:
            next(made, None)
            generators.append(made)
    for kind, where in (*(("mouse_move", move) for move in moves), ("mouse_release", None)):
        event.type = kind
        if where is not None:
            event.position, event.pos = where, np.array(where, float)
        for one in generators:
            next(one, None)


def test_the_color_of_the_next_hint_leaves_the_last_one_alone(hints):
    press(hints, (20, 30))
    hints.color = "#ff0000"
    press(hints, (40, 30))
    hints.layer.current_size = 40
    assert [value.color for value in hints.values()] == ["#c08040", "#ff0000"]
    assert len({value.radius for value in hints.values()}) == 1


def test_the_eyedropper_leaves_the_last_hint_alone(viewer, hints):
    press(hints, (20, 30))
    viewer.add_image(np.full((*SHAPE, 3), (16, 128, 255), np.uint8))
    hints.eyedropper = True
    click(viewer, (20, 30))
    assert hints.values()[0].color == "#c08040"
    assert hints.color == "#1080ff"


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
        event = SimpleNamespace(position=position, delta=(0, steps), handled=False)
        for call in hints.layer.mouse_wheel_callbacks:
            call(hints.layer, event)
        assert event.handled == (position != (100, 10))
    first, second = (value.radius for value in hints.values())
    assert first > 5 > second


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


def test_labels_with_fewer_slices_hint_the_slices_that_they_have(viewer):
    image = viewer.add_image(np.zeros((5, *SHAPE), np.uint8))
    layer = HintLayer(viewer, image)
    data = np.zeros((2, *SHAPE), np.uint8)
    data[:, 10, 20] = 1
    layer.labels = viewer.add_labels(data)
    assert [len(layer.values((t,))) for t in range(5)] == [1, 1, 0, 0, 0]
    layer.close()


def test_the_scale_of_the_leading_axis_counts(viewer):
    image = viewer.add_image(np.zeros((6, *SHAPE), np.uint8), scale=(2, 1, 1))
    layer = HintLayer(viewer, image)
    data = np.zeros((3, *SHAPE), np.uint8)
    data[1, 10, 20] = 1
    layer.labels = viewer.add_labels(data, scale=(4, 1, 1))  # each of its slices is two images
    found = [len(layer.values((t,))) for t in range(6)]
    assert found[2] == 1
    assert sum(found) <= 2
    assert not any(found[:1] + found[4:])
    layer.close()


def test_3d_labels_over_a_2d_image_hint_what_is_shown(viewer):
    image = viewer.add_image(np.zeros(SHAPE, np.uint8))
    layer = HintLayer(viewer, image)
    data = np.zeros((4, *SHAPE), np.uint8)
    data[2, 10, 20] = 1
    layer.labels = viewer.add_labels(data)
    for shown in range(4):
        viewer.dims.set_point(0, shown)
        assert len(layer.values()) == (shown == 2)
    layer.close()

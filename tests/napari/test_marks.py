"""Points, shapes and labels as hints: where they are in the image, and what each asks for."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_recolor.hints.hint_layer import HintLayer
from recolor_core.hints import Hint, Mask, Region, Stroke

from .hinting import SHAPE, add, shapes_of


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


def test_a_hidden_label_hints_nothing(viewer, hints):
    data = np.zeros(SHAPE, np.uint8)
    data[4, 5], data[40, 50] = 1, 2
    labels = Labels(data, colormap={None: "transparent", 2: "#0000ff"})
    viewer.add_layer(labels)
    hints.labels = labels
    (mask,) = hints.values()
    assert mask == Mask(data == 2, "#0000ff")


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

"""Inspecting: side by side under one camera, and the view given back as it was."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_recolor.views.inspector import Inspector

COLORS = {"a": (255, 0, 0), "b": (0, 255, 0), "c": (0, 0, 255), "d": (255, 255, 0)}


def fill(viewer, leading=()):
    """A gray image and four plain ones above it, of which one is hidden."""
    shape = (*leading, 40, 60)
    viewer.add_image(np.full(shape, 128, np.uint8), name="gray", contrast_limits=(0, 255))
    for name, color in COLORS.items():
        viewer.add_image(np.full((*shape, 3), color, np.uint8), name=name, visible=name != "c")


def view_of(viewer):
    """All that makes up the view."""
    camera, dims, grid = viewer.scene.camera, viewer.dims, viewer.canvas.grid
    return {
        "layers": [(x.name, x.visible) for x in viewer.layers],
        "selected": {layer.name for layer in viewer.layers.selection},
        "active": viewer.layers.selection.active,
        "camera": (camera.center, camera.zoom, camera.angles, camera.perspective),
        "dims": (dims.ndisplay, dims.order, dims.point, dims.current_step, dims.ndim),
        "grid": grid.model_dump() if hasattr(grid, "model_dump") else grid.dict(),
    }


def layers_of(viewer, names):
    return [viewer.layers[name] for name in names]


@pytest.fixture
def start(qtbot):
    """Start and wait until all layers are shown."""

    def started(inspector, layers, columns=0):
        inspector.start(layers, columns)
        qtbot.waitUntil(lambda: inspector.complete or not inspector.active)

    return started


@pytest.fixture
def viewer(qapp):
    viewer = ViewerModel()
    fill(viewer, leading=(3, 5))
    return viewer


def test_shows_the_layers_in_reading_order_and_hides_the_rest(viewer, start):
    inspector = Inspector(viewer)
    start(inspector, layers_of(viewer, "dacb"), columns=3)
    grid = viewer.canvas.grid
    assert grid.enabled
    assert grid.actual_shape(viewer.layers) == (2, 3)
    places = [grid.position(viewer.layers.index(viewer.layers[n]), viewer.layers) for n in "dacb"]
    assert places == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert {layer.name for layer in viewer.layers if layer.visible} == set("abcd")
    assert inspector.active


def arrange(viewer, how):
    if how == "3D":
        viewer.dims.ndisplay = 3
        viewer.scene.camera.angles = (10, 20, 30)
    elif how == "transposed":
        viewer.dims.order = (1, 0, 3, 2)
        viewer.dims.current_step = (1, 3, 7, 9)
    elif how == "grid":
        viewer.canvas.grid.update({"enabled": True, "shape": (1, 5), "stride": -2, "spacing": 0.1})
    elif how == "nothing selected":
        viewer.layers.selection.clear()
    elif how == "many selected":
        viewer.layers.selection = set(layers_of(viewer, "bd"))
    viewer.scene.camera.zoom = 3.5
    viewer.scene.camera.center = (1.0, 11.0, 22.0)


@pytest.mark.parametrize(
    "how", ["plain", "3D", "transposed", "grid", "nothing selected", "many selected"]
)
def test_gives_back_exactly_the_view_there_was(viewer, how, start):
    arrange(viewer, how)
    before = view_of(viewer)
    inspector = Inspector(viewer)
    start(inspector, layers_of(viewer, "cab"), columns=2)
    assert viewer.dims.ndisplay == 2
    assert view_of(viewer) != before
    viewer.dims.set_point(0, 2)
    viewer.scene.camera.zoom = 0.1
    viewer.scene.camera.center = (0, 0, 0)
    viewer.layers["a"].visible = False
    viewer.canvas.grid.shape = (1, 1)
    inspector.stop()
    assert view_of(viewer) == before
    assert not inspector.active


def test_layers_come_one_at_a_time_and_keep_their_places(viewer, qtbot):
    inspector = Inspector(viewer)
    inspector.start(layers_of(viewer, "abd"), columns=2)
    assert [layer.name for layer in viewer.layers if layer.visible] == ["a"]
    assert inspector.active
    assert not inspector.complete
    grid, layers = viewer.canvas.grid, viewer.layers
    seen = [{"a": (0, 0)}]
    while not inspector.complete:
        seen.append({x.name: grid.position(layers.index(x), layers) for x in layers if x.visible})
        qtbot.wait(1)
    last = {"a": (0, 0), "b": (0, 1), "d": (1, 0)}
    assert all(one.items() <= last.items() for one in seen)
    assert {layer.name for layer in layers if layer.visible} == set("abd")


def test_it_can_be_stopped_before_all_layers_are_shown(viewer, qtbot):
    before = view_of(viewer)
    inspector = Inspector(viewer)
    inspector.start(layers_of(viewer, "abcd"))
    inspector.stop()
    qtbot.wait(100)
    assert view_of(viewer) == before


def test_a_layer_that_is_removed_before_it_is_shown_does_no_harm(viewer, qtbot):
    inspector = Inspector(viewer)
    removed = viewer.layers["c"]
    inspector.start(layers_of(viewer, "abc"))
    viewer.layers.remove(removed)
    qtbot.waitUntil(lambda: inspector.complete)
    assert {layer.name for layer in viewer.layers if layer.visible} == set("ab")
    assert not removed.visible


@pytest.mark.parametrize(
    ("canvas", "shape"), [((600, 800), (2, 2)), ((300, 1500), (1, 3)), ((1500, 300), (3, 1))]
)
def test_layers_are_shown_as_large_as_the_canvas_allows(viewer, canvas, shape, start):
    viewer.canvas.size = canvas
    start(Inspector(viewer), layers_of(viewer, "abc"))  # each is 40 high and 60 wide
    assert viewer.canvas.grid.shape == shape


def test_layers_in_order_are_not_moved(viewer, start):
    inspector = Inspector(viewer)
    moved = []
    viewer.layers.events.moved.connect(moved.append)
    start(inspector, layers_of(viewer, "abd"))
    inspector.stop()
    assert not moved


def test_layers_that_came_meanwhile_are_hidden_again_if_they_were_hidden(viewer, start):
    inspector = Inspector(viewer)
    start(inspector, layers_of(viewer, "ab"))
    new = viewer.add_image(np.zeros((3, 5, 40, 60)), name="new", visible=False)
    start(inspector, [viewer.layers["a"], new])
    assert new.visible
    inspector.stop()
    assert not new.visible


def test_starting_again_keeps_the_first_view(viewer, start):
    before = view_of(viewer)
    inspector = Inspector(viewer)
    start(inspector, layers_of(viewer, "ab"))
    start(inspector, layers_of(viewer, "cd"))
    assert {layer.name for layer in viewer.layers if layer.visible} == set("cd")
    inspector.stop()
    inspector.stop()
    assert view_of(viewer) == before


def test_layers_may_come_and_go_meanwhile(viewer, start):
    inspector = Inspector(viewer)
    start(inspector, layers_of(viewer, "ab"))
    viewer.add_image(np.zeros((40, 60)), name="new")
    viewer.layers.remove("a")
    viewer.layers.remove("gray")
    inspector.stop()
    assert [layer.name for layer in viewer.layers] == ["b", "c", "d", "new"]
    assert [layer.visible for layer in viewer.layers] == [True, False, True, True]


def test_a_new_dimension_meanwhile_does_no_harm(viewer, start):
    inspector = Inspector(viewer)
    start(inspector, layers_of(viewer, "ab"))
    viewer.add_image(np.zeros((2, 3, 5, 40, 60)), name="new")
    inspector.stop()
    assert viewer.dims.ndim == 5
    assert not viewer.canvas.grid.enabled


def test_ends_by_itself_when_nothing_is_left_to_inspect(viewer, start):
    inspector = Inspector(viewer)
    states = []
    inspector.changed.connect(states.append)
    start(inspector, layers_of(viewer, "ab"))
    viewer.layers.remove("a")
    assert inspector.active
    viewer.layers.remove("b")
    assert states == [True, False]
    assert not viewer.canvas.grid.enabled
    assert [layer.name for layer in viewer.layers if layer.visible] == ["gray", "d"]


def test_layers_of_another_viewer_are_left_out(viewer):
    before = view_of(viewer)
    other = ViewerModel()
    fill(other)
    inspector = Inspector(viewer)
    inspector.start([other.layers["a"]])
    assert not inspector.active
    assert view_of(viewer) == before


def test_what_is_on_the_screen(make_napari_viewer, qtbot, start):
    viewer = make_napari_viewer(show=True)
    fill(viewer)
    viewer.window.resize(900, 600)
    qtbot.wait(300)
    viewer.scene.camera.zoom = 4
    viewer.scene.camera.center = (0, 18, 25)
    qtbot.wait(100)
    before = viewer.screenshot(canvas_only=True, flash=False)

    inspector = Inspector(viewer)
    start(inspector, layers_of(viewer, "dacb"), columns=2)
    qtbot.wait(200)
    shot = viewer.screenshot(canvas_only=True, flash=False)
    height, width = shot.shape[:2]
    centers = [shot[height * y // 4, width * x // 4, :3] for y in (1, 3) for x in (1, 3)]
    assert [tuple(int(code) for code in color) for color in centers] == [COLORS[n] for n in "dacb"]

    viewer.scene.camera.center = (0, 18, 60)  # one camera for all: every half is now empty
    qtbot.wait(200)
    shot = viewer.screenshot(canvas_only=True, flash=False)
    assert not shot[height // 4, width // 2 - 20 :: width // 2, :3].any()

    inspector.stop()
    qtbot.wait(300)
    np.testing.assert_array_equal(viewer.screenshot(canvas_only=True, flash=False), before)

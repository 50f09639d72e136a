"""The wipe line: what is on the screen left and right of it, and what the mouse does."""

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QPoint, Qt
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtTest import QTest

from napari_recolor.runs.layers import KEY
from napari_recolor.runs.pyramid import levels_of
from napari_recolor.views.clipping import visuals_of
from napari_recolor.views.wipe import BEFORE, Wipe

GRAY, RED, WHITE = (128, 128, 128), (200, 0, 0), (255, 255, 255)


def fill(viewer, shape=(40, 60), **source):
    """A gray source and a red result over it."""
    options = {"name": "photo", "contrast_limits": (0, 255), **source}
    below = viewer.add_image(np.full(shape, GRAY[0], np.uint8), **options)
    geometry = {name: getattr(below, name) for name in ("scale", "translate", "rotate", "affine")}
    above = viewer.add_image(np.full((*shape, 3), RED, np.uint8), name="result", **geometry)
    return below, above


def visible(viewer):
    return [(layer.name, layer.visible) for layer in viewer.layers]


@pytest.fixture
def viewer(qapp):
    return ViewerModel()


@pytest.fixture
def window(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(900, 600)
    qtbot.wait(200)
    return viewer


@pytest.fixture
def shown(window, qtbot):
    """The color on the screen of a pixel of a layer, row and column."""

    def color(layer, row, column):
        qtbot.wait(100)
        shot = window.screenshot(canvas_only=True, flash=False)
        pixel = layer.world_to_data(window.dims.point)
        pixel[-2:] = row, column
        displayed = list(window.dims.displayed)
        world = np.array(layer.data_to_world(pixel))[displayed]
        center = np.array(window.scene.camera.center[-2:])
        y, x = np.array(shot.shape[:2]) / 2 + (world - center) * window.scene.camera.zoom
        return tuple(int(code) for code in shot[round(y), round(x), :3])

    return color


@pytest.mark.parametrize("shape", [(40, 60), (3, 40, 60)])
def test_no_layer_is_added_or_changed(viewer, shape):
    source, result = fill(viewer, shape, scale=(2,) * len(shape), translate=(5,) * len(shape))
    before, wipe, states = visible(viewer), Wipe(viewer), []
    callbacks = list(viewer.mouse_drag_callbacks)
    wipe.changed.connect(states.append)
    wipe.start(result, source)
    assert wipe.active
    assert wipe.column == 30
    assert visible(viewer) == before
    wipe.stop()
    assert visible(viewer) == before
    assert states == [True, False]
    assert not viewer.mouse_move_callbacks
    assert viewer.mouse_drag_callbacks == callbacks


def test_a_hidden_source_is_shown_meanwhile(viewer):
    source, result = fill(viewer)
    source.visible = False
    wipe = Wipe(viewer)
    wipe.start(result, source)
    assert source.visible
    wipe.stop()
    assert not source.visible


@pytest.mark.parametrize(("center", "column"), [(20, 20), (45, 45), (-500, 30), (500, 30)])
def test_the_line_begins_in_the_middle_of_the_view(viewer, center, column):
    source, result = fill(viewer)
    viewer.canvas.size = (400, 200)
    viewer.scene.camera.zoom = 20  # 20 rows and 10 columns are in view
    viewer.scene.camera.center = (0, 20, center)
    wipe = Wipe(viewer)
    wipe.start(result, source)
    assert abs(wipe.column - column) <= 1  # the middle of the image if nothing of it is in view


def test_the_line_begins_in_the_middle_of_what_is_in_view_of_the_image(viewer):
    source, result = fill(viewer)
    viewer.canvas.size = (400, 400)
    viewer.scene.camera.zoom = 10  # 40 columns
    viewer.scene.camera.center = (0, 20, 0)  # of which 20 are on the image
    wipe = Wipe(viewer)
    wipe.start(result, source)
    assert abs(wipe.column - 10) <= 1


def test_the_line_stays_on_the_image(viewer):
    source, result = fill(viewer)
    wipe = Wipe(viewer)
    wipe.start(result, source)
    for wanted, got in ((-5, 0), (17.4, 17), (1000, 60)):
        wipe.column = wanted
        assert wipe.column == got


@pytest.mark.parametrize("name", ["result", "photo"])
def test_it_ends_if_one_of_its_layers_is_removed(viewer, name):
    source, result = fill(viewer)
    wipe = Wipe(viewer)
    wipe.start(result, source)
    viewer.layers.remove(name)
    assert not wipe.active


@pytest.mark.parametrize("view", ["3D", "grid"])
def test_it_ends_in_views_without_left_and_right(viewer, view):
    source, result = fill(viewer)
    wipe = Wipe(viewer)
    wipe.start(result, source)
    if view == "3D":
        viewer.dims.ndisplay = 3
    else:
        viewer.canvas.grid.enabled = True
    assert not wipe.active
    wipe.start(result, source)
    assert viewer.dims.ndisplay == 2
    assert not viewer.canvas.grid.enabled


@pytest.mark.parametrize("way", ["stop", "remove the result", "clear"])
def test_a_source_that_was_removed_is_there_meanwhile(viewer, qtbot, way):
    source, result = fill(viewer)
    viewer.layers.remove(source)
    active = viewer.layers.selection.active
    wipe = Wipe(viewer)
    wipe.start(result, source)
    assert [layer.name for layer in viewer.layers] == ["photo · before", "result"]
    assert viewer.layers.selection.active is active
    assert BEFORE in viewer.layers[0].metadata
    assert viewer.layers[0].contrast_limits == source.contrast_limits
    if way == "stop":
        wipe.stop()
    elif way == "clear":
        viewer.layers.clear()
    else:
        viewer.layers.remove(result)
    qtbot.waitUntil(lambda: viewer.layers in ([], [result]))
    assert not wipe.active


@pytest.mark.gui
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shape": (3, 40, 60)},
        {"rotate": 30, "scale": (2, 1.5), "translate": (50, 1e4)},
        {"affine": [[1, 0.3, 0], [0.1, 1.4, 5], [0, 0, 1]]},
    ],
)
def test_left_of_the_line_is_the_source_and_right_of_it_the_result(window, shown, options):
    source, result = fill(window, **options)
    window.reset_view()
    wipe = Wipe(window)
    wipe.start(result, source)
    for column in (30, 12):
        wipe.column = column
        for row in (5, 35):
            assert shown(result, row, column - 2) == GRAY
            assert shown(result, row, column - 0.5) == WHITE
            assert shown(result, row, column + 1) == RED
    wipe.stop()
    assert shown(result, 20, 5) == shown(result, 20, 11.5) == RED


@pytest.mark.gui
@pytest.mark.parametrize("kind", ["pyramid", "dask", "rgb", "tiles"])
def test_any_kind_of_image(window, shown, kind, monkeypatch):
    shape = (400, 600)
    data = np.full(shape, GRAY[0], np.uint8)
    color = np.full((*shape, 3), RED, np.uint8)
    if kind == "tiles":  # as of an image that is larger than a texture
        name = "napari._vispy.layers.image.get_max_texture_sizes"
        monkeypatch.setattr(name, lambda: (128, 128))
    if kind == "pyramid":
        source = window.add_image([data, data[::2, ::2]], multiscale=True, contrast_limits=(0, 255))
        result = window.add_image([color, color[::2, ::2]], multiscale=True, rgb=True)
    else:
        given = da.from_array(data) if kind == "dask" else data
        given = np.stack([data] * 3, -1) if kind == "rgb" else given
        source = window.add_image(given, rgb=kind == "rgb", contrast_limits=(0, 255))
        result = window.add_image(color, rgb=True)
    window.reset_view()
    assert (len(visuals_of(window, result)) > 1) == (kind == "tiles")
    wipe = Wipe(window)
    wipe.start(result, source)
    for column in (300, 500):
        wipe.column = column
        assert shown(result, 200, column - 10) == GRAY
        assert shown(result, 200, column + 10) == RED
    window.scene.camera.zoom *= 5  # other pixels of a pyramid
    window.scene.camera.center = (0, 100, 500)
    assert shown(result, 100, 495) == GRAY
    assert shown(result, 100, 505) == RED


@pytest.mark.gui
def test_an_image_of_many_pixels_is_a_pyramid_and_is_clipped(window, shown):
    color = np.broadcast_to(np.array(RED, np.uint8), (2048, 3000, 3))
    source = window.add_image(np.full((2048, 3000), GRAY[0], np.uint8), contrast_limits=(0, 255))
    result = window.add_image(levels_of(color), multiscale=True, rgb=True)
    window.reset_view()
    Wipe(window).start(result, source)
    assert shown(result, 1000, 1400) == GRAY
    assert shown(result, 1000, 1600) == RED


@pytest.mark.gui
def test_images_between_the_two_do_not_cover_the_source(window, shown):
    source, result = fill(window)
    between = window.add_image(np.full((40, 60, 3), (0, 200, 0), np.uint8), rgb=True)
    window.layers.move(2, 1)
    window.reset_view()
    wipe = Wipe(window)
    wipe.start(result, source)
    assert shown(result, 20, 20) == GRAY
    assert shown(result, 20, 40) == RED
    window.layers.remove(between)
    window.layers.move(0, 2)  # the source above the result
    assert shown(result, 20, 20) == GRAY
    assert shown(result, 20, 40) == RED
    wipe.stop()
    assert shown(result, 20, 40) == GRAY


@pytest.mark.gui
def test_the_line_follows_a_transposed_view(window, shown):
    source, result = fill(window)
    wipe = Wipe(window)
    wipe.start(result, source)
    window.dims.order = (1, 0)
    window.reset_view()
    assert shown(result, 20, 20) == GRAY
    assert shown(result, 20, 40) == RED


@pytest.mark.gui
def test_the_mouse_moves_the_line_and_nothing_else(window, shown, qtbot):
    viewer = window
    source, result = fill(viewer, (100, 150))
    points = viewer.add_points(ndim=2)
    points.mode = "add"
    viewer.scene.camera.zoom = 3
    viewer.scene.camera.center = (0, 50, 75)
    wipe = Wipe(viewer)
    wipe.start(result, source)
    viewer.layers.selection.active = points
    points.mode = "add"
    qtbot.wait(200)
    canvas = viewer.window._qt_window.findChild(QOpenGLWidget)

    def at(column):
        return QPoint(round(canvas.width() / 2 + (column - 75) * 3), canvas.height() // 2)

    assert shown(result, 50, 40) == GRAY
    assert shown(result, 50, 110) == RED
    camera, cursor = viewer.scene.camera.center, viewer.cursor.style
    QTest.mouseMove(canvas, at(60))
    qtbot.wait(50)
    assert viewer.cursor.style == cursor
    QTest.mouseMove(canvas, at(75))
    qtbot.wait(50)
    assert viewer.cursor.style == "pointing"
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=at(75))
    for column in range(75, 121, 5):
        QTest.mouseMove(canvas, at(column))
        qtbot.wait(10)
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=at(120))
    qtbot.wait(200)
    assert abs(wipe.column - 120) <= 2
    assert shown(result, 50, 110) == GRAY
    assert shown(result, 50, 135) == RED
    assert viewer.scene.camera.center == camera
    assert viewer.scene.camera.mouse_pan == points.mouse_pan
    assert points.mode == "add"
    assert not len(points.data)
    QTest.mouseMove(canvas, at(20))
    qtbot.wait(50)
    assert viewer.cursor.style == cursor
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=at(20))  # elsewhere the tool works
    qtbot.wait(50)
    assert len(points.data) == 1


@pytest.mark.gui
def test_a_result_of_another_panel(open_panel, photo, finish, qtbot):
    panel = open_panel(photo)
    panel.controls.run.click()
    finish(panel)
    viewer = panel.viewer
    other = type(panel)(viewer)
    viewer.window.add_dock_widget(other)
    qtbot.waitUntil(lambda: other.complete and other.controls.wipe.isEnabled(), timeout=60_000)
    assert not other._runner.runs
    other.controls.wipe.click()
    assert other.controls.wipe.isChecked()
    assert other._wipe.column == 64
    viewer.layers.remove("photo")
    assert not other.controls.wipe.isEnabled()


@pytest.mark.gui
def test_the_button_clips_the_result_and_a_run_ends_that(open_panel, photo, finish, qtbot):
    panel = open_panel(photo)
    assert not panel.controls.wipe.isEnabled()
    panel.controls.run.click()
    finish(panel)
    panel.controls.wipe.click()
    assert panel._wipe.column == 64
    rgb = next(layer for layer in panel.viewer.layers if KEY in layer.metadata)
    assert panel.viewer.layers.selection.active is rgb
    panel.controls.run.click()
    assert not panel.controls.wipe.isChecked()
    finish(panel)
    panel.viewer.layers.remove("photo")
    panel.controls.wipe.click()
    assert panel.controls.layer.count() == 0  # what stands in for the source is not to be colorized
    panel.viewer.layers.remove("photo · before")
    assert not panel.controls.wipe.isChecked()

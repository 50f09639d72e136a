"""The wipe line: what is on the screen left and right of it, and what the mouse does."""

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QPoint, Qt
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtTest import QTest

from napari_recolor import pyramid
from napari_recolor.layers import KEY
from napari_recolor.wipe import BEFORE, Wipe

GRAY, RED = 128, (200, 0, 0)


def fill(viewer, shape=(40, 60), **source):
    """A gray source and a red result over it."""
    options = {"name": "photo", "contrast_limits": (0, 255), **source}
    below = viewer.add_image(np.full(shape, GRAY, np.uint8), **options)
    geometry = {name: getattr(below, name) for name in ("scale", "translate", "rotate")}
    above = viewer.add_image(np.full((*shape, 3), RED, np.uint8), name="result", **geometry)
    return below, above


def cover_of(viewer):
    (found,) = (layer for layer in viewer.layers if BEFORE in layer.metadata)
    return found


@pytest.fixture
def viewer(qapp):
    return ViewerModel()


@pytest.mark.parametrize("shape", [(40, 60), (3, 40, 60)])
def test_the_source_covers_the_left_half_of_the_result(viewer, shape):
    source, result = fill(viewer, shape, scale=(2,) * len(shape), translate=(5,) * len(shape))
    active, wipe, states = viewer.layers.selection.active, Wipe(viewer), []
    wipe.changed.connect(states.append)
    wipe.start(result, source)
    cover = cover_of(viewer)
    assert [layer.name for layer in viewer.layers] == ["photo", "result", "photo · before"]
    assert cover.data.shape == (*shape[:-1], 30)
    np.testing.assert_array_equal(
        cover.data_to_world([7] * len(shape)), source.data_to_world([7] * len(shape))
    )
    assert cover.contrast_limits == source.contrast_limits
    assert viewer.layers.selection.active is active
    wipe.stop()
    assert [layer.name for layer in viewer.layers] == ["photo", "result"]
    assert states == [True, False]
    assert not viewer.mouse_move_callbacks


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
    for wanted, got in ((-5, 1), (17.4, 17), (1000, 60)):
        wipe.column = wanted
        assert wipe.column == got
        assert cover_of(viewer).data.shape == (40, got)


@pytest.mark.parametrize("kind", ["large", "pyramid", "dask", "rgb"])
def test_any_kind_of_source(viewer, kind, monkeypatch):
    data = np.arange(40 * 60).reshape(40, 60).astype(np.uint8)
    if kind == "large":
        monkeypatch.setattr(pyramid, "LARGE", 1000)
        monkeypatch.setattr(pyramid, "SMALLEST", 100)
    if kind == "pyramid":
        source = viewer.add_image([data, data[::2, ::2]], multiscale=True)
    elif kind == "rgb":
        source = viewer.add_image(np.stack([data] * 3, -1), rgb=True)
    else:
        source = viewer.add_image(da.from_array(data) if kind == "dask" else data)
    result = viewer.add_image(np.stack([data] * 3, -1), rgb=True)
    wipe = Wipe(viewer)
    wipe.start(result, source)
    for column in (1, 22, 60):
        wipe.column = column
        cover = cover_of(viewer)
        assert cover.multiscale == (kind in ("large", "pyramid"))
        whole = cover.data[0] if cover.multiscale else cover.data
        expected = source.data[0] if source.multiscale else source.data
        np.testing.assert_array_equal(whole, expected[:, :column])


@pytest.mark.parametrize("name", ["result", "photo · before"])
def test_it_ends_if_one_of_its_layers_is_removed(viewer, name):
    source, result = fill(viewer)
    wipe = Wipe(viewer)
    wipe.start(result, source)
    viewer.layers.remove(name)
    assert not wipe.active
    assert not any(BEFORE in layer.metadata for layer in viewer.layers)


@pytest.mark.gui
def test_the_mouse_moves_the_line_and_nothing_else(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    source, result = fill(viewer, (100, 150))
    points = viewer.add_points(ndim=2)
    points.mode = "add"
    viewer.window.resize(900, 600)
    qtbot.wait(300)
    viewer.scene.camera.zoom = 3
    viewer.scene.camera.center = (0, 50, 75)
    wipe = Wipe(viewer)
    wipe.start(result, source)
    viewer.layers.selection.active = points
    points.mode = "add"
    qtbot.wait(200)
    canvas = viewer.window._qt_window.findChild(QOpenGLWidget)

    def shown(column):
        shot = viewer.screenshot(canvas_only=True, flash=False)
        y, x = shot.shape[0] // 2, shot.shape[1] / 2 + (column - 75) * 3
        return tuple(int(code) for code in shot[y, round(x), :3])

    def at(column):
        return QPoint(round(canvas.width() / 2 + (column - 75) * 3), canvas.height() // 2)

    assert shown(40) == (GRAY, GRAY, GRAY)
    assert shown(110) == RED
    camera = viewer.scene.camera.center
    QTest.mouseMove(canvas, at(75))
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=at(75))
    for column in range(75, 121, 5):
        QTest.mouseMove(canvas, at(column))
        qtbot.wait(10)
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=at(120))
    qtbot.wait(200)
    assert abs(wipe.column - 120) <= 2
    assert shown(110) == (GRAY, GRAY, GRAY)
    assert shown(135) == RED
    assert viewer.scene.camera.center == camera
    assert viewer.scene.camera.mouse_pan == points.mouse_pan
    assert points.mode == "add"
    assert not len(points.data)
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=at(20))  # elsewhere the tool works
    qtbot.wait(50)
    assert len(points.data) == 1


@pytest.mark.gui
def test_the_button_covers_the_result_and_a_run_ends_that(open_panel, photo, finish):
    panel = open_panel(photo)
    assert not panel.controls.wipe.isEnabled()
    panel.controls.run.click()
    finish(panel)
    panel.controls.wipe.click()
    cover = cover_of(panel.viewer)
    assert panel.controls.layer.count() == 1  # it is no image to colorize
    np.testing.assert_array_equal(cover.data, photo[:, :64])
    rgb = next(layer for layer in panel.viewer.layers if KEY in layer.metadata)
    assert panel.viewer.layers.selection.active is rgb
    panel.controls.run.click()
    assert not panel.controls.wipe.isChecked()
    assert cover not in panel.viewer.layers
    finish(panel)
    panel.controls.wipe.click()
    panel.viewer.layers.remove(cover_of(panel.viewer))
    assert not panel.controls.wipe.isChecked()

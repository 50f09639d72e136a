"""Layers are cleaned up in the OpenGL context of their own canvas, and mostly a moment later."""

import gc
import weakref

import numpy as np
import pytest
from qtpy.QtGui import QOpenGLContext
from qtpy.QtOpenGLWidgets import QOpenGLWidget

from napari_recolor.views import gl_context
from napari_recolor.views.gl_context import guard_canvas

pytestmark = pytest.mark.gui

IMAGE = np.zeros((40, 60), np.uint8)


def canvas_of(viewer):
    return viewer.window._qt_window.findChild(QOpenGLWidget)


def flushed_in(viewer, monkeypatch):
    """The contexts that are current when napari has vispy delete what removed layers held."""
    found = []
    context = viewer.window._qt_viewer.canvas._scene_canvas.context
    finish = type(context).finish

    def watched(self):
        if self is context:
            found.append(QOpenGLContext.currentContext())
        return finish(self)

    monkeypatch.setattr(type(context), "finish", watched)
    return found


@pytest.fixture
def viewers(make_napari_viewer, qtbot):
    shown = [make_napari_viewer(show=True) for _ in range(2)]
    for viewer in shown:
        viewer.add_image(IMAGE, name="below")
        viewer.add_image(IMAGE, name="above")
    qtbot.waitUntil(lambda: all(canvas_of(viewer).isValid() for viewer in shown))
    qtbot.wait(500)  # a canvas that is drawn meanwhile would make its own context current
    return shown


@pytest.mark.parametrize(
    ("remove", "current"),
    [
        (lambda layers: layers.remove("above"), "none"),
        (lambda layers: layers.clear(), "other viewer"),
        (lambda layers: layers.pop(), "other viewer"),
    ],
    ids=["remove", "clear", "pop"],
)
def test_removed_layers_are_cleaned_up_in_their_context(viewers, monkeypatch, current, remove):
    viewer, other = viewers
    guard_canvas(viewer, viewer.window._qt_window)
    guard_canvas(viewer, viewer.window._qt_window)  # once is enough
    found = flushed_in(viewer, monkeypatch)
    if current == "none":
        canvas_of(viewer).doneCurrent()
    else:
        canvas_of(other).makeCurrent()
    remove(viewer.layers)
    assert found
    assert all(context is canvas_of(viewer).context() for context in found)


def test_the_panel_guards_its_viewer_and_the_guard_outlives_it(
    open_panel, photo, monkeypatch, qtbot
):
    panel = open_panel(photo, show=True)
    viewer = panel.viewer
    qtbot.waitUntil(lambda: panel.isVisible() and canvas_of(viewer).isValid())
    viewer.window.remove_dock_widget(panel)
    found = flushed_in(viewer, monkeypatch)
    canvas_of(viewer).doneCurrent()
    viewer.layers.clear()
    assert found
    assert all(context is canvas_of(viewer).context() for context in found)


class Cycle:
    """Garbage that only a collection of garbage finds."""

    def __init__(self):
        self.itself = self


@pytest.mark.parametrize("batch", [False, True])
def test_garbage_is_collected_once_the_user_rests(make_napari_viewer, qtbot, monkeypatch, batch):
    monkeypatch.setattr(gl_context, "REST_MS", 300)
    viewer = make_napari_viewer(show=True)
    viewer.add_image(IMAGE)
    viewer.add_image(IMAGE)
    guard_canvas(viewer, viewer.window._qt_window)
    gc.disable()  # else a collection may come at any time
    try:
        garbage = weakref.ref(Cycle())
        if batch:
            viewer.layers.clear()
        else:
            viewer.layers.pop()
        assert garbage() is not None
        assert gc.get_freeze_count() == 0
        qtbot.waitUntil(lambda: garbage() is None)
        assert gc.get_freeze_count() == 0
    finally:
        gc.enable()


def test_a_batch_without_removals_collects_no_garbage(make_napari_viewer, qtbot, monkeypatch):
    monkeypatch.setattr(gl_context, "REST_MS", 50)
    viewer = make_napari_viewer(show=True)
    viewer.add_image(IMAGE)
    guard_canvas(viewer, viewer.window._qt_window)
    gc.disable()
    try:
        garbage = weakref.ref(Cycle())
        with viewer.layers.batched_update():
            viewer.add_image(IMAGE)
        qtbot.wait(200)
        assert garbage() is not None
        assert gc.get_freeze_count() == 0
    finally:
        gc.enable()

"""What napari does after layers were removed: in the right OpenGL context, and quickly.

When a layer is removed, and at the end of a batch of changes, napari collects garbage and flushes
vispy's commands (`VispyCanvas._clean_and_update_scenegraph`). Two things are wrong with that:

- It calls `context.finish()` in whatever OpenGL context happens to be current: often that in which
  Qt composes the window, or the canvas of another viewer. Objects are then deleted by their numbers
  in a foreign context: the canvas still refers to deleted buffers, and another viewer loses buffers
  that have the same numbers ("Error drawing visual"). A later drawing reads freed memory: a
  segmentation fault.
- To collect the garbage of a process with PyTorch takes a fifth of a second, in which the window
  does not answer.
"""

import gc
import weakref
from contextlib import suppress
from functools import partial
from typing import Any

from napari.components import ViewerModel
from qtpy.QtCore import QPoint, QTimer
from qtpy.QtGui import QCursor, QGuiApplication
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QWidget

_GUARDED = "recolor.guarded"

REST_MS = 1500
"""What removed layers held is collected when the mouse has rested for so many milliseconds."""


def guard_canvas(viewer: ViewerModel, window: QWidget) -> None:
    """Make a canvas' context current before napari cleans up, and put off most of that.

    It stays in force as long as the viewer, because layers may be removed after the panel is gone.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers are removed.
    window : QWidget
        The window with the canvas.
    """
    for canvas in window.findChildren(QOpenGLWidget):
        if not canvas.property(_GUARDED):
            canvas.setProperty(_GUARDED, True)
            _Guard(viewer, canvas)


def canvas_of(window: QWidget) -> QOpenGLWidget | None:
    """Return the canvas in a window of napari, if it has one."""
    canvas: QOpenGLWidget | None = window.findChild(QOpenGLWidget)
    return canvas


def draw_later(window: QWidget) -> None:
    """Let the canvas be drawn in the next turn of the event loop, and not at the end of this one.

    To add a layer takes napari almost as long as to draw it for the first time.
    """
    canvas = canvas_of(window)
    if canvas is not None and canvas.updatesEnabled():
        canvas.setUpdatesEnabled(False)
        timer = QTimer(canvas)  # which ends with the canvas
        timer.setSingleShot(True)
        timer.timeout.connect(partial(canvas.setUpdatesEnabled, True))
        timer.timeout.connect(timer.deleteLater)
        timer.start(0)


class _Guard:
    """Comes before and after napari's cleaning up.

    Before, it keeps all objects that exist out of garbage collection. Once the mouse rests, napari
    cleans up again, as a whole: an empty batch makes it do so.
    """

    def __init__(self, viewer: ViewerModel, canvas: QOpenGLWidget) -> None:
        self._viewer, self._canvas = weakref.ref(viewer), weakref.ref(canvas)
        self._cursor = QPoint()
        self._in_batch = False
        self._thorough = False  # whether napari is to collect all garbage
        self._rest = QTimer(canvas)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._clean_up)
        # napari calls its own slots first, so what must come before them takes an earlier event.
        # These partials keep the guard alive as long as the layers.
        events = viewer.layers.events
        events.removing.connect(partial(self._before))
        events.removed.connect(partial(self._after))
        events.begin_batch.connect(partial(self._begin))
        events.end_batch.connect(partial(self._end))

    def _before(self, _: Any = None) -> None:
        canvas = self._canvas()
        if canvas is not None:
            with suppress(RuntimeError):  # Qt has deleted it
                canvas.makeCurrent()
        if not self._thorough:
            gc.freeze()

    def _after(self, _: Any = None) -> None:
        if not self._in_batch:
            gc.unfreeze()
        with suppress(RuntimeError):
            self._cursor = QCursor.pos()
            self._rest.start()

    def _begin(self, _: Any = None) -> None:
        self._in_batch = True
        self._before()

    def _end(self, _: Any = None) -> None:
        self._in_batch = False
        gc.unfreeze()

    def _clean_up(self) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        if QCursor.pos() != self._cursor or QGuiApplication.mouseButtons().value:
            self._cursor = QCursor.pos()
            self._rest.start()
            return
        self._thorough = True
        try:
            with viewer.layers.batched_update():
                pass
        finally:
            self._thorough = False

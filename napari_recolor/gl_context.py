"""Works around a fault of napari 0.9 that ends in a segmentation fault.

When a layer is removed, napari flushes vispy's commands (`VispyCanvas._clean_and_update_scenegraph`
calls `context.finish()`) in whatever OpenGL context happens to be current: often that in which Qt
composes the window, or the canvas of another viewer. Objects are then deleted by their numbers in a
foreign context: the canvas still refers to deleted buffers, and another viewer loses buffers that
have the same numbers ("Error drawing visual"). A later drawing reads freed memory.
"""

import weakref
from contextlib import suppress
from functools import partial
from typing import Any

from napari.components import ViewerModel
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QWidget

_GUARDED = "recolor.guarded"


def guard_canvas(viewer: ViewerModel, window: QWidget) -> None:
    """Make the context of a viewer's canvas current whenever a layer is about to be cleaned up.

    It stays in force as long as the viewer, because layers may be removed after the panel is gone.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers are removed.
    window : QWidget
        The window with the canvas.
    """
    for canvas in window.findChildren(QOpenGLWidget):
        if canvas.property(_GUARDED):
            continue
        canvas.setProperty(_GUARDED, True)
        slot = partial(_make_current, weakref.ref(canvas))
        # Slots that are connected later are called first, so this comes before napari's own.
        viewer.layers.events.removed.connect(slot)
        viewer.layers.events.end_batch.connect(slot)


def canvas_of(window: QWidget) -> QOpenGLWidget | None:
    """Return the canvas in a window of napari, if it has one."""
    canvas: QOpenGLWidget | None = window.findChild(QOpenGLWidget)
    return canvas


def _make_current(canvas: "weakref.ref[QOpenGLWidget]", _: Any = None) -> None:
    widget = canvas()
    if widget is not None:
        with suppress(RuntimeError):  # Qt has deleted it
            widget.makeCurrent()

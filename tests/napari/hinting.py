"""What tests of hints do as a user would."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
from napari.layers import Shapes

SHAPE = (112, 168)  # cells of 2 x 2 pixels


def add(hints, position, color="#4070c0", size=10):
    """Add a hint where a user would click: at a position of the world."""
    hints.layer.selected_data = set()
    hints.styles.color = color
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


def shapes_of(hints, viewer, data, **options):
    shapes = Shapes([np.array(data, float)], **options)
    viewer.add_layer(shapes)
    hints.shapes = shapes
    return shapes


def wheel(hints, position, steps):
    """Turn the wheel over a position; whether a hint took it."""
    event = SimpleNamespace(position=position, delta=(0, steps), handled=False)
    for call in hints.layer.mouse_wheel_callbacks:
        call(hints.layer, event)
    return event.handled

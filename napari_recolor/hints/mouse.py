"""What the mouse does to hints beside napari's own tools."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes
from psygnal import Signal

from napari_recolor.hints.placing import color_at, image_shape

WHEEL_STEP = 1.15
"""A step of the mouse wheel makes a hint this many times as large, or as small."""


class Eyedropper:
    """Takes the color of the RGB layer under the next click.

    Parameters
    ----------
    viewer : ViewerModel
        Whose canvas is clicked.
    points : Points
        Adds no point with that click.
    take : callable
        Gets the color, ``"#rrggbb"``.

    Attributes
    ----------
    changed
        Emitted with whether the eyedropper is on.
    """

    changed = Signal(bool)

    def __init__(self, viewer: ViewerModel, points: Points, take: Callable[[str], None]) -> None:
        self._viewer, self._points, self._take = viewer, points, take
        self._mode_before = ""

    @property
    def on(self) -> bool:
        """Whether the next click takes a color."""
        return bool(self._mode_before)

    @on.setter
    def on(self, on: bool) -> None:
        if on == self.on:
            return
        viewer, points = self._viewer, self._points
        if on:
            self._mode_before = str(points.mode)
            points.mode = "pan_zoom"  # or the click would add a hint
            viewer.layers.selection.active = points
            viewer.cursor.style = "crosshair"
            viewer.mouse_drag_callbacks.append(self._on_press)
        else:
            viewer.mouse_drag_callbacks.remove(self._on_press)
            viewer.cursor.style = "standard"
            selected = set(points.selected_data)
            points.mode, self._mode_before = self._mode_before, ""
            if points.mode == "select":
                points.selected_data = selected
        self.changed.emit(on)

    def _on_press(self, viewer: ViewerModel, event: Any) -> Iterator[None]:
        color = color_at(viewer, event.position) if event.button == 1 else None
        if color is not None:
            self._take(color)
        # Only when the button is up again: the layer's own tool has not seen this click then.
        yield
        while event.type == "mouse_move":
            yield
        if color is not None:
            self.on = False


class HintMouse:
    """A right click removes the hint under it, and the wheel over a point resizes it.

    Parameters
    ----------
    image : Image
        Limits the size of points.
    eyedropper : Eyedropper
        While it is on, a right click does nothing.

    Attributes
    ----------
    resized
        Emitted when the wheel has resized a point: napari has no event for that.
    """

    resized = Signal()

    def __init__(self, image: Image, eyedropper: Eyedropper) -> None:
        self._image, self._eyedropper = image, eyedropper

    def attach(self, layer: Layer) -> None:
        """Begin to watch the mouse over a layer of hints; labels have tools of their own."""
        if not isinstance(layer, Labels):
            layer.mouse_drag_callbacks.insert(0, self._on_press)  # before napari's own
        if isinstance(layer, Points):
            layer.mouse_wheel_callbacks.append(self._on_wheel)

    def detach(self, layer: Layer) -> None:
        """Stop watching the mouse over a layer."""
        for callbacks, own in (
            (layer.mouse_drag_callbacks, self._on_press),
            (layer.mouse_wheel_callbacks, self._on_wheel),
        ):
            if own in callbacks:
                callbacks.remove(own)

    def _on_press(self, layer: Points | Shapes, event: Any) -> Iterator[None]:
        """A right click removes the hint under it; a drag with the right button still zooms."""
        if event.button != 2 or self._eyedropper.on:
            return
        mode, layer.mode = str(layer.mode), "pan_zoom"  # or the click would add a hint
        number = _hint_at(layer, event.position)
        yield
        dragged = False
        while event.type == "mouse_move":
            dragged = True
            yield
        layer.mode = mode
        if number is not None and not dragged:
            layer.selected_data = {number}
            layer.remove_selected()

    def _on_wheel(self, layer: Points, event: Any) -> None:
        """The wheel over a hint resizes it; elsewhere it zooms."""
        number = _hint_at(layer, event.position)
        if number is None:
            return
        event.handled = True
        sizes = np.array(layer.size, float)
        sizes[number] *= WHEEL_STEP ** float(event.delta[1])
        sizes[number] = np.clip(sizes[number], 1, 2 * max(image_shape(self._image)))
        layer.size = sizes
        self.resized.emit()


def _hint_at(layer: Points | Shapes, position: Sequence[float]) -> int | None:
    value: Any = layer.get_value(position, world=True)
    number = value[0] if isinstance(value, tuple) else value  # of a shape, its vertex too
    return None if number is None else int(number)

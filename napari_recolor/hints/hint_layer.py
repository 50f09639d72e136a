"""The hints of an image, as `recolor_core` takes them, in layers that the user edits."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.layers.base import ActionType
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_recolor.hints import owner
from napari_recolor.hints.label_pixels import EVENTS, LabelPixels
from napari_recolor.hints.mark_layers import GEOMETRY, MarkLayers
from napari_recolor.hints.marks import MAX_LABELS
from napari_recolor.hints.mouse import Eyedropper, HintMouse
from napari_recolor.hints.put_marks import fill_points
from napari_recolor.hints.styles import HintStyles
from napari_recolor.hints.values import inside, marks_at, put_values, restore_state, state_of
from recolor_core.errors import HintsError
from recolor_core.hints import Mark, Region, read_hints, write_hints

QUIET_MS = 25
"""A change is told when this many milliseconds have passed without a further one."""

OUTSIDE = (
    "The hint is outside the image and has no effect: move it onto the image, or remove it with a "
    "right click."
)

_CHANGES = {
    Points: ("data", "face_color", "current_face_color", "size", "current_size", "features"),
    Shapes: (
        *("data", "set_data", "edge_color", "face_color", "edge_width", "features"),
        *("scale", "translate", "affine"),
    ),
    Labels: (
        *("data", "paint", "labels_update", "colormap", "features"),
        *("scale", "translate", "affine"),
    ),
}
"""The events of each layer after which its hints may have changed."""


class HintLayer:
    """The hints of an image: a Points layer, and a Shapes and a Labels layer if there are any.

    A point hints its disk, so its size is what is known for certain. Lines and paths are strokes,
    other shapes are regions, and labels are masks. The user adds, moves, recolors, resizes and
    deletes them with napari's own tools. The points follow the image's scale, rotation and so on.
    A right click on a hint removes it, and the wheel over a point resizes it.

    Parameters
    ----------
    viewer : ViewerModel
        Gets the layers.
    image : Image
        The image, 2D or a stack of images along its leading axes; RGB or gray.
    predicted : callable, optional
        Takes a position of the world and gives the color that the networks predict there, or
        None. New points begin with it.
    kept : sequence of Layer
        The layers of the viewer that hold hints of the image already. Without any, a layer of
        points is added.

    Attributes
    ----------
    marks : MarkLayers
        The layers that hold the hints.
    styles : HintStyles
        What the hints that are selected, or are to come, ask for.
    eyedropper : Eyedropper
        Takes a color from the canvas.
    changed
        Emitted once after changes of hints, of images of a stack that are not shown too, and when
        another image of the stack is shown.
    layers_changed
        Emitted when a layer of hints came or went.
    closed
        Emitted when the image was removed from the viewer: its hints are followed no more.
    selected
        Emitted when another mark, layer or style is selected.
    placed
        Emitted with the number of a point that was just added with the mouse.
    said
        Emitted with a sentence about what cannot be done.
    """

    changed = Signal()
    layers_changed = Signal()
    closed = Signal()
    selected = Signal()
    placed = Signal(int)
    said = Signal(str)

    def __init__(
        self,
        viewer: ViewerModel,
        image: Image,
        predicted: Callable[[Sequence[float]], str | None] = lambda _: None,
        kept: Sequence[Layer] = (),
    ) -> None:
        self.viewer, self.image = viewer, image
        points = next((layer for layer in kept if isinstance(layer, Points)), None)
        self.marks = MarkLayers(viewer, image, points)
        self.styles = HintStyles(self.marks, predicted)
        self.eyedropper = Eyedropper(viewer, self.layer, self._take_color)
        self._mouse = HintMouse(image, self.eyedropper)
        self._pixels = LabelPixels(MAX_LABELS)
        self._told: Any = None
        self._outside: tuple[tuple[int, ...], int] = ((), 0)
        self._problem = ""
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(QUIET_MS)
        self._timer.timeout.connect(self._tell)
        if not kept:
            self.marks.show_points()
        self._told = self._now()
        self._wire("connect")
        self._watch(self.layer)
        for layer in kept:
            if isinstance(layer, Shapes):
                self.shapes = layer
            elif isinstance(layer, Labels):
                self.labels = layer

    def close(self) -> None:
        """Stop watching; the layers stay where they are."""
        self.eyedropper.on = False
        self._timer.stop()
        self._wire("disconnect")
        for layer in (self.layer, self.shapes, self.labels):
            if layer is not None:
                self._unwatch(layer)
        self.marks.shapes = self.marks.labels = None

    def _wire(self, act: str) -> None:
        """Connect or disconnect all that does not change as layers come and go."""
        image, viewer, points = self.image, self.viewer, self.layer
        for event, slot in (
            (self.marks.replaced, self._on_replaced),
            (self._mouse.resized, self._touch),
            (self.styles.changed, self._on_selected),
            (self.styles.said, self._say),
            (points.events.features, self._on_added),  # the last event of adding a point
            (points.events.current_face_color, self._on_color),
            (viewer.dims.events.current_step, self._touch),
            (viewer.layers.events.removed, self._on_removed),
            (viewer.layers.selection.events.active, self._on_selected),
            *((image.events[name], self._follow) for name in GEOMETRY if name in image.events),
        ):
            getattr(event, act)(slot)

    # --- the layers -----------------------------------------------------------------------------

    @property
    def layer(self) -> Points:
        """The Points layer."""
        return self.marks.points

    @property
    def shapes(self) -> Shapes | None:
        """The layer of strokes and regions."""
        return self.marks.shapes

    @shapes.setter
    def shapes(self, layer: Shapes | None) -> None:
        self.marks.shapes = layer

    @property
    def labels(self) -> Labels | None:
        """The layer of masks."""
        return self.marks.labels

    @labels.setter
    def labels(self, layer: Labels | None) -> None:
        self.marks.labels = layer

    @property
    def layers(self) -> list[Layer]:
        """The layers that hold hints of the image; none if the user has removed them."""
        return self.marks.all

    def index_shown(self) -> tuple[int, ...]:
        """Position of the image shown along the axes before height and width."""
        return self.marks.index_shown()

    def selected_region(self) -> Region | None:
        """The region that is selected, or the only one; in pixels of the image shown."""
        return self.marks.selected_region()

    def remove(self, number: int) -> None:
        """Remove one point."""
        self.layer.selected_data = {number}
        self.layer.remove_selected()

    # --- what they hint -------------------------------------------------------------------------

    def values(self, index: Sequence[int] | None = None, everywhere: bool = True) -> list[Mark]:
        """The hints of one image: points, strokes, regions, then masks.

        Parameters
        ----------
        index : sequence of int, optional
            Position of the image along the axes before height and width; None for the one shown.
        everywhere : bool
            Whether 2D shapes and labels count for every image of a stack, or for the one shown.

        Returns
        -------
        list of Hint, Stroke, Region or Mask
            In pixels of the image. Those outside of it are left out.

        Raises
        ------
        HintsError
            If a layer holds more than can be hinted.
        """
        at = self.index_shown() if index is None else tuple(index)
        return inside(self.marks, self._marks(at, everywhere))

    def _marks(self, index: tuple[int, ...], everywhere: bool = True) -> list[Mark]:
        return marks_at(self.marks, self._pixels, index, everywhere=everywhere)

    def reopen(self) -> None:
        """Add the Points layer again after the user has removed it, without points."""
        fill_points(self.layer, [], [], [], [])
        self.marks.show_points()

    def put(self, marks: Sequence[Mark]) -> None:
        """Replace the hints of the image shown.

        Raises
        ------
        recolor_core.HintsError
            If a mask does not fit the image.
        """
        put_values(self.marks, marks)

    def save(self, path: str | Path) -> None:
        """Write the hints of the image shown into a file that the command takes too."""
        write_hints(path, self.values())

    def load(self, path: str | Path) -> None:
        """Replace the hints of the image shown by those of a file.

        Raises
        ------
        recolor_core.HintsError
            If it is not a file of hints, or a mask in it does not fit the image.
        """
        self.put(read_hints(path))

    def state(self) -> Any:
        """Which layers hold hints, all points and shapes, and what labels ask for.

        States can be compared. `restore` brings one back.
        """
        return state_of(self.marks)

    def restore(self, state: Any) -> None:
        """Bring back what `state` gave, layers that were removed since then included."""
        restore_state(self.marks, state)
        self._touch()  # a layer that came back may hold what it held before

    # --- events ---------------------------------------------------------------------------------

    def _on_replaced(self, before: Layer | None, layer: Layer | None) -> None:
        if before is not None:
            self._unwatch(before)
            owner.disown(before)
        if layer is not None:
            self._watch(layer)
        self._touch()
        self.layers_changed.emit()

    def _watch(self, layer: Layer) -> None:
        """Follow what happens to a layer."""
        owner.follow(layer, self.image)
        self._mouse.attach(layer)
        for event, slot in self._slots(layer):
            event.connect(slot)

    def _unwatch(self, layer: Layer) -> None:
        owner.leave(layer)
        self._mouse.detach(layer)
        for event, slot in self._slots(layer):
            event.disconnect(slot)

    def _slots(self, layer: Layer) -> list[tuple[Any, Callable[..., None]]]:
        """The events of a layer, and what each is connected to."""
        names = next(names for kind, names in _CHANGES.items() if isinstance(layer, kind))
        slots: list[tuple[Any, Callable[..., None]]] = [
            (layer.events[name], self._touch) for name in names if name in layer.events
        ]
        if isinstance(layer, Points):
            slots.append((layer.selected_data.events.items_changed, self._on_selected))
        elif isinstance(layer, Shapes):
            slots.append((layer.events.data, self._on_drawn))
            slots.append((layer.events.highlight, self._on_selected))
        else:
            slots.append((layer.events.selected_label, self._on_selected))
            slots += [(layer.events[name], self._pixels.forget) for name in EVENTS]
        return slots

    def _touch(self) -> None:
        self._timer.start()

    def _tell(self) -> None:
        """Tell that hints have changed, once those of the image shown are known."""
        labels = self.labels
        if labels is not None:
            at = self.marks.slice_of(labels, self.index_shown())
            in_bounds = all(0 <= i < n for i, n in zip(at, labels.data.shape, strict=False))
            if in_bounds and not self._pixels.prepare(labels, self.image, at, self._on_pixels):
                return  # until they are found
        try:
            now, problem = self._now(), ""
        except HintsError as error:
            now, problem = self._told, str(error)
        if problem and problem != self._problem:
            self._say(problem)
        self._problem = problem
        self._tell_outside(*now[:2])
        if now != self._told:
            self._told = now
            self.changed.emit()

    def _now(self) -> tuple[tuple[int, ...], list[Mark], Any]:
        """The image shown, the marks at it, and the state of all images."""
        index = self.index_shown()
        return index, self._marks(index), (self.state(), self._pixels.version)

    def _tell_outside(self, index: tuple[int, ...], marks: Sequence[Mark]) -> None:
        """Say that a hint has no effect when it came, or was moved, out of the image."""
        outside = len(marks) - len(inside(self.marks, marks))
        before, self._outside = self._outside, (index, outside)
        if outside > (before[1] if before[0] == index else 0):
            self._say(OUTSIDE)

    def _on_pixels(self) -> None:
        if self.labels is not None:
            self._touch()

    def _say(self, text: str) -> None:
        self.said.emit(text)

    def _take_color(self, color: str) -> None:
        self.styles.color = color

    def _on_selected(self, _: Any = None) -> None:
        self.selected.emit()

    def _on_color(self) -> None:
        """A color that is chosen while nothing is selected is that of the hints to come."""
        if not self.layer.selected_data:
            self.styles.predicts = False

    def _on_added(self) -> None:
        """Complete a point that was just added."""
        if self.layer.mode == "add" and self.layer.selected_data:
            added = self.styles.complete_points()
            if added:
                self.placed.emit(added[-1])

    def _on_drawn(self, event: Any) -> None:
        if getattr(event, "action", None) == ActionType.ADDED:
            self.styles.complete_shape()

    def _follow(self) -> None:
        self.marks.follow_image()
        self._touch()

    def _on_removed(self, event: Any) -> None:
        if event.value is self.image:
            self.close()
            self.closed.emit()
        elif event.value is self.layer:
            self.eyedropper.on = False
            self._touch()
            self.layers_changed.emit()
        elif event.value is self.shapes:
            self.shapes = None
        elif event.value is self.labels:
            self.labels = None

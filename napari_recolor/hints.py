"""The hint layers of an image: points, shapes and labels, as `recolor_core` takes them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.layers.base import ActionType
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.colormaps.standardize_color import transform_color
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_recolor.label_pixels import EVENTS, LabelPixels
from napari_recolor.mark_styles import (
    LIMIT,
    SYMBOLS,
    Style,
    label_kinds,
    labels_state,
    next_style,
    numbered,
    restore_labels,
    set_label,
    set_next_style,
    set_styles,
    shown_color,
    styles_of,
)
from napari_recolor.marked_layers import (
    MASKS,
    fill_points,
    put_masks,
    put_points,
    put_shapes,
    restore_shapes,
    shapes_state,
)
from napari_recolor.marks import (
    MAX_LABELS,
    limits_of,
    marks_inside,
    marks_of_labels,
    marks_of_points,
    marks_of_shapes,
    region_around,
    regions_of,
)
from napari_recolor.placing import (
    cell_size,
    color_at,
    hex_color,
    hex_rgba,
    image_shape,
    place_in,
    planar,
)
from recolor_core.errors import HintsError
from recolor_core.hints import Hint, Mark, Mask, Region, read_hints, write_hints

QUIET_MS = 25
"""A change is told when so many milliseconds have passed without a further one."""

WHEEL_STEP = 1.15
"""A step of the mouse wheel makes a hint so much larger or smaller."""

FIRST_COLOR = "#c08040"
_GEOMETRY = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
_POINT_EVENTS = ("data", "face_color", "current_face_color", "size", "current_size", "features")
_SHAPE_EVENTS = (
    *("data", "set_data", "edge_color", "face_color", "edge_width", "features"),
    *("scale", "translate", "affine"),
)
_LABEL_EVENTS = (
    *("data", "paint", "labels_update", "colormap", "features"),
    *("scale", "translate", "affine"),
)


class HintLayer:
    """The hints of an image: a Points layer, and a Shapes and a Labels layer if there are any.

    A point hints its disk, so its size is what is known for certain. Lines and paths are strokes,
    other shapes are regions, and labels are masks. All may be added, moved, recolored, resized and
    deleted with napari's own tools. The points follow the image's scale, rotation and so on. A
    right click on a hint removes it, and the wheel over a point resizes it.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers are added.
    image : Image
        The image, 2D or a stack of images along its leading axes; RGB or gray.
    predicted : callable, optional
        Takes a position of the world and gives the color that the networks predict there, or
        None. New points begin with it.

    Attributes
    ----------
    layer
        The Points layer.
    predicts
        Whether new points begin with the predicted color: until a color is chosen for them.
    only_here
        Whether new points and strokes stay within the region around them.
    changed
        Emitted once after changes that alter the hints of the image shown.
    closed
        Emitted when the Points layer was removed from the viewer.
    eyedropper_changed
        Emitted with whether the eyedropper is on.
    selected
        Emitted when another mark, layer or style is selected.
    placed
        Emitted with the number of a point that was just added with the mouse.
    said
        Emitted with a sentence about what cannot be done.
    """

    changed = Signal()
    closed = Signal()
    eyedropper_changed = Signal(bool)
    selected = Signal()
    placed = Signal(int)
    said = Signal(str)

    def __init__(
        self,
        viewer: ViewerModel,
        image: Image,
        predicted: Callable[[Sequence[float]], str | None] = lambda _: None,
    ) -> None:
        self.viewer, self.image = viewer, image
        self._predicted = predicted
        self.predicts, self.only_here = True, False
        self.layer = Points(
            np.empty((0, image.ndim)),
            ndim=image.ndim,
            name="Color hints",
            size=2 * cell_size(image),  # a disk of about four cells
            face_color=FIRST_COLOR,
            border_color="white",
            border_width=0.15,
            canvas_size_limits=(12, 10000),  # small hints stay visible and can be grabbed
            **self._geometry(),
        )
        set_next_style(self.layer, Style())
        viewer.add_layer(self.layer)
        self.layer.mode = "add"
        self._shapes: Shapes | None = None
        self._labels: Labels | None = None
        self._pixels = LabelPixels(MAX_LABELS)
        self._mode_before = ""
        self._told: list[Mark] = []
        self._problem = ""
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(QUIET_MS)
        self._timer.timeout.connect(self._tell)
        for name in _POINT_EVENTS:
            self.layer.events[name].connect(self._touch)
        self.layer.events.features.connect(self._on_added)  # the last event of adding a point
        self.layer.events.current_face_color.connect(self._on_color)
        self.layer.selected_data.events.items_changed.connect(self._on_selected)
        self.layer.mouse_drag_callbacks.insert(0, self._on_layer_press)  # before napari's own
        self.layer.mouse_wheel_callbacks.append(self._on_wheel)
        for name in _GEOMETRY:
            if name in image.events:
                image.events[name].connect(self._follow)
        viewer.dims.events.current_step.connect(self._touch)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.selection.events.active.connect(self._on_selected)

    def close(self) -> None:
        """Stop watching; the layers stay where they are."""
        self.eyedropper = False
        self.shapes = self.labels = None
        self._timer.stop()
        for name in _POINT_EVENTS:
            self.layer.events[name].disconnect(self._touch)
        self.layer.events.features.disconnect(self._on_added)
        self.layer.events.current_face_color.disconnect(self._on_color)
        self.layer.selected_data.events.items_changed.disconnect(self._on_selected)
        if self._on_wheel in self.layer.mouse_wheel_callbacks:
            self.layer.mouse_drag_callbacks.remove(self._on_layer_press)
            self.layer.mouse_wheel_callbacks.remove(self._on_wheel)
        for name in _GEOMETRY:
            if name in self.image.events:
                self.image.events[name].disconnect(self._follow)
        self.viewer.dims.events.current_step.disconnect(self._touch)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.viewer.layers.selection.events.active.disconnect(self._on_selected)

    # --- what is hinted -----------------------------------------------------------------------

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
        index = self.index_shown() if index is None else tuple(index)
        limits: dict[int, Any] = {}
        found: list[Mark] = []
        shown = index == self.index_shown()
        if self._shapes is not None and (everywhere or shown or self._shapes.ndim > 2):
            at = self._at(self._shapes, index)
            limits = limits_of(self._shapes, self.image, at)
            found += marks_of_shapes(self._shapes, self.image, at)
        if self._labels is not None and (everywhere or shown or self._labels.ndim > 2):
            at = self._at(self._labels, index)
            found += marks_of_labels(self._labels, self.image, at, self._pixels)
        found = [*marks_of_points(self.layer, self.image, index, limits), *found]
        shape = image_shape(self.image)
        return marks_inside(found, (slice(0, shape[0]), slice(0, shape[1])), shape)

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

    def put(self, marks: Sequence[Mark]) -> None:
        """Replace the hints of the image shown.

        Raises
        ------
        recolor_core.HintsError
            If a mask does not fit the image.
        """
        masks = [mark for mark in marks if isinstance(mark, Mask)]
        points = [mark for mark in marks if isinstance(mark, Hint)]
        shapes = [mark for mark in marks if not isinstance(mark, Mask | Hint)]
        shape = image_shape(self.image)
        for mask in masks:
            if np.shape(mask.pixels) != shape:
                got = " x ".join(map(str, np.shape(mask.pixels)[::-1]))
                raise HintsError(
                    f"expected masks of {shape[1]} x {shape[0]} pixels, as the image has, got one "
                    f"of {got}; use the hints of this image"
                )
        limits: dict[Any, int] = {}
        known = [style.number for style in styles_of(self._shapes)] if self._shapes else []
        for mark in [*points, *shapes]:
            within = mark.points if isinstance(mark, Region) else mark.within
            if within and within not in limits:
                limits[within] = max([0, *known, *limits.values()]) + 1
        index = self.index_shown()
        put_points(self.layer, index, points, limits)
        if limits or shapes or self._shapes is not None:
            own = self._own("shapes")
            put_shapes(own, self._at(own, index), shapes, limits)
        if masks or self._labels is not None:
            own = self._own("labels")
            put_masks(own, self._at(own, index), masks)

    def state(self) -> Any:
        """All points and shapes, and what labels ask for, to be compared and restored."""
        layer, shapes = self.layer, self._shapes
        points = tuple(
            (tuple(point), tuple(color), float(size), style)
            for point, color, size, style in zip(
                layer.data.tolist(),
                layer.face_color.tolist(),
                layer.size,
                styles_of(layer),
                strict=True,
            )
        )
        labels = self._labels
        of_shapes = () if shapes is None else shapes_state(shapes)
        return points, shapes, of_shapes, labels, () if labels is None else labels_state(labels)

    def restore(self, state: Any) -> None:
        """Bring back what `state` gave."""
        points, shapes, of_shapes, labels, of_labels = state
        fill_points(self.layer, *([one[i] for one in points] for i in range(4)))
        if shapes is None and self._shapes is not None:
            restore_shapes(self._shapes, ())  # the layer came later, and stays
        elif shapes is not None and shapes in self.viewer.layers:
            restore_shapes(shapes, of_shapes)
        if (
            labels is not None
            and labels in self.viewer.layers
            and of_labels != labels_state(labels)
        ):
            restore_labels(labels, of_labels)

    # --- shapes and labels --------------------------------------------------------------------

    @property
    def shapes(self) -> Shapes | None:
        """The layer of strokes and regions."""
        return self._shapes

    @shapes.setter
    def shapes(self, layer: Shapes | None) -> None:
        if layer is not None and not isinstance(layer, Shapes):
            raise TypeError(f"expected a Shapes layer for strokes and regions, got {layer!r}")
        if self._shapes is not None:
            if self._on_layer_press in self._shapes.mouse_drag_callbacks:
                self._shapes.mouse_drag_callbacks.remove(self._on_layer_press)
            self._shapes.events.data.disconnect(self._on_drawn)
            self._shapes.events.highlight.disconnect(self._on_selected)
        self._watch(self._shapes, layer, _SHAPE_EVENTS)
        if layer is not None:
            layer.mouse_drag_callbacks.insert(0, self._on_layer_press)
            layer.events.data.connect(self._on_drawn)
            layer.events.highlight.connect(self._on_selected)
        self._shapes = layer
        self._touch()

    @property
    def labels(self) -> Labels | None:
        """The layer of masks."""
        return self._labels

    @labels.setter
    def labels(self, layer: Labels | None) -> None:
        if layer is not None and not isinstance(layer, Labels):
            raise TypeError(f"expected a Labels layer for masks, got {layer!r}")
        if self._labels is not None:
            self._labels.events.selected_label.disconnect(self._on_selected)
        self._watch(self._labels, layer, _LABEL_EVENTS)
        for watched, act in ((self._labels, "disconnect"), (layer, "connect")):
            if watched is not None:
                for name in EVENTS:
                    getattr(watched.events[name], act)(self._pixels.forget)
        if layer is not None:
            layer.events.selected_label.connect(self._on_selected)
        self._labels = layer
        self._touch()

    @property
    def layers(self) -> list[Layer]:
        """All layers of hints of the image."""
        return [x for x in (self.layer, self._shapes, self._labels) if x is not None]

    def draw(self) -> Shapes:
        """Return the layer of strokes and regions, ready to draw polygons; make it if needed."""
        shapes: Shapes = self._own("shapes")
        shapes.mode = "add_polygon"
        self.viewer.layers.selection.active = shapes
        return shapes

    def paint(self) -> Labels:
        """Return the layer of masks, ready to paint; make it if needed."""
        labels: Labels = self._own("labels")
        labels.mode = "paint"
        self.viewer.layers.selection.active = labels
        return labels

    def _own(self, kind: str) -> Any:
        """Return the layer of shapes or labels; make one over the image if needed."""
        if kind == "shapes" and self._shapes is None:
            shapes = Shapes(
                ndim=self.image.ndim,
                name="Strokes and regions",
                edge_width=cell_size(self.image),
                edge_color=FIRST_COLOR,
                face_color=FIRST_COLOR,
                opacity=0.5,
                **self._geometry(),
            )
            set_next_style(shapes, Style())
            self.shapes = self.viewer.add_layer(shapes)
        if kind == "labels" and self._labels is None:
            shape = self.image.data.shape[:-1] if self.image.rgb else self.image.data.shape
            colors = {None: FIRST_COLOR, 0: "transparent"}
            labels = Labels(
                np.zeros(shape, np.uint8),
                name="Masks",
                colormap=DirectLabelColormap(color_dict=colors),
                opacity=0.5,
                metadata={MASKS: True},
                **self._geometry(),
            )
            labels.brush_size = max(1, round(2 * cell_size(self.image)))
            self.labels = self.viewer.add_layer(labels)
        return self._shapes if kind == "shapes" else self._labels

    def _watch(self, before: Layer | None, layer: Layer | None, names: Sequence[str]) -> None:
        for watched, act in ((before, "disconnect"), (layer, "connect")):
            if watched is not None:
                for name in set(names).intersection(watched.events):
                    getattr(watched.events[name], act)(self._touch)

    def _at(self, layer: Layer, index: tuple[int, ...]) -> tuple[int, ...]:
        return place_in(layer, self.image, index, self.viewer.dims.point)

    # --- colors and styles --------------------------------------------------------------------

    @property
    def target(self) -> Points | Shapes | Labels:
        """The layer that colors and styles are for: the active one, or the points."""
        active = self.viewer.layers.selection.active
        if active is not None and active in (self._shapes, self._labels):
            return active
        return self.layer

    @property
    def color(self) -> str:
        """``"#rrggbb"`` of the next hint; setting it also recolors selected hints."""
        target = self.target
        if isinstance(target, Labels):
            color = target.get_color(target.selected_label)
            return FIRST_COLOR if color is None else hex_color(color)
        shown = transform_color(target.current_face_color)[0]
        return hex_color(shown)

    @color.setter
    def color(self, color: str) -> None:
        target = self.target
        if isinstance(target, Labels):
            set_label(target, target.selected_label, "color", color)
        else:
            if self.style.kind != "color":
                self.set_style(kind="color")
            if isinstance(target, Shapes):
                target.current_edge_color = color
            target.current_face_color = color
            self.predicts = self.predicts and bool(target.selected_data)
        self._on_selected()

    @property
    def style(self) -> Style:
        """The style of what is selected, or of the next hint if nothing is."""
        target = self.target
        if isinstance(target, Labels):
            return Style(label_kinds(target).get(target.selected_label, "color"))
        chosen = sorted(target.selected_data)
        if chosen and chosen[0] < len(target.data):
            return styles_of(target)[chosen[0]]
        style = next_style(target)
        return replace(style, within=int(self.only_here))

    def set_style(self, **changes: Any) -> None:
        """Change what is selected, and the next hint.

        Parameters
        ----------
        **changes
            ``kind`` and ``reach``, as of `marks.Style`; ``only_here``, whether a hint stays within
            the region around it.
        """
        target = self.target
        if isinstance(target, Labels):
            if "kind" in changes:
                set_label(target, target.selected_label, changes["kind"], self.color)
            return
        chosen = [i for i in sorted(target.selected_data) if i < len(target.data)]
        if "only_here" in changes:
            only = changes.pop("only_here")
            self.only_here = only if not chosen else self.only_here
            self._limit(target, chosen, only)
        if not changes:
            return
        styles = styles_of(target)
        for i in chosen:
            styles[i] = replace(styles[i], **changes)
        if not chosen:
            set_next_style(target, replace(next_style(target), **changes))
        elif styles != styles_of(target):
            set_styles(target, styles)
        if "kind" in changes:
            self._dress(target, chosen)
        self._on_selected()

    def _dress(self, target: Points | Shapes, chosen: Sequence[int]) -> None:
        """Show marks in the way of their kind."""
        styles = styles_of(target)
        if isinstance(target, Points):
            color = hex_color(transform_color(target.current_face_color)[0])
            if chosen:
                faces = np.array(target.face_color)
                symbols = list(target.symbol)
                for i in chosen:
                    faces[i] = hex_rgba(shown_color(styles[i].kind, color))
                    symbols[i] = SYMBOLS.get(styles[i].kind, "disc")
                target.face_color, target.symbol = faces, symbols
            else:
                target.current_symbol = SYMBOLS.get(next_style(target).kind, "disc")
            return
        faces, edges = np.array(target.face_color), np.array(target.edge_color)
        for i in chosen:
            kind = styles[i].kind
            color = hex_color(transform_color(target.current_edge_color)[0])
            faces[i] = edges[i] = hex_rgba(shown_color(kind, color))
            faces[i, 3] = kind != LIMIT
        if chosen:
            target.face_color, target.edge_color = faces, edges
        else:
            self._dress_next(target)

    def _dress_next(self, shapes: Shapes) -> None:
        """Draw the next shape in the color of its kind."""
        kind = next_style(shapes).kind
        color = shown_color(kind, self.color)
        shapes.current_edge_color = color
        shapes.current_face_color = "transparent" if kind == LIMIT else color

    def _limit(self, target: Points | Shapes, chosen: Sequence[int], on: bool) -> None:
        """Keep marks within the region around each of them, or let them go."""
        styles = styles_of(target)
        for i in chosen:
            number = self._region_of(target, i) if on else 0
            if number is None:
                self.said.emit(
                    "Only here: no region is around the hint. Draw one with “Draw shapes”; its "
                    "kind may be “only limits hints”."
                )
                number = 0
            styles[i] = replace(styles[i], within=number)
        if chosen and styles != styles_of(target):
            set_styles(target, styles)
        self._on_selected()

    def selected_region(self) -> Region | None:
        """The region that is selected, or the only one; in pixels of the image shown."""
        shapes = self._shapes
        if shapes is None:
            return None
        at = self._at(shapes, self.index_shown())
        known = regions_of(shapes, self.image, at)
        chosen = [i for i in sorted(shapes.selected_data) if i in known]
        if chosen or len(known) == 1:
            return known[chosen[0] if chosen else next(iter(known))]
        return None

    def _region_of(self, target: Points | Shapes, i: int) -> int | None:
        """Return the number of the smallest region around a mark."""
        if self._shapes is None:
            return None
        vertices = np.atleast_2d(target.data[i])
        world = self.image.world_to_data(target.data_to_world(vertices[0]))
        index = tuple(int(n) for n in np.rint(world[-self.image.ndim : -2]))
        place = planar(vertices, target, self.image).mean(axis=0)
        at = self._at(self._shapes, index)
        found = region_around(self._shapes, self.image, at, place)
        return None if found is None else numbered(self._shapes)[found].number

    @property
    def eyedropper(self) -> bool:
        """Whether the next click takes the color of the RGB layer under it."""
        return bool(self._mode_before)

    @eyedropper.setter
    def eyedropper(self, on: bool) -> None:
        if on == self.eyedropper:
            return
        if on:
            self._mode_before = str(self.layer.mode)
            self.layer.mode = "pan_zoom"  # or the click would add a hint
            self.viewer.layers.selection.active = self.layer
            self.viewer.cursor.style = "crosshair"
            self.viewer.mouse_drag_callbacks.append(self._on_press)
        else:
            self.viewer.mouse_drag_callbacks.remove(self._on_press)
            self.viewer.cursor.style = "standard"
            selected = set(self.layer.selected_data)
            self.layer.mode, self._mode_before = self._mode_before, ""
            if self.layer.mode == "select":
                self.layer.selected_data = selected
        self.eyedropper_changed.emit(on)

    # --- the mouse ----------------------------------------------------------------------------

    def _on_layer_press(self, layer: Points | Shapes, event: Any) -> Iterator[None]:
        """A right click removes the hint under it."""
        if event.button != 2 or self.eyedropper:
            return
        mode, layer.mode = str(layer.mode), "pan_zoom"  # or the click would add a hint
        index = self._hint_at(event.position, layer)
        yield
        dragged = False
        while event.type == "mouse_move":
            dragged = True
            yield
        layer.mode = mode
        if index is not None and not dragged:
            layer.selected_data = {index}
            layer.remove_selected()

    def _on_wheel(self, layer: Points, event: Any) -> None:
        """The wheel over a hint resizes it; elsewhere it zooms."""
        index = self._hint_at(event.position)
        if index is None:
            return
        event.handled = True
        sizes = np.array(layer.size, float)
        sizes[index] *= WHEEL_STEP ** float(event.delta[1])
        sizes[index] = np.clip(sizes[index], 1, 2 * max(image_shape(self.image)))
        layer.size = sizes

    def _hint_at(
        self, position: Sequence[float], layer: Points | Shapes | None = None
    ) -> int | None:
        value: Any = (layer or self.layer).get_value(position, world=True)
        index = value[0] if isinstance(value, tuple) else value  # of a shape, its vertex too
        return None if index is None else int(index)

    def _on_press(self, viewer: ViewerModel, event: Any) -> Iterator[None]:
        color = color_at(viewer, event.position) if event.button == 1 else None
        if color is not None:
            self.color = color
        # Only when the button is up again: the layer's own tool has not seen this click then.
        yield
        while event.type == "mouse_move":
            yield
        if color is not None:
            self.eyedropper = False

    # --- events -------------------------------------------------------------------------------

    def _geometry(self) -> dict[str, Any]:
        return {name: getattr(self.image, name) for name in _GEOMETRY}

    def _touch(self) -> None:
        self._timer.start()

    def _tell(self) -> None:
        if self._labels is not None:
            at = self._at(self._labels, self.index_shown())
            in_bounds = all(0 <= i < n for i, n in zip(at, self._labels.data.shape, strict=False))
            if in_bounds and not self._pixels.prepare(
                self._labels, self.image, at, self._on_pixels
            ):
                return  # until they are found
        try:
            values, problem = self.values(), ""
        except HintsError as error:
            values, problem = self._told, str(error)
        if problem and problem != self._problem:
            self.said.emit(problem)
        self._problem = problem
        if values != self._told:
            self._told = values
            self.changed.emit()

    def _on_pixels(self) -> None:
        if self._labels is not None:
            self._touch()

    def _on_selected(self, _: Any = None) -> None:
        self.selected.emit()

    def _on_color(self) -> None:
        """A color that is chosen while nothing is selected is that of the hints to come."""
        if not self.layer.selected_data:
            self.predicts = False

    def _on_added(self) -> None:
        """Complete a point that was just added.

        It is selected: without this, the next color would be its color, too.
        """
        layer = self.layer
        if layer.mode != "add" or not layer.selected_data:
            return
        added = [i for i in sorted(layer.selected_data) if i < len(layer.data)]
        layer.selected_data = set()
        if self.only_here:
            self._limit(layer, added, on=True)
        styles = styles_of(layer)
        color = None
        if self.predicts and added and styles[added[-1]].kind == "color":
            color = self._predicted(layer.data_to_world(layer.data[added[-1]]))
        if added and styles[added[-1]].kind != "color":
            self._dress(layer, added)
        if color is not None:
            self.recolor(added[-1], color)
        if added:
            self.placed.emit(added[-1])

    def recolor(self, number: int, color: str) -> None:
        """Give one point a color; the color of the next one stays."""
        layer = self.layer
        styles = styles_of(layer)
        if styles[number].kind != "color":
            styles[number] = replace(styles[number], kind="color")
            set_styles(layer, styles)
            symbols = list(layer.symbol)
            symbols[number] = SYMBOLS["color"]
            layer.symbol = symbols
        faces = np.array(layer.face_color)
        faces[number] = hex_rgba(color)
        layer.face_color = faces

    def restyle(self, number: int, kind: str) -> None:
        """Set what one point asks for."""
        styles = styles_of(self.layer)
        styles[number] = replace(styles[number], kind=kind)
        set_styles(self.layer, styles)
        self._dress(self.layer, [number])

    def remove(self, number: int) -> None:
        """Remove one point."""
        self.layer.selected_data = {number}
        self.layer.remove_selected()

    def predict_next(self) -> None:
        """Let points to come begin with the predicted color again."""
        self.predicts = True
        self._on_selected()

    def place_of(self, number: int | None) -> tuple[float, float] | None:
        """Row and column of a point in its image; of None, those of what is selected, if any."""
        layer: Layer = self.layer
        if number is None:
            layer = self.target
            chosen = [] if isinstance(layer, Labels) else sorted(layer.selected_data)
            if not chosen:
                return None
            number = chosen[0]
        if number >= len(layer.data):
            return None
        y, x = planar(np.atleast_2d(layer.data[number]), layer, self.image).mean(axis=0)
        return float(y), float(x)

    def _on_drawn(self, event: Any) -> None:
        """Complete a shape that was just drawn."""
        shapes = self._shapes
        if shapes is None or getattr(event, "action", None) != ActionType.ADDED:
            return
        last = len(shapes.data) - 1
        if self.only_here and last >= 0 and shapes.shape_type[last] in ("line", "path"):
            self._limit(shapes, [last], on=True)

    def _follow(self) -> None:
        for name in _GEOMETRY:
            setattr(self.layer, name, getattr(self.image, name))
        self._touch()

    def _on_removed(self, event: Any) -> None:
        if event.value is self._shapes:
            self.shapes = None
            self.selected.emit()
        if event.value is self._labels:
            self.labels = None
            self.selected.emit()
        if event.value is self.layer:
            self.close()
            self.closed.emit()

    def index_shown(self) -> tuple[int, ...]:
        """Position of the image shown along the axes before height and width."""
        if self.image.ndim == 2:
            return ()
        position = self.image.world_to_data(self.viewer.dims.point)
        return tuple(int(i) for i in np.rint(position[:-2]))

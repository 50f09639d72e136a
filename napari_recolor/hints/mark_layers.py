"""The layers that hold the hints of an image."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.utils.colormaps import DirectLabelColormap
from psygnal import Signal

from napari_recolor.hints.mark_styles import first_features, numbered
from napari_recolor.hints.marks import region_around, regions_of
from napari_recolor.hints.placing import cell_size, place_in, planar
from napari_recolor.hints.put_marks import MASKS
from recolor_core.hints import Region

FIRST_COLOR = "#c08040"
"""The color of the first mark, if none was predicted or chosen."""

GEOMETRY = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
"""What the layers have in common with their image."""


class MarkLayers:
    """The layers that hold the hints of an image.

    There is a Points layer, which may be hidden from the viewer. A Shapes layer and a Labels layer
    come when they are needed, or when the user chooses one. The layers that are made here lie where
    the image lies.

    Parameters
    ----------
    viewer : ViewerModel
        Gets the layers.
    image : Image
        The image, 2D or a stack of images along its leading axes; RGB or gray.
    points : Points, optional
        The layer of points; a new one if it is not given.

    Attributes
    ----------
    points : Points
        The layer of points. It is in the viewer after `show_points`, until the user removes it.
    replaced
        Emitted with the layer that no longer holds hints of the image and the layer that takes
        its place; either may be None.
    """

    replaced = Signal(object, object)

    def __init__(self, viewer: ViewerModel, image: Image, points: Points | None = None) -> None:
        self.viewer, self.image = viewer, image
        self._shapes: Shapes | None = None
        self._labels: Labels | None = None
        self._made: set[Layer] = set()
        self.points = self._new_points() if points is None else points

    # --- which layers there are -----------------------------------------------------------------

    @property
    def shapes(self) -> Shapes | None:
        """The layer of strokes and regions."""
        return self._shapes

    @shapes.setter
    def shapes(self, layer: Shapes | None) -> None:
        if layer is not None and not isinstance(layer, Shapes):
            raise TypeError(f"expected a Shapes layer for strokes and regions, got {layer!r}")
        before, self._shapes = self._shapes, layer
        self.replaced.emit(before, layer)

    @property
    def labels(self) -> Labels | None:
        """The layer of masks."""
        return self._labels

    @labels.setter
    def labels(self, layer: Labels | None) -> None:
        if layer is not None and not isinstance(layer, Labels):
            raise TypeError(f"expected a Labels layer for masks, got {layer!r}")
        before, self._labels = self._labels, layer
        self.replaced.emit(before, layer)

    @property
    def all(self) -> list[Layer]:
        """The layers that hold hints of the image, those that the user has removed left out."""
        points = self.points if self.points_shown else None
        return [x for x in (points, self._shapes, self._labels) if x is not None]

    @property
    def points_shown(self) -> bool:
        """Whether the layer of points is in the viewer: if not, its points are no hints."""
        return self.points in self.viewer.layers

    @property
    def target(self) -> Points | Shapes | Labels:
        """The layer that the user works on: the active one, or the points."""
        active = self.viewer.layers.selection.active
        if active is not None and active in (self._shapes, self._labels):
            return active
        return self.points

    def show_points(self) -> None:
        """Add the layer of points to the viewer, ready to add points."""
        if not self.points_shown:
            self.viewer.add_layer(self.points)
            self.points.mode = "add"

    def restore(self, points_shown: bool, shapes: Shapes | None, labels: Labels | None) -> None:
        """Bring back which layers held the hints.

        Layers that were removed come back to the viewer. Layers that were made here since then
        leave it; a layer that the user had made stays, but holds no hints any more.
        """
        viewer_layers = self.viewer.layers
        if points_shown:
            self.show_points()
        elif self.points_shown:
            viewer_layers.remove(self.points)
        for name, layer in (("shapes", shapes), ("labels", labels)):
            before = getattr(self, name)
            if before is layer:
                continue
            setattr(self, name, layer)
            if before in self._made and before in viewer_layers:
                viewer_layers.remove(before)
            if layer is not None and layer not in viewer_layers:
                viewer_layers.append(layer)

    def draw(self) -> Shapes:
        """Return the layer of strokes and regions, ready to draw polygons; make it if needed."""
        for _ in self.drawing():
            pass
        return self.own_shapes()

    def drawing(self) -> Iterator[None]:
        """Do what `draw` does, in steps that take about equally long."""
        shapes = self.own_shapes()
        yield
        shapes.mode = "add_polygon"
        self.viewer.layers.selection.active = shapes

    def finish_drawing(self) -> None:
        """End the drawing of a shape with the corners that it has; one with too few is dropped."""
        if self._shapes is not None and self._shapes._is_creating:
            self._shapes._finish_drawing()

    def paint(self) -> Labels:
        """Return the layer of masks, ready to paint; make it if needed."""
        for _ in self.painting():
            pass
        return self.own_labels()

    def painting(self) -> Iterator[None]:
        """Do what `paint` does, in steps that take about equally long.

        What napari draws over a Labels layer, such as the polygon that is being drawn, takes it
        longer to make than the layer; it makes each when it first becomes visible.
        """
        labels = self._labels
        if labels is None:
            labels = self._new_labels()
            yield
            later = [overlay for overlay in labels._overlays.values() if overlay.visible]
            for overlay in later:
                overlay.visible = False
            self._add_labels(labels)
            yield
            for overlay in later:
                overlay.visible = True
                yield
        labels.mode = "paint"
        self.viewer.layers.selection.active = labels

    def _new_points(self) -> Points:
        return Points(
            np.empty((0, self.image.ndim)),
            ndim=self.image.ndim,
            name="Color hints",
            size=2 * cell_size(self.image),  # a disk of about four cells
            face_color=FIRST_COLOR,
            border_color="white",
            border_width=0.15,
            canvas_size_limits=(12, 10000),  # small hints stay visible and can be grabbed
            **first_features(),
            **self._geometry(),
        )

    def own_shapes(self) -> Shapes:
        """Return the layer of strokes and regions; make it if needed."""
        if self._shapes is None:
            shapes = Shapes(
                ndim=self.image.ndim,
                name="Strokes and regions",
                edge_width=cell_size(self.image),
                edge_color=FIRST_COLOR,
                face_color=FIRST_COLOR,
                opacity=0.5,
                **first_features(),
                **self._geometry(),
            )
            self._made.add(shapes)
            self.shapes = self.viewer.add_layer(shapes)
        assert self._shapes is not None
        return self._shapes

    def own_labels(self) -> Labels:
        """Return the layer of masks; make it if needed."""
        if self._labels is None:
            self._add_labels(self._new_labels())
        assert self._labels is not None
        return self._labels

    def _new_labels(self) -> Labels:
        shape = self.image.data.shape[:-1] if self.image.rgb else self.image.data.shape
        labels = Labels(
            np.zeros(shape, np.uint8),
            name="Masks",
            colormap=DirectLabelColormap(color_dict={None: FIRST_COLOR, 0: "transparent"}),
            opacity=0.5,
            metadata={MASKS: True},
            **self._geometry(),
        )
        labels.brush_size = max(1, round(2 * cell_size(self.image)))
        return labels

    def _add_labels(self, labels: Labels) -> None:
        self._made.add(labels)
        self.labels = self.viewer.add_layer(labels)

    # --- where they are -------------------------------------------------------------------------

    def _geometry(self) -> dict[str, Any]:
        return {name: getattr(self.image, name) for name in GEOMETRY}

    def follow_image(self) -> None:
        """Put the points where the image is now."""
        for name, value in self._geometry().items():
            setattr(self.points, name, value)

    def index_shown(self) -> tuple[int, ...]:
        """Position of the image shown along the axes before height and width."""
        if self.image.ndim == 2:
            return ()
        position = self.image.world_to_data(self.viewer.dims.point)
        return tuple(int(i) for i in np.rint(position[:-2]))

    def slice_of(self, layer: Layer, index: tuple[int, ...]) -> tuple[int, ...]:
        """Where an image lies in a layer of marks, along the axes before height and width."""
        return place_in(layer, self.image, index, self.viewer.dims.point)

    def place_of(self, number: int | None) -> tuple[float, float] | None:
        """Row and column of a point in its image; of None, those of what is selected, if any."""
        layer: Layer = self.points
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

    # --- regions --------------------------------------------------------------------------------

    def selected_region(self) -> Region | None:
        """The region that is selected, or the only one; in pixels of the image shown."""
        shapes = self._shapes
        if shapes is None:
            return None
        known = regions_of(shapes, self.image, self.slice_of(shapes, self.index_shown()))
        chosen = [i for i in sorted(shapes.selected_data) if i in known]
        if chosen or len(known) == 1:
            return known[chosen[0] if chosen else next(iter(known))]
        return None

    def region_around(self, layer: Points | Shapes, number: int) -> int | None:
        """The smallest region around a mark.

        Parameters
        ----------
        layer : Points or Shapes
            The layer of the mark.
        number : int
            The position of the mark in its layer.

        Returns
        -------
        int or None
            The number of the region, for `mark_styles.Style.within`.
        """
        if self._shapes is None:
            return None
        vertices = np.atleast_2d(layer.data[number])
        index = self._index_of(layer, vertices[0])
        place = planar(vertices, layer, self.image).mean(axis=0)
        found = region_around(self._shapes, self.image, self.slice_of(self._shapes, index), place)
        return None if found is None else numbered(self._shapes)[found].number

    def _index_of(self, layer: Layer, place: Sequence[float]) -> tuple[int, ...]:
        """Position of the image that a place of a layer belongs to."""
        position = self.image.world_to_data(layer.data_to_world(place))
        return tuple(int(n) for n in np.rint(position[-self.image.ndim : -2]))

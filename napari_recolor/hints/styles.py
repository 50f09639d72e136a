"""What hints ask for: the color and the style of those selected, and of those to come."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Labels, Points, Shapes
from napari.utils.colormaps.standardize_color import transform_color
from psygnal import Signal

from napari_recolor.hints.mark_layers import FIRST_COLOR, MarkLayers
from napari_recolor.hints.mark_styles import (
    LIMIT,
    SYMBOLS,
    Style,
    label_kinds,
    next_style,
    set_label,
    set_next_style,
    set_styles,
    shown_color,
    styles_of,
)
from napari_recolor.hints.placing import hex_color, hex_rgba


class HintStyles:
    """Reads and sets what hints ask for.

    Parameters
    ----------
    layers : MarkLayers
        The layers that hold the hints.
    predicted : callable
        Takes a position of the world and gives the color that the networks predict there, or None.

    Attributes
    ----------
    predicts : bool
        Whether new points begin with the predicted color: until a color is chosen for them.
    only_here : bool
        Whether new points and strokes stay within the region around them.
    changed
        Emitted when the style of what is selected, or of the next hint, may be another.
    said
        Emitted with a sentence about what cannot be done.
    """

    changed = Signal()
    said = Signal(str)

    def __init__(
        self, layers: MarkLayers, predicted: Callable[[Sequence[float]], str | None]
    ) -> None:
        self._layers, self._predicted = layers, predicted
        self.predicts, self.only_here = True, False

    # --- of what is selected, or comes next -----------------------------------------------------

    @property
    def color(self) -> str:
        """``"#rrggbb"`` of the next hint; if it is set, selected hints take it, too."""
        target = self._layers.target
        if isinstance(target, Labels):
            color = target.get_color(target.selected_label)
            return FIRST_COLOR if color is None else hex_color(color)
        return hex_color(transform_color(target.current_face_color)[0])

    @color.setter
    def color(self, color: str) -> None:
        target = self._layers.target
        if isinstance(target, Labels):
            set_label(target, target.selected_label, "color", color)
        else:
            if self.style.kind != "color":
                self.set_style(kind="color")
            if isinstance(target, Shapes):
                target.current_edge_color = color
            target.current_face_color = color
            self.predicts = self.predicts and bool(target.selected_data)
        self.changed.emit()

    @property
    def style(self) -> Style:
        """The style of what is selected, or of the next hint if nothing is."""
        target = self._layers.target
        if isinstance(target, Labels):
            return Style(label_kinds(target).get(target.selected_label, "color"))
        chosen = sorted(target.selected_data)
        if chosen and chosen[0] < len(target.data):
            return styles_of(target)[chosen[0]]
        return replace(next_style(target), within=int(self.only_here))

    def set_style(self, **changes: Any) -> None:
        """Change what is selected, or the next hint if nothing is.

        Parameters
        ----------
        **changes
            ``kind`` and ``reach``, as of `mark_styles.Style`; ``only_here``, whether a hint stays
            within the region around it.
        """
        target = self._layers.target
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
        self.changed.emit()

    def predict_next(self) -> None:
        """Let points to come begin with the predicted color again."""
        self.predicts = True
        self.changed.emit()

    # --- of one point ---------------------------------------------------------------------------

    def recolor(self, number: int, color: str) -> None:
        """Give one point a color; the color of the next one stays."""
        points = self._layers.points
        styles = styles_of(points)
        if styles[number].kind != "color":
            styles[number] = replace(styles[number], kind="color")
            set_styles(points, styles)
            symbols = list(points.symbol)
            symbols[number] = SYMBOLS["color"]
            points.symbol = symbols
        faces = np.array(points.face_color)
        faces[number] = hex_rgba(color)
        points.face_color = faces

    def restyle(self, number: int, kind: str) -> None:
        """Set what one point asks for."""
        points = self._layers.points
        styles = styles_of(points)
        styles[number] = replace(styles[number], kind=kind)
        set_styles(points, styles)
        self._dress(points, [number])

    # --- of marks that were just added ----------------------------------------------------------

    def complete_points(self) -> list[int]:
        """Complete the points that were just added.

        napari leaves them selected. They no longer are afterwards: the color chosen for the next
        point would be their color, too.

        Returns
        -------
        list of int
            Their numbers.
        """
        points = self._layers.points
        added = [i for i in sorted(points.selected_data) if i < len(points.data)]
        points.selected_data = set()
        if not added:
            return added
        if self.only_here:
            self._limit(points, added, on=True)
        last = added[-1]
        if styles_of(points)[last].kind != "color":
            self._dress(points, added)
        elif self.predicts:
            color = self._predicted(points.data_to_world(points.data[last]))
            if color is not None:
                self.recolor(last, color)
        return added

    def complete_shape(self) -> None:
        """Complete the shape that was just drawn."""
        shapes = self._layers.shapes
        if shapes is None or not len(shapes.data) or not self.only_here:
            return
        last = len(shapes.data) - 1
        if shapes.shape_type[last] in ("line", "path"):
            self._limit(shapes, [last], on=True)

    # --- how they are shown ---------------------------------------------------------------------

    def _dress(self, target: Points | Shapes, chosen: Sequence[int]) -> None:
        """Show marks, or the next one if none is given, in the way of their kind."""
        if isinstance(target, Points):
            self._dress_points(target, chosen)
        elif chosen:
            styles = styles_of(target)
            color = hex_color(transform_color(target.current_edge_color)[0])
            faces, edges = np.array(target.face_color), np.array(target.edge_color)
            for i in chosen:
                faces[i] = edges[i] = hex_rgba(shown_color(styles[i].kind, color))
                faces[i, 3] = styles[i].kind != LIMIT
            target.face_color, target.edge_color = faces, edges
        else:
            kind = next_style(target).kind
            color = shown_color(kind, self.color)
            target.current_edge_color = color
            target.current_face_color = "transparent" if kind == LIMIT else color

    def _dress_points(self, points: Points, chosen: Sequence[int]) -> None:
        if not chosen:
            points.current_symbol = SYMBOLS.get(next_style(points).kind, "disc")
            return
        styles = styles_of(points)
        color = hex_color(transform_color(points.current_face_color)[0])
        faces, symbols = np.array(points.face_color), list(points.symbol)
        for i in chosen:
            faces[i] = hex_rgba(shown_color(styles[i].kind, color))
            symbols[i] = SYMBOLS.get(styles[i].kind, "disc")
        points.face_color, points.symbol = faces, symbols

    def _limit(self, target: Points | Shapes, chosen: Sequence[int], on: bool) -> None:
        """Keep marks within the region around each of them, or let them go."""
        styles = styles_of(target)
        for i in chosen:
            number = self._layers.region_around(target, i) if on else 0
            if number is None:
                self.said.emit(
                    "Only here: no region is around the hint. Draw one with “Draw shapes”; its "
                    "kind may be “only limits hints”."
                )
                number = 0
            styles[i] = replace(styles[i], within=number)
        if chosen and styles != styles_of(target):
            set_styles(target, styles)
        self.changed.emit()

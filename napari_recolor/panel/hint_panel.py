"""Color hints in the panel: each image has its own."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Shapes
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog

from napari_recolor.hints.hint_layer import HintLayer
from napari_recolor.hints.mark_layers import MarkLayers
from napari_recolor.hints.owner import layers_left
from napari_recolor.hints.placing import color_at
from napari_recolor.hints.values import NOTHING
from napari_recolor.panel.controls import Controls
from napari_recolor.panel.parts import show_color
from napari_recolor.runs.layers import is_result
from napari_recolor.runs.palette import palette_text
from napari_recolor.turns import Turns
from napari_recolor.views.gl_context import draw_later
from recolor_core.errors import RecolorError


class HintPanel(QObject):
    """Wires the controls for hints to the hint layers of the image that is chosen.

    Parameters
    ----------
    viewer : ViewerModel
        Gets the hint layers.
    controls : Controls
        With the buttons and menus.
    parent : QObject, optional
        Of the object.
    """

    changed = Signal(object)
    """Emitted with a `HintLayer` whose hints have changed."""
    opened = Signal()
    """Emitted when a hint layer came or went."""
    placed = Signal(object, int)
    """Emitted with a `HintLayer` and the number of a point that was just added to it."""
    selected = Signal()
    """Emitted when another hint, region or layer is selected."""
    said = Signal(str)
    """A sentence that says what was done."""

    def __init__(
        self, viewer: ViewerModel, controls: Controls, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.viewer, self._controls = viewer, controls
        self._of: dict[Image, HintLayer] = {}
        self._turns: Turns | None = None  # what is being opened
        self._image: Image | None = None
        controls.hints.clicked.connect(self.add)
        controls.draw.clicked.connect(self._draw)
        controls.paint.clicked.connect(self._paint)
        controls.eyedropper.toggled.connect(self._use_eyedropper)
        controls.strokes.activated.connect(self._choose_strokes)
        controls.kind.activated.connect(self._choose_kind)
        controls.reach.valueChanged.connect(self._choose_reach)
        controls.only_here.toggled.connect(self._choose_only_here)
        controls.palette_of.activated.connect(self._take_palette)
        controls.load_hints.clicked.connect(self._load)
        controls.save_hints.clicked.connect(self._save)
        self._take_up_left()

    @property
    def current(self) -> HintLayer | None:
        """The hint layer of the chosen image."""
        return self.of(self._image)

    def of(self, image: Any) -> HintLayer | None:
        """The hints of an image; None if it has no layer of hints."""
        hint_layer = self._of.get(image)
        return hint_layer if hint_layer is not None and hint_layer.layers else None

    def image_of(self, layer: Any) -> Image | None:
        """Return the image that a layer of hints belongs to; None if it is no such layer."""
        hinted = self._of.items()
        return next((image for image, hints in hinted if layer in hints.layers), None)

    def states(self) -> dict[Image, Any]:
        """The hints of all images, to be compared and restored."""
        return {image: hint_layer.state() for image, hint_layer in self._of.items()}

    def restore(self, states: dict[Image, Any]) -> None:
        """Bring back what `states` gave, of the images that are still there."""
        for image, hint_layer in self._of.items():
            hint_layer.restore(states.get(image, NOTHING))
        self.enable()

    def choose(self, image: Any) -> None:
        """Show the hints of another image in the controls."""
        if image is self._image:
            return
        if self.current is not None:
            self.current.eyedropper.on = False
        self._image = image if isinstance(image, Image) else None
        self.enable()

    def add(self) -> HintLayer | None:
        """Add a layer of points for the hints of the chosen image, unless it has one.

        Returns
        -------
        HintLayer or None
            The hints of the chosen image; None if none is chosen.
        """
        image = self._image
        if image is None:
            return None
        hint_layer = self._of.get(image)
        if hint_layer is not None and hint_layer.marks.points_shown:
            return hint_layer
        draw_later(self._controls.window())
        if hint_layer is None:
            hint_layer = self._open(image)
        else:
            hint_layer.reopen()
        self._on_layers()
        return hint_layer

    def _take_up_left(self) -> None:
        """Follow the hints that an earlier panel of this viewer left."""
        for image in list(self.viewer.layers):
            if isinstance(image, Image) and (left := layers_left(self.viewer.layers, image)):
                self._open(image, left)

    def _open(self, image: Image, kept: Sequence[Layer] = ()) -> HintLayer:
        hint_layer = self._of[image] = HintLayer(self.viewer, image, self._predicted, kept)
        hint_layer.changed.connect(partial(self._tell, hint_layer))
        hint_layer.layers_changed.connect(self._on_layers)
        hint_layer.closed.connect(partial(self._on_closed, image))
        hint_layer.eyedropper.changed.connect(self._on_eyedropper)
        hint_layer.selected.connect(self._show_style)
        hint_layer.placed.connect(partial(self._on_placed, hint_layer))
        hint_layer.said.connect(self._say)
        return hint_layer

    def finish_drawing(self) -> None:
        """End the drawing of a shape with the corners that it has; one with too few is dropped."""
        for hint_layer in self._of.values():
            hint_layer.marks.finish_drawing()

    def enable(self) -> None:
        """Enable what can be used."""
        controls, current = self._controls, self.current
        hinted, points = current is not None, current is not None and current.marks.points_shown
        controls.hints.setEnabled(self._image is not None and not points)
        controls.eyedropper.setEnabled(points)
        for control in (controls.draw, controls.paint, controls.load_hints, controls.strokes):
            control.setEnabled(self._image is not None)
        for control in (
            *(controls.color, controls.kind, controls.save_hints),
            *(controls.reach, controls.only_here),
        ):
            control.setEnabled(hinted)
        self._show_style()

    def close(self) -> None:
        """Watch no more; the layers stay where they are."""
        if self._turns is not None:
            self._turns.stop()
        for hint_layer in self._of.values():
            hint_layer.close()
        self._of.clear()

    def _predicted(self, position: Any) -> str | None:
        return color_at(self.viewer, position, is_result)

    def _tell(self, hint_layer: HintLayer) -> None:
        self.changed.emit(hint_layer)

    def _on_placed(self, hint_layer: HintLayer, number: int) -> None:
        self.placed.emit(hint_layer, number)

    def _say(self, text: str) -> None:
        self.said.emit(text)

    def _on_eyedropper(self, on: bool) -> None:
        self._controls.eyedropper.setChecked(on)

    def _on_closed(self, image: Image) -> None:
        hint_layer = self._of.pop(image, None)
        self._on_layers()
        if hint_layer is not None and hint_layer.layers:
            self.said.emit(
                f"“{image.name}” was removed. Its hints are still layers, but they color nothing."
            )

    def _on_layers(self) -> None:
        """Note that a layer of hints came or went."""
        self.enable()
        self.opened.emit()

    def _use_eyedropper(self, on: bool) -> None:
        if self.current is not None:
            self.current.eyedropper.on = on

    # --- strokes, regions and masks -------------------------------------------------------------

    def _draw(self) -> None:
        self._turns = Turns(self._opening(MarkLayers.drawing), self)

    def _paint(self) -> None:
        self._turns = Turns(self._opening(MarkLayers.painting), self)

    def _opening(self, open_layer: Callable[[MarkLayers], Iterator[None]]) -> Iterator[None]:
        """Add layers for the chosen image, each step and each drawing in a turn of its own."""
        hint_layer = self.add()
        yield
        yield
        if hint_layer is not None:
            steps = open_layer(hint_layer.marks)
            while hint_layer.image in self.viewer.layers:
                draw_later(self._controls.window())
                if next(steps, self) is self:
                    return
                yield  # the canvas is drawn in the next turn
                yield

    def _choose_strokes(self, _: Any = None) -> None:
        """Take the marks of a layer that the user has made, or of none."""
        layer, hint_layer = self._controls.strokes.currentData(), self.add()
        if hint_layer is None:
            return
        if layer is None:
            hint_layer.shapes = hint_layer.labels = None
        elif isinstance(layer, Shapes):
            hint_layer.shapes = layer
        elif isinstance(layer, Labels):
            hint_layer.labels = layer

    def _choose_kind(self, _: Any = None) -> None:
        if self.current is not None:
            self.current.styles.set_style(kind=self._controls.kind.currentData())

    def _choose_reach(self, reach: float) -> None:
        if self.current is not None:
            self.current.styles.set_style(reach=round(reach, 2))

    def _choose_only_here(self, on: bool) -> None:
        if self.current is not None:
            self.current.styles.set_style(only_here=on)

    def _show_style(self) -> None:
        """Show in the controls what is selected, or what the next hint will be."""
        self.selected.emit()
        controls, hint_layer = self._controls, self.current
        if hint_layer is None:
            show_color(controls.color, None)
            return
        style, labels = hint_layer.styles.style, isinstance(hint_layer.marks.target, Labels)
        for control in (controls.kind, controls.reach, controls.only_here):
            control.blockSignals(True)
        controls.kind.setCurrentIndex(max(0, controls.kind.findData(style.kind)))
        controls.reach.setValue(style.reach)
        controls.only_here.setChecked(bool(style.within))
        for control in (controls.kind, controls.reach, controls.only_here):
            control.blockSignals(False)
        for control in (controls.reach, controls.only_here):
            control.setEnabled(not labels)
        predicts = hint_layer.styles.predicts and hint_layer.marks.target is hint_layer.layer
        selected = not labels and bool(hint_layer.marks.target.selected_data)
        show_color(controls.color, "" if predicts and not selected else hint_layer.styles.color)

    # --- palette and files ------------------------------------------------------------------------

    def _take_palette(self, _: Any = None) -> None:
        reference = self._controls.palette_of.currentData()
        if reference is not None:
            self._controls.palette.setText(palette_text(reference))

    def _load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self._controls, "Color hints", self._folder(), "Hints (*.json)"
        )
        hint_layer = self.add() if path else None
        if hint_layer is not None:
            try:
                hint_layer.load(path)
            except RecolorError as error:
                show_error(str(error))
            else:
                self.opened.emit()
                self.said.emit(f"Loaded the hints of {path}.")

    def _save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self._controls, "Color hints", self._folder("hints.json"), "Hints (*.json)"
        )
        if not path or self.current is None:
            return
        file = Path(path)
        if file.suffix != ".json":  # Load offers no others
            file = file.with_name(f"{file.name}.json")
            if file.exists():  # the dialog has asked about another name
                self._not_saved(f"{file} exists: type {file.name} to replace it, or another name.")
                return
        try:
            count = len(self.current.values())
            self.current.save(file)
        except (OSError, RecolorError) as error:
            self._not_saved(str(error))
        else:
            self.said.emit(f"Saved {count} hint{'' if count == 1 else 's'} to {file}.")

    def _not_saved(self, reason: str) -> None:
        self.said.emit(f"Not saved: {reason}")
        show_error(reason)

    def _folder(self, name: str = "") -> str:
        """Return the path of a file beside the image, or its name if the folder is unknown."""
        path = None if self._image is None else self._image.source.path
        if path is None:
            return name
        stem = f"{Path(path).stem}.{name}" if name else ""
        return str(Path(path).with_name(stem) if stem else Path(path).parent)

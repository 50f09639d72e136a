"""Color hints in the panel: each image has its own."""

from functools import partial
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog

from napari_recolor.controls import Controls
from napari_recolor.hints import SIZE, HintLayer
from napari_recolor.palette import palette_text
from recolor_core.errors import RecolorError


class HintPanel(QObject):
    """Wires the controls for hints to the hint layer of the image that is chosen.

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
    said = Signal(str)
    """A sentence that says what was done."""

    def __init__(
        self, viewer: ViewerModel, controls: Controls, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.viewer, self._controls = viewer, controls
        self._of: dict[Image, HintLayer] = {}
        self._image: Image | None = None
        self._size = SIZE
        controls.hints.clicked.connect(self.add)
        controls.eyedropper.toggled.connect(self._use_eyedropper)
        controls.strokes.currentIndexChanged.connect(self._choose_strokes)
        controls.reference.activated.connect(self._take_palette)
        controls.load_hints.clicked.connect(self._load)
        controls.save_hints.clicked.connect(self._save)

    @property
    def current(self) -> HintLayer | None:
        """The hint layer of the chosen image."""
        return None if self._image is None else self._of.get(self._image)

    def of(self, image: Any) -> HintLayer | None:
        """The hint layer of an image."""
        return self._of.get(image)

    @property
    def size(self) -> int:
        """The working size that strokes are taken for."""
        return self._size

    @size.setter
    def size(self, size: int) -> None:
        self._size = size
        for hint_layer in self._of.values():
            hint_layer.size = size

    def states(self) -> dict[Image, Any]:
        """The hints of all images, to be compared and restored."""
        return {image: hint_layer.state() for image, hint_layer in self._of.items()}

    def restore(self, states: dict[Image, Any]) -> None:
        """Bring back what `states` gave, of the hint layers that are still there."""
        for image, state in states.items():
            if image in self._of:
                self._of[image].restore(state)

    def choose(self, image: Any) -> None:
        """Show the hints of another image in the controls."""
        if image is self._image:
            return
        if self.current is not None:
            self.current.eyedropper = False
        self._image = image if isinstance(image, Image) else None
        strokes = None if self.current is None else self.current.strokes
        menu = self._controls.strokes
        blocked = menu.blockSignals(True)
        index = next((i for i in range(menu.count()) if menu.itemData(i) is strokes), 0)
        menu.setCurrentIndex(index)
        menu.blockSignals(blocked)
        self.enable()

    def add(self) -> None:
        """Add a hint layer to the chosen image."""
        image = self._image
        if image is None or image in self._of:
            return
        hint_layer = self._of[image] = HintLayer(self.viewer, image)
        hint_layer.size = self._size
        hint_layer.changed.connect(partial(self._tell, hint_layer))
        hint_layer.closed.connect(partial(self._on_closed, image))
        hint_layer.eyedropper_changed.connect(self._on_eyedropper)
        self.enable()
        self.opened.emit()

    def enable(self) -> None:
        """Enable what can be used."""
        controls, hinted = self._controls, self.current is not None
        controls.hints.setEnabled(self._image is not None and not hinted)
        for control in (
            controls.eyedropper,
            controls.strokes,
            controls.load_hints,
            controls.save_hints,
        ):
            control.setEnabled(hinted)

    def close(self) -> None:
        """Watch no more; the layers stay where they are."""
        for hint_layer in self._of.values():
            hint_layer.close()
        self._of.clear()

    def _tell(self, hint_layer: HintLayer) -> None:
        self.changed.emit(hint_layer)

    def _on_eyedropper(self, on: bool) -> None:
        self._controls.eyedropper.setChecked(on)

    def _on_closed(self, image: Image) -> None:
        self._of.pop(image, None)
        self.enable()
        self.opened.emit()

    def _use_eyedropper(self, on: bool) -> None:
        if self.current is not None:
            self.current.eyedropper = on

    def _choose_strokes(self, _: Any = None) -> None:
        if self.current is not None:
            self.current.strokes = self._controls.strokes.currentData()

    def _take_palette(self, _: Any = None) -> None:
        reference = self._controls.reference.currentData()
        if reference is not None:
            self._controls.palette.setText(palette_text(reference))

    def _load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self._controls, "Color hints", self._folder(), "Hints (*.json)"
        )
        if path and self.current is not None:
            try:
                self.current.load(path)
            except RecolorError as error:
                show_error(str(error))
            else:
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
        count = len(self.current.values())
        try:
            self.current.save(file)
        except (OSError, RecolorError) as error:
            reason = getattr(error, "strerror", None) or error
            show_error(f"{file} could not be written: {reason}. Choose another folder.")
        else:
            self.said.emit(f"Saved {count} hint{'' if count == 1 else 's'} to {file}.")

    def _folder(self, name: str = "") -> str:
        """Return the path of a file beside the image, or its name if the folder is unknown."""
        path = None if self._image is None else self._image.source.path
        if path is None:
            return name
        stem = f"{Path(path).stem}.{name}" if name else ""
        return str(Path(path).with_name(stem) if stem else Path(path).parent)

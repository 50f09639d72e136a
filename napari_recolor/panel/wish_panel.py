"""Reference images in the panel: each image has its own, and its own alternative."""

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Points
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog

from napari_recolor.panel.controls import Controls
from napari_recolor.panel.parts import CHOOSE_FILE
from napari_recolor.runs.events import Found
from napari_recolor.runs.runner import Runner
from napari_recolor.runs.wishes import ColorImage, Wishes

IMAGES = "Images (*.tif *.tiff *.png *.jpg *.jpeg *.webp *.bmp *.jp2);;All files (*)"


class WishPanel(QObject):
    """Keeps what is asked for each image beside hints, and wires the controls for references.

    Parameters
    ----------
    viewer : ViewerModel
        Gets the layers of matches.
    controls : Controls
        With the buttons and menus.
    runner : Runner
        With the finished runs, which say what was found in the references.
    parent : QObject, optional
        Of the object.
    """

    changed = Signal()
    """Emitted when what is asked for the chosen image has changed, and can be seen at once."""
    chosen = Signal()
    """Emitted when another image is chosen."""
    shown = Signal()
    """Emitted when the controls show what is asked for the chosen image."""
    said = Signal(str)
    """A sentence that says what is to be done."""

    def __init__(
        self,
        viewer: ViewerModel,
        controls: Controls,
        runner: Runner,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer, self._controls, self._runner = viewer, controls, runner
        self._of: dict[Image, Wishes] = {}
        self._image: Image | None = None
        self._trying: Wishes | None = None  # shown, but not taken
        self._numbers = count(1)
        controls.like.activated.connect(self._add_reference)
        controls.clear_like.clicked.connect(self._clear_references)
        controls.color_from.activated.connect(self._choose_color_from)
        controls.matches.clicked.connect(self._show_matches)

    @property
    def current(self) -> Wishes:
        """What is asked for the chosen image, with the alternative that is only looked at."""
        return self._trying or self.taken

    @property
    def taken(self) -> Wishes:
        """What is asked for the chosen image."""
        return Wishes() if self._image is None else self._of.get(self._image, Wishes())

    @property
    def trying(self) -> bool:
        """Whether an alternative is only looked at."""
        return self._trying is not None

    def of(self, image: Any) -> Wishes:
        """Return what is asked for an image."""
        return self.current if image is self._image else self._of.get(image, Wishes())

    def states(self) -> dict[Image, Wishes]:
        """Return what is asked for all images, to be compared and restored."""
        return {image: wishes for image, wishes in self._of.items() if wishes != Wishes()}

    def restore(self, states: dict[Image, Wishes]) -> None:
        """Bring back what `states` gave."""
        before = self.current
        self._trying, self._of = None, dict(states)
        self._show()
        if self.current != before:
            self.changed.emit()

    def choose(self, image: Any) -> None:
        """Show the wishes for another image in the controls."""
        if image is self._image:
            return
        self._trying = None
        self._image = image if isinstance(image, Image) else None
        self._show()
        self.chosen.emit()

    def forget(self, image: Any) -> None:
        """Let go of an image that was removed."""
        self._of.pop(image, None)

    def put(self, wishes: Wishes) -> None:
        """Set what is asked for the chosen image."""
        if self._image is not None:
            self._trying = None
            self._of[self._image] = wishes
            self._show()
            self.changed.emit()

    def look_at(self, wishes: Wishes | None) -> None:
        """Show what the chosen image would be with other wishes; None: show what was taken."""
        self._trying = wishes
        self.changed.emit()

    # --- references -------------------------------------------------------------------------------

    def _add_reference(self, _: Any = None) -> None:
        image = self._chosen(self._controls.like)
        self._controls.like.setCurrentIndex(0)
        if image is not None:
            self.put(replace(self.taken, references=(*self.taken.references, image)))

    def _clear_references(self) -> None:
        self.put(replace(self.taken, references=()))

    def _choose_color_from(self, _: Any = None) -> None:
        image, before = self._chosen(self._controls.color_from, whole=True), self.taken.color_from
        self.put(replace(self.taken, color_from=image))
        if image is not None:
            self.said.emit("Press Colorize to put the color of that image on the gray of this one.")
        elif before is not None:
            self.said.emit("Press Colorize to let the networks choose the colors again.")

    def _chosen(self, menu: Any, whole: bool = False) -> ColorImage | None:
        """What is chosen in a menu of color images.

        Parameters
        ----------
        menu : QComboBox
            The menu.
        whole : bool
            Whether a stack counts as a whole if it has an image for each of the chosen stack; if
            not, its first image counts.
        """
        data = menu.currentData()
        if data == CHOOSE_FILE:
            path, _ = QFileDialog.getOpenFileName(
                self._controls, "Image in color", self._folder(), IMAGES
            )
            return ColorImage(Path(path).name, path) if path else None
        if not isinstance(data, Image):
            return None
        levels = data.data[0] if data.multiscale else data.data
        leading = tuple(int(length) for length in levels.shape[:-3])
        if whole and leading and leading == self._leading():
            part = "[0]" * bool(data.multiscale)
            number = next(self._numbers)
            return ColorImage(data.name, rgb=levels, number=number, part=part, leading=leading)
        rgb = np.array(levels[(0,) * len(leading)])
        part = "[0]" * (len(leading) + bool(data.multiscale))
        return ColorImage(data.name, rgb=rgb, number=next(self._numbers), part=part)

    def _leading(self) -> tuple[int, ...]:
        """Lengths of the axes before height and width of the chosen image."""
        image = self._image
        if image is None:
            return ()
        shape = (image.data[0] if image.multiscale else image.data).shape
        return tuple(int(length) for length in shape[: len(shape) - (3 if image.rgb else 2)])

    def _folder(self) -> str:
        path = None if self._image is None else self._image.source.path
        return "" if path is None else str(Path(path).parent)

    # --- what was found -------------------------------------------------------------------------

    def show_found(self) -> None:
        """Say what the last run has found in the references."""
        run = self._runner.last_of(self._image)
        if run is not None and run.finished:
            self._tell(run.stages.matches.get(self._runner.finished_index(run), ()))

    def _tell(self, found: tuple[Found, ...]) -> None:
        known = {one.name: one.words for one in found}
        names = [image.name for image in self.taken.references]
        lines = [f"{name}: {known.get(name, 'not looked at yet')}" for name in names]
        self._controls.likes.setText("\n".join(lines))
        for control in (self._controls.likes, self._controls.clear_like):
            control.setVisible(bool(names))
        self._controls.matches.setVisible(any(len(one.places) for one in found))

    def _show_matches(self) -> None:
        """Add a layer of points for the matches of the image shown with each reference."""
        run = self._runner.last_of(self._image)
        if run is None or not run.finished:
            return
        index, (rows, columns) = self._runner.finished_index(run), run.request.region
        for one in run.stages.matches.get(index, ()):
            if len(one.places):
                yx = one.places[:, ::-1] + (rows.start, columns.start)
                points = Points(
                    np.concatenate((np.tile(index, (len(yx), 1)), yx), axis=1),
                    name=f"Matches with {one.name}",
                    size=min(run.request.size) / 60,
                    face_color=one.colors,
                    border_width=0,
                    opacity=0.8,
                    **run.geometry.arguments,
                )
                self.viewer.add_layer(points)

    def _show(self) -> None:
        """Show what is asked for in the controls."""
        menu, image = self._controls.color_from, self.taken.color_from
        blocked = menu.blockSignals(True)
        for i in reversed(range(menu.count())):  # files of before
            if isinstance(menu.itemData(i), ColorImage):
                menu.removeItem(i)
        if image is not None:
            menu.insertItem(1, image.name, image)
        menu.setCurrentIndex(0 if image is None else 1)
        menu.blockSignals(blocked)
        self._tell(())
        self.shown.emit()

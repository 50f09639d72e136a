"""Reference images and alternatives in the panel: each image has its own."""

from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Points
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog

from napari_recolor.controls import Controls
from napari_recolor.events import Failure, Found
from napari_recolor.jobs import Job, JobQueue
from napari_recolor.options import Options
from napari_recolor.parts import CHOOSE_FILE
from napari_recolor.reading import Index
from napari_recolor.run import Run
from napari_recolor.wishes import ColorImage, Draw, Part, Wishes
from napari_recolor.worker import alternatives
from recolor_core.hints import Area, Mark

ALTERNATIVES = 6
"""How many alternatives the strip shows beside the coloring itself."""

IMAGES = "Images (*.tif *.tiff *.png *.jpg *.jpeg *.webp *.bmp *.jp2);;All files (*)"


class WishPanel(QObject):
    """Wires the controls for references and alternatives to what is asked for the chosen image.

    Parameters
    ----------
    viewer : ViewerModel
        Gets the layers of matches.
    controls : Controls
        With the buttons, menus and the strip.
    queue : JobQueue
        Makes the alternatives.
    parent : QObject, optional
        Of the object.
    """

    changed = Signal()
    """Emitted when what is asked for the chosen image has changed, and can be seen at once."""
    said = Signal(str)
    """A sentence that says what was done or what is to be done."""
    wanted = Signal()
    """Emitted when the strip needs new images: answer with `make`."""

    def __init__(
        self,
        viewer: ViewerModel,
        controls: Controls,
        queue: JobQueue,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer, self._controls, self._queue = viewer, controls, queue
        self._of: dict[Image, Wishes] = {}
        self._image: Image | None = None
        self._trying: Wishes | None = None  # shown, but not taken
        self._region: Area | None = None  # the one that is selected
        self._seed, self._numbers = 0, count(1)
        self._job: Job | None = None
        self._made: tuple[Any, ...] = ()  # what the strip shows
        controls.like.activated.connect(self._add_reference)
        controls.clear_like.clicked.connect(self._clear_references)
        controls.color_from.activated.connect(self._choose_color_from)
        controls.gallery.shown.connect(self._try)
        controls.gallery.taken.connect(self._take)
        controls.alternatives_of.activated.connect(self._on_mode)
        controls.more_alternatives.clicked.connect(self._draw_others)
        controls.strip.title.toggled.connect(self._on_opened)

    @property
    def current(self) -> Wishes:
        """What is asked for the chosen image, with the alternative that is only looked at."""
        return self._trying or self.taken

    @property
    def taken(self) -> Wishes:
        """What is asked for the chosen image."""
        return Wishes() if self._image is None else self._of.get(self._image, Wishes())

    def of(self, image: Any) -> Wishes:
        """What is asked for an image."""
        return self.current if image is self._image else self._of.get(image, Wishes())

    def states(self) -> dict[Image, Wishes]:
        """What is asked for all images, to be compared and restored."""
        return {image: wishes for image, wishes in self._of.items() if wishes != Wishes()}

    def restore(self, states: dict[Image, Wishes]) -> None:
        """Bring back what `states` gave."""
        self._trying, self._of = None, dict(states)
        self._show()
        self.changed.emit()

    def choose(self, image: Any) -> None:
        """Show the wishes for another image in the controls."""
        if image is self._image:
            return
        self._trying = None
        self._image = image if isinstance(image, Image) else None
        self._made = ()
        self._controls.gallery.clear()
        self._show()
        if self._open:
            self.wanted.emit()

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

    # --- references -------------------------------------------------------------------------------

    def _add_reference(self, _: Any = None) -> None:
        image = self._chosen(self._controls.like)
        self._controls.like.setCurrentIndex(0)
        if image is not None:
            self.put(replace(self.taken, references=(*self.taken.references, image)))

    def _clear_references(self) -> None:
        self.put(replace(self.taken, references=()))

    def _choose_color_from(self, _: Any = None) -> None:
        image = self._chosen(self._controls.color_from, whole=True)
        self.put(replace(self.taken, color_from=image))
        if image is not None:
            self.said.emit("Press Colorize to put the color of that image on the gray of this one.")

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

    def show_found(self, found: tuple[Found, ...]) -> None:
        """Say what was found in the references."""
        known = {one.name: one.words for one in found}
        names = [image.name for image in self.taken.references]
        lines = [f"{name}: {known.get(name, 'not looked at yet')}" for name in names]
        self._controls.likes.setText("\n".join(lines))
        for control in (self._controls.likes, self._controls.clear_like):
            control.setVisible(bool(names))
        self._controls.matches.setVisible(any(len(one.places) for one in found))

    def show_matches(self, run: Run, index: Index, found: tuple[Found, ...]) -> None:
        """Add a layer of points for the matches of an image with each reference."""
        rows, columns = run.request.region
        for one in found:
            if len(one.places):
                yx = one.places[:, ::-1] + (rows.start, columns.start)
                data = np.concatenate((np.tile(index, (len(yx), 1)), yx), axis=1)
                side = min(run.request.size)
                self.viewer.add_layer(
                    Points(
                        data,
                        name=f"Matches with {one.name}",
                        size=side / 60,
                        face_color=one.colors,
                        border_width=0,
                        opacity=0.8,
                        **run.geometry.arguments,
                    )
                )

    # --- alternatives -----------------------------------------------------------------------------

    @property
    def _open(self) -> bool:
        return bool(self._controls.strip.title.isChecked())

    @property
    def _mode(self) -> str:
        return str(self._controls.alternatives_of.currentData())

    def select_region(self, region: Area | None) -> None:
        """Note which region is selected, in pixels of the image that is colorized."""
        if region == self._region:
            return
        self._region = region
        if self._open and self._mode == "drawn":
            self.wanted.emit()

    def make(self, run: Run, hints: list[Mark], options: Options) -> None:
        """Make the images of the strip, unless it shows them.

        Parameters
        ----------
        run : Run
            The last run of the chosen image.
        hints : list of Mark
            In pixels of what is colorized.
        options : Options
            How to colorize.
        """
        if not self._open:
            return
        region = self._region if self._mode == "drawn" else None
        if self._mode != "whole" and self._region is None:
            self.said.emit("Select a region first: press “Draw shapes”, and draw around a thing.")
            return
        plain = replace(options, wishes=Wishes(options.wishes.references))
        wanted = (run.id, tuple(hints), plain, self._seed, region)
        if wanted == self._made:
            return
        (index,) = run.request.indices
        draw = Draw(ALTERNATIVES, self._seed)
        work = partial(
            alternatives,
            options=plain,
            stages=run.stages,
            index=index,
            hints=hints,
            draw=draw,
            region=region,
        )
        job = self._job = Job(work, partial(self._on_made, wanted))
        job.on_end = partial(self._on_end, job)
        self._controls.gallery.wait(ALTERNATIVES + 1)
        self._queue.submit(job)

    def _on_made(self, made: tuple[Any, ...], event: list[NDArray[Any]] | Failure | None) -> None:
        if isinstance(event, Failure):
            self.said.emit(f"Failed: {event.message}")
        elif event is not None:
            self._made = made
            names = ["likeliest", *map(str, range(1, len(event)))]
            self._controls.gallery.fill(event, names)
            self._mark()

    def _on_end(self, job: Job) -> None:
        if self._job is job:  # it failed, or something newer ended it
            self._controls.gallery.ready()

    def _draw_others(self) -> None:
        self._seed += 1
        self._controls.gallery.choose(-1)
        self.wanted.emit()

    def _on_mode(self, _: Any = None) -> None:
        self._controls.gallery.choose(-1)
        if self._open:
            self.wanted.emit()

    def _on_opened(self, on: bool) -> None:
        if on:
            self.wanted.emit()
        elif self._trying is not None:  # looked at, not taken
            self._trying = None
            self._mark()
            self.changed.emit()

    def _wish_for(self, number: int) -> Wishes:
        draw = Draw(ALTERNATIVES, self._seed, number)
        if self._mode == "whole":
            return replace(self.taken, draw=draw if number else Draw(), parts=())
        if self._region is None:
            return self.taken
        part = Part(self._region, draw, limited=self._mode == "drawn")
        return replace(self.taken, parts=(*self.taken.parts, part))

    def _try(self, number: int) -> None:
        wishes = self._wish_for(number)
        if wishes != self.current:
            self._trying = wishes
            self.said.emit("A double click, or Enter, takes it.")
            self.changed.emit()

    def _take(self, number: int) -> None:
        wishes = self._wish_for(number)
        if self._mode != "whole" and self._region is None:
            return
        self.put(wishes)
        self.said.emit("Taken. Undo (Ctrl+Z) brings back what was before.")

    def _mark(self) -> None:
        """Mark the alternative that is asked for."""
        draw = self.taken.draw
        if self._trying is None and self._mode == "whole":
            same = draw.seed == self._seed or not draw.number
            self._controls.gallery.choose(draw.number if same else -1)

    def _show(self) -> None:
        """Show what is asked for in the controls."""
        self._mark()
        menu, image = self._controls.color_from, self.taken.color_from
        blocked = menu.blockSignals(True)
        for i in reversed(range(menu.count())):  # files of before
            if isinstance(menu.itemData(i), ColorImage):
                menu.removeItem(i)
        if image is not None:
            menu.insertItem(1, image.name, image)
        menu.setCurrentIndex(0 if image is None else 1)
        menu.blockSignals(blocked)
        self.show_found(())

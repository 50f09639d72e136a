"""Chooses the color of a hint in a small window beside it."""

from functools import partial

from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QCursor

from napari_recolor.color_popover import ColorPopover
from napari_recolor.controls import Controls
from napari_recolor.events import Failure, Likely
from napari_recolor.hint_panel import HintPanel
from napari_recolor.hints import HintLayer
from napari_recolor.jobs import Job, JobQueue
from napari_recolor.run import Run
from napari_recolor.worker import likely


class ColorChooser(QObject):
    """Opens the window with colors at a hint, and gives the hint the color that is chosen.

    Parameters
    ----------
    controls : Controls
        With the button that opens the window for what is selected.
    hints : HintPanel
        Whose hints get the colors.
    queue : JobQueue
        Asks the generator.
    parent : QObject, optional
        Of the object.
    """

    wanted = Signal(object, float, float)
    """Emitted with a `HintLayer` and x and y of a hint, in pixels of its image: answer with
    `look`."""

    def __init__(
        self,
        controls: Controls,
        hints: HintPanel,
        queue: JobQueue,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._controls, self._queue = controls, queue
        self._hints = hints
        self._of: tuple[HintLayer, int | None] | None = None  # None: what is selected, or the next
        self.popover = ColorPopover(controls)
        self.popover.chosen.connect(self._choose)
        self.popover.asked.connect(self._ask)
        hints.placed.connect(self._on_placed)
        hints.selected.connect(self._on_selected)
        controls.color.clicked.connect(self._on_button)

    def look(self, run: Run | None, x: float, y: float) -> None:
        """Show the likeliest colors of a place.

        Parameters
        ----------
        run : Run or None
            The last run of the image; without one, nothing is known.
        x, y : float
            In pixels of the image.
        """
        rows, columns = (slice(0, 0), slice(0, 0)) if run is None else run.request.region
        inside = rows.start <= y < rows.stop and columns.start <= x < columns.stop
        if run is None or not inside or not run.finished:
            self.popover.show_likely([], 60)
            return
        work = partial(
            likely,
            options=run.options,
            stages=run.stages,
            index=run.finished[0] if len(run.finished) == 1 else self._index(run),
            place=(x - columns.start, y - rows.start),
        )
        self._queue.submit(Job(work, self._on_found, keeps=True))

    def close(self) -> None:
        """Close the window."""
        self.popover.close()

    def _index(self, run: Run) -> tuple[int, ...]:
        shown = self._of[0].index_shown() if self._of is not None else ()
        return shown if shown in run.finished else run.finished[0]

    def _on_found(self, event: Likely | Failure | None) -> None:
        if isinstance(event, Likely):
            self.popover.show_likely(event.colors, event.lightness)
        elif isinstance(event, Failure):
            self.popover.show_likely([], 60)

    def _on_selected(self) -> None:
        """Close the window once its hint is gone, or another layer is worked on."""
        hint_layer, number = self._of or (None, None)
        if hint_layer is None or number is None:
            return
        gone = number >= len(hint_layer.layer.data)
        if gone or hint_layer.marks.target is not hint_layer.layer:
            self._of = None
            self.popover.close()

    def _on_placed(self, hint_layer: HintLayer, number: int) -> None:
        if self._controls.isVisible():
            self._open(hint_layer, number)

    def _on_button(self) -> None:
        hint_layer = self._hints.current
        if hint_layer is not None:
            self._open(hint_layer, None)

    def _open(self, hint_layer: HintLayer, number: int | None) -> None:
        self._of = hint_layer, number
        button = self._controls.color
        place = button.mapToGlobal(button.rect().bottomLeft()) if number is None else QCursor.pos()
        self.popover.open_at(place, activate=number is None)
        self.popover.set_kinds(removable=number is not None)
        at = hint_layer.marks.place_of(number)
        if at is None:
            self.look(None, 0, 0)
        else:
            self.wanted.emit(hint_layer, at[1], at[0])

    def _choose(self, color: str) -> None:
        if self._of is None:
            return
        hint_layer, number = self._of
        if number is None:
            hint_layer.styles.color = color
        elif number < len(hint_layer.layer.data):
            hint_layer.styles.recolor(number, color)

    def _ask(self, what: str) -> None:
        if self._of is None:
            return
        hint_layer, number = self._of
        if what == "predicted":
            hint_layer.styles.predict_next()
        elif number is None:
            hint_layer.styles.set_style(kind=what)
        elif number < len(hint_layer.layer.data):
            if what == "remove":
                hint_layer.remove(number)
            else:
                hint_layer.styles.restyle(number, what)

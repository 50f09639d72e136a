"""Chooses the color of a hint in a small window beside it."""

from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QCursor

from napari_recolor.hints.hint_layer import HintLayer
from napari_recolor.hints.placing import hex_color
from napari_recolor.panel.color_popover import ColorPopover
from napari_recolor.panel.controls import Controls
from napari_recolor.panel.hint_panel import HintPanel
from napari_recolor.runs.events import Failure, Likely
from napari_recolor.runs.jobs import Job, JobQueue
from napari_recolor.runs.run import Run
from napari_recolor.runs.worker import likely
from napari_recolor.views.gl_context import canvas_of

NO_RUN = "Colorize first to see what is likely"
OUTSIDE = "Outside what was colorized: no effect"


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
        self._at: list[tuple[float, ...]] = []  # the points, to find the one again
        self.popover = ColorPopover(controls)
        self.popover.chosen.connect(self._choose)
        self.popover.asked.connect(self._ask)
        hints.placed.connect(self._on_placed)
        hints.selected.connect(self._on_selected)
        hints.changed.connect(self._show_color)
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
        if run is None or not run.finished:
            self.popover.show_reason(NO_RUN)
            return
        rows, columns = run.request.region
        if not (rows.start <= y < rows.stop and columns.start <= x < columns.stop):
            self.popover.show_reason(OUTSIDE)
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
            self.popover.show_reason("What is likely here could not be found")

    def _on_selected(self) -> None:
        """Close the window once its hint is gone, or another layer is worked on."""
        hint_layer, number = self._of or (None, None)
        if hint_layer is None or number is None:
            return
        points = _points_of(hint_layer)
        if len(points) < len(self._at):  # those after one that was removed have other numbers now
            number = points.index(self._at[number]) if self._at[number] in points else -1
        self._of, self._at = (hint_layer, number), points
        marks = hint_layer.marks
        if number < 0 or marks.target is not marks.points or not marks.points_shown:
            self._of = None
            self.popover.close()

    def _show_color(self, _: Any = None) -> None:
        """Mark the color of the hint in the disk."""
        if self._of is None or not self.popover.isVisible():
            return
        hint_layer, number = self._of
        if number is None:
            self.popover.disk.show_color(hint_layer.styles.color)
        elif number < len(hint_layer.layer.data):
            self.popover.disk.show_color(hex_color(hint_layer.layer.face_color[number]))

    def _on_placed(self, hint_layer: HintLayer, number: int) -> None:
        if self._controls.isVisible():
            self._open(hint_layer, number)

    def _on_button(self) -> None:
        hint_layer = self._hints.current
        if hint_layer is not None:
            self._open(hint_layer, None)

    def _open(self, hint_layer: HintLayer, number: int | None) -> None:
        self._of, self._at = (hint_layer, number), _points_of(hint_layer)
        self.popover.share_keys(canvas_of(self._controls.window()))
        button = self._controls.color
        place = button.mapToGlobal(button.rect().bottomLeft()) if number is None else QCursor.pos()
        self.popover.open_at(place, activate=number is None)
        self.popover.set_kinds(removable=number is not None)
        at = hint_layer.marks.place_of(number)
        if at is None:
            self.popover.show_reason("Select a hint to see what is likely there")
        else:
            self.wanted.emit(hint_layer, at[1], at[0])
        self._show_color()

    def _choose(self, color: str) -> None:
        if self._of is None:
            return
        hint_layer, number = self._of
        if number is None:
            hint_layer.styles.color = color
        elif number < len(hint_layer.layer.data):
            hint_layer.styles.recolor(number, color)
        self._show_color()

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


def _points_of(hint_layer: HintLayer) -> list[tuple[float, ...]]:
    return [tuple(point) for point in hint_layer.layer.data.tolist()]

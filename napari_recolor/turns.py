"""Work in pieces, one in each turn of the event loop: the window can answer in between."""

from collections.abc import Iterator

from qtpy.QtCore import QObject, QTimer, Signal


class Turns(QObject):
    """Does work in turns.

    Parameters
    ----------
    steps : iterator
        A generator that does the work. Each ``yield`` ends a turn.
    parent : QObject, optional
        Of the object.
    """

    finished = Signal()
    """Emitted when all the work is done."""

    def __init__(self, steps: Iterator[None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._steps: Iterator[None] | None = steps  # None if no work is left
        self.complete = False
        """Whether all the work is done."""
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._take_turn)
        self._timer.start(0)

    def stop(self) -> None:
        """Leave the rest of the work undone."""
        self._timer.stop()
        self._steps = None

    def _take_turn(self) -> None:
        self._timer.stop()  # if a step fails, none follows
        if self._steps is None:
            return
        for _ in self._steps:
            if self._steps is not None:
                self._timer.start(0)
            return
        self._steps, self.complete = None, True
        self.finished.emit()

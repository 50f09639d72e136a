"""Undo and redo for settings, hints and strokes."""

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

QUIET_MS = 300
"""A change is one step once so many milliseconds have passed without a further one."""

STEPS = 200
"""So many steps can be undone."""


class History(QObject):
    """Remembers states and goes back and forth between them.

    Parameters
    ----------
    take : callable
        Gives the state as it is now; states are compared with ``==``.
    restore : callable
        Takes a state and brings it back.
    parent : QObject, optional
        Of the object.
    """

    changed = Signal()
    """Emitted when what can be undone or redone has changed."""

    def __init__(
        self,
        take: Callable[[], Any],
        restore: Callable[[Any], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._take, self._restore = take, restore
        self._undo: list[Any] = []
        self._redo: list[Any] = []
        self._now = take()
        self._restoring = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(QUIET_MS)
        self._timer.timeout.connect(self.note)

    @property
    def can_undo(self) -> bool:
        """Whether there is a state to go back to."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether an undone state can come back."""
        return bool(self._redo)

    def note_soon(self, _: Any = None) -> None:
        """Take a state once changes have come to rest."""
        self._timer.start()

    def note(self) -> None:
        """Take a state now; not while one is brought back."""
        if self._restoring:
            return
        self._timer.stop()
        state = self._take()
        if state != self._now:
            self._undo = [*self._undo, self._now][-STEPS:]
            self._redo, self._now = [], state
            self.changed.emit()

    def undo(self) -> None:
        """Go back by one step."""
        self.note()
        self._go(self._undo, self._redo)

    def redo(self) -> None:
        """Take back the last undo."""
        self.note()
        self._go(self._redo, self._undo)

    def forget(self, known: Callable[[Any], Any]) -> None:
        """Forget what cannot be brought back any more, and the steps that this leaves empty.

        Parameters
        ----------
        known : callable
            Takes a state and returns what can still be brought back of it.
        """
        now = known(self._now)
        self._undo = _steps(map(known, self._undo), now)
        self._redo = _steps(map(known, self._redo), now)
        self._now = now
        self.changed.emit()

    def _go(self, source: list[Any], target: list[Any]) -> None:
        if source:
            target.append(self._now)
            self._now = source.pop()
            self._restoring = True
            try:
                self._restore(self._now)
            finally:
                self._restoring = False
            self._timer.stop()
            self._now = self._take()  # what could not be brought back is no change
            self.changed.emit()


def _steps(states: Iterable[Any], now: Any) -> list[Any]:
    """Return the states, the nearest last, that differ from the next one, and at last from now."""
    *kept, _ = (state for state, _ in groupby([*states, now]))
    return kept

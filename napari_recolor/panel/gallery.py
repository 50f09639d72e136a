"""The strip of alternatives: small images. A click shows one, a double click takes it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon, QImage, QKeySequence, QPalette, QPixmap, QShortcut
from qtpy.QtWidgets import QListView, QListWidget, QListWidgetItem, QWidget

SIDE = 100
"""The longer side of an image of the strip, in pixels of the screen."""


class Gallery(QListWidget):
    """Small images side by side.

    Parameters
    ----------
    parent : QWidget, optional
        Of the widget.
    """

    shown = Signal(int)
    """Emitted with the number of the image that is clicked, or reached with the arrow keys."""
    taken = Signal(int)
    """Emitted with the number of the image that is double-clicked, or on which Enter is pressed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._blank = False  # whether the images stand for those that are being made
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setIconSize(QSize(SIDE, SIDE))
        self.setSpacing(2)
        self.setFixedHeight(2 * (SIDE + 26))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.currentRowChanged.connect(self._show)
        self.itemDoubleClicked.connect(self._take)
        enter = QShortcut(QKeySequence(Qt.Key.Key_Return), self)
        enter.setContext(Qt.ShortcutContext.WidgetShortcut)
        enter.activated.connect(self._take)

    @property
    def busy(self) -> bool:
        """Whether images are being made."""
        return not self.isEnabled()

    def wait(self, count: int) -> None:
        """Show that images are being made: nothing can be chosen until `fill` or `ready`.

        Parameters
        ----------
        count : int
            How many are being made. If there are none yet, so many blank ones are shown.
        """
        if not self.count():
            blank = QPixmap(SIDE, SIDE * 3 // 4)
            blank.fill(self.palette().color(QPalette.ColorRole.Mid))
            for _ in range(count):
                self.addItem(QListWidgetItem(QIcon(blank), "…"))
            self._blank = True
        self.setEnabled(False)
        self.setAccessibleDescription("being made")

    def ready(self) -> None:
        """Show that no images are being made any more; blank ones are removed."""
        if self._blank:
            self.clear()
        self._blank = False
        self.setEnabled(True)
        self.setAccessibleDescription("")

    def fill(self, images: Sequence[NDArray[np.uint8]], names: Sequence[str]) -> None:
        """Replace the images; the one that is chosen stays chosen.

        Parameters
        ----------
        images : sequence of ndarray
            (h, w, 3) uint8 each.
        names : sequence of str
            What each is called.
        """
        chosen = -1 if self._blank else self.currentRow()
        blocked = self.blockSignals(True)
        self.ready()
        self.clear()
        for image, name in zip(images, names, strict=True):
            shown, icon = pixmap_of(image), QIcon()
            for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):  # else Qt tints what is selected
                icon.addPixmap(shown, mode)
            item = QListWidgetItem(icon, name)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, name)
            self.addItem(item)
        if 0 <= chosen < self.count():
            self.setCurrentRow(chosen)
        self.blockSignals(blocked)

    def choose(self, number: int) -> None:
        """Mark one of the images; -1 for none."""
        blocked = self.blockSignals(True)
        self.setCurrentRow(number)
        if number < 0:
            self.clearSelection()
        self.blockSignals(blocked)

    def _show(self, number: int) -> None:
        if number >= 0:
            self.shown.emit(number)

    def _take(self, _: Any = None) -> None:
        if self.currentRow() >= 0:
            self.taken.emit(self.currentRow())


def pixmap_of(image: NDArray[np.uint8]) -> QPixmap:
    """An image (h, w, 3) uint8 as Qt shows it."""
    codes = np.ascontiguousarray(image)
    height, width = codes.shape[:2]
    made = QImage(codes.data, width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(made.copy())  # its own memory: the array may go

"""Colors to choose from, beside a hint: the likeliest, all of its lightness, and recent ones."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QObject, QPoint, Qt, Signal
from qtpy.QtGui import (
    QColor,
    QHideEvent,
    QIcon,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPixmap,
    QResizeEvent,
)
from qtpy.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_recolor.hints.placing import hex_color, hex_rgba

CHROMA = 90
"""The disk of colors reaches to this distance from gray, in Lab units."""

SIDE = 160
"""Diameter of the disk, in pixels of the screen."""

RECENT = 6
"""How many colors that were used last are offered."""

LOOKING = "Likeliest here: looking…"


class ColorPopover(QFrame):
    """A small window with colors. It stays open while colors are tried, and Esc closes it.

    Parameters
    ----------
    parent : QWidget
        Of the window.
    """

    chosen = Signal(str)
    """Emitted with ``"#rrggbb"``."""
    asked = Signal(str)
    """Emitted with ``"keep"``, ``"gray"``, ``"remove"`` or ``"predicted"``."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Tool | Qt.WindowType.FramelessWindowHint)
        self.setObjectName("recolor.popover")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAttribute(Qt.WidgetAttribute.WA_ShowWithoutActivating)
        self.setWindowTitle("Color of the hint")
        # Without an edge, it could not be told from the panel that it lies over.
        self.setStyleSheet("ColorPopover { border: 1px solid gray }")
        self.recent: list[str] = []
        self._canvas: QWidget | None = None
        self._used = ""
        self._anchor = QPoint()
        self._title = QLabel("Likeliest here")
        self._likely, self._recent = QHBoxLayout(), QHBoxLayout()
        self.disk = ColorDisk()
        self.disk.chosen.connect(self._choose)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        head = QHBoxLayout()
        head.addWidget(self._title, 1)
        self._close = self._button("×", "Close (Esc)", self.close)
        self._close.setAccessibleName("Close")
        self._close.setFixedWidth(24)
        head.addWidget(self._close)
        column.addLayout(head)
        column.addLayout(self._likely)
        column.addWidget(QLabel("All colors of this lightness"))
        column.addWidget(self.disk, alignment=Qt.AlignmentFlag.AlignHCenter)
        self._recent_title = QLabel("Used last")
        column.addWidget(self._recent_title)
        column.addLayout(self._recent)
        words = {
            "keep": ("Keep", "The color here stays as the networks give it."),
            "gray": ("Gray", "No color, as of paper, silver or smoke."),
            "predicted": ("Predicted", "Hints to come begin with the predicted color."),
            "remove": ("Remove", "Remove this hint."),
        }
        self._asks = {
            name: self._button(text, tooltip, partial(self._ask, name))
            for name, (text, tooltip) in words.items()
        }
        for pair in (("keep", "gray"), ("predicted", "remove")):
            row = QHBoxLayout()
            for name in pair:
                row.addWidget(self._asks[name])
            column.addLayout(row)

    def share_keys(self, canvas: QWidget | None) -> None:
        """Pass keys that mean nothing here on to the canvas, and close on Esc in it, too."""
        if canvas is not self._canvas:
            if self._canvas is not None:
                self._canvas.removeEventFilter(self)
            if canvas is not None:
                canvas.installEventFilter(self)
            self._canvas = canvas

    def open_at(self, place: QPoint, *, activate: bool = False) -> None:
        """Show the window beside a place of the screen.

        Parameters
        ----------
        place : QPoint
            In pixels of the screen.
        activate : bool
            Whether the window takes the keyboard.
        """
        self._note()
        self._anchor = place
        self._show_recent()
        self._show_likely(LOOKING, [])
        self.show()
        self.raise_()
        if activate:
            self.activateWindow()
            self.disk.setFocus()

    def show_likely(self, colors: Sequence[tuple[str, float]], lightness: float) -> None:
        """Show the likeliest colors.

        Parameters
        ----------
        colors : sequence of (str, float)
            ``"#rrggbb"`` and its probability.
        lightness : float
            L* of the place, in [0, 100].
        """
        self._show_likely("Likeliest here", colors)
        self.disk.show_lightness(lightness)

    def show_reason(self, text: str) -> None:
        """Say why no likeliest colors are shown."""
        self._show_likely(text, [])

    def _show_likely(self, title: str, colors: Sequence[tuple[str, float]]) -> None:
        self._title.setText(title)
        self._fill(self._likely, colors)
        self.layout().activate()  # or the size would still be that of what was shown before
        self.adjustSize()
        self._place()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Stay on the screen."""
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        """Move the window beside its place, as far as it stays on the screen."""
        screen = self.parentWidget().screen().availableGeometry()
        x = min(self._anchor.x() + 24, screen.right() - self.width())
        y = min(self._anchor.y() - 40, screen.bottom() - self.height())
        self.move(max(screen.left(), x), max(screen.top(), y))

    def set_kinds(self, *, removable: bool) -> None:
        """Say whether the mark can be removed."""
        self._asks["remove"].setEnabled(removable)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Close on Esc, and pass on a key that means nothing here."""
        if event.key() == Qt.Key.Key_Escape:
            self.close()
        else:
            self._pass_on(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Pass on the release of a key, too: some are held."""
        self._pass_on(event)

    def _pass_on(self, event: QKeyEvent) -> None:
        if self._canvas is not None:
            QApplication.sendEvent(self._canvas, event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Close on Esc in the canvas: it has the keyboard after a click that adds a hint."""
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.KeyPress
            and event.key() == Qt.Key.Key_Escape
            and self.isVisible()
        ):
            self.close()
            return True
        return super().eventFilter(watched, event)

    def hideEvent(self, event: QHideEvent) -> None:
        """Remember the color that was used."""
        super().hideEvent(event)
        self._note()

    def _choose(self, color: str) -> None:
        self._used = color
        self.chosen.emit(color)

    def _ask(self, what: str) -> None:
        self.asked.emit(what)
        if what in ("remove", "predicted"):
            self.close()

    def _note(self) -> None:
        if self._used:
            others = [color for color in self.recent if color != self._used]
            self.recent, self._used = [self._used, *others][:RECENT], ""

    def _show_recent(self) -> None:
        self._fill(self._recent, [(color, None) for color in self.recent])
        self._recent_title.setVisible(bool(self.recent))

    def _fill(self, row: QHBoxLayout, colors: Sequence[tuple[str, float | None]]) -> None:
        _empty(row)
        for color, probability in colors:
            told = color if probability is None else f"{color}: {probability:.0%} likely"
            button = self._button("", told, partial(self._choose, color))
            swatch = QPixmap(22, 22)
            swatch.fill(QColor(color))
            button.setIcon(QIcon(swatch))
            if probability is not None:
                button.setText(f"{probability:.0%}")
            button.setStyleSheet("padding: 2px")
            row.addWidget(button)
        row.addStretch(1)
        self._order_tabs()

    def _order_tabs(self) -> None:
        """Let Tab go from top to bottom; buttons that were made last would come last."""
        chain: list[QWidget] = [self._close, *_widgets(self._likely), self.disk]
        chain += [*_widgets(self._recent), *self._asks.values()]
        for before, after in pairwise(chain):
            QWidget.setTabOrder(before, after)

    def _button(self, text: str, tooltip: str, slot: Callable[[], Any]) -> QPushButton:
        button = QPushButton(text)
        button.setToolTip(tooltip)
        button.setAccessibleName(text or tooltip)
        button.setAccessibleDescription(tooltip)
        button.clicked.connect(lambda: slot())
        return button


class ColorDisk(QWidget):
    """All colors of one lightness, a* to the right and b* upwards, as far as sRGB has them."""

    chosen = Signal(str)
    """Emitted with the color under the mouse while it is pressed."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(SIDE, SIDE)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setAccessibleName("All colors of this lightness")
        self.setAccessibleDescription("The arrow keys move by one step of a* and b*.")
        self.setToolTip(
            "Right: magenta, left: green, up: yellow, down: blue. The arrow keys move by one step."
        )
        self._codes = np.zeros((SIDE, SIDE, 4), np.uint8)
        self._at = QPoint(SIDE // 2, SIDE // 2)

    def _make(self) -> None:
        """Make the disk when it is first needed: what converts colors takes long to import."""
        if not self._codes.any():
            self.show_lightness(60)

    def show_lightness(self, lightness: float) -> None:
        """Show the colors of a lightness.

        Parameters
        ----------
        lightness : float
            L*, in [0, 100]; at black and white there are no colors, so it is kept away from them.
        """
        from skimage.color import lab2rgb, rgb2lab  # napari needs scikit-image too

        light = min(max(lightness, 20.0), 92.0)
        axis = np.linspace(-CHROMA, CHROMA, SIDE)
        a, b = np.meshgrid(axis, axis[::-1])
        lab = np.stack((np.full_like(a, light), a, b), axis=-1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about colors outside sRGB, which are left out
            rgb = lab2rgb(lab)
        real = np.abs(rgb2lab(rgb) - lab).max(axis=-1) < 2
        self._codes[..., :3] = np.rint(255 * rgb)
        self._codes[..., 3] = 255 * (real & (np.hypot(a, b) <= CHROMA))
        self.update()

    def show_color(self, color: str) -> None:
        """Mark the place of a color, ``"#rrggbb"``, whatever its lightness."""
        from skimage.color import rgb2lab

        _, a, b = rgb2lab(hex_rgba(color)[:3])
        distance = max(1.0, float(np.hypot(a, b)) / CHROMA)
        step = (SIDE - 1) / (2 * CHROMA)
        x, y = (a / distance + CHROMA) * step, (CHROMA - b / distance) * step
        self._at = QPoint(round(x), round(y))
        self.update()

    def color_at(self, x: int, y: int) -> str | None:
        """The color of a pixel of the disk; None where there is none."""
        self._make()
        if not (0 <= x < SIDE and 0 <= y < SIDE) or not self._codes[y, x, 3]:
            return None
        return hex_color(self._codes[y, x] / 255)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the disk and the color that was chosen."""
        self._make()
        painter = QPainter(self)
        image = QImage(self._codes.data, SIDE, SIDE, 4 * SIDE, QImage.Format.Format_RGBA8888)
        painter.drawImage(0, 0, image)
        for color, radius in ((Qt.GlobalColor.black, 5), (Qt.GlobalColor.white, 4)):
            painter.setPen(color)
            painter.drawEllipse(self._at, radius, radius)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the color under the mouse."""
        self._pick(event.position().toPoint())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the mouse while it is pressed."""
        self._pick(event.position().toPoint())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move by one step with the arrow keys."""
        keys = Qt.Key
        steps = {
            keys.Key_Left: (-4, 0), keys.Key_Right: (4, 0),
            keys.Key_Up: (0, -4), keys.Key_Down: (0, 4),
        }  # fmt: skip
        if event.key() in steps:
            self._pick(self._at + QPoint(*steps[event.key()]))
        else:
            super().keyPressEvent(event)

    def _pick(self, place: QPoint) -> None:
        color = self.color_at(place.x(), place.y())
        if color is not None:
            self._at = place
            self.update()
            self.chosen.emit(color)


def _widgets(row: QLayout) -> list[QWidget]:
    widgets = (row.itemAt(i).widget() for i in range(row.count()))
    return [widget for widget in widgets if widget is not None]


def _empty(row: QLayout) -> None:
    while (item := row.takeAt(0)) is not None:
        if item.widget() is not None:
            item.widget().deleteLater()

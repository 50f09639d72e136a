"""What each cell of Inspect shows: its name and, for a map, its colors and their limits.

napari's own names and colorbars are visuals of the scene. To make a colorbar and draw it for the
first time takes a quarter of a second; these are widgets above the canvas.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from napari.layers import Image, Layer
from qtpy.QtCore import QEvent, QObject, QPoint, QRect, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QWidget

from napari_recolor.connections import Connections
from napari_recolor.runs.layers import KEY, title

MARGIN = 4
"""Distance between the parts of a legend, and to the edge of its cell, in pixels of the screen."""

BAR = (120, 8)
"""Width and height of the bar of colors, in pixels of the screen."""


class Legend(QWidget):
    """The name of a layer and, if it has a colormap, a bar of its colors with the limits.

    Parameters
    ----------
    layer : Image
        The layer; the legend follows its colormap and contrast limits.
    parent : QWidget
        The canvas.
    """

    def __init__(self, layer: Image, parent: QWidget) -> None:
        super().__init__(parent)
        self.layer = layer
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.connections = Connections()
        for emitter in (layer.events.contrast_limits, layer.events.colormap):
            self.connections.connect(emitter, self._on_colors)
        self._fit()

    @property
    def name(self) -> str:
        """What the legend calls the layer."""
        role = self.layer.metadata.get(KEY, {}).get("layer")
        return self.layer.name if role is None else title(role)

    @property
    def limits(self) -> tuple[str, ...]:
        """The limits beside the bar; none for an image in color."""
        if self.layer.rgb:
            return ()
        low, high = (f"{limit:.3g}" for limit in self.layer.contrast_limits)
        return low.replace("-", "\N{MINUS SIGN}"), high

    def _on_colors(self, _: Any = None) -> None:
        self._fit()
        self.update()

    def _fit(self) -> None:
        """Take the size that the text needs."""
        metrics = self.fontMetrics()
        width, height = metrics.horizontalAdvance(self.name), metrics.height()
        if self.limits:
            texts = sum(metrics.horizontalAdvance(text) for text in self.limits)
            width = max(width, BAR[0] + texts + 2 * MARGIN)
            height *= 2
        self.resize(width + 2 * MARGIN, height + MARGIN)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the text in white on a dark ground, which can be read on any image."""
        painter, metrics = QPainter(self), self.fontMetrics()
        painter.fillRect(self.rect(), QColor(0, 0, 0, 150))
        painter.setPen(Qt.GlobalColor.white)
        base = MARGIN // 2 + metrics.ascent()
        painter.drawText(QPoint(MARGIN, base), self.name)
        if self.limits:
            low, high = self.limits
            base, left = base + metrics.height(), MARGIN
            painter.drawText(QPoint(left, base), low)
            left += metrics.horizontalAdvance(low) + MARGIN
            top = base - metrics.ascent() + (metrics.height() - BAR[1]) // 2
            painter.drawImage(QRect(left, top, *BAR), self._bar())
            painter.drawText(QPoint(left + BAR[0] + MARGIN, base), high)
        painter.end()

    def _bar(self) -> QImage:
        colors = self.layer.colormap.map(np.linspace(0, 1, BAR[0]))
        codes = np.ascontiguousarray(np.rint(255 * np.asarray(colors)).astype(np.uint8))
        shown = QImage(codes.data, BAR[0], 1, codes.nbytes, QImage.Format.Format_RGBA8888)
        return shown.copy()  # of its own memory


class Legends(QObject):
    """Legends in the top left corners of the cells of napari's grid."""

    def __init__(self) -> None:
        super().__init__()
        self._canvas: QWidget | None = None
        self._shape = (1, 1)
        self.shown: list[Legend] = []
        """The legends, cell by cell in reading order."""

    def show(self, canvas: QWidget, layers: Sequence[Layer], shape: tuple[int, int]) -> None:
        """Show legends.

        Parameters
        ----------
        canvas : QWidget
            The canvas of the viewer.
        layers : sequence of Layer
            The layers in the cells, in reading order.
        shape : (int, int)
            Number of rows and columns of the grid.
        """
        self.close()
        self._canvas, self._shape = canvas, shape
        self.shown = [Legend(layer, canvas) for layer in layers]
        canvas.installEventFilter(self)
        self._place()
        for legend in self.shown:
            legend.show()

    def forget(self, layer: Any) -> None:
        """Remove the legend of a layer that was removed; the next ones move up, as the cells do."""
        for legend in self.shown:
            if legend.layer is layer:
                self.shown.remove(legend)
                _remove(legend)
                self._place()
                return

    def close(self) -> None:
        """Remove the legends."""
        with suppress(RuntimeError):  # Qt has deleted the canvas, and the legends with it
            if self._canvas is not None:
                self._canvas.removeEventFilter(self)
        for legend in self.shown:
            _remove(legend)
        self.shown, self._canvas = [], None

    def eventFilter(self, canvas: QObject, event: QEvent) -> bool:
        """Follow the size of the canvas."""
        if event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _place(self) -> None:
        if self._canvas is None:
            return
        rows, columns = self._shape
        width, height = self._canvas.width() / columns, self._canvas.height() / rows
        for number, legend in enumerate(self.shown):
            row, column = divmod(number, columns)
            legend.move(int(column * width) + MARGIN, int(row * height) + MARGIN)


def _remove(legend: Legend) -> None:
    legend.connections.close()
    with suppress(RuntimeError):
        legend.hide()
        legend.deleteLater()

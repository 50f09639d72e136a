"""The values of the stages at the pixel under the cursor."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from napari.components import ViewerModel
from qtpy.QtWidgets import QLabel, QWidget

from napari_recolor.connections import Connections

ValuesAt = Callable[[Sequence[float]], Mapping[str, Any]]
"""Values at a position in world coordinates, by role."""


def describe(
    lightness: float | None = None,
    a: tuple[float | None, float | None] = (None, None),
    b: tuple[float | None, float | None] = (None, None),
    uncertainty: float | None = None,
) -> str:
    """One line about one pixel.

    Parameters
    ----------
    lightness
        L*, in [0, 100].
    a, b
        Coarse and refined a* and b*, in Lab units.
    uncertainty
        Standard deviation of the predicted color, in Lab units.

    Returns
    -------
    str
        Such as ``"L* 62.4   a* +4.1 → +6.0   b* +12.0 → +15.3   uncertainty 8.2"``. What is None is
        left out; without any value it is empty.
    """
    parts = [f"L* {lightness:.1f}"] if lightness is not None else []
    for name, stages in (("a*", a), ("b*", b)):
        known = [f"{round(value, 1) + 0.0:+.1f}" for value in stages if value is not None]
        if known:
            parts.append(f"{name} {' → '.join(known)}")
    if uncertainty is not None:
        parts.append(f"uncertainty {uncertainty:.1f}")
    # A narrow panel breaks the line between the parts, not within them.
    parts = [part.replace(" ", "\N{NO-BREAK SPACE}") for part in parts]
    return "   ".join(parts).replace("-", "\N{MINUS SIGN}")


class Readout(QLabel):
    """A line of text that follows the cursor over a coloring.

    Parameters
    ----------
    viewer : ViewerModel
        Whose cursor is followed.
    parent : QWidget, optional
        Of the widget.
    """

    IDLE = "Point at the image to read its colors."

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(self.IDLE, parent)
        self.setObjectName("recolor.readout")
        self.setWordWrap(True)
        self.setToolTip(
            "The pixel under the cursor: lightness, then a* (green to magenta) and b* (blue to "
            "yellow) as the generator predicts them → as the refiner makes them, and how far "
            "apart the plausible colors lie."
        )
        self.viewer = viewer
        self._values_at: ValuesAt | None = None
        self._connections = Connections()
        self._connections.connect(viewer.cursor.events.position, self.read)
        # A method of its own is not called any more once the widget is destroyed.
        self.destroyed.connect(self._connections.close)

    def set_source(self, values_at: "ValuesAt | None") -> None:
        """Read from another coloring.

        Parameters
        ----------
        values_at : callable or None
            Takes a position of the world and gives what is known there, by role: see
            `Stages`. None: there is nothing to read.
        """
        self._values_at = values_at
        self.read()

    def read(self, _: Any = None) -> None:
        """Read at the cursor."""
        known = {} if self._values_at is None else self._values_at(self.viewer.cursor.position)
        rgb = known.get("rgb")
        number = {role: float(value) for role, value in known.items() if role != "rgb"}
        text = describe(
            None if rgb is None else lightness_of(rgb),
            (number.get("a coarse"), number.get("a refined")),
            (number.get("b coarse"), number.get("b refined")),
            number.get("uncertainty"),
        )
        self.setText(text or self.IDLE)


def lightness_of(rgb: np.ndarray) -> float:
    """L* of one RGB value."""
    from recolor_core import rgb_to_lab

    return float(rgb_to_lab(rgb[None, None, :3])[0, 0, 0])

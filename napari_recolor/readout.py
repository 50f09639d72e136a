"""What the stages of a coloring say of the pixel under the cursor."""

from collections.abc import Mapping

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtWidgets import QLabel, QWidget

STAGES = ("rgb", "a coarse", "a refined", "b coarse", "b refined", "uncertainty")
"""What a `Readout` knows to read."""


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
    """A line of text that follows the cursor over the layers of a coloring.

    Parameters
    ----------
    viewer
        Whose cursor is followed.
    parent
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
        self._stages: Mapping[str, Image] = {}
        viewer.cursor.events.position.connect(self.read)
        self.destroyed.connect(lambda: self._leave())  # a slot of its own is not called any more

    def set_stages(self, stages: Mapping[str, Image]) -> None:
        """Read from other layers.

        Parameters
        ----------
        stages
            Layers by what they hold: see `STAGES`. Any may be missing.
        """
        self._forget()
        self._stages = dict(stages)
        for layer in self._stages.values():  # colored anew
            layer.events.set_data.connect(self.read)
        self.read()

    def read(self) -> None:
        """Read at the cursor."""
        position = self.viewer.cursor.position
        values = {
            stage: value_at(layer, position)
            for stage, layer in self._stages.items()
            if layer in self.viewer.layers
        }
        rgb, uncertainty = values.pop("rgb", None), values.pop("uncertainty", None)
        number = {stage: float(value) for stage, value in values.items() if value is not None}
        text = describe(
            None if rgb is None else lightness_of(rgb),
            (number.get("a coarse"), number.get("a refined")),
            (number.get("b coarse"), number.get("b refined")),
            None if uncertainty is None else float(uncertainty),
        )
        self.setText(text or self.IDLE)

    def _forget(self) -> None:
        for layer in self._stages.values():
            layer.events.set_data.disconnect(self.read)
        self._stages = {}

    def _leave(self) -> None:
        self._forget()
        self.viewer.cursor.events.position.disconnect(self.read)


def value_at(layer: Image, position: tuple[float, ...]) -> "np.ndarray | None":
    """The value of a layer at a position of the world, whether it is visible or not."""
    index = np.rint(layer.world_to_data(position)).astype(int)
    data = layer.data[0] if layer.multiscale else layer.data
    shape = data.shape[:-1] if layer.rgb else data.shape
    if (index < 0).any() or (index >= shape).any():
        return None
    return np.asarray(data[tuple(index)])


def lightness_of(rgb: np.ndarray) -> float:
    """L* of one RGB value."""
    from recolor_core import rgb_to_lab

    return float(rgb_to_lab(rgb[None, None, :3])[0, 0, 0])

"""The visual Turing test in a napari window."""

from functools import partial

import napari
import numpy as np
from napari.viewer import Viewer
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from training.visual_turing_test.answers import Reason, Side
from training.visual_turing_test.session import Session

GAP = 16
"""Gap between the two images in pixels."""

TITLE = "Which one is the real photograph?"


class TuringDock(QWidget):
    """Buttons below two image layers, "left" and "right", which show one trial at a time.

    The arrow keys answer; the digit keys select what gave the colorized image away.

    Parameters
    ----------
    viewer
        Viewer to add the layers to.
    session
        Session of the observer.
    """

    def __init__(self, viewer: Viewer, session: Session) -> None:
        super().__init__()
        self.viewer = viewer
        self.session = session
        self.status = QLabel()
        self.status.setObjectName("turing.status")
        self.status.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.reasons = {
            reason: _button(f"{number}  {reason}", str(number), reason.name.lower(), checkable=True)
            for number, reason in enumerate(Reason, start=1)
        }
        self.sides = {
            Side.LEFT: _button("←  left is real", "Left", "left"),
            Side.RIGHT: _button("right is real  →", "Right", "right"),
        }
        for side, button in self.sides.items():
            button.clicked.connect(partial(self.answer, side))
        row = QHBoxLayout()
        row.addWidget(self.sides[Side.LEFT], 2)
        row.addWidget(QLabel("What gives the other one away?"))
        for button in self.reasons.values():
            row.addWidget(button)
        row.addWidget(self.sides[Side.RIGHT], 2)
        column = QVBoxLayout(self)
        column.addWidget(self.status)
        column.addLayout(row)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._show()

    def answer(self, side: Side, _: bool = False) -> None:
        """Answer the current trial with the selected reasons."""
        chosen = [reason for reason, button in self.reasons.items() if button.isChecked()]
        self.session.answer(side, chosen)
        self._show()

    def _show(self) -> None:
        for button in self.reasons.values():
            button.setChecked(False)
        trial = self.session.trial
        if trial is None:
            for button in (*self.sides.values(), *self.reasons.values()):
                button.setEnabled(False)
            self.status.setText(f"<b>{self.session.result.sentence()}</b>")
            return
        self.status.setText(f"{TITLE}  {trial.number} of {trial.total}")
        self._fill("left", trial.left, 0)
        self._fill("right", trial.right, trial.left.shape[1] + GAP)
        self.viewer.reset_view()

    def _fill(self, name: str, image: np.ndarray, shift: int) -> None:
        if name in self.viewer.layers:
            self.viewer.layers[name].data = image
            return
        self.viewer.add_image(
            image, name=name, rgb=True, translate=(0, shift), interpolation2d="linear"
        )


def add_test(viewer: Viewer, session: Session) -> TuringDock:
    """Add the test to a viewer."""
    dock = TuringDock(viewer, session)
    viewer.window.add_dock_widget(dock, name=TITLE, area="bottom")
    QTimer.singleShot(0, viewer.reset_view)  # fit the images to the canvas beside the dock
    return dock


def show(session: Session) -> None:
    """Open a window and return after it is closed."""
    add_test(Viewer(title=TITLE), session)
    napari.run()


def _button(text: str, key: str, name: str, checkable: bool = False) -> QPushButton:
    button = QPushButton(text)
    button.setShortcut(key)
    button.setObjectName(f"turing.{name}")
    button.setToolTip(f"Key: {key}")
    button.setCheckable(checkable)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # otherwise the arrow keys move the focus
    return button

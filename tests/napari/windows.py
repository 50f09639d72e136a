"""What a user does in the window, and what is seen there."""

import numpy as np
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QLabel, QPushButton

from napari_recolor.runs.layers import KEY


def run(widget, finish):
    button(widget, "run").click()
    finish(widget)
    return {layer.metadata[KEY]["layer"]: layer for layer in results(widget)}


def stages(widget):
    """All layers of the last run."""
    return widget._runner.show_stages(widget._runner.last)


def results(widget):
    return [layer for layer in widget.viewer.layers if KEY in layer.metadata]


def button(widget, name):
    return widget.findChild(QPushButton, f"recolor.{name}")


def text(widget, name):
    return widget.findChild(QLabel, f"recolor.{name}").text()


def image_of(panel):
    return [x for x in panel.viewer.layers if KEY in x.metadata and x.rgb][-1]


def choose(menu, text):
    """Choose an entry of a menu as a user does."""
    menu.setCurrentIndex(menu.findText(text))
    menu.activated.emit(menu.currentIndex())


def rerun(panel):
    """The pixels of the program that the panel copies."""
    panel.controls.copy_python.click()
    scope = {"viewer": panel.viewer}
    exec(QGuiApplication.clipboard().text(), scope)
    return np.array(scope["rgb"])

"""Make the images of docs/napari.md by running the plugin as a user does.

``python tools/screenshots.py [FOLDER]`` needs a real or virtual screen of at least 1366 x 768
pixels.
"""

import io
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Use default preferences, not those of the current user. napari reads this variable when it is
# imported.
os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "settings.yaml")

import numpy as np
from napari import Viewer
from napari.layers import Layer
from PIL import Image
from qtpy.QtCore import QEventLoop, QObject, QTimer
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QAbstractButton, QComboBox, QLabel, QWidget

from napari_recolor.files.samples import LayerData, colorado, migrant_mother, pan
from napari_recolor.views.gl_context import canvas_of
from napari_recolor.views.legends import Legends

FOLDER = Path(__file__).parents[1] / "docs" / "images"
WINDOW = (1366, 768)
LOW_WINDOW = (1366, 560)  # window size for images side by side
LARGEST = 300_000  # maximum bytes of a file; the images are part of the repository
PATIENCE = 120_000  # milliseconds

# The network never predicts these colors for the photograph, so the effect of hints is visible.
HINTS = [((300, 150), "#a03c2c"), ((75, 430), "#d09a50")]


def main(folder: Path = FOLDER) -> None:
    """Make all images."""
    folder.mkdir(parents=True, exist_ok=True)
    # Otherwise napari shows warnings from libraries in the window.
    warnings.simplefilter("ignore")
    viewer = Viewer(show=True)
    viewer.window.resize(*WINDOW)
    _, panel = viewer.window.add_plugin_dock_widget("napari-recolor", "Colorize")
    wait_for(lambda: panel.complete, "the panel")

    colorize(viewer, panel, colorado)
    viewer.cursor.position = (60.0, 200.0)
    settle()
    save(window(viewer), folder / "panel.png")

    viewer.window.resize(*LOW_WINDOW)
    settle()
    for page, name in (("inspect", "stages.png"), ("maps", "maps.png")):
        button(panel, page).click()
        wait_for(button(panel, page).isChecked, "the stages")
        wait_for(lambda: panel._inspector.complete, "the stages")
        settle()
        save(canvas(panel), folder / name)
        button(panel, page).click()
        settle()
    viewer.window.resize(*WINDOW)
    settle()

    rgb = layer(viewer, "RGB")
    before = rgb.data.copy()
    button(panel, "more_hints").setChecked(True)
    button(panel, "hints").click()
    hints = viewer.layers.selection.active
    for position, color in HINTS:
        hints.selected_data = set()
        hints.current_face_color = color
        hints.add(position)
    hints.selected_data = set()
    said = f"Colored with {len(HINTS)} hints."
    wait_for(lambda: part(panel, QLabel, "status").text() == said, "the hints")
    settle()
    assert not np.array_equal(rgb.data, before)
    save(window(viewer), folder / "hints.png")

    viewer.layers.clear()
    colorize(viewer, panel, migrant_mother)
    viewer.window.resize(*LOW_WINDOW)
    settle()
    button(panel, "maps").click()  # makes the layers
    wait_for(lambda: panel._inspector.complete, "the stages")
    button(panel, "maps").click()
    settle()
    rgb, uncertainty = layer(viewer, "RGB"), layer(viewer, "uncertainty")
    inspector = panel._inspector  # of another one the panel would not know
    inspector.start([rgb, uncertainty], columns=2)
    legends = Legends()
    legends.show(canvas_of(panel.window()), [rgb, uncertainty], (1, 2))
    wait_for(lambda: inspector.complete, "the stages")
    settle()
    save(canvas(panel), folder / "uncertainty.png")
    legends.close()
    inspector.stop()

    viewer.layers.clear()
    viewer.window.resize(*WINDOW)
    part(panel, QComboBox, "scope").setCurrentText("whole stack")
    colorize(viewer, panel, pan)
    viewer.dims.set_point(0, 5)
    settle()
    save(window(viewer), folder / "stack.png")
    viewer.close()


def colorize(viewer: Viewer, panel: QWidget, sample: Callable[[], list[LayerData]]) -> None:
    """Open a sample and run the panel on it."""
    ((image, options, _),) = sample()
    viewer.add_image(image, **options)
    settle()
    status = part(panel, QLabel, "status")
    status.clear()
    button(panel, "run").click()
    wait_for(lambda: status.text().startswith(("Done", "Failed")), "the run")
    if not status.text().startswith("Done"):
        sys.exit(status.text())
    wait_for(lambda: button(panel, "inspect").isEnabled(), "its layers")
    settle()


def layer(viewer: Viewer, result: str) -> Layer:
    """Find a result layer of the run."""
    (found,) = (layer for layer in viewer.layers if layer.name.endswith(f" {result}"))
    return found


def part(panel: QWidget, kind: type[QObject], name: str) -> Any:
    """Find a part of the panel by its object name."""
    found = panel.findChild(kind, f"recolor.{name}")
    assert found is not None, f"the panel has no {name}"
    return found


def button(panel: QWidget, name: str) -> QAbstractButton:
    """Find a button of the panel."""
    return part(panel, QAbstractButton, name)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Process events until a condition is met."""
    for _ in range(PATIENCE // 50):
        if condition():
            return
        wait(50)
    sys.exit(f"Timed out after {PATIENCE / 1000:.0f} s while waiting for {what}.")


def settle() -> None:
    """Wait until everything is drawn."""
    wait(800)


def wait(milliseconds: int) -> None:
    """Process events for a while."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def window(viewer: Viewer) -> np.ndarray:
    """Return a screenshot of the whole window."""
    return viewer.screenshot(canvas_only=False, flash=False)


def canvas(panel: QWidget) -> np.ndarray:
    """Return a screenshot of the canvas only, with the legends above it."""
    widget = canvas_of(panel.window())
    assert widget is not None
    shot = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGBA8888)
    codes = np.frombuffer(shot.constBits().asarray(shot.sizeInBytes()), np.uint8)
    return codes.reshape(shot.height(), shot.bytesPerLine() // 4, 4)[:, : shot.width()].copy()


def save(shot: np.ndarray, path: Path) -> None:
    """Write a PNG file. If it is too large, reduce its colors."""
    if shot[..., :3].std() < 10:
        sys.exit(f"{path.name}: nothing was drawn")
    image = Image.fromarray(shot[..., :3])
    palette = image.quantize(256, Image.Quantize.MEDIANCUT, kmeans=3)
    fewer = image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    for version in (image, fewer, palette):  # the last version has color bands but no noise
        file = io.BytesIO()
        version.save(file, "PNG", optimize=True)
        if file.tell() <= LARGEST:
            path.write_bytes(file.getvalue())
            print(f"{path}: {file.tell() / 1000:.0f} kB, {version.mode}")
            return
    sys.exit(f"{path.name}: expected at most {LARGEST} bytes, got {file.tell()}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

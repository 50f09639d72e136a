"""Open the panel, run it and close it again and again; the process must survive.

Each round opens the panel in a viewer, colorizes an image, looks at its stages, moves the wipe
line, adds a hint, and removes everything. Every second round closes the panel while a run is on;
every tenth one begins with a new viewer beside the old one.

    xvfb-run -a -s "-screen 0 1600x1000x24" python tools/soak_window.py --rounds 100
"""

import argparse
import faulthandler
import gc
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Use default preferences, not those of the current user. napari reads this variable when it is
# imported.
os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "settings.yaml")

import numpy as np
from napari import Viewer
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_recolor.widget import ColorizeWidget

if sys.platform == "win32":
    sys.exit("tools/soak_window.py measures memory in a way that Windows does not have")

import resource  # only POSIX systems have it

PATIENCE = 300  # seconds
SIZE = 96  # working size; the networks are not what is tested
LARGE = (2200, 2000)  # shown as a pyramid


def main() -> None:
    """Run the rounds. The exit code is 0 if all of them ended well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    words = parser.parse_args()
    faulthandler.enable()
    warnings.simplefilter("ignore")
    random = np.random.default_rng(words.seed)
    began, viewer = time.monotonic(), Viewer(show=True)
    peak = 0
    for number in range(words.rounds):
        if number and number % 10 == 0:
            old, viewer = viewer, Viewer(show=True)
            viewer.window.resize(1200, 800)
            wait(200)
            old.close()
        one_round(viewer, random, number)
        if number == words.rounds // 5:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"round {number + 1} of {words.rounds}", flush=True)
    viewer.close()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    seconds = round(time.monotonic() - began)
    print(json.dumps({"rounds": words.rounds, "seconds": seconds, "grown_MiB": grown // 1024}))


def one_round(viewer: Viewer, random: np.random.Generator, number: int) -> None:
    """Do what a user does, from an empty viewer to an empty viewer."""
    _, panel = viewer.window.add_plugin_dock_widget("napari-recolor", "Colorize")
    if random.random() < 0.2:  # the panel is closed while it is being built
        wait(int(random.integers(0, 200)))
        viewer.window.remove_dock_widget(panel)
        _, panel = viewer.window.add_plugin_dock_widget("napari-recolor", "Colorize")
    until(lambda: panel.complete, "the panel")
    panel.controls.size.setValue(SIZE)
    size = LARGE if number % 7 == 3 else tuple(random.integers(60, 400, 2))
    image = viewer.add_image(random.integers(0, 255, size).astype(np.uint8), name="photo")
    run(panel)
    for button in ("inspect", "maps"):
        if random.random() < 0.5:
            press(panel, button)
            until(lambda: viewer.canvas.grid.enabled, "the stages")
            if random.random() < 0.5:  # else it may end while they are still being shown
                until(lambda: panel._inspector.complete, "the stages")
            if random.random() < 0.5:
                press(panel, button)
    if random.random() < 0.5:
        press(panel, "wipe")
        panel._wipe.column = 0.7 * size[1]
    if random.random() < 0.5:
        press(panel, "hints")
        wait(100)
        panel._hints.current.layer.add([size[0] / 2, size[1] / 2])
        until(lambda: panel.controls.status.text().startswith("Colored with"), "the hint")
    if random.random() < 0.3:
        viewer.dims.ndisplay = 3
        wait(100)
        viewer.dims.ndisplay = 2
    if number % 2:
        image.data = np.tile(image.data, (2, 2))
        until(panel.controls.run.isEnabled, "the panel")
        press(panel, "run")
        wait(int(random.integers(10, 800)))
    if random.random() < 0.5:
        viewer.layers.clear()
        wait(50)
    viewer.window.remove_dock_widget(panel)
    wait(50)
    viewer.layers.clear()
    wait(int(random.integers(10, 300)))
    viewer.window.resize(1000 + 10 * (number % 30), 700)  # a later draw must find what it draws
    wait(50)
    gc.collect()


def run(panel: ColorizeWidget) -> None:
    """Colorize and wait for it."""
    until(panel.controls.run.isEnabled, "the panel")
    press(panel, "run")
    until(lambda: panel.controls.status.text().startswith("Done"), "the run")
    until(panel.controls.run.isEnabled, "the panel")


def press(panel: ColorizeWidget, button: str) -> None:
    """Click a button of the panel."""
    getattr(panel.controls, button).click()


def until(condition: Callable[[], Any], what: str) -> None:
    """Process events until a condition is met."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"Timed out after {PATIENCE} s while waiting for {what}.")
        wait(20)


def wait(milliseconds: int) -> None:
    """Process events for a while."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()
    QApplication.sendPostedEvents()


if __name__ == "__main__":
    main()

"""Make the animated picture of docs/napari.md: the five steps of docs/directing.md in the window.

``python tools/tour.py [FILE]`` needs a real or virtual screen of at least 1366 x 768 pixels.
"""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The first one sets the preferences aside, so it comes before anything that imports napari.
from screenshots import button, part, settle, wait, wait_for, window  # isort: skip

import numpy as np
from directing import STEPS
from napari import Viewer
from PIL import Image, ImageDraw, ImageFont
from qtpy.QtWidgets import QLabel, QWidget

from napari_recolor.files.samples import migrant_mother
from recolor_core.hints import Mark

FILE = Path(__file__).parents[1] / "docs" / "images" / "tour.webp"
WINDOW = (1280, 760)
WIDTH = 1000  # pixels of the file
BAR = 44  # pixels of the line of text
LARGEST = 3_000_000  # bytes
LONGEST = 90_000  # milliseconds

Frame = tuple[Image.Image, int]


def main(file: Path = FILE) -> None:
    """Run the five steps and write the file."""
    warnings.simplefilter("ignore")  # of libraries; napari would show them in the window
    frames: list[Frame] = []
    viewer = Viewer(show=True)
    viewer.window.resize(*WINDOW)
    _, panel = viewer.window.add_plugin_dock_widget("napari-recolor", "Colorize")
    wait_for(lambda: panel.complete, "the panel")
    ((image, options, _),) = migrant_mother()
    viewer.add_image(image, **options)
    settle()

    def take(text: str, seconds: float) -> None:
        settle()
        frames.append((captioned(window(viewer), text), round(1000 * seconds)))

    take("Open a photograph, and press Colorize.", 5)
    button(panel, "run").click()
    wait_for(lambda: said(panel).startswith("Done"), "the run")
    wait_for(button(panel, "inspect").isEnabled, "its layers")
    take("1. See what the networks guess.", 8)
    button(panel, "inspect").click()
    wait_for(lambda: panel._inspector.complete, "the stages")
    take("Inspect: the colors of the first network, of the second, and their difference.", 9)
    button(panel, "inspect").click()
    settle()
    button(panel, "hints").click()
    settle()
    hints = panel._hints.current
    texts = (
        "2. Say what one thing is: a disk on the jacket, in green.",
        "3. Say what stays: hints that keep hand, neck and skin as they are.",
        "4. Say where exactly: a region around the sleeve.",
        "5. Do the same for the front of the jacket.",
    )
    for text, marks in zip(texts, STEPS[1:], strict=True):
        place(hints, marks, panel)
        take(text, 10)
    for layer in hints.layers:
        layer.visible = False
    viewer.layers.selection.active = next(x for x in viewer.layers if x.name.endswith("RGB"))
    wipe(panel, image.shape[1], take)
    take("Save image… writes it with its provenance: the weights, the settings, and every hint.", 9)
    viewer.close()
    write(frames, file)


def place(hints: Any, marks: tuple[Mark, ...], panel: QWidget) -> None:
    """Put marks where a user would, and wait until the image has followed."""
    hints.put(marks)
    wait(300)
    expected = f"{len(marks)} hint"
    wait_for(lambda: expected in said(panel) and not panel._live.busy, "the hints")


def wipe(panel: Any, width: int, take: Callable[[str, float], None]) -> None:
    """Move the line over the image and back."""
    button(panel, "wipe").click()
    there = np.linspace(0.5, 0.15, 4)
    for at in (*there, *np.linspace(0.15, 0.85, 8), *np.linspace(0.85, 0.5, 4)):
        panel._wipe.column = at * width
        take("Wipe: the source left of the line, the result right of it.", 0.4)
    button(panel, "wipe").click()


def said(panel: QWidget) -> str:
    """Return what the panel says."""
    text: str = part(panel, QLabel, "status").text()
    return text


def captioned(shot: np.ndarray, text: str) -> Image.Image:
    """Make a frame: the window, and a line of text below it."""
    image = Image.fromarray(shot[..., :3])
    if np.asarray(image).std() < 10:
        sys.exit("nothing was drawn")
    height = round(image.height * WIDTH / image.width)
    frame = Image.new("RGB", (WIDTH, height + BAR), "#202428")
    frame.paste(image.resize((WIDTH, height), Image.Resampling.LANCZOS))
    draw = ImageDraw.Draw(frame)
    draw.text((16, height + BAR // 2), text, "white", ImageFont.load_default(20), anchor="lm")
    return frame


def write(frames: list[Frame], file: Path) -> None:
    """Write an animated WebP file."""
    images, durations = zip(*frames, strict=True)
    if sum(durations) > LONGEST:
        sys.exit(f"expected at most {LONGEST} ms, got {sum(durations)}")
    first, *others = images
    for quality in (80, 60, 40):
        first.save(
            file,
            "WEBP",
            save_all=True,
            append_images=others,
            duration=list(durations),
            loop=0,
            quality=quality,
            method=6,
        )
        if file.stat().st_size <= LARGEST:
            size = file.stat().st_size / 1e6
            print(f"{file}: {len(images)} frames, {sum(durations) / 1000:.0f} s, {size:.1f} MB")
            return
    sys.exit(f"{file.name}: expected at most {LARGEST} bytes, got {file.stat().st_size}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

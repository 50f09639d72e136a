"""Put photographs and their colored versions side by side on one picture that fits a screen.

``python tools/before_after.py SHEET COLORED_FOLDER GRAY [GRAY ...]``: the colored version of
``name.jpg`` is the file in the folder whose name begins with ``name``.
"""

import math
import sys
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageDraw, ImageFont, ImageOps

SCREEN = (1600, 900)  # pixels; fits a common laptop's screen
MARGIN, CAPTION = 12, 22
PAPER, INK = "#1d1d1f", "#d5d5d8"


def load(path: Path) -> Image.Image:
    """Open a picture as 8-bit RGB, upright; of a TIFF the first page."""
    if path.suffix != ".tif":  # Pillow reads no 16-bit RGB TIFF
        return ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    page = tifffile.imread(path, key=0)
    if page.dtype == np.uint16:
        page = (page / 257).round().astype(np.uint8)
    return Image.fromarray(page).convert("RGB")


def columns_for(shapes: list[tuple[int, int]]) -> int:
    """Find the number of columns at which the pictures come out largest."""

    def area(columns: int) -> float:
        width, height = cell(len(shapes), columns)
        return sum(w * h * min(width / w, height / h) ** 2 for w, h in shapes)

    return max(range(1, len(shapes) + 1), key=area)


def cell(count: int, columns: int) -> tuple[int, int]:
    """Width and height in pixels that a grid leaves for each pair."""
    rows = math.ceil(count / columns)
    return (
        (SCREEN[0] - MARGIN) // columns - MARGIN,
        (SCREEN[1] - MARGIN) // rows - MARGIN - CAPTION,
    )


def sheet(pairs: list[tuple[str, Image.Image, Image.Image]]) -> Image.Image:
    """Draw a grid of pairs (name, before, after), each as large as it fits."""
    columns = columns_for([(2 * before.width, before.height) for _, before, _ in pairs])
    width, height = cell(len(pairs), columns)
    page = Image.new("RGB", SCREEN, PAPER)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(14)
    for i, (name, before, after) in enumerate(pairs):
        row, column = divmod(i, columns)
        x = MARGIN + column * (width + MARGIN)
        y = MARGIN + row * (height + CAPTION + MARGIN)
        small = ImageOps.contain(before, ((width - 2) // 2, height), Image.Resampling.LANCZOS)
        x += (width - 2 * small.width - 2) // 2
        page.paste(small, (x, y))
        page.paste(after.resize(small.size, Image.Resampling.LANCZOS), (x + small.width + 2, y))
        draw.text((x, y + small.height + 3), name, INK, font)
    return page


def main() -> None:
    out, colored, *grays = (Path(word) for word in sys.argv[1:])
    pairs = []
    for gray in grays:
        made = min(p for p in colored.iterdir() if p.stem.startswith(gray.stem) and p != out)
        pairs.append((gray.stem.replace("-", " ").replace("_", " "), load(gray), load(made)))
    sheet(pairs).save(out)


if __name__ == "__main__":
    main()

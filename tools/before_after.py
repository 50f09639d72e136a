"""Show photographs and their colored versions side by side in one image that fits a screen.

``python tools/before_after.py SHEET COLORED_FOLDER GRAY [GRAY ...]``. The colored version of
``name.jpg`` is the file in the folder whose name begins with ``name``.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
from PIL import Image, ImageDraw, ImageFont, ImageOps

SCREEN = (1600, 900)  # pixels; fits the screen of a common laptop
MARGIN, CAPTION, SEAM = 16, 22, 2
PAPER, INK = "#1d1d1f", "#d5d5d8"


def load(path: Path) -> Image.Image:
    """Open an image as upright 8-bit RGB. If it is a TIFF file, open the first page."""
    if path.suffix != ".tif":  # Pillow does not read 16-bit RGB TIFF files
        return ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    page = tifffile.imread(path, key=0)
    if page.dtype == np.uint16:
        page = (page / 257).round().astype(np.uint8)
    return Image.fromarray(page).convert("RGB")


class Pair(NamedTuple):
    """A photograph and its colored version."""

    name: str
    before: Image.Image
    after: Image.Image

    def width(self, height: float) -> int:
        """Return the width of both images together, in pixels, at this height."""
        return 2 * self.side(height) + SEAM

    def side(self, height: float) -> int:
        """Return the width of one image at this height."""
        return round(self.before.width / self.before.height * height)


def split(pairs: list[Pair], rows: int) -> list[list[Pair]]:
    """Split a sequence of pairs into rows of about the same width."""
    widths = np.array([pair.width(100) for pair in pairs])
    middles = np.cumsum(widths) - widths / 2
    row_of = (middles / widths.sum() * rows).astype(int)
    cut = [[pair for pair, r in zip(pairs, row_of, strict=True) if r == i] for i in range(rows)]
    return [row for row in cut if row]


def height_for(rows: list[list[Pair]]) -> int:
    """Find the largest common image height at which the rows fit."""

    def fits(height: int) -> bool:
        widths = [sum(pair.width(height) + MARGIN for pair in row) + MARGIN for row in rows]
        total = len(rows) * (height + CAPTION + MARGIN) + MARGIN
        return max(widths) <= SCREEN[0] and total <= SCREEN[1]

    return max((height for height in range(1, SCREEN[1]) if fits(height)), default=1)


def sheet(pairs: list[Pair]) -> Image.Image:
    """Draw the pairs in rows, with each image as large as possible."""
    rows = max((split(pairs, n) for n in range(1, len(pairs) + 1)), key=height_for)
    height = height_for(rows)
    page = Image.new("RGB", SCREEN, PAPER)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(14)
    step = height + CAPTION + MARGIN
    y = (SCREEN[1] - step * len(rows) + MARGIN) // 2
    for row in rows:
        x = (SCREEN[0] - sum(pair.width(height) + MARGIN for pair in row) + MARGIN) // 2
        for pair in row:
            size = (pair.side(height), height)
            page.paste(pair.before.resize(size, Image.Resampling.LANCZOS), (x, y))
            after_x = x + size[0] + SEAM
            page.paste(pair.after.resize(size, Image.Resampling.LANCZOS), (after_x, y))
            draw.text((x, y + height + 3), pair.name, INK, font)
            x += pair.width(height) + MARGIN
        y += step
    return page


def main() -> None:
    out, colored, *grays = (Path(word) for word in sys.argv[1:])
    pairs = []
    for gray in grays:
        made = [p for p in colored.glob(f"{gray.stem}*") if p.suffix in {".jpg", ".png", ".tif"}]
        if not made:
            sys.exit(f"no colored version of {gray.name} in {colored}; run recolor on it first")
        name = gray.stem.replace("-", " ").replace("_", " ")
        pairs.append(Pair(name, load(gray), load(min(made, key=lambda p: len(p.name)))))
    sheet(pairs).save(out)


if __name__ == "__main__":
    main()

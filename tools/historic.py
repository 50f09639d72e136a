"""Make the model card's sheet of 24 historic photographs: gray, and colorized by several weights.

``python tools/historic.py FILE LABEL=WEIGHTS [LABEL=WEIGHTS ...]``

The photographs are in ``docs/historic``; ``sources.csv`` there has the author, year and license
of each. They were chosen by a rule before they were colorized; ``docs/model-card.md`` has the rule.
WEIGHTS is a name or a path. For example, to compare with an earlier commit::

    git show COMMIT:recolor_core/data/default.safetensors > earlier.safetensors
    python tools/historic.py docs/images/historic.jpg earlier=earlier.safetensors now=default

All weights run in PyTorch with default settings, so that only the weights differ.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from recolor_core import Colorizer

PHOTOGRAPHS = Path(__file__).parents[1] / "docs" / "historic"
WIDTH = 1600  # of the sheet, in pixels
GROUPS = 2  # photographs side by side
HEIGHT = 190  # of the box for one image, in pixels
GAP, MARGIN, CAPTION = 3, 12, 18
PAPER, INK = "#ffffff", "#404040"
MAX_BYTES = 1_500_000


def colorize(weights: list[str], names: list[str]) -> list[list[NDArray[np.uint8]]]:
    """Return for each photograph its gray codes and what each of the weights makes of it."""
    colorizers = [Colorizer(one, "cpu", "torch") for one in weights]
    rows = []
    for name in names:
        with Image.open(PHOTOGRAPHS / name) as image:
            codes = np.asarray(image)
        results = [colorizer(codes) for colorizer in colorizers]
        rows.append([results[0].gray.codes, *(result.rgb for result in results)])
    return rows


def sheet(
    rows: list[list[NDArray[np.uint8]]], captions: list[str], labels: list[str]
) -> Image.Image:
    """Draw all photographs, each with its versions side by side."""
    group = (WIDTH - MARGIN) // GROUPS
    box = (group - MARGIN - GAP * (len(labels) - 1)) // len(labels)
    step = HEIGHT + CAPTION + MARGIN
    count = -(-len(rows) // GROUPS)
    page = Image.new("RGB", (WIDTH, 2 * MARGIN + CAPTION + count * step), PAPER)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    for number in range(GROUPS):
        for column, label in enumerate(labels):
            x = MARGIN + number * group + column * (box + GAP)
            draw.text((x, MARGIN), label, INK, font)
    for number, (row, caption) in enumerate(zip(rows, captions, strict=True)):
        left = MARGIN + number % GROUPS * group
        top = 2 * MARGIN + CAPTION + number // GROUPS * step
        for column, codes in enumerate(row):
            image = Image.fromarray(codes).convert("RGB")
            image.thumbnail((box, HEIGHT), Image.Resampling.LANCZOS)
            x, y = left + column * (box + GAP), top + HEIGHT - image.height
            page.paste(image, (x, y))
        draw.text((left, top + HEIGHT + 2), caption, INK, font)
    return page


def main(arguments: list[str]) -> None:
    """Write the sheet."""
    target, pairs = Path(arguments[0]), [word.split("=", 1) for word in arguments[1:]]
    if not pairs or any(len(pair) < 2 for pair in pairs):
        sys.exit("expected FILE LABEL=WEIGHTS [LABEL=WEIGHTS ...]")
    with (PHOTOGRAPHS / "sources.csv").open(newline="", encoding="utf-8") as file:
        sources = [*csv.DictReader(file)]
    rows = colorize([weights for _, weights in pairs], [one["file"] for one in sources])
    captions = [f"{one['file'].removesuffix('.jpg')}, {one['year']}" for one in sources]
    page = sheet(rows, captions, ["gray", *(label for label, _ in pairs)])
    page.save(target, quality=82, optimize=True)
    size = target.stat().st_size
    print(f"{target}: {page.width} x {page.height} pixels, {size / 1e6:.2f} MB")
    if size > MAX_BYTES:
        sys.exit(f"the sheet is larger than {MAX_BYTES / 1e6:g} MB; lower its quality")


if __name__ == "__main__":
    main(sys.argv[1:])

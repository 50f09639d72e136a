"""Make the model card's image of failures: gray, colored, and uncertainty.

``python tools/failures.py [FILE]``
"""

import sys
from pathlib import Path

import numpy as np
import tifffile
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from recolor_core import Colorizer

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "recolor_core" / "data" / "samples"
HEIGHT = 300  # height of each image in pixels
MAX_UNCERTAINTY = 40.0  # the largest value shown, in Lab units

# Samples and their crops: left, top, right and bottom as fractions of the size.
CROPS = {
    "chinatown.tif": (0.3, 0.1, 0.85, 1.0),
    "saratoga.jpg": (0.0, 0.4, 0.42, 1.0),
}


def main(target: Path = ROOT / "docs" / "images" / "failures.jpg") -> None:
    """Write the image of failures."""
    colorizer = Colorizer(device="cpu")
    rows = [row(colorizer, SAMPLES / name, box) for name, box in CROPS.items()]
    width = max(row.shape[1] for row in rows)
    sheet = np.vstack(
        [np.pad(r, ((0, 8), (0, width - r.shape[1]), (0, 0)), constant_values=255) for r in rows]
    )
    Image.fromarray(sheet).save(target, quality=88, optimize=True)
    print(target)


def row(
    colorizer: Colorizer, path: Path, box: tuple[float, float, float, float]
) -> NDArray[np.uint8]:
    """Return a crop of a photograph: gray, colored, and its uncertainty, side by side."""
    pixels = tifffile.imread(path) if path.suffix == ".tif" else np.asarray(Image.open(path))
    result = colorizer(pixels)
    rgb = as_bytes(result.rgb)
    gray = as_bytes(np.repeat(result.gray.codes[..., None], 3, axis=2))
    doubt = colormaps["magma"](np.clip(result.uncertainty / MAX_UNCERTAINTY, 0, 1))[..., :3]
    shown = [gray, rgb, (255 * doubt).round().astype(np.uint8)]
    return np.hstack(
        [np.pad(cut(one, box), ((0, 0), (0, 8), (0, 0)), constant_values=255) for one in shown]
    )


def as_bytes(codes: NDArray[np.integer]) -> NDArray[np.uint8]:
    return (codes >> 8).astype(np.uint8) if codes.dtype == np.uint16 else codes.astype(np.uint8)


def cut(pixels: NDArray[np.uint8], box: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    image = Image.fromarray(pixels)
    left, top, right, bottom = (
        fraction * size for fraction, size in zip(box, image.size * 2, strict=True)
    )
    width = round(HEIGHT * (right - left) / (bottom - top))
    scaled = image.resize((width, HEIGHT), Image.Resampling.LANCZOS, (left, top, right, bottom))
    return np.asarray(scaled)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

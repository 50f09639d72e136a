"""The colors of an image as a short text, to color other images like it."""

import numpy as np
from napari.layers import Image
from PIL import Image as Pillow

COLORS = 16
"""How many colors an image is reduced to."""

SHARES = 32
"""A color stands in the text as often as it has 32nds of the image, once at least."""

SIDE = 256
"""So many rows and columns of the image are looked at, at most."""


def palette_text(layer: Image) -> str:
    """The colors of an RGB layer as ``"#5b3a1e,#5b3a1e,#6ca0dc"``, the most frequent first."""
    data = layer.data[-1] if layer.multiscale else layer.data
    data = data[(0,) * (data.ndim - 3)]  # of a stack the first image
    rows, columns = (-(-size // SIDE) for size in data.shape[:2])
    pixels = np.asarray(data[::rows, ::columns, :3])
    white = 1 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max
    codes = np.rint(np.clip(pixels / white, 0, 1) * 255).astype(np.uint8)
    reduced = Pillow.fromarray(codes).quantize(COLORS)
    palette = reduced.getpalette() or []
    counts = np.bincount(np.asarray(reduced).ravel())
    words = []
    for number in np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]:
        count = counts[number]
        color = f"#{bytes(palette[3 * number : 3 * number + 3]).hex()}"
        words += [color] * max(1, round(SHARES * count / codes[..., 0].size))
    return ",".join(words)


def colors_of(text: str) -> list[str]:
    """The single colors of a text."""
    return [color.strip() for color in text.split(",") if color.strip()]

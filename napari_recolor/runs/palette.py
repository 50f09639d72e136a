"""The colors of an image as a short text, to color other images like it."""

import re

import numpy as np
from napari.layers import Image
from PIL import Image as Pillow

from recolor_core.errors import HintsError

COLORS = 16
"""Number of colors that an image is reduced to."""

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


def wrong_colors(text: str) -> list[str]:
    """Those entries of a text that are no color."""
    return [color for color in colors_of(text) if not re.fullmatch(r"#[0-9a-fA-F]{6}", color)]


def check_colors(text: str) -> None:
    """Refuse a text with an entry that is no color.

    Raises
    ------
    HintsError
        If there is one.
    """
    wrong = wrong_colors(text)
    if wrong:
        raise HintsError(f"The palette has {wrong[0]!r}: expected a color as #rrggbb.")


def colors_of(text: str) -> list[str]:
    """The single colors of a text."""
    return [color.strip() for color in text.split(",") if color.strip()]

"""Palettes: the colors that an image as a whole should have, as samples of a* and b*."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.arguments import described
from recolor_core.arrays import as_array
from recolor_core.errors import HintsError
from recolor_core.lab import SRGB, ColorSpace, rgb_to_lab

SAMPLES = 4096
"""Largest number of pixels that a palette takes from a reference image."""

Palette = NDArray[np.float32]
"""(N, 2): a* and b* in Lab units."""


def hex_ab(color: str) -> tuple[float, float]:
    """Convert an sRGB color to a* and b*.

    Parameters
    ----------
    color : str
        ``"#rrggbb"``.

    Returns
    -------
    tuple of float
        a* and b* in Lab units.

    Raises
    ------
    HintsError
        If `color` is not in that form.
    """
    try:
        rgb = bytes.fromhex(color[1:]) if color.startswith("#") else b""
    except (ValueError, AttributeError):
        rgb = b""
    if len(rgb) != 3:
        raise HintsError(f"expected a color as #rrggbb, got {color!r}")
    _, a, b = rgb_to_lab(np.array(list(rgb)) / 255).tolist()
    return a, b


def palette_of_colors(colors: Sequence[str]) -> Palette:
    """Make a palette of colors that are equally frequent.

    Parameters
    ----------
    colors : sequence of str
        sRGB colors ``"#rrggbb"``.

    Returns
    -------
    ndarray
        (N, 2) float32: a* and b* in Lab units.

    Raises
    ------
    HintsError
        If there are no colors, or one of them is not in that form.
    """
    if not colors:
        raise HintsError("expected a palette of at least one color #rrggbb, got none")
    return np.array([hex_ab(color) for color in colors], np.float32)


def palette_of_image(image: Any, space: ColorSpace = SRGB) -> Palette:
    """Make a palette of a reference image, with its colors and their frequencies.

    Parameters
    ----------
    image : array_like
        (H, W, 3) or (H, W, 4), uint8, uint16 or floating point in [0, 1].
    space : ColorSpace
        The color space of the image.

    Returns
    -------
    ndarray
        (N, 2) float32: a* and b* in Lab units of at most `SAMPLES` pixels.

    Raises
    ------
    HintsError
        If the image has no color channels or is empty.
    """
    array, _ = as_array(image)
    if array.ndim != 3 or array.shape[-1] not in (3, 4) or array.size == 0:
        raise HintsError(f"expected a reference image in color, (H, W, 3), got shape {array.shape}")
    pixels = array[..., :3].reshape(-1, 3)
    pixels = pixels[np.linspace(0, len(pixels) - 1, min(len(pixels), SAMPLES)).astype(int)]
    return np.asarray(rgb_to_lab(pixels, space)[:, 1:], np.float32)


def check_palette(palette: object) -> None:
    """Refuse what is not a palette.

    Parameters
    ----------
    palette : object
        What was given as a palette.

    Raises
    ------
    HintsError
        If it is not an array (N, 2) of numbers with at least one color.
    """
    array = palette if isinstance(palette, np.ndarray) else None
    if array is None or array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "fiu":
        got = described(palette) if array is None else f"shape {array.shape} of {array.dtype}"
        raise HintsError(
            f"expected palette as an array (N, 2) of a* and b*, got {got}; make one with "
            "recolor_core.palette.palette_of_colors or palette_of_image"
        )
    if not len(array) or not np.isfinite(array).all():
        raise HintsError("expected a palette of at least one color, all finite; leave it out")


def palette_record(palette: Palette) -> dict[str, Any]:
    """Describe a palette for the provenance.

    Parameters
    ----------
    palette : ndarray
        (N, 2) float32: a* and b* in Lab units.

    Returns
    -------
    dict
        JSON types only: ``"ab"``, the colors, if there are at most 32; otherwise ``"samples"``,
        their number, and ``"sha256"``.
    """
    if len(palette) <= 32:
        return {"ab": [[round(float(x), 3) for x in color] for color in palette]}
    digest = hashlib.sha256(np.ascontiguousarray(palette, "<f4").tobytes()).hexdigest()
    return {"samples": len(palette), "sha256": digest}

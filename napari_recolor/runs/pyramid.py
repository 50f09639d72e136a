"""Large images: shown as pyramids, and at about one megapixel before they are finished.

The levels of a pyramid are views of the full resolution that take every second, fourth, ... pixel.
They need no memory and no update, and each pixel on the screen is a pixel of the result.
"""

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from recolor_core.result import Colorization

LARGE = 2**22
"""Images with more pixels than this are shown as pyramids."""

SMALLEST = 2**18
"""Maximum number of pixels of the smallest level of a pyramid."""

COARSE = 2**17
"""Maximum number of pixels of the image in the colors of the first network."""

PREVIEW = 3 * 2**19
"""Maximum number of pixels of a preview."""


def is_large(size: tuple[int, ...]) -> bool:
    """Whether an image of this height and width is shown as a pyramid."""
    return prod(size) > LARGE


def levels_of(image: NDArray[Any], rows: int = -3) -> list[NDArray[Any]]:
    """Make a pyramid of an image, for a multiscale layer.

    Parameters
    ----------
    image : ndarray
        (..., H, W, 3) or (..., H, W).
    rows : int
        Which axis is H, from the end: -3 or -2. The next one is W.

    Returns
    -------
    list of ndarray
        The image, then views of it, each with half as many rows and columns as the one before.
    """
    levels, step = [image], 1
    while prod(levels[-1].shape[rows:][:2]) > SMALLEST:
        step *= 2
        parts = [slice(first_of(step, size), None, step) for size in image.shape[rows:][:2]]
        at: tuple[Any, ...] = (..., *parts, *[slice(None)] * (-rows - 2))
        levels.append(image[at])
    return levels


def paint_preview(result: "Colorization", target: NDArray[Any]) -> None:
    """Fill an image with the colors of every n-th pixel, about a megapixel of them.

    Parameters
    ----------
    result : Colorization
        Its full resolution is not computed.
    target : ndarray
        (H, W, 3): takes the colors. Each pixel that is computed covers n by n pixels.
    """
    height, width = result.shape
    step = preview_step(result.shape, PREVIEW)
    small = colors_of_every(step, result)
    wide = np.take(small, np.arange(width) // step, axis=1, mode="clip")
    np.take(wide, np.arange(height) // step, axis=0, out=target, mode="clip")


def preview_step(size: tuple[int, int], limit: int) -> int:
    """Return the smallest power of two n for which every n-th pixel of an image is few enough.

    Parameters
    ----------
    size : tuple of int
        Height and width of the image.
    limit : int
        Maximum number of pixels, in rows and columns together.
    """
    step = 1
    while prod(size) > limit * step**2:
        step *= 2
    return step


def colors_of_every(step: int, result: "Colorization") -> NDArray[Any]:
    """Compute the colors of every n-th pixel.

    Parameters
    ----------
    step : int
        The distance n of the pixels. Each is near the middle of its block of n by n pixels.
    result : Colorization
        The image.

    Returns
    -------
    ndarray
        (h, w, 3), about 1/n of the rows and columns, in the dtype of the image.
    """
    height, width = result.shape
    rows, columns = (slice(first_of(step, size), None, step) for size in (height, width))
    codes = np.asarray(result.gray.codes)[rows, columns]
    return result.colored(np.ascontiguousarray(codes))


def first_of(step: int, size: int) -> int:
    """Return which of `size` rows is the first one if every n-th is taken, one at least."""
    return min(step // 2, size - 1)

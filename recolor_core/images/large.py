"""Pixels that are too many to hold: arrays in temporary files, which the system pages in and out.

Up to `IN_MEMORY` bytes an array lies in memory; larger ones lie in a file that has no name and is
gone when the array is.
"""

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

IN_MEMORY = 256 << 20
"""Bytes of the largest array that is held in memory."""

_STRIP_BYTES = 8 << 20


def is_large(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether an array of this shape and dtype is too large to hold."""
    return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize > IN_MEMORY


def room(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array to fill, in memory or in a temporary file."""
    if not is_large(shape, dtype):
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:  # the map keeps it
        return np.memmap(file, dtype, "w+", shape=shape)


def settled(pixels: NDArray[Any]) -> NDArray[Any]:
    """The pixels in C order: whoever needs them so would otherwise copy them into memory."""
    if not is_large(pixels.shape, pixels.dtype) or pixels.flags.c_contiguous:
        return pixels
    return converted(pixels, lambda strip: strip, pixels.dtype)


def converted(
    pixels: NDArray[Any], function: Callable[[NDArray[Any]], NDArray[Any]], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """What a function makes of pixels, strip by strip.

    Parameters
    ----------
    pixels : ndarray
        (H, W) or (H, W, channels).
    function : callable
        Makes of rows as many rows of the same shape.
    dtype : dtype
        Of what it makes.
    """
    if not is_large(pixels.shape, dtype):
        return function(pixels)
    result = room(pixels.shape, dtype)
    rows = max(1, _STRIP_BYTES // max(1, pixels[:1].nbytes))
    for top in range(0, len(pixels), rows):
        result[top : top + rows] = function(pixels[top : top + rows])
    return result

"""Smaller copies of a page (pyramid levels), made while the page is written."""

import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST_IN_MEMORY = 64 << 20  # bytes; larger levels lie in a temporary file


class Level:
    """A page reduced by a whole factor: every pixel is the mean of its block.

    Parameters
    ----------
    factor
        Rows and columns of a block; at the right and lower edge blocks may be smaller.
    shape
        Height, width and channels of the page.
    dtype
        Of its codes.
    """

    def __init__(self, factor: int, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        height, width, channels = shape
        self._factor = factor
        self._rest: NDArray[Any] = np.empty((0, width, channels), dtype)
        self._top = 0
        size = (-(-height // factor), -(-width // factor), channels)
        if int(np.prod(size)) * dtype.itemsize > _LARGEST_IN_MEMORY:
            with tempfile.TemporaryFile() as file:  # the map keeps it
                self._pixels: NDArray[Any] = np.memmap(file, dtype, "w+", shape=size)
        else:
            self._pixels = np.empty(size, dtype)

    def take(self, strip: NDArray[Any]) -> None:
        """Take the next rows of the page, ``(h, W)`` or ``(h, W, channels)``."""
        rows = strip.reshape(len(strip), *self._rest.shape[1:])
        if len(self._rest):
            rows = np.concatenate((self._rest, rows))
        whole = len(rows) // self._factor * self._factor
        if whole:
            self._put(rows[:whole])
        self._rest = rows[whole:]

    def finished(self) -> NDArray[Any]:
        """The level, ``(h, w, channels)``, after the last rows."""
        if len(self._rest):
            self._put(self._rest)
            self._rest = self._rest[:0]
        return self._pixels

    def _put(self, rows: NDArray[Any]) -> None:
        factor = self._factor
        starts = [np.arange(0, length, factor) for length in rows.shape[:2]]
        wide = rows.astype(np.float64 if rows.dtype.itemsize > 2 else np.float32)
        sums = np.add.reduceat(np.add.reduceat(wide, starts[0], axis=0), starts[1], axis=1)
        counts = [np.diff(np.append(s, n)) for s, n in zip(starts, rows.shape[:2], strict=True)]
        means = sums / np.multiply.outer(*counts)[..., None]
        if self._pixels.dtype.kind in "ui":
            means = np.rint(means)
        self._pixels[self._top : self._top + len(means)] = means
        self._top += len(means)

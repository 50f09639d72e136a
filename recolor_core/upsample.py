"""Upsampling of ab from the working size to the size of the image, guided by its lightness."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.resampling import resize

EPSILON = 25.0
"""Variance of L* below which lightness does not predict color. On photographs of 1 to 3 megapixels
and ab of 224 rows, this value gained 0.2 to 1.2 dB over bicubic upsampling; values from 4 to 100
differ by less than 0.5 dB."""

FINENESS = 4
"""How many times finer than the ab the grid of the coefficients is. It is never finer than the
image."""


_Cells = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


class GuidedUpsampler:
    """Upsamples ab so that its edges follow those of the full-resolution lightness.

    As in the fast guided filter (He and Sun 2015), a linear model ``ab = slope L + offset`` is
    fitted to each neighborhood at the working size. The neighborhoods are 3 x 3 pixels. The offset
    includes what the model does not explain, so that the result is bicubic upsampling if lightness
    does not predict color.

    Parameters
    ----------
    ab : ndarray
        (2, h, w): a* and b* in Lab units.
    lightness : ndarray
        (h, w): L* in [0, 100] of the same pixels.
    size : tuple of int
        Height and width (H, W) of the image.

    Attributes
    ----------
    size : tuple of int
        Height and width (H, W) of the image.
    slope : ndarray
        (2, h', w') float32: the slopes of a* and b*, on a grid over the image.
    ab : ndarray
        (2, h', w') float32: a* and b* on the grid, in Lab units.
    lightness : ndarray
        (h', w') float32: L* on the grid.
    """

    def __init__(
        self, ab: NDArray[np.float32], lightness: NDArray[np.float32], size: tuple[int, int]
    ) -> None:
        self.size = size
        height, width = ab.shape[-2:]
        if size[0] <= height or size[1] <= width:
            self.ab = resize(ab, size)
            self.slope, self.lightness = np.zeros_like(self.ab), np.zeros_like(self.ab[0])
            return
        mean = _box(lightness)
        variance = _box(lightness * lightness) - mean * mean
        covariance = _box(lightness * ab) - mean * _box(ab)
        fineness = min(FINENESS, -(-size[0] // height))
        grid = (min(fineness * height, size[0]), min(fineness * width, size[1]))
        self.slope = resize(_box(covariance / (np.maximum(variance, 0) + EPSILON)), grid)
        self.ab = resize(ab, grid, cubic=True)
        self.lightness = resize(lightness, grid, cubic=True)

    def rows(self, top: int, lightness: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the ab of a strip of rows.

        Each row has the same bits no matter how the image is cut into strips.

        Parameters
        ----------
        top : int
            The number of the first row of the strip.
        lightness : ndarray
            (rows, W): L* of the strip at the resolution of the image.

        Returns
        -------
        ndarray
            (2, rows, W) float32: a* and b* in Lab units.
        """
        above, below, down = self.strip(top, len(lightness))
        left, right, across = self.columns()
        upper, lower = self._model(above), self._model(below)
        rows = upper + (lower - upper) * down[:, None]
        one, other = rows[..., left], rows[..., right]
        model = one + (other - one) * across
        return model[:2] * lightness + model[2:]

    def strip(self, top: int, rows: int) -> _Cells:
        """Find the rows of the grid between which each row of a strip lies.

        Parameters
        ----------
        top : int
            The number of the first row of the strip.
        rows : int
            The number of rows in the strip.

        Returns
        -------
        above, below : ndarray
            (rows,) int64: rows of the grid.
        fraction : ndarray
            (rows,) float32 in [0, 1]: distance from `above`, in rows of the grid.
        """
        return _around(np.arange(top, top + rows), len(self.lightness), self.size[0])

    def columns(self) -> _Cells:
        """Find the columns of the grid between which each column of the image lies.

        Returns
        -------
        left, right : ndarray
            (W,) int64: columns of the grid.
        fraction : ndarray
            (W,) float32 in [0, 1]: distance from `left`, in columns of the grid.
        """
        return _around(np.arange(self.size[1]), self.lightness.shape[1], self.size[1])

    def _model(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Slopes of a* and b*, then their offsets, in rows of the grid: (4, rows, w') float32."""
        slope = self.slope[:, rows]
        return np.concatenate((slope, self.ab[:, rows] - slope * self.lightness[rows]))


def _around(index: NDArray[np.int64], grid: int, size: int) -> _Cells:
    """Find the cells of a grid on both sides of pixels, and the distance from the first one."""
    position = np.clip((index + 0.5) * grid / size - 0.5, 0, grid - 1)
    before = np.floor(position).astype(np.int64)
    after = np.minimum(before + 1, grid - 1)
    return before, after, (position - before).astype(np.float32)


def _box(x: NDArray[Any]) -> NDArray[Any]:
    """Compute the mean of 3 x 3 pixels; border pixels are repeated."""
    x = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(1, 1), (1, 1)], mode="edge")
    x = x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]
    x = x[..., :-2] + x[..., 1:-1] + x[..., 2:]
    return x / 9

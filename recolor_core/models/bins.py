"""Color bins: the classes of the generator, and what a distribution over them says."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from recolor_core.arrays import namespace
from recolor_core.lab import rgb_to_lab

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", NDArray[Any], "Tensor")
"""A NumPy array or a PyTorch tensor."""


class ColorBins:
    """The colors that the generator chooses from, and the mathematics of distributions over them.

    The methods take the logits as NumPy arrays or as tensors, and return the same.

    Parameters
    ----------
    grid : int
        Side of the square cells of the ab plane that are the bins, in Lab units.

    Attributes
    ----------
    bins : ndarray or Tensor
        (Q, 2): centers of the cells; see `color_bins`.
    """

    def __init__(self, grid: int) -> None:
        self.grid = grid
        self.bins: Any = color_bins(grid)

    @property
    def neutral(self) -> int:
        """Which of the colors is gray."""
        return int((self.bins**2).sum(1).argmin())

    def mean_color(self, logits: Array, temperature: Any = 1.0) -> Array:
        """The annealed mean of the distribution (Zhang et al. 2016, section 2.3).

        Parameters
        ----------
        logits : ndarray or Tensor
            (B, Q, h, w), for the Q `bins`.
        temperature : float, ndarray or Tensor
            Above 0; an array has one for each image, (B, 1, 1, 1). 1 gives the plain mean, the safe
            guess; towards 0 the most probable color wins.

        Returns
        -------
        ndarray or Tensor
            (B, 2, h, w): a* and b*, in Lab units.
        """
        return _expectation(logits / temperature, self._bins(logits))  # type: ignore[no-any-return]

    def uncertainty(self, logits: Array) -> Array:
        """The standard deviation of the color.

        The square root of the summed variances of a* and b* under the distribution at temperature
        1. This is the root-mean-square distance in the ab plane by which the plain mean is expected
        to be wrong.

        Parameters
        ----------
        logits : ndarray or Tensor
            (B, Q, h, w).

        Returns
        -------
        ndarray or Tensor
            (B, 1, h, w), Lab units.
        """
        xp = namespace(logits)
        a, b = self._bins(logits).T
        moments = _expectation(logits, xp.stack((a, b, a**2 + b**2), axis=1))
        mean_a, mean_b, square = moments[:, :1], moments[:, 1:2], moments[:, 2:]
        return xp.sqrt(xp.clip(square - mean_a**2 - mean_b**2, 0, None))  # type: ignore[no-any-return]

    def steered(self, logits: Array, colors: Array) -> Array:
        """Steer the distribution toward a palette over the image as a whole.

        Prior shift (Saerens et al. 2002): every color is weighted by how much more frequent it is
        among `colors` than in the prediction, repeatedly, until the frequencies agree.

        Parameters
        ----------
        logits : ndarray or Tensor
            (B, Q, h, w).
        colors : ndarray or Tensor
            (N, 2): samples of a* and b* of a palette or a reference image, in Lab units.

        Returns
        -------
        ndarray or Tensor
            (B, Q, h, w): logits of the steered distribution.
        """
        xp, bins = namespace(logits), self._bins(logits)
        # The floor keeps colors possible that the reference lacks: it may show other things.
        distance = ((bins[:, None] - colors) ** 2).sum(-1) / (2 * self.grid**2)
        nearest = distance.min()  # so that not all of the exponentials vanish
        density = xp.exp(nearest - distance).sum(1)
        wanted = density / density.sum() + 1e-3 / len(bins)
        shift = xp.zeros_like(logits[:, :, :1, :1])
        for _ in range(5):
            present = _probability(logits + shift).mean((1, 2))[:, :, None, None]
            shift = shift + xp.log(wanted[:, None, None] / xp.clip(present, 1e-6, None)) / 2
        return logits + shift  # type: ignore[no-any-return]

    def _bins(self, like: Array) -> Array:
        """The bins as an array of the kind, on the device and in the dtype of another."""
        xp = namespace(like)
        return xp.asarray(self.bins, dtype=like.dtype, device=like.device)  # type: ignore[no-any-return]


def _probability(logits: Array) -> Array:
    """The probability of each bin, (B, h, w, Q), of (B, Q, h, w) logits.

    With the bins last, a pixel is computed by one thread in one way: the result does not depend on
    the number of threads.
    """
    xp = namespace(logits)
    last = xp.moveaxis(logits, 1, -1)
    if xp is not np:
        return xp.softmax(last.contiguous(), -1)  # type: ignore[no-any-return]
    odds = np.exp(last - last.max(axis=-1, keepdims=True), order="C")
    return odds / odds.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]


def _expectation(logits: Array, values: Array) -> Array:
    """Mean of (Q, C) values under the distribution of (B, Q, h, w) logits, (B, C, h, w)."""
    xp = namespace(logits)
    return xp.moveaxis(_probability(logits) @ values, -1, 1)  # type: ignore[no-any-return]


@lru_cache
def _bin_table(grid: int) -> NDArray[np.float32]:
    # 33 steps a channel miss no cell by more than 0.95 Lab units at a grid of 10.
    steps = np.linspace(0, 1, 33)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    cells = np.rint(rgb_to_lab(cube)[:, 1:] / grid)
    return (np.unique(cells, axis=0) * grid).astype(np.float32)


def color_bins(grid: int) -> NDArray[np.float32]:
    """Centers of the ab cells that the sRGB gamut touches.

    The ab plane is divided as Zhang et al. (2016) do; a grid of 10 gives 259 cells.

    Parameters
    ----------
    grid : int
        Side of the square cells, in Lab units.

    Returns
    -------
    ndarray
        (Q, 2) float32: a* and b* in Lab units, in ascending order of a*, then of b*.
    """
    return _bin_table(grid).copy()

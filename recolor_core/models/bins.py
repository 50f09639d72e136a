"""Color bins: the classes of the generator, and what a distribution over them says."""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recolor_core.lab import rgb_to_lab


class ColorBins(nn.Module):
    """The colors that the generator chooses from, and the mathematics of distributions over them.

    Parameters
    ----------
    grid : int
        Side of the square cells of the ab plane that are the bins, in Lab units.

    Attributes
    ----------
    bins : Tensor
        (Q, 2): centers of the cells; see `color_bins`.
    """

    def __init__(self, grid: int) -> None:
        super().__init__()
        self.grid = grid
        self.register_buffer("bins", color_bins(grid), persistent=False)
        self.bins: Tensor

    @property
    def neutral(self) -> int:
        """Which of the colors is gray."""
        return int(self.bins.square().sum(dim=1).argmin())

    def mean_color(self, logits: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
        """The annealed mean of the distribution (Zhang et al. 2016, section 2.3).

        Parameters
        ----------
        logits : Tensor
            (B, Q, h, w), for the Q `bins`.
        temperature : float or Tensor
            Above 0. 1 gives the plain mean, the safe guess; towards 0 the most probable color wins.

        Returns
        -------
        Tensor
            (B, 2, h, w): a* and b*, in Lab units.
        """
        return _expectation(logits / temperature, self.bins)

    def uncertainty(self, logits: Tensor) -> Tensor:
        """The standard deviation of the color.

        The square root of the summed variances of a* and b* under the distribution at temperature
        1. This is the root-mean-square distance in the ab plane by which the plain mean is expected
        to be wrong.

        Parameters
        ----------
        logits : Tensor
            (B, Q, h, w).

        Returns
        -------
        Tensor
            (B, 1, h, w), Lab units.
        """
        squares = (self.bins**2).sum(1, keepdim=True)
        moments = _expectation(logits, torch.cat((self.bins, squares), dim=1))
        mean, square = moments[:, :2], moments[:, 2:]
        return (square - (mean**2).sum(1, keepdim=True)).clamp(min=0).sqrt()

    def steered(self, logits: Tensor, colors: Tensor) -> Tensor:
        """Steer the distribution toward a palette over the image as a whole.

        Prior shift (Saerens et al. 2002): every color is weighted by how much more frequent it is
        among `colors` than in the prediction, repeatedly, until the frequencies agree.

        Parameters
        ----------
        logits : Tensor
            (B, Q, h, w).
        colors : Tensor
            (N, 2): samples of a* and b* of a palette or a reference image, in Lab units.

        Returns
        -------
        Tensor
            (B, Q, h, w): logits of the steered distribution.
        """
        # The floor keeps colors possible that the reference lacks: it may show other things.
        exact = "donot_use_mm_for_euclid_dist"  # the same whatever the number of threads
        distance = torch.cdist(self.bins, colors, compute_mode=exact).square() / (2 * self.grid**2)
        wanted = F.softmax(torch.logsumexp(-distance, dim=1), dim=0) + 1e-3 / len(self.bins)
        shift = torch.zeros_like(logits[:, :, :1, :1])
        for _ in range(5):
            present = _probability(logits + shift).mean((1, 2))[:, :, None, None]
            shift = shift + (wanted[:, None, None] / present.clamp(min=1e-6)).log() / 2
        return logits + shift


def _probability(logits: Tensor) -> Tensor:
    """The probability of each bin, (B, h, w, Q), of (B, Q, h, w) logits.

    With the bins last, a pixel is computed by one thread in one way: the result does not depend on
    the number of threads.
    """
    return F.softmax(logits.permute(0, 2, 3, 1).contiguous(), dim=-1)


def _expectation(logits: Tensor, values: Tensor) -> Tensor:
    """Mean of (Q, C) values under the distribution of (B, Q, h, w) logits, (B, C, h, w)."""
    mean: Tensor = _probability(logits) @ values
    return mean.permute(0, 3, 1, 2).contiguous()


@lru_cache
def _bin_table(grid: int) -> Tensor:
    # 33 steps a channel miss no cell by more than 0.95 Lab units at a grid of 10.
    with torch.device("cpu"):  # also while a network is built elsewhere
        steps = torch.linspace(0, 1, 33, dtype=torch.float64)
        cube = torch.cartesian_prod(steps, steps, steps).T[:, None]
        cells = (rgb_to_lab(cube)[1:, 0].T / grid).round()
        touched: Tensor = torch.unique(cells, dim=0)
        return (touched * grid).to(torch.float32)


def color_bins(grid: int) -> Tensor:
    """Centers of the ab cells that the sRGB gamut touches.

    The ab plane is divided as Zhang et al. (2016) do; a grid of 10 gives 259 cells.

    Parameters
    ----------
    grid : int
        Side of the square cells, in Lab units.

    Returns
    -------
    Tensor
        (Q, 2) float32: a* and b* in Lab units, in ascending order of a*, then of b*.
    """
    return _bin_table(grid).clone()

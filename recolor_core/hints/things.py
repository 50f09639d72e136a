"""What belongs together in an image: how far it is from a mark to each cell."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from torch import Tensor
from torch.nn import functional as F

FACTORS = 6
"""Number of factors that tell things apart; 4 to 8 make no difference."""

IMPOSSIBLE = 12.0
"""Log odds against, beyond which a cell does not belong to a thing for certain."""

MAX_CELLS = 12_000
"""The most cells among which paths are searched; a finer grid is averaged first."""

# A logistic regression, fitted on outlines that people drew (BSDS500, `train`), of whether a cell
# belongs to the thing that a point is in.
_PATH = -1.2  # times the root of the length of the shortest path
_LIKENESS = -3.24  # times the root of the distance between the factors
_OFFSET = 8.27
_STEEPNESS = 6.0  # sharper than the regression: people expect edges
_BIAS = 3.6
_LIGHTNESS_STEP = 8.0  # L* units that cost as much as an average step between the factors
_CELLS = 56  # along the short side of the grid that they were fitted on
_STEP = 0.2  # what each step costs besides, in average steps
_NOISE_RATIO = 0.7  # variance of a factor over that of its steps which chance alone may reach


@dataclass(frozen=True, eq=False)
class Things:
    """The things of one image, as far as the generator and the lightness tell them apart.

    The generator's color distribution is reduced to its `FACTORS` maximum autocorrelation factors
    (Switzer and Green 1984): the linear combinations that differ most between places far apart and
    least between neighbors, which is what a thing has in common. The path from one cell to another
    is long where these factors or the lightness change on the way.

    Parameters
    ----------
    logits : Tensor
        (Q, h, w) of the color distribution.
    lightness : Tensor
        (H, W): L* in [0, 100].
    """

    logits: Tensor
    lightness: Tensor

    @cached_property
    def grid(self) -> tuple[int, int]:
        """Height and width of the grid on which paths are searched."""
        height, width = self.logits.shape[-2:]
        scale = min(1.0, (MAX_CELLS / (height * width)) ** 0.5)
        return max(1, int(height * scale)), max(1, int(width * scale))

    @cached_property
    def factors(self) -> NDArray[np.float32]:
        """(`FACTORS` or fewer, cells): of a mean square of 1 in all."""
        logits = F.adaptive_avg_pool2d(self.logits.float()[None], self.grid)[0]
        return _factors(logits)

    @cached_property
    def steps(self) -> csr_array:
        """(cells, cells): what a step from a cell to each of its eight neighbors costs."""
        height, width = self.grid
        index = np.arange(height * width).reshape(self.grid)
        pairs = (
            (index[:, :-1], index[:, 1:], 1.0),
            (index[:-1], index[1:], 1.0),
            (index[:-1, :-1], index[1:, 1:], 2**0.5),
            (index[1:, :-1], index[:-1, 1:], 2**0.5),
        )
        start = np.concatenate([a.ravel() for a, _, _ in pairs])
        end = np.concatenate([b.ravel() for _, b, _ in pairs])
        length = np.concatenate([np.full(a.size, n) for a, _, n in pairs])
        light = F.adaptive_avg_pool2d(self.lightness[None, None], self.grid).numpy().ravel()
        change = np.linalg.norm(self.factors[:, start] - self.factors[:, end], axis=0)
        change = change / max(change.mean(), 1e-6) if len(change) else change
        length *= _CELLS / min(self.grid)  # the constants are of a grid of so many cells
        cost = length * (change + np.abs(light[start] - light[end]) / _LIGHTNESS_STEP + _STEP)
        both = (np.concatenate((start, end)), np.concatenate((end, start)))
        return csr_array((np.tile(cost, 2), both), shape=(index.size, index.size))

    def belonging(self, mark: Tensor, reach: float) -> Tensor:
        """The log odds, at a reach of 0.5, that a cell belongs to the thing that a mark is on.

        Parameters
        ----------
        mark : Tensor
            (H, W) in [0, 1]: what share of each pixel the mark covers; some pixel is covered.
        reach : float
            What will be added, by `reach_odds`: what would not belong even so is not searched.

        Returns
        -------
        Tensor
            (h, w) float32, on `grid`.
        """
        covered = F.adaptive_max_pool2d(mark[None, None], self.grid).numpy().ravel()
        sources = np.flatnonzero(covered >= min(0.5, covered.max()))
        hopeless = (_OFFSET + (_BIAS + reach_odds(reach) + IMPOSSIBLE) / _STEEPNESS) / -_PATH
        limit = max(hopeless, 0.3) ** 2
        path = dijkstra(self.steps, indices=sources, min_only=True, limit=limit)
        unlike = np.min(
            [
                np.linalg.norm(self.factors - center[:, None], axis=0)
                for center in _centers(self.factors[:, sources])
            ],
            axis=0,
        )
        score = _OFFSET + _PATH * np.sqrt(np.minimum(path, 4 * limit))
        odds = _STEEPNESS * (score + _LIKENESS * np.sqrt(unlike)) + _BIAS
        return torch.from_numpy(odds.reshape(self.grid).astype(np.float32))


def reach_odds(reach: float) -> float:
    """What a reach in [0, 1] adds to the log odds that a cell belongs to a thing."""
    reach = min(max(reach, 0.01), 0.99)
    return _STEEPNESS * math.log(reach / (1 - reach))


def _centers(factors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Up to 16 of the columns, evenly chosen: what the parts of a long stroke are like."""
    count = factors.shape[1]
    chosen = np.unique(np.linspace(0, count - 1, min(count, 16)).astype(int))
    return factors[:, chosen].T


def _factors(features: Tensor, components: int = 48, floor: float = 1e-2) -> NDArray[np.float32]:
    """Maximum autocorrelation factors of (C, h, w): (`FACTORS` or fewer, h w)."""
    _, height, width = features.shape
    cells = features.flatten(1).T.double()
    cells = (cells - cells.mean(0)) / (cells.std(0, correction=0) + 1e-6)
    cells = cells @ torch.linalg.eigh(cells.T @ cells)[1][:, -components:]
    grid = cells.reshape(height, width, -1)
    between = torch.cat((grid.diff(dim=0).flatten(0, 1), grid.diff(dim=1).flatten(0, 1)))
    noise = between.T @ between / max(len(between), 1)
    count = len(noise)
    noise = noise + (floor * noise.trace() / count + 1e-9) * torch.eye(count)
    # The generalized eigenproblem as an ordinary one: whiten what differs between neighbors.
    values, vectors = torch.linalg.eigh(noise.double())
    white = vectors / values.clamp(min=1e-12).sqrt()
    whole = cells.T @ cells / len(cells)
    ratios, best = torch.linalg.eigh(white.T @ whole @ white)
    # Of noise, which is alike nowhere, the variance is half that of the differences of neighbors.
    meaning = (1 - _NOISE_RATIO / ratios[-FACTORS:].clamp(min=1e-6)).clamp(min=0).sqrt()
    factors = cells @ white @ best[:, -FACTORS:] * meaning
    scale = factors.square().sum(1).mean().sqrt().clamp(min=1e-6)
    return np.ascontiguousarray((factors / scale).T.numpy(), np.float32)

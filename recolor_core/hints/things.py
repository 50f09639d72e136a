"""What belongs together in an image: how far it is from a mark to each cell."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from recolor_core.resampling import area_maxima, area_means

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
    logits : ndarray
        (Q, h, w) float32: of the color distribution.
    lightness : ndarray
        (H, W) float32: L* in [0, 100].
    """

    logits: NDArray[np.float32]
    lightness: NDArray[np.float32]

    @cached_property
    def known(self) -> dict[Any, NDArray[np.float32]]:
        """What `Direction` found for marks, the newest last: it holds while other marks change."""
        return {}

    @cached_property
    def grid(self) -> tuple[int, int]:
        """Height and width of the grid on which paths are searched."""
        height, width = self.logits.shape[-2:]
        scale = min(1.0, (MAX_CELLS / (height * width)) ** 0.5)
        return max(1, int(height * scale)), max(1, int(width * scale))

    @cached_property
    def factors(self) -> NDArray[np.float32]:
        """(`FACTORS` or fewer, cells): of a mean square of 1 in all."""
        return _factors(area_means(self.logits, self.grid))

    @cached_property
    def steps(self) -> csr_array:
        """(cells, cells): what a step from a cell to each of its eight neighbors costs."""
        height, width = self.grid
        # SciPy 1.14 searches paths only with 32-bit indices.
        index = np.arange(height * width, dtype=np.int32).reshape(self.grid)
        pairs = (
            (index[:, :-1], index[:, 1:], 1.0),
            (index[:-1], index[1:], 1.0),
            (index[:-1, :-1], index[1:, 1:], 2**0.5),
            (index[1:, :-1], index[:-1, 1:], 2**0.5),
        )
        start = np.concatenate([a.ravel() for a, _, _ in pairs])
        end = np.concatenate([b.ravel() for _, b, _ in pairs])
        length = np.concatenate([np.full(a.size, n) for a, _, n in pairs])
        light = area_means(self.lightness, self.grid).ravel()
        change = np.linalg.norm(self.factors[:, start] - self.factors[:, end], axis=0)
        change = change / max(change.mean(), 1e-6) if len(change) else change
        length *= _CELLS / min(self.grid)  # the constants are of a grid of so many cells
        cost = length * (change + np.abs(light[start] - light[end]) / _LIGHTNESS_STEP + _STEP)
        both = (np.concatenate((start, end)), np.concatenate((end, start)))
        return csr_array((np.tile(cost, 2), both), shape=(index.size, index.size))

    def belonging(self, mark: NDArray[np.float32], reach: float) -> NDArray[np.float32]:
        """The log odds, at a reach of 0.5, that a cell belongs to the thing that a mark is on.

        Parameters
        ----------
        mark : ndarray
            (H, W) in [0, 1]: what share of each pixel the mark covers; some pixel is covered.
        reach : float
            What will be added, by `reach_odds`: what would not belong even so is not searched.

        Returns
        -------
        ndarray
            (h, w) float32, on `grid`.
        """
        covered = area_maxima(mark, self.grid).ravel()
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
        return odds.reshape(self.grid).astype(np.float32)  # type: ignore[no-any-return]


def reach_odds(reach: float) -> float:
    """What a reach in [0, 1] adds to the log odds that a cell belongs to a thing."""
    reach = min(max(reach, 0.01), 0.99)
    return _STEEPNESS * math.log(reach / (1 - reach))


def _centers(factors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Up to 16 of the columns, evenly chosen: what the parts of a long stroke are like."""
    count = factors.shape[1]
    chosen = np.unique(np.linspace(0, count - 1, min(count, 16)).astype(int))
    return factors[:, chosen].T


def _factors(
    features: NDArray[np.float32], components: int = 48, floor: float = 1e-2
) -> NDArray[np.float32]:
    """Compute maximum autocorrelation factors of (C, h, w): (`FACTORS` or fewer, h w)."""
    count, height, width = features.shape
    standard = features.reshape(count, -1).astype(np.float64)
    standard -= standard.mean(axis=1, keepdims=True)
    variance = np.einsum("cn,cn->c", standard, standard) / (height * width)
    standard /= np.sqrt(variance)[:, None] + 1e-6
    cells = standard.T @ np.linalg.eigh(standard @ standard.T)[1][:, -components:]
    count = cells.shape[1]
    grid = cells.reshape(height, width, count)
    differences = [np.diff(grid, axis=axis).reshape(-1, count) for axis in (0, 1)]
    between = np.concatenate(differences)
    noise = between.T @ between / max(len(between), 1)
    noise += (floor * noise.trace() / count + 1e-9) * np.eye(count)
    # The generalized eigenproblem as an ordinary one: whiten what differs between neighbors.
    values, vectors = np.linalg.eigh(noise)
    white = vectors / np.sqrt(values.clip(1e-12))
    whole = cells.T @ cells / len(cells)
    ratios, best = np.linalg.eigh(white.T @ whole @ white)
    # Noise is alike nowhere: its variance is half the variance of the differences of neighbors.
    meaning = np.sqrt((1 - _NOISE_RATIO / ratios[-FACTORS:].clip(1e-6)).clip(0))
    factors = cells @ white @ best[:, -FACTORS:] * meaning
    scale = max(float(np.sqrt((factors**2).sum(axis=1).mean())), 1e-6)
    return np.ascontiguousarray((factors / scale).T, np.float32)

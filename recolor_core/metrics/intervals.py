"""Statistics over a set of images or answers, with their intervals.

`bootstrap_interval` draws the samples of `scipy.stats.bootstrap`, but accepts a single image and
leaves out images without a value; scipy refuses the one and returns NaN for the other.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

Array = NDArray[np.floating]


def bootstrap_interval(
    values: Array,
    statistic: Callable[[Array], Array] | None = None,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """A statistic of a sample of images and its percentile bootstrap interval (Efron 1979).

    Parameters
    ----------
    values
        (N,) or (N, k): what was measured of each image. Rows with NaN are left out.
    statistic
        Of (..., N) or (..., N, k) over the axis N; the mean over it by default.
    level
        Share of the draws that the interval holds.
    draws
        Number of samples of N images, drawn with replacement.
    seed
        Of the drawing.

    Returns
    -------
    tuple of float
        The statistic of the sample itself, the low and the high end. NaN where nothing is left.
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values).reshape(len(values), -1).all(axis=1)]
    if len(values) == 0:
        return (float("nan"),) * 3
    if statistic is None:
        axis = -1 if values.ndim == 1 else -2

        def statistic(sample: Array) -> Array:
            return np.asarray(sample.mean(axis=axis))

    drawn = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    spread = np.asarray([statistic(values[rows]) for rows in drawn])
    low, high = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2])
    return float(statistic(values)), float(low), float(high)


def difference_of_means(pairs: Array) -> Array:
    """Absolute difference of two means: whether a set is right on average.

    Of colorfulness, predicted and true, it is 0 also where every image is wrong, half of them too
    gray and half too vivid; `mean_of_differences` shows that.

    Parameters
    ----------
    pairs
        (..., N, 2), such as predicted and true of N images; a statistic for `bootstrap_interval`.

    Returns
    -------
    ndarray
        (...), at least 0; 0 is best.
    """
    means = pairs.mean(axis=-2)
    return np.asarray(np.abs(means[..., 0] - means[..., 1]))


def mean_of_differences(pairs: Array) -> Array:
    """Mean absolute difference, pair by pair: whether each one is right.

    Parameters
    ----------
    pairs
        As of `difference_of_means`, and never less than that.
    """
    return np.asarray(np.abs(pairs[..., 0] - pairs[..., 1]).mean(axis=-1))


def ratio_of_means(pairs: Array) -> Array:
    """The first mean over the second; 1 is best, where they are predicted and true.

    Parameters
    ----------
    pairs
        As in `difference_of_means`.
    """
    means = pairs.mean(axis=-2)
    return np.asarray(means[..., 0] / means[..., 1])


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> tuple[float, float, float]:
    """Compute a proportion and its score interval (Wilson 1927).

    Parameters
    ----------
    successes, trials : int
        Counts.
    level : float
        Probability with which such an interval contains the true proportion, in (0, 1).

    Returns
    -------
    tuple of float
        The observed proportion and the low and high end of its interval, in [0, 1]. Without any
        trial: NaN, 0 and 1.

    Raises
    ------
    ValueError
        If `successes` is negative or larger than `trials`.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"expected successes from 0 to {trials} trials, got {successes}")
    if trials == 0:
        return float("nan"), 0.0, 1.0
    interval = binomtest(successes, trials).proportion_ci(level, method="wilson")
    # Rounding must not leave an end a hair beyond its exact value.
    low = 0.0 if successes == 0 else float(interval.low)
    high = 1.0 if successes == trials else float(interval.high)
    return successes / trials, low, high

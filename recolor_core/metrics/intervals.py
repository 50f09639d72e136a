"""Statistics over a set of images or answers, with their intervals.

`bootstrap_interval` draws the same samples as `scipy.stats.bootstrap`, but it also accepts a single
image, which scipy refuses, and leaves out images without a value, for which scipy returns NaN.
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
    """Compute a statistic of a set of images and its percentile bootstrap interval (Efron 1979).

    Parameters
    ----------
    values : ndarray
        (N,) or (N, k): the measured values of each image. Rows with values that are not finite are
        left out.
    statistic : callable, optional
        Computes the statistic of (..., N) or (..., N, k) over the axis N; the mean by default.
    level : float
        Fraction of the draws that the interval contains, in (0, 1).
    draws : int
        Number of samples of N images, drawn with replacement.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    tuple of float
        The statistic of all images, and the low and the high end of its interval. All are NaN if no
        row is left.
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
    """Compute the absolute difference of two means: the error of a set on average.

    The result is also 0 if all images are wrong but the errors cancel, for example if half of them
    are too gray and half too vivid. `mean_of_differences` shows these errors.

    Parameters
    ----------
    pairs : ndarray
        (..., N, 2): pairs of values of N images, such as predicted and true colorfulness. The
        function can be a statistic of `bootstrap_interval`.

    Returns
    -------
    ndarray
        (...), at least 0; 0 is best.
    """
    means = pairs.mean(axis=-2)
    return np.asarray(np.abs(means[..., 0] - means[..., 1]))


def mean_of_differences(pairs: Array) -> Array:
    """Compute the mean of the absolute differences of pairs: the error of each image.

    Parameters
    ----------
    pairs : ndarray
        (..., N, 2): as in `difference_of_means`.

    Returns
    -------
    ndarray
        (...), at least `difference_of_means`; 0 is best.
    """
    return np.asarray(np.abs(pairs[..., 0] - pairs[..., 1]).mean(axis=-1))


def ratio_of_means(pairs: Array) -> Array:
    """Compute the ratio of the first mean to the second.

    Parameters
    ----------
    pairs : ndarray
        (..., N, 2): as in `difference_of_means`.

    Returns
    -------
    ndarray
        (...). 1 is best for pairs of predicted and true values.
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
    # Rounding errors must not move an end beyond its exact value.
    low = 0.0 if successes == 0 else float(interval.low)
    high = 1.0 if successes == trials else float(interval.high)
    return successes / trials, low, high

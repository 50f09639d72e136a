"""Metrics of uncertainty, which should predict the position and size of errors, and alternatives.

The metrics of uncertainty take one entry for each pixel or for each image. They leave out pairs
with values that are not finite.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class RiskCoverage:
    """The mean error of the entries that remain if the most uncertain entries are left out.

    Parameters
    ----------
    coverage : ndarray
        (P,): fractions of entries that remain, ascending in (0, 1].
    risk : ndarray
        (P,): mean error of the entries with the smallest uncertainty.
    ideal : ndarray
        (P,): mean error of the entries with the smallest errors (the oracle).
    area, ideal_area : float
        Means of both curves over all numbers of remaining entries (AURC, Geifman et al. 2019), in
        the unit of the error.
    """

    coverage: Array
    risk: Array
    ideal: Array
    area: float
    ideal_area: float

    @property
    def skill(self) -> float:
        """Fraction of the possible gain: 1 is ideal, 0 is chance, below 0 is worse than chance.

        ``(mean - area) / (mean - ideal_area)``. ``mean`` is the mean error of all entries, which a
        random order has at any coverage. NaN if all errors are equal.
        """
        possible = self.risk[-1] - self.ideal_area
        return float((self.risk[-1] - self.area) / possible) if possible > 0 else float("nan")


def risk_coverage(error: Array, uncertainty: Array, points: int = 100) -> RiskCoverage:
    """Compute the risk-coverage curve (El-Yaniv and Wiener 2010).

    The curve is the mean error of the entries with the smallest uncertainty. Entries with equal
    uncertainties count with their mean error, the expectation of a random order. Therefore a
    constant uncertainty has a flat curve at the mean error in any order of the entries.

    Parameters
    ----------
    error : ndarray
        Errors of any shape, at least 0. The risk has the same unit.
    uncertainty : ndarray
        Uncertainties, with the shape of `error`. Only their order matters.
    points : int
        Number of points on the curve, equally spaced in coverage.

    Returns
    -------
    RiskCoverage
        The curve, with at most `points` points.

    Raises
    ------
    ValueError
        If the shapes differ or no finite pair is left.
    """
    error, uncertainty = _pairs(error, uncertainty)
    _, group, size = np.unique(uncertainty, return_inverse=True, return_counts=True)
    expected = np.repeat(np.bincount(group, error) / size, size)
    kept = np.arange(1, len(error) + 1)
    risk, ideal = np.cumsum(expected) / kept, np.cumsum(np.sort(error)) / kept
    shown = np.unique(np.ceil(len(error) * np.arange(1, points + 1) / points).astype(int))
    return RiskCoverage(
        coverage=shown / len(error),
        risk=risk[shown - 1],
        ideal=ideal[shown - 1],
        area=float(risk.mean()),
        ideal_area=float(ideal.mean()),
    )


def sigma_ratio(error: Array, sigma: Array) -> float:
    """Compute the ratio of the root-mean-square error to the root-mean-square predicted sigma.

    Parameters
    ----------
    error : ndarray
        Errors of any shape. For the uncertainty of `Generator`, these are chroma distances in Lab
        units.
    sigma : ndarray
        Predicted standard deviations, with the shape and unit of `error`.

    Returns
    -------
    float
        At least 0. 1 is right on average, above 1 is overconfident, below 1 is underconfident.

    Raises
    ------
    ValueError
        If the shapes differ or no finite pair is left.
    """
    error, sigma = _pairs(error, sigma)
    return float(np.sqrt((error**2).mean() / (sigma**2).mean()))


@dataclass(frozen=True)
class Reliability:
    """Predicted standard deviations and observed errors in bins.

    Parameters
    ----------
    count : ndarray
        (K,) int: number of entries in each bin.
    sigma : ndarray
        (K,): root mean square of the predicted standard deviation in each bin, ascending.
    error : ndarray
        (K,): root mean square of the error in each bin. It equals `sigma` in every bin if the
        prediction is calibrated.
    """

    count: NDArray[np.integer]
    sigma: Array
    error: Array

    @property
    def calibration_error(self) -> float:
        """Expected normalized calibration error (Levi et al. 2022); 0 is best.

        It is the mean of ``|error - sigma| / sigma`` over the bins, and not finite if a sigma is 0.
        """
        with np.errstate(divide="ignore"):
            return float((np.abs(self.error - self.sigma) / self.sigma).mean())


def reliability(error: Array, sigma: Array, bins: int = 10) -> Reliability:
    """Compute the reliability of predicted standard deviations in bins of their quantiles.

    Parameters
    ----------
    error, sigma : ndarray
        As in `sigma_ratio`.
    bins : int
        Number of bins with equal counts. Equal sigmas are in the same bin, so there may be fewer
        bins, with unequal counts.

    Returns
    -------
    Reliability
        The bins that are not empty.

    Raises
    ------
    ValueError
        If the shapes differ or no finite pair is left.
    """
    error, sigma = _pairs(error, sigma)
    # The middle of each group of equal sigmas decides in which bin the group is.
    _, group, size = np.unique(sigma, return_inverse=True, return_counts=True)
    place = (bins * (np.cumsum(size) - size / 2) / len(sigma)).astype(int)[group]
    count = np.bincount(place, minlength=bins)
    filled = count > 0
    squares = [np.bincount(place, values**2, bins)[filled] for values in (sigma, error)]
    count = count[filled]
    return Reliability(count, *(np.sqrt(square / count) for square in squares))


def best_of_n(errors: Array) -> Array:
    """Compute the smallest error among the first 1, 2, ... n alternatives.

    The result shows the gain from a choice among alternatives. It never increases with n, even if
    the alternatives are wild. Therefore report the mean error over all alternatives with it.

    Parameters
    ----------
    errors : ndarray
        (n, B): errors of n alternatives for B images. Lower must be better, so pass the negative
        PSNR.

    Returns
    -------
    ndarray
        (n, B), in the unit of `errors`.
    """
    return np.minimum.accumulate(errors, axis=0)


def _pairs(error: Array, other: Array) -> tuple[Array, Array]:
    """Flatten both to float64, without the pairs that have a value that is not finite."""
    error, other = np.asarray(error, np.float64), np.asarray(other, np.float64)
    if error.shape != other.shape:
        raise ValueError(
            f"expected an uncertainty for each error, got {other.shape} for {error.shape}; "
            "resize both to one shape"
        )
    valid = np.isfinite(error) & np.isfinite(other)
    if not valid.any():
        raise ValueError("expected at least one error with its uncertainty, got none")
    return error[valid], other[valid]

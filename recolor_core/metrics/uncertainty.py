"""Whether the stated uncertainty tells where the errors are, and how large; and alternatives.

All take one entry for each pixel, or for each image, as one likes. Pairs with NaN are left out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class RiskCoverage:
    """Error of what is kept when the most uncertain part is left out.

    Parameters
    ----------
    coverage
        (P,), shares kept, ascending in (0, 1].
    risk
        (P,), mean error of the part with the least uncertainty.
    ideal
        (P,), the same where the errors themselves are known (the oracle).
    area, ideal_area
        Means of both curves over all numbers of entries kept (AURC, Geifman et al. 2019), in units
        of the error.
    """

    coverage: Array
    risk: Array
    ideal: Array
    area: float
    ideal_area: float

    @property
    def skill(self) -> float:
        """Share of the possible gain: 1 is ideal, 0 chance, below 0 worse than chance.

        ``(mean - area) / (mean - ideal_area)`` where mean is the error of all, which is what random
        order has at any coverage. NaN where all errors are equal.
        """
        possible = self.risk[-1] - self.ideal_area
        return float((self.risk[-1] - self.area) / possible) if possible > 0 else float("nan")


def risk_coverage(error: Array, uncertainty: Array, points: int = 100) -> RiskCoverage:
    """Risk-coverage curve (El-Yaniv and Wiener 2010): sorted by uncertainty, the kept part's error.

    Equal uncertainties are taken in random order, in expectation: a constant one has a flat curve
    at the mean error, however the entries happen to be sorted.

    Parameters
    ----------
    error
        Any shape, at least 0; its unit is that of the risk.
    uncertainty
        The same shape. Only its order counts.
    points
        How many places of the curve are returned, equally spaced in coverage.

    Raises
    ------
    ValueError
        If the shapes differ, or nothing is left.
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
    """Root-mean-square error over root-mean-square stated standard deviation.

    Parameters
    ----------
    error
        Any shape: for the uncertainty of `Generator`, chroma distances in Lab units.
    sigma
        The same shape: the standard deviation stated for it, in the same units.

    Returns
    -------
    float
        At least 0. 1 is right on the whole, above is overconfident, below underconfident.

    Raises
    ------
    ValueError
        If the shapes differ, or nothing is left.
    """
    error, sigma = _pairs(error, sigma)
    return float(np.sqrt((error**2).mean() / (sigma**2).mean()))


@dataclass(frozen=True)
class Reliability:
    """Stated standard deviation against the error that came, bin by bin.

    Parameters
    ----------
    count
        (K,), entries in each bin.
    sigma, error
        (K,), root mean squares of the stated standard deviation, ascending, and of the error. A
        calibrated one has them equal in every bin.
    """

    count: NDArray[np.integer]
    sigma: Array
    error: Array

    @property
    def calibration_error(self) -> float:
        """Expected normalized calibration error (Levi et al. 2022); 0 is best.

        Mean over bins of ``|error - sigma| / sigma``. Where a sigma is 0, infinite.
        """
        with np.errstate(divide="ignore"):
            return float((np.abs(self.error - self.sigma) / self.sigma).mean())


def reliability(error: Array, sigma: Array, bins: int = 10) -> Reliability:
    """Reliability table of a stated standard deviation, over its quantiles.

    Parameters
    ----------
    error, sigma
        As in `sigma_ratio`.
    bins
        Bins of equal count, or fewer and unequal ones where sigmas are equal: these share one.

    Raises
    ------
    ValueError
        If the shapes differ, or nothing is left.
    """
    error, sigma = _pairs(error, sigma)
    # Each group of equal sigmas goes where its middle lies among all.
    _, group, size = np.unique(sigma, return_inverse=True, return_counts=True)
    place = (bins * (np.cumsum(size) - size / 2) / len(sigma)).astype(int)[group]
    count = np.bincount(place, minlength=bins)
    filled = count > 0
    squares = [np.bincount(place, values**2, bins)[filled] for values in (sigma, error)]
    count = count[filled]
    return Reliability(count, *(np.sqrt(square / count) for square in squares))


def best_of_n(errors: Array) -> Array:
    """Error of the best among the first 1, 2, ... n alternatives, told by the truth.

    What one gains by choosing among alternatives. It never grows with n, for wild ones neither, so
    report the mean error over all alternatives beside it.

    Parameters
    ----------
    errors
        (n, B), of n alternatives for B images; lower is better (give the negative PSNR).

    Returns
    -------
    ndarray
        (n, B).
    """
    return np.minimum.accumulate(errors, axis=0)


def _pairs(error: Array, other: Array) -> tuple[Array, Array]:
    """Both flat, in float64, without what has no value."""
    error, other = np.asarray(error, np.float64), np.asarray(other, np.float64)
    if error.shape != other.shape:
        raise ValueError(
            f"expected an uncertainty for each error, got {other.shape} for {error.shape}; "
            "bring both to one size"
        )
    valid = np.isfinite(error) & np.isfinite(other)
    if not valid.any():
        raise ValueError("expected at least one error with its uncertainty, got none")
    return error[valid], other[valid]

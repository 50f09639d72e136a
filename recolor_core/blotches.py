"""Removal of blotches, such as red patches on dark clothes, from predicted colors."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.resampling import box_means

NEIGHBORHOOD = 1 / 14
"""Distance from a cell to the edge of its surround, as a fraction of the short side of the grid."""

UNSURE = (18.0, 28.0)
"""Uncertainty in Lab units above which an island starts to be made paler, and above which it is
made paler with full strength."""

APART = 7.0
"""Distance in Lab units from the mean of its surround at which a cell is fully an island."""

STRENGTH = 0.8
"""Largest fraction of the difference from its surround that is removed from an island."""


def calm_blotches(ab: NDArray[np.float32], uncertainty: NDArray[np.float32]) -> NDArray[np.float32]:
    """Move uncertain colors that differ from their surround closer to its mean.

    Only cells that are more colorful than the mean of their surround change. Colors of which the
    generator is certain, such as the red of a stop sign, do not change. On 105 validation
    photographs at the default vividness, this function removed a third of the blotches
    (`recolor_core.metrics.blotches`), reduced the colorfulness by one percent, and gained 0.04 dB.

    Parameters
    ----------
    ab : ndarray
        (B, 2, h, w): predicted coarse ab, in Lab units.
    uncertainty : ndarray
        (B, 1, h, w): standard deviation of the prediction, in Lab units.

    Returns
    -------
    ndarray
        (B, 2, h, w): the corrected ab, in Lab units.
    """
    reach = max(1, round(NEIGHBORHOOD * min(ab.shape[-2:])))
    around = box_means(ab, reach)
    apart = ab - around
    stands_out = _norm(ab) > _norm(around)
    low, high = UNSURE
    unsure = np.clip((uncertainty - low) / (high - low), 0, 1)
    island = np.clip(_norm(apart) / APART, 0, 1) * stands_out
    return ab - STRENGTH * (unsure * island) * apart  # type: ignore[no-any-return]


def _norm(ab: NDArray[Any]) -> NDArray[Any]:
    norm: NDArray[Any] = np.hypot(ab[:, :1], ab[:, 1:])
    return norm

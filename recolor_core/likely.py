"""The likeliest colors of a place, to choose from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recolor_core.lab import lab_to_rgb

_NEAR = 14.0
"""Colors that lie closer together than this, in Lab units, count as one."""


@dataclass(frozen=True)
class LikelyColor:
    """A color that a place may have.

    Parameters
    ----------
    color : str
        ``"#rrggbb"``, of the lightness of the place.
    probability : float
        Of this color and of those that are much like it, in [0, 1].
    """

    color: str
    probability: float


def likely_colors(
    probability: NDArray[np.floating],
    bins: NDArray[np.floating],
    lightness: float,
    count: int = 5,
    chroma: float = 1.0,
) -> list[LikelyColor]:
    """Find the likeliest colors of a distribution.

    Bins are taken greedily: that with the most probability around it, with all that is near it,
    then that of the rest, and so on. Each color is the mean of what was taken.

    Parameters
    ----------
    probability : ndarray
        (Q,): of the color bins, with a sum of 1.
    bins : ndarray
        (Q, 2): their a* and b*, in Lab units.
    lightness : float
        L* of the place, in [0, 100].
    count : int
        The largest number of colors.
    chroma : float
        Factor on a* and b*; see `recolor_core.Settings`.

    Returns
    -------
    list of LikelyColor
        The likeliest first.
    """
    rest = probability.astype(np.float64)
    distance = np.linalg.norm(bins[:, None] - bins, axis=-1)
    near = distance < _NEAR
    weight = np.exp(-((distance / _NEAR) ** 2))
    found: list[tuple[float, NDArray[np.float64]]] = []
    while len(found) < count and rest.max() > 0:
        taken = near[(weight @ rest).argmax()] & (rest > 0)
        if not taken.any():
            break
        total = float(rest[taken].sum())
        found.append((total, rest[taken] @ bins[taken] / total))
        rest[taken] = 0
    found.sort(key=lambda one: -one[0])
    return [LikelyColor(_hex(lightness, chroma * ab), total) for total, ab in found]


def _hex(lightness: float, ab: NDArray[np.float64]) -> str:
    rgb = np.clip(lab_to_rgb(np.array([lightness, *ab])), 0, 1)
    return "#{:02x}{:02x}{:02x}".format(*np.rint(255 * rgb).astype(int))

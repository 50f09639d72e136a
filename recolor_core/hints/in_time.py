"""Marks of several frames of a film on one frame, between which the colors pass."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recolor_core.hints.marks import MarksInTime
from recolor_core.hints.spreading import Direction, spread_hints
from recolor_core.hints.things import Things
from recolor_core.resampling import area_means, resize

Array = NDArray[np.float32]


class DirectionInTime(Direction):
    """What marks of several frames ask for.

    The parameters and attributes are those of `Direction`. The effect of a group of marks counts in
    full where no group before it in the order claims the place. A group claims what it paints, what
    it keeps, and, in proportion, what its news reaches.

    Parameters
    ----------
    marks : MarksInTime
        The marks.
    image, things, logits, uncertainty, bins, chroma
        As of `Direction`.
    """

    def __init__(
        self,
        marks: MarksInTime,
        image: tuple[int, int],
        things: Things,
        logits: Array,
        uncertainty: Array,
        bins: Array,
        chroma: float = 1.0,
    ) -> None:
        alike = (image, things, logits, uncertainty, bins, chroma)
        super().__init__((), *alike)
        self._groups = [Direction(group, *alike) for group in marks.groups]
        working = (self.weight.shape[-2], self.weight.shape[-1])
        reached = [_reached(one.hinted, logits, uncertainty, things) for one in self._groups]
        claims = [
            np.maximum(np.maximum(one.weight, one.kept), _resized(reach, working))
            for one, reach in zip(self._groups, reached, strict=True)
        ]
        factors = _factors(claims, marks.orders)
        self._factors = [_resized(factor, self._grid) for factor in factors]
        for factor, coarse, one in zip(factors, self._factors, self._groups, strict=True):
            self.weight += factor * one.weight
            self.given += factor * one.given
            self.kept += factor * one.kept
            self.hinted += coarse * one.hinted
        self.hinted /= np.maximum(self.hinted[2], 1)

    def coarse(self, ab: Array) -> Array:
        """Put the news into coarse ab (2, h, w), for the refiner."""
        changed = ab.copy()
        for factor, one in zip(self._factors, self._groups, strict=True):
            changed += factor * (one.coarse(ab) - ab)
        return changed


def _reached(hinted: Array, logits: Array, uncertainty: Array, things: Things) -> Array:
    """Compute how much of the color of each cell the news decides, (h, w) in [0, 1]."""
    part: Array = hinted[2]
    if not part.any():
        return part
    unit = np.stack((part, part, part))
    nothing = np.zeros((2, *part.shape), np.float32)
    reached: Array = spread_hints(nothing, unit, logits, uncertainty, things.lightness)[0]
    return reached.clip(0, 1)


def _factors(
    claims: Sequence[Array], orders: Sequence[tuple[float, tuple[int, ...]]]
) -> list[Array]:
    """Compute by how much the effect of each group counts, (H, W) in [0, 1]."""
    factors = [np.zeros_like(claim) for claim in claims]
    for weight, order in orders:
        left = np.ones_like(claims[0])
        for group in order:
            factors[group] += weight * left
            left = left * (1 - claims[group])
    return factors


def _resized(x: Array, size: tuple[int, int]) -> Array:
    """Resize (h, w): to the mean if the size is smaller, otherwise bilinearly."""
    resized: Array = area_means(x, size) if size[0] <= x.shape[-2] else resize(x, size)
    return resized

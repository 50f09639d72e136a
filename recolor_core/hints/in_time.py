"""Marks of several frames of a film on one frame, between which the colors pass."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from recolor_core.hints.marks import MarksInTime
from recolor_core.hints.spreading import Direction, spread_hints
from recolor_core.hints.things import Things


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
        logits: Tensor,
        uncertainty: Tensor,
        bins: Tensor,
        chroma: float = 1.0,
    ) -> None:
        alike = (image, things, logits, uncertainty, bins, chroma)
        super().__init__((), *alike)
        self._groups = [Direction(group, *alike) for group in marks.groups]
        working = (self.weight.shape[-2], self.weight.shape[-1])
        reached = [_reached(one.hinted, logits, uncertainty, things) for one in self._groups]
        claims = [
            torch.maximum(torch.maximum(one.weight, one.kept), _resized(reach, working))
            for one, reach in zip(self._groups, reached, strict=True)
        ]
        factors = _factors(claims, marks.orders)
        self._factors = [_resized(factor, self._grid) for factor in factors]
        for factor, coarse, one in zip(factors, self._factors, self._groups, strict=True):
            self.weight += factor * one.weight
            self.given += factor * one.given
            self.kept += factor * one.kept
            self.hinted += coarse * one.hinted
        self.hinted /= self.hinted[2].clamp(min=1)

    def coarse(self, ab: Tensor) -> Tensor:
        """Coarse ab (2, h, w) with the news in it, for the refiner."""
        changes = [
            factor * (one.coarse(ab) - ab)
            for factor, one in zip(self._factors, self._groups, strict=True)
        ]
        return ab + torch.stack(changes).sum(0)


def _reached(hinted: Tensor, logits: Tensor, uncertainty: Tensor, things: Things) -> Tensor:
    """How much of a cell's color the news decides, (h, w) in [0, 1]."""
    share = hinted[2]
    if not bool(share.any()):
        return share
    unit = torch.stack((share, share, share))
    light = things.lightness
    nothing = torch.zeros(2, *share.shape)
    return spread_hints(nothing, unit, logits, uncertainty, light)[0].clamp(0, 1)


def _factors(
    claims: Sequence[Tensor], orders: Sequence[tuple[float, tuple[int, ...]]]
) -> list[Tensor]:
    """By how much the effect of each group counts, (H, W) in [0, 1]."""
    factors = [torch.zeros_like(claim) for claim in claims]
    for weight, order in orders:
        left = torch.ones_like(claims[0])
        for group in order:
            factors[group] += weight * left
            left = left * (1 - claims[group])
    return factors


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """(h, w) at another size: the mean if it is smaller, else bilinear."""
    if size[0] <= x.shape[-2]:
        return F.adaptive_avg_pool2d(x[None, None], size)[0, 0]
    return F.interpolate(x[None, None], size=size, mode="bilinear")[0, 0]

"""Spread the colors of marks over the image."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from recolor_core.errors import HintsError
from recolor_core.hints.drawing import draw, hinted_cells, polygon
from recolor_core.hints.marks import (
    Area,
    Hint,
    Mark,
    Mask,
    Region,
    Stroke,
    as_area,
    check_marks,
    mark_ab,
)
from recolor_core.hints.things import IMPOSSIBLE, Things, reach_odds

# Of the kriging below; tuned on photographs of the validation split with 1, 10 and 50 points.
_REACH = 0.4  # of the short side: standard deviation over the distance
_MATCH_REACH = 0.2  # the same for matches with a reference, which stand close together
_LIGHTNESS = 25.0  # L* units: standard deviation over the difference in lightness
_LIKENESS = 0.3  # scale of 1 - Bhattacharyya coefficient of two color distributions
_NOISE = 12.0  # variance of a hint's a* and b*, in squared Lab units
_MAX_CELLS = 1024  # the most hinted cells that count; of more, an even selection

_PLAUSIBLE = 0.1
"""A point counts as news in full if the generator draws a color that is no more probable than its
color with this probability."""

_MANY_COLORS = 24
"""Points of more colors than these are taken for measured ones, all of them news."""

_MAX_KINDS = 64
"""The most different marks (in color, reach and so on) that are followed through the image."""

_EDGE = 3  # pixels by which the edge of a region may move to an edge of the lightness
_EDGE_LIGHTNESS = 25.0  # variance of L* below which the lightness has no edge


class Direction:
    """What the marks of an image ask for, and how to put it into its colors.

    What is painted, a disk or a stroke, is a wish for the thing that it is on
    (`recolor_core.hints.things`), and nothing else may change. A point without a radius can say
    two things. If the generator holds its color for possible where it is, the point is news about
    the image: it corrects whatever is alike, near or far (`spread_hints`). If not, it is a wish,
    too; what lies between counts as both, in proportion. Where several marks claim a place, the
    one to which it belongs most clearly gets most of it; one of kind ``"keep"`` takes its share
    away from the others. Regions and masks decide inside; the last one wins.

    Parameters
    ----------
    marks : sequence of Hint, Stroke, Region or Mask
        In pixels of the image.
    image : (int, int)
        Height and width of the image.
    things : Things
        Of the image, with its lightness (H', W') at the working size.
    logits : Tensor
        (Q, h, w) of the color distribution.
    uncertainty : Tensor
        (h, w): standard deviation of the predicted color, in Lab units.
    bins : Tensor
        (Q, 2): the colors whose logits these are, in Lab units.
    chroma : float
        What the colors of the image will be multiplied by: marks are colors of the result.
    matched : Tensor or None
        (3, h, w): colors that are known from elsewhere, as `hint_map` has those of hints. They are
        news that counts where no mark says otherwise.

    Raises
    ------
    HintsError
        If a mark does not fit the image; see `recolor_core.hints.check_marks`.

    Attributes
    ----------
    hinted : Tensor
        (3, h, w): what is news, as `hint_map` makes it for the refiner; its third channel is
        smaller the less plausible the color is.
    weight : Tensor
        (H', W') in [0, 1]: how much of each pixel's color is given.
    given : Tensor
        (2, H', W'): the color given times `weight`, before `chroma`, in Lab units.
    kept : Tensor
        (H', W') in [0, 1]: how much of each pixel's color no news may change.
    """

    def __init__(
        self,
        marks: Sequence[Mark],
        image: tuple[int, int],
        things: Things,
        logits: Tensor,
        uncertainty: Tensor,
        bins: Tensor,
        chroma: float = 1.0,
        matched: Tensor | None = None,
    ) -> None:
        check_marks(marks, image)
        self._things, self._uncertainty, self._image = things, uncertainty, image
        self._chroma = max(chroma, 1e-3)
        self._logits = logits
        self._grid = (logits.shape[-2], logits.shape[-1])
        working = (things.lightness.shape[-2], things.lightness.shape[-1])
        self.hinted = torch.zeros(3, *self._grid)
        self.weight, self.kept = torch.zeros(2, *working)
        self.given = torch.zeros(2, *working)
        if marks:
            self._follow(marks, bins)
        self._matched = matched
        if matched is not None:
            self._matched = torch.cat((matched[:2] / self._chroma, matched[2:]))

    def _follow(self, marks: Sequence[Mark], bins: Tensor) -> None:
        plain = [mark for mark in marks if isinstance(mark, Hint) and mark.kind == "color"]
        if len({mark.color for mark in plain}) <= _MANY_COLORS:
            plain = []
        else:
            self.hinted += self._news(plain)
        groups: dict[Hint, list[Mark]] = {}
        pointed = set(plain)
        for mark in marks:
            if isinstance(mark, Hint | Stroke) and mark not in pointed:
                painted = float(isinstance(mark, Stroke) or mark.radius > 0)
                like = Hint(0, 0, mark.color, painted, mark.kind, mark.reach, mark.within)
                groups.setdefault(like, []).append(mark)
        if len(groups) > _MAX_KINDS:
            raise HintsError(
                f"expected hints of at most {_MAX_KINDS} kinds (color, reach and so on) besides "
                f"plain points, got {len(groups)}; use fewer colors"
            )
        claims = [self._claim(key, group, bins) for key, group in groups.items()]
        self.hinted /= self.hinted[2].clamp(min=1)
        if any(mark.kind != "color" or wish > _LITTLE for mark, wish in claims):
            # News claims its place, too, so that no wish for what is around paints over it.
            odds = torch.stack([self._odds(mark, group) for mark, group in groups.items()])
            self._settle(claims, odds)
        for mark in marks:
            if isinstance(mark, Region | Mask):
                self._fill(mark)

    def coarse(self, ab: Tensor) -> Tensor:
        """Coarse ab (2, h, w) with the news in it, for the refiner."""
        spread = ab
        for hinted, reach in ((self._matched, _MATCH_REACH), (self.hinted, _REACH)):
            if hinted is not None and bool(hinted[2].any()):
                light = self._things.lightness
                parts = (spread, hinted, self._logits, self._uncertainty, light)
                spread = spread_hints(*parts, reach=reach)
        kept = F.adaptive_avg_pool2d(self.kept[None, None], self._grid)[0]
        return ab + (1 - kept) * (spread - ab)

    def blend(self, ab: Tensor) -> Tensor:
        """Put what is given into ab (2, H', W') of the working size, or of a coarser grid."""
        if not bool(self.weight.any()):
            return ab
        parts = torch.cat((self.weight[None], self.given))
        if ab.shape[-2:] != self.weight.shape:
            parts = F.adaptive_avg_pool2d(parts[None], (ab.shape[-2], ab.shape[-1]))[0]
        return ab * (1 - parts[0]) + parts[1:]

    def _claim(self, key: Hint, group: Sequence[Mark], bins: Tensor) -> tuple[Hint, float]:
        """Note what the marks of one color say as news; how much of them is a wish instead."""
        news = 0.0
        if key.kind == "color" and not key.within and not key.radius:
            hinted = self._news(group)
            news = self._plausible(hinted, bins) * min(1.0, 2 * key.reach)
            if news > _LITTLE:
                self.hinted += news * hinted
        return key, 1 - news

    def _odds(self, key: Hint, group: Sequence[Mark]) -> Tensor:
        """The log odds that a pixel belongs to what marks are on, (H', W')."""
        light = self._things.lightness
        working = (light.shape[-2], light.shape[-1])
        mark = draw(group, self._image, working)
        odds = torch.full(working, -2 * IMPOSSIBLE)
        if key.reach > 0:
            odds = self._things.belonging(mark, key.reach).clamp(min=-2 * IMPOSSIBLE)
            odds = _finer(odds, light)
        if key.within:
            inside = _snap(polygon(key.within, self._image, working), light)
            odds = torch.minimum(odds, inside.clamp(1e-6, 1 - 1e-6).logit() * IMPOSSIBLE / 2)
        return torch.where(mark >= 0.5, 4 * IMPOSSIBLE, odds)

    def _news(self, marks: Sequence[Mark]) -> Tensor:
        hinted = hinted_cells(marks, self._image, self._grid)
        hinted[:2] /= self._chroma
        return hinted

    def _plausible(self, hinted: Tensor, bins: Tensor) -> float:
        """From 0 to 1: how well the generator's distribution agrees with what is hinted."""
        cells = hinted[2].flatten().nonzero()[:, 0]
        cells = cells[torch.linspace(0, len(cells) - 1, min(len(cells), 64)).long()]
        probability = F.softmax(self._logits.flatten(1)[:, cells].float(), dim=0)
        color = (hinted[:2].flatten(1) / hinted[2].flatten().clamp(min=1e-6))[:, cells]
        nearest = torch.cdist(color.T, bins).topk(4, largest=False).indices
        own = probability.T.gather(1, nearest).amax(1)
        # The probability of drawing a color that is no more probable than this one.
        tail = torch.where(probability <= own, probability, 0).sum(0)
        return float((tail / _PLAUSIBLE).clamp(max=1).mean())

    def _settle(self, claims: Sequence[tuple[Hint, float]], odds: Tensor) -> None:
        """Divide the image among the marks, by the log odds (K, H', W') of each."""
        reach = torch.tensor([reach_odds(mark.reach) for mark, _ in claims])
        shares = (odds + reach[:, None, None]).sigmoid() * F.softmax(odds, dim=0)
        for (mark, wish), share in zip(claims, shares, strict=True):
            if mark.kind == "keep":
                self.kept += share
            else:
                self.weight += wish * share
                color = torch.tensor(mark_ab(mark)) / self._chroma
                self.given += wish * share * color[:, None, None]

    def _fill(self, mark: Region | Mask) -> None:
        inside = _snapped(mark, self._image, self._things.lightness)
        for part in (self.weight, self.given, self.kept):
            part *= 1 - inside
        if mark.kind == "keep":
            self.kept += inside
        else:
            self.weight += inside
            color = torch.tensor(mark_ab(mark)) / self._chroma
            self.given += inside * color[:, None, None]


def cover(area: Area, image: tuple[int, int], lightness: Tensor) -> Tensor:
    """How much of each pixel is in a part of an image, whose edge follows an edge nearby.

    Parameters
    ----------
    area : Region, Mask or ndarray
        In pixels of the image.
    image : (int, int)
        Height and width of the image.
    lightness : Tensor
        (H', W'): L* in [0, 100] at the working size.

    Returns
    -------
    Tensor
        (H', W') in [0, 1].

    Raises
    ------
    HintsError
        If the area does not fit the image.
    """
    mark = as_area(area)
    check_marks([mark], image)
    return _snapped(mark, image, lightness)


def _snapped(mark: Region | Mask, image: tuple[int, int], lightness: Tensor) -> Tensor:
    inside = draw([mark], image, (lightness.shape[-2], lightness.shape[-1]))
    return _snap(inside, lightness)


_LITTLE = 0.05  # what is smaller is not worth the time


def _finer(x: Tensor, lightness: Tensor) -> Tensor:
    """(h, w) on the pixels of the lightness (H, W), edges where that has them.

    The fast guided filter (He and Sun 2015), as in `recolor_core.upsample`.
    """
    grid = (x.shape[-2], x.shape[-1])
    size = (lightness.shape[-2], lightness.shape[-1])
    guide = F.adaptive_avg_pool2d(lightness[None, None], grid)
    slope = _slope(x[None, None], guide, 1)
    rest = x[None, None] - slope * guide
    fine = F.interpolate(torch.cat((slope, rest), dim=1), size=size, mode="bilinear")[0]
    return fine[0] * lightness + fine[1]


def _snap(inside: Tensor, lightness: Tensor) -> Tensor:
    """Shares (H, W) in [0, 1] whose edge follows an edge of the lightness near it, if any."""
    guide = lightness[None, None]
    slope = _slope(inside[None, None], guide, _EDGE)
    offset = _box(inside[None, None], _EDGE) - slope * _box(guide, _EDGE)
    snapped = _box(slope, _EDGE) * guide + _box(offset, _EDGE)
    return (2 * (snapped[0, 0] - 0.5) + 0.5).clamp(0, 1)


def _slope(x: Tensor, guide: Tensor, radius: int) -> Tensor:
    mean = _box(guide, radius)
    variance = (_box(guide * guide, radius) - mean * mean).clamp(min=0)
    covariance = _box(guide * x, radius) - mean * _box(x, radius)
    return covariance / (variance + _EDGE_LIGHTNESS)


def _box(x: Tensor, radius: int) -> Tensor:
    """Mean of the pixels around, the borders repeated."""
    padded = F.pad(x, (radius,) * 4, mode="replicate")
    return F.avg_pool2d(padded, 2 * radius + 1, stride=1)


def spread_hints(
    ab: Tensor,
    hints: Tensor,
    logits: Tensor,
    uncertainty: Tensor,
    lightness: Tensor,
    *,
    reach: float = _REACH,
) -> Tensor:
    """Coarse ab corrected by hints, wherever the generator sees more of the same.

    Kriging, that is Gaussian process regression (Rasmussen and Williams 2006, eq. 2.25), of what
    the hints say beyond the prediction. The prior standard deviation is the predicted
    uncertainty, so that what is certain stays; two places correlate that are near, equally light
    and alike in their predicted color distribution.

    Parameters
    ----------
    ab
        (2, h, w): predicted, in Lab units.
    hints
        (3, h, w), as `hint_map` makes it.
    logits
        (Q, h, w) of the color distribution.
    uncertainty
        (h, w): its standard deviation, in Lab units.
    lightness
        (H, W): L* in [0, 100]; averaged over the cells.
    reach
        Standard deviation of the prior over the distance, as a share of the short side.

    Returns
    -------
    Tensor
        (2, h, w), Lab units; `ab` itself where there is no hint.
    """
    hinted = hints[2].flatten().nonzero()[:, 0]
    if len(hinted) == 0:
        return ab
    if len(hinted) > _MAX_CELLS:
        hinted = hinted[torch.linspace(0, len(hinted) - 1, _MAX_CELLS).long()]
    grid = (ab.shape[-2], ab.shape[-1])
    light = F.adaptive_avg_pool2d(lightness[None], grid).flatten() / _LIGHTNESS
    place = torch.cartesian_prod(*(torch.arange(n) / (min(grid) * reach) for n in grid))
    # One Gaussian over all three coordinates, times a likeness.
    position = torch.cat((place, light[:, None]), dim=1)
    share = F.softmax(logits, dim=0).flatten(1).T.sqrt()
    deviation = uncertainty.flatten()

    def covariance(cells: Tensor | slice) -> Tensor:
        distance = torch.cdist(position[cells], position[hinted]).square() / 2
        unlike = (1 - share[cells] @ share[hinted].T) / _LIKENESS
        return torch.exp(-distance - unlike) * deviation[cells, None] * deviation[hinted]

    residual = (hints[:2] - hints[2] * ab).flatten(1)[:, hinted].T
    noise = _NOISE * torch.eye(len(hinted))
    weights = torch.linalg.solve(covariance(hinted) + noise, residual)
    rows = 2**22 // len(hinted)  # bounds the memory of the covariance
    parts = [
        covariance(slice(start, start + rows)) @ weights for start in range(0, len(position), rows)
    ]
    return ab + torch.cat(parts).T.reshape(ab.shape)

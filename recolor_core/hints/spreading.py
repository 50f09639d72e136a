"""Spread the colors of marks over the image."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recolor_core.arrays import sigmoid, softmax
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
from recolor_core.resampling import area_means, resize, window_means

Array = NDArray[np.float32]

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

_MAX_KNOWN = 2**24  # bytes: what is known of marks of an image for when others change

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
    logits : ndarray
        (Q, h, w) float32: of the color distribution.
    uncertainty : ndarray
        (h, w) float32: standard deviation of the predicted color, in Lab units.
    bins : ndarray
        (Q, 2) float32: the colors whose logits these are, in Lab units.
    chroma : float
        What the colors of the image will be multiplied by: marks are colors of the result.
    matched : ndarray or None
        (3, h, w) float32: colors that are known from elsewhere, as `hint_map` has those of hints.
        They are news that counts where no mark says otherwise.

    Raises
    ------
    HintsError
        If a mark does not fit the image; see `recolor_core.hints.check_marks`.

    Attributes
    ----------
    hinted : ndarray
        (3, h, w) float32: what is news, as `hint_map` makes it for the refiner; its third channel
        is smaller the less plausible the color is.
    weight : ndarray
        (H', W') float32 in [0, 1]: how much of each pixel's color is given.
    given : ndarray
        (2, H', W') float32: the color given times `weight`, before `chroma`, in Lab units.
    kept : ndarray
        (H', W') float32 in [0, 1]: how much of each pixel's color no news may change.
    """

    def __init__(
        self,
        marks: Sequence[Mark],
        image: tuple[int, int],
        things: Things,
        logits: Array,
        uncertainty: Array,
        bins: Array,
        chroma: float = 1.0,
        matched: Array | None = None,
    ) -> None:
        check_marks(marks, image)
        self._things, self._uncertainty, self._image = things, uncertainty, image
        self._chroma = max(chroma, 1e-3)
        self._logits = logits
        self._grid = (logits.shape[-2], logits.shape[-1])
        working = (things.lightness.shape[-2], things.lightness.shape[-1])
        self.hinted = np.zeros((3, *self._grid), np.float32)
        self.weight, self.kept = np.zeros((2, *working), np.float32)
        self.given = np.zeros((2, *working), np.float32)
        if marks:
            self._follow(marks, bins)
        self._matched = matched
        if matched is not None:
            self._matched = np.concatenate((matched[:2] / self._chroma, matched[2:]))

    def _follow(self, marks: Sequence[Mark], bins: Array) -> None:
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
        self.hinted /= np.maximum(self.hinted[2], 1)
        if any(mark.kind != "color" or wish > _LITTLE for mark, wish in claims):
            # News claims its place, too, so that no wish for what is around paints over it.
            odds = np.stack([self._odds(mark, group) for mark, group in groups.items()])
            self._settle(claims, odds)
        for mark in marks:
            if isinstance(mark, Region | Mask):
                self._fill(mark)

    def coarse(self, ab: Array) -> Array:
        """Put the news into coarse ab (2, h, w), for the refiner."""
        spread = ab
        for hinted, reach in ((self._matched, _MATCH_REACH), (self.hinted, _REACH)):
            if hinted is not None and hinted[2].any():
                light = self._things.lightness
                parts = (spread, hinted, self._logits, self._uncertainty, light)
                spread = spread_hints(*parts, reach=reach)
        kept = area_means(self.kept, self._grid)
        return ab + (1 - kept) * (spread - ab)

    def blend(self, ab: Array) -> Array:
        """Put what is given into ab (2, H', W') of the working size, or of a coarser grid."""
        if not self.weight.any():
            return ab
        size = (ab.shape[-2], ab.shape[-1])
        return ab * (1 - area_means(self.weight, size)) + area_means(self.given, size)

    def _claim(self, key: Hint, group: Sequence[Mark], bins: Array) -> tuple[Hint, float]:
        """Note what the marks of one color say as news; how much of them is a wish instead."""
        news = 0.0
        if key.kind == "color" and not key.within and not key.radius:
            hinted = self._news(group)
            news = self._plausible(hinted, bins) * min(1.0, 2 * key.reach)
            if news > _LITTLE:
                self.hinted += news * hinted
        return key, 1 - news

    def _odds(self, key: Hint, group: Sequence[Mark]) -> Array:
        """Return the log odds that a pixel belongs to what marks are on, (H', W')."""
        known, asked = self._things.known, (key, tuple(group), self._image)
        odds = known.pop(asked, None)
        if odds is None:
            odds = self._find_odds(key, group)
            for oldest in list(known)[: max(0, len(known) + 1 - _MAX_KNOWN // odds.nbytes)]:
                known.pop(oldest, None)
        known[asked] = odds
        return odds

    def _find_odds(self, key: Hint, group: Sequence[Mark]) -> Array:
        light = self._things.lightness
        working = (light.shape[-2], light.shape[-1])
        mark = draw(group, self._image, working)
        odds = np.full(working, -2 * IMPOSSIBLE, np.float32)
        if key.reach > 0:
            coarse = self._things.belonging(mark, key.reach).clip(-2 * IMPOSSIBLE)
            odds = _finer(coarse, light)
        if key.within:
            inside = _snap(polygon(key.within, self._image, working), light).clip(1e-6, 1 - 1e-6)
            odds = np.minimum(odds, np.log(inside / (1 - inside)) * IMPOSSIBLE / 2)
        odds[mark >= 0.5] = 4 * IMPOSSIBLE
        return odds

    def _news(self, marks: Sequence[Mark]) -> Array:
        hinted = hinted_cells(marks, self._image, self._grid)
        hinted[:2] /= self._chroma
        return hinted

    def _plausible(self, hinted: Array, bins: Array) -> float:
        """Return, from 0 to 1, how well the generator's distribution agrees with what is hinted."""
        y, x = _some(np.argwhere(hinted[2]), 64).T
        probability = softmax(self._logits[:, y, x], axis=0)
        color = hinted[:2, y, x] / np.maximum(hinted[2, y, x], 1e-6)
        distance = ((bins[:, :, None] - color) ** 2).sum(axis=1)
        nearest = np.argpartition(distance, 3, axis=0)[:4]
        own = np.take_along_axis(probability, nearest, axis=0).max(axis=0)
        # The probability of drawing a color that is no more probable than this one.
        tail = np.where(probability <= own, probability, 0).sum(axis=0)
        return float((tail / _PLAUSIBLE).clip(max=1).mean())

    def _settle(self, claims: Sequence[tuple[Hint, float]], odds: Array) -> None:
        """Divide the image among the marks, by the log odds (K, H', W') of each."""
        reach = np.array([reach_odds(mark.reach) for mark, _ in claims], np.float32)
        parts = sigmoid(odds + reach[:, None, None]) * softmax(odds, axis=0)
        for (mark, wish), share in zip(claims, parts, strict=True):
            if mark.kind == "keep":
                self.kept += share
            else:
                self._give(mark, wish * share)

    def _fill(self, mark: Region | Mask) -> None:
        inside = _snapped(mark, self._image, self._things.lightness)
        for part in (self.weight, self.given, self.kept):
            part *= 1 - inside
        if mark.kind == "keep":
            self.kept += inside
        else:
            self._give(mark, inside)

    def _give(self, mark: Mark, part: Array) -> None:
        """Give a part (H', W') of each pixel's color to a mark."""
        color = np.array(mark_ab(mark), np.float32) / self._chroma
        self.weight += part
        self.given += part * color[:, None, None]


def cover(area: Area, image: tuple[int, int], lightness: Array) -> Array:
    """Compute how much of each pixel is in a part of an image, whose edge follows an edge nearby.

    Parameters
    ----------
    area : Region, Mask or ndarray
        In pixels of the image.
    image : (int, int)
        Height and width of the image.
    lightness : ndarray
        (H', W') float32: L* in [0, 100] at the working size.

    Returns
    -------
    ndarray
        (H', W') float32 in [0, 1].

    Raises
    ------
    HintsError
        If the area does not fit the image.
    """
    mark = as_area(area)
    check_marks([mark], image)
    return _snapped(mark, image, lightness)


def _snapped(mark: Region | Mask, image: tuple[int, int], lightness: Array) -> Array:
    inside = draw([mark], image, (lightness.shape[-2], lightness.shape[-1]))
    return _snap(inside, lightness)


_LITTLE = 0.05  # what is smaller is not worth the time


def _finer(x: Array, lightness: Array) -> Array:
    """Resize (h, w) to the pixels of the lightness (H, W), with edges where that has them.

    The fast guided filter (He and Sun 2015), as in `recolor_core.upsample`.
    """
    size = (lightness.shape[-2], lightness.shape[-1])
    guide = area_means(lightness, (x.shape[-2], x.shape[-1]))
    slope = _slope(x, guide, 1)
    fine: Array = resize(slope, size) * lightness + resize(x - slope * guide, size)
    return fine


def _snap(inside: Array, lightness: Array) -> Array:
    """Move the edge of parts (H, W) in [0, 1] to an edge of the lightness near it, if any."""
    slope = _slope(inside, lightness, _EDGE)
    offset = _box(inside, _EDGE) - slope * _box(lightness, _EDGE)
    snapped: Array = _box(slope, _EDGE) * lightness + _box(offset, _EDGE)
    return (2 * (snapped - 0.5) + 0.5).clip(0, 1)


def _slope(x: Array, guide: Array, radius: int) -> Array:
    mean = _box(guide, radius)
    variance = (_box(guide * guide, radius) - mean * mean).clip(0)
    slope = _box(guide * x, radius) - mean * _box(x, radius)
    slope /= variance + _EDGE_LIGHTNESS
    return slope


def _box(x: Array, radius: int) -> Array:
    """Compute the mean (h, w) of the pixels around each pixel, with the borders repeated."""
    return window_means(np.pad(x, radius, mode="edge"), 2 * radius + 1)


def _some(values: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Return at most `count` of the values, evenly chosen."""
    if len(values) <= count:
        return values
    return values[np.arange(count) * (len(values) - 1) // (count - 1)]


def spread_hints(
    ab: Array,
    hints: Array,
    logits: Array,
    uncertainty: Array,
    lightness: Array,
    *,
    reach: float = _REACH,
) -> Array:
    """Correct coarse ab by hints, wherever the generator sees more of the same.

    Kriging, that is Gaussian process regression (Rasmussen and Williams 2006, eq. 2.25), of what
    the hints say beyond the prediction. The prior standard deviation is the predicted
    uncertainty, so that what is certain stays; two places correlate that are near, equally light
    and alike in their predicted color distribution.

    Parameters
    ----------
    ab : ndarray
        (2, h, w) float32: predicted, in Lab units.
    hints : ndarray
        (3, h, w) float32, as `hint_map` makes it.
    logits : ndarray
        (Q, h, w) float32: of the color distribution.
    uncertainty : ndarray
        (h, w) float32: its standard deviation, in Lab units.
    lightness : ndarray
        (H, W) float32: L* in [0, 100]; averaged over the cells.
    reach : float
        Standard deviation of the prior over the distance, as a fraction of the short side.

    Returns
    -------
    ndarray
        (2, h, w) float32, Lab units; `ab` itself if there is no hint.
    """
    hinted = np.flatnonzero(hints[2])
    if len(hinted) == 0:
        return ab
    hinted = _some(hinted, _MAX_CELLS)
    height, width = ab.shape[-2:]
    # One Gaussian over all three coordinates, times a likeness.
    y, x = np.mgrid[:height, :width].reshape(2, -1) / (min(height, width) * reach)
    light = area_means(lightness, (height, width)).ravel() / _LIGHTNESS
    position = np.stack((y, x, light)).astype(np.float32)
    root = np.sqrt(softmax(logits.reshape(len(logits), -1), axis=0))
    deviation = uncertainty.ravel()

    def covariance(cells: NDArray[np.intp] | slice) -> Array:
        alike = root[:, cells].T @ root[:, hinted]
        exponent = (alike - 1) / _LIKENESS
        for axis in position:
            exponent -= (axis[cells, None] - axis[hinted]) ** 2 / 2
        return np.exp(exponent) * deviation[cells, None] * deviation[hinted]  # type: ignore[no-any-return]

    residual = (hints[:2] - hints[2] * ab).reshape(2, -1)[:, hinted].T
    noise = _NOISE * np.eye(len(hinted), dtype=np.float32)
    weights = np.linalg.solve(covariance(hinted) + noise, residual)
    rows = 2**22 // len(hinted)  # bounds the memory of the covariance
    parts = [
        covariance(slice(start, start + rows)) @ weights for start in range(0, height * width, rows)
    ]
    return ab + np.concatenate(parts).T.reshape(ab.shape)

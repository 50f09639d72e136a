"""Alternatives: other colorings that the generator holds for possible, thing by thing.

The distribution of a cell says which colors the cell may have, but not which cells share one.
People see things: the dress is blue or red, and the grass is green. Here the color of each thing is
one unknown with a few possible values; their probabilities come from the cells of the thing. An
alternative is a joint choice of these values. What the generator is certain of stays, because no
other value is possible there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist

from recolor_core.arrays import sigmoid, softmax
from recolor_core.errors import ImageError
from recolor_core.hints.things import IMPOSSIBLE, Things
from recolor_core.resampling import area_means, resize, window_means

MAX_THINGS = 5
"""The largest number of things that are varied in one image."""

_SEEDS = 12  # things that are looked for before those that are alike are joined
_ALIKE = 0.05  # 1 - Bhattacharyya coefficient below which things are one, such as parts of a sky
_MIN_AREA = 0.005  # of the image
_MIN_SPREAD = 3.0  # Lab units: a mean uncertainty below which no further thing is looked for
_MAX_COLORS = 4  # of one thing, where that gives enough alternatives
_APART = 12.0  # Lab units: the smallest distance between two colors of a thing
_MIN_PROBABILITY = 0.03  # of a color of a thing
_SCALE = 9.0  # Lab units: standard deviation with which a color stands for those around it
_FLOOR = -5.0  # log probability: what is certain cannot be ruled out
_CORRELATION = 0.5
"""How errors of two things in one photograph correlate; measured on the validation split."""
_DRAWS = 256  # random joint choices that the alternatives have to stand for

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Thing:
    """A thing, or several that are alike, and the colors that it may have.

    Parameters
    ----------
    cells : ndarray
        (h, w) float32 in [0, 1]: how much each cell belongs to it.
    colors : ndarray
        (K, 2) float32, Lab units.
    probability : ndarray
        (K,) float32: of each color; the sum is 1.
    shift : ndarray
        (K, Q) float32: what each color adds to the logits of a cell.
    """

    cells: Array
    colors: Array
    probability: Array
    shift: Array


def draw_alternatives(
    things: Things,
    logits: Array,
    bins: Array,
    count: int,
    seed: int = 0,
    region: Array | None = None,
) -> list[Array]:
    """Draw joint choices for the colors of the things of an image.

    The joint probability is that of independent things, times a Gaussian copula, because the colors
    of a photograph err together. The alternatives are chosen one by one, so that together with the
    mean color they are as close as possible to random draws: what is probable comes first, and
    what is like an earlier one comes late. The first alternatives do not depend on `count`.

    Parameters
    ----------
    things : Things
        Of the image.
    logits : ndarray
        (Q, h, w) float32: of the color distribution; that of the things, unless a palette steers
        it.
    bins : ndarray
        (Q, 2) float32: the colors of the distribution, in Lab units.
    count : int
        Number of alternatives.
    seed : int
        Another seed gives other draws.
    region : ndarray or None
        (h, w) in [0, 1], on the grid of the logits: where alternatives differ; None is everywhere.

    Returns
    -------
    list of ndarray
        `count` arrays (Q, h, w) float32 to add to the logits.

    Raises
    ------
    ImageError
        If the seed is not a whole number from 0.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ImageError(f"expected a seed as a whole number, 0 or more, got {seed!r:.40}")
    probability = softmax(logits, axis=0)
    parts = find_things(things, probability, bins, region)
    shifts: list[Array] = []
    places: list[Array] = []
    fewest = 0
    while len(shifts) < count:  # with more colors for each thing if there are too few choices
        fewest += 1
        found = [_thing(cells, probability, bins, fewest) for cells in parts]
        for chosen in _choose(found, count - len(shifts), seed, places):
            shift = np.zeros(probability.shape, np.float32)
            for thing, k in zip(found, chosen, strict=True):
                shift += thing.shift[k][:, None, None] * thing.cells
            shifts.append(shift)
    return shifts


def find_things(
    things: Things, probability: Array, bins: Array, region: Array | None = None
) -> list[Array]:
    """Find the things of an image whose colors are uncertain.

    Parameters
    ----------
    things, bins, region
        As of `draw_alternatives`.
    probability : ndarray
        (Q, h, w) float32: of the colors.

    Returns
    -------
    list of ndarray
        At most `MAX_THINGS` arrays (h, w) float32 in [0, 1], the sum of which is at most 1.
    """
    allowed = np.ones(probability.shape[1:], np.float32) if region is None else region
    spread = area_means(_spread(probability, bins) * allowed, things.grid)
    left = np.ones(things.grid, np.float32)
    odds: list[Array] = []
    while len(odds) < _SEEDS:
        interest = _smooth(left * spread) * (left > 0.5)
        if odds and interest.max() < _MIN_SPREAD:
            break
        mark = np.zeros(things.grid, np.float32)
        place = np.unravel_index(int(interest.argmax()), things.grid)
        mark[place] = 1
        odds.append(things.belonging(mark, 0.5).clip(-2 * IMPOSSIBLE))
        left *= sigmoid(-odds[-1])
        left[place] = 0
    shares = np.exp(odds - np.max(odds, axis=0))
    shares = shares / shares.sum(0) * sigmoid(np.stack(odds))
    cells = resize(shares, (allowed.shape[0], allowed.shape[1])) * allowed
    cells = cells[cells.mean((1, 2)) >= min(_MIN_AREA, cells.mean((1, 2)).max())]
    if len(cells) > 1:
        own = np.sqrt(_mean(probability, cells))
        joined = linkage(pdist(own, "sqeuclidean") / 2, "average")
        kind = fcluster(joined, _ALIKE, "distance")
        if kind.max() > MAX_THINGS:
            kind = fcluster(joined, MAX_THINGS, "maxclust")
        cells = np.stack([cells[kind == k].sum(0) for k in np.unique(kind)])
    return list(cells.astype(np.float32))


def _thing(cells: Array, probability: Array, bins: Array, fewest: int) -> Thing:
    own = _mean(probability, cells[None])[0]
    colors = _representatives(own, bins, fewest)
    log = -((bins[:, None] - colors) ** 2).sum(2).T / (2 * _SCALE**2)
    share = np.exp(log - log.max(0))
    share /= share.sum(0)
    chances = share @ own
    shift = np.log(share.clip(np.exp(_FLOOR)))
    return Thing(cells, colors, chances / chances.sum(), shift.astype(np.float32))


def _representatives(probability: Array, bins: Array, fewest: int) -> Array:
    """The principal points of a distribution (Flury 1990), by weighted k-means, (K, 2)."""
    colors = (probability @ bins)[None]
    while len(colors) < max(_MAX_COLORS, fewest):
        far = ((bins[:, None] - colors) ** 2).sum(2).min(1)
        more = np.concatenate((colors, bins[None, (probability * far).argmax()]))
        for _ in range(20):
            nearest = ((bins[:, None] - more) ** 2).sum(2).argmin(1)
            total = np.bincount(nearest, probability, len(more)).clip(1e-12)
            sums = [np.bincount(nearest, probability * axis, len(more)) for axis in bins.T]
            more = (np.stack(sums) / total).T
        apart = pdist(more).min()
        if len(colors) >= fewest and (apart < _APART or total.min() < _MIN_PROBABILITY):
            break
        colors = more
    return colors.astype(np.float32)


def _choose(found: Sequence[Thing], count: int, seed: int, places: list[Array]) -> NDArray[np.intp]:
    """Choose up to `count` joint choices, (count, T): which color each thing gets.

    `places` has the colors of the things in each earlier choice, and gets those of the new ones.
    """
    choices = np.indices([len(thing.colors) for thing in found]).reshape(len(found), -1).T
    if len(choices) == 1:  # the coloring itself
        return choices[:0]
    log = np.zeros(len(choices))
    away, colors, mean = [], [], []
    for thing, k in zip(found, choices.T, strict=True):
        center = thing.probability @ thing.colors
        deviation = np.sqrt(thing.probability @ ((thing.colors - center) ** 2).sum(1))
        weight = thing.cells.mean() ** 0.25  # the eye counts things rather than pixels
        log += np.log(thing.probability[k].clip(1e-9))
        away.append((thing.colors[k] - center) / max(deviation, 1.0))
        colors.append(weight * thing.colors[k])
        mean.append(weight * center)
    shared = _CORRELATION / (1 + (len(found) - 1) * _CORRELATION)
    alone = np.square(away).sum((0, 2))
    together = np.square(np.sum(away, axis=0)).sum(1)
    log -= ((alone - shared * together) / (1 - _CORRELATION) - alone) / 2
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    drawn = np.random.default_rng(seed).multinomial(_DRAWS, weight) / _DRAWS
    drawn = 0.95 * drawn + 0.05 * weight
    place = np.concatenate(colors, axis=1)
    distance = ((place[:, None] - place) ** 2).sum(2)
    known = np.stack([np.concatenate(mean), *places])
    near = ((place[:, None] - known) ** 2).sum(2).min(1)
    chosen: list[int] = []
    while len(chosen) < min(count, len(choices)):
        gain = drawn @ (near[:, None] - distance).clip(0)
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
        near = np.minimum(near, distance[:, chosen[-1]])
    places += list(place[chosen])
    return choices[chosen]


def _mean(probability: Array, cells: Array) -> Array:
    """Mean distribution (T, Q) over the cells (T, h, w) of each thing."""
    own = np.einsum("qhw,thw->tq", probability, cells)
    return np.asarray(own / own.sum(1, keepdims=True).clip(1e-9))


def _spread(probability: Array, bins: Array) -> Array:
    mean = np.einsum("qhw,qc->chw", probability, bins)
    square = np.einsum("qhw,q->hw", probability, (bins**2).sum(1))
    return np.asarray(np.sqrt((square - (mean**2).sum(0)).clip(0)))


def _smooth(x: Array) -> Array:
    """Compute means over 5 x 5 cells; beyond the borders there is 0."""
    return window_means(np.pad(x, 2), 5)

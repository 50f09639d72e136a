"""The outlier rules: what of a collection is not worth training on, and by which threshold."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.prepare.duplicates import NearPairs, clusters, near_pairs
from training.prepare.errors import PrepareError
from training.prepare.measures import AB_CELLS
from training.prepare.store import Table

Badness = NDArray[np.float64]


@dataclass(frozen=True)
class Thresholds:
    """Where each rule draws its line; every field is a flag of `clean`.

    The defaults throw out what deserves it on 11,334 photographs from 38 sources, where every
    contact sheet was looked at; the attributes say what each would cost or catch.

    Attributes
    ----------
    near_duplicate_bits : int
        Largest number of differing bits of two 64-bit perceptual hashes, [0, 15]. Recompression
        and resizing change up to 4, cropping 3 % off each side 8; unrelated images differ in
        about 32. The search through 90,000 images takes 23 s for 8, 63 s for 10, 159 s for 12.
    near_duplicate_difference : float
        Largest root mean square difference of the 16 x 16 thumbnails, in 8-bit codes, that
        confirms a near-duplicate. Pairs found below 20 were the same scene; unrelated pairs begin
        a little above.
    min_chroma : float
        An image whose 95th percentile of chroma C* is lower is near-monochrome. Scans of black
        and white prints have 0 to 6, misty color photographs from 7.
    min_tone_residual : float
        An image is toned or duotone when its color departs less than this (root mean square, Lab
        units) from a function of lightness. 1.8 catches 98 % of sepia and blue toning and, of color
        photographs, one in 2,000 (blue seas, dark flowers). It misses unevenly faded prints (2 to
        3) and strong duotones; what caught those would take most sunsets and blue skies too.
    max_color_surprise : float
        An image's color distribution is unusual when its cross-entropy against that of the whole
        collection exceeds the median by more than this many standard deviations (estimated as
        1.4826 times the median absolute deviation). 6 takes false colors and neon light; 4 would
        take flowers and sunsets too, which a colorizer should see.
    min_sharpness : float
        Ratio of Laplacian to gradient at the strongest edges at 256 px. 0.85 catches 97 % of
        images blurred with sigma 1.5 px and 99 % of those enlarged four times, and next to no
        others; 1.0 would take every sky of soft clouds.
    min_short_side : int
        In pixels. 224 is what the networks work at.
    max_aspect_ratio : float
        Long side over short side. Of a longer panorama a square crop shows next to nothing.
    min_color_entropy : float
        In bits. Less is a drawing, chart, logo or screenshot.
    max_flat : float
        Share of pixels that equal all four neighbors. More is a graphic too, whatever its colors.
    max_transparent : float
        Share of transparent pixels. More is a cut-out or an icon.
    """

    near_duplicate_bits: int = 10
    near_duplicate_difference: float = 20.0
    min_chroma: float = 6.5
    min_tone_residual: float = 1.8
    max_color_surprise: float = 6.0
    min_sharpness: float = 0.85
    min_short_side: int = 224
    max_aspect_ratio: float = 2.5
    min_color_entropy: float = 4.0
    max_flat: float = 0.6
    max_transparent: float = 0.02

    def __post_init__(self) -> None:
        if not 0 <= self.near_duplicate_bits <= 15:
            raise PrepareError(
                f"near_duplicate_bits is {self.near_duplicate_bits}: expected 0 to 15 of 64 bits."
            )


@dataclass(frozen=True)
class Rule:
    """One rule over single images.

    Attributes
    ----------
    name : str
        Column of the manifest.
    title : str
        What it throws out, for people.
    measures : tuple of str
        The measures it looks at, shown under each image of its contact sheet.
    badness : callable
        ``(table, thresholds) -> ndarray (n,)``; an image is thrown out where this exceeds 1, and
        the larger, the worse.
    """

    name: str
    title: str
    measures: tuple[str, ...]
    badness: Callable[[Table, Thresholds], Badness]


def _above(value: NDArray[np.generic], limit: float) -> Badness:
    return np.asarray(value, np.float64) / max(limit, 1e-9)


def _below(value: NDArray[np.generic], limit: float) -> Badness:
    return limit / np.maximum(np.asarray(value, np.float64), 1e-9)


def color_surprise(table: Table) -> NDArray[np.float64]:
    """How unusual each image's colors are in this collection, in robust standard deviations.

    The cross-entropy in bits between an image's histogram of a*b* and the mean histogram of all
    the others (with one image's weight of uniform colors), minus the median, over 1.4826 times
    the median absolute deviation. Below 20 images there is no distribution to speak of, and all
    are 0.
    """
    valid = np.flatnonzero(table["error"] == "")
    surprise = np.zeros(len(table))
    if len(valid) < 20:
        return surprise
    together = table.ab_histograms[valid].sum(0, dtype=np.float64) + 1 / AB_CELLS
    for part in np.array_split(valid, 1 + len(valid) // 8192):
        histograms = table.ab_histograms[part].astype(np.float64)
        others = (together - histograms) / len(valid)
        surprise[part] = -(histograms * np.log2(others)).sum(1)
    median = np.median(surprise[valid])
    spread = 1.4826 * np.median(np.abs(surprise[valid] - median))
    surprise[valid] = (surprise[valid] - median) / max(spread, 1e-9)
    return surprise


def _aspect_ratio(table: Table) -> NDArray[np.float64]:
    width, height = (np.asarray(table[side], np.float64) for side in ("width", "height"))
    return np.maximum(width, height) / np.maximum(np.minimum(width, height), 1)


def _toned(table: Table, thresholds: Thresholds) -> Badness:
    toned = _below(table["tone_residual"], thresholds.min_tone_residual)
    monochrome = _below(table["chroma"], thresholds.min_chroma) > 1
    return np.where(monochrome, 0, toned)  # gray is a function of lightness as well


def _graphic(table: Table, thresholds: Thresholds) -> Badness:
    return np.maximum.reduce(
        [
            _below(table["color_entropy"], thresholds.min_color_entropy),
            _above(table["flat"], thresholds.max_flat),
            _above(table["transparent"], thresholds.max_transparent),
        ]
    )


RULES = (
    Rule(
        "monochrome",
        "near-monochrome",
        ("chroma",),
        lambda table, at: _below(table["chroma"], at.min_chroma),
    ),
    Rule(
        "toned",
        "toned",
        ("tone_residual",),
        _toned,
    ),
    Rule(
        "unusual_color",
        "unusual color distribution",
        ("color_surprise",),
        lambda table, at: _above(color_surprise(table), at.max_color_surprise),
    ),
    Rule(
        "blurry",
        "blurry",
        ("sharpness",),
        lambda table, at: _below(table["sharpness"], at.min_sharpness),
    ),
    Rule(
        "low_resolution",
        "low resolution",
        ("width", "height"),
        lambda table, at: _below(np.minimum(table["width"], table["height"]), at.min_short_side),
    ),
    Rule(
        "aspect_ratio",
        "extreme aspect ratio",
        ("width", "height"),
        lambda table, at: _above(_aspect_ratio(table), at.max_aspect_ratio),
    ),
    Rule(
        "graphic",
        "graphic, no photograph",
        ("color_entropy", "flat", "transparent"),
        _graphic,
    ),
)
"""The rules that judge an image by its own measures."""

TITLES = {
    "corrupt": "corrupt",
    "duplicate": "duplicate",
    "near_duplicate": "near-duplicate",
    **{rule.name: rule.title for rule in RULES},
}
"""All rules by name, in the order of the manifest's columns."""


@dataclass(frozen=True)
class Verdicts:
    """What the rules say of the images of a table.

    Attributes
    ----------
    badness : dict of str to ndarray of float64, shape (n,)
        Per rule: above 1 is thrown out, the larger, the worse; 0 where the rule does not apply.
    duplicate_of : ndarray of int64, shape (n,)
        The kept image that a duplicate or near-duplicate equals, else -1.
    cluster : ndarray of int64, shape (n,)
        Index of the first image of the cluster of (near-)duplicates that this one belongs to.
    """

    badness: dict[str, Badness]
    duplicate_of: NDArray[np.int64]
    cluster: NDArray[np.int64]

    def rejected(self, rule: str) -> NDArray[np.bool_]:
        """Return which images this rule throws out."""
        return self.badness[rule] > 1

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Which images no rule throws out."""
        return ~np.any([self.rejected(rule) for rule in self.badness], axis=0)


def judge(
    table: Table, thresholds: Thresholds, preferred: NDArray[np.bool_] | None = None
) -> Verdicts:
    """Apply all rules.

    Of duplicates and near-duplicates the best one stays: a preferred one, then one that no other
    rule throws out, then the one with most pixels, then the largest file, then the first. A
    near-duplicate is thrown out only for being near to an image that stays, never over a chain of
    others.

    Parameters
    ----------
    table : Table
    thresholds : Thresholds
    preferred : ndarray of bool, shape (n,), optional
        Images that are to stay where they have duplicates.
    """
    n = len(table)
    corrupt = table["error"] != ""
    alone = {rule.name: np.where(corrupt, 0, rule.badness(table, thresholds)) for rule in RULES}

    outlier = corrupt | (np.max(list(alone.values()), axis=0) > 1)
    area = np.asarray(table["width"], np.int64) * np.asarray(table["height"], np.int64)
    size = np.array([image.size for image in table.images])
    last = np.zeros(n, bool) if preferred is None else ~preferred
    by_rank = np.lexsort((np.arange(n), -size, -area, outlier, last))
    rank = np.argsort(by_rank)

    _, same = np.unique(table["pixel_sha256"], return_inverse=True)
    best = np.full(n, n)
    np.minimum.at(best, same, rank)
    duplicate = ~corrupt & (best[same] != rank)

    once = np.flatnonzero(~corrupt & ~duplicate)
    found = near_pairs(
        np.asarray(table["phash"], np.uint64)[once],
        np.asarray(table["phash_mirrored"], np.uint64)[once],
        table.thumbnails[once],
        thresholds.near_duplicate_bits,
        thresholds.near_duplicate_difference,
    )
    pairs = NearPairs(once[found.first], once[found.second], found.difference)
    duplicate_of, nearness = _near_kept(n, pairs, rank)
    duplicate_of[duplicate] = by_rank[best[same[duplicate]]]

    equal = np.flatnonzero(duplicate)
    cluster = clusters(
        n,
        np.concatenate([pairs.first, equal]),
        np.concatenate([pairs.second, duplicate_of[equal]]),
    )
    badness = {
        "corrupt": np.where(corrupt, 2.0, 0.0),
        "duplicate": np.where(duplicate, 2.0, 0.0),
        "near_duplicate": nearness,
    }
    return Verdicts(badness | alone, duplicate_of, cluster)


def _near_kept(
    n: int, pairs: NearPairs, rank: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Badness]:
    """Walk through the pairs from the best image down; whoever is near to one kept is out."""
    better = rank[pairs.first] < rank[pairs.second]
    keeper = np.where(better, pairs.first, pairs.second)
    other = np.where(better, pairs.second, pairs.first)
    duplicate_of = np.full(n, -1)
    nearness = np.zeros(n)
    for pair in np.lexsort((pairs.difference, rank[keeper])):
        if duplicate_of[keeper[pair]] < 0 and duplicate_of[other[pair]] < 0:
            duplicate_of[other[pair]] = keeper[pair]
            nearness[other[pair]] = 2 - pairs.difference[pair] / 256  # most alike first
    return duplicate_of, nearness

"""The outlier rules: which images of a collection are not worth training on."""

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
    """Thresholds of the rules. Each field is a flag of `clean`.

    The defaults were chosen on 11,334 photographs from 38 sources, for which every contact sheet
    was reviewed. The attributes state what other values would catch or cost.

    Attributes
    ----------
    near_duplicate_bits : int
        Maximum number of differing bits of two 64-bit perceptual hashes, [0, 15]. Recompression
        and resizing change up to 4; cropping 3 % off each side changes 8; unrelated images differ
        in about 32. Searching 90,000 images takes 23 s for 8, 63 s for 10, 159 s for 12.
    near_duplicate_difference : float
        Maximum root mean square difference of the 16 x 16 thumbnails, in 8-bit codes, for a
        near-duplicate. Pairs found below 20 showed the same scene; unrelated pairs begin slightly
        above.
    min_chroma : float
        If the 95th percentile of chroma C* is lower, an image is near-monochrome. Scans of black
        and white prints have 0 to 6; misty color photographs have 7 or more.
    min_tone_residual : float
        If the color differs by less than this (root mean square, Lab units) from a function of
        lightness, an image is toned or duotone. 1.8 catches 98 % of sepia and blue toning and one
        in 2,000 color photographs (blue seas, dark flowers). It misses unevenly faded prints (2 to
        3) and strong duotones; a value that catches those would also reject most sunsets and blue
        skies.
    max_color_surprise : float
        The color distribution of an image is unusual if its cross-entropy against that of the whole
        collection exceeds the median by more than this many standard deviations (estimated as
        1.4826 times the median absolute deviation). 6 rejects false colors and neon light; 4 would
        also reject flowers and sunsets, which a colorizer should see.
    min_sharpness : float
        Ratio of Laplacian to gradient at the strongest edges at 256 px. 0.85 catches 97 % of images
        blurred with sigma 1.5 px, 99 % of images enlarged four times, and almost no others; 1.0
        would reject every sky of soft clouds.
    min_short_side : int
        Short side in pixels. The networks work at 224.
    max_aspect_ratio : float
        Long side divided by short side. A square crop of a longer panorama shows too little of it.
    min_color_entropy : float
        Entropy in bits. An image with less is a drawing, chart, logo or screenshot.
    max_flat : float
        Fraction of pixels that equal all four neighbors. An image with more is a graphic.
    max_transparent : float
        Fraction of transparent pixels. An image with more is a cut-out or an icon.
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
    """One rule that judges each image separately.

    Attributes
    ----------
    name : str
        Column in the manifest.
    title : str
        What the rule rejects, for people.
    measures : tuple of str
        The measures that the rule uses, shown under each image of its contact sheet.
    badness : callable
        ``(table, thresholds) -> ndarray (n,)``. An image is rejected if the value exceeds 1; a
        larger value is worse.
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
    """Return how unusual the colors of each image are, in robust standard deviations.

    The value is the cross-entropy in bits between the a*b* histogram of an image and the mean
    histogram of all other images (plus uniform colors with the weight of one image), minus the
    median, divided by 1.4826 times the median absolute deviation. If there are fewer than 20
    images, no distribution can be estimated, and all values are 0.
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
    return np.where(monochrome, 0, toned)  # gray is also a function of lightness


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
    """What the rules decide about the images of a table.

    Attributes
    ----------
    badness : dict of str to ndarray of float64, shape (n,)
        For each rule: rejected if above 1; larger is worse; 0 if the rule does not apply.
    duplicate_of : ndarray of int64, shape (n,)
        Index of the kept image that a duplicate or near-duplicate matches; otherwise -1.
    cluster : ndarray of int64, shape (n,)
        Index of the first image in the same cluster of duplicates and near-duplicates.
    """

    badness: dict[str, Badness]
    duplicate_of: NDArray[np.int64]
    cluster: NDArray[np.int64]

    def rejected(self, rule: str) -> NDArray[np.bool_]:
        """Return which images this rule rejects."""
        return self.badness[rule] > 1

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Return which images no rule rejects."""
        return ~np.any([self.rejected(rule) for rule in self.badness], axis=0)


def judge(
    table: Table, thresholds: Thresholds, preferred: NDArray[np.bool_] | None = None
) -> Verdicts:
    """Apply all rules.

    The best image among duplicates and near-duplicates is kept. A preferred image comes first, then
    one that no other rule rejects, then the one with the most pixels, then the largest file, then
    the first. A near-duplicate is rejected only if it is close to an image that is kept, never
    through a chain of other images.

    Parameters
    ----------
    table : Table
    thresholds : Thresholds
    preferred : ndarray of bool, shape (n,), optional
        Images to keep if they have duplicates.
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
    """Go through the pairs from the best image down and reject images close to a kept one."""
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

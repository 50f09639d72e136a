"""Analyze colors by position, the relation of lightness and color, and groups of images.

All functions take photographs as sRGB codes, (N, h, w, 3) uint8, from `dataset.read_grids`, or
their histograms over the a*b* plane. They hold a few hundred images in memory as Lab at a time.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score

from recolor_core.metrics import bootstrap_interval
from training.analysis.dataset import lab_chunks

Floats = NDArray[np.float64]
Interval = tuple[float, float, float]
"""A value, and the low and the high end of its 95 % interval."""

GRAY_CHROMA = 10.0
"""If C* is below this, a pixel counts as gray, because its hue is hard to name."""

SECTORS: dict[str, tuple[float, float]] = {
    "red and pink": (345, 45),
    "orange and brown": (45, 75),
    "yellow": (75, 105),
    "green": (105, 190),
    "blue": (190, 295),
    "purple": (295, 345),
}
"""Ranges of CIELAB hue angles in degrees for each name. The sky is near 260."""

WINDOW = 8
"""Side, in cells, of the windows for local correlations of color and lightness."""

CHANNELS = ("a*", "b*", "C*")
"""Channels that are correlated with lightness. C* is chroma."""

MAX_CLUSTERS = 8
_AS_GOOD = 0.02  # silhouettes that differ by less than this count as equal
_MIN_SPREAD = 0.5  # Lab units; a correlation of values with less spread is rounding noise
_AB_EXTENT = 110
_AB_STEP = 2
_FINE = 4  # number of cells in one Lab unit for computing quartiles


@dataclass(frozen=True)
class PositionMaps:
    """Color by position in the image.

    Attributes
    ----------
    images : int
    mean : ndarray (h, w, 3)
        Mean L*, a*, b* over all images.
    spread : ndarray (h, w, 3)
        Standard deviation between images.
    shares : dict of str to ndarray (h, w)
        Fraction of the images that are gray or have a hue of `SECTORS` there, [0, 1]; the sum is 1.
    """

    images: int
    mean: Floats
    spread: Floats
    shares: dict[str, Floats]


def position_maps(codes: NDArray[np.uint8]) -> PositionMaps:
    """Compute the mean, the spread and the hues of the color at each position."""
    total = squares = np.zeros((*codes.shape[1:3], 3))
    shares = {name: np.zeros(codes.shape[1:3]) for name in ("gray", *SECTORS)}
    for lab in lab_chunks(codes):
        total = total + lab.sum(0)
        squares = squares + (lab**2).sum(0)
        for name, inside in _sectors(lab).items():
            shares[name] += inside.sum(0)
    mean = total / len(codes)
    spread = np.sqrt(np.maximum(squares / len(codes) - mean**2, 0))
    return PositionMaps(len(codes), mean, spread, {n: s / len(codes) for n, s in shares.items()})


def _sectors(lab: Floats) -> dict[str, NDArray[np.bool_]]:
    hue = np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360
    gray = np.hypot(lab[..., 1], lab[..., 2]) < GRAY_CHROMA
    inside = {"gray": gray}
    for name, (low, high) in SECTORS.items():
        between = (hue >= low) & (hue < high) if low < high else (hue >= low) | (hue < high)
        inside[name] = between & ~gray
    return inside


@dataclass(frozen=True)
class LightnessCorrelation:
    """Pearson correlations of L* with each of `CHANNELS`.

    Attributes
    ----------
    overall : dict of str to Interval
        Over all pixels of all images. The interval is from a bootstrap over images.
    per_image : ndarray (N, 3)
        Within each image. NaN if lightness or color is constant.
    per_window : ndarray (M, 3)
        Within each window of `WINDOW` x `WINDOW` cells of each image. NaN is left out for each
        channel.
    by_place : ndarray (h, w, 3)
        Between images, at each position.
    lightness : ndarray (20,)
        Centers of the bins of L*.
    color_at : ndarray (20, 2, 3)
        Lower quartile, median and upper quartile of a* and b* in each bin. NaN if the bin is
        empty.
    """

    overall: dict[str, Interval]
    per_image: Floats
    per_window: Floats
    by_place: Floats
    lightness: Floats
    color_at: Floats


def lightness_correlation(codes: NDArray[np.uint8]) -> LightnessCorrelation:
    """Correlate lightness with color globally, per image, in windows, and at each position."""
    per_image, per_window, moments = [], [], []
    over = [np.zeros((*codes.shape[1:3], 3)) for _ in range(5)]
    tables = np.zeros((20, 2, 2 * _AB_EXTENT * _FINE))  # bin of L*, channel, cell
    for lab in lab_chunks(codes):
        light = lab[..., :1]
        color = np.concatenate((lab[..., 1:], np.hypot(lab[..., 1:2], lab[..., 2:])), axis=-1)
        flat_light, flat_color = (x.reshape(len(x), -1, x.shape[-1]) for x in (light, color))
        per_image.append(_correlation(flat_light, flat_color))
        windows = _windows(np.concatenate((light, color), axis=-1))
        per_window.append(_correlation(windows[..., :1], windows[..., 1:]))
        products = (light, color, light**2, color**2, light * color)
        for sums, product in zip(over, products, strict=True):
            sums += product.sum(0)
        moments.append(
            np.stack([np.broadcast_to(p, color.shape).mean((1, 2)) for p in products], axis=1)
        )
        level = (light[..., 0] / 5).astype(int).clip(0, 19)
        for channel in range(2):
            cell = ((color[..., channel] + _AB_EXTENT) * _FINE).astype(int)
            cell = cell.clip(0, tables.shape[-1] - 1)
            np.add.at(tables[:, channel], (level, cell), 1)
    of_images = np.concatenate(moments)  # (N, 5, 3): means of the products
    by_place = _of_moments(np.stack(over) / len(codes))
    overall = {
        name: bootstrap_interval(
            of_images[:, :, channel], lambda drawn: _of_moments(drawn.mean(-2).T)
        )
        for channel, name in enumerate(CHANNELS)
    }
    return LightnessCorrelation(
        overall,
        np.concatenate(per_image),
        np.concatenate(per_window),
        by_place,
        np.arange(2.5, 100, 5),
        _quartiles(tables),
    )


def _correlation(light: Floats, color: Floats) -> Floats:
    """Correlate (..., n, 1) with (..., n, C) over n; the result is (..., C)."""
    products = (light, color, light**2, color**2, light * color)
    return _of_moments(np.stack([np.broadcast_to(p, color.shape).mean(-2) for p in products]))


def _of_moments(means: Floats) -> Floats:
    """Compute the correlation from the means of x, y, x^2, y^2 and xy along the first axis."""
    x, y, xx, yy, xy = means
    spread = np.sqrt(np.maximum(xx - x**2, 0)), np.sqrt(np.maximum(yy - y**2, 0))
    known = (spread[0] > _MIN_SPREAD) & (spread[1] > _MIN_SPREAD)
    product = np.where(known, spread[0] * spread[1], 1)
    return np.where(known, (xy - x * y) / product, np.nan)


def _windows(values: Floats) -> Floats:
    """Split (n, h, w, C) into (windows, WINDOW * WINDOW, C); incomplete windows are dropped."""
    n, height, width, channels = values.shape
    rows, columns = height // WINDOW, width // WINDOW
    cut = values[:, : rows * WINDOW, : columns * WINDOW]
    parts = cut.reshape(n, rows, WINDOW, columns, WINDOW, channels).transpose(0, 1, 3, 2, 4, 5)
    return parts.reshape(-1, WINDOW * WINDOW, channels)


def _quartiles(tables: Floats) -> Floats:
    """Return quartiles of each row of counts in cells of 1 / _FINE units from -_AB_EXTENT."""
    total = tables.sum(-1, keepdims=True)
    share = tables.cumsum(-1) / np.maximum(total, 1)
    found = np.stack([(share >= q).argmax(-1) for q in (0.25, 0.5, 0.75)], axis=-1)
    return np.where(total >= 20, (found + 0.5) / _FINE - _AB_EXTENT, np.nan)


@dataclass(frozen=True)
class ColorDistribution:
    """Distribution of colors in the a*b* plane.

    Attributes
    ----------
    images : int
    edges : ndarray (111,)
        Edges of square cells of 2 Lab units.
    share : ndarray (110, 110)
        Fraction of the pixels in each cell, by a* (first axis) and b*.
    lightness : ndarray (110, 110)
        Mean L* of each cell's pixels. NaN if the cell is empty.
    gray : Interval
        Fraction of pixels with C* below `GRAY_CHROMA`.
    chroma : Interval
        Mean C*.
    bits : float
        Entropy of `share`.
    """

    images: int
    edges: Floats
    share: Floats
    lightness: Floats
    gray: Interval
    chroma: Interval
    bits: float


def color_distribution(codes: NDArray[np.uint8]) -> ColorDistribution:
    """Compute the distribution of colors over the a*b* plane, with bootstrap intervals."""
    edges = np.arange(-_AB_EXTENT, _AB_EXTENT + 1, _AB_STEP, dtype=np.float64)
    count = np.zeros((len(edges) - 1,) * 2)
    light = np.zeros_like(count)
    gray, chroma = [], []
    for lab in lab_chunks(codes):
        flat = lab.reshape(-1, 3)
        cell = ((flat[:, 1:] + _AB_EXTENT) // _AB_STEP).astype(int).clip(0, len(edges) - 2)
        place = (cell[:, 0], cell[:, 1])
        np.add.at(count, place, 1)
        np.add.at(light, place, flat[:, 0])
        of_pixel = np.hypot(lab[..., 1], lab[..., 2])
        gray.append((of_pixel < GRAY_CHROMA).mean((1, 2)))
        chroma.append(of_pixel.mean((1, 2)))
    share = count / count.sum()
    positive = share[share > 0]
    return ColorDistribution(
        len(codes),
        edges,
        share,
        np.where(count > 0, light / np.maximum(count, 1), np.nan),
        bootstrap_interval(np.concatenate(gray)),
        bootstrap_interval(np.concatenate(chroma)),
        float(-(positive * np.log2(positive)).sum()),
    )


@dataclass(frozen=True)
class Palettes:
    """Principal components and groups of the color distributions of images.

    Attributes
    ----------
    components : ndarray (K, side, side)
        Principal components over the cells of the a*b* plane, by a* (first axis) and b*.
    explained : ndarray (K,)
        Fraction of the variance that each component explains.
    places : ndarray (N, K)
        Coordinates of the images along the components.
    group : ndarray of int (N,)
        Group of each image. The largest group is 0.
    silhouettes : dict of int to float
        Silhouette coefficient (Rousseeuw 1987), in [-1, 1], for each number of groups.
    distance : ndarray (N,)
        Distance of each image to the center of its group.
    """

    components: Floats
    explained: Floats
    places: Floats
    group: NDArray[np.int64]
    silhouettes: dict[int, float]
    distance: Floats


def palettes(histograms: NDArray[np.floating], seed: int = 0) -> Palettes:
    """Compute principal components of color distributions and group images by k-means.

    The function compares square roots of the fractions, so Euclidean distance is the Hellinger
    distance: a color of 4 % counts twice as much as one of 1 %. It chooses the smallest number of
    groups whose silhouette is within 0.02 of the best one.

    Parameters
    ----------
    histograms
        (N, side * side): fractions in the cells of the a*b* plane, for at least 4 images.
    seed
        Seed of k-means.
    """
    roots = np.sqrt(np.asarray(histograms, np.float64))
    side = round(roots.shape[1] ** 0.5)
    pca = PCA(min(6, len(roots) - 1), random_state=seed)
    places = pca.fit_transform(roots)
    tried: dict[int, tuple[float, KMeans]] = {}
    distinct = len(np.unique(places.round(9), axis=0))
    for number in range(2, min(MAX_CLUSTERS, distinct - 1) + 1):
        means = KMeans(number, n_init=4, random_state=seed).fit(places)
        sample = min(2000, len(places))
        score = silhouette_score(places, means.labels_, sample_size=sample, random_state=seed)
        tried[number] = (float(score), means)
    if tried:
        enough = max(score for score, _ in tried.values()) - _AS_GOOD
        best = next(means for score, means in tried.values() if score >= enough)
        order = np.argsort(-np.bincount(best.labels_), kind="stable")
        group = np.argsort(order)[best.labels_]
        distance = best.transform(places).min(1)
    else:  # too few different images to form groups
        group, distance = np.zeros(len(places), int), np.zeros(len(places))
    return Palettes(
        pca.components_.reshape(-1, side, side),
        pca.explained_variance_ratio_,
        places,
        np.asarray(group, np.int64),
        {number: score for number, (score, _) in tried.items()},
        distance,
    )

"""Features that the classifiers use: color statistics of an image and a small copy of it."""

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kurtosis, skew
from torch import Tensor
from torch.nn import functional as F

from recolor_core.lab import rgb_to_lab

SIDE = 64
"""Side in pixels of the copy for the network."""

RANGE = 64.0
"""Range of a* and b*: -64 to 64. Values beyond it count in the outermost bin."""

CELLS = 8
"""Number of histogram bins along a* and along b*."""

OCTAVES = 5
"""Number of levels of detail. Each level has half the size of the one before."""

BLOCK = 16
"""Side in pixels of the blocks for local statistics."""


def planes(rgb: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Return a small copy of an image in Lab.

    Parameters
    ----------
    rgb
        (H, W, 3) sRGB codes.

    Returns
    -------
    ndarray
        (3, 64, 64): L* / 50 - 1, a* / 50 and b* / 50, averaged over areas.
    """
    lab = rgb_to_lab(torch.from_numpy(rgb).permute(2, 0, 1))
    small = F.adaptive_avg_pool2d(lab, SIDE) / 50
    small[0] -= 1
    return small.numpy().astype(np.float16)


def color_statistics(rgb: NDArray[np.uint8]) -> dict[str, float]:
    """Return color statistics of an image by name.

    The statistics are: fractions in the bins of an a*b* histogram; moments and percentiles of a*,
    b* and chroma; entropy of hue; correlations of a*, b*, chroma and L*; chroma in blocks of 16
    pixels; the strength of color detail, also relative to lightness detail, for each octave; and
    how well color edges coincide with lightness edges.

    Parameters
    ----------
    rgb
        (H, W, 3) sRGB codes, 64 pixels or more in height and width.
    """
    groups = grouped_statistics(rgb).values()
    return {name: value for group in groups for name, value in group.items()}


def grouped_statistics(rgb: NDArray[np.uint8]) -> dict[str, dict[str, float]]:
    """Return the statistics of `color_statistics` by the group that they belong to.

    Parameters
    ----------
    rgb
        As in `color_statistics`.
    """
    lab = rgb_to_lab(torch.from_numpy(rgb).permute(2, 0, 1)).double()
    lightness, a, b = lab.numpy()
    chroma = np.hypot(a, b)
    return {
        "histogram of a* and b*": _histogram(a, b),
        "moments and percentiles": {
            **_moments({"a*": a, "b*": b, "chroma": chroma}),
            "hue entropy": _hue_entropy(a, b, chroma),
        },
        "correlations of whole images": {
            "correlation a*, b*": _correlation(a, b),
            "correlation L*, a*": _correlation(lightness, a),
            "correlation L*, b*": _correlation(lightness, b),
            "correlation L*, chroma": _correlation(lightness, chroma),
        },
        "chroma in blocks of 16 pixels": _blocks(lab),
        "detail by octave": _detail(lab),
        "edges": _edges(lab),
    }


def _histogram(a: NDArray[np.float64], b: NDArray[np.float64]) -> dict[str, float]:
    edges = np.linspace(-RANGE, RANGE, CELLS + 1)
    x, y = (np.clip(plane.ravel(), -RANGE, RANGE) for plane in (a, b))
    shares = np.histogram2d(x, y, bins=edges)[0] / a.size
    return {
        f"share of a* {edges[i]:g} to {edges[i + 1]:g}, b* {edges[j]:g} to {edges[j + 1]:g}": share
        for (i, j), share in np.ndenumerate(shares)
    }


def _moments(planes: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    moments: dict[str, float] = {}
    for name, plane in planes.items():
        values = plane.ravel()
        moments |= {f"mean {name}": values.mean(), f"deviation of {name}": values.std()}
        if values.std() > 1e-3:  # skewness and kurtosis of a constant are undefined
            moments[f"skewness of {name}"] = skew(values)
            moments[f"kurtosis of {name}"] = kurtosis(values)
        else:
            moments |= {f"skewness of {name}": 0.0, f"kurtosis of {name}": 0.0}
        for percent in (1, 5, 25, 50, 75, 95, 99):
            moments[f"{percent} % percentile of {name}"] = np.percentile(values, percent)
    return moments


def _hue_entropy(
    a: NDArray[np.float64], b: NDArray[np.float64], chroma: NDArray[np.float64]
) -> float:
    """Return the entropy of hues in 36 sectors, weighted by chroma, from 0 (one hue) to 1."""
    counts, _ = np.histogram(np.arctan2(b, a), 36, (-np.pi, np.pi), weights=chroma)
    shares = counts[counts > 0] / max(counts.sum(), 1e-12)
    return float(-(shares * np.log(shares)).sum() / np.log(36))


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the Pearson correlation, or 0 if x or y is constant."""
    if min(x.std(), y.std()) < 1e-3:
        return 0.0
    return float(np.corrcoef(x.ravel(), y.ravel())[0, 1])


def _blocks(lab: Tensor) -> dict[str, float]:
    """Return statistics of the mean and spread of chroma within blocks."""
    means = F.avg_pool2d(lab[1:], BLOCK)
    spread = (F.avg_pool2d(lab[1:].square(), BLOCK) - means.square()).clamp(min=0).sum(0).sqrt()
    chroma = means.norm(dim=0)
    statistics = {"share of gray blocks": float((chroma < 5).double().mean())}
    for percent in (10, 50, 90):
        for name, values in (("chroma", chroma), ("spread", spread)):
            statistics[f"{percent} % percentile of {name} in blocks"] = float(
                values.quantile(percent / 100)
            )
    return statistics


def _detail(lab: Tensor) -> dict[str, float]:
    """Return statistics of the detail in each level of a pyramid."""
    levels = [lab[None]]
    for _ in range(OCTAVES):
        levels.append(F.avg_pool2d(levels[-1], 2))
    statistics: dict[str, float] = {}
    for octave, (fine, coarse) in enumerate(pairwise(levels)):
        detail = fine - F.interpolate(coarse, fine.shape[-2:], mode="bilinear")
        light, a, b = detail[0].numpy()
        color = float(np.sqrt((a**2 + b**2).mean()))
        at = f"detail at {2**octave} pixels"
        statistics |= {
            f"color {at}": color,
            f"color over lightness {at}": color / (float(np.sqrt((light**2).mean())) + 0.1),
            f"correlation L*, a* of {at}": abs(_correlation(light, a)),
            f"correlation L*, b* of {at}": abs(_correlation(light, b)),
        }
    return statistics


def _edges(lab: Tensor) -> dict[str, float]:
    """Compare color and lightness gradients at half size, where pixel noise counts less."""
    light, a, b = F.avg_pool2d(lab, 2).numpy()
    of_light = np.hypot(*np.gradient(light))
    of_color = np.sqrt(sum(step**2 for plane in (a, b) for step in np.gradient(plane)))
    strong = of_light > np.percentile(of_light, 90)
    weak = of_light < np.percentile(of_light, 50)
    total = of_color.sum() + 1e-6
    return {
        "correlation of edges of L* and color": _correlation(of_light, of_color),
        "color edges on strong edges of L*": float(of_color[strong].sum() / total),
        "color edges where L* is smooth": float(of_color[weak].sum() / total),
    }

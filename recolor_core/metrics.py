"""How good a coloring is: the measures that training and validation report."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

EDGE_GRADIENT = 4.0
"""Change of color, in Lab units per pixel, from which on a pixel lies on a color edge."""

EDGE_BAND = 2
"""Pixels on either side of a color edge that belong to its band."""


def coarse_error(ab: Tensor, true: Tensor) -> Tensor:
    """Mean squared error of a* and b* divided by 255, of each picture.

    Parameters
    ----------
    ab, true
        (B, 2, h, w), Lab units. Customarily at a quarter of the working size, 56 x 56.

    Returns
    -------
    Tensor
        (B,)
    """
    return ((ab - true) / 255).square().mean(dim=(1, 2, 3))


def psnr(rgb: Tensor, true: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of each picture.

    Parameters
    ----------
    rgb, true
        (B, 3, H, W), codes in [0, 1].

    Returns
    -------
    Tensor
        (B,); at most 100, for equal pictures too.
    """
    error = (rgb - true).square().mean(dim=(1, 2, 3))
    ratio: Tensor = -10 * error.clamp(min=1e-10).log10()
    return ratio


def colorfulness(rgb: Tensor) -> Tensor:
    """Colorfulness M3 of Hasler and Suesstrunk (2003) of each picture; 0 is gray.

    Parameters
    ----------
    rgb
        (B, 3, H, W), codes in [0, 1].

    Returns
    -------
    Tensor
        (B,)
    """
    red, green, blue = (255 * rgb).unbind(1)
    opponents = torch.stack((red - green, (red + green) / 2 - blue), dim=1)
    deviation = opponents.std(dim=(2, 3), correction=0).norm(dim=1)
    result: Tensor = deviation + 0.3 * opponents.mean(dim=(2, 3)).norm(dim=1)
    return result


def edge_band(true: Tensor) -> Tensor:
    """Where the color of the true picture changes: its edges and `EDGE_BAND` pixels around them.

    Parameters
    ----------
    true
        (B, 2, H, W): true a* and b* in Lab units.

    Returns
    -------
    Tensor
        (B, 1, H, W), bool. Edges are where the central differences of a* and b*, taken as one
        vector, are at least `EDGE_GRADIENT`.
    """
    padded = F.pad(true, (1, 1, 1, 1), mode="replicate")
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    edges = (across.square() + down.square()).sum(1, keepdim=True) >= EDGE_GRADIENT**2
    side = 2 * EDGE_BAND + 1
    return F.max_pool2d(edges.float(), side, stride=1, padding=EDGE_BAND) > 0


def edge_error(ab: Tensor, true: Tensor) -> Tensor:
    """Mean chroma distance (CIE 1976) within the edge band of each picture, in Lab units.

    Parameters
    ----------
    ab, true
        (B, 2, H, W), Lab units.

    Returns
    -------
    Tensor
        (B,); NaN for a picture without a color edge.
    """
    band = edge_band(true)
    distance = (ab - true).norm(dim=1, keepdim=True) * band
    mean: Tensor = distance.sum(dim=(1, 2, 3)) / band.sum(dim=(1, 2, 3))
    return mean


def bootstrap_interval(
    values: NDArray[np.floating],
    statistic: Callable[[NDArray[np.floating]], NDArray[np.floating]] | None = None,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """A statistic of a sample of pictures and its percentile bootstrap interval (Efron 1979).

    Parameters
    ----------
    values
        (N,) or (N, k): what was measured of each picture. Rows with NaN are left out.
    statistic
        Of (..., N) or (..., N, k) over the axis N; the mean over it by default.
    level
        Share of the draws that the interval holds.
    draws
        Number of samples of N pictures, drawn with replacement.
    seed
        Of the drawing.

    Returns
    -------
    tuple of float
        The statistic of the sample itself, the low and the high end. NaN where nothing is left.
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values).reshape(len(values), -1).all(axis=1)]
    if len(values) == 0:
        return (float("nan"),) * 3
    if statistic is None:
        axis = -1 if values.ndim == 1 else -2

        def statistic(sample: NDArray[np.floating]) -> NDArray[np.floating]:
            return np.asarray(sample.mean(axis=axis))

    drawn = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    spread = np.asarray([statistic(values[rows]) for rows in drawn])
    low, high = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2])
    return float(statistic(values)), float(low), float(high)

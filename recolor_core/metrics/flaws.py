"""What a person sees to be wrong with a coloring: blotches, casts, colored black, bleeding.

A coloring with a small error can still have each of these, and the error does not say which. All
are measured against the true colors, so that a red umbrella on gray cobbles is not a blotch.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from recolor_core.metrics.structure import edge_band

BLACK = 15.0
"""L* below which a pixel counts as black."""

WHITE = 92.0
"""L* above which a pixel counts as white."""

SURROUND = 33
"""Side in pixels of the square that is the surround of a pixel, at a size of about 224."""

BLOTCH_CHROMA = 15.0
"""By how many Lab units a blotch differs from its surround, and is more colorful than the truth."""

MIN_PIXELS = 0.005
"""Fraction of an image that must be black or white for its color there to be measured."""


def blotches(ab: Tensor, true: Tensor) -> Tensor:
    """Measure how much of each image is covered by islands of color that the photograph lacks.

    A pixel belongs to one if its color differs from the mean of its surround by `BLOTCH_CHROMA`, is
    more colorful than that mean, and exceeds the true chroma by `BLOTCH_CHROMA`.

    Parameters
    ----------
    ab, true : Tensor
        (B, 2, H, W), Lab units.

    Returns
    -------
    Tensor
        (B,), fractions in [0, 1]; 0 is best. Gray has none.
    """
    chroma = ab.norm(dim=1)
    around = F.avg_pool2d(ab, SURROUND, 1, SURROUND // 2, count_include_pad=False)
    apart = (ab - around).norm(dim=1)
    island = (apart >= BLOTCH_CHROMA) & (chroma > around.norm(dim=1))
    share: Tensor = (island & (chroma - true.norm(dim=1) >= BLOTCH_CHROMA)).float().mean(dim=(1, 2))
    return share


def black_chroma(lab: Tensor, true: Tensor) -> Tensor:
    """Measure by how much black is more colorful than in the photograph.

    Parameters
    ----------
    lab : Tensor
        (B, 3, H, W): the coloring as it is shown, within the gamut.
    true : Tensor
        (B, 3, H, W): the photograph.

    Returns
    -------
    Tensor
        (B,): mean difference of the chroma where the true L* is below `BLACK`, in Lab units; 0 is
        best, below 0 is grayer than the truth. NaN for an image without black.
    """
    return _chroma_excess(lab, true, true[:, 0] < BLACK)


def white_chroma(lab: Tensor, true: Tensor) -> Tensor:
    """Measure by how much white is more colorful than in the photograph.

    The parameters and values are those of `black_chroma`, where the true L* is above `WHITE`.
    """
    return _chroma_excess(lab, true, true[:, 0] > WHITE)


def cast(ab: Tensor, true: Tensor) -> Tensor:
    """Measure how far the mean color of each image is from the true one.

    One cast over everything, such as sepia, is the mean of all colors.

    Parameters
    ----------
    ab, true : Tensor
        (B, 2, H, W), Lab units.

    Returns
    -------
    Tensor
        (B,), Lab units, at least 0; 0 is best.
    """
    distance: Tensor = (ab.mean(dim=(2, 3)) - true.mean(dim=(2, 3))).norm(dim=1)
    return distance


def bleeding(ab: Tensor, true: Tensor) -> Tensor:
    """Measure how much color changes where the photograph's does not, next to where it does.

    Color that runs over an edge, or stops short of it, changes beside the edge: the mean gradient
    of the predicted color in the ring around each true edge band, minus that of the true color.

    Parameters
    ----------
    ab, true : Tensor
        (B, 2, H, W), Lab units.

    Returns
    -------
    Tensor
        (B,), Lab units per pixel; 0 is best. NaN for an image without a color edge.
    """
    band = edge_band(true)
    ring = (F.max_pool2d(band.float(), 9, 1, 4) > 0) & ~band
    excess = (_gradient(ab) - _gradient(true)) * ring[:, 0]
    mean: Tensor = excess.sum(dim=(1, 2)) / ring.sum(dim=(1, 2, 3))
    return mean


def _gradient(ab: Tensor) -> Tensor:
    """Change of color in Lab units per pixel, (B, H, W)."""
    padded = F.pad(ab, (1, 1, 1, 1), mode="replicate")
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return (across.square() + down.square()).sum(1).sqrt()


def _chroma_excess(lab: Tensor, true: Tensor, where: Tensor) -> Tensor:
    excess = (lab[:, 1:].norm(dim=1) - true[:, 1:].norm(dim=1)) * where
    count = where.sum(dim=(1, 2))
    mean = excess.sum(dim=(1, 2)) / count.clamp(min=1)
    enough = count >= MIN_PIXELS * where[0].numel()
    return torch.where(enough, mean, torch.full_like(mean, torch.nan))

"""Visible flaws of colorized images: blotches, color casts, colored black and bleeding.

A colorized image with a small error can still have any of these flaws, and the error does not tell
which. All flaws are measured against the true colors, so that a red umbrella on gray cobbles is not
a blotch.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from recolor_core.metrics.color import chroma
from recolor_core.metrics.structure import box_mean, edge_band

BLACK = 15.0
"""L* below which a pixel counts as black."""

WHITE = 92.0
"""L* above which a pixel counts as white."""

SURROUND = 33
"""Side, in pixels, of the square around a pixel that is its surround, for images of about 224
pixels."""

BLOTCH_CHROMA = 15.0
"""Smallest distance of a blotch from its surround, and smallest excess of its chroma over the true
chroma, in Lab units."""

MIN_PIXELS = 0.005
"""Smallest fraction of an image that must be black or white to measure the color there."""


def blotches(ab: Tensor, true: Tensor) -> Tensor:
    """Measure the fraction of each image that blotches cover.

    A pixel belongs to a blotch if its color differs from the mean of its surround by at least
    `BLOTCH_CHROMA`, is more colorful than that mean, and exceeds the true chroma by at least
    `BLOTCH_CHROMA`.

    Parameters
    ----------
    ab, true : Tensor
        (B, 2, H, W): predicted and true a* and b* in Lab units.

    Returns
    -------
    Tensor
        (B,), fractions in [0, 1]; 0 is best. A gray image has no blotches.
    """
    predicted = chroma(ab)
    around = box_mean(ab, SURROUND)
    apart = chroma(ab - around)
    island = (apart >= BLOTCH_CHROMA) & (predicted > chroma(around))
    blotch = island & (predicted - chroma(true) >= BLOTCH_CHROMA)
    fraction: Tensor = blotch.float().mean(dim=(1, 2))
    return fraction


def black_chroma(lab: Tensor, true: Tensor) -> Tensor:
    """Measure the excess of chroma in the black areas of the photograph.

    Parameters
    ----------
    lab : Tensor
        (B, 3, H, W): L*, a* and b* of the colorized image, within the gamut.
    true : Tensor
        (B, 3, H, W): L*, a* and b* of the photograph.

    Returns
    -------
    Tensor
        (B,): mean predicted minus true chroma of the pixels whose true L* is below `BLACK`, in Lab
        units. 0 is best; a negative value is grayer than the truth. NaN if less than `MIN_PIXELS`
        of the image is black.
    """
    return _chroma_excess(lab, true, true[:, 0] < BLACK)


def white_chroma(lab: Tensor, true: Tensor) -> Tensor:
    """Measure the excess of chroma in the white areas of the photograph.

    Parameters
    ----------
    lab : Tensor
        (B, 3, H, W): L*, a* and b* of the colorized image, within the gamut.
    true : Tensor
        (B, 3, H, W): L*, a* and b* of the photograph.

    Returns
    -------
    Tensor
        (B,): as in `black_chroma`, for pixels whose true L* is above `WHITE`.
    """
    return _chroma_excess(lab, true, true[:, 0] > WHITE)


def cast(ab: Tensor, true: Tensor) -> Tensor:
    """Measure the color cast: the distance of the mean color of each image from the true one.

    A cast over the whole image, such as sepia, shifts the mean color.

    Parameters
    ----------
    ab, true : Tensor
        (B, 2, H, W): predicted and true a* and b* in Lab units.

    Returns
    -------
    Tensor
        (B,), Lab units, at least 0; 0 is best.
    """
    return chroma(ab.mean(dim=(2, 3)) - true.mean(dim=(2, 3)))


def bleeding(ab: Tensor, true: Tensor) -> Tensor:
    """Measure how much the color changes beside the true color edges.

    Color that runs over an edge, or stops before it, changes beside the edge. The metric is the
    mean gradient of the predicted color in the ring around each true edge band, minus that of the
    true color.

    Parameters
    ----------
    ab, true : Tensor
        (B, 2, H, W): predicted and true a* and b* in Lab units.

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
    """Compute the gradient of color in Lab units per pixel, (B, H, W)."""
    padded = F.pad(ab, (1, 1, 1, 1), mode="replicate")
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return (across.square() + down.square()).sum(1).sqrt()


def _chroma_excess(lab: Tensor, true: Tensor, where: Tensor) -> Tensor:
    excess = (chroma(lab[:, 1:]) - chroma(true[:, 1:])) * where
    count = where.sum(dim=(1, 2))
    mean = excess.sum(dim=(1, 2)) / count.clamp(min=1)
    enough = count >= MIN_PIXELS * where[0].numel()
    return torch.where(enough, mean, torch.full_like(mean, torch.nan))

"""Structure of colorized images: SSIM, and color errors at edges.

SSIM is implemented here because torchmetrics takes eleven times as long for one image and has an
error of 3e-4 in float32.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from recolor_core.errors import ImageError
from recolor_core.metrics.color import chroma

EDGE_GRADIENT = 4.0
"""Smallest gradient of color, in Lab units per pixel, of a pixel on a color edge."""

EDGE_BAND = 2
"""Number of pixels on each side of a color edge that belong to its band."""

SSIM_WINDOW = 11
"""Side of the Gaussian window of SSIM, in pixels (Wang et al. 2004)."""

_SSIM_SIGMA = 1.5
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2  # (K1 L)^2 and (K2 L)^2 for codes in [0, 1]


def channel_ssim(rgb: Tensor, true: Tensor) -> Tensor:
    """Compute the structural similarity of each channel (Wang et al. 2004).

    The window is an 11 x 11 Gaussian with a standard deviation of 1.5; K1 = 0.01 and K2 = 0.03. The
    window weights the means and covariances. The result is the average over all positions at which
    the window fits into the image.

    Parameters
    ----------
    rgb, true : Tensor
        (B, C, H, W): codes in [0, 1], at least 11 x 11 pixels. In float32, the error is about 1e-4
        in flat images; float64 is more accurate.

    Returns
    -------
    Tensor
        (B, C), in [-1, 1]. 1 is best and means that the images are equal.

    Raises
    ------
    ImageError
        If the window does not fit into the images.
    """
    if min(rgb.shape[-2:]) < SSIM_WINDOW:
        raise ImageError(
            f"expected images of at least {SSIM_WINDOW} x {SSIM_WINDOW} pixels for SSIM, "
            f"got {tuple(rgb.shape[-2:])}; compare small ones by PSNR"
        )
    mean, true_mean, square, true_square, product = _smooth(
        torch.stack((rgb, true, rgb * rgb, true * true, rgb * true))
    )
    variances = square - mean * mean + true_square - true_mean * true_mean
    covariance = product - mean * true_mean
    luminance = (2 * mean * true_mean + _SSIM_C1) / (mean * mean + true_mean**2 + _SSIM_C1)
    structure = (2 * covariance + _SSIM_C2) / (variances + _SSIM_C2)
    similarity: Tensor = (luminance * structure).mean(dim=(2, 3))
    return similarity


def ssim(rgb: Tensor, true: Tensor) -> Tensor:
    """Compute the mean of `channel_ssim` over the channels of each image.

    Parameters
    ----------
    rgb, true : Tensor
        (B, C, H, W): as in `channel_ssim`.

    Returns
    -------
    Tensor
        (B,), in [-1, 1]; 1 is best.

    Raises
    ------
    ImageError
        As in `channel_ssim`.
    """
    return channel_ssim(rgb, true).mean(dim=1)


def edge_band(true: Tensor) -> Tensor:
    """Find the color edges of the true image and `EDGE_BAND` pixels around them.

    A pixel lies on an edge if the central differences of a* and b*, as one vector, have a length of
    at least `EDGE_GRADIENT`.

    Parameters
    ----------
    true : Tensor
        (B, 2, H, W): true a* and b* in Lab units.

    Returns
    -------
    Tensor
        (B, 1, H, W) bool.
    """
    padded = F.pad(true, (1, 1, 1, 1), mode="replicate")
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    edges = (across.square() + down.square()).sum(1, keepdim=True) >= EDGE_GRADIENT**2
    side = 2 * EDGE_BAND + 1
    return F.max_pool2d(edges.float(), side, stride=1, padding=EDGE_BAND) > 0


def edge_error(ab: Tensor, true: Tensor) -> Tensor:
    """Compute the mean chroma distance (CIE 1976) within the edge band of each image.

    Color that bleeds over an edge causes errors there, even if the rest of the image is right.

    Parameters
    ----------
    ab, true : Tensor
        (B, 2, H, W): predicted and true a* and b* in Lab units.

    Returns
    -------
    Tensor
        (B,), Lab units, at least 0; 0 is best. NaN for an image without a color edge.
    """
    band = edge_band(true)
    distance = chroma(ab - true)[:, None] * band
    mean: Tensor = distance.sum(dim=(1, 2, 3)) / band.sum(dim=(1, 2, 3))
    return mean


def box_mean(images: Tensor, side: int) -> Tensor:
    """Compute the mean of the square around each pixel, as far as it lies inside the image.

    Rows come first and columns second, which takes 2 `side` additions a pixel instead of
    `side` x `side`.

    Parameters
    ----------
    images : Tensor
        (B, C, H, W).
    side : int
        Side of the square in pixels; odd.

    Returns
    -------
    Tensor
        (B, C, H, W).
    """
    half = side // 2
    rows = F.avg_pool2d(images, (1, side), 1, (0, half), count_include_pad=False)
    return F.avg_pool2d(rows, (side, 1), 1, (half, 0), count_include_pad=False)


def _smooth(images: Tensor) -> Tensor:
    """Compute the Gaussian-weighted means of (..., H, W) wherever the window fits."""
    offset = torch.arange(SSIM_WINDOW, dtype=images.dtype, device=images.device)
    weights = (-((offset - SSIM_WINDOW // 2) / _SSIM_SIGMA).square() / 2).exp()
    weights = weights / weights.sum()
    # Channels of one image are several times as fast as a batch of gray images.
    flat = images.flatten(0, -3)[None]
    weights = weights.expand(flat.shape[1], 1, SSIM_WINDOW)
    flat = F.conv2d(flat, weights[..., None], groups=len(weights))
    flat = F.conv2d(flat, weights[..., None, :], groups=len(weights))
    return flat.view(*images.shape[:-2], *flat.shape[-2:])

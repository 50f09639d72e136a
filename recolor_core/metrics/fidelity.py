"""Fidelity of the lightness of a colorized image to that of its source."""

from typing import NamedTuple

import torch
from torch import Tensor

from recolor_core.errors import ImageError
from recolor_core.lab import SRGB, ColorSpace, gray_codes, max_code, rgb_to_lab

_STRIP = 2**20  # pixels in a strip; float64 copies of a large scan may not fit into memory


class LightnessFidelity(NamedTuple):
    """The difference between the lightness of a colorized image and that of its source.

    Parameters
    ----------
    max_error : float
        Largest |dL*| of a pixel, in [0, 100]. It is slightly above 0 even if the gray is exact,
        because codes are integers: the luminance is kept within half a step of the gray code.
    mean_error : float
        Mean |dL*|, in [0, 100].
    exact_fraction : float
        Fraction of pixels whose `gray_codes` are those of the source, in [0, 1].
    """

    max_error: float
    mean_error: float
    exact_fraction: float


def lightness_fidelity(
    codes: Tensor, source: Tensor, space: ColorSpace = SRGB
) -> LightnessFidelity:
    """Compare the lightness of a colorized image with that of its source.

    Parameters
    ----------
    codes : Tensor
        (3, H, W), uint8 or uint16: the colorized image.
    source : Tensor
        Gray (H, W) or RGB (3, H, W), with the dtype of `codes`: the image that was colorized.
    space : ColorSpace
        The color space of both images.

    Returns
    -------
    LightnessFidelity
        The differences.

    Raises
    ------
    ImageError
        If the images differ in shape or dtype, or their codes are not integers.
    """
    if source.ndim == 2:
        source = source.expand(3, -1, -1)
    if codes.dtype.is_floating_point or codes.ndim != 3:
        raise ImageError(
            f"expected integer codes (3, H, W), got {codes.dtype} {tuple(codes.shape)}; "
            "measure the image with the codes that are written to the file"
        )
    if codes.shape != source.shape or codes.dtype != source.dtype:
        raise ImageError(
            f"expected a source of {codes.dtype} {tuple(codes.shape)} or its gray, got "
            f"{source.dtype} {tuple(source.shape)}; pass the image that was colorized"
        )
    rows = max(1, _STRIP // codes.shape[2])
    largest, total, exact = 0.0, 0.0, 0
    for top in range(0, codes.shape[1], rows):
        strip, original = codes[:, top : top + rows], source[:, top : top + rows]
        error = (_lightness(strip, space) - _lightness(original, space)).abs()
        largest = max(largest, float(error.max()))
        total += float(error.sum())
        kept, wanted = (
            gray_codes(part.permute(1, 2, 0).numpy(), space) for part in (strip, original)
        )
        exact += int((kept == wanted).sum())
    pixels = codes[0].numel()
    return LightnessFidelity(largest, total / pixels, exact / pixels)


def _lightness(codes: Tensor, space: ColorSpace) -> Tensor:
    """Compute L* of integer codes without intermediate rounding."""
    return rgb_to_lab(codes.to(torch.float64) / max_code(codes.dtype), space)[0]

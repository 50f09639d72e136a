"""Whether the lightness of a colored image is still the source's."""

from typing import NamedTuple

import torch
from torch import Tensor

from recolor_core.errors import ImageError
from recolor_core.lab import SRGB, ColorSpace, gray_codes, max_code, rgb_to_lab

_STRIP = 2**20  # pixels measured at once: float64 copies of a large scan need not fit into memory


class LightnessFidelity(NamedTuple):
    """How far the lightness of a colored image is from the source's."""

    max_error: float
    """Largest |dL*| of a pixel, in [0, 100]. Not quite 0 where the gray is exact: codes are whole
    numbers, and luminance is kept within half a step of the gray code."""
    mean_error: float
    """Mean |dL*|."""
    exact_share: float
    """Share of pixels whose `gray_codes` are the source's, in [0, 1]."""


def lightness_fidelity(
    codes: Tensor, source: Tensor, space: ColorSpace = SRGB
) -> LightnessFidelity:
    """Compare the lightness of a colored image with that of its source.

    Parameters
    ----------
    codes
        The colored image, (3, H, W), uint8 or uint16.
    source
        What was colored, gray (H, W) or RGB (3, H, W), the same dtype.
    space
        What the codes of both mean.

    Raises
    ------
    ImageError
        If the two do not fit together or are no integer codes.
    """
    if source.ndim == 2:
        source = source.expand(3, -1, -1)
    if codes.dtype.is_floating_point or codes.ndim != 3:
        raise ImageError(
            f"expected integer codes (3, H, W), got {codes.dtype} {tuple(codes.shape)}; "
            "measure the image as it is written"
        )
    if codes.shape != source.shape or codes.dtype != source.dtype:
        raise ImageError(
            f"expected a source of {codes.dtype} {tuple(codes.shape)} or its gray, got "
            f"{source.dtype} {tuple(source.shape)}; give the one that this image was made of"
        )
    rows = max(1, _STRIP // codes.shape[2])
    largest, total, exact = 0.0, 0.0, 0
    for top in range(0, codes.shape[1], rows):
        strip, original = codes[:, top : top + rows], source[:, top : top + rows]
        error = (_lightness(strip, space) - _lightness(original, space)).abs()
        largest = max(largest, float(error.max()))
        total += float(error.sum())
        grays = [gray_codes(part, space).to(torch.int32) for part in (strip, original)]
        exact += int((grays[0] == grays[1]).sum())
    pixels = codes[0].numel()
    return LightnessFidelity(largest, total / pixels, exact / pixels)


def _lightness(codes: Tensor, space: ColorSpace) -> Tensor:
    """L* of integer codes without any rounding in between."""
    return rgb_to_lab(codes.to(torch.float64) / max_code(codes.dtype), space)[0]

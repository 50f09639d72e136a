"""Full resolution: combines ab of the working size with the gray codes of an image, in strips."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.device import thread_count
from recolor_core.full_resolution.kernel import CompiledColors, load_kernel
from recolor_core.lab import ColorSpace, lightness, max_code, to_rgb
from recolor_core.pipeline import in_order
from recolor_core.upsample import GuidedUpsampler

STRIP = 2**18
"""Number of pixels in a strip; a strip fits into the processor's cache."""


def strip_rows(width: int) -> int:
    """Return the number of rows in each strip of an image.

    Parameters
    ----------
    width : int
        Number of columns of the image.

    Returns
    -------
    int
        At least 1.
    """
    return max(1, STRIP // width)


def strip_tops(shape: tuple[int, int], first_row: int = 0) -> list[int]:
    """Return the first row of each strip of an image, in the order of `color_strips`.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the image.
    first_row : int
        A row of the strip to begin with.

    Returns
    -------
    list of int
    """
    rows = strip_rows(shape[1])
    tops = list(range(0, shape[0], rows))
    first = first_row // rows
    return [*tops[first:], *tops[:first]]


def color_strips(
    codes: NDArray[Any],
    space: ColorSpace,
    ab: NDArray[np.float32],
    guide: NDArray[np.float32],
    first_row: int = 0,
) -> Iterator[NDArray[Any]]:
    """Compute the RGB codes of an image from top to bottom, in strips of `strip_rows` rows.

    `recolor_core.device.thread_count` threads work a few strips ahead of the caller. The compiled
    kernel computes integer codes. NumPy computes floating-point codes, and also integer codes if
    there is no kernel.

    Parameters
    ----------
    codes : ndarray
        (H, W) gray codes: uint8, uint16, or floating point in [0, 1].
    space : ColorSpace
        The color space of the codes.
    ab : ndarray
        (2, h, w): a* and b* in Lab units, finite.
    guide : ndarray
        (h, w): L* in [0, 100] at the size of `ab`.
    first_row : int
        A row of the strip to begin with; after the last strip come those above this one.

    Yields
    ------
    ndarray
        (rows, W, 3), with the dtype of `codes`. Its gray is exactly `codes`; see
        `recolor_core.lab.to_rgb`.
    """
    codes = np.ascontiguousarray(codes)
    upsampler = GuidedUpsampler(ab, guide, (codes.shape[0], codes.shape[1]))
    rows = strip_rows(codes.shape[1])
    tops = strip_tops((codes.shape[0], codes.shape[1]), first_row)
    kernel = load_kernel() if max_code(codes.dtype) > 1 else None
    color = (
        CompiledColors(kernel, upsampler, space, codes.dtype).rows
        if kernel is not None
        else lambda top, strip: to_rgb(strip, upsampler.rows(top, lightness(strip, space)), space)
    )
    work = (lambda top=top: color(top, codes[top : top + rows]) for top in tops)
    yield from in_order(work, min(thread_count(), len(tops)))

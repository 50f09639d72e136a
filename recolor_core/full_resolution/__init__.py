"""The full resolution of an image: chroma of the working size on its gray codes, strip by strip."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recolor_core.full_resolution.kernel import CompiledColors, load_kernel
from recolor_core.lab import ColorSpace, lightness, max_code, to_rgb
from recolor_core.upsample import GuidedUpsampler

STRIP = 2**18
"""Pixels that are worked on at a time: they fit into the cache."""


def strip_rows(width: int) -> int:
    """Rows of each strip of an image of so many columns."""
    return max(1, STRIP // width)


def color_strips(
    codes: Tensor, space: ColorSpace, ab: Tensor, guide: Tensor
) -> Iterator[NDArray[Any]]:
    """RGB codes of an image from top to bottom, in strips of `strip_rows` rows.

    The compiled kernel computes integer codes on as many cores as PyTorch is allowed to use, a few
    strips ahead of the caller. PyTorch computes floating point, and everything where there is no
    kernel.

    Parameters
    ----------
    codes
        (H, W) gray codes: uint8, uint16, or floating point in [0, 1].
    space
        What the codes mean.
    ab
        (2, h, w), Lab units, finite.
    guide
        (h, w): L* at the size of `ab`.

    Yields
    ------
    ndarray
        (rows, W, 3), the dtype of `codes`. Its gray is `codes`, exactly: see `lab.to_rgb`.
    """
    ab, guide = ab.to(torch.float32), guide.to(torch.float32)
    upsampler = GuidedUpsampler(ab, guide, (codes.shape[0], codes.shape[1]))
    rows = strip_rows(codes.shape[1])
    tops = range(0, codes.shape[0], rows)
    kernel = load_kernel() if max_code(codes.dtype) > 1 else None
    if kernel is None:
        for top in tops:
            strip = codes[top : top + rows]
            chroma = upsampler.rows(top, lightness(strip, space))
            yield np.ascontiguousarray(to_rgb(strip, chroma, space).permute(1, 2, 0).numpy())
        return
    colors = CompiledColors(kernel, upsampler, space, codes.dtype)
    array = np.ascontiguousarray(codes.numpy())
    work = (lambda top=top: colors.rows(top, array[top : top + rows]) for top in tops)
    yield from in_order(work, min(torch.get_num_threads(), len(tops)))


def in_order(work: Iterator[Callable[[], NDArray[Any]]], threads: int) -> Iterator[NDArray[Any]]:
    """Results of calls in the order of the calls, which up to `threads` threads make.

    At most twice as many results as threads wait to be taken.
    """
    if threads == 1:
        for call in work:
            yield call()
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[NDArray[Any]]] = deque()
        try:
            for call in work:
                waiting.append(pool.submit(call))
                if len(waiting) == 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

"""Resizing of images, for NumPy arrays and tensors alike. Their last axes are height and width."""

from collections.abc import Iterator
from functools import lru_cache, reduce
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from recolor_core.arrays import namespace

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", NDArray[Any], "Tensor")
"""A NumPy array or a PyTorch tensor."""

_BAND = 64
"""Number of rows of weights that are multiplied at a time; smaller groups cost more calls."""

_SHARPNESS = -0.75  # a of the cubic kernel, as in PyTorch and OpenCV


def resize(x: Array, size: tuple[int, int], *, cubic: bool = False) -> Array:
    """Resize an image; differentiable for tensors.

    Pixels are areas: the corners of both sizes coincide. Beyond its borders an image continues with
    its outermost pixels.

    Parameters
    ----------
    x : ndarray or Tensor
        (..., h, w), floating point.
    size : tuple of int
        Height and width (H, W) of the result.
    cubic : bool
        Interpolate with cubic polynomials (Keys 1981), which is for enlarging. Otherwise enlarging
        is bilinear, and reducing averages with a triangle that covers what it leaves out.

    Returns
    -------
    ndarray or Tensor
        (..., H, W), with the dtype of `x`.
    """
    down, across = (
        namespace(x).asarray(_weights(old, new, cubic), dtype=x.dtype, device=x.device)
        for old, new in zip(x.shape[-2:], size, strict=True)
    )
    if isinstance(x, np.ndarray):
        return _matmul_rows(down, _matmul_columns(x, across))
    xp = namespace(x)
    with xp.autocast(x.device.type, enabled=False):  # in bfloat16, colors would show steps
        return xp.matmul(down, xp.matmul(x, across.T))  # type: ignore[no-any-return]


def pad_to_multiple(x: Array, multiple: int) -> Array:
    """Repeat the last row and column until both sides are multiples of a number.

    Parameters
    ----------
    x : ndarray or Tensor
        (..., h, w).
    multiple : int
        At least 1.

    Returns
    -------
    ndarray or Tensor
        (..., H, W): `x` itself if it fits.
    """
    for axis in (-2, -1):
        side = x.shape[axis]
        if side % multiple:
            index = np.minimum(np.arange(side + -side % multiple), side - 1)
            x = x[..., index, :] if axis == -2 else x[..., index]
    return x


def block_means(x: Array, block: int) -> Array:
    """Compute the means over square blocks.

    Parameters
    ----------
    x : ndarray or Tensor
        (..., h, w), with sides that are multiples of `block`.
    block : int
        Side of the blocks, in pixels.

    Returns
    -------
    ndarray or Tensor
        (..., h / block, w / block).
    """
    rows, columns = x.shape[-2] // block, x.shape[-1] // block
    blocks = x.reshape(*x.shape[:-2], rows, block, columns, block)
    means: Array = blocks.mean((-3, -1))
    return means


def area_means(x: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """Compute the means over the cells of a grid that divides an image.

    A cell counts every pixel that it touches. If a side does not divide evenly, neighboring cells
    share a row or a column.

    Parameters
    ----------
    x : ndarray
        (..., h, w), numbers or truth values.
    size : tuple of int
        Height and width (H, W) of the grid.

    Returns
    -------
    ndarray
        (..., H, W) float32.
    """
    result: NDArray[Any] = x
    for axis, count in zip((-2, -1), size, strict=True):
        if result.shape[axis] != count:
            cells = _cells(result.shape[axis], count)
            total = result.take(cells[0][0], axis).astype(np.float32)
            for index, inside in cells[1:]:
                total += result.take(index, axis) * (inside[:, None] if axis == -2 else inside)
            pixels = np.array([inside for _, inside in cells], np.float32).sum(axis=0)
            result = total / (pixels[:, None] if axis == -2 else pixels)
    return result.astype(np.float32, copy=False)


def area_maxima(x: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """Compute the maxima over the cells of a grid that divides an image; see `area_means`."""
    result: NDArray[Any] = x
    for axis, count in zip((-2, -1), size, strict=True):
        indices = [index for index, _ in _cells(result.shape[axis], count)]
        result = reduce(np.maximum, [result.take(index, axis) for index in indices])
    return result.astype(np.float32, copy=False)


def box_means(x: NDArray[np.floating], reach: int) -> NDArray[np.float32]:
    """Compute the mean of the pixels around each pixel; at the borders, of those that there are.

    Parameters
    ----------
    x : ndarray
        (..., h, w).
    reach : int
        The box extends this many pixels to each side.

    Returns
    -------
    ndarray
        (..., h, w) float32.
    """
    total = x.astype(np.float64)
    for axis in (-2, -1):
        side = total.shape[axis]
        sums = np.concatenate((np.zeros_like(total.take([0], axis)), total.cumsum(axis)), axis)
        first = np.maximum(np.arange(side) - reach, 0)
        last = np.minimum(np.arange(side) + reach + 1, side)
        count = (last - first).reshape(-1, *(1,) * (-1 - axis))
        total = (sums.take(last, axis) - sums.take(first, axis)) / count
    return total.astype(np.float32)


@lru_cache(maxsize=16)
def _cells(side: int, count: int) -> list[tuple[NDArray[np.intp], NDArray[np.bool_]]]:
    """List the pixels of `count` cells along an axis: the first of every cell, the second, ...

    A cell that has fewer repeats its last one; the truth values tell which are its own.
    """
    first = np.arange(count) * side // count
    last = (np.arange(1, count + 1) * side - 1) // count
    return [
        (np.minimum(first + k, last), first + k <= last) for k in range((last - first).max() + 1)
    ]


def window_means(x: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Compute the mean of each square window that fits into an image.

    Parameters
    ----------
    x : ndarray
        (h, w) float32.
    side : int
        Side of the windows, in pixels.

    Returns
    -------
    ndarray
        (h - side + 1, w - side + 1) float32.
    """
    height, width = x.shape[0] - side + 1, x.shape[1] - side + 1
    rows, total = x[:height].copy(), np.zeros((height, width), np.float32)
    for i in range(1, side):
        rows += x[i : i + height]
    for i in range(side):
        total += rows[:, i : i + width]
    total /= side**2
    return total


def _matmul_rows(weights: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
    """Multiply ``weights @ x`` without most of the zeros of the weights of an enlargement."""
    result = np.empty((*x.shape[:-2], len(weights), x.shape[-1]), x.dtype)
    for rows, used in _bands(weights):
        np.matmul(weights[rows, used], x[..., used, :], out=result[..., rows, :])
    return result


def _matmul_columns(x: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Multiply ``x @ weights.T`` without most of the zeros of the weights of an enlargement."""
    result = np.empty((*x.shape[:-1], len(weights)), x.dtype)
    for rows, used in _bands(weights):
        np.matmul(x[..., used], weights[rows, used].T, out=result[..., rows])
    return result


def _bands(weights: NDArray[Any]) -> Iterator[tuple[slice, slice]]:
    """Cut the weights of an axis into groups of rows; each comes with the columns that it uses.

    To reduce an axis, most columns are used, and there is one group.
    """
    new, old = weights.shape
    step = _BAND if new > old else new
    for top in range(0, new, step):
        rows = slice(top, min(top + step, new))
        used = np.flatnonzero(weights[rows].any(axis=0))
        first, last = (int(used[0]), int(used[-1])) if new > old else (0, old - 1)
        yield rows, slice(first, last + 1)


@lru_cache(maxsize=16)
def _weights(old: int, new: int, cubic: bool) -> NDArray[np.float32]:
    """Make the matrix (new, old) that resizes one axis."""
    scale = old / new
    center = (np.arange(new) + 0.5) * scale - 0.5
    if not cubic:
        distance = np.abs(np.arange(old) - center[:, None]) / max(scale, 1.0)
        weights = np.maximum(1 - distance, 0)
        # Beyond the border there is nothing to weight, so the outermost pixels get all of it.
        return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)  # type: ignore[no-any-return]
    weights = np.zeros((new, old))
    first = np.floor(center)
    for offset in (-1, 0, 1, 2):
        x = np.abs(center - first - offset)
        a = _SHARPNESS
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((x - 5) * x + 8) * a * x - 4 * a
        column = np.clip(first + offset, 0, old - 1).astype(int)
        np.add.at(weights, (np.arange(new), column), np.where(x <= 1, near, far))
    return weights.astype(np.float32)

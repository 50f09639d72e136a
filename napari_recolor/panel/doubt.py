"""Where the colors of an image are most in doubt, and no hint says anything yet."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from recolor_core.hints import Hint, Mark, Mask, Stroke

_NEAR = 0.08  # of the short side: how far from a hint it still says something
_AREA = 5  # cells: over so many, across and down, doubt is averaged


def most_doubtful(
    uncertainty: NDArray[np.float32], size: tuple[int, int], marks: Iterable[Mark]
) -> tuple[float, float] | None:
    """Find the place with the most uncertain colors that is away from all marks.

    Parameters
    ----------
    uncertainty : ndarray
        (h, w): standard deviation of the predicted color.
    size : (int, int)
        Height and width of the image.
    marks : iterable of Mark
        In pixels of the image.

    Returns
    -------
    (float, float) or None
        Row and column in the image; None if marks are everywhere.
    """
    from scipy.ndimage import uniform_filter  # napari needs SciPy and scikit-image too
    from skimage.draw import polygon2mask

    grid = uncertainty.shape
    scale = np.array(grid) / np.array(size)
    free = np.ones(grid, bool)
    y, x = np.indices(grid)
    for mark in marks:
        if isinstance(mark, Mask):
            rows, columns = (
                ((np.arange(n) + 0.5) / n * length).astype(int)
                for n, length in zip(grid, size, strict=True)
            )
            free &= np.asarray(mark.pixels)[np.ix_(rows, columns)] == 0
            continue
        points = ((mark.x, mark.y),) if isinstance(mark, Hint) else mark.points
        yx = (np.array(points)[:, ::-1] + 0.5) * scale - 0.5
        if isinstance(mark, Hint | Stroke):
            reach = max(_NEAR * min(grid), mark.radius * float(scale.min()) + 1)
            for row, column in _dense(yx, reach):
                free &= np.hypot(y - row, x - column) > reach
        elif len(yx) > 2:
            free &= ~polygon2mask(grid, yx)
    if not free.any():
        return None
    doubt = np.where(free, uniform_filter(np.asarray(uncertainty, float), _AREA), -1)
    row, column = np.unravel_index(int(doubt.argmax()), grid)
    return (float((row + 0.5) / scale[0] - 0.5), float((column + 0.5) / scale[1] - 0.5))


def _dense(line: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Points on a line, not further apart than a step."""
    if len(line) < 2:
        return line
    parts = [line[:1]]
    for start, end in pairwise(line):
        count = max(1, int(np.ceil(np.hypot(*(end - start)) / max(step, 1e-6))))
        parts.append(start + (end - start) * (np.arange(1, count + 1) / count)[:, None])
    return np.concatenate(parts)

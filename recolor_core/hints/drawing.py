"""Which pixels and cells marks cover."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from recolor_core.hints.marks import (
    Hint,
    Mark,
    Mask,
    Points,
    Region,
    Stroke,
    check_marks,
    mark_ab,
    marks_ab,
)
from recolor_core.resampling import area_means

_CHUNK = 64  # points that are drawn at a time
_MANY = 1000  # so many marks are drawn without smooth edges
_CANVAS = 2**22  # pixels of the canvas that shapes are drawn on, where the grid allows


def hint_map(
    marks: Sequence[Mark], image: tuple[int, int], grid: tuple[int, int]
) -> NDArray[np.float32]:
    """Draw points and strokes as the refiner takes them.

    Parameters
    ----------
    marks : sequence of Hint, Stroke, Region or Mask
        In pixels of the image; the mean counts of those that share a cell. Regions, masks and
        what is to be kept are left out.
    image : (int, int)
        Height and width of the image.
    grid : (int, int)
        Height and width (h, w) of the coarse ab.

    Returns
    -------
    ndarray
        (3, h, w) float32: a* and b* in Lab units times the hinted part of the cell, and that
        part in [0, 1]; a cell that holds the center of a hint counts as hinted whole.

    Raises
    ------
    HintsError
        If a mark does not fit the image; see `check_marks`.
    """
    check_marks(marks, image)
    return hinted_cells(marks, image, grid)


def hinted_cells(
    marks: Sequence[Mark], image: tuple[int, int], grid: tuple[int, int]
) -> NDArray[np.float32]:
    """Compute `hint_map` for marks that are known to fit."""
    row, column = (
        (np.arange(cells, dtype=np.float32) + 0.5) * side / cells - 0.5
        for cells, side in zip(grid, image, strict=True)
    )
    points = [mark for mark in marks if isinstance(mark, Hint) and mark.kind != "keep"]
    strokes: dict[tuple[float, float], list[Mark]] = {}
    for mark in marks:
        if isinstance(mark, Stroke) and mark.kind != "keep":
            strokes.setdefault(mark_ab(mark), []).append(mark)
    total = np.zeros((3, *grid), np.float32)
    ab = marks_ab(points)
    colors = np.concatenate((ab, np.ones_like(ab[:, :1])), axis=1)
    cells = [cell_of(hint, image, grid) for hint in points]
    for color, (y, x) in zip(colors, cells, strict=True):
        total[:, y, x] += color
    disks = [i for i, hint in enumerate(points) if hint.radius > 0]
    for first in range(0, len(disks), _CHUNK):
        some = disks[first : first + _CHUNK]
        # No radius needs to be longer than the way through the whole image.
        shapes = [(points[i].y, points[i].x, min(points[i].radius, sum(image))) for i in some]
        y, x, radius = np.array(shapes, np.float32).T[:, :, None, None]
        inside = (row[:, None] - y) ** 2 + (column - x) ** 2 <= radius**2
        for part, i in zip(inside, some, strict=True):
            part[cells[i]] = False  # this cell has been counted
        covered = inside.reshape(len(some), -1).astype(np.float32)
        total += (colors[some].T @ covered).reshape(total.shape)
    for stroke_ab, alike in strokes.items():
        total[:, draw(alike, image, grid) >= 0.5] += np.array([*stroke_ab, 1], np.float32)[:, None]
    hinted: NDArray[np.float32] = total / np.maximum(total[2], 1)
    return hinted


def cell_of(hint: Hint, image: tuple[int, int], grid: tuple[int, int]) -> tuple[int, int]:
    """Row and column of the cell that holds the center of a hint."""
    return (
        min(int((hint.y + 0.5) * grid[0] / image[0]), grid[0] - 1),
        min(int((hint.x + 0.5) * grid[1] / image[1]), grid[1] - 1),
    )


def draw(
    marks: Sequence[Mark], image: tuple[int, int], grid: tuple[int, int]
) -> NDArray[np.float32]:
    """Compute which part of each cell of a grid is covered by any of the marks.

    Parameters
    ----------
    marks : sequence of Hint, Stroke, Region or Mask
        They fit the image (`check_marks`).
    image, grid : (int, int)
        Height and width of the image, and of the grid (h, w).

    Returns
    -------
    ndarray
        (h, w) float32 in [0, 1]. A cell that the center of a point or the middle of a stroke
        lies in counts as covered whole, so that nothing is too small to be seen.
    """
    covered = np.zeros(grid, np.float32)
    drawn = [mark for mark in marks if not isinstance(mark, Mask)]
    if drawn:
        finer = max(1, min(4, int((_CANVAS / (grid[0] * grid[1])) ** 0.5)))
        finer = finer if len(drawn) < _MANY else 1
        covered = _shapes(drawn, image, grid, finer)
        thin = [mark for mark in drawn if isinstance(mark, Hint | Stroke)]
        if thin:
            covered = np.maximum(covered, _shapes(thin, image, grid, 1, thin=True))
    for mark in marks:
        if isinstance(mark, Mask):
            covered = np.maximum(covered, area_means(np.asarray(mark.pixels) != 0, grid))
    return covered


def polygon(points: Points, image: tuple[int, int], grid: tuple[int, int]) -> NDArray[np.float32]:
    """Compute which part of each cell lies in a polygon: (h, w) float32 in [0, 1]."""
    return draw([Region(points, kind="keep")], image, grid)


def _shapes(
    marks: Sequence[Mark],
    image: tuple[int, int],
    grid: tuple[int, int],
    finer: int,
    thin: bool = False,
) -> NDArray[np.float32]:
    height, width = grid[0] * finer, grid[1] * finer
    canvas = Image.new("L", (width, height))
    pen = ImageDraw.Draw(canvas)
    across, down = width / image[1], height / image[0]

    def place(points: Points) -> list[tuple[float, float]]:
        return [((x + 0.5) * across - 0.5, (y + 0.5) * down - 0.5) for x, y in points]

    for mark in marks:
        if isinstance(mark, Mask):
            continue
        if isinstance(mark, Region):
            pen.polygon(place(mark.points), fill=255)
            continue
        corners = place(((mark.x, mark.y),) if isinstance(mark, Hint) else mark.points)
        if thin:
            if isinstance(mark, Hint):
                pen.point([(round(x), round(y)) for x, y in corners], fill=255)
            else:
                pen.line([*corners, corners[-1]], fill=255)
                pen.point([(round(x), round(y)) for x, y in corners], fill=255)
            continue
        radius = min(mark.radius, image[0] + image[1])
        rx, ry = radius * across, radius * down
        if len(corners) > 1:
            pen.line(corners, fill=255, width=max(1, round(rx + ry)))
        for x, y in corners:
            pen.ellipse((x - rx, y - ry, x + rx, y + ry), fill=255)
    return area_means(np.asarray(canvas), grid) / np.float32(255)

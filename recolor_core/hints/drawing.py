"""Which pixels and cells marks cover."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

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

_CHUNK = 64  # points that are drawn at a time
_MANY = 1000  # so many marks are drawn without smooth edges
_CANVAS = 2**22  # pixels of the canvas that shapes are drawn on, where the grid allows


def hint_map(marks: Sequence[Mark], image: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Points and strokes as the refiner takes them.

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
    Tensor
        (3, h, w) float32: a* and b* in Lab units times the hinted share of the cell, and that
        share in [0, 1]; a cell that holds the center of a hint counts as hinted whole.

    Raises
    ------
    HintsError
        If a mark does not fit the image; see `check_marks`.
    """
    check_marks(marks, image)
    return hinted_cells(marks, image, grid)


def hinted_cells(marks: Sequence[Mark], image: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Compute `hint_map` for marks that are known to fit."""
    height, width = image
    row = (torch.arange(grid[0]) + 0.5) * height / grid[0] - 0.5
    column = (torch.arange(grid[1]) + 0.5) * width / grid[1] - 0.5
    points = [mark for mark in marks if isinstance(mark, Hint) and mark.kind != "keep"]
    strokes: dict[tuple[float, float], list[Mark]] = {}
    for mark in marks:
        if isinstance(mark, Stroke) and mark.kind != "keep":
            strokes.setdefault(mark_ab(mark), []).append(mark)
    total = torch.zeros(3, *grid)
    colors = F.pad(torch.from_numpy(marks_ab(points)), (0, 1), value=1.0)
    cells = [cell_of(hint, image, grid) for hint in points]
    if points:
        y, x = torch.tensor(cells).T
        total.view(3, -1).index_add_(1, y * grid[1] + x, colors.T.contiguous())
    for first in range(0, len(points), _CHUNK):
        some = slice(first, first + _CHUNK)
        # No radius need be longer than through the whole image.
        disks = torch.tensor([(h.y, h.x, min(h.radius, height + width)) for h in points[some]])
        y, x, radius = disks.T[:, :, None, None]
        inside = (row[:, None] - y) ** 2 + (column - x) ** 2 <= radius**2
        for i, (cell_y, cell_x) in enumerate(cells[some]):
            inside[i, cell_y, cell_x] = False  # has been counted
        total += torch.einsum("nc,nhw->chw", colors[some], inside.float())
    for ab, alike in strokes.items():
        total[:, draw(alike, image, grid) >= 0.5] += torch.tensor([*ab, 1.0])[:, None]
    return total / total[2].clamp(min=1)


def cell_of(hint: Hint, image: tuple[int, int], grid: tuple[int, int]) -> tuple[int, int]:
    """Row and column of the cell that holds the center of a hint."""
    return (
        min(int((hint.y + 0.5) * grid[0] / image[0]), grid[0] - 1),
        min(int((hint.x + 0.5) * grid[1] / image[1]), grid[1] - 1),
    )


def draw(marks: Sequence[Mark], image: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """What share of each cell of a grid is covered by any of the marks.

    Parameters
    ----------
    marks : sequence of Hint, Stroke, Region or Mask
        They fit the image (`check_marks`).
    image, grid : (int, int)
        Height and width of the image, and of the grid (h, w).

    Returns
    -------
    Tensor
        (h, w) float32 in [0, 1]. The cells that the center of a point or the middle of a stroke
        lies in count as covered whole, so that nothing is too small to be seen.
    """
    covered = torch.zeros(grid)
    drawn = [mark for mark in marks if not isinstance(mark, Mask)]
    if drawn:
        finer = max(1, min(4, int((_CANVAS / (grid[0] * grid[1])) ** 0.5)))
        finer = finer if len(drawn) < _MANY else 1
        covered = _shapes(drawn, image, grid, finer)
        thin = [mark for mark in drawn if isinstance(mark, Hint | Stroke)]
        if thin:
            covered = torch.maximum(covered, _shapes(thin, image, grid, 1, thin=True))
    for mark in marks:
        if isinstance(mark, Mask):
            pixels = torch.from_numpy(np.asarray(mark.pixels) != 0).float()[None, None]
            covered = torch.maximum(covered, F.interpolate(pixels, size=grid, mode="area")[0, 0])
    return covered


def polygon(points: Points, image: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """What share of each cell lies in a polygon: (h, w) float32 in [0, 1]."""
    return draw([Region(points, kind="keep")], image, grid)


def _shapes(
    marks: Sequence[Mark],
    image: tuple[int, int],
    grid: tuple[int, int],
    finer: int,
    thin: bool = False,
) -> Tensor:
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
    covered = torch.from_numpy(np.array(canvas, np.float32) / 255)[None, None]
    return F.avg_pool2d(covered, finer)[0, 0] if finer > 1 else covered[0, 0]

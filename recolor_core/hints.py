"""Color hints: points of an image whose color is known, and how far what they say reaches."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from recolor_core.errors import HintsError
from recolor_core.files import write_file
from recolor_core.palette import hex_ab

# Of the kriging below; tuned on photographs of the validation split with 1, 10 and 50 points.
_REACH = 0.4  # of the short side: standard deviation over the distance
_LIGHTNESS = 25.0  # L* units: standard deviation over the difference in lightness
_LIKENESS = 0.3  # scale of 1 - Bhattacharyya coefficient of two color distributions
_NOISE = 12.0  # variance of a hint's a* and b*, in squared Lab units
_MOST = 1024  # hinted cells that count; of more, an even selection


@dataclass(frozen=True)
class Hint:
    """A disk of known color.

    Parameters
    ----------
    x, y
        Column and row of its center in pixels of the image; (0, 0) is the center of the pixel
        at the top left.
    color
        ``"#rrggbb"`` in sRGB. Its hue and chroma count; the lightness stays the image's.
    radius
        In pixels of the image. 0 hints the one pixel, as far as the coarse grid can show it.
    """

    x: float
    y: float
    color: str
    radius: float = 0.0

    @property
    def ab(self) -> tuple[float, float]:
        """a* and b* of the color, in Lab units."""
        return hex_ab(self.color)


def read_hints(path: str | Path) -> list[Hint]:
    """Hints of a file that `write_hints` wrote.

    Raises
    ------
    HintsError
        Where the file cannot be read or is no file of hints.
    """
    path = Path(path)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["hints"]
        hints = [Hint(**entry) for entry in entries]
        for hint in hints:
            _check(hint)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HintsError(
            f"{path} is no file of color hints ({error}); expected JSON such as "
            '{"hints": [{"x": 10, "y": 20, "color": "#4070c0", "radius": 5}]}'
        ) from error
    return hints


def write_hints(path: str | Path, hints: Sequence[Hint]) -> None:
    """Write hints as JSON, atomically."""
    text = json.dumps({"hints": [vars(hint) for hint in hints]}, indent=1)
    write_file(Path(path), text + "\n")


def hint_map(hints: Sequence[Hint], image: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Hints as the refiner takes them.

    Parameters
    ----------
    hints
        Points in pixels of the image; of those that share a cell the mean counts.
    image
        Height and width of the image.
    grid
        Height and width (h, w) of the coarse ab.

    Returns
    -------
    Tensor
        (3, h, w) float32: a* and b* in Lab units times the hinted share of the cell, and that
        share in [0, 1]; a cell that holds the center of a hint counts as hinted whole.

    Raises
    ------
    HintsError
        Where a hint lies outside the image.
    """
    height, width = image
    row = (torch.arange(grid[0]) + 0.5) * height / grid[0] - 0.5
    column = (torch.arange(grid[1]) + 0.5) * width / grid[1] - 0.5
    total = torch.zeros(3, *grid)
    for hint in hints:
        _check(hint)
        if not (-0.5 <= hint.x <= width - 0.5 and -0.5 <= hint.y <= height - 0.5):
            raise HintsError(
                f"expected hints within {width} x {height} pixels, got one at x={hint.x:g}, "
                f"y={hint.y:g}; remove it or use the hints of this image"
            )
        inside = (row[:, None] - hint.y) ** 2 + (column - hint.x) ** 2 <= hint.radius**2
        inside[
            min(int((hint.y + 0.5) * grid[0] / height), grid[0] - 1),
            min(int((hint.x + 0.5) * grid[1] / width), grid[1] - 1),
        ] = True
        total[:, inside] += torch.tensor([*hint.ab, 1.0])[:, None]
    return total / total[2].clamp(min=1)


def spread_hints(
    ab: Tensor, hints: Tensor, logits: Tensor, uncertainty: Tensor, lightness: Tensor
) -> Tensor:
    """Coarse ab corrected by hints, wherever the generator sees more of the same.

    Kriging, that is Gaussian process regression (Rasmussen and Williams 2006, eq. 2.25), of what
    the hints say beyond the prediction. The prior standard deviation is the predicted
    uncertainty, so that what is certain stays; two places correlate that are near, equally light
    and alike in their predicted color distribution.

    Parameters
    ----------
    ab
        (2, h, w): predicted, in Lab units.
    hints
        (3, h, w), as `hint_map` makes it.
    logits
        (Q, h, w) of the color distribution.
    uncertainty
        (h, w): its standard deviation, in Lab units.
    lightness
        (H, W): L* in [0, 100]; averaged over the cells.

    Returns
    -------
    Tensor
        (2, h, w), Lab units; `ab` itself where there is no hint.
    """
    hinted = hints[2].flatten().nonzero()[:, 0]
    if len(hinted) == 0:
        return ab
    if len(hinted) > _MOST:
        hinted = hinted[torch.linspace(0, len(hinted) - 1, _MOST).long()]
    grid = (ab.shape[-2], ab.shape[-1])
    light = F.adaptive_avg_pool2d(lightness[None], grid).flatten() / _LIGHTNESS
    place = torch.cartesian_prod(*(torch.arange(n) / (min(grid) * _REACH) for n in grid))
    # One Gaussian over all three coordinates, times a likeness.
    position = torch.cat((place, light[:, None]), dim=1)
    share = F.softmax(logits, dim=0).flatten(1).T.sqrt()
    deviation = uncertainty.flatten()

    def covariance(cells: Tensor | slice) -> Tensor:
        distance = torch.cdist(position[cells], position[hinted]).square() / 2
        unlike = (1 - share[cells] @ share[hinted].T) / _LIKENESS
        return torch.exp(-distance - unlike) * deviation[cells, None] * deviation[hinted]

    residual = (hints[:2] / hints[2].clamp(min=1e-6) - ab).flatten(1)[:, hinted].T
    noise = _NOISE * torch.eye(len(hinted))
    weights = torch.linalg.solve(covariance(hinted) + noise, residual)
    rows = 2**22 // len(hinted)  # bounds the memory of the covariance
    parts = [
        covariance(slice(start, start + rows)) @ weights for start in range(0, len(position), rows)
    ]
    return ab + torch.cat(parts).T.reshape(ab.shape)


def _check(hint: Hint) -> None:
    try:
        finite = all(math.isfinite(n) for n in (hint.x, hint.y, hint.radius))
    except (TypeError, OverflowError):
        finite = False
    if not finite or hint.radius < 0:
        raise HintsError(
            "expected a hint's x, y and radius as numbers of pixels, the radius not negative, got "
            f"x={hint.x!r:.20}, y={hint.y!r:.20}, radius={hint.radius!r:.20}"
        )
    _ = hint.ab  # refuses what is no color

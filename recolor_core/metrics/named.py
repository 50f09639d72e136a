"""Whether named things have the colors of such things: sky, water, skin, foliage, brick and snow.

A mean over all images hides that a change makes skies better and skin worse. Where each thing is,
a fixed rule decides by the true color and the place in the image. The rule knows nothing of what
it sees: sand of the color of skin counts as skin, and a gray sky or blond grass counts as nothing.
That is no harm where two colorings of the same photographs are compared.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

MIN_AREA = 0.02
"""Fraction of an image that a thing must cover."""

SOLID = 9
"""Side in pixels of the square around a pixel of which `FILLED` must be of the thing's color."""

FILLED = 0.7
"""Specks of the color of a thing are not that thing."""


@dataclass(frozen=True)
class Thing:
    """The rule by which a thing is known.

    Parameters
    ----------
    lightness, chroma : tuple of float
        Ranges of L* and of the chroma, in Lab units.
    hue : tuple of float
        Range of the hue angle in degrees: 0 is red (+a*), 90 yellow (+b*), 270 blue.
    rows : tuple of float
        Where in the image it may be, as fractions of its height from the top.
    """

    lightness: tuple[float, float]
    chroma: tuple[float, float]
    hue: tuple[float, float]
    rows: tuple[float, float] = (0.0, 1.0)


ANY_HUE = (0.0, 360.0)

THINGS = {
    "sky": Thing((45, 95), (8, 60), (225, 290), (0.0, 0.5)),
    "water": Thing((15, 80), (6, 60), (180, 290), (0.5, 1.0)),
    "skin": Thing((35, 85), (12, 40), (30, 75)),
    "foliage": Thing((12, 80), (14, 90), (100, 145)),
    "brick": Thing((20, 60), (25, 70), (25, 60)),
    "snow": Thing((85, 100), (0, 8), ANY_HUE),
}
"""The things that are known, in the order of the tables."""


def where_is(name: str, true: Tensor) -> Tensor:
    """Find a thing in photographs.

    Parameters
    ----------
    name : str
        A key of `THINGS`.
    true : Tensor
        (B, 3, H, W): true L*, a* and b*.

    Returns
    -------
    Tensor
        (B, H, W) bool; nowhere if it covers less than `MIN_AREA` of an image.
    """
    thing = THINGS[name]
    light, chroma = true[:, 0], true[:, 1:].norm(dim=1)
    hue = _hue(true[:, 1:])
    height = true.shape[-2]
    row = (torch.arange(height, device=true.device) + 0.5) / height
    found = (row >= thing.rows[0])[:, None] & (row <= thing.rows[1])[:, None]
    for value, (low, high) in (
        (light, thing.lightness),
        (chroma, thing.chroma),
        (hue, thing.hue),
    ):
        found = found & (value >= low) & (value <= high)
    around = F.avg_pool2d(found.float()[:, None], SOLID, 1, SOLID // 2, count_include_pad=False)[
        :, 0
    ]
    found = found & (around >= FILLED)
    enough = found.float().mean(dim=(1, 2)) >= MIN_AREA
    return found & enough[:, None, None]


def named_errors(ab: Tensor, true: Tensor) -> dict[str, Tensor]:
    """Measure the colors of named things.

    Parameters
    ----------
    ab : Tensor
        (B, 2, H, W): the coloring, in Lab units.
    true : Tensor
        (B, 3, H, W): true L*, a* and b*.

    Returns
    -------
    dict
        For each of `THINGS`: ``"sky_hue"``, the angle between the mean predicted and the mean true
        color in degrees, in [0, 180], and ``"sky_chroma"``, the mean predicted minus the mean true
        chroma in Lab units; below 0 is too pale. (B,) each, NaN for an image without the thing.
        Things of any hue have no ``_hue``.
    """
    errors = {}
    for name, thing in THINGS.items():
        mask = where_is(name, true)
        count = mask.sum(dim=(1, 2))
        nothing = count == 0

        def mean(values: Tensor, mask: Tensor = mask, count: Tensor = count) -> Tensor:
            return (values * mask[:, None]).sum(dim=(2, 3)) / count.clamp(min=1)[:, None]

        if thing.hue != ANY_HUE:
            turn = (_hue(mean(ab)) - _hue(mean(true[:, 1:]))).abs()
            errors[f"{name}_hue"] = torch.minimum(turn, 360 - turn).masked_fill(nothing, torch.nan)
        excess = ab.norm(dim=1, keepdim=True) - true[:, 1:].norm(dim=1, keepdim=True)
        errors[f"{name}_chroma"] = mean(excess)[:, 0].masked_fill(nothing, torch.nan)
    return errors


def _hue(ab: Tensor) -> Tensor:
    """Hue angle in [0, 360) degrees of (B, 2, ...)."""
    return torch.rad2deg(torch.atan2(ab[:, 1], ab[:, 0])) % 360

"""Color errors of named things: sky, water, skin, foliage, brick and snow.

A mean over all images hides that a change makes skies better and skin worse. A fixed rule finds
each thing by its true color and its position in the image. The rule does not recognize objects:
sand with the color of skin counts as skin, and a gray sky or blond grass counts as nothing. A
comparison of two colorized versions of the same photographs is still fair.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from recolor_core.metrics.color import chroma
from recolor_core.metrics.structure import box_mean

MIN_AREA = 0.02
"""Smallest fraction of an image that a thing must cover."""

SOLID = 9
"""Side, in pixels, of the square around a pixel in which `FILLED` is measured."""

FILLED = 0.7
"""Smallest fraction of the square that must have the color of the thing. It excludes specks."""


@dataclass(frozen=True)
class Thing:
    """The rule that finds a thing.

    Parameters
    ----------
    lightness, chroma : tuple of float
        Ranges of L* and of chroma, in Lab units.
    hue : tuple of float
        Range of the hue angle in degrees: 0 is red (+a*), 90 is yellow (+b*), 270 is blue.
    rows : tuple of float
        Range of rows in which the thing may be, as fractions of the height from the top.
    """

    lightness: tuple[float, float]
    chroma: tuple[float, float]
    hue: tuple[float, float]
    rows: tuple[float, float] = (0.0, 1.0)


ANY_HUE = (0.0, 360.0)
"""The range that contains all hue angles."""

THINGS = {
    "sky": Thing((45, 95), (8, 60), (225, 290), (0.0, 0.5)),
    "water": Thing((15, 80), (6, 60), (180, 290), (0.5, 1.0)),
    "skin": Thing((35, 85), (12, 40), (30, 75)),
    "foliage": Thing((12, 80), (14, 90), (100, 145)),
    "brick": Thing((20, 60), (25, 70), (25, 60)),
    "snow": Thing((85, 100), (0, 8), ANY_HUE),
}
"""The rules by the names of the things, in the order of the tables."""


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
        (B, H, W) bool. All False in an image of which the thing covers less than `MIN_AREA`.

    Raises
    ------
    KeyError
        If `name` is not in `THINGS`.
    """
    thing = THINGS[name]
    ab = true[:, 1:]
    height = true.shape[-2]
    row = (torch.arange(height, device=true.device) + 0.5) / height
    found = (row >= thing.rows[0])[:, None] & (row <= thing.rows[1])[:, None]
    for value, (low, high) in (
        (true[:, 0], thing.lightness),
        (chroma(ab), thing.chroma),
        (_hue(ab), thing.hue),
    ):
        found = found & (value >= low) & (value <= high)
    around = box_mean(found.float()[:, None], SOLID)[:, 0]
    found = found & (around >= FILLED)
    enough = found.float().mean(dim=(1, 2)) >= MIN_AREA
    return found & enough[:, None, None]


def named_errors(ab: Tensor, true: Tensor) -> dict[str, Tensor]:
    """Measure the color errors of named things.

    Parameters
    ----------
    ab : Tensor
        (B, 2, H, W): predicted a* and b* in Lab units.
    true : Tensor
        (B, 3, H, W): true L*, a* and b*.

    Returns
    -------
    dict of str to Tensor
        Two entries for each of `THINGS`, for example ``"sky_hue"`` and ``"sky_chroma"``; (B,) each.
        The first is the angle between the mean predicted and the mean true color, in [0, 180]
        degrees. The second is the mean predicted minus the mean true chroma in Lab units; a
        negative value is too pale. NaN for an image without the thing. Things with `ANY_HUE` have
        only the second entry.
    """
    errors = {}
    excess = (chroma(ab) - chroma(true[:, 1:]))[:, None]
    for name, thing in THINGS.items():
        mask = where_is(name, true)
        count = mask.sum(dim=(1, 2))
        nothing = count == 0

        def mean(values: Tensor, mask: Tensor = mask, count: Tensor = count) -> Tensor:
            return (values * mask[:, None]).sum(dim=(2, 3)) / count.clamp(min=1)[:, None]

        if thing.hue != ANY_HUE:
            turn = (_hue(mean(ab)) - _hue(mean(true[:, 1:]))).abs()
            errors[f"{name}_hue"] = torch.minimum(turn, 360 - turn).masked_fill(nothing, torch.nan)
        errors[f"{name}_chroma"] = mean(excess)[:, 0].masked_fill(nothing, torch.nan)
    return errors


def _hue(ab: Tensor) -> Tensor:
    """Compute the hue angle of (B, 2, ...) in [0, 360) degrees."""
    return torch.rad2deg(torch.atan2(ab[:, 1], ab[:, 0])) % 360

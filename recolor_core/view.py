"""What the generator is shown of an image: the photograph, not the scan of an old print.

A mount around a print and a tone curve that has faded make predicted colors pale, because the
generator was trained on photographs. So the photograph is found within its borders, and its
lightness is corrected, but only in what the generator is shown: the gray of the result is the gray
of the input. Borders get no color of their own.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from recolor_core.gray import GrayImage, working_size

CELL = 4
"""Pixels per cell of the generator's output; a photograph begins and ends with a whole cell."""

NEUTRAL_LOGIT = 40.0
"""Logit of the neutral color outside of the photograph; that of any other color is 0."""

LONGEST = 320
"""Longest side, in pixels, of the image in which borders are looked for."""

SHORTEST = 96
"""Shortest side, in pixels, of a working size at which borders can be told from pictures."""


@dataclass(frozen=True)
class Box:
    """A rectangle of an image, in fractions of its height and width.

    Parameters
    ----------
    top, left, bottom, right : float
        Distances of the edges from the top and the left of the image, in [0, 1].
    """

    top: float = 0.0
    left: float = 0.0
    bottom: float = 1.0
    right: float = 1.0


WHOLE = Box()
"""The whole image."""


@dataclass(frozen=True)
class Tone:
    """A correction of the contrast of a faded print.

    Parameters
    ----------
    black, white : float
        L* of the darkest and the brightest parts of the print.
    strength : float
        In (0, 1]: how much of the correction is applied.
    """

    black: float
    white: float
    strength: float

    def __call__(self, lightness: Tensor) -> Tensor:
        """Stretch L* from [`black`, `white`] to `FULL_RANGE`.

        Parameters
        ----------
        lightness : Tensor
            L* in [0, 100], of any shape.
        """
        low, high = FULL_RANGE
        part = ((lightness - self.black) / (self.white - self.black)).clamp(0, 1)
        return torch.lerp(lightness, low + (high - low) * part, self.strength)


@dataclass(frozen=True, eq=False)
class View:
    """What the generator is shown of one image.

    Parameters
    ----------
    gray : GrayImage
        The image.
    lightness : Tensor
        (h, w) float32: L* of the whole image at its working size.
    place : tuple of int
        Top, left, bottom and right of the photograph in it, in pixels.
    tone : Tone or None
        How its lightness is corrected.
    """

    gray: GrayImage
    lightness: Tensor
    place: tuple[int, int, int, int]
    tone: Tone | None

    @property
    def whole(self) -> bool:
        """Whether the generator sees the image with all its borders."""
        return self.place == (0, 0, *self.lightness.shape)

    @property
    def key(self) -> tuple[int, ...]:
        """Equal for views that can share a batch."""
        return (*self.lightness.shape, *self.place)

    def shown(self, scale: float = 1.0) -> Tensor:
        """What the generator is shown.

        Parameters
        ----------
        scale : float
            Enlargement, at least 1.

        Returns
        -------
        Tensor
            (1, h', w') float32: L* in [0, 100].
        """
        light = self.lightness
        if scale != 1:
            height, width = light.shape
            light = self.gray.lightness((round(scale * height), round(scale * width)))
        top, left, bottom, right = (round(scale * edge) for edge in self.place)
        light = light[top:bottom, left:right]
        return (light if self.tone is None else self.tone(light))[None]

    def framed(self, logits: Tensor, neutral: int) -> Tensor:
        """Surround the prediction for the photograph with neutral borders.

        Parameters
        ----------
        logits : Tensor
            (..., Q, ceil(h' / 4), ceil(w' / 4)), for what is `shown`.
        neutral : int
            Which of the Q colors is neutral.

        Returns
        -------
        Tensor
            (..., Q, ceil(h / 4), ceil(w / 4)), for the whole image.
        """
        if self.whole:
            return logits
        height, width = (-(-side // CELL) for side in self.lightness.shape)
        framed = logits.new_zeros(*logits.shape[:-2], height, width)
        framed[..., neutral, :, :] = NEUTRAL_LOGIT
        framed[self.cells] = logits
        return framed

    def with_borders(self, ab: Tensor, hints: Tensor) -> Tensor:
        """Give the borders of a print the mean color of the hints on them; paper has one color.

        Parameters
        ----------
        ab : Tensor
            (B, 2, ceil(h / 4), ceil(w / 4)), in Lab units.
        hints : Tensor
            (B, 3, ceil(h / 4), ceil(w / 4)), from `recolor_core.hints.hint_map`.
        """
        border = torch.ones(ab.shape[-2:], dtype=torch.bool)
        border[self.cells] = False
        total = (hints * border).sum(dim=(2, 3), keepdim=True)
        color = total[:, :2] / total[:, 2:].clamp(min=1e-6)
        return torch.where(border & (total[:, 2:] > 0), color, ab)

    @property
    def cells(self) -> tuple[Any, ...]:
        """Index of the photograph in the generator's output, (..., rows, columns)."""
        top, left, bottom, right = self.place
        return (
            ...,
            slice(top // CELL, -(-bottom // CELL)),
            slice(left // CELL, -(-right // CELL)),
        )

    @property
    def record(self) -> dict[str, Any]:
        """What was done, for the provenance; JSON types only.

        ``"photograph"``: top, left, bottom and right of the photograph in fractions of the height
        and width, or None if it is the whole image. ``"tone"``: the fields of `Tone`, or None.
        """
        height, width = self.lightness.shape
        top, left, bottom, right = self.place
        edges = [top / height, left / width, bottom / height, right / width]
        return {
            "photograph": None if self.whole else [round(edge, 4) for edge in edges],
            "tone": None
            if self.tone is None
            else {name: round(value, 3) for name, value in vars(self.tone).items()},
        }


def look(gray: GrayImage, size: int, *, find: bool = True, correct: bool = True) -> View:
    """Decide what the generator is shown of an image.

    Parameters
    ----------
    gray : GrayImage
        The image.
    size : int
        Short side of the photograph at the working size, in pixels (`Settings.size`).
    find : bool
        Look for the photograph within borders; otherwise the whole image is shown.
    correct : bool
        Correct the tones of a faded print.

    Returns
    -------
    View
    """
    height, width = working_size(gray.shape, size)
    light = gray.lightness((height, width))
    box = find_photograph(light) if find and min(height, width) >= SHORTEST else WHOLE
    place = (0, 0, height, width)
    if box != WHOLE:
        rows, columns = box.bottom - box.top, box.right - box.left
        inner = (round(rows * gray.shape[0]), round(columns * gray.shape[1]))
        inner_height, inner_width = working_size(inner, size)
        height, width = round(inner_height / rows), round(inner_width / columns)
        light = gray.lightness((height, width))
        place = (
            CELL * round(box.top * height / CELL),
            CELL * round(box.left * width / CELL),
            height if box.bottom == 1 else CELL * round(box.bottom * height / CELL),
            width if box.right == 1 else CELL * round(box.right * width / CELL),
        )
    top, left, bottom, right = place
    tone = faded_tone(light[top:bottom, left:right]) if correct else None
    return View(gray, light, place, tone)


# --- faded tones ------------------------------------------------------------------------------

FULL_RANGE = (2.0, 97.0)
"""L* of the darkest and the brightest parts of a print after its correction: about the medians of
photographs."""

FADED_RANGE = (15.0, 50.0, 66.0)
"""Range of L* in a print. Between the first two values the correction is full; it ends at the
third, since many photographs have such a range, and below the first, where an image is blank."""

FADED_BLACK = (4.0, 10.0)
"""L* of the darkest parts: what is darker than the first value has not faded; from the second on
the correction is full."""

FADED_WHITE = (91.0, 97.0)
"""L* of the brightest parts: up to the first value the correction is full; what is brighter than
the second has not faded."""


def faded_tone(lightness: Tensor) -> Tone | None:
    """How to correct the tones of a print, if it has faded or was copied without contrast.

    A print has faded if neither black nor white is left and its range is small. About one in fifty
    photographs looks like that, too, such as one taken in fog.

    Parameters
    ----------
    lightness : Tensor
        (h, w): L* in [0, 100].

    Returns
    -------
    Tone or None
        None if there is nothing to correct.
    """
    ends = lightness.flatten().quantile(lightness.new_tensor([0.005, 0.995]))
    black, white = ends.tolist()
    blank, full, intact = FADED_RANGE
    if white - black < blank:
        return None
    strength = (
        _ramp(intact - (white - black), 0, intact - full)
        * _ramp(black, *FADED_BLACK)
        * _ramp(-white, -FADED_WHITE[1], -FADED_WHITE[0])
    )
    return Tone(black, white, strength) if strength > 0 else None


def _ramp(value: float, low: float, high: float) -> float:
    """From 0 at `low` and below to 1 at `high` and above."""
    return min(1.0, max(0.0, (value - low) / (high - low)))


# --- borders ----------------------------------------------------------------------------------

MAX_LAYERS = 4
"""Borders within borders that are looked for: scanner, album page, mount, white rim."""

MIN_DEPTH = 0.008
"""Fraction of the height or width from which on a border is worth leaving out."""

MAX_DEPTH = 0.4
"""Largest fraction of the height or width that one border may take up."""

SAME_TONE = 6.0
"""Largest difference from the tone of its line, in L*, of a pixel that belongs to a border."""

DRIFT = 14.0
"""Largest change of a border's tone between its outer edge and the photograph, in L*."""

FILLED = 0.75
"""Smallest fraction of a line that has a border's tone; the rest may be caption, dust or stamp."""

LINE = 0.0125
"""Thickness, as a fraction of the height or width, of a printed line that does not end a border."""

REACH = 0.03
"""Fraction of the height or width within which a border ends, even if it is a little turned."""

STEP = 8.0
"""Smallest change of lightness at the edge of a photograph, in L*."""

EDGE = 0.6
"""Smallest fraction of the photograph's edge that lies on one line."""

STRAIGHT = 0.9
"""The same for a black border on one side only."""

BLACK, WHITE = 8.0, 96.0
"""L* below which film and scanner beds are, and above which blank paper is."""


@dataclass(frozen=True)
class _Side:
    """A border along one side: lines of one tone, then an edge.

    Parameters
    ----------
    depth : int
        Number of lines.
    tone : float
        L* of the border where the photograph begins.
    spread : float
        How much the tones within its lines differ, in L*.
    straight : float
        Fraction of its edge that lies on one line.
    """

    depth: int
    tone: float
    spread: float
    straight: float


def find_photograph(lightness: Tensor) -> Box:
    """Find the photograph within mounts, paper rims, film rebates and scanner edges.

    A border is a run of lines along a side that have one tone each, and it ends in a straight edge.
    Skies, walls and night have such lines, too, so a border counts only together with that of the
    opposite side, or where three sides have one.

    Parameters
    ----------
    lightness : Tensor
        (h, w): L* in [0, 100].

    Returns
    -------
    Box
        `WHOLE` if no border is found.
    """
    scale = LONGEST / max(lightness.shape)
    if scale < 1:
        small = tuple(max(1, round(scale * side)) for side in lightness.shape)
        lightness = F.interpolate(
            lightness[None, None], size=small, mode="bilinear", antialias=True
        )[0, 0]
    height, width = lightness.shape
    top, left, bottom, right = 0, 0, height, width
    for _ in range(MAX_LAYERS):
        within = _peel(lightness[top:bottom, left:right])
        if within is None:
            break
        dt, dl, db, dr = within
        top, left, bottom, right = top + dt, left + dl, bottom - db, right - dr
    if (bottom - top) < 0.25 * height or (right - left) < 0.25 * width:
        return WHOLE
    return Box(top / height, left / width, bottom / height, right / width)


def _peel(light: Tensor) -> tuple[int, int, int, int] | None:
    """Depths in pixels of the borders at the top, left, bottom and right; None if there is none."""
    turned = (light, light.T, light.flip(0), light.flip(1).T)
    top, left, bottom, right = (_uniform_lines(lines) for lines in turned)
    if top + bottom >= light.shape[0] - 8 or left + right >= light.shape[1] - 8:
        return None
    columns = slice(left, light.shape[1] - right)
    rows = slice(top, light.shape[0] - bottom)
    sides = [
        _side(lines[:, along], depth)
        for lines, along, depth in zip(
            turned, (columns, rows, columns, rows), (top, left, bottom, right), strict=True
        )
    ]
    depths = [
        side.depth if side is not None and _belongs(side, number, sides) else 0
        for number, side in enumerate(sides)
    ]
    if sum(depth > 0 for depth in depths) == 3:
        # A bright sky at a bright mount has no edge, but the other three sides tell of the mount.
        open_side = depths.index(0)
        side, others = sides[open_side], [one for one in sides if one is not sides[open_side]]
        alike = side is not None and all(
            one and abs(one.tone - side.tone) < DRIFT for one in others
        )
        if alike and side is not None and side.depth <= 2 * max(depths):
            depths[open_side] = side.depth
    return (depths[0], depths[1], depths[2], depths[3]) if any(depths) else None


def _uniform_lines(lines: Tensor) -> int:
    """Number of lines (n, m) from the first on that have one tone each, all about the same."""
    count = len(lines)
    middle = lines.median(dim=1, keepdim=True).values
    same = (lines - middle).abs() < SAME_TONE
    # Film is black and the letters in it are white: neither is part of the photograph.
    extreme = ((lines < BLACK) | (lines > WHITE)) & ((middle < BLACK) | (middle > WHITE))
    filled = (same | extreme).float().mean(dim=1) >= FILLED
    skipped = max(2, round(LINE * count))
    deepest = 0
    for first in range(skipped):  # the first lines may be a blurred edge of what was outside
        good = (filled & ((middle[:, 0] - middle[first, 0]).abs() < DRIFT)).tolist()
        depth = 0
        for line in range(first, round(MAX_DEPTH * count)):
            if good[line]:
                depth = line + 1
            elif line - depth >= skipped:
                break
        deepest = max(deepest, depth)
    return deepest


def _side(lines: Tensor, depth: int) -> _Side | None:
    """The border of that many lines; None if it is too thin to matter."""
    count = len(lines)
    if depth < max(2, round(MIN_DEPTH * count)):
        return None
    border = lines[depth // 2 : max(depth // 2 + 1, depth - 1)]
    tone = float(border.median())
    spread = float((border - tone).abs().quantile(0.8))
    behind = lines[depth : depth + max(2, round(REACH * count))]
    changed = (behind - tone).abs() > max(STEP, 3 * spread)
    straight, begin = _straightness(changed)
    return _Side(depth + begin if straight >= EDGE else depth, tone, spread, straight)


def _straightness(changed: Tensor) -> tuple[float, int]:
    """How straight the edge is at which the lines (n, m) change, and where it lies on average.

    Returns
    -------
    tuple
        The fraction of the columns whose first change lies within 1.5 pixels of one line, which may
        be turned, and the mean row of that line.
    """
    column = torch.arange(changed.shape[1], dtype=torch.float32)
    first = changed.float().argmax(dim=0).float()
    used = changed.any(dim=0)
    for _ in range(3):  # each time without what lies apart
        if int(used.sum()) < 2:
            return 0.0, 0
        x, y = column[used], first[used]
        apart = x - x.mean()
        slope = (apart * y).sum() / apart.square().sum()
        line = y.mean() + slope * (column - x.mean())
        near = changed.any(dim=0) & ((first - line).abs() <= 1.5)
        used = near
    return float(near.float().mean()), round(float(line.mean()))


def _belongs(side: _Side, number: int, sides: list[_Side | None]) -> bool:
    """Whether a border belongs to a print: others have its tone, or it is black and straight."""
    if side.straight < EDGE:
        return False
    alike = [
        other is not None
        and other is not side
        and other.straight >= EDGE
        and abs(other.tone - side.tone) < DRIFT
        for other in sides
    ]
    alone = side.tone < BLACK and side.spread < 1 and side.straight > STRAIGHT
    return alike[(number + 2) % 4] or sum(alike) >= 2 or alone

"""The view of an image that the generator gets: the photograph without borders and fading.

The generator was trained on photographs. A mount around a print or faded tones make its predicted
colors pale. Therefore this module finds the photograph within its borders and corrects its
lightness. Both affect only the view: the gray of the result is still the gray of the input. Borders
get no predicted color.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.gray import GrayImage, working_size
from recolor_core.resampling import resize

CELL = 4
"""Pixels per cell of the generator's output. The photograph begins and ends at a cell boundary."""

NEUTRAL_LOGIT = 40.0
"""Logit of the neutral color outside the photograph; the logits of other colors are 0 there."""

LONGEST = 320
"""Longest side, in pixels, of the image in which borders are searched for."""

SHORTEST = 96
"""Shortest side, in pixels, of a working size at which borders can be told from photographs."""


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

    def __call__(self, lightness: NDArray[np.float32]) -> NDArray[np.float32]:
        """Stretch L* from [`black`, `white`] to `FULL_RANGE`.

        Parameters
        ----------
        lightness : ndarray
            L* in [0, 100], of any shape.

        Returns
        -------
        ndarray
            L* in [0, 100], with the shape of `lightness`.
        """
        low, high = FULL_RANGE
        part = np.clip((lightness - self.black) / (self.white - self.black), 0, 1)
        return lightness + self.strength * (low + (high - low) * part - lightness)  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class View:
    """The view of one image that the generator gets.

    Parameters
    ----------
    gray : GrayImage
        The image.
    lightness : ndarray
        (h, w) float32: L* of the whole image at its working size.
    place : tuple of int
        Top, left, bottom and right of the photograph in it, in pixels.
    tone : Tone or None
        The correction of the lightness of the photograph; None if there is none.
    """

    gray: GrayImage
    lightness: NDArray[np.float32]
    place: tuple[int, int, int, int]
    tone: Tone | None

    @property
    def whole(self) -> bool:
        """True if the view is the whole image, including any borders."""
        return self.place == (0, 0, *self.lightness.shape)

    @property
    def key(self) -> tuple[int, ...]:
        """A key that is equal for views that fit into the same batch."""
        return (*self.lightness.shape, *self.place)

    def shown(self, scale: float = 1.0) -> NDArray[np.float32]:
        """Make the input of the generator.

        Parameters
        ----------
        scale : float
            Enlargement of the working size, at least 1.

        Returns
        -------
        ndarray
            (1, h', w') float32: L* of the photograph in [0, 100].
        """
        lightness = self.lightness
        if scale != 1:
            height, width = lightness.shape
            lightness = self.gray.lightness((round(scale * height), round(scale * width)))
        top, left, bottom, right = (round(scale * edge) for edge in self.place)
        lightness = lightness[top:bottom, left:right]
        return (lightness if self.tone is None else self.tone(lightness))[None]

    def framed(self, logits: NDArray[np.float32], neutral: int) -> NDArray[np.float32]:
        """Surround the prediction for the photograph with neutral borders.

        Parameters
        ----------
        logits : ndarray
            (..., Q, ceil(h' / 4), ceil(w' / 4)): logits for the output of `shown`.
        neutral : int
            Index of the neutral color among the Q colors.

        Returns
        -------
        ndarray
            (..., Q, ceil(h / 4), ceil(w / 4)): logits for the whole image.
        """
        if self.whole:
            return logits
        height, width = (-(-side // CELL) for side in self.lightness.shape)
        framed = np.zeros((*logits.shape[:-2], height, width), logits.dtype)
        framed[..., neutral, :, :] = NEUTRAL_LOGIT
        framed[self.cells] = logits
        return framed

    def with_borders(
        self, ab: NDArray[np.float32], hints: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Give the borders of a print the mean color of the hints on them.

        All borders get the same color, because paper has one color.

        Parameters
        ----------
        ab : ndarray
            (B, 2, ceil(h / 4), ceil(w / 4)), in Lab units.
        hints : ndarray
            (B, 3, ceil(h / 4), ceil(w / 4)), from `recolor_core.hints.hint_map`.

        Returns
        -------
        ndarray
            (B, 2, ceil(h / 4), ceil(w / 4)), in Lab units.
        """
        border = np.ones(ab.shape[-2:], bool)
        border[self.cells] = False
        total = (hints * border).sum(axis=(2, 3), keepdims=True)
        color = total[:, :2] / np.maximum(total[:, 2:], 1e-6)
        return np.where(border & (total[:, 2:] > 0), color, ab)

    @property
    def cells(self) -> tuple[Any, ...]:
        """The index of the photograph in the generator's output, (..., rows, columns)."""
        top, left, bottom, right = self.place
        return (
            ...,
            slice(top // CELL, -(-bottom // CELL)),
            slice(left // CELL, -(-right // CELL)),
        )

    @property
    def record(self) -> dict[str, Any]:
        """A description of the view for the provenance; JSON types only.

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
    """Make the view of an image that the generator gets.

    Parameters
    ----------
    gray : GrayImage
        The image.
    size : int
        Short side of the photograph at the working size, in pixels (`Settings.size`).
    find : bool
        Whether to search for the photograph within borders. If False, the view is the whole image.
    correct : bool
        Whether to correct the tones of a faded print.

    Returns
    -------
    View
        The view.
    """
    height, width = working_size(gray.shape, size)
    lightness = gray.lightness((height, width))
    box = find_photograph(lightness) if find and min(height, width) >= SHORTEST else WHOLE
    place = (0, 0, height, width)
    if box != WHOLE:
        rows, columns = box.bottom - box.top, box.right - box.left
        inner = (round(rows * gray.shape[0]), round(columns * gray.shape[1]))
        inner_height, inner_width = working_size(inner, size)
        height, width = round(inner_height / rows), round(inner_width / columns)
        lightness = gray.lightness((height, width))
        place = (
            CELL * round(box.top * height / CELL),
            CELL * round(box.left * width / CELL),
            height if box.bottom == 1 else CELL * round(box.bottom * height / CELL),
            width if box.right == 1 else CELL * round(box.right * width / CELL),
        )
    top, left, bottom, right = place
    tone = faded_tone(lightness[top:bottom, left:right]) if correct else None
    return View(gray, lightness, place, tone)


# --- faded tones ------------------------------------------------------------------------------

FULL_RANGE = (2.0, 97.0)
"""L* of the darkest and the brightest parts of a print after correction. The values are close to
the medians of photographs."""

FADED_RANGE = (15.0, 50.0, 66.0)
"""Limits of the range of L* in a print. A range below the first value is a blank image, which is
not corrected. Between the first and the second value the correction has full strength. It decreases
to none at the third value, because many photographs have such a range."""

FADED_BLACK = (4.0, 10.0)
"""L* of the darkest parts. A print that is darker than the first value has not faded. Above the
second value the correction has full strength."""

FADED_WHITE = (91.0, 97.0)
"""L* of the brightest parts. Below the first value the correction has full strength. A print that
is brighter than the second value has not faded."""


def faded_tone(lightness: NDArray[np.float32]) -> Tone | None:
    """Find the correction of a print that has faded or was copied with low contrast.

    A print counts as faded if it has neither black nor white and its range of L* is small. About
    one in fifty intact photographs, such as one taken in fog, also counts as faded.

    Parameters
    ----------
    lightness : ndarray
        (h, w): L* in [0, 100].

    Returns
    -------
    Tone or None
        None if there is nothing to correct.
    """
    black, white = np.quantile(lightness, (0.005, 0.995)).tolist()
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
    """Rise linearly from 0 at `low` to 1 at `high`."""
    return min(1.0, max(0.0, (value - low) / (high - low)))


# --- borders ----------------------------------------------------------------------------------

MAX_LAYERS = 4
"""Largest number of nested borders: scanner, album page, mount, white rim."""

MIN_DEPTH = 0.008
"""Smallest depth of a border that is left out, as a fraction of the height or width."""

MAX_DEPTH = 0.4
"""Largest depth of one border, as a fraction of the height or width."""

SAME_TONE = 6.0
"""Largest difference, in L*, between a pixel of a border and the tone of its line."""

DRIFT = 14.0
"""Largest change of a border's tone between its outer edge and the photograph, in L*."""

FILLED = 0.75
"""Smallest fraction of a line that has the tone of the border. The rest may be a caption, dust or
a stamp."""

LINE = 0.0125
"""Thickness, as a fraction of the height or width, of a printed line that does not end a border."""

REACH = 0.03
"""Fraction of the height or width within which a slightly rotated border ends."""

STEP = 8.0
"""Smallest change of lightness at the edge of a photograph, in L*."""

EDGE = 0.6
"""Smallest fraction of the photograph's edge that lies on one line."""

STRAIGHT = 0.9
"""The same fraction for a black border on only one side."""

PAPER_STRAIGHT = 0.7
"""The same fraction for a border of paper on only one side or around one corner."""

PAPER_SPREAD, PAPER_ALONG = 2.0, 4.0
"""Largest `_Side.spread` and `_Side.along` of such a border, in L*. Walls and floors are less even.
Some skies and dark grounds are as even, so such a border is never at the top alone, nor at the
bottom alone if it is darker than `PAPER_BOTTOM`."""

PAPER_BOTTOM = 70.0
"""L* of the darkest border of paper at the bottom alone."""

FILM, HOLE = 30.0, 80.0
"""L* below which a tone may be that of perforated film, and above which that of its holes."""

PERFORATED = 0.85
"""Smallest fraction of a line across a perforation that is film or hole. The rest is blur."""

MIN_HOLES = 5
"""Smallest number of holes along a perforated side."""

BLACK, WHITE = 8.0, 96.0
"""L* below which a tone is that of film or a scanner bed, and above which it is blank paper."""


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
    along : float
        How much its tone changes along the side, in L*.
    """

    depth: int
    tone: float
    spread: float
    straight: float
    along: float


def find_photograph(lightness: NDArray[np.float32]) -> Box:
    """Find the photograph within mounts, paper rims, film rebates and scanner edges.

    A border is a run of lines along a side. Each line has one tone, and the border ends in a
    straight edge. Skies, walls and night scenes also have such lines. Therefore a border counts
    only if the opposite side or two other sides have a border of the same tone, if it is black,
    uniform and straight, or if it is as even as paper and cannot be a sky or a dark ground.

    Parameters
    ----------
    lightness : ndarray
        (h, w): L* in [0, 100].

    Returns
    -------
    Box
        `WHOLE` if no border is found.
    """
    scale = LONGEST / max(lightness.shape)
    if scale < 1:
        rows, columns = (max(1, round(scale * side)) for side in lightness.shape)
        lightness = resize(lightness, (rows, columns))
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


def _peel(lightness: NDArray[np.float32]) -> tuple[int, int, int, int] | None:
    """Find the depths in pixels of the top, left, bottom and right border; None if all are 0."""
    turned = (lightness, lightness.T, lightness[::-1], lightness[:, ::-1].T)
    top, left, bottom, right = (_uniform_lines(lines) for lines in turned)
    if top + bottom >= lightness.shape[0] - 8 or left + right >= lightness.shape[1] - 8:
        return None
    columns = slice(left, lightness.shape[1] - right)
    rows = slice(top, lightness.shape[0] - bottom)
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
        # A bright sky next to a bright mount has no edge, but the other three sides show the mount.
        open_side = depths.index(0)
        side, others = sides[open_side], [one for one in sides if one is not sides[open_side]]
        alike = side is not None and all(
            one and abs(one.tone - side.tone) < DRIFT for one in others
        )
        if alike and side is not None and side.depth <= 2 * max(depths):
            depths[open_side] = side.depth
    return (depths[0], depths[1], depths[2], depths[3]) if any(depths) else None


def _uniform_lines(lines: NDArray[np.float32]) -> int:
    """Count the first lines of (n, m) that have one tone each, if these tones are similar."""
    count = len(lines)
    middle = _median(lines)
    same = np.abs(lines - middle) < SAME_TONE
    # Film is black and the letters in it are white: neither is part of the photograph.
    extreme = ((lines < BLACK) | (lines > WHITE)) & ((middle < BLACK) | (middle > WHITE))
    filled = ((same | extreme).mean(axis=1) >= FILLED) | _perforated(lines)
    skipped = max(2, round(LINE * count))
    deepest = 0
    for first in range(skipped):  # the first lines may be a blurred edge of the outside
        good = (filled & (np.abs(middle[:, 0] - middle[first, 0]) < DRIFT)).tolist()
        depth = 0
        for line in range(first, round(MAX_DEPTH * count)):
            if good[line]:
                depth = line + 1
            elif line - depth >= skipped:
                break
        deepest = max(deepest, depth)
    return deepest


def _perforated(lines: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Find the lines of (n, m) that cross the perforation of a film: regular holes in dark film.

    Returns
    -------
    ndarray
        (n,) bool.
    """
    holes = lines > HOLE
    share = holes.mean(axis=1)
    found: NDArray[np.bool_] = (holes | (lines < FILM)).mean(axis=1) >= PERFORATED
    found &= (share >= 0.15) & (share <= 0.5)
    for line in np.flatnonzero(found):
        begins = np.flatnonzero(holes[line, 1:] & ~holes[line, :-1])
        pitch = np.diff(begins)
        found[line] = len(pitch) >= MIN_HOLES - 1 and pitch.std() <= 0.12 * pitch.mean()
    return found


def _side(lines: NDArray[np.float32], depth: int) -> _Side | None:
    """Measure the border that consists of the first `depth` lines; None if it is too thin."""
    count = len(lines)
    if depth < max(2, round(MIN_DEPTH * count)):
        return None
    border = lines[depth // 2 : max(depth // 2 + 1, depth - 1)]
    tone = float(_median(border.reshape(1, -1)).item())
    film = border[~_perforated(border)] if tone < FILM else border
    spread = float(np.quantile(np.abs(film - tone), 0.8)) if film.size else 0.0
    behind = lines[depth : depth + max(2, round(REACH * count))]
    changed = np.abs(behind - tone) > max(STEP, 3 * spread)
    straight, begin = _straightness(changed)
    eighths = np.array_split(border.mean(axis=0), 8)
    along = float(np.ptp([part.mean() for part in eighths if part.size]))
    return _Side(depth + begin if straight >= EDGE else depth, tone, spread, straight, along)


def _median(lines: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the median of each line of (n, m), (n, 1); of two middle values, the lower one."""
    middle = (lines.shape[1] - 1) // 2
    return np.partition(lines, middle, axis=1)[:, middle : middle + 1]


def _straightness(changed: NDArray[np.bool_]) -> tuple[float, int]:
    """Measure how straight the edge is at which the lines (n, m) change, and find its mean row.

    Returns
    -------
    tuple
        The fraction of the columns whose first change lies within 1.5 pixels of one line, which may
        be rotated, and the mean row of that line.
    """
    column = np.arange(changed.shape[1], dtype=np.float32)
    first = changed.argmax(axis=0).astype(np.float32)
    used = changed.any(axis=0)
    for _ in range(3):  # each fit excludes the outliers of the previous one
        if int(used.sum()) < 2:
            return 0.0, 0
        x, y = column[used], first[used]
        apart = x - x.mean()
        slope = (apart * y).sum() / (apart**2).sum()
        line = y.mean() + slope * (column - x.mean())
        near = changed.any(axis=0) & (np.abs(first - line) <= 1.5)
        used = near
    return float(near.mean()), round(float(line.mean()))


def _belongs(side: _Side, number: int, sides: list[_Side | None]) -> bool:
    """Check whether a border is one: others have its tone, or it is even and straight enough."""
    if side.straight < EDGE:
        return False
    alike = [
        other is not None
        and other is not side
        and other.straight >= EDGE
        and abs(other.tone - side.tone) < DRIFT
        for other in sides
    ]
    black = side.tone < BLACK and side.spread < 1 and side.straight > STRAIGHT
    ground_or_sky = number == 0 or (number == 2 and side.tone < PAPER_BOTTOM)
    beside = any(same and _is_paper(other) for other, same in zip(sides, alike, strict=True))
    paper = _is_paper(side) and (beside or not ground_or_sky)
    return alike[(number + 2) % 4] or sum(alike) >= 2 or black or paper


def _is_paper(side: _Side | None) -> bool:
    """Check whether a border is so even and straight that it needs no other of its tone."""
    return (
        side is not None
        and side.straight >= PAPER_STRAIGHT
        and side.spread <= PAPER_SPREAD
        and side.along <= PAPER_ALONG
    )

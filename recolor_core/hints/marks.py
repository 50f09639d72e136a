"""Marks: the points, strokes, regions and masks with which a person directs the colors.

Importing this module does not import torch: the plugin makes marks while its window is drawn.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from recolor_core.errors import HintsError

Kind = Literal["color", "keep", "gray"]
"""What a mark asks for: ``"color"``, its color; ``"keep"``, the color that the networks give, so
that no other hint changes it; ``"gray"``, no color, as of paper, silver or smoke."""

Points: TypeAlias = tuple[tuple[float, float], ...]
"""Columns and rows (x, y) in pixels of the image."""

MAX_MARKS = 20_000
"""The largest number of marks of one image."""

MAX_POINTS = 200_000
"""The largest number of corners of all strokes and regions of one image."""

DEFAULT_REACH = 0.5

_KINDS = get_args(Kind)
_COLOR = re.compile("#[0-9a-fA-F]{6}")
_FAR = 1e6  # pixels; the largest coordinate of a corner


@dataclass(frozen=True)
class Hint:
    """A disk of known color.

    Parameters
    ----------
    x, y : float
        Column and row of its center in pixels of the image; (0, 0) is the center of the pixel
        at the top left.
    color : str
        ``"#rrggbb"`` in sRGB. Its hue and chroma count; the lightness stays that of the image.
        It is left out if `kind` is not ``"color"``.
    radius : float
        In pixels of the image. 0 hints the one pixel.
    kind : {"color", "keep", "gray"}
        What the hint asks for; see `Kind`.
    reach : float
        How far the hint goes beyond its disk: 0 not at all, 0.5 as far as the thing that it is
        on seems to reach, towards 1 further and further.
    within : tuple of (x, y)
        The corners of a polygon that the hint does not leave ("only here"); empty for no limit.
    """

    x: float
    y: float
    color: str = ""
    radius: float = 0.0
    kind: Kind = "color"
    reach: float = DEFAULT_REACH
    within: Points = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "within", _tuples(self.within))

    @property
    def ab(self) -> tuple[float, float]:
        """a* and b* of the color, in Lab units."""
        return mark_ab(self)


@dataclass(frozen=True)
class Stroke:
    """A line drawn with a round brush. It goes beyond its pixels as a `Hint` does.

    In napari, the vertices of a line or path of a Shapes layer, with x and y exchanged, and half
    of its edge width.

    Parameters
    ----------
    points : tuple of (x, y)
        The corners of the line, at least one, in pixels of the image.
    radius : float
        Half the width of the line, in pixels of the image.
    color, kind, reach, within
        As of `Hint`.
    """

    points: Points
    color: str = ""
    radius: float = 0.0
    kind: Kind = "color"
    reach: float = DEFAULT_REACH
    within: Points = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", _tuples(self.points))
        object.__setattr__(self, "within", _tuples(self.within))


@dataclass(frozen=True)
class Region:
    """A polygon all of which has one color; its edge follows an edge of the image nearby.

    In napari, the vertices of a polygon or rectangle of a Shapes layer, with x and y exchanged.

    Parameters
    ----------
    points : tuple of (x, y)
        The corners, at least three, in pixels of the image.
    color, kind
        As of `Hint`.
    """

    points: Points
    color: str = ""
    kind: Kind = "color"

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", _tuples(self.points))


@dataclass(frozen=True, eq=False)
class Mask:
    """Pixels all of which have one color; their edge follows an edge of the image nearby.

    In napari, ``Mask(labels.data == label, color)`` for each label of a Labels layer.

    Parameters
    ----------
    pixels : ndarray
        (H, W), of the shape of the image: what is not zero is marked.
    color, kind
        As of `Hint`.
    """

    pixels: NDArray[Any]
    color: str = ""
    kind: Kind = "color"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Mask)
            and (self.color, self.kind) == (other.color, other.kind)
            and np.array_equal(np.asarray(self.pixels) != 0, np.asarray(other.pixels) != 0)
        )

    def __hash__(self) -> int:
        return hash((self.color, self.kind, np.shape(self.pixels)))


Mark: TypeAlias = Hint | Stroke | Region | Mask
"""The types that the parameter `hints` takes."""

Area: TypeAlias = Region | Mask | NDArray[Any]
"""A part of an image; an array is the pixels of a mask. Its color and kind have no effect."""


def as_area(area: Area) -> Region | Mask:
    """Convert a part of an image to a mark that keeps it."""
    if isinstance(area, Region):
        return Region(area.points, kind="keep")
    return Mask(area.pixels if isinstance(area, Mask) else np.asarray(area), kind="keep")


def mark_ab(mark: Mark) -> tuple[float, float]:
    """a* and b* that a mark asks for, in Lab units; gray for a mark of another kind."""
    from recolor_core.palette import hex_ab

    return hex_ab(mark.color) if mark.kind == "color" else (0.0, 0.0)


def marks_ab(marks: Sequence[Mark]) -> NDArray[np.float32]:
    """(N, 2): a* and b* that each of the marks asks for, in Lab units, as `mark_ab`."""
    from recolor_core.lab import rgb_to_lab

    known = {mark.color: (0.0, 0.0) for mark in marks}
    colors = [color for color in known if color]
    codes = np.array([list(bytes.fromhex(color[1:])) for color in colors]).reshape(-1, 3)
    known |= dict(zip(colors, rgb_to_lab(codes / 255)[:, 1:].tolist(), strict=True))
    return np.array([known[mark.color] for mark in marks], np.float32).reshape(-1, 2)


def check_marks(marks: Sequence[Mark], shape: tuple[int, int]) -> None:
    """Refuse marks that do not fit an image.

    Parameters
    ----------
    marks : sequence of Hint, Stroke, Region or Mask
    shape : (int, int)
        Height and width of the image.

    Raises
    ------
    HintsError
        If a mark is damaged or lies outside the image, if two contradict each other at one place,
        or if there are too many.
    """
    if len(marks) > MAX_MARKS:
        raise HintsError(
            f"expected at most {MAX_MARKS} hints of an image, got {len(marks)}; "
            "paint a mask instead"
        )
    if sum(len(getattr(mark, "points", ())) for mark in marks) > MAX_POINTS:
        raise HintsError(
            f"expected strokes and regions of at most {MAX_POINTS} corners in all; "
            "paint a mask instead"
        )
    told: dict[tuple[float, float], Hint] = {}
    for mark in marks:
        check_mark(mark)
        _check_place(mark, shape)
        if isinstance(mark, Hint):
            other = told.setdefault((mark.x, mark.y), mark)
            if (other.kind, other.color.lower()) != (mark.kind, mark.color.lower()):
                raise HintsError(
                    f"expected hints that agree, got {_said(other)} and {_said(mark)} at "
                    f"x={mark.x:g}, y={mark.y:g}; remove one of them"
                )


def check_mark(mark: Mark) -> None:
    """Refuse a mark that fits no image.

    Raises
    ------
    HintsError
        If a number is not a number, a color is not a color, and so on.
    """
    if not isinstance(mark, Hint | Stroke | Region | Mask):
        raise HintsError(f"expected a hint, stroke, region or mask, got {mark!r:.60}")
    if mark.kind not in _KINDS:
        raise HintsError(
            f"expected the kind of a hint as color, keep or gray, got {mark.kind!r:.60}"
        )
    if mark.kind != "color" and not (isinstance(mark.color, str) and mark.color == ""):
        raise HintsError(
            f"expected no color of a hint of kind {mark.kind}, got {mark.color!r:.60}; "
            "remove the color or the kind"
        )
    if mark.kind == "color" and not (isinstance(mark.color, str) and _COLOR.fullmatch(mark.color)):
        _ = mark_ab(mark)  # says what a color is
    if isinstance(mark, Hint):
        _check_numbers("a hint's x and y as numbers of pixels", mark.x, mark.y)
    if isinstance(mark, Hint | Stroke):
        _check_numbers("a radius as a number of pixels", mark.radius, low=0)
        _check_numbers("a reach from 0 to 1", mark.reach, low=0, high=1)
        _check_points(mark.within, "within", 3 if mark.within else 0)
    if isinstance(mark, Stroke):
        _check_points(mark.points, "a stroke", 1)
    if isinstance(mark, Region):
        _check_points(mark.points, "a region", 3)
    if isinstance(mark, Mask):
        pixels = np.asarray(mark.pixels)
        if pixels.ndim != 2 or pixels.dtype.kind not in "buif":
            raise HintsError(
                f"expected a mask as (H, W) numbers, got shape {pixels.shape} of {pixels.dtype}"
            )


def _check_place(mark: Mark, shape: tuple[int, int]) -> None:
    height, width = shape
    if isinstance(mark, Mask):
        pixels = np.asarray(mark.pixels)
        if pixels.shape != shape:
            raise HintsError(
                f"expected a mask of {width} x {height} pixels, as the image has, got one of "
                f"{pixels.shape[1]} x {pixels.shape[0]}; use the mask of this image"
            )
        if not pixels.any():
            raise HintsError("expected a mask that marks a pixel, got an empty one; remove it")
        return
    x, y = np.array([(mark.x, mark.y)] if isinstance(mark, Hint) else mark.points, float).T
    edge = 0.5
    if isinstance(mark, Hint):
        if not (-edge <= mark.x <= width - edge and -edge <= mark.y <= height - edge):
            raise HintsError(
                f"expected hints within {width} x {height} pixels, got one at x={mark.x:g}, "
                f"y={mark.y:g}; remove it or use the hints of this image"
            )
    elif x.max() < -edge or y.max() < -edge or x.min() > width - edge or y.min() > height - edge:
        raise HintsError(
            f"expected strokes and regions within {width} x {height} pixels, got one from "
            f"x={x.min():g}, y={y.min():g} to x={x.max():g}, y={y.max():g}; remove it or use the "
            "hints of this image"
        )


def _check_points(points: Points, what: str, fewest: int) -> None:
    fits = isinstance(points, tuple) and len(points) >= fewest
    fits = fits and all(isinstance(point, tuple) and len(point) == 2 for point in points)
    if not fits:
        raise HintsError(
            f"expected the corners of {what} as {fewest} or more pairs [x, y], got {points!r:.60}"
        )
    for x, y in points:
        _check_numbers(f"the corners of {what} as numbers of pixels", x, y, low=-_FAR, high=_FAR)


def _check_numbers(
    expected: str, *numbers: Any, low: float = -math.inf, high: float = math.inf
) -> None:
    for number in numbers:
        try:
            fits = (
                not isinstance(number, bool | str)
                and math.isfinite(number)
                and low <= number <= high
            )
        except (TypeError, OverflowError):
            fits = False
        if not fits:
            bounds = " or more" if low == 0 and high == math.inf else ""
            bounds = f", 0{bounds}" if bounds else bounds
            raise HintsError(f"expected {expected}{bounds}, got {number!r:.40}")


def _tuples(points: Any) -> Any:
    """Pairs as tuples, so that marks can be compared and hashed; anything else as it is."""
    try:
        return tuple(tuple(point) if not isinstance(point, str) else point for point in points)
    except TypeError:
        return points


def _said(mark: Mark) -> str:
    return mark.color if mark.kind == "color" else mark.kind


@dataclass(frozen=True)
class MarksInTime:
    """The marks of several frames, each moved to where its thing is in one frame.

    Where the marks of two frames claim the same place, an order says which of them decides. Between
    two frames two orders apply, each with a weight, so that the color passes from one to the other.

    Parameters
    ----------
    groups : tuple of tuple of Mark
        The marks of each frame.
    orders : tuple of (float, tuple of int)
        Weights that sum to 1, each with the indices of the groups, the one that decides first.
    given : int
        How many of the marks, the last ones, are given for the frame itself.
    """

    groups: tuple[tuple[Mark, ...], ...]
    orders: tuple[tuple[float, tuple[int, ...]], ...]
    given: int = 0

    def __iter__(self) -> Iterator[Mark]:
        for group in self.groups:
            yield from group

    def with_given(self, marks: Sequence[Mark]) -> "MarksInTime":
        """Exchange the marks that are given for the frame itself.

        Parameters
        ----------
        marks : sequence of Mark
            The new ones, which decide first; if there are none, the marks of other frames remain.
        """
        own = len(self.groups) - 1 if self.given else None
        others = self.groups[:own]
        orders = tuple((w, tuple(i for i in order if i != own)) for w, order in self.orders)
        if not marks:
            return MarksInTime(others, orders if others else ())
        _, nearest = max(orders, default=(1.0, ()))
        return MarksInTime((*others, tuple(marks)), ((1.0, (len(others), *nearest)),), len(marks))

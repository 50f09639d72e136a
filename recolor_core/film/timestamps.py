"""Moments of a film, as people write them: ``90``, ``1:30.5``, ``00:01:30`` or ``2250f``."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from recolor_core.film.errors import FilmError

_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)")
_FRAME = re.compile(r"(\d+)f")


@dataclass(frozen=True)
class Moment:
    """A moment of a film: either a frame or a time.

    Parameters
    ----------
    frame : int or None
        The number of the frame. The first frame of a film is 0; images have the numbers of their
        names.
    time : Fraction or None
        Seconds after the first frame of the film.
    """

    frame: int | None = None
    time: Fraction | None = None

    def reached(self, number: int, time: Fraction) -> bool:
        """Whether a frame with this number, shown from this time, is at or after the moment."""
        if self.time is not None:
            return time >= self.time
        return number >= (self.frame or 0)

    def __str__(self) -> str:
        return f"{float(self.time):g} s" if self.time is not None else f"frame {self.frame}"


def parse_moment(text: str) -> Moment:
    """Read a moment from text.

    Raises
    ------
    FilmError
        If the text is not a moment.
    """
    if match := _FRAME.fullmatch(text.strip()):
        return Moment(frame=int(match[1]))
    if match := _TIME.fullmatch(text.strip()):
        hours, minutes, seconds = (Fraction(part or 0) for part in match.groups())
        return Moment(time=hours * 3600 + minutes * 60 + seconds)
    raise FilmError(
        f"expected a time such as 90, 1:30.5 or 00:01:30, or a frame such as 2250f, got {text!r}"
    )


class Timeline(Protocol):
    """When the frames of a film are shown; `FilmFacts` is one."""

    @property
    def times(self) -> Sequence[int]:
        """When frames are shown, in ticks, ascending."""

    @property
    def numbers(self) -> Sequence[int]:
        """The number of each frame."""

    @property
    def time_base(self) -> Fraction:
        """The length of a tick, in seconds."""


def frame_at(film: Timeline, moment: Moment) -> int:
    """The number of the frame that is shown at a moment; after the end, one more than the last.

    Parameters
    ----------
    film : Timeline
        The film.
    moment : Moment
        The moment. The number of a frame is returned as it is, whether or not the film has it.
    """
    if moment.time is None:
        return moment.frame or 0
    ticks = film.times[0] + moment.time / film.time_base
    usual = film.times[-1] - film.times[-2] if len(film.times) > 1 else 1
    if ticks >= film.times[-1] + usual:
        return film.numbers[-1] + 1
    return film.numbers[bisect_right(film.times, ticks) - 1]


def frame_within(film: Timeline, moment: Moment, what: str) -> int:
    """The number of the frame that is shown at a moment of the film.

    Parameters
    ----------
    film : Timeline
        The film.
    moment : Moment
        The moment.
    what : str
        What is given for the moment, for the error.

    Raises
    ------
    FilmError
        If the moment is before the first frame or after the last one.
    """
    number, first, last = frame_at(film, moment), film.numbers[0], film.numbers[-1]
    if not first <= number <= last:
        seconds = float((film.times[-1] - film.times[0]) * film.time_base)
        raise FilmError(
            f"expected {what} within the film, from frame {first} to frame {last}, which is shown "
            f"at {seconds:g} s, got one for {moment}; correct its frame or time"
        )
    return number


def parse_rate(text: str) -> Fraction:
    """Read a number of frames per second from text, such as ``24`` or ``24000/1001``.

    Raises
    ------
    FilmError
        If the text is no such number, or it is not from above 0 to 1000.
    """
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise FilmError(
            f"expected fps as frames a second up to 1000, such as 24 or 24000/1001, got {text!r}"
        )
    return rate

"""Hints of key frames: their file, which frame each is for, and where it was before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from recolor_core.errors import HintsError
from recolor_core.film.errors import FilmError
from recolor_core.film.shots import Shots, small_image
from recolor_core.film.timestamps import Moment, parse_moment
from recolor_core.hints import Hint, Mark, mark_entry, read_entries
from recolor_core.motion import estimate_motion, follow_points

_EXAMPLE = '{"hints": [{"frame": 120, "x": 10, "y": 20, "color": "#4070c0", "radius": 5}]}'


@dataclass(frozen=True)
class KeyHint:
    """A hint, and the moment that it is for.

    Parameters
    ----------
    hint : Hint
        The hint.
    moment : Moment or None
        None for the first frame that is colorized.
    """

    hint: Hint
    moment: Moment | None = None

    def record(self) -> dict[str, Any]:
        """The hint in JSON types."""
        moment: dict[str, Any] = {}
        if self.moment:
            time = self.moment.time
            moment = {"frame": self.moment.frame} if time is None else {"time": float(time)}
        return {**mark_entry(self.hint), **moment}


def read_key_hints(path: str | Path) -> list[KeyHint]:
    """Read hints from a file like that of `recolor_core.hints`, with ``frame`` or ``time`` in some.

    Parameters
    ----------
    path : str or Path
        A JSON file in UTF-8 or UTF-16, with or without a byte order mark.

    Raises
    ------
    HintsError
        If the file cannot be read or does not hold hints.
    """
    entries = read_entries(path, ("frame", "time"), _EXAMPLE)
    try:
        return [_key_hint(mark, facts) for mark, facts in entries]
    except ValueError as error:
        raise HintsError(
            f"{path} is not a file of color hints ({error}); expected JSON such as {_EXAMPLE}"
        ) from error


def _key_hint(mark: Mark, facts: Mapping[str, Any]) -> KeyHint:
    frame, time = facts.get("frame"), facts.get("time")
    if not isinstance(mark, Hint):
        raise FilmError("expected points, since strokes, regions and masks cannot follow a film")
    if frame is not None and time is not None:
        raise FilmError("expected frame or time of a hint, got both")
    if time is not None:
        return KeyHint(mark, parse_moment(str(time)))
    if frame is None:
        return KeyHint(mark)
    if isinstance(frame, bool) or not isinstance(frame, int) or frame < 0:
        raise FilmError(f"expected the number of a frame, got {frame!r}")
    return KeyHint(mark, Moment(frame=frame))


class HintsInTime:
    """Hands out hints as the frames go by.

    Parameters
    ----------
    hints : Sequence of KeyHint
        The hints of the film.

    Attributes
    ----------
    given : dict
        The hints of the frames so far, by the index of the frame among those that are colorized.
    waiting : list of KeyHint
        Those whose moment has not come.
    """

    def __init__(self, hints: Sequence[KeyHint]) -> None:
        self.given: dict[int, list[Hint]] = {}
        self.waiting = list(hints)

    def frame(self, index: int, number: int, time: Fraction, until: Fraction) -> None:
        """Give out the hints of a frame.

        Parameters
        ----------
        index : int
            The index of the frame among those that are colorized.
        number : int
            The number of the frame in the film.
        time, until : Fraction
            When it is shown, in seconds after the first frame of the film.
        """
        waiting, self.waiting = self.waiting, []
        for key in waiting:
            if key.moment is None:
                meant = index == 0
            elif key.moment.time is None:
                meant = key.moment.frame == number
            else:
                meant = time <= key.moment.time < until
            if meant:
                self.given.setdefault(index, []).append(key.hint)
            else:
                self.waiting.append(key)


def trace_back(
    frames: Iterable[tuple[int, NDArray[Any], Fraction, Fraction]],
    shots: Shots,
    hints: Sequence[KeyHint],
) -> list[KeyHint]:
    """Follow hints backward through their shot, so that they color what was before, too.

    Of each shot the hints of the first frame that has any are followed, along the motion of the
    lightness, to the beginning of the shot, or to where what they lie on comes into the image.

    Parameters
    ----------
    frames : Iterable of tuple
        The number of each frame, its image, and from when until when it is shown.
    shots : Shots
        The shots of the film.
    hints : Sequence of KeyHint
        The hints of the film.

    Returns
    -------
    list of KeyHint
        The same hints where they are first seen; those of hints that are there already are not
        among them.
    """
    resolved = HintsInTime(hints)
    traced: list[KeyHint] = []
    before: list[Tensor] = []  # the small images of the shot, up to this frame
    done = False  # with this shot
    for index, (number, image, time, until) in enumerate(frames):
        shot = shots.of(number)
        if shot is None or number == shot.first or index == 0:
            before, done = [], shot is None
        resolved.frame(index, number, time, until)
        if done:
            continue
        before.append(small_image(image).half())
        if given := resolved.given.get(index):
            done = True
            traced += [
                KeyHint(moved, Moment(frame=number - steps))
                for hint in given
                for moved, steps in _traced(hint, before, image.shape)
            ]
        if not resolved.waiting:
            break
    return traced


def _traced(hint: Hint, before: Sequence[Tensor], shape: tuple[int, ...]) -> list[tuple[Hint, int]]:
    """The hint in the earliest frame that it can be followed to, and how many frames that is."""
    height, width = shape[:2]
    scale = torch.tensor([before[0].shape[-1] / width, before[0].shape[-2] / height])
    place = (torch.tensor([[hint.x, hint.y]]) + 0.5) * scale - 0.5
    found: list[tuple[Hint, int]] = []
    for steps, (now, then) in enumerate(pairwise(reversed(before)), 1):
        place = follow_points(place, estimate_motion(now.float(), then.float()))
        x, y = ((place + 0.5) / scale - 0.5)[0].tolist()
        if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
            break
        found = [(replace(hint, x=x, y=y), steps)]
    return found

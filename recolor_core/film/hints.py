"""Hints of key frames: the file, and which frame each hint is for."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from recolor_core.errors import HintsError
from recolor_core.film.errors import FilmError
from recolor_core.film.timestamps import Moment, parse_moment
from recolor_core.hints import Hint


@dataclass(frozen=True)
class KeyHint:
    """A hint and the moment that it is given for; None is the first frame that is colorized."""

    hint: Hint
    moment: Moment | None = None

    def record(self) -> dict[str, Any]:
        """The hint in JSON types."""
        moment: dict[str, Any] = {}
        if self.moment:
            time = self.moment.time
            moment = {"frame": self.moment.frame} if time is None else {"time": float(time)}
        return {**asdict(self.hint), **moment}


def read_key_hints(path: str | Path) -> list[KeyHint]:
    """Hints of a file: that of `recolor_core.hints`, with ``frame`` or ``time`` in some of them.

    Raises
    ------
    HintsError
        Where the file cannot be read or is no file of hints.
    """
    path = Path(path)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["hints"]
        return [_key_hint(dict(entry)) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HintsError(
            f"{path} is no file of color hints ({error}); expected JSON such as "
            '{"hints": [{"frame": 120, "x": 10, "y": 20, "color": "#4070c0", "radius": 5}]}'
        ) from error


def _key_hint(entry: dict[str, Any]) -> KeyHint:
    frame, time = entry.pop("frame", None), entry.pop("time", None)
    hint = Hint(**entry)
    _ = hint.ab  # refuses what is no color
    if frame is not None and time is not None:
        raise FilmError("expected frame or time of a hint, got both")
    if time is not None:
        return KeyHint(hint, parse_moment(str(time)))
    if frame is None:
        return KeyHint(hint)
    if isinstance(frame, bool) or not isinstance(frame, int) or frame < 0:
        raise FilmError(f"expected the number of a frame, got {frame!r}")
    return KeyHint(hint, Moment(frame=frame))


class HintsInTime:
    """Hands out hints as the frames go by.

    Parameters
    ----------
    hints
        Of the film.

    Attributes
    ----------
    given
        Those of the frames so far, by the index of the frame among those that are colorized.
    waiting
        Those whose moment no frame has had.
    """

    def __init__(self, hints: Sequence[KeyHint]) -> None:
        self.given: dict[int, list[Hint]] = {}
        self.waiting = list(hints)

    def frame(self, index: int, number: int, time: Fraction, until: Fraction) -> None:
        """Give out the hints of a frame.

        Parameters
        ----------
        index
            Of the frame among those that are colorized.
        number
            Of the frame in the film.
        time, until
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

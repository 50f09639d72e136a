"""Hints of a film: their file, and the moment that each is for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recolor_core.errors import FilmError, HintsError
from recolor_core.film.timestamps import Moment, parse_moment
from recolor_core.hints import Mark, mark_entry, read_entries

_EXAMPLE = '{"hints": [{"frame": 120, "x": 10, "y": 20, "color": "#4070c0", "radius": 5}]}'


@dataclass(frozen=True)
class KeyHint:
    """A hint, and the moment that it is for.

    Parameters
    ----------
    hint : Hint, Stroke, Region or Mask
        The hint.
    moment : Moment or None
        None for the first frame that is colorized.
    """

    hint: Mark
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
    if frame is not None and time is not None:
        raise FilmError("expected frame or time of a hint, got both")
    if time is not None:
        return KeyHint(mark, parse_moment(str(time)))
    if frame is None:
        return KeyHint(mark)
    if isinstance(frame, bool) or not isinstance(frame, int) or frame < 0:
        raise FilmError(f"expected the number of a frame, got {frame!r}")
    return KeyHint(mark, Moment(frame=frame))

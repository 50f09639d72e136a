"""A first, cheap pass over the lightness of a film: cuts, fades, dissolves, flashes and leader.

What it finds is a list of `Shot`. It can be written to a file, edited and read back. Coloring then
begins anew with each shot. In fades and dissolves it carries color over from a frame only as far as
the image of the shot was visible there.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from recolor_core.errors import FilmError
from recolor_core.frames import FrameGuide
from recolor_core.lab import max_code
from recolor_core.motion import CUT_MATCH, follow_frame, match, warp

HEIGHT = 56
"""Rows of the small images in which shots are looked for: as many as those of the color memory."""

LEADER_CONTRAST = 1.5
"""Standard deviation of the smoothed gray, in percent, below which nothing is to be seen."""

LEADER_RANGE = (15.0, 85.0)
"""Mean gray, in percent, between which a flat image is no leader."""

FADED = 0.6
"""Contrast, as a part of the full one, below which a shot begins or ends in a fade."""

LONGEST = 64
"""Frames of the longest fade or dissolve that is found."""

LONGEST_FLASH = 3
"""Frames of the longest flash."""

_DISSOLVES = (6, 9, 13, 18, 25, 36, 50)  # lengths that are tried, in frames
_FAINT = 0.3  # contrast of one image, as a part of the other's, below which it fades
_SETTLING = 2.0  # by how much longer than a fade color goes on settling
_UNEVEN = 0.12  # largest deviation of a dissolve from an even one
_DISSOLVE_ERROR = 0.08  # of mixtures, as a part of the squared difference of both images
_MATCHING = 0.75  # correlation above which two frames are of one shot, without regard to motion
_PURE = 0.97  # part of the full contrast at which a fade has ended
_SAME = (
    1 + CUT_MATCH
) / 2  # correlation, with regard to motion, above which two frames show the same
_SIMILAR = 0.25  # correlation, without regard to motion, below which they certainly do not
_TELLING = 4.0  # standard deviation of the gray, in percent, below which all images look alike
_REMEMBERED = 8  # shots, among which one that returns is looked for
_SAMPLED = (1, 5, 12)  # frames of a shot by which it is recognized, besides the last


@dataclass(frozen=True)
class Shot:
    """Consecutive frames of one image.

    Parameters
    ----------
    first, last : int
        Numbers of its frames in the film.
    kind : str
        ``"image"``, or ``"leader"`` if there is nothing to be seen.
    fade_in, fade_out : int
        Over how many frames it appears and disappears.
    dissolve : int
        Over how many frames the shot before turns into this one. `first` is the middle of them.
    flashes : tuple of int
        Numbers of frames that show something else for a moment, such as a flash of light.
    returns_to : int or None
        The number of a frame of an earlier shot, if this one goes on with what that showed.
    """

    first: int
    last: int
    kind: str = "image"
    fade_in: int = 0
    fade_out: int = 0
    dissolve: int = 0
    flashes: tuple[int, ...] = ()
    returns_to: int | None = None

    @property
    def representative(self) -> int:
        """The number of a frame that shows the shot: the middle of what is fully visible."""
        start = self.first + max(self.fade_in, self.dissolve // 2)
        end = max(start, self.last - self.fade_out)
        middle = (start + end) // 2
        return next((n for n in range(middle, end + 1) if n not in self.flashes), middle)


class Shots:
    """The shots of a film, and what they say of each frame.

    Parameters
    ----------
    shots : Sequence of Shot
        In their order.
    """

    def __init__(self, shots: Sequence[Shot]) -> None:
        self.shots = tuple(shots)
        self._at = {number: i for i, s in enumerate(shots) for number in range(s.first, s.last + 1)}
        self._origin: list[int] = []  # of each shot, the index of the first one that shows the same
        for index, shot in enumerate(shots):
            earlier = None if shot.returns_to is None else self._at.get(shot.returns_to)
            known = earlier is not None and earlier < index
            self._origin.append(self._origin[earlier] if known and earlier is not None else index)
        self._chains = {
            origin: tuple(
                s for s, other in zip(shots, self._origin, strict=True) if other == origin
            )
            for origin in set(self._origin)
        }

    def of(self, number: int) -> Shot | None:
        """The shot of a frame; None if no shot has it."""
        index = self._at.get(number)
        return None if index is None else self.shots[index]

    def chain(self, number: int) -> tuple[Shot, ...]:
        """The shots that show what the shot of a frame shows, itself included, in their order.

        A shot often returns, as in a dialogue.

        Parameters
        ----------
        number : int
            The number of the frame in the film; no shot may have it.
        """
        index = self._at.get(number)
        return () if index is None else self._chains[self._origin[index]]

    def over(self, first: int, last: int) -> "Shots":
        """The same shots, in which all frames have a place, such as those that were lost.

        Parameters
        ----------
        first, last : int
            The numbers of the first and the last frame to be in a shot.
        """
        ends = [*(shot.first - 1 for shot in self.shots[1:]), last]
        shots = [replace(s, last=max(s.last, e)) for s, e in zip(self.shots, ends, strict=True)]
        return Shots([replace(shots[0], first=min(first, shots[0].first)), *shots[1:]])

    def missing(self, numbers: Iterable[int]) -> list[int]:
        """List the frames that are in no shot.

        Parameters
        ----------
        numbers : iterable of int
            Numbers of frames in the film.
        """
        return [number for number in numbers if number not in self._at]

    def guide(self, number: int) -> FrameGuide:
        """What coloring has to know of a frame.

        Parameters
        ----------
        number : int
            The number of the frame in the film.
        """
        index = self._at.get(number)
        if index is None:
            return FrameGuide()
        shot = self.shots[index]
        if shot.kind == "leader":
            return FrameGuide(begins=number == shot.first, visible=0.0, light=0.0)
        after = self.shots[index + 1] if index + 1 < len(self.shots) else None
        leaving = after.dissolve if after else 0
        visible = min(
            1.0,
            (number - shot.first + 1) / (_SETTLING * shot.fade_in + 1),
            (shot.last - number + 1) / (shot.fade_out + 1),
            # In a dissolve, from its middle on: how much more of this shot than of the other.
            (number - shot.first + 0.5) / (_SETTLING * shot.dissolve / 2) if shot.dissolve else 1.0,
            (shot.last - number + 0.5) / (leaving / 2) if leaving else 1.0,
        )
        dark = shot.fade_in and number < shot.first + shot.fade_in
        dark = dark or (shot.fade_out and number > shot.last - shot.fade_out)
        return FrameGuide(
            begins=number == shot.first,
            visible=visible,
            light=min(1.0, visible / 0.1) if dark else 1.0,
            passing=number in shot.flashes,
        )

    def record(self, rate: Fraction | None = None) -> dict[str, Any]:
        """The shots in JSON types.

        Parameters
        ----------
        rate : Fraction or None
            Frames per second, for the times; None to leave them out.
        """
        return {"shots": [_entry(shot, rate) for shot in self.shots]}

    def as_json(self, rate: Fraction | None = None) -> str:
        """The text of a file that `read_shots` reads, one shot a line.

        Parameters
        ----------
        rate : Fraction or None
            Frames per second, for the times, which are only for people to read.
        """
        entries = ",\n  ".join(json.dumps(entry) for entry in self.record(rate)["shots"])
        return f'{{"shots": [\n  {entries}\n]}}\n'


def read_shots(path: str | Path) -> Shots:
    """Read the shots of a film from a file.

    Parameters
    ----------
    path : str or Path
        A JSON file, as `Shots.as_json` makes it, in UTF-8 or UTF-16. Times in it are not read.

    Raises
    ------
    FilmError
        If the file cannot be read or its shots overlap.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_bytes())  # finds the encoding
        if not isinstance(content, dict):
            raise ValueError(f"it holds {_kind(content)} instead of an object")
        if "shots" not in content:
            raise ValueError('its object has no "shots"')
        return parse_shots(content["shots"])
    except (OSError, ValueError, RecursionError) as error:
        raise FilmError(
            f"{path} is not a file of shots ({error}); expected JSON such as "
            '{"shots": [{"first": 0, "last": 47, "kind": "image", "fade_in": 12}]}; correct the '
            "file, or remove it to have the shots found"
        ) from error


def parse_shots(entries: object) -> Shots:
    """Read shots from JSON types, as `Shots.record` makes them.

    Parameters
    ----------
    entries : list of dict
        One for each shot. Times in them are not read.

    Raises
    ------
    ValueError
        If they are not shots, overlap, or are not in order.
    """
    if not isinstance(entries, list):
        raise ValueError(f'"shots" is {_kind(entries)} instead of a list')
    shots = [_shot(entry) for entry in entries]
    if not shots:
        raise ValueError("it has no shots")
    for one, other in pairwise(shots):
        if other.first <= one.last:
            raise ValueError(
                f"the shot from frame {other.first} begins before the one from frame "
                f"{one.first} ends"
            )
    return Shots(shots)


def _entry(shot: Shot, rate: Fraction | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"first": shot.first, "last": shot.last}
    if rate:
        entry["time"] = round(float(shot.first / rate), 3)
    entry["kind"] = shot.kind
    for name in ("fade_in", "fade_out", "dissolve", "flashes"):
        if value := getattr(shot, name):
            entry[name] = list(value) if name == "flashes" else value
    if shot.returns_to is not None:
        entry["returns_to"] = shot.returns_to
    return entry


def _kind(value: object) -> str:
    """What a value of JSON is, in words."""
    kinds = {dict: "an object", list: "a list", str: "text", bool: "a truth value"}
    kinds |= {type(None): "null"}
    return kinds.get(type(value), "a number")


def _shot(value: object) -> Shot:
    if not isinstance(value, dict):
        raise ValueError(f"a shot is {_kind(value)} instead of an object")
    entry = {key: value[key] for key in value if key != "time"}
    if missing := {"first", "last"} - set(entry):
        raise ValueError(f"a shot has no {sorted(missing)[0]!r}")
    unknown = set(entry) - {f.name for f in fields(Shot)}
    if unknown:
        raise ValueError(f"unknown entry {sorted(unknown)[0]!r}")
    flashes = entry.pop("flashes", [])
    if not isinstance(flashes, list):
        raise ValueError(f"flashes are {_kind(flashes)} instead of a list")
    numbers = [value for key, value in entry.items() if key != "kind"]
    if not all(type(value) is int and value >= 0 for value in (*numbers, *flashes)):
        raise ValueError("numbers of frames are whole and not negative")
    shot = Shot(**entry, flashes=tuple(flashes))
    if shot.kind not in ("image", "leader"):
        raise ValueError(f'expected the kind "image" or "leader", got {shot.kind!r}')
    if shot.last < shot.first:
        raise ValueError(f"the shot from frame {shot.first} ends before it begins")
    length = shot.last - shot.first + 1
    if max(shot.fade_in, shot.fade_out) > length:
        raise ValueError(f"the shot from frame {shot.first} is shorter than its fade")
    for flash in shot.flashes:
        if not shot.first <= flash <= shot.last:
            raise ValueError(f"the shot from frame {shot.first} does not have its flash {flash}")
    if shot.returns_to is not None and shot.returns_to >= shot.first:
        raise ValueError(
            f"the shot from frame {shot.first} returns to frame {shot.returns_to}, which is not "
            "before it"
        )
    return shot


def small_image(image: NDArray[Any], short_side: int = HEIGHT) -> Tensor:
    """The gray of a frame in percent, small.

    Parameters
    ----------
    image : ndarray
        (H, W) or (H, W, 3): uint8, uint16, or floating point in [0, 1].
    short_side : int
        Short side of the result, in pixels.

    Returns
    -------
    Tensor
        (1, 1, `short_side`, w) float32, or higher than wide.
    """
    height, width = image.shape[:2]
    step = max(1, min(height, width) // (4 * short_side))  # skips what averaging does not need
    codes = torch.from_numpy(np.ascontiguousarray(image[::step, ::step])).float()
    codes *= 100 / max_code(image.dtype)
    if codes.ndim == 3:
        codes = codes @ torch.tensor([0.2126, 0.7152, 0.0722])
    scale = short_side / min(height, width)
    size = (max(8, round(height * scale)), max(8, round(width * scale)))
    return F.interpolate(codes[None, None], size=size, mode="area")


@dataclass
class _Glance:
    """Measurements of a frame in the first pass."""

    number: int
    contrast: float
    mean: float
    cut: bool = False
    mixed: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    @property
    def empty(self) -> bool:
        low, high = LEADER_RANGE
        return self.contrast < LEADER_CONTRAST and not low < self.mean < high


def find_shots(frames: Iterable[tuple[int, NDArray[Any]]]) -> Iterator[Shots | None]:
    """Look for the shots of a film by the lightness of its frames.

    Parameters
    ----------
    frames : Iterable of tuple
        The number of each frame and its image, (H, W) or (H, W, 3), uint8 or uint16.

    Yields
    ------
    Shots or None
        None after each frame, and the shots at the end.
    """
    glances: list[_Glance] = []
    flashes: set[int] = set()
    dissolves: list[tuple[int, int, float]] = []  # index of the middle, length, unevenness
    returning = _Returning()
    window: deque[NDArray[np.float32]] = deque(maxlen=_DISSOLVES[-1] + 1)
    recent: deque[Tensor] = deque(maxlen=LONGEST_FLASH + 2)
    for index, (number, image) in enumerate(frames):
        small = small_image(image)
        coarse = F.avg_pool2d(small, 4)
        mixed = coarse.numpy().ravel().astype(np.float32)
        glance = _Glance(number, float(mixed.std()), float(mixed.mean()))
        # Motion takes time, and most frames match without it.
        if recent and float(match(recent[-1], small)) < _MATCHING:
            glance.cut = bool(follow_frame(recent[-1], small).cut[0])
            if glance.cut:
                _find_flash(glances, recent, small, glance, flashes)
        window.append(mixed)
        if found := _find_dissolve(list(window), index):
            dissolves.append(found)
        changed = bool(glances) and glance.empty != glances[-1].empty
        returning.look(number, small, begins=glance.cut or changed or found is not None)
        recent.append(small)
        glances.append(glance)
        yield None
    returning.finish()
    shots = _assemble(glances, flashes, _best(dissolves, glances))
    yield Shots(_with_returns(shots, returning.found))


class _Returning:
    """Recognizes shots that show again what one of the shots before showed.

    Attributes
    ----------
    found : dict of int to int
        Numbers of frames, each with the number of an earlier frame that shows the same.
    """

    def __init__(self) -> None:
        self.found: dict[int, int] = {}
        self._before: deque[list[tuple[int, Tensor]]] = deque(maxlen=_REMEMBERED)
        self._samples: list[tuple[int, Tensor]] = []
        self._last: tuple[int, Tensor] | None = None
        self._count = 0

    def look(self, number: int, small: Tensor, *, begins: bool) -> None:
        """Take in a frame; `begins` tells whether a shot may begin with it."""
        if begins:
            self.finish()
        if self._count in _SAMPLED:
            self._samples.append((number, small))
        self._last = (number, small)
        self._count += 1

    def finish(self) -> None:
        """Compare the shot that has ended with those before."""
        samples = [*self._samples, *filter(None, [self._last])]
        samples = [(number, small) for number, small in samples if float(small.std()) > _TELLING]
        for earlier in reversed(self._before):
            if same := _same(earlier, samples):
                self.found[same[1]] = same[0]
                break
        if samples:
            self._before.append(samples)
        self._samples, self._last, self._count = [], None, 0


def _same(
    earlier: Sequence[tuple[int, Tensor]], later: Sequence[tuple[int, Tensor]]
) -> tuple[int, int] | None:
    """The numbers of two frames that show the same; None if no two do."""
    pairs = [(one, other) for one in earlier for other in later]
    if not pairs:
        return None
    before = torch.cat([small for (_, small), _ in pairs])
    now = torch.cat([small for _, (_, small) in pairs])
    alike = match(before, now)
    best = int(alike.argmax())
    if float(alike[best]) < _SIMILAR:
        return None
    (first, one), (second, other) = pairs[best]
    motion = follow_frame(one, other)
    return (first, second) if float(match(motion.aligned, other)) > _SAME else None


def _with_returns(shots: Sequence[Shot], found: dict[int, int]) -> list[Shot]:
    """The shots, and which of them return to an earlier one."""
    at = {number: i for i, s in enumerate(shots) for number in range(s.first, s.last + 1)}
    returning = list(shots)
    for later, earlier in found.items():
        index, origin = at[later], at[earlier]
        images = shots[index].kind == shots[origin].kind == "image"
        if origin < index and images:
            returning[index] = replace(shots[index], returns_to=shots[origin].first)
    return returning


def _find_flash(
    glances: list[_Glance],
    recent: Sequence[Tensor],
    small: Tensor,
    glance: _Glance,
    flashes: set[int],
) -> None:
    """If a frame shows what was there before the last cut, what was between is a flash."""
    for length in range(1, min(LONGEST_FLASH, len(recent) - 1) + 1):
        before = recent[-1 - length]
        motion = follow_frame(before, small)
        same = float(match(warp(before, motion.flow), small)) > _SAME
        if glances[-length].cut and same:
            for passing in glances[-length:]:
                flashes.add(passing.number)
                passing.cut = False
            glance.cut = False
            return


def _find_dissolve(window: list[NDArray[np.float32]], index: int) -> tuple[int, int, float] | None:
    """Whether the last frames turn from one image into another, as mixtures of both."""
    best: tuple[int, int, float] | None = None
    for length in _DISSOLVES:
        if len(window) <= length:
            break
        begin, end = window[-1 - length], window[-1]
        difference = end - begin
        energy = float(difference @ difference)
        spread = begin.std() * end.std()
        weaker, stronger = sorted((float(begin.std()), float(end.std())))
        if weaker < max(LEADER_CONTRAST, _FAINT * stronger) or energy < len(difference) * 16:
            continue  # one is empty or faint: a fade; or both are alike
        alike = float(((begin - begin.mean()) * (end - end.mean())).mean() / spread)
        if alike > 0.6:
            continue
        between = np.stack(window[-length:-1]) - begin
        shares = between @ difference / energy
        rest = between - shares[:, None] * difference
        error = float((rest * rest).sum(axis=1).max()) / energy
        even = np.arange(1, length) / length
        # A cut steps from one image to the other; a dissolve goes evenly.
        uneven = float(np.abs(shares - even).max())
        if error < _DISSOLVE_ERROR and uneven < _UNEVEN:
            best = (index - length + 1 + int(np.searchsorted(shares, 0.5)), length, uneven)
    return best


def _best(dissolves: list[tuple[int, int, float]], glances: Sequence[_Glance]) -> dict[int, int]:
    """Of dissolves found at several lengths and places, the longest; by the index of the middle."""
    kept: dict[int, int] = {}
    for middle, length, _ in sorted(dissolves, key=lambda found: (-found[1], found[2])):
        apart = all(abs(middle - other) > (length + kept[other]) // 2 for other in kept)
        inside = glances[max(0, middle - length // 2) : middle + length // 2]
        if apart and not any(glance.cut for glance in inside):
            kept[middle] = length
    return kept


def _assemble(
    glances: Sequence[_Glance], flashes: set[int], dissolves: dict[int, int]
) -> list[Shot]:
    shots: list[Shot] = []
    begin = 0
    empty = [glance.empty for glance in glances]
    for index, glance in enumerate(glances):  # a white flash is no leader
        if index and glance.number in flashes:
            empty[index] = empty[index - 1]
    for index in range(1, len(glances) + 1):
        ended = index == len(glances)
        if not ended:
            changed = empty[index] != empty[index - 1]
            within = empty[index] and empty[index - 1]
            ended = changed or index in dissolves or (glances[index].cut and not within)
        if ended:
            some = glances[begin:index]
            mixed = (dissolves.get(begin, 0), index in dissolves)
            shots.append(_shot_of(some, empty[begin], flashes, *mixed))
            begin = index
    return shots


def _shot_of(
    glances: Sequence[_Glance], empty: bool, flashes: set[int], dissolve: int, dissolving: bool
) -> Shot:
    numbers = [glance.number for glance in glances]
    shot = Shot(numbers[0], numbers[-1], "leader" if empty else "image")
    if shot.kind == "leader":
        return shot
    contrast = [glance.contrast for glance in glances]
    return replace(
        shot,
        fade_in=0 if dissolve else _fade(contrast),
        fade_out=0 if dissolving else _fade(contrast[::-1]),
        dissolve=dissolve,
        flashes=tuple(number for number in numbers if number in flashes),
    )


def _fade(contrast: Sequence[float]) -> int:
    """Over how many frames contrast grows from little to what it then is."""
    near = contrast[: LONGEST + LONGEST // 2]
    full = max(near)
    if near[0] > FADED * full:
        return 0
    length = next(i for i, value in enumerate(near) if value >= _PURE * full)
    # Contrast that jumps, or that grows because something comes into view, is no fade.
    steps = np.diff(near[: length + 1])
    return length if 2 <= length <= LONGEST and (steps > -0.05 * full).all() else 0

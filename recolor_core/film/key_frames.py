"""Color for a film from elsewhere: key frames that a person colored, or a whole colored film.

`write_key_frames` writes one representative frame of each shot. Colored in any editor, they are
read back by `read_key_frames`, and their color holds through their shot, forward and backward.
"""

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from recolor_core.color_from import FINE, ColorSource, read_color_source
from recolor_core.errors import ImageError
from recolor_core.files import replacing
from recolor_core.film.decoding import FilmFacts, FilmFrame, Movie
from recolor_core.film.errors import FilmError
from recolor_core.film.sequences import IMAGES, Images, open_film
from recolor_core.film.timestamps import Moment, frame_within, parse_moment
from recolor_core.guides.shots import Shots

_NAME = re.compile(r"_f(\d+)(?:\D.*)?\.\w+")

Sources = tuple[tuple[ColorSource, float], ...]
"""Images whose color is to be put on a frame, each with its weight."""


@dataclass(frozen=True)
class KeyFrame:
    """A frame in color.

    Parameters
    ----------
    moment : Moment
        Which frame of the film it is.
    path : Path
        Its file.
    sha256 : str
        The SHA-256 of the file, in hexadecimal.
    """

    moment: Moment
    path: Path
    sha256: str

    def record(self) -> dict[str, Any]:
        """The key frame in JSON types."""
        return {"at": str(self.moment), "name": self.path.name, "sha256": self.sha256}


def key_frame(moment: Moment, path: str | Path) -> KeyFrame:
    """A key frame from an image file.

    Parameters
    ----------
    moment : Moment
        Which frame of the film it is.
    path : str or Path
        The file.

    Raises
    ------
    ImageError
        If it cannot be read or is gray.
    """
    return KeyFrame(moment, Path(path), read_color_source(path).sha256)


def parse_key_frame(text: str) -> KeyFrame:
    """A key frame as the command takes it: ``1:30.5=frame.png`` or ``2250f=frame.png``.

    Raises
    ------
    FilmError, ImageError
        If it is none, or its file cannot be read or is gray.
    """
    moment, equals, path = text.partition("=")
    if not equals:
        raise FilmError(f"expected a time and a file such as 1:30.5=frame.png, got {text!r}")
    return key_frame(parse_moment(moment), path)


def read_key_frames(folder: str | Path) -> list[KeyFrame]:
    """Read the key frames in a folder. Those that are still gray are left out.

    Parameters
    ----------
    folder : str or Path
        A folder with images whose names end in the number of their frame, such as
        ``reel_00-01-30.500_f002250.png``.

    Raises
    ------
    FilmError
        If there is no colored key frame in it.
    """
    keys: list[KeyFrame] = []
    files = sorted(Path(folder).iterdir()) if Path(folder).is_dir() else []
    named = [(match, path) for path in files if (match := _NAME.search(path.name))]
    for match, path in named:
        if path.suffix.lower() not in IMAGES:
            continue
        try:
            keys.append(key_frame(Moment(frame=int(match[1])), path))
        except ImageError as error:
            if "in color" not in str(error):
                raise
    if not keys:
        raise FilmError(
            f"{folder}: expected colored key frames, such as reel_00-01-30.500_f002250.png, got "
            + (f"{len(named)} that are gray" if named else "none")
            + "; write them with `recolor film IN --key-frames FOLDER`, and color them"
        )
    return keys


def write_key_frames(film: Movie | Images, shots: Shots, folder: Path) -> Iterator[Path]:
    """Write one representative frame of each shot that shows something, as PNG.

    Parameters
    ----------
    film : Movie or Images
        The film.
    shots : Shots
        Its shots.
    folder : Path
        Where they go. It is created if it is not there. Files that are there stay: they may have
        been colored.

    Yields
    ------
    Path
        The file of each key frame, after it was written.
    """
    wanted = deque(sorted(s.representative for s in shots.shots if s.kind == "image"))
    folder.mkdir(parents=True, exist_ok=True)
    stem = Path(film.facts.name).stem.replace("%", "") or "film"
    origin: int | None = None
    for frame in film.frames():
        origin = frame.pts if origin is None else origin
        if not wanted or frame.number < wanted[0]:
            continue  # the frame itself may be lost: then the one after it takes its place
        while wanted and wanted[0] <= frame.number:
            wanted.popleft()
        code = _time_code((frame.pts - origin) * film.facts.time_base)
        path = folder / f"{stem}_{code}_f{frame.number:06d}.png"
        if not path.exists():
            with replacing(path) as part:
                _as_image(frame).save(part, "png")
        yield path
        if not wanted:
            return


def number_key_frames(film: FilmFacts, keys: Sequence[KeyFrame]) -> dict[int, KeyFrame]:
    """The key frames of a film by the numbers of their frames, in order.

    Parameters
    ----------
    film : FilmFacts
        The facts of the film.
    keys : Sequence of KeyFrame
        Key frames in color.

    Raises
    ------
    FilmError
        If the film has no such frame, or two key frames are given for one.
    """
    numbered: dict[int, KeyFrame] = {}
    for key in keys:
        number = frame_within(film, key.moment, f"the key frame {key.path}")
        other = numbered.setdefault(number, key)
        if other is not key:
            raise FilmError(
                f"expected one key frame for frame {number}, got {other.path} and {key.path}; "
                "leave one of them out"
            )
    return dict(sorted(numbered.items()))


class ColorSources:
    """The images whose color is put on each frame.

    Parameters
    ----------
    facts : FilmFacts
        The facts of the film.
    shots : Shots
        Its shots.
    keys : Sequence of KeyFrame
        Key frames in color.
    color_from : str or None
        An image, film, folder or pattern whose color is taken; of a film, frame by frame.

    Raises
    ------
    FilmError
        If a key frame lies outside of the film, or two are for one frame.
    """

    def __init__(
        self, facts: FilmFacts, shots: Shots, keys: Sequence[KeyFrame], color_from: str | None
    ) -> None:
        self._shots = shots
        self._keys = list(number_key_frames(facts, keys).items())
        self._still: ColorSource | None = None
        self._film: _ColorFilm | None = None
        if color_from is not None and is_still(color_from):
            self._still = read_color_source(color_from)
        elif color_from is not None:
            self._film = _ColorFilm(color_from)

    def at(self, number: int, time: Fraction) -> Sources:
        """The images for a frame, which must be asked for in order.

        A key frame of its own shot, or the two on both sides of it, weighted by their distance.
        If its shot has none, those of the shots that show the same.

        Parameters
        ----------
        number : int
            Of the frame in the film.
        time : Fraction
            In seconds after the first frame of the film.
        """
        sources = tuple((_read(key.path), weight) for key, weight in self._near(number))
        if self._film:
            sources += ((self._film.at(time), 1.0),)
        if self._still:
            sources += ((self._still, 1.0),)
        return sources

    def _near(self, number: int) -> list[tuple[KeyFrame, float]]:
        shot = self._shots.of(number)
        if shot is None:
            return []
        keys = [key for key in self._keys if self._shots.of(key[0]) in self._shots.chain(number)]
        own = [key for key in keys if shot.first <= key[0] <= shot.last] or keys
        if not own:
            return []
        after = bisect_right([at for at, _ in own], number)
        (low, one), (high, other) = own[max(after - 1, 0)], own[min(after, len(own) - 1)]
        weight = (number - low) / (high - low) if high > low else 0.0
        return [(key, w) for key, w in ((one, 1 - weight), (other, weight)) if w > 0]


class _ColorFilm:
    """A colored film, read along with the gray one."""

    def __init__(self, name: str) -> None:
        film = open_film(name)
        sha256 = film.sha256()
        self._frames = film.frames()
        self._base = film.facts.time_base if film.facts.rate else None
        self._name, self._sha256 = Path(name).name, sha256
        self._film = film
        self._next = next(self._frames, None)
        if self._next is None:
            raise FilmError(f"{name}: not one frame of it can be read")
        self._origin = self._next.pts
        self._current = self._next
        self._source: ColorSource | None = None
        self._index = 0

    def at(self, time: Fraction) -> ColorSource:
        """The frame that is shown at a time; images have none and go one by one."""
        while self._next is not None and self._is_due(self._next, time):
            self._current, self._source = self._next, None
            self._next = next(self._frames, None)
            if self._base is None:
                break
        if self._source is None:
            self._source = ColorSource(_small_rgb(self._current), self._name, self._sha256)
        return self._source

    def _is_due(self, frame: FilmFrame, time: Fraction) -> bool:
        if self._base is None:
            return True
        # Half a tick of slack: containers round times.
        return (frame.pts - self._origin) * self._base <= time + self._base / 2 + Fraction(1, 2000)


def is_still(name: str) -> bool:
    """Whether a name is that of one image."""
    return Path(name).is_file() and Path(name).suffix.lower() in IMAGES


def hash_source(name: str) -> str:
    """The SHA-256 of an image or film whose color is taken, in hexadecimal."""
    return read_color_source(name).sha256 if is_still(name) else open_film(name).sha256()


@lru_cache(maxsize=4)
def _read(path: Path) -> ColorSource:
    return read_color_source(path)


def _small_rgb(frame: FilmFrame) -> np.ndarray[Any, Any]:
    if frame.decoded is None:
        image = frame.image
        return image if image.ndim == 3 else image[..., None].repeat(3, axis=2)
    width, height = frame.decoded.width, frame.decoded.height
    scale = min(1.0, FINE / min(width, height))
    small: av.VideoFrame = frame.decoded.reformat(
        width=max(1, round(width * scale)),
        height=max(1, round(height * scale)),
        format="rgb24",
        interpolation="AREA",
    )
    return small.to_ndarray()


def _as_image(frame: FilmFrame) -> Image.Image:
    codes = frame.image
    if codes.dtype == np.uint16 and codes.ndim == 3:
        codes = (codes >> 8).astype(np.uint8)  # for a person to color: 8 bits do
    return Image.fromarray(codes)


def _time_code(time: Fraction) -> str:
    milliseconds = round(time * 1000)
    minutes, seconds = divmod(milliseconds // 1000, 60)
    return f"{minutes // 60:02d}-{minutes % 60:02d}-{seconds:02d}.{milliseconds % 1000:03d}"

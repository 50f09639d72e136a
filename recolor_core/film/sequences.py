"""Read a film from images, one file per frame."""

import re
import warnings
from collections.abc import Generator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from recolor_core import provenance
from recolor_core.files import sha256_of
from recolor_core.film.decoding import (
    BT709,
    SRGB_CURVE,
    FilmFacts,
    FilmFrame,
    Movie,
)
from recolor_core.film.errors import FilmError, FilmWarning
from recolor_core.images import WRITABLE, Page, open_image
from recolor_core.wording import counted

DPX_HEADER = 2048
"""Bytes of the header of a DPX file (SMPTE ST 268), without user data."""

IMAGES = {*WRITABLE, ".dpx"}
"""Endings of the names of images that are read as frames."""

_DIGITS = re.compile(r"(\d+)")
_PLACE = re.compile(r"%(0?)(\d*)d|([*?]|\[[^]]+\])")
_DPX_TRANSFER = 801  # offset of the transfer characteristic of the first image element
_DPX_CURVES = {1: "printing density", 2: "linear light", 3: "logarithmic"}
_DPX_BT709 = {5, 6}


def open_film(name: str, rate: Fraction | None = None) -> "Movie | Images":
    """Open a film: a file, a folder of images, or a pattern (``scan_*.tif``, ``scan_%05d.dpx``).

    Parameters
    ----------
    name : str
        The name of the file or folder, or the pattern.
    rate : Fraction or None
        Frames per second. Only images need it.

    Raises
    ------
    FilmError
        If there is no film, or it cannot be read.
    """
    path = Path(name)
    if path.suffix.lower() == ".exr" or (path.is_dir() and any(path.glob("*.[eE][xX][rR]"))):
        raise FilmError(
            f"{name}: OpenEXR is not supported, because it holds scene-linear light; convert the "
            "images with a display transform to TIFF or DPX of 16 bits first, for example with "
            'oiiotool or `ffmpeg -apply_trc iec61966_2_1 -i "in_%04d.exr" -pix_fmt rgb48le '
            '"out_%04d.tif"`'
        )
    if path.is_file():
        if rate is not None:
            raise FilmError(
                f"expected images for --fps, got {name}, which has times of its own; leave it out"
            )
        return Movie(path)
    if path.is_dir():
        files = [p for p in path.iterdir() if p.suffix.lower() in IMAGES]
        missing = f"no images ({', '.join(sorted(IMAGES))}) are in this folder"
    elif _PLACE.search(path.name):
        matches = re.compile(_as_regex(path.name)).fullmatch
        folder = path.parent
        files = [p for p in folder.iterdir() if matches(p.name)] if folder.is_dir() else []
        missing = "no file matches this pattern; check it, or name a folder"
    else:
        raise FilmError(f"{name}: there is no such file; check the name")
    files = sorted((p for p in files if not p.name.startswith(".")), key=_natural)
    if not files:
        raise FilmError(f"{name}: {missing}")
    return Images(name, files, rate)


class Images:
    """A film as images, one file each.

    If the names differ only in one number, frames have that number, and a number that is missing
    leaves a gap: the image before it is shown until the next one.

    Parameters
    ----------
    name : str
        The name of the folder, or the pattern.
    files : Sequence of Path
        The files in their order.
    rate : Fraction or None
        Frames per second.

    Attributes
    ----------
    damaged : bool
        Always False: an image that is damaged cannot be read.
    record : dict or None
        How Recolor made the first image; None if its file does not say so.

    Raises
    ------
    FilmError, ImageError
        If the first image cannot be read, or the files are of more than one kind.
    """

    def __init__(self, name: str, files: Sequence[Path], rate: Fraction | None = None) -> None:
        kinds = sorted({path.suffix.lower() for path in files})
        if len(kinds) > 1:
            raise FilmError(
                f"{name}: expected images of one kind, got {' and '.join(kinds)}, which may be two "
                f'copies of one film; name one of them, for example "{files[0].parent}/*{kinds[0]}"'
            )
        self.files = files
        self.damaged = False
        numbers = _numbers(files)
        _warn_of_gaps(name, numbers)
        page, header = _read_page(files[0])
        self.record = provenance.read_xmp(page.metadata.xmp)
        transfer = SRGB_CURVE
        if header:
            curve = header[_DPX_TRANSFER]
            transfer = BT709 if curve in _DPX_BT709 else SRGB_CURVE
            if curve in _DPX_CURVES:
                warnings.warn(
                    f"{name}: the DPX files hold {_DPX_CURVES[curve]}, which is read as if it were "
                    "what a screen shows; colors may be wrong: convert the film to a display curve "
                    "first",
                    FilmWarning,
                    stacklevel=3,
                )
        height, width = page.codes.shape[:2]
        self.facts = FilmFacts(
            name=name,
            size=(width, height),
            dtype=page.codes.dtype,
            luma=None,
            reading=page.reading,
            time_base=1 / rate if rate else Fraction(1),
            rate=rate,
            aspect=_dpx_aspect(header),
            transfer=transfer,
            times=[number - numbers[0] for number in numbers],
            space=page.space,
            numbers=numbers,
        )

    def frames(self) -> Generator[FilmFrame, None, None]:
        """Read all images in order.

        Raises
        ------
        FilmError
            If an image differs from the first one in size, depth or meaning.
        """
        width, height = self.facts.size
        expected = (height, width), self.facts.dtype, self.facts.space
        times = [*self.facts.times, self.facts.times[-1] + 1]
        for number, path, (pts, until) in zip(
            self.facts.numbers, self.files, pairwise(times), strict=True
        ):
            page, header = _read_page(path)
            if (page.codes.shape[:2], page.codes.dtype, page.space) != expected:
                got = f"{page.codes.shape[1]} x {page.codes.shape[0]} of {page.codes.dtype}"
                raise FilmError(
                    f"{path}: expected an image like the first one, {width} x {height} of "
                    f"{self.facts.dtype} in {self.facts.space.name}, got {got} in "
                    f"{page.space.name}; colorize it separately"
                )
            yield FilmFrame(number, pts, until - pts, page.codes, page=page, header=header)

    def sha256(self) -> str:
        """The SHA-256 of the content of all files, one after the other, in hexadecimal."""
        return sha256_of(*self.files)


def _as_regex(pattern: str) -> str:
    """The names that a pattern means, as a regular expression.

    ``%04d`` is a number of at least four digits with leading zeros, ``%d`` one without.
    """
    parts: list[str] = []
    end = 0
    for match in _PLACE.finditer(pattern):
        parts.append(re.escape(pattern[end : match.start()]))
        end = match.end()
        zero, digits, glob = match.groups()
        if glob:
            parts.append({"*": ".*", "?": "."}.get(glob, glob.replace("[!", "[^")))
        elif zero and digits:
            parts.append(rf"(?:\d{{{int(digits)}}}|[1-9]\d{{{int(digits)},}})")
        else:
            parts.append(r"\d+")
    return "".join([*parts, re.escape(pattern[end:])])


def _numbers(files: Sequence[Path]) -> Sequence[int]:
    """The numbers in the names of files; 0, 1, ... if the names differ in more than a number."""
    parts = [_DIGITS.split(path.stem) for path in files]
    places = [
        i
        for i in range(1, len(parts[0]), 2)
        if any(p[i : i + 1] != parts[0][i : i + 1] for p in parts)
    ]
    if len({len(p) for p in parts}) == 1 and len(parts[0]) > 1 and len(places) <= 1:
        place = places[0] if places else len(parts[0]) - 2
        around = {(*p[:place], *p[place + 1 :]) for p in parts}
        numbers = [int(p[place]) for p in parts]
        if len(around) == 1 and all(a < b for a, b in pairwise(numbers)):
            return numbers
    return range(len(files))


def _warn_of_gaps(name: str, numbers: Sequence[int]) -> None:
    gaps = [(a + 1, b - 1) for a, b in pairwise(numbers) if b > a + 1]
    if gaps:
        words = ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in gaps[:5])
        words += f" and {counted(len(gaps) - 5, 'more gap')}" if len(gaps) > 5 else ""
        warnings.warn(
            f"{name}: images are missing in the sequence: {words}; the image before is shown until "
            "the next one, so that times stay",
            FilmWarning,
            stacklevel=4,
        )


def _read_page(path: Path) -> tuple[Page, bytes]:
    """The image of a file, and the header of the file if it is DPX."""
    if path.suffix.lower() == ".dpx":
        film = Movie(path)
        frame = next(film.frames())
        with path.open("rb") as file:
            header = file.read(DPX_HEADER)
        return Page(frame.image, reading=film.facts.reading), header
    with open_image(path) as opened:
        if len(opened) > 1:
            raise FilmError(
                f"{path}: expected one image per file, got {len(opened)} pages; split it first"
            )
        page = next(iter(opened))
    if page.codes.dtype.kind == "f":
        raise FilmError(
            f"{path}: expected codes of 8 or 16 bits, got {page.codes.dtype}; convert it first"
        )
    # The codes may be a view of the file on disk, which is closed now.
    return replace(page, codes=np.array(page.codes)), b""


def _dpx_aspect(header: bytes) -> Fraction:
    """The width of a pixel divided by its height, as the header of a DPX file says; else 1."""
    order: Literal["little", "big"] = "little" if header.startswith(b"XPDS") else "big"
    # SMPTE ST 268 stores the vertical part of the pixel aspect ratio after the horizontal one.
    across, down = (int.from_bytes(header[i : i + 4], order) for i in (1628, 1632))
    usable = 0 < across < 1 << 16 and 0 < down < 1 << 16
    return Fraction(across, down) if usable else Fraction(1)


def _natural(path: Path) -> list[tuple[int, str]]:
    """A key that sorts 2 before 10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(str(path))
    ]

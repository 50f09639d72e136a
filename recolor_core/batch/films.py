"""Films: whether one is an unaltered coloring of its source, and its gray film back.

The JSON file beside a colorized film says how it was made, what the file was byte by byte, and what
the gray of each frame is.
"""

import json
import re
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.batch.outcome import one_line
from recolor_core.batch.restoration import Restoration
from recolor_core.batch.result import sidecar_of
from recolor_core.batch.tree import OWN, is_film_name, make_folder
from recolor_core.batch.verification import Verification
from recolor_core.digest import digest_codes
from recolor_core.errors import ImageError, OutputExistsError, RecolorError
from recolor_core.files import sha256_of
from recolor_core.wording import counted

if TYPE_CHECKING:
    from recolor_core.film.decoding import FilmFrame, Movie
    from recolor_core.film.luma import Luma
    from recolor_core.film.sequences import Images

_NUMBER = re.compile(r"%0?\d*d")


def find_film(output: Path) -> Path | None:
    """The film that a name means: a file, a pattern of images, or that of a folder of them.

    Parameters
    ----------
    output : Path
        The name.

    Returns
    -------
    Path or None
        None if it means no film.
    """
    if _NUMBER.search(output.name) or (is_film_name(output.name) and not output.is_dir()):
        return output
    if output.is_dir():
        sidecars = sorted(output.glob("*%*d*.json"))
        if len(sidecars) == 1 and _NUMBER.search(sidecars[0].name):
            return sidecars[0].with_suffix("")
    return None


def verify_film(output: Path, source: str | None = None) -> Verification:
    """Verify a colorized film, frame by frame.

    Parameters
    ----------
    output : Path
        The film, or the pattern of its images, as `find_film` gives it.
    source : str or None
        The film, folder or pattern that it should be a coloring of.

    Returns
    -------
    Verification
        `difference` and `mean_difference` say how near the gray is if the codec is lossy.

    Raises
    ------
    RecolorError
        If the source cannot be read.
    """
    from recolor_core.film import open_film

    found = Verification(str(output), source, unit="frame")
    sidecar = _Sidecar.read(output)
    if sidecar is None:
        name = sidecar_of(output).name
        found.add("no mark", f"{name}, which says how it was made, is missing or damaged")
    else:
        found.made = sidecar.facts
    images = _NUMBER.search(output.name) is not None
    if not images and not output.exists():
        found.add("missing", "the file is not there")
        return found
    if sidecar and sidecar.output_sha256 and sha256_of(output) != sidecar.output_sha256:
        found.add("bytes", "its bytes are not those that were written")
    original = open_film(source) if source else None
    if original and sidecar and original.sha256() != sidecar.source_sha256:
        found.add("other source", f"made from another film ({sidecar.source}) than {source}")
    try:
        _check_frames(found, open_film(str(output)), original, sidecar)
    except RecolorError as error:
        found.add("damaged", one_line(error).removeprefix(f"{one_line(output)}: "))
    return found


@dataclass(frozen=True)
class _Sidecar:
    """What the JSON file beside a film says.

    Parameters
    ----------
    facts : dict
        How the film was made, with the name and the SHA-256 of its source.
    source, source_sha256 : str
        The name and the SHA-256 of the source.
    output_sha256 : str
        SHA-256 of the film; empty if it consists of images.
    grays : list of str
        SHA-256 of the gray of each frame.
    first : int
        Number of the first frame in the source.
    exact : bool
        Whether the coding keeps every code.
    """

    facts: dict[str, Any]
    source: str
    source_sha256: str
    output_sha256: str
    grays: list[str]
    first: int
    exact: bool

    @classmethod
    def read(cls, output: Path) -> "_Sidecar | None":
        """Read the file beside a film; None if it is not there or says too little."""
        try:
            facts = json.loads(sidecar_of(output).read_bytes())
            page, source, written = facts["pages"][0], facts["source"], facts["output"]
            made = {"tool": f"{page['software']} {page['version']}", "when": facts["created"]}
            names = {"source": source["name"], "source_sha256": source["sha256"]}
            return cls(
                {**page, **made, **names},
                str(source["name"]),
                str(source["sha256"]),
                str(written.get("sha256", "")),
                [str(digest) for digest in page["frames"]["gray_sha256"]],
                int(page["frames"]["first"]),
                bool(written["exact_gray"]),
            )
        except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
            return None


def _check_frames(
    found: Verification,
    film: "Movie | Images",
    source: "Movie | Images | None",
    sidecar: _Sidecar | None,
) -> None:
    """Compare each frame with what the sidecar says, and with the source."""
    luma = film.facts.luma
    exact = sidecar.exact if sidecar else luma is None
    count, frames = 0, film.frames()
    wrong: list[int] = []
    differ: list[int] = []
    # Frames of which the source now shows another gray, or none, although it is what was written.
    doubtful: list[int] = []
    total = pixels = 0.0
    originals = _of_span(source, sidecar.first if sidecar else 0) if source else None
    grays = sidecar.grays if sidecar else []
    for frame in frames:
        kept = _gray_in(frame, film, luma)
        known = grays[count] if count < len(grays) else None
        is_kept = known is not None and digest_codes(kept) == known
        count += 1
        found.exact_pages += is_kept
        if known is not None and not is_kept and exact:
            wrong.append(frame.number)
        if source is None or originals is None:
            continue
        original = next(originals, None)
        if original is None:
            (doubtful if is_kept or not exact else differ).append(frame.number)
            continue
        expected = _gray_in(original, source, luma)
        if expected.shape != kept.shape or expected.dtype != kept.dtype:
            found.add("size", f"frame {frame.number} has another size or depth than the source's")
            return
        white = float(luma.white - luma.black) if luma else float(np.iinfo(kept.dtype).max)
        apart = np.abs(kept.astype(np.int32) - expected)
        largest = float(apart.max()) / white
        found.difference = max(found.difference or 0.0, largest)
        total, pixels = total + float(apart.sum()) / white, pixels + apart.size
        if largest and exact:
            (doubtful if is_kept else differ).append(frame.number)
    found.pages = count
    found.mean_difference = total / pixels if pixels else None
    more = originals is not None and next(originals, None) is not None
    expected_count = len(grays) if sidecar else None
    if expected_count is not None and count != expected_count:
        found.add("pages", f"{counted(count, 'frame')} instead of {expected_count}")
    elif more and sidecar is None:
        found.add("pages", f"{counted(count, 'frame')}, the source has more")
    if doubtful and source and source.damaged:
        found.add(
            "damaged source",
            "the source does not decode the same way twice, because it is damaged: the gray of "
            f"{len(doubtful)} of {counted(count, 'frame')}, the first is frame {doubtful[0]}, is "
            "what was written, but not what the source decodes to now; compare them with PyAV "
            f"{found.made.get('pyav')}, which read the source then",
        )
        doubtful = []
    for numbers, words in (
        (sorted(differ + doubtful), "of the source"),
        ([] if differ or doubtful else wrong, "that was written"),
    ):
        if numbers:
            found.add(
                "gray",
                f"the gray of {len(numbers)} of {counted(count, 'frame')} is not that {words}, the "
                f"first is frame {numbers[0]}",
            )


def _of_span(source: "Movie | Images", first: int) -> "Generator[FilmFrame]":
    """The frames of a source from that number on."""
    with closing(source.frames()) as frames:
        yield from (frame for frame in frames if frame.number >= first)


def _gray_in(frame: "FilmFrame", film: "Movie | Images", luma: "Luma | None") -> NDArray[Any]:
    """The gray of a frame, as luma codes of a kind, or as gray codes of full range."""
    from recolor_core.gray import read_gray

    if luma is not None and frame.luma is not None and film.facts.luma is not None:
        return film.facts.luma.converted(frame.luma, luma.bits)
    gray: NDArray[Any] = read_gray(frame.image, film.facts.space).codes
    return gray if luma is None else luma.codes(gray)


# --- the gray film back -----------------------------------------------------------------------


def restored_film_name(film: Path) -> Path:
    """The name of the gray film unless another is given: ``reel.restored.mkv``.

    Images get it in their names: ``frame_%06d.restored.tif``.
    """
    stem = film.stem.removesuffix(OWN.rstrip("."))
    ending = film.suffix if _NUMBER.search(film.name) else ".mkv"
    return film.with_name(f"{stem}.restored{ending}")


def restore_film(
    output: Path, target: Path | None = None, *, overwrite: bool = False
) -> Restoration:
    """Write the gray film that a colorized one was made of.

    A film becomes FFV1 in Matroska: luma codes of the source's depth and range, with everything
    else that the colorized film holds. Images become gray images of their format.

    Parameters
    ----------
    output : Path
        The film, or the pattern of its images, as `find_film` gives it.
    target : Path or None
        Where the gray film goes, an .mkv; of images, their pattern. See `restored_film_name`.
    overwrite : bool
        Whether files that are there may be replaced.

    Returns
    -------
    Restoration
        `exact` says whether all codes are those of the source.

    Raises
    ------
    RecolorError
        If the film cannot be read, is not one of Recolor, or its gray was altered; if the target
        cannot be written.
    """
    from recolor_core.film import open_film

    target = target or restored_film_name(output)
    sidecar = _Sidecar.read(output)
    if sidecar is None or "original" not in sidecar.facts:
        raise ImageError(
            f"{output}: expected a film that recolor made, with {sidecar_of(output).name} beside "
            "it; restore the film from a copy with that file"
        )
    film = open_film(str(output))
    images = _NUMBER.search(output.name) is not None
    if images != (_NUMBER.search(target.name) is not None):
        kind = "images (frame_%06d.tif)" if images else "a film that ends in .mkv"
        raise ImageError(f"{target}: expected a name for {kind}; rename the output")
    make_folder(target.parent)
    work = _Restoring(film, sidecar, output)
    if images:
        work.write_images(target, overwrite=overwrite)
    else:
        if target.suffix.lower() != ".mkv":
            raise ImageError(f"{target}: expected a name that ends in .mkv; rename the output")
        work.write_film(target, overwrite=overwrite)
    return Restoration(str(output), str(target), work.count, work.exact, tuple(work.notes()))


class _Restoring:
    """The gray of a film, frame by frame, checked against what was written."""

    def __init__(self, film: "Movie | Images", sidecar: _Sidecar, output: Path) -> None:
        from recolor_core.film.luma import Luma

        self._film = film
        self._sidecar = sidecar
        self._output = output
        kept = sidecar.facts["original"].get("luma")
        self._original = Luma(**kept) if kept else None
        # A lossy codec holds luma of its own depth; RGB can be turned back into the source's.
        coded = film.facts.luma
        images = _NUMBER.search(output.name) is not None
        self.luma = coded or (None if images else self._original)
        self.count = 0
        self._kept = 0

    @property
    def exact(self) -> bool:
        """Whether all frames so far have the codes of the source."""
        return self._kept == self.count and not self._is_rounded and not self._cut

    @property
    def _is_rounded(self) -> bool:
        """Whether the codec holds fewer bits than the source."""
        coded = self._film.facts.luma
        if coded is None:
            return False
        if self._original:
            return coded.bits < self._original.bits
        return bool(self._sidecar.facts["original"].get("dtype") != "uint8")

    @property
    def _cut(self) -> int:
        return int(self._sidecar.facts["frames"].get("cut_codes", 0))

    def notes(self) -> Iterator[str]:
        """In what the gray film differs from the source."""
        if self._kept < self.count:
            yield f"the codec changed the gray of {counted(self.count - self._kept, 'frame')}"
        if self._is_rounded and self._film.facts.luma:
            yield f"the gray was rounded to {self._film.facts.luma.bits} bits"
        if self._cut:
            yield f"{counted(self._cut, 'code')} beyond black or white cut off"

    def frames(self) -> "Iterator[tuple[FilmFrame, NDArray[Any]]]":
        """The frames, and their codes in `luma`, or of full range if that is None."""
        exact, coded = self._sidecar.exact, self._film.facts.luma
        for frame, known in zip_longest(self._film.frames(), self._sidecar.grays):
            if frame is None or known is None:
                raise ImageError(
                    f"{self._output}: expected {counted(len(self._sidecar.grays), 'frame')}, got "
                    f"{'fewer' if frame is None else 'more'}; restore it from an unaltered copy"
                )
            gray = _gray_in(frame, self._film, coded)
            is_kept = digest_codes(gray) == known
            if exact and not is_kept:
                raise ImageError(
                    f"{self._output}: the gray of frame {frame.number} is not what was written; "
                    "restore it from an unaltered copy"
                )
            self.count += 1
            self._kept += is_kept
            yield frame, gray if coded or not self.luma else self.luma.codes(gray)

    def write_images(self, pattern: Path, *, overwrite: bool) -> None:
        """Write gray images."""
        from recolor_core.film.encoding import is_image_of, numbered, write_gray_image

        there = [p for p in sorted(pattern.parent.iterdir()) if is_image_of(pattern.name, p.name)]
        if there and not overwrite:
            raise OutputExistsError(
                f"{there[0]} is there already; pass overwrite=True to replace it, or name another "
                "output"
            )
        for frame, codes in self.frames():
            write_gray_image(pattern.with_name(numbered(pattern.name, frame.number)), codes, frame)

    def write_film(self, target: Path, *, overwrite: bool) -> None:
        """Write a gray film."""
        from recolor_core.film.restoring import GrayFilm
        from recolor_core.film.sequences import Images

        assert not isinstance(self._film, Images)
        with GrayFilm(target, self._film, self.luma, overwrite=overwrite) as writer:
            for frame, codes in self.frames():
                writer.write(frame, codes)

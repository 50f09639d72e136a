"""Whether an output is there already, complete and made as a call asks for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recolor_core.errors import OutputExistsError
from recolor_core.files import sha256_of
from recolor_core.film.decoding import Movie
from recolor_core.film.encoding import Coding, is_image_of
from recolor_core.film.errors import FilmError
from recolor_core.film.muxing import MARK
from recolor_core.film.sequences import Images
from recolor_core.guides.shots import Shots, parse_shots
from recolor_core.provenance import read_sidecar
from recolor_core.wording import counted

_RENEW = "pass overwrite=True to renew it, or name another output"

# Names of what a call asks for, in the words of messages.
_WORDS = {
    "coding": "another coding or quality",
    "passes": "another number of passes",
    "clean": "cleaning or the lack of it",
    "span": "another start or end",
    "fps": "other frames per second",
    "drop": "other streams left out",
    "key_frames": "other key frames",
    "color_from": "color from another file",
}


@dataclass(frozen=True)
class FinishedFilm:
    """A result that an earlier call has completed.

    Parameters
    ----------
    facts : dict
        How it was made, from its JSON file.
    exact_gray : bool
        Whether the gray of the result is that of the film at every pixel.
    """

    facts: dict[str, Any]
    exact_gray: bool

    @property
    def frames(self) -> int:
        """Number of its frames."""
        return int(self.facts["frames"]["count"])

    @property
    def shots(self) -> Shots:
        """The shots by which it was colorized."""
        return parse_shots(self.facts["shots"])


def find_finished(
    path: Path,
    coding: Coding | None,
    asked: Mapping[str, Any],
    shots: Shots | None,
    sources: Sequence[Path],
) -> FinishedFilm | None:
    """Find the result of an earlier call with the same request.

    Parameters
    ----------
    path : Path
        The output, or the pattern of its images.
    coding : Coding or None
        How frames are coded; None for images.
    asked : mapping
        What the call asks for, in JSON types, with the same keys as in the JSON file of a result,
        and ``"source"``, the SHA-256 of the film.
    shots : Shots or None
        The shots by which the film is to be colorized; None if any are right.
    sources : sequence of Path
        The files of the film.

    Returns
    -------
    FinishedFilm or None
        None if nothing is there.

    Raises
    ------
    FilmError
        If a source has the name of the output.
    OutputExistsError
        If something else has the name of the output: the result of another request, an incomplete
        or altered result, or a file that Recolor did not make.
    """
    taken = find_taken(path, coding, sources)
    if not taken:
        return None
    where, sidecar = taken[0], _sidecar_of(path)
    try:
        record = json.loads(sidecar.read_bytes())
        finished = FinishedFilm(dict(record["pages"][0]), bool(record["output"]["exact_gray"]))
        facts = finished.facts | {"source": record["source"]["sha256"]}
        difference = _difference(facts, json.loads(json.dumps(asked)))
        if not difference and shots is not None and shots.shots != finished.shots.shots:
            difference = "made by other shots"
        count, written = finished.frames, str(record["output"].get("sha256", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise OutputExistsError(
            f"{where} is there already and is not a result of recolor, or {sidecar.name} beside "
            f"it is missing or damaged; {_RENEW}"
        ) from None
    if difference:
        raise OutputExistsError(f"{where} is there already, {difference}; {_RENEW}")
    if coding is None and len(taken) != count:
        raise OutputExistsError(
            f"{where} is there already with {len(taken)} of {counted(count, 'image')}; {_RENEW}"
        )
    if coding is not None and (not path.exists() or sha256_of(path) != written):
        raise OutputExistsError(f"{where} is there already, incomplete or altered; {_RENEW}")
    return finished


def find_taken(path: Path, coding: Coding | None, sources: Sequence[Path]) -> list[Path]:
    """Find the files that have the name of an output.

    The parameters are those of `find_finished`.

    Returns
    -------
    list of Path
        In order of their names.

    Raises
    ------
    FilmError
        If one of them is a source.
    """
    if coding is None:
        taken = sorted(p for p in path.parent.iterdir() if is_image_of(path.name, p.name))
    else:
        taken = [p for p in (path, _sidecar_of(path)) if p.exists()]
    origins = {file.resolve() for file in sources}
    for found in taken:
        if found.resolve() in origins:
            raise FilmError(f"{found}: this is a source itself; name another output")
    return taken


def _sidecar_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _difference(facts: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """In what a result differs from what is asked for, in words; empty if in nothing."""
    if facts["source"] != asked["source"]:
        return "made from another film or an older version of this one"
    if facts["weights"]["sha256"] != asked["weights"]["sha256"]:
        return f"made with other weights ({facts['weights']['name']})"
    was, now = facts["runtime"], asked["runtime"]
    if (was["name"], was["precision"]) != (now["name"], now["precision"]):
        return f"made with the runtime {was['name']} ({was['precision']})"
    changes = [
        f"{name} {facts['settings'][name]:g} instead of {value:g}"
        for name, value in asked["settings"].items()
        if facts["settings"].get(name, value) != value
    ]
    changes += [
        _WORDS.get(name, f"other {name}")
        for name in asked
        if name not in ("source", "weights", "runtime", "settings")
        and (facts.get(name) or None) != (asked[name] or None)
    ]
    return f"made with other settings ({', '.join(changes)})" if changes else ""


def find_record(film: Movie | Images) -> dict[str, Any] | None:
    """Find out how Recolor made a film.

    Parameters
    ----------
    film : Movie or Images
        The film.

    Returns
    -------
    dict or None
        What the sidecar beside it says, or the mark in its first image; empty if only the comment
        in the film says that Recolor made it; None if it is not a result of Recolor.
    """
    if isinstance(film, Movie):
        records = read_sidecar(film.path.with_name(f"{film.path.name}.json"))
        return next(iter(records), {}) if MARK in film.facts.comment else None
    folder, first = film.files[0].parent, film.files[0].name
    sidecars = [path for path in sorted(folder.glob("*%*.json")) if is_image_of(path.stem, first)]
    return next((record for path in sidecars for record in read_sidecar(path)), film.record)

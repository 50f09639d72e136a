"""The files of a result: what they are called, and whether they are what a call asks for."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from recolor_core import provenance
from recolor_core.batch.outcome import one_line
from recolor_core.batch.request import Request
from recolor_core.errors import ImageError, OutputExistsError, StaleOutputError
from recolor_core.images import open_image
from recolor_core.images.whole import is_whole

STAGES = (
    ("ab-coarse", "a* and b* of the generator, Lab units"),
    ("ab-refined", "a* and b* of the refiner, Lab units"),
    ("uncertainty", "standard deviation of the color, Lab units"),
)
"""Tags and descriptions of the intermediate stages."""

SHEET = "sheet"
"""Tag of a sheet with all alternatives."""

_ANY_SIZE = 2**62  # it was written by us: its size is no surprise


class ResultState(Enum):
    """What is there of a result.

    ABSENT: the main file is not there. INCOMPLETE: it is, made as asked for, and further files are
    missing. COMPLETE: all that is asked for is there.
    """

    ABSENT = "absent"
    INCOMPLETE = "incomplete"
    COMPLETE = "complete"


@dataclass(frozen=True)
class ResultFiles:
    """The files of one result.

    Parameters
    ----------
    main : Path
        The colorized image.
    alternatives : tuple of Path
        Further colorings.
    sheets : tuple of Path
        For every page, a sheet with the alternatives.
    stages : tuple of tuple
        For every page, the files of its stages in the order of `STAGES`.
    sidecar : Path or None
        The JSON file, if it is asked for.
    pages : int
        Number of pages.
    """

    main: Path
    alternatives: tuple[Path, ...] = ()
    sheets: tuple[Path, ...] = ()
    stages: tuple[tuple[Path, ...], ...] = ()
    sidecar: Path | None = None
    pages: int = 1

    @classmethod
    def of(cls, main: Path, request: Request, pages: int) -> "ResultFiles":
        """The files that a request asks for.

        Parameters
        ----------
        main : Path
            The colorized image.
        request : Request
            What is asked for.
        pages : int
            Number of pages of the source.
        """
        # BMP has no place for the provenance.
        wants_sidecar = request.sidecar or main.suffix.lower() in (".bmp", ".dib")
        tags = [f"page{page + 1}." if pages > 1 else "" for page in range(pages)]
        count = 0 if request.sheet else request.settings.alternatives
        return cls(
            main,
            tuple(beside(main, f"alt{i + 1}") for i in range(count)),
            tuple(beside(main, tag + SHEET, ".png") for tag in tags) if request.sheet else (),
            tuple(tuple(beside(main, tag + name, ".tif") for name, _ in STAGES) for tag in tags)
            if request.stages
            else (),
            sidecar_of(main) if wants_sidecar else None,
            pages,
        )

    def further(self) -> Iterator[Path]:
        """All files but the main one."""
        yield from self.alternatives
        yield from self.sheets
        for page in self.stages:
            yield from page
        if self.sidecar:
            yield self.sidecar


def beside(output: Path, tag: str, suffix: str | None = None) -> Path:
    """The name of a further file: ``photo.recolor.png`` gives ``photo.recolor.alt1.png``."""
    return output.with_name(f"{output.stem}.{tag}{suffix or output.suffix}")


def sidecar_of(output: Path) -> Path:
    """The name of the JSON file of a result."""
    return output.with_name(f"{output.name}.json")


def find_state(
    files: ResultFiles,
    request: Request,
    source_sha256: str,
    weights: Mapping[str, str],
    runtime: Mapping[str, Any],
) -> ResultState:
    """What is there of a result. Reads headers only.

    Parameters
    ----------
    files : ResultFiles
        Where the result lies.
    request : Request
        What is asked for.
    source_sha256 : str
        SHA-256 of the source, hexadecimal.
    weights : mapping
        "name" and "sha256" of the networks.
    runtime : mapping
        "name" and "precision" of what runs them; it counts only if the request names a runtime.

    Raises
    ------
    OutputExistsError
        If something else has the name of one of the files: the result of another source, of other
        settings or weights, a damaged file, or a file that Recolor did not make.
    """
    made: dict[str, Any] = {"source_sha256": source_sha256, "weights": dict(weights)}
    if request.runtime != "auto":
        made["runtime"] = {name: runtime[name] for name in ("name", "precision")}
    expected = [request.page_parameters(page + 1) | made for page in range(files.pages)]
    if not _exists(files.main):
        # A call that was killed may have left further files of its result: they are replaced.
        for path in files.further():
            if _exists(path) and not _is_of_source(path, source_sha256):
                raise OutputExistsError(
                    f"{path} is there already and does not belong to this image; "
                    "pass overwrite=True to replace it, or name another output"
                )
        return ResultState.ABSENT
    signed = request.credentials is not None
    _check(files.main, expected, signed=signed)
    complete = True
    for number, path in enumerate(files.alternatives, 1):
        if complete := complete and _exists(path):
            facts = {"alternative": number, "seed": request.seed}
            _check(path, [page | facts for page in expected], signed=signed)
    for path, page in zip(files.sheets, expected, strict=False):
        if complete := complete and _exists(path):
            _check(path, [page | {"sheet": request.settings.alternatives, "seed": request.seed}])
    for stages, page in zip(files.stages, expected, strict=False):
        for path in stages:
            if complete := complete and _exists(path):
                _check(path, [page])
    if files.sidecar and not _is_of_source(files.sidecar, source_sha256):
        complete = False  # it is not there, or tells of another result of this name
    return ResultState.COMPLETE if complete else ResultState.INCOMPLETE


def read_records(path: Path) -> list[dict[str, Any]]:
    """What a result says of how its pages were made; empty if Recolor did not make it.

    Parameters
    ----------
    path : Path
        An image file that Recolor may have written. BMP has no place for it; there it is read from
        the JSON file beside the image.

    Raises
    ------
    ImageError
        If the file is damaged.
    """
    with open_image(path, max_pixels=_ANY_SIZE) as file:
        format = file.format
        records = [provenance.read_xmp(header.metadata.xmp) for header in file.headers()]
    if not is_whole(path, format):
        raise ImageError(f"{path}: the file is cut off; make it again")
    if format == "BMP":
        return provenance.read_sidecar(sidecar_of(path))
    return [record for record in records if record]


def _check(path: Path, expected: Sequence[Mapping[str, Any]], *, signed: bool = False) -> None:
    """Check that a file was made as expected, page by page, and signed if it has to be."""
    renew = "pass overwrite=True to renew it, or name another output"
    try:
        records = read_records(path)
    except ImageError as error:
        reason = one_line(error).removeprefix(f"{path}: ").split(";")[0]
        raise StaleOutputError(
            f"{path} is there already and is damaged or not a result of recolor ({reason}); {renew}"
        ) from None
    if len(records) != len(expected):
        raise OutputExistsError(
            f"{path} is there already and is not a result of recolor for this image; {renew}"
        )
    for record, page in zip(records, expected, strict=True):
        if difference := describe_difference(record, page):
            raise StaleOutputError(f"{path} is there already, {difference}; {renew}")
    if signed:
        from recolor_core.images.credentials import is_signed

        with open_image(path, max_pixels=_ANY_SIZE) as file:
            format = file.format
        if not is_signed(path, format):
            raise StaleOutputError(f"{path} is there already and is not signed; {renew}")


def describe_difference(record: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """In what a result differs from what is asked for, in words; empty if in nothing.

    Parameters
    ----------
    record : mapping
        How a page was made, from its provenance.
    expected : mapping
        How it should be: "source_sha256", "weights", "runtime" if it counts, and what
        `Request.page_parameters` gives.
    """
    if record.get("source_sha256") != expected["source_sha256"]:
        name = record.get("source") or "a source that it does not name"
        return f"made from another image or an older version of this one ({name})"
    was, now = record.get("weights") or {}, expected["weights"]
    if was.get("sha256") != now["sha256"]:
        return f"made with other weights ({was.get('name')} {str(was.get('sha256'))[:12]})"
    changes = []
    settings = record.get("settings") or {}
    for name, value in expected["settings"].items():
        if name in settings and settings[name] != value:
            changes.append(f"{name} {settings[name]:g} instead of {value:g}")
    changes += [
        f"other {name}"
        for name in ("hints", "palette", "levels")
        if (record.get(name) or None) != (expected[name] or None)
    ]
    taken = [one.get("sha256") for one in record.get("references") or []]
    if taken != (expected.get("references") or []):
        changes.append("other references")
    sources = (record.get("color_from") or {}).get("sources") or [{}]
    if sources[0].get("sha256") != expected.get("color_from"):
        changes.append("color from another file")
    if runtime := expected.get("runtime"):
        before = record.get("runtime") or {}
        if any(before.get(name) != value for name, value in runtime.items()):
            changes.append(
                f"runtime {before.get('name')} ({before.get('precision')}) instead of "
                f"{runtime['name']} ({runtime['precision']})"
            )
    for name in ("alternative", "seed", "sheet"):
        before, wanted = record.get(name, 0), expected.get(name, 0)
        if before != wanted and (name in expected or name == "alternative"):
            changes.append(f"{name} {before} instead of {wanted}")
    return f"made with other settings ({', '.join(changes)})" if changes else ""


def is_replaceable(path: Path, source_sha256: str) -> bool:
    """Whether a further file is of this very source, so that it may be made again."""
    return _exists(path) and _is_of_source(path, source_sha256)


def _is_of_source(path: Path, source_sha256: str) -> bool:
    if path.suffix == ".json":
        facts = _read_sidecar(path)
        return bool(facts) and facts["source"].get("sha256") == source_sha256
    try:
        records = read_records(path)
    except (ImageError, OSError):
        return False
    return bool(records) and all(r.get("source_sha256") == source_sha256 for r in records)


def _read_sidecar(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(facts, dict) or not isinstance(facts.get("pages"), list):
        return {}
    return facts if isinstance(facts.get("source"), dict) else {}


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ImageError(
            f"{path}: cannot be looked at ({error.strerror}); name the output yourself"
        ) from error
    return True

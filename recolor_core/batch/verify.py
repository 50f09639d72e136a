"""Whether a result is an unaltered coloring of its source: its gray is derived and compared."""

import glob
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recolor_core import provenance
from recolor_core.batch.films import verify_film
from recolor_core.batch.manifest import MANIFEST, Manifest
from recolor_core.batch.outcome import one_line
from recolor_core.batch.result import SHEET, STAGES, read_records, sidecar_of
from recolor_core.batch.tree import OWN, find_files, is_film_name, is_image_name
from recolor_core.batch.verification import Finding, Verification
from recolor_core.digest import digest_codes
from recolor_core.errors import ImageError, RecolorError
from recolor_core.files import sha256_of
from recolor_core.gray import read_gray
from recolor_core.images import ImageFile, Page, open_image
from recolor_core.provenance import read_sidecar
from recolor_core.wording import counted

_ANY_SIZE = 2**62
_ROUNDING = 1e-12  # near black, where curves are steep
_STRIP_PIXELS = 1 << 20  # that are compared at a time
_ALTERNATIVE = re.compile(r"(.*\.recolor)\.alt([1-9][0-9]*)(\.[^.]+)", re.DOTALL)
_STAGE = re.compile(
    rf"(.*\.recolor)\.(?:page[1-9][0-9]*\.)?({'|'.join(name for name, _ in STAGES)})\.tif",
    re.DOTALL,
)
_SHEET = re.compile(rf".*\.recolor\.(?:page[1-9][0-9]*\.)?{SHEET}\.png", re.DOTALL)
_NO_PROFILE = {"BMP"}  # formats that hold none


def verify_image(
    output: Path, source: Path | None = None, *, known_sha256: str | None = None
) -> Verification:
    """Verify the result of an image file.

    The gray is derived from the colors and compared with the hash that the provenance in the file
    records and, if the source is given, with the source itself, value by value. An intermediate
    stage holds no gray and is verified by `verify_stage`.

    Parameters
    ----------
    output : Path
        The result or one of its stages.
    source : Path or None
        The image that it should be a coloring of.
    known_sha256 : str or None
        SHA-256 that the file had when it was written, from the manifest. If None, that of the
        JSON file beside the result counts, if there is one.

    Returns
    -------
    Verification
        What cannot be read is a finding, too.

    Raises
    ------
    ImageError
        If the source cannot be read.
    """
    found = Verification(str(output), str(source) if source else None)
    if not output.exists():
        found.add("missing", "the file is not there")
        return found
    mark = _first_record(output)
    if "stage" in mark:
        return verify_stage(output, sha256_of(source) if source else None)
    if "sheet" in mark:
        words = "this is a sheet of alternatives, too small to hold the gray of its source"
        found.add("size", f"{words}; verify the result beside it")
        return found
    if source is None:
        _verify(found, output, None, known_sha256)
    else:
        with open_image(source, max_pixels=_ANY_SIZE) as original:
            _verify(found, output, original, known_sha256)
    return found


def _verify(
    found: Verification, output: Path, source: ImageFile | None, known_sha256: str | None
) -> None:
    known_sha256 = known_sha256 or _sha256_in_sidecar(output)
    if known_sha256 and sha256_of(output) != known_sha256:
        found.add("bytes", "its bytes are not those that were written")
    try:
        with open_image(output, max_pixels=_ANY_SIZE) as file:
            records = _records(file, output)
            if not records:
                found.add("no mark", "the mark of recolor is missing")
            else:
                found.made = records[0]
                _check_source(found, source, records[0])
            if records and len(records) != len(file):
                found.add(
                    "pages", f"{counted(len(file), 'page')} instead of {len(records)} with a mark"
                )
            _check_pages(found, file, source, records)
    except (ImageError, OSError) as error:
        found.add("damaged", one_line(error).removeprefix(f"{one_line(output)}: "))


def _records(file: ImageFile, output: Path) -> list[dict[str, Any]]:
    records = [provenance.read_xmp(header.metadata.xmp) for header in file.headers()]
    if file.format == "BMP":
        return provenance.read_sidecar(sidecar_of(output))
    return [record for record in records if record]


def _sha256_in_sidecar(output: Path) -> str | None:
    """SHA-256 that a result had when it was written, if a JSON file beside it says so."""
    try:
        written = json.loads(sidecar_of(output).read_bytes())["output"]
        return str(written["sha256"]) if written["name"] == output.name else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _check_source(found: Verification, source: ImageFile | None, record: Mapping[str, Any]) -> None:
    if "source_sha256" not in record:
        found.add("no mark", "its mark does not name the source")
    elif source and record["source_sha256"] not in ("", source.sha256):  # "": it was no file
        found.add(
            "other source", f"made from another file ({record.get('source')}) than {source.name}"
        )


def _check_pages(
    found: Verification,
    file: ImageFile,
    source: ImageFile | None,
    records: list[dict[str, Any]],
) -> None:
    numbers = [record.get("source_page") for record in records]
    originals: Iterator[Page | None] = _originals(source, numbers) if source else iter(())
    no_file = any(record.get("source_sha256") == "" for record in records)
    if source and len(source) != len(file) and not all(numbers):
        words = f"{counted(len(file), 'page')}, the source has {len(source)}"
        found.findings.append(_different(Finding("pages", words), no_file=no_file))
    for number, page in enumerate(file, 1):
        record = records[number - 1] if number <= len(records) else {}
        where = f" of page {number}" if len(file) > 1 else ""
        gray = read_gray(page.codes, page.space).codes
        found.pages += 1
        if record and record.get("format") != file.format:
            found.add("format", f"stored anew as {file.format} instead of {record.get('format')}")
        lossy = file.format == "JPEG"
        if record and not _same_size(record, gray):
            found.add(
                "size",
                f"the size{where} is {gray.shape[1]} x {gray.shape[0]} pixels instead of "
                f"{record.get('width')} x {record.get('height')}",
            )
        elif record and not lossy:
            if file.format not in _NO_PROFILE:
                _check_profile(found, page, record, where)
            if gray.dtype == np.float64 or digest_codes(gray) == record.get("gray_sha256"):
                found.exact_pages += gray.dtype != np.float64
            elif not source or no_file:
                found.add("gray", f"the gray{where} is not what was written")
        original = next(originals, None)
        if original is not None:
            finding = _compare(found, gray, _original_gray(original, record), where, lossy=lossy)
            has_size = any(known.kind == "size" for known in found.findings)
            if finding and not (finding.kind == "size" and has_size):
                found.findings.append(_different(finding, no_file=no_file))


def _different(finding: Finding, *, no_file: bool) -> Finding:
    """What a difference from the source means.

    A result that was made from an image in memory is compared with whatever file the user names.
    """
    if not no_file:
        return finding
    return Finding(
        "unknown source",
        f"it was made from an image in memory, so that it cannot be compared with this file: "
        f"{finding.words}; verify it without the file",
    )


def _originals(source: ImageFile, numbers: Sequence[int | None]) -> Iterator[Page]:
    """The pages of a source that a result was made from, if it says so, or else all."""
    if not numbers or not all(numbers):
        yield from source
        return
    yield from (page for page, _ in source.pages([number for number in numbers if number]))


def _same_size(record: Mapping[str, Any], gray: NDArray[Any]) -> bool:
    return (record.get("height"), record.get("width")) == gray.shape


def _check_profile(found: Verification, page: Page, record: Mapping[str, Any], where: str) -> None:
    profile = sha256(page.metadata.icc or b"").hexdigest()
    if "icc_sha256" in record and profile != record["icc_sha256"]:
        found.add("profile", f"the color profile{where} is another one ({page.space.name})")


def _original_gray(page: Page, record: Mapping[str, Any]) -> NDArray[Any]:
    levels = record.get("levels")
    codes: NDArray[Any] = page.codes
    if region := record.get("region"):
        rows, columns = (slice(*part) for part in region)
        codes = codes[rows, columns]
    gray = read_gray(codes, page.space, tuple(levels) if isinstance(levels, list) else levels)
    original: NDArray[Any] = gray.codes
    return original


def _compare(
    found: Verification, gray: NDArray[Any], original: NDArray[Any], where: str, *, lossy: bool
) -> Finding | None:
    """Compare the gray of a page with the source, value by value."""
    if gray.shape != original.shape:
        return Finding("size", f"the size{where} is not that of the source")
    white = [1.0 if a.dtype.kind == "f" else float(np.iinfo(a.dtype).max) for a in (gray, original)]
    same_dtype = gray.dtype == original.dtype
    # `to_rgb` keeps float64 within a few rounding errors, and everything else exactly.
    near = _ROUNDING if gray.dtype == np.float64 else 0
    count, largest, first = 0, 0.0, (0, 0)
    rows = max(1, _STRIP_PIXELS // gray.shape[1])
    for top in range(0, gray.shape[0], rows):
        ours, theirs = gray[top : top + rows], original[top : top + rows]
        if same_dtype and not near and np.array_equal(ours, theirs):
            continue
        unit = np.abs(ours / white[0] - theirs / white[1])
        differs = (np.abs(ours - theirs) > near if near else ours != theirs) | (not same_dtype)
        if not count and differs.any():
            y, x = np.unravel_index(int(np.argmax(differs)), differs.shape)
            first = (int(x), top + int(y))
        count += int(np.count_nonzero(differs))
        largest = max(largest, float(unit[differs].max(initial=0.0)))
    found.difference = max(found.difference or 0.0, largest)
    if count and not lossy:
        words = f"{count:,} of {gray.size:,} gray values{where} differ from the source"
        if same_dtype:
            words += f", the first at x={first[0]}, y={first[1]}"
        else:
            words += f": {gray.dtype} instead of {original.dtype}"
        return Finding("gray", words)
    return None


def verify_stage(path: Path, source_sha256: str | None = None) -> Verification:
    """Verify an intermediate stage: its values are compared with the digest in its mark.

    Parameters
    ----------
    path : Path
        A file that ``--stages`` wrote.
    source_sha256 : str or None
        SHA-256 of the source of the result that it belongs to.
    """
    found = Verification(str(path))
    try:
        with open_image(path, max_pixels=_ANY_SIZE) as file:
            record = provenance.read_xmp(next(file.headers()).metadata.xmp) or {}
            planes = np.concatenate([page.codes for page in file])
    except (ImageError, OSError, ValueError) as error:
        found.add("damaged", one_line(error).removeprefix(f"{one_line(path)}: "))
        return found
    name = _STAGE.fullmatch(path.name)
    if "stage_sha256" not in record or (name and record.get("stage") != name[2]):
        found.add("no mark", "the mark of this stage is missing")
        return found
    found.made = record
    if digest_codes(planes) != record["stage_sha256"]:
        found.add("bytes", "its values are not those that were written")
    if source_sha256 and record.get("source_sha256") != source_sha256:
        found.add("other source", f"made from another file ({record.get('source')})")
    return found


def verify_folder(output: Path, source: Path | None = None) -> Iterator[Verification]:
    """Verify all results of a folder.

    Parameters
    ----------
    output : Path
        The output folder of a batch; without a manifest in it, every result of Recolor that lies
        there is verified by its own provenance.
    source : Path or None
        The input folder, to compare with the sources themselves.

    Yields
    ------
    Verification
        Of one result after the other; alternatives and stages count as results.

    Raises
    ------
    RecolorError
        If `source` is not a folder.
    """
    if source and not source.is_dir():
        raise RecolorError(
            f"{source}: expected the folder of the sources, found no folder; correct its name"
        )
    if (output / MANIFEST).exists():
        yield from _verify_batch(output, source)
        yield from _verify_films(output, source)
        return
    yield from _verify_films(output, source)
    for path in _find_results(output):
        if stage := _STAGE.fullmatch(path.name):
            mains = (p for p in path.parent.glob(f"{glob.escape(stage[1])}.*") if _is_main(p))
            records = (_first_record(main) for main in mains)
            yield verify_stage(path, next((r["source_sha256"] for r in records if r), None))
            continue
        record = _first_record(path)
        original = None
        if source and record.get("source"):
            name = Path(str(record["source"])).name
            original = source / path.parent.relative_to(output) / name
            if not _is_file(original):
                original = source / name
        found = _verify_with(path, original)
        if main := _main_of_alternative(path):
            _check_alternative(found, path, _first_record(main).get("source_sha256"))
        yield found


def _verify_films(output: Path, source: Path | None) -> Iterator[Verification]:
    """Verify the colorized films of a folder: those beside which a JSON file says so."""
    for path in find_files(output):
        if not is_film_name(path.name) or not read_sidecar(sidecar_of(path)):
            continue
        original = None
        if source:
            name = json.loads(sidecar_of(path).read_bytes())["source"]["name"]
            original = source / path.parent.relative_to(output) / Path(name).name
        if original is None or original.exists():
            yield verify_film(path, str(original) if original else None)
        else:
            found = verify_film(path)
            found.add("missing source", f"its source {original} is not there")
            yield found


def _verify_batch(output: Path, source: Path | None) -> Iterator[Verification]:
    """Verify the results that a manifest lists, their alternatives, and all other results."""
    known: dict[Path, tuple[Path | None, str | None]] = {}
    with Manifest(output) as manifest:
        for row in manifest.files():
            if not row["output"]:
                continue
            path = output / row["output"]
            original = source / row["path"] if source else None
            known[path] = (original, row["source_sha256"])
            yield _verify_with(path, original, row["output_sha256"])
    of_stems = {path.with_suffix(""): source_sha256 for path, (_, source_sha256) in known.items()}
    for path in _find_results(output):
        if path in known:
            continue
        stage = _STAGE.fullmatch(path.name)
        if stage and path.with_name(stage[1]) in of_stems:
            yield verify_stage(path, of_stems[path.with_name(stage[1])])
            continue
        main = _main_of_alternative(path)
        if main in known:
            original, source_sha256 = known[main]
            found = _verify_with(path, original)
            _check_alternative(found, path, source_sha256)
        else:
            found = Verification(str(path))
            found.add("not in the manifest", "the manifest knows nothing of this file")
        yield found


def _verify_with(
    path: Path, original: Path | None, known_sha256: str | None = None
) -> Verification:
    """Verify a result of a folder; a source that is missing or cannot be read is a finding."""
    if original is None:
        return verify_image(path, known_sha256=known_sha256)
    if _is_file(original):
        try:
            return verify_image(path, original, known_sha256=known_sha256)
        except (ImageError, OSError) as error:
            reason = one_line(error).removeprefix(f"{one_line(original)}: ")
            words = f"its source {original} cannot be read ({reason})"
    else:
        words = f"its source {original} is not there"
    found = verify_image(path, known_sha256=known_sha256)
    found.add("missing source", words)
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _first_record(path: Path) -> dict[str, Any]:
    """How the first page was made; empty if the file does not say or cannot be read."""
    try:
        return next(iter(read_records(path)), {})
    except (ImageError, OSError):
        return {}


def _find_results(folder: Path) -> Iterator[Path]:
    """All files that have the name of a result, an alternative or a stage.

    Sheets are left out: they are too small to have the gray of a source.
    """
    for path in find_files(folder):
        if OWN in path.name and is_image_name(path.name) and not _SHEET.fullmatch(path.name):
            yield path


def _is_main(path: Path) -> bool:
    """Whether a file has the name of a result itself."""
    further = any(kind.fullmatch(path.name) for kind in (_STAGE, _ALTERNATIVE, _SHEET))
    return is_image_name(path.name) and not further


def _main_of_alternative(path: Path) -> Path | None:
    """The result that a file is an alternative of, by its name."""
    name = _ALTERNATIVE.fullmatch(path.name)
    return path.with_name(name[1] + name[3]) if name else None


def _check_alternative(found: Verification, path: Path, source_sha256: str | None) -> None:
    """Check that the mark of an alternative is of its own number and of the result's source."""
    name = _ALTERNATIVE.fullmatch(path.name)
    if not found.made or not name:
        return
    if found.made.get("alternative") != int(name[2]):
        found.add("no mark", f"its mark is not that of alternative {name[2]}")
    if (
        source_sha256
        and found.made.get("source_sha256") != source_sha256
        and not any(finding.kind == "other source" for finding in found.findings)
    ):
        found.add("other source", "made from another file than the result beside it")

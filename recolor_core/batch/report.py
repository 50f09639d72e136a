"""The report of a batch: a page that is opened from the disk, without a server.

The page loads its rows as scripts, since a page from the disk may not fetch other files, and holds
in its document only the images that can be seen.
"""

import json
import os
from collections.abc import Iterator, Mapping
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

from recolor_core.batch.manifest import STATES, Manifest
from recolor_core.batch.thumbnail import thumbnail_of_result
from recolor_core.batch.tree import REPORT
from recolor_core.errors import RecolorError
from recolor_core.files import explained, write_file
from recolor_core.provenance import now

PAGE = "recolor-report.html"
"""Name of the page in the output folder."""

_ROWS = 5000  # of a script
_IMAGES = 500  # thumbnails of a folder


def write_report(folder: Path) -> Path:
    """Write the report of an output folder.

    Thumbnails that are there are kept; one whose result the batch did not make in this version of
    the manifest is made from the result.

    Parameters
    ----------
    folder : Path
        The output folder of a batch, which may be running.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    RecolorError
        If there is no manifest, or nothing can be written there.
    """
    data = folder / REPORT
    page = folder / PAGE
    with Manifest(folder) as manifest, explained(str(data)):
        data.mkdir(exist_ok=True)
        rows = _rows(manifest, data)
        chunks = 0
        while chunk := list(islice(rows, _ROWS)):
            write_file(data / f"rows-{chunks:04}.js", f"addRows({json.dumps(chunk)});\n")
            chunks += 1
        for number in range(chunks, _count_scripts(data)):
            (data / f"rows-{number:04}.js").unlink(missing_ok=True)
        counts = manifest.counts()
        facts = {
            "chunks": chunks,
            "folder": REPORT,
            "source": _source(manifest, folder),
            "states": [[state, counts[state]] for state in STATES if counts[state]],
            "facts": list(_facts(manifest)),
        }
        template = files("recolor_core.batch").joinpath("report.html").read_text(encoding="utf-8")
        # In a script, "</" would end it, if it stood before "script".
        text = json.dumps(facts).replace("</", "<\\/")
        write_file(page, template.replace("/*REPORT*/", text))
    return page


def _rows(manifest: Manifest, data: Path) -> Iterator[list[Any]]:
    for number, row in enumerate(manifest.files()):
        name, width, height = _thumbnail(manifest, row, data, number)
        yield [
            row["path"],
            row["status"],
            row["output"],
            row["message"] or "; ".join(json.loads(row["warnings"])),
            row["uncertainty"],
            row["seconds"],
            row["megapixels"],
            row["pages"],
            name,
            width,
            height,
        ]


def _thumbnail(
    manifest: Manifest, row: Mapping[str, Any], data: Path, number: int
) -> tuple[str | None, int | None, int | None]:
    """The thumbnail of a result, below the folder of the data, with the size of the image."""
    if row["status"] not in ("done", "kept") or not row["output"]:
        return None, None, None
    width, height = manifest.size_of_first_page(row["path"]) or (3, 2)
    # Named by its content: a browser must not show the one of an older result.
    place = Path(f"{number // _IMAGES:04}", f"{(row['output_sha256'] or 'none')[:20]}.webp")
    path = data / place
    if not path.exists():
        image = manifest.thumbnail(row["path"])
        if image is None:
            try:
                image = thumbnail_of_result(manifest.folder / row["output"])
            except (RecolorError, OSError):
                return None, None, None
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(image)
    return place.as_posix(), width, height


def _count_scripts(data: Path) -> int:
    return sum(1 for _ in data.glob("rows-*.js"))


def _source(manifest: Manifest, folder: Path) -> str:
    """The input folder as the page names it, with a slash at the end."""
    last = manifest.last_run()
    if last is None:
        return ""
    try:
        below = os.path.relpath(last["input"], folder.absolute())
    except ValueError:  # on another drive
        return Path(last["input"]).as_uri() + "/"
    return Path(below).as_posix() + "/"


def _facts(manifest: Manifest) -> Iterator[str]:
    totals, last, speed = manifest.totals(), manifest.last_run(), manifest.speed()
    if last:
        yield f"from {last['input']}"
        yield f"weights {last['weights']}"
        settings = json.loads(last["parameters"])["settings"]
        yield ", ".join(f"{name} {value:g}" for name, value in settings.items())
        yield f"recolor {last['version']}"
        yield f"last run {last['started']}"
    yield f"{totals['megapixels']:,.1f} megapixels done"
    if speed:
        yield f"{speed:.2f} MP/s for each process"
    yield f"{totals['output_bytes'] / 1e9:,.2f} GB of results"
    yield f"this page was made {now()}"

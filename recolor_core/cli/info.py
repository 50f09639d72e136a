"""The command ``recolor info``: how a file is read and how a result of recolor was made."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recolor_core import provenance
from recolor_core.batch.films import find_film
from recolor_core.batch.outcome import STREAM, show_traceback
from recolor_core.cli import options
from recolor_core.cli.app import make_app
from recolor_core.cli.inputs import find_inputs
from recolor_core.cli.interrupts import BAD_INPUT
from recolor_core.cli.report import label_of
from recolor_core.cli.words import in_words_of_command
from recolor_core.errors import RecolorError
from recolor_core.wording import counted

if TYPE_CHECKING:
    from recolor_core.images import Page


def show_info(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Images, films, folders, patterns or -.")
    ],
    recursive: options.Recursive = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON per file.")
    ] = False,
) -> None:
    """Say how files are read and how results of recolor were made."""
    films = [name for name in files if name != STREAM and find_film(Path(name))]
    images = [name for name in files if name not in films]
    found = find_inputs(images, recursive=recursive, own=True) if images else None
    failed = list(found.problems) if found else []
    names = [*(image.name for image in found.images), *found.results] if found else []
    for name in [*names, *films]:
        say = describe_film if name in films else describe
        try:
            facts = say(name)
        except RecolorError as error:
            show_traceback()
            failed.append((name, in_words_of_command(error)))
            continue
        print(json.dumps(facts) if as_json else "\n".join(lines(facts)))
    for name, problem in failed:
        label = label_of(name)
        print(f"recolor: {label}: {problem.removeprefix(f'{label}: ')}", file=sys.stderr)
    if failed:
        raise typer.Exit(BAD_INPUT)


def describe(name: str) -> dict[str, Any]:
    """What there is to know about an image file, in JSON types.

    Parameters
    ----------
    name : str
        Path of the file, or "-" for standard input.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    from recolor_core.images import open_image

    with open_image(sys.stdin.buffer if name == STREAM else name) as file:
        pages, packets = [], []
        for page in file:  # one at a time: they may be large
            pages.append(_page(page))
            packets.append(page.metadata.xmp)
        return {
            "file": name,
            "format": file.format,
            "pages": pages,
            "colorized_as": file.output_name(),
            "recolor": provenance.read_xmp(packets[0]),
        }


def describe_film(name: str) -> dict[str, Any]:
    """What there is to know about a film, in JSON types.

    Parameters
    ----------
    name : str
        A film, a pattern of images (``frame_%06d.tif``), or a folder of images that Recolor wrote.

    Returns
    -------
    dict
        ``"recolor"`` is how Recolor made it, without the long lists of its frames; empty if only
        the comment in it says that Recolor did; None if it did not.

    Raises
    ------
    FilmError
        If it cannot be read.
    """
    from recolor_core.film import open_film
    from recolor_core.film.finished import find_record

    opened = open_film(str(find_film(Path(name)) or name))
    film, record = opened.facts, find_record(opened)
    return {
        "file": name,
        "width": film.size[0],
        "height": film.size[1],
        "frames": len(film.times),
        "frames_per_second": float(film.rate) if film.rate else None,
        "reading": film.reading,
        "comment": film.comment,
        "recolor": record and _without_lists(record),
    }


def _without_lists(facts: dict[str, Any]) -> dict[str, Any]:
    """How a film was made, without what is said of each single frame."""
    short = {key: value for key, value in facts.items() if key not in ("seconds", "shots", "cuts")}
    short["frames"] = {k: v for k, v in facts.get("frames", {}).items() if k != "gray_sha256"}
    short["uncertainty"] = facts.get("uncertainty", {}).get("mean")
    return short | {name: len(facts.get(name, ())) for name in ("shots", "cuts")}


def _page(page: "Page") -> dict[str, Any]:
    height, width = page.codes.shape[:2]
    resolution = page.metadata.resolution
    return {
        "width": width,
        "height": height,
        "dtype": str(page.codes.dtype),
        "reading": page.reading,
        "color_space": page.space.name,
        "dots_per_inch": resolution.per_inch() if resolution else None,
        "exif": page.metadata.exif is not None,
    }


def lines(facts: dict[str, Any]) -> Iterator[str]:
    """The same for people."""
    yield f"{facts['file']}: {_origin(facts['recolor'])}"
    yield from (f"  {line}" for line in (_film_lines if "frames" in facts else _image_lines)(facts))
    if facts["recolor"]:
        yield from _made_lines(facts["recolor"])


def _origin(record: dict[str, Any] | None) -> str:
    """Whether Recolor made a file."""
    if record is None:
        return "not colored by recolor"
    if not record:
        return "colored by recolor, as its comment says; the JSON file that says how is not there"
    tool = record["tool"]
    if stage := record.get("stage"):
        return f"stage {stage} of a coloring by {tool}"
    return f"sheet of alternatives by {tool}" if "sheet" in record else f"colored by {tool}"


def _image_lines(facts: dict[str, Any]) -> Iterator[str]:
    pages = facts["pages"]
    yield facts["format"] + (f", {counted(len(pages), 'page')}" if len(pages) > 1 else "")
    for number, page in enumerate(pages, 1):
        words = [f"{page['width']} x {page['height']}", page["dtype"], page["reading"]]
        if page["dots_per_inch"]:
            words.append(" x ".join(f"{value:g}" for value in page["dots_per_inch"]) + " dpi")
        if page["exif"]:
            words.append("EXIF")
        yield f"{f'page {number}: ' if len(pages) > 1 else ''}{', '.join(words)}"
    if facts["recolor"] is None:
        yield f"the name of its result: {facts['colorized_as']}"


def _film_lines(facts: dict[str, Any]) -> Iterator[str]:
    rate = facts["frames_per_second"]
    speed = f", {rate:.4g} a second" if rate else ""
    yield f"film, {counted(facts['frames'], 'frame')}{speed}"
    yield f"{facts['width']} x {facts['height']}, {facts['reading']}"
    if facts["comment"] and not facts["recolor"]:
        yield f"comment: {facts['comment']}"


def _made_lines(made: dict[str, Any]) -> Iterator[str]:
    for key, value in made.items():
        text = value if isinstance(value, str) else json.dumps(value)
        yield f"  {key.replace('_', ' ')}: {text}"


app = make_app(show_info)

"""The command ``recolor info``: how a file is read and how a result of recolor was made."""

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recolor_core.batch.outcome import STREAM, show_traceback
from recolor_core.cli import options
from recolor_core.cli.app import make_app
from recolor_core.cli.inputs import find_inputs
from recolor_core.cli.interrupts import BAD_INPUT
from recolor_core.cli.report import label_of
from recolor_core.cli.words import in_words_of_command
from recolor_core.errors import RecolorError

if TYPE_CHECKING:
    from recolor_core.images import Page


def show_info(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Images, folders, patterns or -.")
    ],
    recursive: options.Recursive = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON per file.")
    ] = False,
) -> None:
    """Say how files are read and how results of recolor were made."""
    found = find_inputs(files, recursive=recursive, own=True)
    failed = list(found.problems)
    for name in [*(image.name for image in found.images), *found.results]:
        try:
            facts = describe(name)
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
    from recolor_core import provenance
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
    pages = facts["pages"]
    count = f", {len(pages)} pages" if len(pages) > 1 else ""
    yield f"{facts['file']}: {facts['format']}{count}"
    for number, page in enumerate(pages, 1):
        words = [f"{page['width']} x {page['height']}", page["dtype"], page["reading"]]
        if page["dots_per_inch"]:
            words.append(" x ".join(f"{value:g}" for value in page["dots_per_inch"]) + " dpi")
        if page["exif"]:
            words.append("EXIF")
        yield f"  {f'page {number}: ' if count else ''}{', '.join(words)}"
    if facts["recolor"]:
        for key, value in facts["recolor"].items():
            text = value if isinstance(value, str) else json.dumps(value)
            yield f"  {key.replace('_', ' ')}: {text}"
    else:
        yield f"  colorized as {facts['colorized_as']}"


app = make_app(show_info)

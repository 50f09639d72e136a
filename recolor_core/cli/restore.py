"""The command ``recolor restore``."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from recolor_core.batch.outcome import one_line, show_traceback
from recolor_core.cli import options
from recolor_core.cli.app import make_app
from recolor_core.cli.inputs import Input, Inputs, find_destination
from recolor_core.cli.interrupts import BAD_INPUT, INTERRUPTED, terminable
from recolor_core.cli.words import in_words_of_command
from recolor_core.errors import RecolorError


def restore(
    outputs: Annotated[
        list[Path], typer.Argument(metavar="OUTPUT", help="Results of recolor: images or films.")
    ],
    out: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE|FOLDER",
            help="Where to write. The default is NAME.restored.EXT beside each result.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON per image.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Write the gray images and films that results were made of: codes, depth, profile and tags.

    A result whose gray was altered is refused. TIFF stays TIFF, and other images become PNG. A film
    becomes FFV1 in Matroska, with all its other streams; images of a film stay images.

    Exit codes: 0 everything is done, 1 a bug, 2 bad input or usage (the other images are done),
    130 interrupted.
    """
    images = tuple(Input(str(output)) for output in outputs)
    destination = find_destination(out, Inputs(images, (), (), batch=len(images) > 1))
    if destination.stream:
        raise RecolorError("expected a file or folder for -o, got standard output; name one")
    failed = False
    with terminable():
        from recolor_core.batch.films import find_film, restore_film, restored_film_name
        from recolor_core.batch.restore import restore_image, restored_name

        for output, image in zip(outputs, images, strict=True):
            label = one_line(output)
            film = find_film(output)
            name = (restored_film_name(film) if film else restored_name(output)).name
            target = destination.path(image, name)
            try:
                if film:
                    made = restore_film(film, target, overwrite=overwrite)
                else:
                    made = restore_image(output, target, overwrite=overwrite)
            except RecolorError as error:
                show_traceback()
                words = in_words_of_command(error).removeprefix(f"{label}: ")
                print(f"recolor: {label}: {words}", file=sys.stderr)
                failed = True
                continue
            except KeyboardInterrupt:
                print("recolor: interrupted", file=sys.stderr)
                raise typer.Exit(INTERRUPTED) from None
            if as_json:
                print(json.dumps(asdict(made)), flush=True)
            elif not quiet:
                gray = "the source's gray, exactly" if made.exact else "not exact"
                notes = "".join(f"; {note}" for note in made.notes)
                print(f"{label} -> {one_line(made.target)} ({gray}{notes})", file=sys.stderr)
    if failed:
        raise typer.Exit(BAD_INPUT)


app = make_app(restore)

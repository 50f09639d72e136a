"""The command ``recolor verify``."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recolor_core.cli import options
from recolor_core.cli.app import make_app
from recolor_core.cli.interrupts import BAD_INPUT, INTERRUPTED, UNDECIDED, terminable
from recolor_core.errors import RecolorError

if TYPE_CHECKING:
    from recolor_core.batch.verification import Verification


def verify(
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT",
            help="A colorized image or film, the output folder of a batch, or a folder of frames.",
        ),
    ],
    source: Annotated[
        Path | None,
        typer.Argument(metavar="SOURCE", help="The gray image or film, or the input folder."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Of a folder: write a summary to sign off, as JSON."),
    ] = None,
    signed_by: Annotated[str, typer.Option(metavar="NAME", help="Who signs the summary off.")] = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the summary that is there.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON per result.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Check that results are unaltered colorings of their sources.

    The gray is derived from the colors and compared with what the result itself records and, if
    SOURCE is given, with the source, value by value. The results of a batch are compared with its
    manifest, too. Films are compared frame by frame; if the codec is lossy, the line says how near
    the gray is.

    Exit codes: 0 everything is unaltered, 1 a bug, 2 something is altered or cannot be read,
    3 nothing was found to be altered, but a source is damaged and does not decode the same way
    twice, so that its film cannot be verified, 130 interrupted.
    """
    if report and not output.is_dir():
        raise RecolorError("expected a folder with --report, got a file; one line says it all")
    with terminable():
        try:
            from recolor_core.batch.films import find_film, verify_film
            from recolor_core.batch.verification import Summary
            from recolor_core.batch.verify import verify_folder, verify_image

            summary = Summary()
            if film := find_film(output):
                found = iter([verify_film(film, str(source) if source else None)])
            elif output.is_dir():
                found = verify_folder(output, source)
            else:
                found = iter([verify_image(output, source)])
            for verification in found:
                summary.add(verification)
                _show(verification, as_json=as_json, quiet=quiet)
            if output.is_dir() and not summary.count:
                raise RecolorError(f"{output}: no results of recolor are in this folder")
            if report:
                summary.write(report, output, source, signed_by, overwrite=overwrite)
        except KeyboardInterrupt:
            print("recolor: interrupted", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
    if output.is_dir() and not quiet and not as_json:
        print(summary.line())
    if summary.altered:
        raise typer.Exit(BAD_INPUT)
    if summary.undecided:
        raise typer.Exit(UNDECIDED)


def _show(verification: "Verification", *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print(json.dumps(verification.record()), flush=True)
    elif verification.findings or not quiet:
        print(verification.line(), flush=True)


app = make_app(verify)

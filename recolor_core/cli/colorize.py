"""The command ``recolor FILES``."""

import sys
from contextlib import closing
from functools import partial
from itertools import repeat
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from recolor_core.batch.observer import Turn
from recolor_core.batch.outcome import Outcome
from recolor_core.cli import options
from recolor_core.cli.app import make_app
from recolor_core.cli.inputs import Destination, Input, Inputs, find_destination, find_inputs
from recolor_core.cli.interrupts import BAD_INPUT, BUG, INTERRUPTED, terminable
from recolor_core.cli.report import Report
from recolor_core.errors import OutputBusyError, RecolorError
from recolor_core.settings import Settings

if TYPE_CHECKING:
    from recolor_core.batch.request import Request
    from recolor_core.colorizer import Colorizer


@options.with_settings()
def colorize(
    *,
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IN", help="Images, folders, patterns, or - for standard input."),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE|FOLDER",
            help="Where to write; - is standard output. The default is NAME.recolor.EXT beside "
            "each image.",
        ),
    ] = None,
    weights: options.Weights = "default",
    device: options.Device = "auto",
    runtime: options.Runtime = "auto",
    settings: Settings,
    stages: options.Stages = False,
    hints: options.Hints = None,
    palette: options.Palette = None,
    reference: options.References = None,
    color_from: options.ColorFrom = None,
    sheet: options.Sheet = False,
    take: options.Take = 0,
    seed: options.Seed = 0,
    levels: options.Levels = None,
    recursive: options.Recursive = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there.")
    ] = False,
    sidecar: options.Sidecar = False,
    keep_dates: options.KeepDates = False,
    max_pixels: options.MaxPixels = 500_000_000,
    c2pa_cert: options.Certificate = None,
    c2pa_key: options.SigningKey = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON per image.")
    ] = False,
    quiet: options.Quiet = False,
    version: options.Version = False,
) -> None:
    """Colorize black-and-white images; the gray of the result is the gray of the input.

    `recolor film IN OUT` colorizes films, `recolor batch IN_DIR OUT_DIR` whole archives, `recolor
    verify` checks results, `recolor restore` writes the gray image back, `recolor info` says how
    files are read, and `recolor weights` lists the networks. An image with such a name is ./film.
    Results that are there, complete and made in the same way, are skipped: repeat a call that was
    interrupted, and it goes on from there.

    Exit codes: 0 everything is done, 1 a bug, 2 bad input or usage (the other images are done),
    130 interrupted.
    """
    found = find_inputs(inputs, recursive=recursive, own=out is not None)
    destination = find_destination(out, found)
    span = options.parse_levels(levels)
    if hints and (found.batch or len(found.images) > 1):
        raise RecolorError(
            "expected one image with --hints, got several; hints belong to one image"
        )
    if destination.stream and (stages or settings.alternatives or sidecar or json_lines):
        raise RecolorError(
            "expected a file for --stages, --alternatives, --sidecar or --json, got standard "
            "output; name the result with -o FILE"
        )
    if destination.stream and sys.stdout.isatty():
        raise RecolorError(
            "expected a pipe or file as standard output, got a terminal; use -o FILE"
        )
    if not found.images and not found.problems:
        raise RecolorError(
            f"{found.results[0]}: this is a result of recolor already; to colorize it again, "
            "name the new one with -o"
        )

    total = len(found.images) + len(found.problems)
    with terminable(), Report(total, quiet=quiet, json_lines=json_lines) as report:
        try:
            # Importing these takes a while.
            from recolor_core.batch.request import (
                Request,
                check_color_place,
                read_page_hints,
                read_palette,
                read_reference,
            )
            from recolor_core.colorizer import Colorizer

            request = Request(
                settings=settings,
                hints=read_page_hints(hints) if hints else (),
                palette=read_palette(palette) if palette else None,
                references=[read_reference(path) for path in reference or ()],
                color_from=check_color_place(Path(color_from)) if color_from else None,
                levels=span,
                take=take,
                seed=seed,
                sheet=sheet,
                stages=stages,
                overwrite=overwrite,
                sidecar=sidecar,
                keep_dates=keep_dates,
                runtime=runtime,
                max_pixels=max_pixels,
                credentials=options.read_credentials(c2pa_cert, c2pa_key),
            )
            for line in found.notes():
                report.line(line)
            _colorize_all(Colorizer(weights, device, runtime), found, destination, request, report)
        except KeyboardInterrupt:
            report.complain(
                f"recolor: interrupted, {report.counts['done']} of {len(found.images)} done; "
                "repeat the call to go on from there"
            )
            raise typer.Exit(INTERRUPTED) from None
        if report.total > 1:
            report.line(report.summary())
    if report.bugs:
        raise typer.Exit(BUG)
    if report.counts["failed"]:
        raise typer.Exit(BAD_INPUT)


def _colorize_all(
    colorizer: "Colorizer",
    inputs: Inputs,
    destination: Destination,
    request: "Request",
    report: Report,
) -> None:
    """Colorize every image; one that fails does not stop the others."""
    from recolor_core.batch.image import try_image, wait_for
    from recolor_core.files import remove_abandoned
    from recolor_core.pipeline import in_order

    results: dict[Path, Input] = {}  # whose result each file is
    swept: set[Path] = set()
    stopped = Event()

    def colorize_one(image: Input, turn: Turn, before: Event, placed: Event) -> Outcome | None:
        """Colorize an image; return None if another call is making its result."""

        def place(name: str) -> Path | None:
            before.wait()  # of two images with one result, the first gets it
            output = destination.path(image, name)
            if output and (other := results.setdefault(output, image)) is not image:
                raise RecolorError(_shared(output, image, other, destination))
            if output and output.parent not in swept:
                swept.add(output.parent)
                remove_abandoned(output.parent)
            placed.set()
            return output

        try:
            outcome = try_image(colorizer, image.path or sys.stdin.buffer, place, request, turn)
        except OutputBusyError:
            return None
        finally:
            before.wait()
            placed.set()
        outcome.input = image.name
        return outcome

    for word, problem in inputs.problems:
        report.finish(Outcome(word, "failed", problem))
    turns = [Turn(report, stopped) for _ in inputs.images]
    placed = [Event() for _ in range(len(turns) + 1)]
    placed[0].set()
    calls = map(partial, repeat(colorize_one), inputs.images, turns, placed, placed[1:])
    busy = []
    with closing(in_order(calls, _images_at_a_time(colorizer, inputs), stopped)) as outcomes:
        for image, turn in zip(inputs.images, turns, strict=True):
            report.file(image.name)
            turn.begin()
            if outcome := next(outcomes):
                report.finish(outcome)
            else:
                busy.append(image)
    stopped.clear()
    for image in busy:

        def again(image: Input = image) -> Outcome:
            report.file(image.name)
            turn = Turn(report, stopped)
            turn.begin()
            outcome = colorize_one(image, turn, placed[0], placed[0])
            if outcome is None:
                raise OutputBusyError(f"{image.name}: another call is making its result")
            return outcome

        report.finish(wait_for(again))


def _images_at_a_time(colorizer: "Colorizer", inputs: Inputs) -> int:
    """Number of images to work on at a time: one if a file is so large that two fill the memory."""
    from recolor_core.batch.tasks import LARGE, images_at_a_time

    paths = [image.path for image in inputs.images]
    small = all(path and path.stat().st_size <= LARGE for path in paths if path and path.exists())
    return images_at_a_time(colorizer) if len(paths) > 1 and small else 1


def _shared(output: "Path", image: Input, other: Input, destination: Destination) -> str:
    remedy = f"name it yourself in a call of its own: recolor {image.name} -o FILE"
    if destination.folder and image.folder != other.folder:
        remedy += ", or name the folder of both with --recursive"
    return f"expected a result of its own, got {output}, which is that of {other.name}; {remedy}"


app = make_app(colorize)

"""The command ``recolor``. See `docs/command.md`.

Nothing here imports torch before an image or weights are asked for: help is there at once.
"""

import json
import os
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from recolor_core.cli import options
from recolor_core.cli.film import colorize_film
from recolor_core.cli.interrupts import BAD_INPUT, BUG, DONE, INTERRUPTED, terminable
from recolor_core.cli.plan import find_destination, find_inputs
from recolor_core.cli.report import Report, bug, label_of, one_line, show_traceback
from recolor_core.errors import RecolorError


def main() -> None:
    """Run the command that the first word names; without such a word, colorize."""
    name, *words = sys.argv[1:] or [""]
    if name not in _COMMANDS:
        name, words = "", sys.argv[1:]
    # Threads that wait for each other shall sleep: where other programs run too, spinning made
    # torch several times slower. It is read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        _COMMANDS[name](words, prog_name=f"recolor {name}".strip())
        code = DONE
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else DONE
    except RecolorError as error:
        code = _failed(one_line(error), BAD_INPUT)
    except OSError as error:  # of an image it would have been a RecolorError
        code = _failed(_system_error(error), BAD_INPUT)
    except KeyboardInterrupt:
        code = _failed("interrupted", INTERRUPTED)
    except Exception as error:
        code = _failed(bug(error), BUG)
    try:
        sys.stdout.flush()
    except OSError as error:
        # Without this Python would try again at its end, fail and say so in its own words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or _failed(_system_error(error), BAD_INPUT)
    sys.exit(code)


def _failed(message: str, code: int) -> int:
    show_traceback()
    print(f"recolor: {message}", file=sys.stderr)
    return code


def _system_error(error: OSError) -> str:
    return f"{error.filename or '<stdout>'}: {error.strerror}; check the disk and permissions"


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"recolor {version('napari-recolor')}")
        raise typer.Exit


def _colorize(
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
            help="Where to write, - for standard output. By default beside each image, as "
            "NAME.recolor.EXT.",
        ),
    ] = None,
    weights: options.Weights = "default",
    device: options.Device = "auto",
    vividness: options.Vividness = 0.8,
    saturation: options.Saturation = 1.0,
    size: options.Size = 224,
    alternatives: Annotated[
        int,
        typer.Option(metavar="N", help="Write N other plausible colorings too, up to 16."),
    ] = 0,
    tile: Annotated[
        int,
        typer.Option(help="Side of the refiner's tiles at large sizes; less needs less memory."),
    ] = 1024,
    views: options.Views = 1,
    stages: Annotated[
        bool,
        typer.Option("--stages", help="Write coarse and refined ab and the uncertainty as TIFF."),
    ] = False,
    hints: Annotated[
        str | None, typer.Option(metavar="FILE", help="Points of known color, JSON; one image.")
    ] = None,
    palette: options.Palette = None,
    levels: Annotated[
        str | None,
        typer.Option(
            metavar="LOW,HIGH|auto",
            help="Values of black and white, for data without an agreed range.",
        ),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("-r", "--recursive", help="Go into the folders of a folder.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that are there.")
    ] = False,
    sidecar: Annotated[
        bool, typer.Option(help="Write how it was made beside the result, as JSON.")
    ] = False,
    max_pixels: Annotated[
        int, typer.Option(metavar="N", help="Refuse larger images, by mistake or on purpose.")
    ] = 500_000_000,
    json_lines: Annotated[
        bool, typer.Option("--json", help="One line of JSON per image on standard output.")
    ] = False,
    quiet: options.Quiet = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Colorize black-and-white images; the gray of the result is the gray of the input.

    `recolor film IN OUT` colorizes films, `recolor weights` lists the networks, `recolor info
    FILE...` says how files are read; an image of such a name is ./film, ./weights or ./info.
    Results that are there are skipped: a call that was interrupted goes on when it is repeated.

    Exit codes: 0 all done, 1 a bug, 2 bad input or usage (the other images are done),
    130 interrupted.
    """
    found = find_inputs(inputs, recursive=recursive, own=out is not None)
    destination = find_destination(out, found)
    span = _levels(levels)
    if hints and (found.batch or len(found.images) > 1):
        raise RecolorError("expected one image with --hints, got several; hints belong to one")
    if destination.stream and (stages or alternatives or sidecar or json_lines):
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

    with (
        terminable(),
        Report(
            len(found.images) + len(found.problems), quiet=quiet, json_lines=json_lines
        ) as report,
    ):
        try:
            # These import torch.
            from recolor_core.cli.batch import Batch, Order, read_palette
            from recolor_core.colorizer import Colorizer
            from recolor_core.hints import read_hints
            from recolor_core.settings import Settings

            order = Order(
                settings=Settings(vividness, saturation, size, alternatives, tile, views),
                hints=read_hints(hints) if hints else (),
                palette=read_palette(palette) if palette else None,
                levels=span,
                stages=stages,
                overwrite=overwrite,
                sidecar=sidecar,
                max_pixels=max_pixels,
            )
            if found.results:
                report.line(f"{len(found.results)} results of recolor left out (*.recolor.*)")
            Batch(Colorizer(weights, device), destination, order, report).run(found)
        except KeyboardInterrupt:
            total = len(found.images)
            report.complain(
                f"recolor: interrupted, {report.count('done')} of {total} done; the same call "
                "goes on from there"
            )
            raise typer.Exit(INTERRUPTED) from None
        if len(report.outcomes) > 1:
            report.line(report.summary())
    if report.bugs:
        raise typer.Exit(BUG)
    if report.count("failed"):
        raise typer.Exit(BAD_INPUT)


def _levels(text: str | None) -> tuple[float, float] | str | None:
    if text is None or text == "auto":
        return text
    try:
        low, high = (float(word) for word in text.split(","))
    except ValueError:
        raise RecolorError(
            f"expected --levels LOW,HIGH or auto, got {text!r}; for example --levels 0,4095"
        ) from None
    return low, high


def _weights(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show all that is known of these.")
    ] = None,
    fetch: Annotated[
        str | None, typer.Option(metavar="NAME", help="Download these, checked by their SHA-256.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the networks that can be asked for by name."""
    from recolor_core.weights import fetch_weights, list_weights, load_weights

    if fetch:
        print(fetch_weights(fetch, progress=sys.stderr.isatty()))
        return
    records = [record for record in list_weights() if name in (None, record.name)]
    if name and not records:
        records = [load_weights(name).record]  # a file; or the error that says what there is
    if as_json:
        print(json.dumps([asdict(record) for record in records], indent=2))
    elif name:
        for key, value in asdict(records[0]).items():
            if isinstance(value, dict):
                value = ", ".join(f"{k} {v:g}" for k, v in value.items())
            print(f"{key.replace('_', ' '):14} {value or '-'}")
    else:
        width = max(len(record.name) for record in records)
        for record in records:
            where = "installed" if record.bundled else f"`recolor weights --fetch {record.name}`"
            print(f"{record.name:{width}}  {where}  {record.license}")


def _info(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Images, folders, patterns or -.")
    ],
    recursive: Annotated[
        bool, typer.Option("-r", "--recursive", help="Go into the folders of a folder.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON per file.")] = False,
) -> None:
    """Say how files would be read and, of a result of recolor, how it was made."""
    from recolor_core.cli.info import describe, lines

    found = find_inputs(files, recursive=recursive, own=True)
    failed = list(found.problems)
    names = [*(image.name for image in found.images), *found.results]
    for name in names:
        try:
            facts = describe(name)
        except RecolorError as error:
            show_traceback()
            failed.append((name, one_line(error)))
            continue
        print(json.dumps(facts) if as_json else "\n".join(lines(facts)))
    for name, problem in failed:
        label = label_of(name)
        print(f"recolor: {label}: {problem.removeprefix(f'{label}: ')}", file=sys.stderr)
    if failed:
        raise typer.Exit(BAD_INPUT)


def _command(function: object) -> typer.Typer:
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command()(function)  # type: ignore[type-var]
    return app


_COMMANDS = {
    "": _command(_colorize),
    "film": _command(colorize_film),
    "weights": _command(_weights),
    "info": _command(_info),
}

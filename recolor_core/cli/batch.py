"""The command ``recolor batch``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recolor_core.cli import options
from recolor_core.cli.app import make_app
from recolor_core.cli.inputs import describe_left_out
from recolor_core.cli.interrupts import BAD_INPUT, BUG, INTERRUPTED, terminable
from recolor_core.cli.report import Report
from recolor_core.cli.words import in_words_of_batch
from recolor_core.errors import RecolorError
from recolor_core.settings import Settings
from recolor_core.wording import counted

if TYPE_CHECKING:
    from recolor_core.batch.run import Estimate, Summary

_ON_CHANGED = ("fail", "redo", "skip")

ONE_PROCESS = "local:1"
"""Where a batch works unless it is told: a process of its own, which a bad file may crash."""

_SECONDS = 300.0
"""Time after which a process without progress is ended."""

OutFolder = Annotated[Path, typer.Argument(metavar="OUT_DIR", help="The output folder of a batch.")]


@options.with_settings()
def run(
    *,
    source: Annotated[
        Path, typer.Argument(metavar="IN_DIR", help="Folder of images, with its folders.")
    ],
    output: Annotated[
        Path, typer.Argument(metavar="OUT_DIR", help="Folder for the results and the manifest.")
    ],
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help='Take only such files: "*.tif", "box7/*".'),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Leave out such files.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Do at most N files in this call.")
    ] = None,
    jobs: Annotated[
        int, typer.Option(metavar="N", min=1, help="Number of processes on this machine.")
    ] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="local:N|ADDRESS|serial",
            help="Where to work: in N processes of this machine, on a Dask cluster, or in this "
            "process.",
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="Give up on a file that makes no progress for this time; 300 by default, 0 never.",
        ),
    ] = None,
    on_changed: Annotated[
        str,
        typer.Option(
            metavar="|".join(_ON_CHANGED),
            help="What to do if a result was made from an older source or with other settings.",
        ),
    ] = "fail",
    check: Annotated[
        bool,
        typer.Option("--check", help="Look into every result instead of trusting size and date."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, how long and how large.")
    ] = False,
    weights: options.Weights = "default",
    device: options.Device = "auto",
    runtime: options.Runtime = "auto",
    settings: Settings,
    stages: options.Stages = False,
    palette: options.Palette = None,
    hints: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Files of hints, laid out and named as the images: box/a.json for box/a.tif.",
        ),
    ] = None,
    reference: options.References = None,
    color_from: options.ColorFrom = None,
    levels: options.Levels = None,
    sidecar: options.Sidecar = False,
    keep_dates: options.KeepDates = False,
    max_pixels: options.MaxPixels = 500_000_000,
    c2pa_cert: options.Certificate = None,
    c2pa_key: options.SigningKey = None,
    page: Annotated[
        bool,
        typer.Option("--report/--no-report", help="Make a page with all results and failures."),
    ] = True,
    json_lines: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON per image.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Colorize a folder of any number of images and keep a manifest of it.

    The results are laid out in OUT_DIR as the images are in IN_DIR. Repeat the call to go on after
    an interruption, to retry what failed, and to do what is new.

    `recolor batch status OUT_DIR` says how far a batch is, `recolor batch export OUT_DIR FILE`
    writes the manifest as .csv or .parquet, and `recolor batch report OUT_DIR` makes a page with
    all results and failures.

    Exit codes: 0 everything is done, 1 a bug, 2 something failed or bad usage, 130 interrupted.
    """
    if on_changed not in _ON_CHANGED:
        raise RecolorError(
            f"expected --on-changed {', '.join(_ON_CHANGED[:-1])} or {_ON_CHANGED[-1]}, "
            f"got {on_changed!r}"
        )
    if scheduler and jobs > 1:
        raise RecolorError("expected --jobs or --scheduler, got both; --jobs 4 is local:4")
    place = scheduler or (f"local:{jobs}" if jobs > 1 else ONE_PROCESS)
    seconds = _SECONDS if timeout is None and place.startswith("local:") else timeout or None
    span = options.parse_levels(levels)
    with (
        terminable(),
        Report(
            1, quiet=quiet, each=False, json_lines=json_lines, words=in_words_of_batch
        ) as report,
    ):
        try:
            # Importing these takes a while.
            from recolor_core.batch.request import (
                Request,
                check_color_place,
                read_palette,
                read_reference,
            )
            from recolor_core.batch.run import Batch, estimate_batch, run_batch
            from recolor_core.batch.tasks import Work

            request = Request(
                settings=settings,
                palette=read_palette(palette) if palette else None,
                references=[read_reference(path) for path in reference or ()],
                color_from=check_color_place(Path(color_from)) if color_from else None,
                levels=span,
                stages=stages,
                sidecar=sidecar,
                on_changed=on_changed,  # type: ignore[arg-type]
                skip_results=True,
                thumbnails=page,
                keep_dates=keep_dates,
                runtime=runtime,
                max_pixels=max_pixels,
                credentials=options.read_credentials(c2pa_cert, c2pa_key),
            )
            batch = Batch(
                source,
                output,
                Work(request, weights, device, options.threads_of(place)),
                tuple(include or ()),
                tuple(exclude or ()),
                limit,
                place,
                seconds,
                check,
                hints,
            )
            if dry_run:
                estimate = estimate_batch(batch)
            else:
                summary = run_batch(batch, report)
        except KeyboardInterrupt:
            report.complain(
                f"recolor: interrupted, {counted(report.counts['done'], 'file')} done in this "
                "call; repeat it to go on from there"
            )
            raise typer.Exit(INTERRUPTED) from None
        for line in describe_left_out((estimate if dry_run else summary).left_out):
            report.line(line)
        for path in () if dry_run else summary.unused_hints:
            report.complain(
                f"recolor: {path}: these hints belong to no image; name and place the file as its "
                "image in the input folder"
            )
        if dry_run:
            _show_estimate(estimate, options.processes_of(place), as_json=json_lines)
            return
        report.line(_summary_line(summary, report, output))
        if page:
            from recolor_core.batch.report import write_report

            report.line(f"report: {write_report(output)}")
    if summary.bugs:
        raise typer.Exit(BUG)
    if summary.outcomes["failed"]:
        raise typer.Exit(BAD_INPUT)


def _summary_line(summary: "Summary", report: Report, output: Path) -> str:
    counts = summary.outcomes
    parts = [f"{counts['done']} done"]
    if there := summary.current + counts["skipped"]:
        parts.append(f"{there} there already")
    if counts["kept"]:
        parts.append(f"{counts['kept']} left as they are")
    if counts["failed"]:
        parts.append(f"{counts['failed']} failed (recolor batch status {output} lists them)")
    if summary.left:
        parts.append(f"{summary.left} left to do")
    return f"{', '.join(parts)}, in {report.seconds:.1f} s"


def _show_estimate(estimate: "Estimate", processes: int, *, as_json: bool) -> None:
    seconds = estimate.seconds and estimate.seconds / processes
    if as_json:
        facts = {
            "files": estimate.files,
            "there_already": estimate.current,
            "megapixels": estimate.megapixels,
            "seconds": seconds,
            "output_bytes": estimate.output_bytes,
            "free_bytes": estimate.free_bytes,
            "samples": estimate.samples,
        }
        print(json.dumps(facts))
        return
    print(
        f"{counted(estimate.files, 'file')} to do, about {estimate.megapixels:,.1f} megapixels; "
        f"{estimate.current} there already"
    )
    if seconds is not None and estimate.output_bytes is not None:
        print(
            f"about {_duration(seconds)} with {processes} process{'es' * (processes > 1)} "
            f"(from {estimate.samples} of the images)"
        )
        short = "; NOT ENOUGH" if estimate.output_bytes > estimate.free_bytes else ""
        print(
            f"about {_bytes(estimate.output_bytes)} of results, {_bytes(estimate.free_bytes)} "
            f"are free{short}"
        )


def status(
    output: OutFolder,
    failures: Annotated[
        int, typer.Option(metavar="N", min=0, help="List at most N of the failed files.")
    ] = 20,
    as_json: options.Json = False,
) -> None:
    """Say how far a batch is, while it runs too."""
    from recolor_core.batch.lock import is_running
    from recolor_core.batch.manifest import Manifest

    with Manifest(output) as manifest:
        counts, totals, last = manifest.counts(), manifest.totals(), manifest.last_run()
        speed = manifest.speed()
        failed = list(manifest.failures(failures))
    running = is_running(output)
    facts: dict[str, Any] = {
        "running": running,
        "files": counts,
        **totals,
        "megapixels_per_second": speed,
        "last_run": last,
        "failures": failed,
    }
    if as_json:
        print(json.dumps(facts))
        return
    parts = [f"{n} {name}" for name, n in counts.items() if n and name not in ("running",)]
    if counts["running"]:
        parts.append(f"{counts['running']} {'being done' if running else 'interrupted'}")
    print(f"{output}: {', '.join(parts) or 'no files'}")
    print(
        f"{totals['megapixels']:,.1f} megapixels done, {_bytes(totals['source_bytes'])} of "
        f"sources, {_bytes(totals['output_bytes'])} of results"
        + (f", {speed:.1f} MP/s for each process" if speed else "")
    )
    if last:
        when = "a batch is running" if running else "no batch is running"
        ended = last["ended"] or ("" if running else "interrupted")
        print(f"{when}; the last one began {last['started']}" + (f", ended {ended}" * bool(ended)))
    for row in failed:
        print(f"{row['path']}: {in_words_of_batch(row['message'])}")
    if counts["failed"] > len(failed):
        print(f"... and {counts['failed'] - len(failed)} more: --failures {counts['failed']}")


def export(
    output: OutFolder,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv or .parquet file.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE.")] = False,
) -> None:
    """Write the manifest as a table, one row per file and page."""
    from recolor_core.batch.export import export_manifest

    count = export_manifest(output, target, overwrite=overwrite)
    print(f"{target}: {count} rows")


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{counted(days, 'day')} and {counted(hours, 'hour')}"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def make_report(output: OutFolder) -> None:
    """Write the report: a page to be opened in a browser, from the disk."""
    from recolor_core.batch.report import write_report

    print(write_report(output))


COMMANDS = {
    "status": make_app(status),
    "export": make_app(export),
    "report": make_app(make_report),
}
"""Commands about a batch, by the word behind ``recolor batch``."""

_RUN = make_app(run)


def app(words: list[str], prog_name: str) -> None:
    """Run a command of ``recolor batch``; without one of their names, the batch itself."""
    name = words[0] if words else ""
    if name in COMMANDS:
        COMMANDS[name](words[1:], prog_name=f"{prog_name} {name}")
    else:
        _RUN(words, prog_name=prog_name)

"""Command line: ``python -m training.prepare fetch|clean|pack``."""

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars
from rich.table import Table

from training.command import run_command
from training.prepare.clean import clean
from training.prepare.datasets import DATASETS, RemoteFile
from training.prepare.errors import PrepareError
from training.prepare.fetch import fetch_files
from training.prepare.pack import Codec, Packing, pack
from training.prepare.progress import Progress
from training.prepare.retry import RetryPolicy
from training.prepare.rules import TITLES, Thresholds
from training.prepare.unpack import unpack

app = typer.Typer(
    help="Fetch, clean and pack photographs for training.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Processes = Annotated[int, typer.Option("-n", min=1, help="Number of processes.")]


@contextmanager
def _bars(of_bytes: bool = False) -> Iterator[Progress]:
    """Show progress bars on stderr, one for each name that a callback reports."""
    amount = (DownloadColumn(), TransferSpeedColumn()) if of_bytes else (MofNCompleteColumn(),)
    columns = (TextColumn("{task.description}"), BarColumn(), *amount, TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what)
            bars.update(tasks[what], completed=done, total=total or None)

        yield show


@app.command("fetch")
def fetch_command(
    what: Annotated[
        list[str] | None, typer.Argument(help="Names of collections, or URLs of files.")
    ] = None,
    into: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("data"),
    connections: Annotated[
        int, typer.Option("-n", min=1, max=32, help="Number of connections at a time.")
    ] = RetryPolicy.connections,
    sha256: Annotated[str, typer.Option(help="Expected SHA-256; requires exactly one URL.")] = "",
    unpack_archives: Annotated[
        bool,
        typer.Option("--unpack", help="Also unpack. `clean` can read zip and tar files directly."),
    ] = False,
) -> None:
    """Fetch collections by name or files by URL. Without arguments, list the collections.

    If a run is interrupted or fails, run the same command again to resume it.
    """
    if not what:
        table = Table("name", "what", "license")
        for dataset in DATASETS.values():
            table.add_row(dataset.name, dataset.what, dataset.license)
        Console().print(table)
        return
    files: list[RemoteFile] = []
    for name in what:
        if name in DATASETS:
            files += DATASETS[name].files
        elif urlsplit(name).scheme in ("http", "https"):
            files.append(RemoteFile(name, sha256=sha256))
        else:
            raise PrepareError(
                f"{name} is neither an http(s) URL nor one of: {', '.join(DATASETS)}."
            )
    if sha256 and (len(files) != 1 or files[0].sha256 != sha256):
        raise PrepareError("--sha256 requires exactly one URL and no collection name.")
    with _bars(of_bytes=True) as progress:
        paths = fetch_files(files, into, RetryPolicy(connections=connections), progress)
    for path in paths:
        typer.echo(unpack(path) if unpack_archives else path)


def _threshold_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one flag for each field of `Thresholds`, with help from its docstring."""
    explained = inspect.getdoc(Thresholds) or ""
    own = [
        parameter
        for parameter in inspect.signature(command).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    flags = []
    for threshold in fields(Thresholds):
        text = re.search(rf"^{threshold.name} : .*\n((?:    .*\n?)+)", explained, re.MULTILINE)
        option = typer.Option(
            help=" ".join(text[1].split()) if text else None, rich_help_panel="Thresholds"
        )
        flags.append(
            inspect.Parameter(
                threshold.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=threshold.default,
                annotation=Annotated[threshold.type, option],
            )
        )
    signature = inspect.Signature([*own, *flags])
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {
        name: parameter.annotation for name, parameter in signature.parameters.items()
    }
    return command


@app.command("clean")
@_threshold_flags
def clean_command(
    inputs: Annotated[
        list[Path] | None, typer.Argument(help="Folders of images or archives, tar or zip files.")
    ] = None,
    into: Annotated[Path, typer.Option(help="Folder for manifest and report.")] = Path("report"),
    val: Annotated[float, typer.Option(help="Fraction of the images for validation.")] = 0.05,
    test: Annotated[float, typer.Option(help="Fraction of the images for testing.")] = 0.0,
    hold_out: Annotated[
        list[Path] | None,
        typer.Option(help="Images only for validation, together with their near-duplicates."),
    ] = None,
    facts: Annotated[
        Path | None, typer.Option(help="CSV file: key, source, category, origin, license.")
    ] = None,
    workers: Processes = 1,
    sheet: Annotated[int, typer.Option(min=1, help="Maximum images on a contact sheet.")] = 120,
    **thresholds: float,
) -> None:
    """Apply outlier rules to images and write a manifest and contact sheets. Nothing is deleted.

    A later run, with other thresholds or more images, measures only new or changed images.
    """
    if not inputs and not hold_out:
        raise PrepareError("no images given: name folders, tars or zips.")
    with _bars() as progress:
        report = clean(
            inputs or [],
            into,
            thresholds=Thresholds(**thresholds),  # type: ignore[arg-type]
            val=val,
            test=test,
            hold_out=hold_out or [],
            facts=facts,
            workers=workers,
            sheet=sheet,
            progress=progress,
        )
    for rule, number in report.rejected.items():
        typer.echo(f"{number:8d}  {TITLES[rule]}")
    kept = ", ".join(f"{number} {split}" for split, number in report.kept.items() if number)
    typer.echo(f"{sum(report.kept.values()):8d}  kept of {report.images} ({kept})")
    typer.echo(f"Review {into / 'index.html'}")


@app.command("pack")
def pack_command(
    manifest: Annotated[Path, typer.Argument(help="Manifest from `clean`, or its folder.")],
    into: Annotated[Path, typer.Option(help="Folder for the shards.")] = Path("shards"),
    short_side: Annotated[
        int,
        typer.Option(help="Short side of the packed images in pixels; images are never enlarged."),
    ] = Packing.short_side,
    codec: Annotated[Codec, typer.Option(help="Encoding of the images.")] = Packing.codec,
    quality: Annotated[
        int, typer.Option(help="Quality of lossy WebP and JPEG, 0 to 100.")
    ] = Packing.quality,
    per_shard: Annotated[int, typer.Option(help="Images in a shard.")] = Packing.per_shard,
    workers: Processes = 1,
) -> None:
    """Pack the kept images into tar shards for WebDataset.

    If a run is interrupted, run the same command again. Complete shards are kept.
    """
    packing = Packing(short_side, codec, quality, per_shard)
    with _bars() as progress:
        shards = pack(manifest, into, packing, workers=workers, progress=progress)
    size = sum(shard.bytes for shard in shards) / 1e6
    images = sum(shard.images for shard in shards)
    typer.echo(f"{images} images in {len(shards)} shards, {size:.1f} MB, in {into}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command of `training.prepare`."""
    run_command(app, arguments, "python -m training.prepare")


if __name__ == "__main__":
    main()

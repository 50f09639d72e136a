"""The command ``recolor film``. See `docs/film.md`."""

import json
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from recolor_core.batch.outcome import one_line
from recolor_core.cli import options
from recolor_core.cli.app import make_app
from recolor_core.cli.interrupts import INTERRUPTED, terminable
from recolor_core.cli.words import in_words_of_film
from recolor_core.errors import RecolorError
from recolor_core.settings import FilmSettings, Settings
from recolor_core.wording import counted

if TYPE_CHECKING:
    from recolor_core.film import FilmResult


@options.with_settings("alternatives", "tile")
def colorize_film(
    *,
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN", help='A film, a folder of images, or a pattern: "scan_%05d.dpx".'
        ),
    ],
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[OUT]",
            help="A film (.mp4, .mkv, .mov, .webm ...), numbered images (frame_%06d.tif, .png, "
            ".dpx), or a folder for them. Without it, --key-frames and --shots are written.",
        ),
    ] = None,
    weights: options.Weights = "default",
    device: options.Device = "auto",
    runtime: options.Runtime = "auto",
    settings: Settings,
    film: FilmSettings,
    hints: Annotated[
        str | None, typer.Option(metavar="FILE", help="Points of known color at key frames, JSON.")
    ] = None,
    palette: options.Palette = None,
    key_frames: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Without OUT: write one frame of each shot there, for you to color. With OUT: "
            "put the color of those that you colored on their shots.",
        ),
    ] = None,
    reference_frame: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TIME=FILE",
            help="A colored frame and when it is shown: 1:30.5=frame.png; may be repeated.",
        ),
    ] = None,
    color_from: Annotated[
        str | None,
        typer.Option(
            metavar="IMAGE|FOLDER|FILM",
            help="Take the color of another version of the film, made by another tool.",
        ),
    ] = None,
    shots: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Cuts, fades and leader, JSON: written if it is not there, else read, so that "
            "you can correct it.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT, and parts of another call for it.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON on standard output at the end.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Colorize a film: steady colors, and everything else of it copied.

    A call that was interrupted goes on when it is repeated; one that is complete is skipped.
    OUT.json says how OUT was made.

    Exit codes: 0 done, 1 a bug, 2 bad input or usage, 130 interrupted.
    """
    console = Console(stderr=True)
    with terminable(), warnings.catch_warnings():
        warnings.showwarning = _told_by(console, source)
        # These import torch and PyAV.
        from recolor_core.batch.request import read_palette
        from recolor_core.colorizer import Colorizer
        from recolor_core.film import (
            FilmJob,
            extract_key_frames,
            parse_key_frame,
            read_key_frames,
            read_key_hints,
        )
        from recolor_core.film import colorize_film as events

        if target is None and key_frames is None and shots is None:
            raise RecolorError(
                "expected OUT, a film or a folder for images; or --key-frames FOLDER or --shots "
                "FILE, which are written if there is no OUT"
            )
        keys = [parse_key_frame(text) for text in reference_frame or ()]
        if key_frames is not None and target is not None:
            keys += read_key_frames(key_frames)
        job = FilmJob(
            **asdict(film),
            settings=settings,
            palette=read_palette(palette) if palette else None,
            hints=read_key_hints(hints) if hints else (),
            keys=keys,
            color_from=color_from,
            shots=shots,
            overwrite=overwrite,
        )
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Speed(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        began, begun, done, total, stage = time.monotonic(), 0, 0, 0, ""
        with nullcontext() if bar.disable else bar:  # rich before 14.3 ends it with a line
            task = bar.add_task("reading", total=None)
            try:
                steps = (
                    extract_key_frames(source, key_frames, job)
                    if target is None
                    else events(Colorizer(weights, device, runtime), source, target, job)
                )
                for event in steps:
                    if event.stage != stage:
                        stage, begun = event.stage, event.done
                        began = time.monotonic()
                        bar.reset(task, description=stage, completed=begun)
                    done, total = event.done, event.total
                    bar.update(task, completed=done, total=total)
            except KeyboardInterrupt:
                if not bar.disable:
                    bar.stop()
                console.out(
                    f"recolor: interrupted, {done if stage == 'frames' else 0} of "
                    f"{counted(total, 'frame')} done; the same call goes on from there",
                    highlight=False,
                )
                raise typer.Exit(INTERRUPTED) from None
        seconds = time.monotonic() - began
        if target is None:
            if key_frames and not quiet:
                written = counted(done if stage == "key frames" else 0, "key frame")
                console.out(f"{source} -> {key_frames} ({written})", highlight=False)
            return
        result = event.result
        assert result is not None
        if not quiet:
            skipped = result.status == "skipped"
            line = _skipped if skipped else partial(_line, frames=done - begun, seconds=seconds)
            console.out(line(source, result), highlight=False)
        if as_json:
            facts = {"input": source, **asdict(result), "seconds": round(seconds, 3)}
            print(json.dumps(facts), flush=True)


def _skipped(source: str, result: "FilmResult") -> str:
    there = f"{result.output} is there already, complete and made in the same way"
    return f"{source}: skipped, {there}"


def _line(source: str, result: "FilmResult", frames: int, seconds: float) -> str:
    cuts = f", {counted(len(result.cuts), 'cut')}" if result.cuts else ""
    before = f", {result.resumed} of them before" if result.resumed else ""
    speed = f", {frames / seconds:.1f} a second" if frames else ""
    done = counted(result.frames, "frame")
    return f"{source} -> {result.output} ({done}{before}{cuts}, in {seconds:.1f} s{speed})"


def _told_by(console: Console, source: str) -> Callable[..., None]:
    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        text = in_words_of_film(message).removeprefix(f"{one_line(source)}: ")
        console.out(f"recolor: {one_line(source)}: {text}", highlight=False)

    return show


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.2f}/s" if task.speed else "", style="progress.data.speed")


app = make_app(colorize_film)

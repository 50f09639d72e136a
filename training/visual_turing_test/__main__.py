"""Command line: ``python -m training.visual_turing_test prepare|show|summary|machine``."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from training.command import run_command
from training.photographs import DataError
from training.visual_turing_test.pairs import make_pairs
from training.visual_turing_test.session import IMAGES, Questionnaire, Session, make_questionnaire
from training.visual_turing_test.summary import Given, Row, write_summary

app = typer.Typer(
    help="Test whether people and machines can tell colorized photographs from real ones.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DEFAULT = ["default"]

Sources = Annotated[list[Path], typer.Argument(help="Folders, tar or zip files of photographs.")]
Folder = Annotated[Path, typer.Argument(help="Folder written by `prepare`.")]
Out = Annotated[Path, typer.Option(help="Folder for the images and the results.")]
Weights = Annotated[
    list[str] | None, typer.Option(help="Name or path of a weights file; repeatable.")
]
Size = Annotated[int, typer.Option(min=64, help="Side of the squares in pixels.")]
Seed = Annotated[int, typer.Option(min=0, help="Random seed.")]
Device = Annotated[str, typer.Option(help="auto, cpu, mps, cuda, cuda:1, ...")]


class FrontEnd(StrEnum):
    """The program that shows the test."""

    NAPARI = "napari"
    TERMINAL = "terminal"


@app.command()
def prepare(
    sources: Sources,
    out: Out,
    weights: Weights = None,
    trials: Annotated[int, typer.Option(min=1, help="Number of trials for each observer.")] = 40,
    size: Size = 256,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Colorize photographs for a visual test in which every observer sees all of them.

    If a run is interrupted, run the same command again.
    """
    pairs = make_pairs(
        sources, out / IMAGES, weights or DEFAULT, trials, size=size, seed=seed, device=device
    )
    make_questionnaire(pairs, seed).write(out)
    print(f"{trials} trials, {', '.join(pairs.weights)}. Next:")
    print(f"python -m training.visual_turing_test show napari {out} --observer NAME")


@app.command()
def show(
    where: FrontEnd,
    folder: Folder,
    observer: Annotated[
        str, typer.Option(help="Your name; it identifies your answers and lets you resume.")
    ],
    viewer: Annotated[
        str | None,
        typer.Option(help="Terminal: program that shows images, instead of the system default."),
    ] = None,
    enlarge: Annotated[
        int, typer.Option(min=1, max=8, help="Terminal: factor to enlarge the images by.")
    ] = 2,
) -> None:
    """Take or resume the visual test: say which image is the real photograph."""
    session = Session(folder, observer)
    if where is FrontEnd.TERMINAL:
        from training.visual_turing_test import terminal

        terminal.show(session, terminal.ImageViewer(viewer), enlarge=enlarge)
        return
    try:
        from training.visual_turing_test import window
    except ImportError as error:
        raise DataError(
            f'napari cannot be used ({error}); pip install "napari-recolor[all]", or take '
            "`show terminal`"
        ) from error
    window.show(session)


@app.command()
def summary(folder: Folder) -> None:
    """Print how often observers were fooled and what gave images away, and write tables."""
    Questionnaire.read(folder)  # reject a folder that is not a test
    rows, images = write_summary(folder)
    if not rows[0].trials:
        raise DataError(f"{folder} holds no answers yet; take the test with `show` first")
    _print_rows(rows)
    _print_images([one for one in images if one.told])


@app.command()
def machine(
    sources: Sources,
    out: Out,
    weights: Weights = None,
    pairs: Annotated[int, typer.Option(min=1, help="Number of photographs.")] = 200,
    folds: Annotated[int, typer.Option(min=2, help="Number of folds of the cross-validation.")] = 5,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Also print what the trees distinguish the images by."),
    ] = False,
    size: Size = 256,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Run a two-sample test, with controls, by classifiers that learn from other pairs.

    If a run is interrupted, run the same command again. Images are not colorized twice.
    """
    from training.visual_turing_test.machine import (
        two_sample_tests,
    )  # imported here because scikit-learn and XGBoost load slowly

    made = make_pairs(
        sources, out / IMAGES, weights or DEFAULT, pairs, size=size, seed=seed, device=device
    )
    rows, explanations = two_sample_tests(made, out, folds=folds, seed=seed, explained=explain)
    _print_tests(rows)
    for name, explanation in explanations.items():
        _print_explanation(name, explanation)


def _print_rows(rows: Sequence[Row]) -> None:
    title = "Colorized images taken for real (50 % is perfect)"
    table = Table("observer", "weights", "fooled", "share, 95 % interval", title=title)
    for row in rows:
        share = f"{row.share:.1%} [{row.low:.1%}, {row.high:.1%}]"
        table.add_row(
            row.observer or "all", row.weights or "all", f"{row.fooled} of {row.trials}", share
        )
    Console().print(table)


def _print_images(images: Sequence[Given]) -> None:
    table = Table("image", "weights", "told", "what gave it away", title="Told apart")
    for one in images:
        reasons = ", ".join(f"{name} ({count})" for name, count in one.reasons.items() if count)
        table.add_row(one.image, one.weights, f"{one.told} of {one.trials}", reasons)
    Console().print(table)


def _print_tests(rows: Sequence[Any]) -> None:
    title = "Told from photographs by a machine (50 % is perfect)"
    table = Table("against", "by", "pairs", "one by one", "side by side", "p <", title=title)
    for row in rows:
        table.add_row(
            f"{row.other} (control)" if row.control else row.other,
            row.classifier,
            str(row.pairs),
            f"{row.accuracy:.1%} [{row.accuracy_low:.1%}, {row.accuracy_high:.1%}]",
            f"{row.told:.1%} [{row.told_low:.1%}, {row.told_high:.1%}]",
            f"{row.p:.2g}",
        )
    Console().print(table)


def _print_explanation(weights: str, explanation: Any) -> None:
    title = f"{weights}: pairs that the trees tell by one group of statistics, or without it"
    table = Table("group", "statistics", "by it alone", "without it", title=title)
    for group in explanation.groups:
        table.add_row(
            group.name,
            str(group.statistics),
            f"{group.told_by:.0%}",
            f"{group.told_without:.0%}",
        )
    Console().print(table)
    title = f"{weights}: the statistics that the trees use most"
    columns = ("statistic", "gain", "by it alone", "photographs", "colorized", "larger")
    table = Table(*columns, title=title, caption="photographs, colorized: medians")
    for one in explanation.statistics:
        table.add_row(
            one.name,
            f"{one.gain:.1%}",
            f"{one.told_by:.0%}",
            f"{one.photograph:.3g}",
            f"{one.twin:.3g}",
            f"{one.larger:.0%}",
        )
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command of `training.visual_turing_test`."""
    run_command(app, arguments, "python -m training.visual_turing_test")


if __name__ == "__main__":
    main()

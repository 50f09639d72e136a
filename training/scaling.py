"""Test loss against the number of training inputs: ``python -m training.scaling``.

Every model is fitted on 1/8, 1/4, 1/2 and all of the same training images, the smaller sets being
parts of the larger ones, and measured on the same photographs as in `training.evaluate`::

    python -m training.scaling val.tar --train train-0000.tar --out study -n 2

The networks ``generator`` and ``original`` are trained by their recipe, ``--config``, with the same
number of steps on every set::

    python -m training.scaling val.tar --train train-0000.tar --out study --models generator

It writes into the folder ``scaling.csv``, one row per model, number of images and metric (model,
title, fraction, images, metric, mean, low, high: a 95 % bootstrap interval over the measured
images), and ``scaling.json``: ``format``, ``created``, ``sources``, ``train``, ``measured`` (how
many images) and ``rows``, the same table. What was fitted, trained or measured before is taken
from ``fits/``, ``networks/`` and ``rows.jsonl``, so that a study that was stopped goes on.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from recolor_core.errors import RecolorError
from recolor_core.files import write_file
from recolor_core.models.generator import Generator
from recolor_core.models.refiner import Refiner
from recolor_core.trainer import GeneratorRecipe, GeneratorTask, Photographs, Task, fit
from recolor_core.weights import save_weights
from training.command import run_command
from training.evaluate import (
    SIZE,
    ReadyModels,
    SourceImage,
    Store,
    Training,
    by_content,
    measure_all,
    tabulate,
)
from training.evaluation_data import FORMAT
from training.export import read_network
from training.measures import MEASURES
from training.models import FITTED, ModelRequest
from training.original import OriginalRecipe, OriginalTask
from training.photographs import Squares
from training.summary import plain, summarize
from training.train import MARGIN, checked, started


class ScalingError(RecolorError, ValueError):
    """A study cannot be made as asked for."""


@dataclass(frozen=True)
class Point:
    """A model on a part of the training images: one row for each metric.

    Parameters
    ----------
    model, title
        Which.
    fraction, images
        How much it was fitted on.
    metric
        What was measured.
    mean, low, high
        And its 95 % bootstrap interval.
    """

    model: str
    title: str
    fraction: float
    images: int
    metric: str
    mean: float
    low: float
    high: float


def _generator(config: Path | None, training: Training, folder: Path) -> ModelRequest:
    recipe = GeneratorRecipe.read(config)
    checkpoint = _trained(GeneratorTask(recipe), training, folder)
    # Alone: an untrained refiner is bicubic upsampling.
    weights = folder / "generator.safetensors"
    network, _ = read_network("generator", checkpoint)
    assert isinstance(network, Generator)
    save_weights(
        weights, network, Refiner(), license="", training_data="a part", recipe="of a study"
    )
    return ModelRequest(("coarse",), str(weights))


def _original(config: Path | None, training: Training, folder: Path) -> ModelRequest:
    task = OriginalTask(OriginalRecipe.read(config))
    return ModelRequest(("original",), original=_trained(task, training, folder))


NETWORKS: dict[str, Callable[[Path | None, Training, Path], ModelRequest]] = {
    "generator": _generator,
    "original": _original,
}
"""Networks that can be studied."""


def _trained(task: Task, training: Training, folder: Path) -> Path:
    """The last checkpoint of a training on these images, gone on with where there is one."""
    images = checked(list(training.images))
    squares = Squares(images, round(task.recipe.size * MARGIN))
    fit(started(task), Photographs(squares), folder)
    return folder / "last.ckpt"


def study(
    name: str,
    fraction: Fraction,
    training: Training,
    images: Mapping[str, SourceImage],
    out: Path,
    config: Path | None,
    workers: int,
) -> list[Point]:
    """Fit one model on a part of the training images and measure it.

    Parameters
    ----------
    name
        Of `training.models.FITTED` or `NETWORKS`.
    fraction
        In (0, 1].
    training
        All training images.
    images
        To measure on, by their fingerprints.
    out
        Folder of the study.
    config
        Recipe of a network.
    workers
        Number of processes.
    """
    part = training.first(max(1, round(fraction * len(training.images))))
    count = len(part.images)
    if name in NETWORKS:
        request = NETWORKS[name](config, part, out / "networks" / f"{name}-{count}")
    else:
        request = ModelRequest((name,), workers=workers)
    ready = ReadyModels.fitted(request, part, out / "fits")
    rows = measure_all(images, ready, Store(out / "rows.jsonl"), workers)
    table = tabulate(images, [""] * len(images), ready, rows)
    ((summary),) = summarize(table, MEASURES).values()
    title = name if name in NETWORKS else ready.models()[0].title
    return [
        Point(name, title, float(fraction), count, metric, *interval)
        for metric, interval in summary.items()
    ]


def main(
    sources: Annotated[list[Path], typer.Argument(help="Photographs to measure on.")],
    train: Annotated[list[Path], typer.Option(help="Photographs to fit models on; repeatable.")],
    out: Annotated[Path, typer.Option(help="Folder of the study; resumed if there is one.")],
    train_count: Annotated[
        int, typer.Option(min=0, help="Number of photographs to fit on; 0 uses all.")
    ] = 2000,
    models: Annotated[
        str, typer.Option(help=f"Models to study, of {', '.join((*FITTED, *NETWORKS))}.")
    ] = "average,forest,xgboost",
    fractions: Annotated[
        str, typer.Option(help="Fractions of the photographs to fit on.")
    ] = "1/8,1/4,1/2,1",
    config: Annotated[
        Path | None,
        typer.Option(help="Recipe of the network, a TOML file; only if one network is studied."),
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Measure only every n-th image.")] = 1,
    workers: Annotated[int, typer.Option("-n", min=1, help="Number of processes.")] = 1,
) -> None:
    """Measure how much better models become with more images to learn from."""
    names = [name.strip() for name in models.split(",")]
    if unknown := sorted(set(names) - {*FITTED, *NETWORKS}):
        raise ScalingError(
            f"expected models among {', '.join((*FITTED, *NETWORKS))}, got {', '.join(unknown)}"
        )
    if config is not None and len(set(names) & set(NETWORKS)) > 1:
        raise ScalingError("--config is the recipe of one network: study one at a time")
    parts = _fractions(fractions)
    images = by_content(sources, every)
    training = Training.of(train, train_count, set(images))
    out.mkdir(parents=True, exist_ok=True)
    points: list[Point] = []
    for name in names:
        for part in parts:
            found = study(name, part, training, images, out, config, workers)
            points += found
            shown = {point.metric: point for point in found}
            mse, psnr = shown["mse"], shown["psnr"]
            print(
                f"{name:10} {mse.images:7} images   "
                f"MSE x 1000 {1000 * mse.mean:.2f} ({1000 * mse.low:.2f}–{1000 * mse.high:.2f})   "
                f"PSNR {psnr.mean:.2f} ({psnr.low:.2f}–{psnr.high:.2f}) dB"
            )
    table = pd.DataFrame([asdict(point) for point in points])
    about = {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "size": SIZE,
        "sources": [str(path) for path in sources],
        "train": [str(path) for path in train],
        "measured": len(images),
        "rows": [asdict(point) for point in points],
    }
    write_file(out / "scaling.csv", table.to_csv(index=False).encode())
    write_file(out / "scaling.json", (json.dumps(plain(about), indent=1) + "\n").encode())


def _fractions(text: str) -> list[Fraction]:
    try:
        found = [Fraction(part.strip()) for part in text.split(",")]
    except (ValueError, ZeroDivisionError):
        found = []
    if not found or not all(0 < part <= 1 for part in found):
        raise ScalingError(f"expected parts above 0 and up to 1 such as 1/8,1/2,1, got {text!r}")
    return found


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    run_command(app)

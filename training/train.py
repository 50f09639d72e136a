"""Train a network: ``python -m training.train generator|refiner --config … --data … --out …``."""

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.progress import track
from torch import Tensor
from torch.utils.data import Dataset

from recolor_core.errors import RecolorError
from recolor_core.generator import Generator
from recolor_core.trainer import (
    CachedPhotographs,
    GeneratorRecipe,
    GeneratorTask,
    Machine,
    OneBatch,
    Outcome,
    Photographs,
    PredictionCache,
    Recipe,
    RefinerRecipe,
    RefinerTask,
    Task,
    TrainingError,
    fit,
    frozen_generator,
    start_from,
    write_predictions,
)
from training.photographs import DataError, Squares, list_photographs
from training.prepare.pictures import Picture

MARGIN = 8 / 7
"""Side of the squares that the generator's random crops are cut from: 256 pixels for 224."""


class Network(StrEnum):
    """What can be trained."""

    GENERATOR = "generator"
    REFINER = "refiner"


def main(
    network: Network,
    data: Annotated[list[Path], typer.Option(help="Folder, tar or zip of photographs; repeat.")],
    out: Annotated[Path, typer.Option(help="Folder of this training; resumed where it has one.")],
    config: Annotated[Path | None, typer.Option(help="Recipe, a TOML file.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Replace a value of it: --set steps=500.")
    ] = None,
    validation: Annotated[
        list[Path] | None, typer.Option(help="Photographs to validate on, never trained on.")
    ] = None,
    validation_count: Annotated[
        int, typer.Option(help="How many of them, evenly chosen; 0 is all.")
    ] = 64,
    cache: Annotated[
        Path | None,
        typer.Option(help="Refiner: keep what the generator predicts, 1.6 MB each, in a folder."),
    ] = None,
    cache_count: Annotated[int, typer.Option(help="Photographs in the cache; 0 is all.")] = 0,
    accelerator: Annotated[str, typer.Option(help="Of Lightning: auto, cpu, cuda, mps.")] = "auto",
    devices: Annotated[str, typer.Option(help="Number of devices, or auto.")] = "auto",
    strategy: Annotated[str, typer.Option(help="Of Lightning: auto, ddp, …")] = "auto",
    nodes: Annotated[int, typer.Option(help="Number of machines.")] = 1,
    workers: Annotated[int, typer.Option(help="Loading processes for each device.")] = 2,
    synthetic: Annotated[
        bool, typer.Option(help="One batch again and again: the speed without loading.")
    ] = False,
    progress: Annotated[bool, typer.Option(help="Show a bar.")] = True,
) -> None:
    """Train a network by a recipe, or go on with a training that was stopped."""
    pictures = checked(list_photographs(data))
    task, photographs = (
        _generator(config, set_, pictures)
        if network is Network.GENERATOR
        else _refiner(config, set_, pictures, cache, cache_count)
    )
    if synthetic:
        photographs = OneBatch(photographs, task.recipe.batch)
    check = None
    if validation:
        listed = list_photographs(validation)
        every = max(1, len(listed) // validation_count) if validation_count else 1
        check = Photographs(Squares(listed[::every], task.recipe.size))
    machine = Machine(
        accelerator, int(devices) if devices.isdecimal() else devices, nodes, strategy, workers
    )
    outcome = fit(task, photographs, out, validation=check, machine=machine, progress=progress)
    print(_sentence(outcome, out))


def _generator(
    config: Path | None, overrides: Sequence[str] | None, pictures: Sequence[Picture]
) -> tuple[Task, Dataset[dict[str, Tensor]]]:
    recipe = GeneratorRecipe.read(config, _pairs(overrides))
    task = GeneratorTask(recipe)
    _start(task, recipe)
    return task, Photographs(Squares(pictures, round(recipe.size * MARGIN)))


def _refiner(
    config: Path | None,
    overrides: Sequence[str] | None,
    pictures: Sequence[Picture],
    cache: Path | None,
    cache_count: int,
) -> tuple[Task, Dataset[dict[str, Tensor]]]:
    recipe = RefinerRecipe.read(config, _pairs(overrides))
    generator, name = frozen_generator(recipe.generator)
    task = RefinerTask(recipe, generator)
    _start(task, recipe)
    squares = Squares(pictures, recipe.size)
    if cache is None:
        return task, Photographs(squares)
    _predict(cache, generator, name, squares, cache_count or len(squares), recipe.seed)
    return task, CachedPhotographs(PredictionCache.open(cache, name))


def _predict(
    folder: Path, generator: Generator, name: str, squares: Squares, count: int, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(squares))[:count].tolist()
    batches = write_predictions(folder, generator, name, squares, order)
    for _ in track(batches, "Predicting", total=None):
        pass


def _start(task: Task, recipe: Recipe) -> None:
    if recipe.start:
        taken = start_from(task.network, recipe.start, f"{recipe.kind}.")
        print(f"{len(taken.loaded)} tensors to start from; fresh: {', '.join(taken.fresh) or '-'}")


def checked(pictures: list[Picture]) -> list[Picture]:
    """The pictures, if a sample of them can be read and some of it has color.

    Raises
    ------
    DataError
    """
    sample = Squares(pictures[:: max(1, len(pictures) // 32)], 64)
    spreads = []
    for number in range(len(sample)):
        codes = sample[number].float()
        spreads.append(float((codes.amax(0) - codes.amin(0)).mean()))
    if max(spreads) < 2:  # of 255: no more than the JPEG of a gray picture shows
        raise DataError(
            f"all {len(sample)} photographs looked at are gray, and colors are learned from "
            "color; give color photographs"
        )
    return pictures


def _pairs(overrides: Sequence[str] | None) -> dict[str, str]:
    pairs = {}
    for text in overrides or []:
        name, equals, value = text.partition("=")
        if not equals:
            raise TrainingError(f"expected --set name=value, got {text!r}")
        pairs[name.strip()] = value.strip()
    return pairs


def _sentence(outcome: Outcome, folder: Path) -> str:
    how = "no longer better, stopped" if outcome.stopped_early else "done"
    return (
        f"{how} at step {outcome.step}: {outcome.pictures_per_second:.1f} pictures/s, "
        f"{outcome.waiting:.0%} of the time waiting for pictures; see {folder}"
    )


def run(command: typer.Typer) -> None:
    """Run a command; what people can put right ends in one line and exit code 2."""
    try:
        command()
    except RecolorError as error:
        # What a loading process raised comes with its whole traceback; the error is its last line.
        message = str(error).strip().splitlines()[-1]
        message = message.removeprefix(f"{type(error).__module__}.{type(error).__name__}: ")
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    run(app)

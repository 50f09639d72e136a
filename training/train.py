"""Train a network: ``python -m training.train NETWORK --config … --data … --out …``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor
from torch.utils.data import Dataset

from recolor_core.errors import RuntimeUnavailableError
from recolor_core.runtime.compiled import compile_networks
from recolor_core.trainer import (
    CachedPhotographs,
    GeneratorRecipe,
    GeneratorTask,
    Machine,
    MemoryRecipe,
    MemoryTask,
    OneBatch,
    Outcome,
    Photographs,
    PredictionCache,
    RefinerRecipe,
    RefinerTask,
    Task,
    TrainingError,
    fit,
    frozen_generator,
    load_pretrained,
    write_predictions,
)
from recolor_core.weights import open_weights
from training.command import run_command
from training.original import OriginalRecipe, OriginalTask
from training.photographs import DataError, Squares, list_photographs
from training.prepare.images import SourceImage

MARGIN = 8 / 7
"""Side of the squares that the generator's random crops are cut from: 256 pixels for 224."""


@dataclass(frozen=True)
class TrainingRequest:
    """The arguments of the command, as the builders of the tasks use them."""

    config: Path | None
    overrides: Mapping[str, str]
    data: list[Path]
    validation: list[Path]
    validation_count: int
    cache: Path | None
    cache_count: int

    @cached_property
    def images(self) -> list[SourceImage]:
        """The images to train on."""
        return checked(list_photographs(self.data))

    @cached_property
    def held_out(self) -> list[SourceImage]:
        """The images to validate on, evenly chosen; empty if none are given."""
        listed = list_photographs(self.validation) if self.validation else []
        count = self.validation_count or len(listed)
        return listed[:: max(1, -(-len(listed) // count))] if listed else []


@dataclass(frozen=True)
class TrainingJob:
    """A task and its data: what `fit` takes."""

    task: Task
    photographs: Dataset[dict[str, Tensor]]
    validation: Dataset[dict[str, Tensor]] | None


def generator(request: TrainingRequest) -> TrainingJob:
    """A generator, on random squares of photographs."""
    recipe = GeneratorRecipe.read(request.config, request.overrides)
    return _on_squares(started(GeneratorTask(recipe)), request)


def original(request: TrainingRequest) -> TrainingJob:
    """The baseline, on what a generator would be trained on."""
    recipe = OriginalRecipe.read(request.config, request.overrides)
    return _on_squares(started(OriginalTask(recipe)), request)


def refiner(request: TrainingRequest) -> TrainingJob:
    """A refiner, on what a frozen generator predicts of photographs."""
    recipe = RefinerRecipe.read(request.config, request.overrides)
    frozen, name = frozen_generator(recipe.generator)
    task = started(RefinerTask(recipe, frozen))
    squares = Squares(request.images, recipe.size)
    if request.cache is None:
        return TrainingJob(task, Photographs(squares), _centers(request, recipe.size))
    count = request.cache_count or len(squares)
    order = np.random.default_rng(recipe.seed).permutation(len(squares))[:count].tolist()
    precision = torch.bfloat16 if recipe.precision.startswith("bf16") else torch.float32
    done = write_predictions(request.cache, frozen, name, squares, order, precision=precision)
    with Progress() as progress:
        task_id = progress.add_task("Predicting", total=len(order))
        for number in done:
            progress.update(task_id, completed=number)
    cached = CachedPhotographs(PredictionCache.open(request.cache, name))
    return TrainingJob(task, cached, _centers(request, recipe.size))


def memory(request: TrainingRequest) -> TrainingJob:
    """A color memory, on clips made of photographs and colored by a frozen generator."""
    recipe = MemoryRecipe.read(request.config, request.overrides)
    frozen, _ = frozen_generator(recipe.generator)
    return _on_squares(started(MemoryTask(recipe, frozen, _compiled(recipe.generator))), request)


BUILDERS: dict[str, Callable[[TrainingRequest], TrainingJob]] = {
    "generator": generator,
    "refiner": refiner,
    "memory": memory,
    "original": original,
}
"""The tasks that can be trained, by name."""


def started(task: Task) -> Task:
    """The task, its network begun from the weights that the recipe names."""
    if task.recipe.pretrained:
        taken = load_pretrained(task.network, task.recipe.pretrained, f"{task.recipe.kind}.")
        fresh = sorted({name.partition(".")[0] for name in taken.fresh})
        print(f"{len(taken.loaded)} tensors are pretrained; fresh: {', '.join(fresh) or 'none'}")
    return task


def _on_squares(task: Task, request: TrainingRequest) -> TrainingJob:
    squares = Squares(request.images, round(task.recipe.size * MARGIN))
    return TrainingJob(task, Photographs(squares), _centers(request, task.recipe.size))


def _compiled(weights: str) -> Callable[[NDArray[np.float32]], NDArray[np.float32]] | None:
    """The quantized generator of a weights file; None if it has none that runs here."""
    try:
        programs, _, _ = compile_networks(open_weights(weights))
    except RuntimeUnavailableError:
        return None
    return programs["generator"]


def _centers(request: TrainingRequest, size: int) -> Photographs | None:
    return Photographs(Squares(request.held_out, size)) if request.held_out else None


def main(
    network: Annotated[str, typer.Argument(help=f"What to train: {', '.join(BUILDERS)}.")],
    data: Annotated[
        list[Path], typer.Option(help="Folder, tar or zip of photographs; repeatable.")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder of this training; an existing training is resumed.")
    ],
    config: Annotated[Path | None, typer.Option(help="The recipe, a TOML file.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Replace a value of the recipe: --set steps=500; repeatable."),
    ] = None,
    validation: Annotated[
        list[Path] | None, typer.Option(help="Photographs to validate on; do not train on them.")
    ] = None,
    validation_count: Annotated[
        int, typer.Option(min=0, help="Maximum number of photographs to validate on; 0 uses all.")
    ] = 64,
    cache: Annotated[
        Path | None,
        typer.Option(help="Refiner only: folder for the generator's predictions, 1.6 MB each."),
    ] = None,
    cache_count: Annotated[
        int, typer.Option(min=0, help="Number of photographs in the cache; 0 uses all.")
    ] = 0,
    accelerator: Annotated[
        str, typer.Option(help="Lightning's accelerator: auto, cpu, cuda or mps.")
    ] = "auto",
    devices: Annotated[str, typer.Option(help="Number of devices, or auto.")] = "auto",
    strategy: Annotated[str, typer.Option(help="Lightning's strategy: auto, ddp, ...")] = "auto",
    nodes: Annotated[int, typer.Option(min=1, help="Number of machines.")] = 1,
    workers: Annotated[
        int, typer.Option(min=0, help="Number of processes that load images, per device.")
    ] = 2,
    resident: Annotated[
        bool,
        typer.Option(help="Keep all images in the device's memory, 0.2 MB each at 224 pixels."),
    ] = False,
    synthetic: Annotated[
        bool,
        typer.Option(help="Repeat one batch from memory, to measure the speed without loading."),
    ] = False,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
) -> None:
    """Train a network by a recipe, or resume a training that was stopped."""
    if network not in BUILDERS:
        raise TrainingError(f"expected one of {', '.join(BUILDERS)} to train, got {network!r}")
    request = TrainingRequest(
        config, _pairs(set_ or []), data, validation or [], validation_count, cache, cache_count
    )
    job = BUILDERS[network](request)
    photographs = job.photographs
    if synthetic:
        photographs = OneBatch(photographs, job.task.recipe.batch)
    machine = Machine(
        accelerator,
        int(devices) if devices.isdecimal() else devices,
        nodes,
        strategy,
        workers,
        resident,
    )
    outcome = fit(
        job.task, photographs, out, validation=job.validation, machine=machine, progress=progress
    )
    print(_sentence(outcome, out))


def checked(images: list[SourceImage]) -> list[SourceImage]:
    """The images, if a sample of them can be read and some of it has color.

    Raises
    ------
    DataError
    """
    sample = Squares(images[:: max(1, len(images) // 32)], 64)
    spreads = []
    for number in range(len(sample)):
        codes = sample[number].float()
        spreads.append(float((codes.amax(0) - codes.amin(0)).mean()))
    if max(spreads) < 2:  # of 255: no more than the JPEG of a gray image shows
        raise DataError(
            f"all {len(sample)} photographs looked at are gray, and colors are learned from "
            "color; give color photographs"
        )
    return images


def _pairs(overrides: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in overrides:
        name, equals, value = text.partition("=")
        if not equals:
            raise TrainingError(f"expected --set name=value, got {text!r}")
        pairs[name.strip()] = value.strip()
    return pairs


def _sentence(outcome: Outcome, folder: Path) -> str:
    how = "no longer better, stopped" if outcome.stopped_early else "done"
    return (
        f"{how} at step {outcome.step}: {outcome.images_per_second:.1f} images/s, "
        f"{outcome.waiting:.0%} of the time waiting for images; see {folder}"
    )


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    run_command(app)

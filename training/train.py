"""Train a network: ``python -m training.train generator|refiner --config … --data …``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.progress import track
from torch import Tensor
from torch.utils.data import Dataset

from recolor_core.errors import RecolorError
from recolor_core.trainer import (
    CachedPhotographs,
    Machine,
    Photographs,
    PredictionCache,
    RefinerRecipe,
    RefinerTask,
    fit,
    frozen_generator,
    start_from,
    write_predictions,
)
from training.photographs import DataError, Squares, list_photographs

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Config = Annotated[Path | None, typer.Option(help="Recipe, a TOML file.")]
Data = Annotated[list[Path], typer.Option(help="Folders, tars or zips of photographs.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Replace a value: --set steps=500.")]
Out = Annotated[Path, typer.Option(help="Folder of this training.")]
Check = Annotated[list[Path] | None, typer.Option(help="Photographs to validate on.")]
CheckCount = Annotated[int, typer.Option(help="How many of them, evenly chosen; 0 is all.")]
Devices = Annotated[str, typer.Option(help="Number of devices, or auto.")]
Accelerator = Annotated[str, typer.Option(help="Of Lightning: auto, cpu, cuda, mps.")]
Strategy = Annotated[str, typer.Option(help="Of Lightning: auto, ddp, fsdp, …")]
Nodes = Annotated[int, typer.Option(help="Number of machines.")]
Workers = Annotated[int, typer.Option(help="Processes that load pictures, for each device.")]


@app.command()
def refiner(
    data: Data,
    out: Out,
    config: Config = None,
    set_: Set = None,
    cache: Annotated[
        Path | None, typer.Option(help="Keep what the generator predicts in this folder.")
    ] = None,
    cache_count: Annotated[int, typer.Option(help="Photographs in the cache; 0 is all.")] = 0,
    validation: Check = None,
    validation_count: CheckCount = 64,
    accelerator: Accelerator = "auto",
    devices: Devices = "auto",
    strategy: Strategy = "auto",
    nodes: Nodes = 1,
    workers: Workers = 2,
) -> None:
    """Train a refiner on what a frozen generator predicts."""
    recipe = RefinerRecipe.read(config, _overrides(set_))
    generator, name = frozen_generator(recipe.generator)
    squares = Squares(_photographs(data), recipe.size)
    photographs: Dataset[dict[str, Tensor]] = Photographs(squares)
    if cache is not None:
        _fill_cache(cache, generator, name, squares, cache_count or len(squares), recipe.seed)
        photographs = CachedPhotographs(PredictionCache.open(cache, name))
    task = RefinerTask(recipe, generator)
    if recipe.start:
        print(_transfer(start_from(task.network, recipe.start, "refiner.")))
    machine = Machine(accelerator, _number(devices), nodes, strategy, workers)
    check = _validation(validation, validation_count, recipe.size)
    outcome = fit(task, photographs, out, validation=check, machine=machine)
    print(outcome)


def _fill_cache(
    folder: Path, generator: torch.nn.Module, name: str, squares: Squares, count: int, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(squares))[:count].tolist()
    done = write_predictions(folder, generator, name, squares, order)
    for _ in track(done, "Predicting", total=-(-count // 8)):
        pass


def _photographs(sources: Sequence[Path]) -> list:
    pictures = list_photographs(list(sources))
    chosen = pictures[:: max(1, len(pictures) // 32)]
    if all(_is_gray(Squares(chosen, 64)[i]) for i in range(len(chosen))):
        raise DataError(
            f"all of {len(chosen)} photographs looked at are gray; colors are learned from color"
        )
    return pictures


def _is_gray(codes: Tensor) -> bool:
    spread = codes.float().amax(0) - codes.float().amin(0)
    return float(spread.mean()) < 2  # of 255: what a JPEG of a gray picture shows at most


def _validation(
    sources: Sequence[Path] | None, count: int, size: int
) -> Dataset[dict[str, Tensor]] | None:
    if not sources:
        return None
    pictures = list_photographs(list(sources))
    every = max(1, len(pictures) // count) if count else 1
    return Photographs(Squares(pictures[::every], size))


def _overrides(pairs: Sequence[str] | None) -> dict[str, str]:
    values = dict(pair.partition("=")[::2] for pair in pairs or [])
    return values


def _number(devices: str) -> int | str:
    return int(devices) if devices.isdecimal() else devices


def _transfer(transfer) -> str:
    return f"{len(transfer.loaded)} tensors taken over, fresh: {', '.join(transfer.fresh) or '-'}"


def main() -> None:
    """Run the command; what people can put right ends in one line and exit code 2."""
    try:
        app()
    except RecolorError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

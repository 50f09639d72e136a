"""Checkpoints -> a weights file, its record and a draft of its model card.

``python -m training.export OUT.safetensors --generator A --refiner B``, each a checkpoint of
`training.train` or a weights file of which the network is taken over as it is.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from recolor_core.generator import Generator, GeneratorConfig
from recolor_core.refiner import Refiner, RefinerConfig
from recolor_core.trainer import (
    GeneratorRecipe,
    RefinerRecipe,
    TrainingError,
    read_checkpoint,
    start_from,
)
from recolor_core.trainer.start import read_metadata
from recolor_core.weights import WeightsRecord, fetch_weights, save_weights
from training.evaluation_data import Evaluation, read_evaluation
from training.train import run

Recipe = dict[str, Any]


def read_generator(path: Path) -> tuple[Generator, Recipe]:
    """The averaged generator of a checkpoint, or that of a weights file, and how it came to be."""
    if path.suffix == ".ckpt":
        state = read_checkpoint(path, "generator")
        generator = Generator(GeneratorRecipe.of(state["recipe"]).network)
        generator.load_state_dict(state["average"])
        return generator, {"steps taken": state["step"], **state["recipe"]}
    config = _config(path, "generator")
    generator = Generator(GeneratorConfig(**config))
    _fill(generator, path, "generator.")
    return generator, {"taken over from": path.name}


def read_refiner(path: Path) -> tuple[Refiner, Recipe]:
    """The averaged refiner of a checkpoint, or that of a weights file, and how it came to be."""
    if path.suffix == ".ckpt":
        state = read_checkpoint(path, "refiner")
        refiner = Refiner(RefinerRecipe.of(state["recipe"]).network)
        refiner.load_state_dict(state["average"])
        return refiner, {"steps taken": state["step"], **state["recipe"]}
    refiner = Refiner(RefinerConfig(**_config(path, "refiner")))
    _fill(refiner, path, "refiner.")
    return refiner, {"taken over from": path.name}


def _config(path: Path, kind: str) -> dict[str, Any]:
    values = read_metadata(path).get(kind)
    if not isinstance(values, dict):
        raise TrainingError(f"{path} is no weights file of recolor with a {kind}")
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}


def _fill(network: Generator | Refiner, path: Path, prefix: str) -> None:
    if missing := start_from(network, str(path), prefix).fresh:
        raise TrainingError(
            f"{path} does not fit this version's {prefix[:-1]}: it lacks {missing[0]}"
        )


def record_source(record: WeightsRecord) -> str:
    """The record as it stands in `recolor_core.weights.RECORDS`."""
    lines = [
        f"    {name}={value!r}," for name, value in asdict(record).items() if value is not None
    ]
    return "\n".join(["WeightsRecord(", *lines, ")"])


def model_card(
    record: WeightsRecord, recipes: dict[str, Recipe], measured: Evaluation | None
) -> str:
    """A draft of the model card, in Markdown: what is known; a person adds the rest."""
    parts = [
        f"# Weights `{record.name}`",
        f"SHA-256 `{record.sha256}`\n\nLicense: {record.license}\n\n"
        f"Training data: {record.training_data}\n\nRecipe: {record.recipe}",
    ]
    for kind, recipe in recipes.items():
        lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in recipe.items())
        parts.append(f"## How the {kind} was trained\n\n```\n{lines}\n```")
    if measured is not None:
        parts.append(
            f"## Measured\n\nMean (95 % bootstrap interval).\n\n{measured.markdown(below=3)}"
        )
    return "\n\n".join(parts) + "\n"


def main(
    out: Annotated[Path, typer.Argument(help="The weights file, .safetensors.")],
    generator: Annotated[str, typer.Option(help="Checkpoint, weights file or name.")] = "default",
    refiner: Annotated[str, typer.Option(help="Checkpoint, weights file or name.")] = "default",
    license_: Annotated[str, typer.Option("--license", help="One sentence.")] = "unstated",
    training_data: Annotated[str, typer.Option(help="One sentence.")] = "unstated",
    recipe: Annotated[str, typer.Option(help="One sentence.")] = "unstated",
    report: Annotated[
        Path | None, typer.Option(help="Folder that `training.evaluate` wrote.")
    ] = None,
    card: Annotated[Path | None, typer.Option(help="Write a draft of the model card.")] = None,
) -> None:
    """Write both networks into one weights file; print its record."""
    paths = [
        Path(name) if Path(name).suffix in (".ckpt", ".safetensors") else fetch_weights(name)
        for name in (generator, refiner)
    ]
    for path in paths:
        if not path.is_file():
            raise TrainingError(f"expected a checkpoint or weights file at {path}, found none")
    colorist, how_generator = read_generator(paths[0])
    finisher, how_refiner = read_refiner(paths[1])
    measured = read_evaluation(report) if report else None
    values = measured.groups["all"].get("refined", {}) if measured else {}
    record = save_weights(
        out,
        colorist,
        finisher,
        license=license_,
        training_data=training_data,
        recipe=recipe,
        metrics={name: mean for name, (mean, _, _) in values.items() if mean is not None},
    )
    print(record_source(record))
    if card is not None:
        recipes = {"generator": how_generator, "refiner": how_refiner}
        card.write_text(model_card(record, recipes, measured), encoding="utf-8")


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    run(app)

"""Checkpoints -> a weights file, its record and a draft of its model card.

``python -m training.export OUT.safetensors --generator A --refiner B --memory C``, each a
checkpoint of `training.train` or a weights file of which the network is taken over as it is.
An option given again stands for the mean of the networks. ``--refiner bicubic`` stands for an
untrained refiner, which leaves the coarse colors as bicubic upsampling makes them.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn

from recolor_core import weights
from recolor_core.models.config import RefinerConfig
from recolor_core.models.networks import NETWORKS
from recolor_core.models.refiner import Refiner
from recolor_core.trainer import (
    GeneratorRecipe,
    MemoryRecipe,
    RefinerRecipe,
    TrainingError,
    read_checkpoint,
)
from recolor_core.trainer.pretrained import weights_path
from recolor_core.weights import USES, WeightsRecord, save_weights
from training.command import run_command
from training.evaluation_data import Evaluation, read_evaluation

RECORDED = ("mse", "psnr", "ssim", "ciede2000", "colorfulness_ratio", "edge_error")
"""What a record tells of the evaluation: means of the refined images."""

Recipe = dict[str, Any]

BICUBIC = "bicubic"
"""What stands for an untrained refiner: weights without a trained one need not borrow a refiner
whose training images have other licenses."""

RECIPES: dict[str, Any] = {
    "generator": GeneratorRecipe,
    "refiner": RefinerRecipe,
    "memory": MemoryRecipe,
}
"""The recipe of each network of a weights file."""


def read_network(kind: str, path: Path) -> tuple[nn.Module, Recipe]:
    """The averaged network of a checkpoint, or that of a weights file, and how it came to be.

    Parameters
    ----------
    kind
        A key of `RECIPES`.
    path
        Of a ``.ckpt`` or a ``.safetensors`` file.
    """
    if path.suffix == ".ckpt":
        state = read_checkpoint(path, kind)
        build = NETWORKS[kind]
        trained = build(RECIPES[kind].of(state["recipe"]).network)
        trained.load_state_dict(state["average"])
        return trained, {"steps taken": state["step"], **state["recipe"]}
    return weights.read_network(path, kind), {"taken over from": path.name}


def bicubic_refiner() -> Refiner:
    """Make the smallest refiner that adds nothing to bicubic upsampling."""
    return Refiner(RefinerConfig(width=8, blocks=0))


def read_mean(kind: str, paths: Sequence[Path]) -> tuple[nn.Module, Recipe]:
    """The mean, weight by weight, of networks that were trained from the same start.

    Such a mean often errs less than each of them (model soups, Wortsman et al. 2022), and the mean
    of a network and its own start forgets less of what the start could do (Wortsman et al. 2021).

    Parameters
    ----------
    kind
        A key of `RECIPES`.
    paths
        As `read_network` takes them; one counts as often as it is named.

    Raises
    ------
    TrainingError
        If one cannot be read or has another shape.
    """
    networks, recipes = zip(*(read_network(kind, path) for path in paths), strict=True)
    if len(paths) == 1:
        return networks[0], recipes[0]
    states = [network.state_dict() for network in networks]
    for path, network in zip(paths[1:], networks[1:], strict=True):
        if network.config != networks[0].config:
            raise TrainingError(
                f"the {kind} of {path} is not of the shape of that of {paths[0]}; a mean takes "
                "networks that were trained from the same start"
            )
    mean = {
        name: torch.stack([state[name] for state in states]).mean(0)
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }
    networks[0].load_state_dict(mean)
    return networks[0], {"mean of": list(recipes)}


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
        f"SHA-256 `{record.sha256}`\n\nUse: {record.use}. License: {record.license}\n\n"
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
    generator: Annotated[
        list[str] | None,
        typer.Option(
            help="Checkpoint, weights file or name [default]; repeat it for the mean of several."
        ),
    ] = None,
    refiner: Annotated[
        list[str] | None,
        typer.Option(help=f"The refiner, like --generator; {BICUBIC} is one that adds nothing."),
    ] = None,
    memory: Annotated[
        list[str] | None, typer.Option(help="The color memory, like --generator; none by default.")
    ] = None,
    license_: Annotated[
        str, typer.Option("--license", help="License of the weights, in one sentence.")
    ] = "unstated",
    use: Annotated[
        str,
        typer.Option(help=f"What the weights may be used for: {', '.join(USES)}."),
    ] = "unstated",
    training_data: Annotated[
        str, typer.Option(help="Training data, in one sentence.")
    ] = "unstated",
    recipe: Annotated[
        str, typer.Option(help="How the weights were trained, in one sentence.")
    ] = "unstated",
    report: Annotated[
        Path | None, typer.Option(help="Folder that `training.evaluate` wrote.")
    ] = None,
    card: Annotated[Path | None, typer.Option(help="Write a draft of the model card.")] = None,
    quantize: Annotated[
        list[Path] | None,
        typer.Option(
            help="Photographs (folders, tars or zips; repeat) to calibrate int8 networks on, which "
            "are written beside the weights."
        ),
    ] = None,
) -> None:
    """Write the networks into one weights file; print its record."""
    networks: dict[str, Any] = {}
    recipes: dict[str, Recipe] = {}
    wanted = {"generator": generator or ["default"], "refiner": refiner or ["default"]}
    if memory:
        wanted["memory"] = memory
    if refiner == [BICUBIC]:
        networks["refiner"], recipes["refiner"] = bicubic_refiner(), {"untrained": BICUBIC}
        del wanted["refiner"]
    for kind, names in wanted.items():
        networks[kind], recipes[kind] = read_mean(kind, [_file(name) for name in names])
    measured = read_evaluation(report) if report else None
    values = measured.groups["all"].get("refined", {}) if measured else {}
    metrics = {name: values[name][0] for name in RECORDED if values.get(name)}
    record = save_weights(
        out,
        **networks,
        license=license_,
        training_data=training_data,
        recipe=recipe,
        use=use,
        metrics=metrics,
    )
    if quantize:
        from training.quantize import quantize_file

        file = quantize_file(str(out), quantize)
        record = replace(record, quantized_sha256=file.sha256)
    print(record_source(record))
    if card is not None:
        card.write_text(model_card(record, recipes, measured), encoding="utf-8")


def _file(name: str) -> Path:
    path = weights_path(name)
    if not path.is_file():
        raise TrainingError(f"expected a checkpoint or weights file at {path}, found none")
    return path


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    run_command(app)

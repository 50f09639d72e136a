"""Measure weights for a model card: ``python -m training.card VALIDATION... --out DIR``.

One command makes all tables of ``docs/model-card.md`` that describe the networks: at several values
of vividness, with one view and two, with hints, quantized, and on photographs that were damaged,
faded or mounted first. ``--every 5`` measures every fifth photograph only. ``--runtime
onnxruntime`` measures the quantized networks alone, which takes a third of the time.

It writes into the folder:

``card.md``
    The tables in Markdown, ready for a model card. Intervals are 95 % bootstrap intervals over the
    photographs.
``rows.jsonl``
    All measures so far, in the format of `training.evaluate`. If the command is run again, it
    measures only what is missing, such as other weights or more photographs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from recolor_core.files import write_file
from recolor_core.metrics import THINGS, ratio_of_means
from recolor_core.settings import Settings
from recolor_core.weights import load_weights
from training.command import run_command
from training.evaluate import (
    SIZE,
    ReadyModels,
    Row,
    Store,
    Training,
    by_content,
    categories,
    measure_all,
    tabulate,
)
from training.evaluation_data import Interval, markdown_table
from training.models import ModelRequest
from training.prepare.images import SourceImage
from training.summary import bootstrap_means, bootstrap_pairs, calibration, summarize


@dataclass(frozen=True)
class Condition:
    """One way in which the networks color the photographs.

    Parameters
    ----------
    models : tuple of str
        ``"coarse"``, ``"refined"`` or both.
    settings : dict
        Fields of `Settings` that differ from the defaults.
    wear : str
        As in `training.measures.Truth`.
    runtime : str
        As in `recolor_core.Colorizer`.
    hints : tuple of int
        Numbers of hints to measure with, in addition to none.
    alternatives : int
        Number of alternatives for the best-of model; 0 leaves it out.
    """

    models: tuple[str, ...] = ("coarse",)
    settings: Mapping[str, Any] = field(default_factory=dict)
    wear: str = ""
    runtime: str = "torch"
    hints: tuple[int, ...] = ()
    alternatives: int = 0

    def request(self, weights: str) -> ModelRequest:
        """Return the models to make."""
        return ModelRequest(
            self.models,
            weights,
            runtime=self.runtime,
            settings=Settings(**{"size": SIZE, **self.settings}),
            hints=self.hints,
            alternatives=self.alternatives,
        )


SAFE = {"vividness": 0.5}
"""Settings with about the smallest error."""

CONDITIONS: Mapping[str, Condition] = {
    "pale": Condition(settings={"vividness": 0.3}),
    "safe": Condition(settings=SAFE),
    "safe, 2 views": Condition(settings=SAFE | {"views": 2}),
    "damaged": Condition(settings=SAFE, wear="damaged"),
    "mounted": Condition(settings=SAFE, wear="mounted"),
    "mounted, whole": Condition(settings=SAFE | {"find_photograph": False}, wear="mounted"),
    "damaged and mounted": Condition(settings=SAFE, wear="damaged+mounted"),
    "faded": Condition(settings=SAFE, wear="faded"),
    "faded, as it is": Condition(settings=SAFE | {"correct_tones": False}, wear="faded"),
    "coarse": Condition(),
    "default": Condition(("refined",), hints=(1, 10, 50), alternatives=4),
    "2 views": Condition(("refined",), {"views": 2}),
    "int8": Condition(("refined",), runtime="onnxruntime", hints=(10,)),
    "int8, 2 views": Condition(("refined",), {"views": 2}, runtime="onnxruntime"),
}
"""What is measured, in this order; the names are used only in this module."""

LINES: Mapping[str, tuple[str, str]] = {
    "coarse at vividness 0.3": ("pale", "coarse"),
    "coarse at vividness 0.5": ("safe", "coarse"),
    "coarse at vividness 0.5, 2 views": ("safe, 2 views", "coarse"),
    "coarse at vividness 0.5, lightness damaged": ("damaged", "coarse"),
    "coarse at vividness 0.5, mounted": ("mounted", "coarse"),
    "coarse at vividness 0.5, lightness damaged, mounted": ("damaged and mounted", "coarse"),
    "coarse at vividness 0.5, faded": ("faded", "coarse"),
    "**coarse**, bicubic upsampling": ("coarse", "coarse"),
    "**refined**, as shipped": ("default", "refined"),
    "refined, 2 views": ("2 views", "refined"),
    "refined, int8": ("int8", "refined"),
    "refined, int8, 2 views": ("int8, 2 views", "refined"),
    "best of it and 4 alternatives": ("default", "refined-best-of-4"),
    "refined, 1 random hint": ("default", "refined-hints-1"),
    "refined, 10 random hints": ("default", "refined-hints-10"),
    "refined, 50 random hints": ("default", "refined-hints-50"),
}
"""The lines of the first table: title -> condition and model."""

COMPARISONS: Mapping[str, tuple[str, str]] = {
    "refined, over coarse": (
        "**refined**, as shipped",
        "**coarse**, bicubic upsampling",
    ),
    "2 views, over 1": ("refined, 2 views", "**refined**, as shipped"),
    "int8, over float32": ("refined, int8", "**refined**, as shipped"),
    "int8, over float32, 2 views": ("refined, int8, 2 views", "refined, 2 views"),
    "int8, over float32, 10 hints": ("int8 with 10 hints", "refined, 10 random hints"),
    "damaged, over intact": (
        "coarse at vividness 0.5, lightness damaged",
        "coarse at vividness 0.5",
    ),
    "mounted, over intact": ("coarse at vividness 0.5, mounted", "coarse at vividness 0.5"),
    "damaged and mounted, over damaged": (
        "coarse at vividness 0.5, lightness damaged, mounted",
        "coarse at vividness 0.5, lightness damaged",
    ),
    "mounted: the photograph shown, over the whole scan": (
        "coarse at vividness 0.5, mounted",
        "mounted, whole",
    ),
    "faded: full contrast, over as it is": ("coarse at vividness 0.5, faded", "faded, as it is"),
}
"""The lines of the second table: title -> two of `LINES` or `UNLISTED`, image by image."""

UNLISTED: Mapping[str, tuple[str, str]] = {
    "int8 with 10 hints": ("int8", "refined-hints-10"),
    "mounted, whole": ("mounted, whole", "coarse"),
    "faded, as it is": ("faded, as it is", "coarse"),
}
"""Measurements that only comparisons use."""

FLAWS = ("blotches", "cast", "black_chroma", "white_chroma", "bleeding")
SHOWN = ("mse", "psnr", "ssim", "ciede2000", "colorfulness_ratio", "edge_error")


def tables(
    measured: Mapping[str, pd.DataFrame], doubts: Sequence[np.ndarray[Any, Any]]
) -> dict[str, str]:
    """Make the tables of a card.

    Parameters
    ----------
    measured : mapping
        For each title of `LINES` and `UNLISTED` that was measured, one row per photograph, in the
        same order, with the columns of `training.evaluate.tabulate`.
    doubts : sequence of ndarray
        For each photograph (n, 2), as in `training.summary.calibration`.

    Returns
    -------
    dict
        Markdown by heading.
    """
    shipped = measured["**refined**, as shipped"]
    groups = {"All": np.ones(len(shipped), dtype=bool)}
    groups |= {name: (shipped["category"] == name).to_numpy() for name in _names(shipped)}
    found = {}
    for name, chosen in groups.items():
        lines = {
            title: summarize(measured[title][chosen].assign(model=title), SHOWN[:4] + SHOWN[5:])[
                title
            ]
            for title in LINES
            if title in measured
        }
        found[f"{name}, {chosen.sum()} photographs"] = markdown_table(lines, shown=SHOWN)
    found["Image by image"] = _comparisons(measured)
    found["Visible errors of the default"] = _flaws(shipped)
    found["Named things at the default"] = _things(shipped)
    found["Uncertainty of the default"] = _calibration(doubts)
    return found


def _names(table: pd.DataFrame) -> list[str]:
    return sorted({name for name in table["category"] if name})


def _comparisons(measured: Mapping[str, pd.DataFrame]) -> str:
    lines = ["| | PSNR, dB | squared error of ab | colorfulness |", "|---|---|---|---|"]
    for title, (one, two) in COMPARISONS.items():
        if one not in measured or two not in measured:
            continue
        a, b = measured[one].reset_index(drop=True), measured[two].reset_index(drop=True)
        gain = bootstrap_means((a["psnr"] - b["psnr"]).to_frame("gain"))["gain"]
        errors = np.stack((a["mse"], b["mse"]), axis=1)
        error = tuple(100 * (x - 1) for x in bootstrap_pairs(errors, ratio_of_means))
        color = [x["colorfulness"].mean() / x["true_colorfulness"].mean() for x in (a, b)]
        lines.append(
            f"| {title} | {_signed(gain, 3)} | {_signed(error, 1)} % | "
            f"{color[0]:.3f}, {color[1]:.3f} |"
        )
    return "\n".join(lines)


def _flaws(table: pd.DataFrame) -> str:
    means = bootstrap_means(table[list(FLAWS)].assign(blotches=100 * table["blotches"]))
    lines = ["| | mean | photographs |", "|---|---|---|"]
    for name in FLAWS:
        title = "blotches, % of the pixels" if name == "blotches" else name.replace("_", " ")
        count = int(table[name].notna().sum())
        lines.append(f"| {title} | {_interval(means[name], 2)} | {count} |")
    return "\n".join(lines)


def _things(table: pd.DataFrame) -> str:
    lines = [
        "| | photographs | hue error, degrees | chroma error, Lab units |",
        "|---|---|---|---|",
    ]
    for thing in THINGS:
        cells = [f"{table[f'{thing}_chroma'].notna().sum()}"]
        for column, digits in ((f"{thing}_hue", 1), (f"{thing}_chroma", 1)):
            known = table[[column]].dropna()
            cells.append(_interval(bootstrap_means(known)[column], digits) if len(known) else "")
        lines.append(f"| {thing} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _calibration(doubts: Sequence[np.ndarray[Any, Any]]) -> str:
    _, summary = calibration({"refined": doubts})
    skill, ratio = (summary["refined"][name] for name in ("skill", "sigma_ratio"))
    return (
        f"Leaving out the most uncertain cells first gains {_interval(skill, 2)} of what perfect "
        f"knowledge of the errors would. Errors are {_interval(ratio, 2)} times as large as the "
        "uncertainty says."
    )


def _interval(interval: Interval, digits: int) -> str:
    mean, low, high = (f"{value:.{digits}f}" for value in interval)
    return f"{mean} ({low}–{high})"


def _signed(interval: Sequence[float], digits: int) -> str:
    if any(math.isnan(value) for value in interval):
        return "-"
    mean, low, high = (f"{value:+.{digits}f}" for value in interval)
    return f"{mean} ({low} to {high})"


def measure(
    images: Mapping[str, SourceImage],
    kinds: Sequence[str],
    weights: str,
    out: Path,
    workers: int = 1,
    runtime: str = "torch",
) -> tuple[dict[str, pd.DataFrame], list[np.ndarray[Any, Any]]]:
    """Measure all conditions; what is measured already is not measured again.

    Parameters
    ----------
    images : mapping
        Photographs by their fingerprints.
    kinds : sequence of str
        The category of each.
    weights : str
        As in `recolor_core.Colorizer`.
    out : Path
        Folder for ``rows.jsonl``.
    workers : int
        Number of processes.
    runtime : str
        ``"torch"``, or ``"onnxruntime"`` to measure all conditions with the quantized networks;
        the comparisons of these with float32 are then left out.

    Returns
    -------
    tuple
        The parameters of `tables`.
    """
    store = Store(out / "rows.jsonl")
    quantized = load_weights(weights).record.quantized_sha256 is not None
    found: dict[tuple[str, str], pd.DataFrame] = {}
    doubts: list[np.ndarray[Any, Any]] = []
    for name, condition in CONDITIONS.items():
        if condition.runtime == "onnxruntime" and (not quantized or runtime != "torch"):
            continue
        if runtime != "torch":
            condition = replace(condition, runtime=runtime)
        ready = ReadyModels.fitted(condition.request(weights), Training(), out)
        print(f"{name}: {', '.join(model for model, _ in ready.known_as)}", flush=True)
        rows: list[list[Row]] = measure_all(images, ready, store, workers, condition.wear)
        table = tabulate(images, kinds, ready, rows)
        found |= {(name, str(model)): part for model, part in table.groupby("model", sort=False)}
        if name == "default":
            doubts = [row[0]["doubts"] for row in rows if len(row[0]["doubts"])]
    titles = {**LINES, **UNLISTED}
    return {title: found[key] for title, key in titles.items() if key in found}, doubts


def main(
    sources: Annotated[list[Path], typer.Argument(help="Folders, tars or zips of photographs.")],
    out: Annotated[Path, typer.Option(help="Folder of the card; resumed if it exists.")],
    weights: Annotated[
        str,
        typer.Option(
            help="Name or path of a weights file. A file given by its path has no int8 form."
        ),
    ] = "default",
    every: Annotated[int, typer.Option(min=1, help="Measure only every n-th image.")] = 1,
    manifest: Annotated[
        Path | None,
        typer.Option(help="CSV with the columns key and category, for a table of each category."),
    ] = None,
    workers: Annotated[int, typer.Option("-n", min=1, help="Number of processes.")] = 1,
    runtime: Annotated[
        str,
        typer.Option(
            help="What runs the networks: torch, or onnxruntime to measure int8 networks alone."
        ),
    ] = "torch",
) -> None:
    """Measure weights for a model card."""
    record = load_weights(weights).record
    images = by_content(sources, every)
    kinds = categories(list(images.values()), manifest)
    out.mkdir(parents=True, exist_ok=True)
    found = tables(*measure(images, kinds, weights, out, workers, runtime))
    which = f"every {every}. photograph" if every > 1 else "every photograph"
    text = f"Weights {record.name} ({record.sha256[:16]}), {which}, {runtime}.\n\n"
    text += "\n\n".join(f"### {heading}\n\n{table}" for heading, table in found.items()) + "\n"
    write_file(out / "card.md", text.encode())
    print(text)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    run_command(app)

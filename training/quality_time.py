"""The figure of an evaluation: quality against time per picture."""

import csv
from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.evaluation_data import Group

ENDS = ("", "_low", "_high")

PANELS = {"psnr": "PSNR, dB", "ciede2000": "CIEDE2000 (less is better)"}


def draw_quality_time(group: Group, titles: Mapping[str, str], folder: Path) -> None:
    """Write ``quality_time`` as SVG, PNG and CSV.

    Parameters
    ----------
    group
        model -> metric -> [mean, low, high]: of ``psnr``, ``ciede2000`` and ``seconds``.
    titles
        Of the models.
    folder
        Made where it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(12, 5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (metric, label) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        _panel(axes, group, metric)
        axes.set_xlabel("seconds per picture (processor time on a CPU)")
        axes.set_ylabel(label)
    figure.suptitle(
        "Mean and 95 % bootstrap interval. Hollow: told the color of some pixels (hints), or the "
        "best of several, chosen by the truth.",
        fontsize=9,
    )
    figure.savefig(folder / "quality_time.svg", metadata={"Date": None})
    figure.savefig(folder / "quality_time.png", dpi=150)
    with (folder / "quality_time.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["model", "title", "seconds", *(f"{m}{end}" for m in PANELS for end in ENDS)]
        )
        for model, values in group.items():
            numbers = [value for metric in PANELS for value in values[metric]]
            writer.writerow([model, titles[model], values["seconds"][0], *numbers])


def _panel(axes: Axes, group: Group, metric: str) -> None:
    """One metric. Models that the truth tells something are not in the same game: hollow."""
    refined: list[tuple[float, float]] = []
    for model, values in group.items():
        mean, low, high = values[metric]
        seconds = values["seconds"][0]
        told = "-hints-" in model or "-best-of-" in model
        if told and model.startswith("coarse"):
            continue  # a hair beside the refined one
        if model.startswith("refined") and "-best-of-" not in model:
            refined.append((seconds, mean))
        color = {"coarse": "C1", "refined": "C3"}.get(model.split("-")[0], "C0")
        face = "white" if told else color
        bars = [[mean - low], [high - mean]]
        axes.errorbar(seconds, mean, bars, fmt="o", capsize=2, color=color, markerfacecolor=face)
        right = model not in ("coarse", "refined-hints-1")
        axes.annotate(
            model,
            (seconds, mean),
            (6 if right else -6, 3),
            textcoords="offset points",
            ha="left" if right else "right",
            fontsize=8,
        )
    if refined:
        axes.plot(*zip(*refined, strict=True), color="C3", linewidth=0.7, linestyle=":")
    axes.set_xscale("log")
    axes.set_xlim(right=40 * max(values["seconds"][0] for values in group.values()))
    axes.grid(alpha=0.3)

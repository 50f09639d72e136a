"""The figure of an evaluation: quality against time per picture."""

import csv
from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.evaluation_data import Group

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
        axes.set_xlabel("seconds per picture")
        axes.set_ylabel(label)
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


ENDS = ("", "_low", "_high")


def _panel(axes: Axes, group: Group, metric: str) -> None:
    for number, (model, values) in enumerate(group.items()):
        mean, low, high = values[metric]
        seconds = values["seconds"][0]
        told = "-hints-" in model or "-best-of-" in model  # by the truth: not the same game
        axes.errorbar(
            seconds,
            mean,
            yerr=[[mean - low], [high - mean]],
            fmt="o",
            markersize=5,
            capsize=2,
            color=f"C{number % 10}",
            markerfacecolor="white" if told else f"C{number % 10}",
        )
        axes.annotate(model, (seconds, mean), (5, 4), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.grid(alpha=0.3)

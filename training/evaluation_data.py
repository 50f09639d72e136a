"""An evaluation as `training.evaluate` writes it into a folder: its format, and its reader."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from recolor_core.errors import RecolorError

FORMAT = 1
"""Version of the layout."""

Interval = tuple[float, float, float]
"""What was measured, and the low and the high end of its 95 % bootstrap interval."""

Group = Mapping[str, Mapping[str, Interval]]
"""model -> metric -> interval."""

COLUMNS = {
    "mse": ("MSE x 1000", 1000.0, "{:.2f}"),
    "psnr": ("PSNR, dB", 1.0, "{:.2f}"),
    "ssim": ("SSIM", 1.0, "{:.3f}"),
    "ciede2000": ("CIEDE2000", 1.0, "{:.2f}"),
    "colorfulness_ratio": ("colorfulness", 1.0, "{:.2f}"),
    "colorfulness_mean_of_differences": ("its error", 1.0, "{:.1f}"),
    "edge_error": ("edge error", 1.0, "{:.2f}"),
    "gray_exact": ("gray exact", 1.0, "{:.3f}"),
    "seconds": ("s/image", 1.0, "{:.2g}"),
}
"""Columns of the tables for people: metric -> heading, factor, format."""


class EvaluationError(RecolorError, ValueError):
    """A folder holds no evaluation that can be read."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What an evaluation found; `training.evaluate` says what each entry means.

    Parameters
    ----------
    folder
        Where it lies.
    about
        ``evaluation.json``.
    images
        ``images.parquet``: one row per image and model.
    risk_coverage
        ``risk_coverage.csv``: one row per model and coverage.
    """

    folder: Path
    about: Mapping[str, Any]
    images: pd.DataFrame
    risk_coverage: pd.DataFrame

    @property
    def models(self) -> list[str]:
        """Names of the models, in the order of the table."""
        return [model["name"] for model in self.about["models"]]

    @property
    def titles(self) -> dict[str, str]:
        """Titles of the models by their names."""
        return {model["name"]: model["title"] for model in self.about["models"]}

    @property
    def groups(self) -> Mapping[str, Group]:
        """``"all"`` and the categories of the manifest."""
        groups: Mapping[str, Group] = self.about["groups"]
        return groups

    def markdown(self, below: int = 2) -> str:
        """A table for each group with its intervals, in Markdown, with headings of a level."""
        return "\n\n".join(
            f"{below * '#'} {name}, {self.about['images'][name]} images\n\n"
            f"{markdown_table(group, self.titles)}"
            for name, group in self.groups.items()
        )

    def of(self, model: str) -> pd.DataFrame:
        """The rows of one model, in the order of the images."""
        return self.images[self.images["model"] == model]


def read_evaluation(folder: Path) -> Evaluation:
    """What `training.evaluate` wrote into a folder.

    Raises
    ------
    EvaluationError
        If it is not there, not whole, or of another format.
    """
    try:
        about = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
        found = about["format"]
        images = pd.read_parquet(folder / "images.parquet")
        risk = pd.read_csv(folder / "risk_coverage.csv")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            f"{folder} holds no evaluation that can be read ({error}); "
            "run `python -m training.evaluate` into it"
        ) from error
    if found != FORMAT:
        raise EvaluationError(
            f"expected an evaluation of format {FORMAT} in {folder}, got {found}; "
            "run `python -m training.evaluate` into it again"
        )
    return Evaluation(folder, about, images, risk)


def markdown_table(
    group: Group, titles: Mapping[str, str] | None = None, shown: Sequence[str] = tuple(COLUMNS)
) -> str:
    """Return a Markdown table of models with their intervals.

    Parameters
    ----------
    group
        The measures of each model.
    titles
        Titles of the models; their names if it is None.
    shown
        Keys of `COLUMNS`. Columns that no model has are left out.
    """
    shown = [name for name in shown if any(name in values for values in group.values())]
    lines = [
        f"| | {' | '.join(COLUMNS[name][0] for name in shown)} |",
        "|---" * (1 + len(shown)) + "|",
    ]
    for model, values in group.items():
        cells = [_cell(name, values.get(name)) for name in shown]
        lines.append(f"| {(titles or {}).get(model, model)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plain_table(group: Group) -> str:
    """The models of a group, means only, for a terminal."""
    shown = [name for name in COLUMNS if any(name in values for values in group.values())]
    lines = [f"{'':22}" + "".join(f"{COLUMNS[name][0]:>13}" for name in shown)]
    for model, values in group.items():
        cells = [_cell(name, values.get(name)).split(" (")[0] for name in shown]
        lines.append(f"{model:22}" + "".join(f"{cell:>13}" for cell in cells))
    return "\n".join(lines)


def _cell(name: str, interval: Interval | None) -> str:
    if interval is None or any(value is None for value in interval):
        return "-"
    _, factor, style = COLUMNS[name]
    mean, low, high = (style.format(factor * value) for value in interval)
    return f"{mean} ({low}–{high})"

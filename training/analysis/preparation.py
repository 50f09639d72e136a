"""Analyze which images cleaning rejects and what range of data remains."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.photographs import DataError
from training.prepare.images import SourceImage
from training.prepare.measures import inspect_image
from training.prepare.parallel import unordered
from training.prepare.progress import Progress, silent
from training.prepare.rules import TITLES, Thresholds, Verdicts, color_surprise, judge
from training.prepare.store import MeasureStore, Table

_AT_A_TIME = 64  # number of images measured between two commits

LIMITS: dict[str, tuple[str, str, str]] = {
    "chroma": ("95th percentile of chroma C*", "min_chroma", "near-monochrome"),
    "tone_residual": ("color not explained by lightness", "min_tone_residual", "toned"),
    "color_surprise": ("surprise of the colors, σ", "max_color_surprise", "unusual colors"),
    "sharpness": ("sharpness", "min_sharpness", "blurry"),
    "short_side": ("short side, pixels", "min_short_side", "low resolution"),
    "color_entropy": ("entropy of the colors, bits", "min_color_entropy", "graphic"),
}
"""For each measure with a threshold: its title, its field of `Thresholds`, its rejection."""


@dataclass(frozen=True)
class Preparation:
    """Measures and verdicts of a collection.

    Attributes
    ----------
    table : Table
        Measures of all images.
    verdicts : Verdicts
        Verdicts of the rules.
    thresholds : Thresholds
    """

    table: Table
    verdicts: Verdicts
    thresholds: Thresholds

    @property
    def kept(self) -> list[SourceImage]:
        """Return the images that no rule rejects."""
        return [p for p, kept in zip(self.table.images, self.verdicts.kept, strict=True) if kept]

    @property
    def histograms(self) -> NDArray[np.float16]:
        """Return a*b* histograms (N, 484) of the kept images."""
        return self.table.ab_histograms[self.verdicts.kept]

    def measured(self) -> pd.DataFrame:
        """Return one row for each readable image: `LIMITS`, and whether the image is kept."""
        table = self.table
        read = table["error"] == ""
        columns = {
            name: table[name]
            for name in ("chroma", "tone_residual", "sharpness", "color_entropy", "flat")
        }
        columns["color_surprise"] = color_surprise(table)
        columns["short_side"] = np.minimum(table["width"], table["height"])
        frame = pd.DataFrame({name: np.asarray(v, np.float64) for name, v in columns.items()})
        frame.insert(0, "image", [image.label for image in table.images])
        frame["kept"] = self.verdicts.kept
        return frame[read].reset_index(drop=True)

    def thrown_out(self) -> pd.DataFrame:
        """Return one row for each rule: images it rejects, and images that only it rejects."""
        rejected = np.stack([self.verdicts.rejected(rule) for rule in TITLES])
        alone = rejected & (rejected.sum(0) == 1)
        return pd.DataFrame(
            {
                "rule": list(TITLES.values()),
                "images": rejected.sum(1),
                "by this rule alone": alone.sum(1),
                "share": rejected.mean(1),
            }
        )

    def worst(self, rule: str, number: int) -> list[SourceImage]:
        """Return up to `number` images that a rule rejects, sorted from worst to best."""
        badness = self.verdicts.badness[rule]
        order = np.argsort(-badness, kind="stable")
        return [self.table.images[i] for i in order[:number].tolist() if badness[i] > 1]

    def usable(self) -> pd.DataFrame:
        """Return percentiles of the measures over the kept images: the expected range."""
        frame = self.measured()
        names = {name: title for name, (title, _, _) in LIMITS.items()}
        kept = frame[frame["kept"]][list(names)]
        ranges = kept.quantile([0, 0.05, 0.5, 0.95, 1]).T
        ranges.columns = pd.Index(["least", "5 %", "median", "95 %", "most"])
        return ranges.rename(index=names).rename_axis("measure").reset_index()


def prepare(
    images: Sequence[SourceImage],
    store: Path,
    thresholds: Thresholds | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> Preparation:
    """Measure images that have no stored measures, and judge all images by the cleaning rules.

    Parameters
    ----------
    images
        Images from `list_photographs`.
    store
        SQLite file of the measures; see `training.prepare.store`.
    thresholds, workers, progress
        As in `training.prepare.clean.clean`.

    Raises
    ------
    DataError
        If no image can be read.
    """
    thresholds = thresholds or Thresholds()
    with MeasureStore(store) as measures:
        missing = measures.missing(images)
        done = 0
        for first in range(0, len(missing), _AT_A_TIME):
            batch = []
            for measured in unordered(inspect_image, missing[first : first + _AT_A_TIME], workers):
                batch.append(measured)
                done += 1
                progress("measure", done, len(missing))
            measures.add(batch)
        table = measures.table(list(images))
    if (table["error"] != "").all():
        raise DataError(
            f"none of {len(images)} images can be read; the first, {images[0].label}: "
            f"{table['error'][0]}; give other photographs"
        )
    return Preparation(table, judge(table, thresholds), thresholds)

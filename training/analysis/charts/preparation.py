"""Charts of the images that cleaning rejects and of those that remain."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from training.analysis.charts.style import (
    BLUE,
    GRAY,
    INK,
    RED,
    Chart,
    count,
    drawn,
    grid,
    image_axes,
    panels,
)
from training.analysis.preparation import LIMITS, Preparation
from training.prepare.contact_sheet import thumbnail
from training.prepare.images import SourceImage
from training.prepare.rules import TITLES

SAMPLES = 7
"""Number of images shown for each rule."""


@drawn
def thrown_out(preparation: Preparation) -> Chart:
    """Plot the number of images that each rule rejects."""
    table = preparation.thrown_out()
    number = len(preparation.table)
    figure, ((axes,),) = panels(height=2.9)
    rows = np.arange(len(table))[::-1]
    axes.barh(rows, table["images"], color=GRAY, alpha=0.5, height=0.62)
    axes.barh(rows, table["by this rule alone"], color=BLUE, height=0.62)
    room = max(1, table["images"].max()) * 0.012
    for row, found, share in zip(rows, table["images"], table["share"], strict=True):
        text = f"{found:,}  ({share:.1%})" if found else "0"
        axes.text(found + room, row, text, va="center", fontsize=8.5)
    axes.set_yticks(rows, table["rule"])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, max(1, table["images"].max()) * 1.16)
    axes.set_xlabel("images thrown out")
    axes.spines["left"].set_visible(False)
    grid(axes, "x")
    kept = len(preparation.kept)
    caption = (
        f"Images thrown out by each cleaning rule, of {count(number, 'image')}. Blue: by this rule "
        f"only. {kept:,} ({kept / number:.0%}) are kept. These are counts of the whole collection, "
        "so there is no interval."
    )
    return Chart(figure, table, caption)


@drawn
def ranges(preparation: Preparation) -> Chart:
    """Plot histograms of the measures with the thresholds of the rules."""
    frame = preparation.measured()
    figure, axes = panels(2, 3, height=3.9)
    for place, (name, (title, field, beyond)) in zip(axes.flat, LIMITS.items(), strict=True):
        limit = getattr(preparation.thresholds, field)
        upper = field.startswith("max_")
        values = frame[name].to_numpy()
        low, high = np.quantile(values, (0.002, 0.998))
        low, high = min(low, limit), max(high, limit)
        low, high = low - 0.04 * (high - low), high + 0.04 * (high - low)
        edges = np.linspace(low, high, 41)
        inside = values.clip(low, high)
        out = inside > limit if upper else inside < limit
        place.hist([inside[~out], inside[out]], edges, color=[BLUE, RED], stacked=True, rwidth=0.92)
        place.axvline(limit, color=INK, lw=0.8, ls=(0, (3, 2)))
        place.set(xlabel=title, xlim=(low, high))
        place.set_title(f"{beyond}: {out.sum():,}", fontsize=9)
        place.locator_params(axis="y", nbins=4, integer=True)
        grid(place)
    for row in axes:
        row[0].set_ylabel("images")
    caption = (
        f"Measures of {count(len(frame), 'image')} that can be read. Images beyond the dashed "
        "threshold (red) are thrown out. The outermost bars include all values beyond them. This "
        "is the whole collection, not a sample, so there is no interval."
    )
    return Chart(figure, frame, caption)


@drawn
def examples(preparation: Preparation) -> Chart:
    """Show the worst images for each rule that rejects images."""
    worst = {rule: preparation.worst(rule, SAMPLES) for rule in TITLES}
    worst = {rule: images for rule, images in worst.items() if images}
    rows = [
        {"rule": TITLES[rule], "rank": rank, "image": image.label}
        for rule, images in worst.items()
        for rank, image in enumerate(images, 1)
    ]
    table = pd.DataFrame(rows, columns=["rule", "rank", "image"])
    figure, axes = panels(max(1, len(worst)), SAMPLES, height=max(1, len(worst)) * 1.22)
    for place in axes.flat:
        image_axes(place)
    if not worst:
        axes[0, 0].text(0, 0.5, "No rule throws anything out.", transform=axes[0, 0].transAxes)
    _fill(axes, worst)
    caption = (
        f"Up to {SAMPLES} images that each rule throws out, sorted from worst to best, of "
        f"{count(len(preparation.table), 'image')}. A crossed box is a file that cannot be read."
    )
    return Chart(figure, table, caption)


def _fill(axes: Any, worst: Mapping[str, Sequence[SourceImage]]) -> None:
    for row, (rule, images) in zip(axes, worst.items(), strict=False):
        row[0].set_ylabel(TITLES[rule].replace(" ", "\n", 1), rotation=0, ha="right", va="center")
        for place, image in zip(row, images, strict=False):
            with Image.open(io.BytesIO(thumbnail(image)[1])) as small:
                place.imshow(np.asarray(small))

"""From one row per image and model to means with their intervals."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recolor_core.metrics import (
    difference_of_means,
    ratio_of_means,
    risk_coverage,
    sigma_ratio,
)
from training.evaluation_data import Interval

DRAWS = 2000
"""Bootstrap samples, as of `recolor_core.metrics.bootstrap_interval`."""

CURVES = 200
"""The same for curves, each of which sorts all cells of all images."""

POINTS = 50
"""Places of a risk-coverage curve."""

Pairs = NDArray[np.floating]

_OF_COLORFULNESS = {
    "colorfulness_ratio": ratio_of_means,
    "colorfulness_difference_of_means": difference_of_means,
}


def summarize(rows: pd.DataFrame, measures: Sequence[str]) -> dict[str, dict[str, Interval]]:
    """Means of each model over its images, model -> metric -> [mean, low, high].

    Parameters
    ----------
    rows
        One per image and model, with the columns ``model`` and `measures`.
    measures
        Those that a model lacks altogether are left out of its summary.
    """
    summary = {}
    for model, own in rows.groupby("model", sort=False):
        known = own[list(measures)].dropna(axis=1, how="all")
        apart = (own["colorfulness"] - own["true_colorfulness"]).abs()
        values = bootstrap_means(known.assign(colorfulness_mean_of_differences=apart))
        pairs = own[["colorfulness", "true_colorfulness"]].to_numpy()
        for name, statistic in _OF_COLORFULNESS.items():
            values[name] = bootstrap_pairs(pairs, statistic)
        summary[str(model)] = values
    return summary


def bootstrap_means(table: pd.DataFrame) -> dict[str, Interval]:
    """`bootstrap_interval` of the mean of every column: the same numbers, many times as fast."""
    whole = table.dropna(axis=1)
    drawn = dict(zip(whole, _drawn_means(whole.to_numpy()).T, strict=True))
    for name in table.columns.difference(whole.columns):
        drawn[name] = _drawn_means(table[name].dropna().to_numpy()[:, None])[:, 0]
    return {str(name): _interval(table[name].mean(), drawn[name]) for name in table}


def bootstrap_pairs(pairs: Pairs, statistic: Callable[[Pairs], Pairs]) -> Interval:
    """`bootstrap_interval` of what follows from the means of pairs (N, 2), as fast."""
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) == 0:
        return (float("nan"),) * 3
    # The statistics take a sample; a mean alone is one.
    return _interval(statistic(pairs), statistic(_drawn_means(pairs)[:, None]))


def _drawn_means(values: Pairs) -> Pairs:
    """(DRAWS, K): means of the columns of (N, K) over samples drawn with replacement."""
    count = len(values)
    drawn = np.random.default_rng(0).integers(count, size=(DRAWS, count))
    # As shares of the rows, so that one product does it for all columns; a bounded part at a time.
    step = max(1, 2**24 // count)
    return np.concatenate(
        [
            np.stack([np.bincount(rows, minlength=count) for rows in part]) @ values / count
            for part in (drawn[top : top + step] for top in range(0, DRAWS, step))
        ]
    )


def _interval(value: object, drawn: Pairs) -> Interval:
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(value), float(low), float(high)  # type: ignore[arg-type]


def compare(rows: pd.DataFrame, models: Sequence[str]) -> dict[str, dict[str, Interval]]:
    """Pairs of models, image by image: refined with coarse, hinted with unhinted.

    Returns
    -------
    dict
        ``"refined over coarse"`` -> ``"psnr"`` (dB gained) and ``"edge_error"`` (relative change:
        -0.1 is a tenth less).
    """
    compared = {}
    for model in models:
        others = [model.replace("refined", "coarse", 1)] if model.startswith("refined") else []
        others += [model.split("-hints-")[0], model.split("-best-of-")[0]]
        for other in dict.fromkeys(others):
            if other == model or other not in models:
                continue
            one, two = (
                rows[rows["model"] == name].set_index("fingerprint") for name in (model, other)
            )
            two = two.loc[one.index]
            gain = (one["psnr"] - two["psnr"]).to_frame()
            edges = np.stack((one["edge_error"], two["edge_error"]), axis=1)
            mean, low, high = (x - 1 for x in bootstrap_pairs(edges, ratio_of_means))
            compared[f"{model} over {other}"] = {
                **bootstrap_means(gain),
                "edge_error": (mean, low, high),
            }
    return compared


Doubts = Sequence[NDArray[np.float32]]
"""Of each image (n, 2): stated uncertainty and error of some cells, in Lab units."""


def calibration(doubts: Mapping[str, Doubts]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """How well models know where they are wrong.

    Returns
    -------
    DataFrame
        Columns model, coverage, risk, low, high, ideal; see `recolor_core.metrics.risk_coverage`.
        The interval is of images drawn anew.
    dict
        model -> ``"area"``, ``"skill"`` and ``"sigma_ratio"``, each [value, low, high].
    """
    curves, summary = [], {}
    for model, images in doubts.items():
        whole, numbers = _calibrate(images)
        rng = np.random.default_rng(0)
        drawn = [
            _calibrate([images[i] for i in rng.integers(len(images), size=len(images))])
            for _ in range(CURVES)
        ]
        low, high = np.quantile([curve["risk"] for curve, _ in drawn], (0.025, 0.975), axis=0)
        curves.append(pd.DataFrame({"model": model, **whole, "low": low, "high": high}))
        ends = np.quantile([values for _, values in drawn], (0.025, 0.975), axis=0)
        summary[model] = {
            name: (numbers[i], float(ends[0, i]), float(ends[1, i]))
            for i, name in enumerate(("area", "skill", "sigma_ratio"))
        }
    columns = ["model", "coverage", "risk", "low", "high", "ideal"]
    table = pd.concat(curves) if curves else pd.DataFrame(columns=columns)
    return table[columns], summary


def _calibrate(images: Doubts) -> tuple[dict[str, NDArray[np.floating]], list[float]]:
    uncertainty, error = np.concatenate(images).T
    curve = risk_coverage(error, uncertainty, POINTS)
    numbers = [curve.area, curve.skill, sigma_ratio(error, uncertainty)]
    return {"coverage": curve.coverage, "risk": curve.risk, "ideal": curve.ideal}, numbers


def plain(value: Any) -> Any:
    """The same for JSON, which has neither tuples nor NaN: those become null."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

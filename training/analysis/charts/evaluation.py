"""Charts of evaluations: errors, time, learning, uncertainty, examples, layers and people."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from training.analysis.charts.style import (
    BLUE,
    GRAY,
    INK,
    OCHER,
    PAPER,
    PURPLE,
    RED,
    SERIES,
    Chart,
    ab_axes,
    count,
    drawn,
    grid,
    image_axes,
    interval_text,
    panels,
)
from training.analysis.curves import Steadiness, TrainingLog, Turing
from training.analysis.examples import CELL, Colors, Example, divergence_interval
from training.analysis.layers import Layer
from training.evaluation_data import Evaluation, Group

METRICS: dict[str, tuple[str, float, str]] = {
    "mse": ("MSE of ab / 255, × 1000", 1000.0, "less"),
    "psnr": ("PSNR, dB", 1.0, "more"),
    "ssim": ("SSIM", 1.0, "more"),
    "ciede2000": ("CIEDE2000", 1.0, "less"),
    "lpips": ("LPIPS", 1.0, "less"),
    "edge_error": ("error at edges, Lab units", 1.0, "less"),
    "colorfulness_ratio": ("colorfulness / true one", 1.0, "1"),
}
"""Metrics in charts: title, scale factor, and which values are better."""

_BETTER = {("less", "x"): "  ←", ("more", "x"): "  →", ("less", "y"): "  ↓", ("more", "y"): "  ↑"}
_ARROW = "Arrows point to better values."

_BOOTSTRAP = "mean and 95 % bootstrap interval over the images"


def _heading(metric: str, axis: str) -> str:
    title, _, better = METRICS[metric]
    return title + _BETTER.get((better, axis), "")


def told(model: str) -> bool:
    """Return whether a model receives part of the truth and is not comparable with others."""
    return "-hints-" in model or "-best-of-" in model


def color_of(model: str) -> str:
    """Return the color of a model in all charts."""
    ours = {"coarse": BLUE, "refined": RED, "original": PURPLE, "forest": "#228833"}
    rest = {"xgboost": OCHER, "nearest": SERIES[5]}
    return (ours | rest).get(model.split("-")[0], GRAY)


@drawn
def losses(evaluation: Evaluation, metrics: Sequence[str]) -> Chart:
    """Plot every metric of every model as dots with intervals."""
    group, titles = evaluation.groups["all"], evaluation.titles
    models = evaluation.models
    columns = 3
    rows = -(-len(metrics) // columns)
    figure, axes = panels(rows, columns, 0.55 + rows * (0.55 + 0.19 * len(models)), sharey=True)
    places = np.arange(len(models))[::-1]
    table = []
    for place, metric in zip(axes.flat, metrics, strict=False):
        factor = METRICS[metric][1]
        for y, model in zip(places, models, strict=True):
            interval = group[model].get(metric)
            if interval is None or None in interval:
                continue
            value, low, high = (factor * x for x in interval)
            _dot(place, value, y, low, high, color_of(model), hollow=told(model))
            table.append(
                {
                    "metric": metric,
                    "model": model,
                    "mean": interval[0],
                    "low": interval[1],
                    "high": interval[2],
                }
            )
        place.set_title(_heading(metric, "x"), fontsize=8.5)
        grid(place, "x")
        place.spines["left"].set_visible(False)
        place.tick_params(axis="y", length=0)
        place.locator_params(axis="x", nbins=5)
        if metric == "colorfulness_ratio":
            place.axvline(1, color=INK, lw=0.7, alpha=0.5)
    for place in axes.flat[len(metrics) :]:
        place.set_axis_off()
    axes[0, 0].set_yticks(places, [titles[model] for model in models])
    axes[0, 0].set_ylim(-0.7, len(models) - 0.3)
    number = evaluation.about["images"]["all"]
    hollow = " Hollow: received part of the truth (hints, or the best of several by it)."
    caption = f"Every model on {count(number, 'image')}: {_BOOTSTRAP}. {_ARROW}" + (
        hollow if any(map(told, models)) else ""
    )
    return Chart(figure, pd.DataFrame(table), caption)


def _dot(
    axes: Axes, x: float, y: float, low: float, high: float, color: str, hollow: bool = False
) -> None:
    axes.plot([low, high], [y, y], color=color, lw=1.6, zorder=2, clip_on=False)
    face = PAPER if hollow else color
    axes.plot(x, y, "o", ms=5.2, mfc=face, mec=color, mew=1.3, zorder=3, clip_on=False)


@drawn
def errors(evaluation: Evaluation) -> Chart:
    """Plot the distribution of the error over the images for each model."""
    figure, axes = panels(1, 2, 3.5, sharey=True)
    models = [model for model in evaluation.models if not told(model)]
    table = pd.DataFrame({"share": np.linspace(0, 1, 101)})
    for place, metric in zip(axes[0], ("ciede2000", "psnr"), strict=True):
        for model in models:
            values = np.quantile(evaluation.of(model)[metric].dropna(), table["share"])
            place.plot(
                values,
                100 * table["share"],
                color=color_of(model),
                lw=3 if model == "coarse" else 1.4,  # the line of the refined model covers it
                ls=_dash(model),
                label=evaluation.titles[model],
            )
            table[f"{metric} of {model}"] = values
        place.set(xlabel=METRICS[metric][0], ylim=(0, 100))
        grid(place, "both")
    axes[0, 0].set_ylabel("fraction of the images, %")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=7.5)
    number = evaluation.about["images"]["all"]
    caption = (
        f"Fraction of {count(number, 'image')} on which a model errs no more than so much (left), "
        "or is no better than so much (right): the steeper, the more alike its images are. "
        f"Fractions have a 95 % interval of ±{98 / number**0.5:.0f} percentage points at most."
    )
    return Chart(figure, table, caption)


def _dash(model: str) -> Any:
    return {"gray": (0, (1, 1.5)), "average": (0, (4, 1.5))}.get(model, "-")


@drawn
def quality_time(evaluation: Evaluation) -> Chart:
    """Plot quality against seconds per image."""
    figure, axes = panels(1, 2, 4.0)
    group = evaluation.groups["all"]
    # The points of coarse models with hints are just beside those of refined models.
    models = [m for m in evaluation.models if not (told(m) and m.startswith("coarse"))]
    table = pd.DataFrame(
        {
            "model": evaluation.models,
            "seconds": [group[model]["seconds"][0] for model in evaluation.models],
        }
    )
    for place, metric in zip(axes[0], ("psnr", "ciede2000"), strict=True):
        ends = np.array([group[model][metric] for model in evaluation.models], np.float64)
        for column, end in enumerate(("", " low", " high")):
            table[f"{metric}{end}"] = ends[:, column]
        points = []
        for model in models:
            value, low, high = group[model][metric]
            seconds, color = group[model]["seconds"][0], color_of(model)
            place.plot([seconds, seconds], [low, high], color=color, lw=1.4)
            face = PAPER if told(model) else color
            place.plot(seconds, value, "o", ms=5.5, mfc=face, mec=color, mew=1.3)
            points.append((seconds, value, model))
        place.set_xscale("log")
        place.set(xlabel="seconds per image")
        place.set_title(_heading(metric, "y"))
        grid(place, "both")
        _label(place, points)
    number = evaluation.about["images"]["all"]
    caption = (
        f"Quality against time: {_BOOTSTRAP} ({number:,}). Time is that of one image of 224 × "
        "224 pixels, from gray codes to ab: of processor time on a CPU, of wall time on a GPU (on "
        f"“{evaluation.about['device']}”). Hollow: told something of the truth. {_ARROW}"
    )
    return Chart(figure, table, caption)


def _label(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Write names to the right of points and move them apart if they overlap."""
    left, right = axes.get_xlim()
    axes.set_xlim(left, right * (right / left) ** 0.42)
    axes.autoscale(False)
    low, high = axes.get_ylim()
    span, step = np.log(axes.get_xlim()[1] / left), 0.05 * (high - low)
    x, y = (np.array([point[i] for point in points], np.float64) for i in (0, 1))
    near = np.abs(np.log(x[:, None] / x)) < 0.3 * span
    coarse = np.array([name == "coarse" for _, _, name in points])
    near &= ~coarse & ~coarse[:, None]
    place = y.copy()
    for _ in range(300):
        apart = place[:, None] - place + 1e-9 * np.subtract.outer(y, y)
        push = np.where(near, np.sign(apart) * np.clip(step - np.abs(apart), 0, None), 0)
        place = (place + 0.25 * push.sum(1)).clip(low + step / 2, high - step / 2)
    for (seconds, value, name), at in zip(points, place, strict=True):
        if name == "coarse":  # the refined model is slightly to its right
            axes.annotate(
                name,
                (seconds * np.exp(-0.022 * span), value),
                fontsize=7.5,
                ha="right",
                va="center",
            )
            continue
        beside = abs(at - value) < step / 2
        lead = {"arrowstyle": "-", "lw": 0.5, "color": GRAY, "shrinkA": 0, "shrinkB": 3}
        x_at = seconds * np.exp((0.022 if beside else 0.07) * span)
        axes.annotate(
            name,
            (seconds, value),
            (x_at, at),
            fontsize=7.5,
            va="center",
            arrowprops=None if beside else lead,
        )


@drawn
def groups(evaluation: Evaluation, metric: str = "psnr") -> Chart:
    """Plot the metrics separately for each scene type."""
    models = [model for model in evaluation.models if not told(model)]
    names = [name for name in evaluation.groups if name != "all"]
    images = evaluation.about["images"]
    figure, axes = panels(
        1, 2, 0.9 + 0.17 * len(models) * len(names) * 0.62 + 0.2 * len(names), sharey=True
    )
    rows = []
    for place, which in zip(axes[0], (metric, "ciede2000"), strict=True):
        factor = METRICS[which][1]
        for i, name in enumerate(names):
            for j, model in enumerate(models):
                interval = evaluation.groups[name].get(model, {}).get(which)
                if interval is None or None in interval:
                    continue
                value, low, high = (factor * x for x in interval)
                y = -(i * (len(models) + 1.6) + j)
                _dot(place, value, y, low, high, color_of(model))
                rows.append(
                    {
                        "group": name,
                        "images": images[name],
                        "model": model,
                        "metric": which,
                        "mean": value,
                        "low": low,
                        "high": high,
                    }
                )
        place.set_title(_heading(which, "x"))
        grid(place, "x")
        place.spines["left"].set_visible(False)
        place.tick_params(axis="y", length=0)
    middle = (len(models) - 1) / 2
    ticks = [-(i * (len(models) + 1.6) + middle) for i in range(len(names))]
    axes[0, 0].set_yticks(ticks, [f"{name}\n{count(images[name], 'image')}" for name in names])
    handles = [
        axes[0, 1].plot([], [], "o", ms=5, color=color_of(m), label=evaluation.titles[m])[0]
        for m in models
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=7.5)
    caption = (
        f"The models by scene type: {_BOOTSTRAP} of each type, from top to "
        f"bottom in the order of the legend. {_ARROW}"
    )
    return Chart(figure, pd.DataFrame(rows), caption)


@drawn
def learning(log: TrainingLog) -> Chart:
    """Plot training and validation over the steps of a training."""
    figure, axes = panels(1, 2, 2.9)
    left, right = axes[0]
    loss = log.values("train/loss")
    left.plot(loss.index, loss, color=BLUE, lw=0.7, alpha=0.35)
    smooth = loss.ewm(span=max(5, len(loss) / 20)).mean()
    left.plot(loss.index, smooth, color=BLUE, label="training")
    checked = log.values("validation/loss")
    if len(checked):
        left.plot(checked.index, checked, color=RED, marker="o", ms=3, label="validation")
    left.set(xlabel="step", title="loss")
    left.legend()
    names = [c for c in log.table.columns if c.startswith("validation/")]
    score = next((c for c in ("validation/psnr", "validation/score") if c in names), None)
    if score is None:
        right.text(0, 0.5, "This training had no validation.", transform=right.transAxes)
        right.set_axis_off()
    else:
        values = log.values(score)
        right.plot(values.index, values, color=RED, marker="o", ms=3)
        best = values.idxmax()
        right.plot(best, values[best], "o", ms=7, mfc="none", mec=INK)
        right.set(xlabel="step", title=f"validation: {_score(score)}")
    for place in axes[0]:
        grid(place)
    shown = ["the loss of single batches (faint) and its moving mean"]
    if len(checked):
        shown.append("the loss on validation images")
    if score is not None:
        best_of = f"at best {values.max():.2f} (ringed)"
        shown.append(f"{_score(score)}, of validation images, {best_of}")
    caption = (
        f"Training “{log.name}” up to step {int(log.table.index.max()):,}: {', '.join(shown)}. "
        "Means are as logged by the training, so they have no interval."
    )
    table = log.table.reset_index()
    return Chart(figure, table, caption)


def _score(column: str) -> str:
    return {"validation/psnr": "PSNR, dB", "validation/score": "validation score"}[column]


@drawn
def scaling(table: pd.DataFrame, measured: int) -> Chart:
    """Plot the test loss against the number of training images."""
    figure, axes = panels(1, 2, 3.1)
    for place, metric in zip(axes[0], ("mse", "psnr"), strict=True):
        factor = METRICS[metric][1]
        for model, own in table[table["metric"] == metric].groupby("model", sort=False):
            own = own.sort_values("images")
            color = color_of(str(model))
            place.fill_between(
                own["images"],
                factor * own["low"],
                factor * own["high"],
                color=color,
                alpha=0.13,
                lw=0,
            )
            place.plot(
                own["images"],
                factor * own["mean"],
                color=color,
                marker="o",
                ms=4,
                label=own["title"].iloc[0],
            )
        place.set_xscale("log", base=2)
        ticks = sorted(table["images"].unique())
        place.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        place.minorticks_off()
        place.set(xlabel="training images")
        place.set_title(_heading(metric, "y"))
        grid(place, "both")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=7.5)
    caption = (
        "Test loss against the number of training inputs; smaller sets are parts of larger ones: "
        f"{_BOOTSTRAP} ({measured:,}), which are the same for all sets. {_ARROW}"
    )
    return Chart(figure, table, caption)


@drawn
def risk_coverage(evaluation: Evaluation) -> Chart:
    """Plot the error of the remaining predictions after the most uncertain ones are removed."""
    table = evaluation.risk_coverage
    models = list(dict.fromkeys(table["model"]))
    figure, axes = panels(1, max(2, len(models)), 3.0, sharey=True)
    words = []
    for place, model in zip(axes[0], models, strict=False):
        own = table[table["model"] == model].sort_values("coverage")
        percent, color = 100 * own["coverage"], color_of(model)
        place.fill_between(percent, own["low"], own["high"], color=color, alpha=0.18, lw=0)
        place.plot(percent, own["risk"], color=color, label="by its own uncertainty")
        place.plot(percent, own["ideal"], color=GRAY, ls=(0, (3, 1.5)), label="by the true error")
        whole = float(own["risk"].iloc[-1])
        place.axhline(whole, color=INK, lw=0.7, alpha=0.5, label="at random")
        place.set(xlabel="places kept, %", title=evaluation.titles[model], ylim=(0, None))
        grid(place)
        skill = evaluation.about["calibration"][model]
        words.append(
            f"{evaluation.titles[model]}: skill {interval_text(*skill['skill'])}, "
            f"stated over true error {interval_text(*skill['sigma_ratio'])}"
        )
    for place in axes[0, len(models) :]:
        place.set_axis_off()
    axes[0, 0].set_ylabel("mean error, Lab units")
    axes[0, 0].legend(fontsize=7.5)
    caption = (
        "Mean error of the positions that remain after the most uncertain ones are removed, with "
        f"the 95 % bootstrap interval over {count(evaluation.about['images']['all'], 'image')}."
        f" {'. '.join(words)}. Skill is 0 for an uncertainty that tells nothing and 1 for one that "
        "sorts as the true error does."
    )
    return Chart(figure, table, caption)


@drawn
def examples(chosen: Sequence[tuple[Example, pd.Series]], rule: str, total: int) -> Chart:
    """Show predictions and the truth: gray, coarse, refined, truth, uncertainty."""
    titles = ("gray", "coarse", "refined", "truth", "uncertainty")
    figure, axes = panels(len(chosen), 5, 0.35 + 1.72 * len(chosen))
    top = max(float(example.uncertainty.max()) for example, _ in chosen)
    for row, (example, measured) in zip(axes, chosen, strict=True):
        for place, codes in zip(
            row, (example.gray, example.coarse, example.refined, example.truth), strict=False
        ):
            place.imshow(codes)
        image = row[4].imshow(example.uncertainty, cmap="magma", vmin=0, vmax=top)
        for place in row:
            image_axes(place)
        row[2].set_xlabel(
            f"ΔE00 {measured['ciede2000']:.1f}, {measured['psnr']:.1f} dB", fontsize=7.5, labelpad=3
        )
        row[4].set_xlabel(f"mean {measured['uncertainty_mean']:.1f}", fontsize=7.5, labelpad=3)
    for place, title in zip(axes[0], titles, strict=True):
        place.set_title(title)
    bar = figure.colorbar(image, ax=axes[:, 4], fraction=0.05, pad=0.03, aspect=40)
    bar.outline.set_visible(False)
    bar.set_label("Lab units", fontsize=8)
    caption = (
        f"{count(len(chosen), 'image').capitalize()} of {total:,} {rule}. Below the refined image: "
        "its mean CIEDE2000 and its PSNR. These are single images, so there is no interval."
    )
    table = pd.DataFrame([measured for _, measured in chosen])
    return Chart(figure, table, caption)


@drawn
def layers(found: Sequence[Layer], example: Example) -> Chart:
    """Show the intermediate layers of the networks for one image."""
    strongest = max(len(layer.strongest) for layer in found)
    rows = len(found) + 1
    figure, axes = panels(
        rows, strongest + 2, rows * 1.08, width_ratios=(1.75, *[1] * (strongest + 1))
    )
    shown = (example.gray, example.coarse, example.refined, example.truth)
    for place in axes.flat:
        image_axes(place)
    _say(axes[0, 0], "the image", "")
    for place, codes, title in zip(
        axes[0, 1:], shown, ("gray", "coarse", "refined", "truth"), strict=False
    ):
        place.imshow(codes)
        place.set_title(title, fontsize=8)
    table = []
    for row, layer in zip(axes[1:], found, strict=True):
        height, width = layer.components.shape[:2]
        _say(row[0], layer.name, f"{layer.channels} × {height} × {width}")
        row[1].imshow(layer.components)
        for place, channel in zip(row[2:], layer.strongest, strict=False):
            low, high = np.quantile(channel, (0.01, 0.99))
            place.imshow(channel, cmap="viridis", vmin=low, vmax=max(high, low + 1e-9))
        table.append(
            {
                "layer": layer.name,
                "channels": layer.channels,
                "height": height,
                "width": width,
                "explained by three": layer.explained,
                "shown channels": " ".join(map(str, layer.numbers)),
            }
        )
    axes[1, 1].set_title("components", fontsize=8)
    heading = axes[1, 2].set_title("channels that vary most", fontsize=8)
    heading.set_in_layout(False)
    caption = (
        "Outputs of the parts of both networks for the first random image, from top to bottom in "
        "order of execution: the first three principal components as red, green and blue, and the "
        "channels with the largest variance, each on its own scale. One image, so without an "
        "interval."
    )
    return Chart(figure, pd.DataFrame(table), caption)


def _say(axes: Axes, name: str, size: str) -> None:
    axes.text(0, 0.5, f"{name}\n{size}".strip(), transform=axes.transAxes, va="center", fontsize=8)


@drawn
def colors(sets: Mapping[str, Colors]) -> Chart:
    """Compare distributions of colors in the a*b* plane, and of chroma.

    Parameters
    ----------
    sets
        Distributions by title. The others are compared with the first one.
    """
    figure, axes = panels(1, len(sets) + 1, 2.75, width_ratios=[*[1] * len(sets), 1.25])
    half = next(iter(sets.values())).share.shape[0] * CELL / 2
    centers = np.arange(-half + CELL / 2, half, CELL)
    palette = (GRAY, INK, RED)
    table = []
    last = axes[0, -1]
    grid_a, grid_b = np.meshgrid(centers, centers, indexing="ij")
    chroma = np.hypot(grid_a, grid_b)
    edges = np.arange(0, 81, 4)
    words = []
    first = next(iter(sets.values()))
    for i, (place, (title, one), color) in enumerate(
        zip(axes[0], sets.items(), palette, strict=False)
    ):
        share = one.share
        ordered = np.sort(share.ravel())[::-1]
        held = ordered.cumsum()
        parts = (0.99, 0.9, 0.5)
        levels = [float(ordered[min((held < part).sum(), ordered.size - 1)]) for part in parts]
        levels = sorted(set(levels))
        shades = [to_rgba(color, alpha) for alpha in (0.18, 0.38, 0.75)][-len(levels) :]
        place.contourf(centers, centers, share.T, [*levels, 2], colors=shades)
        ab_axes(place, extent=70, label_b=i == 0)
        place.set_title(title, fontsize=8.5)
        density = np.histogram(chroma, edges, weights=share)[0] / np.diff(edges)
        last.stairs(density, edges, color=color, lw=1.5, label=title)
        if i:
            interval = divergence_interval(first, one)
            words.append(f"{title}: {interval_text(*interval, 3)}")
        for low, value in zip(edges, density, strict=False):
            table.append({"set": title, "images": one.images, "chroma from": low, "density": value})
    last.set(xlabel="C*", title="chroma", xlim=(0, 80))
    last.set_yscale("log")
    last.legend(fontsize=7)
    grid(last)
    numbers = ", ".join(f"{title} of {count(one.images, 'image')}" for title, one in sets.items())
    name = next(iter(sets))
    caption = (
        f"Colors in the a*b* plane, the shades holding 50, 90 and 99 % of the pixels, and their "
        f"chroma: {numbers}. Jensen-Shannon divergence from “{name}” in bits, with its 95 % "
        f"bootstrap interval over both sets: {'; '.join(words)}."
    )
    return Chart(figure, pd.DataFrame(table), caption)


@drawn
def steadiness(found: Steadiness) -> Chart:
    """Plot temporal metrics for each way of coloring a film."""
    metrics = {
        "warped_error": "warped error, Lab units  ←",
        "psnr": "PSNR, dB  →",
        "cdc": "CDC  ←",
        "flicker": "flicker, squared Lab units  ←",
    }
    sources = found.about["sources"]
    lines = [(source, way) for source, ways in sources.items() for way in ways]
    figure, axes = panels(2, 2, 1.1 + 0.36 * len(lines), sharey=True)
    places = np.arange(len(lines))[::-1]
    ways = list(dict.fromkeys(way for _, way in lines))
    table = []
    for place, (metric, title) in zip(axes.flat, metrics.items(), strict=True):
        for y, (source, way) in zip(places, lines, strict=True):
            value, low, high = sources[source][way][metric]
            _dot(place, value, y, low, high, SERIES[ways.index(way) % len(SERIES)])
            table.append(
                {
                    "source": source,
                    "way": way,
                    "metric": metric,
                    "mean": value,
                    "low": low,
                    "high": high,
                }
            )
        place.set_title(title, fontsize=8.5)
        grid(place, "x")
        place.spines["left"].set_visible(False)
        place.tick_params(axis="y", length=0)
    several = len(sources) > 1
    names = [f"{way} ({source})" if several else way for source, way in lines]
    axes[0, 0].set_yticks(places, names)
    clips = found.about["clips"]
    caption = (
        f"Temporal consistency over {count(clips['count'], 'made clip')} of {clips['frames']} "
        "frames with known motion: mean and 95 % bootstrap interval over the clips. A real film is "
        "a single sample, so it has no interval. "
        f"{_ARROW}"
    )
    return Chart(figure, pd.DataFrame(table), caption)


@drawn
def color_over_time(found: Steadiness) -> Chart:
    """Plot the color at one position of each source for each frame."""
    colors_ = found.colors
    sources = list(dict.fromkeys(colors_["source"]))
    figure, axes = panels(len(sources), 2, 0.8 + 1.9 * len(sources), sharex="row")
    middle = sorted(colors_["point"].unique())[colors_["point"].nunique() // 2]
    ways = list(dict.fromkeys(colors_["way"]))
    for row, source in zip(axes, sources, strict=True):
        own = colors_[(colors_["source"] == source) & (colors_["point"] == middle)]
        for way, values in own.groupby("way", sort=False):
            color = SERIES[ways.index(way) % len(SERIES)]
            for place, channel in zip(row, ("a", "b"), strict=True):
                place.plot(values["frame"], values[channel], color=color, lw=1.2, label=way)
        for place, channel in zip(row, ("a*", "b*"), strict=True):
            place.set_title(f"{channel}, {source}", fontsize=8.5)
            grid(place)
        row[0].set_ylabel("Lab units")
    for place in axes[-1]:
        place.set_xlabel("frame")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=7.5)
    caption = (
        "Color at the middle position of the first made clip and of each film, by the way of "
        "coloring. This is one position, so there is no interval."
    )
    return Chart(figure, colors_, caption)


@drawn
def turing(found: Turing) -> Chart:
    """Plot how often people and classifiers were fooled."""
    lines: list[tuple[str, float, float, float, str]] = []
    for row in found.rows:
        name = f"{row.observer or 'all observers'}, {row.weights or 'all weights'}"
        lines.append((f"{name}: {row.trials} trials", row.share, row.low, row.high, BLUE))
    for row_ in (found.machine or {}).get("rows", []):
        color = GRAY if row_["control"] else RED
        against = {"real": "other photographs", "gray": "their gray"}
        other = against.get(row_["other"], f"those by “{row_['other']}”")
        kind = f"{row_['classifier']}: photographs or {other}"
        told_ = [1 - row_[key] for key in ("told", "told_high", "told_low")]
        lines.append((f"{kind}, {row_['pairs']} pairs", *told_, color))
    figure, ((axes,),) = panels(height=0.8 + 0.26 * len(lines))
    places = np.arange(len(lines))[::-1]
    for y, (_, share, low, high, color) in zip(places, lines, strict=True):
        _dot(axes, 100 * share, y, 100 * low, 100 * high, color)
    axes.axvline(50, color=INK, lw=0.8, ls=(0, (3, 2)))
    axes.set_yticks(places, [name for name, *_ in lines])
    axes.set(xlim=(0, 100), xlabel="fooled, % (50 is perfect)", ylim=(-0.7, len(lines) - 0.3))
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    grid(axes, "x")
    caption = (
        "How often the other image of a pair was taken for the photograph: by people (blue), by "
        "classifiers (red), and by classifiers in the controls (gray dots): two photographs, which "
        "cannot be distinguished, or a photograph and its gray, which is easy to distinguish. "
        "Wilson's 95 % interval over trials and pairs."
    )
    table = pd.DataFrame(
        [(name, share, low, high) for name, share, low, high, _ in lines],
        columns=["who", "fooled", "low", "high"],
    )
    return Chart(figure, table, caption)


def shown_metrics(group: Group) -> list[str]:
    """Return the `METRICS` that at least one model has."""
    return [name for name in METRICS if any(name in values for values in group.values())]

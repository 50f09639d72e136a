"""Charts of colors by position, of lightness and color, and of groups of images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap, LogNorm, TwoSlopeNorm
from numpy.typing import NDArray

from recolor_core.lab import rgb_to_lab
from training.analysis.charts.style import (
    CHANNEL,
    INK,
    SERIES,
    Chart,
    ab_axes,
    channel_map,
    count,
    drawn,
    grid,
    heat,
    image_axes,
    interval_text,
    paint,
    panels,
)
from training.analysis.spatial import (
    CHANNELS,
    GRAY_CHROMA,
    SECTORS,
    WINDOW,
    ColorDistribution,
    LightnessCorrelation,
    Palettes,
    PositionMaps,
)


@drawn
def position_means(maps: PositionMaps) -> Chart:
    """Plot mean and spread of lightness and color by position in the image."""
    figure, axes = panels(2, 3, height=4.7)
    bound = float(np.ceil(np.abs(maps.mean[..., 1:]).max() / 2) * 2)
    low, high = maps.mean[..., 0].min(), maps.mean[..., 0].max()
    step = max(2, round(bound / 8) * 2)
    steps = step * np.arange(-10, 11)
    for channel, (name, top, bottom) in enumerate(
        zip(("L*", "a*", "b*"), axes[0], axes[1], strict=True)
    ):
        mean, spread = maps.mean[..., channel], maps.spread[..., channel]
        if channel:
            heat(figure, top, mean, channel_map(name), limits=(-bound, bound), levels=steps)
        else:
            light = np.arange(0, 100, 5)
            heat(figure, top, mean, "gray", limits=(low, high), levels=light)
        top.set_title(f"mean {name}")
        limits = (float(spread.min()), float(spread.max()))
        heat(figure, bottom, spread, "viridis", limits=limits)
        bottom.set_title(f"spread of {name}")
    # Each position is one sample of the images, so its mean has its own standard error.
    widest = 1.96 * maps.spread[..., 1:].max() / maps.images**0.5
    caption = (
        "Mean (above) and standard deviation between images (below) of lightness and color by "
        f"position, for all aspect ratios, of {count(maps.images, 'image')}"
        f", in Lab units; contours smoothed. The 95 % interval of a mean a* or b* is ±{widest:.1f} "
        "at most."
    )
    return Chart(figure, _places(maps), caption)


@drawn
def position_hues(maps: PositionMaps) -> Chart:
    """Plot how often each hue occurs at each position."""
    names = ["gray", *SECTORS]
    figure, axes = panels(2, 4, height=4.3)
    mean = maps.mean.copy()
    chroma = np.hypot(mean[..., 1], mean[..., 2]).max()
    mean[..., 1:] *= min(8.0, 30 / max(chroma, 1e-6))
    axes[0, 0].imshow(paint(mean))
    image_axes(axes[0, 0])
    axes[0, 0].set_title("mean color, vivid")
    for place, name in zip(axes.flat[1:], names, strict=True):
        share = 100 * maps.shares[name]
        top = max(float(share.max()), 1.0)
        heat(figure, place, share, _towards(name), limits=(0, top))
        place.set_title(name)
    half = 98 / maps.images**0.5
    caption = (
        "Frequency of each hue by position: percentage of the images that have the hue there. "
        f"Gray is C* below {GRAY_CHROMA:g}. Top left: the mean image with stretched chroma. "
        f"The charts show {count(maps.images, 'image')}; the 95 % interval of a percentage is "
        f"±{half:.1f} percentage points at most."
    )
    table = _places(maps)[["row", "column", *names]]
    return Chart(figure, table, caption)


def _places(maps: PositionMaps) -> pd.DataFrame:
    rows, columns = np.indices(maps.mean.shape[:2]).reshape(2, -1)
    table = pd.DataFrame({"row": rows, "column": columns})
    for channel, name in enumerate(("L*", "a*", "b*")):
        table[f"mean {name}"] = maps.mean[..., channel].ravel()
        table[f"spread of {name}"] = maps.spread[..., channel].ravel()
    for name, share in maps.shares.items():
        table[name] = share.ravel()
    return table


def _towards(name: str) -> ListedColormap:
    """Make a colormap from nearly white to a dark tone of a hue of `SECTORS`."""
    t = np.linspace(0, 1, 128)
    if name == "gray":
        chroma, angle = 0 * t, 0.0
    else:
        low, high = SECTORS[name]
        angle = np.radians((low + ((high - low) % 360) / 2) % 360)
        chroma = 70 * t**0.8
    lightness = 97 - (40 if name == "yellow" else 62) * t
    lab = np.stack((lightness, chroma * np.cos(angle), chroma * np.sin(angle)), axis=-1)
    return ListedColormap(paint(lab), name=name)


@drawn
def lightness_levels(correlation: LightnessCorrelation) -> Chart:
    """Plot color by lightness, and their correlation on three scales."""
    figure, axes = panels(1, 2, height=3.2, width_ratios=(1, 1.15))
    left, right = axes[0]
    for channel, name in enumerate(("a*", "b*")):
        low, middle, high = np.moveaxis(correlation.color_at[:, channel], -1, 0)
        left.fill_between(correlation.lightness, low, high, color=CHANNEL[name], alpha=0.18, lw=0)
        left.plot(correlation.lightness, middle, color=CHANNEL[name], label=name)
    left.axhline(0, color=INK, lw=0.5, alpha=0.4)
    left.set(xlabel="L*", ylabel="a*, b*", xlim=(0, 100), title="color by lightness")
    left.legend(loc="upper left", ncols=2)
    grid(left)
    scales = (
        ("within images", correlation.per_image),
        (f"within windows of {WINDOW} × {WINDOW} cells", correlation.per_window),
    )
    for (title, values), style in zip(scales, ("-", (0, (2, 1.2))), strict=True):
        edges = np.linspace(-1, 1, 2 * int(np.clip(len(values) ** 0.5, 8, 25)) + 1)
        for channel, name in enumerate(("a*", "b*")):
            known = values[:, channel][np.isfinite(values[:, channel])]
            if len(known):
                density = np.histogram(known, edges, density=True)[0]
                label = f"{name} {title}"
                right.stairs(density, edges, color=CHANNEL[name], ls=style, lw=1.4, label=label)
    right.set(xlabel="correlation with L*", ylabel="density", xlim=(-1, 1), ylim=(0, None))
    right.set_title("correlation of lightness and color")
    right.legend(loc="upper left", fontsize=7.5)
    right.set_ylim(0, right.get_ylim()[1] * 1.45)
    grid(right)
    words = ", ".join(f"{name} {interval_text(*correlation.overall[name])}" for name in CHANNELS)
    number = len(correlation.per_image)
    caption = (
        "Left: median and quartiles of a* and b* by lightness, over all pixels. Right: Pearson "
        "correlation of L* with a* and b* within each image, and within each window of a "
        f"image (windows without contrast left out). Over all pixels at once it is {words} "
        f"(mean and 95 % bootstrap interval over {count(number, 'image')})."
    )
    table = pd.DataFrame({"L*": correlation.lightness})
    for channel, name in enumerate(("a*", "b*")):
        for column, quartile in enumerate(("lower quartile", "median", "upper quartile")):
            table[f"{name} {quartile}"] = correlation.color_at[:, channel, column]
    return Chart(figure, table, caption)


@drawn
def lightness_places(correlation: LightnessCorrelation) -> Chart:
    """Plot the correlation of lightness with color between images at each position."""
    figure, axes = panels(1, 3, height=2.5)
    bound = float(np.nanmax(np.abs(correlation.by_place), initial=0.1))
    table = pd.DataFrame()
    rows, columns = np.indices(correlation.by_place.shape[:2]).reshape(2, -1)
    table["row"], table["column"] = rows, columns
    for channel, (name, place) in enumerate(zip(CHANNELS, axes[0], strict=True)):
        values = correlation.by_place[..., channel]
        heat(figure, place, values, "PuOr", limits=(-bound, bound))
        place.set_title(f"L* with {name}")
        table[f"r of L* and {name}"] = values.ravel()
    number = len(correlation.per_image)
    caption = (
        "Pearson correlation of L* with a*, b* and chroma C* at each position in the image, "
        f"between {count(number, 'image')}. If there is no relation, 95 % are within "
        f"±{1.96 / number**0.5:.2f}."
    )
    return Chart(figure, table, caption)


@drawn
def ab_distribution(distribution: ColorDistribution) -> Chart:
    """Plot the density of colors in the a*b* plane, in false colors and in their own colors."""
    figure, axes = panels(1, 2, height=4.0)
    left, right = axes[0]
    edges, share = distribution.edges, distribution.share
    centers = (edges[1:] + edges[:-1]) / 2
    positive = share[share > 0]
    norm = LogNorm(max(positive.min(), positive.max() * 1e-5), positive.max())
    shown = np.ma.masked_less_equal(share, 0)
    mesh = left.pcolormesh(edges, edges, shown.T, norm=norm, cmap="viridis", rasterized=True)
    ordered = np.sort(share.ravel())[::-1]
    held = ordered.cumsum()
    levels = sorted({float(ordered[(held < part).sum()]) for part in (0.5, 0.9, 0.99)})
    if len(levels) > 1:
        left.contour(centers, centers, share.T, levels, colors="white", linewidths=0.8)
    ab_axes(left)
    bar = figure.colorbar(mesh, ax=left, fraction=0.046, pad=0.03, aspect=26)
    bar.outline.set_visible(False)
    bar.set_label("fraction of the pixels", fontsize=8)
    left.set_title("density")
    lightness = np.nan_to_num(distribution.lightness, nan=60.0)
    grid_a, grid_b = np.meshgrid(centers, centers, indexing="ij")
    colors = paint(np.stack((lightness, grid_a, grid_b), axis=-1))
    weight = np.where(share > 0, np.asarray(norm(share)).clip(0.06, 1) ** 0.5, 0)
    extent = (edges[0], edges[-1], edges[0], edges[-1])
    rgba = np.concatenate((colors, weight[..., None]), axis=-1)
    right.imshow(rgba.transpose(1, 0, 2), origin="lower", extent=extent)
    ab_axes(right, label_b=False)
    right.set_title("in their own colors")
    rows = share.ravel() > 0
    table = pd.DataFrame(
        {
            "a*": grid_a.ravel()[rows],
            "b*": grid_b.ravel()[rows],
            "share": share.ravel()[rows],
            "mean L*": distribution.lightness.ravel()[rows],
        }
    )
    caption = (
        f"Colors of {count(distribution.images, 'image')} in the a*b* plane, in cells of 2 Lab "
        "units; the contours hold 50, 90 and 99 % of the pixels. "
        f"{_percent(distribution.gray)} of the pixels are gray (C* below {GRAY_CHROMA:g}), mean "
        f"chroma is {interval_text(*distribution.chroma, 1)} (95 % bootstrap intervals over "
        f"images). Entropy: {distribution.bits:.1f} bits."
    )
    return Chart(figure, table, caption)


def _percent(interval: tuple[float, float, float]) -> str:
    value, low, high = (100 * x for x in interval)
    return f"{value:.0f} % ({low:.0f} to {high:.0f})"


@drawn
def components(palettes: Palettes) -> Chart:
    """Plot the principal components of color distributions in the a*b* plane."""
    number = min(4, len(palettes.components))
    figure, axes = panels(1, max(number, 1), height=2.6)
    side = palettes.components.shape[-1]
    half = side * 10 / 2
    extent = (-half, half, -half, half)
    bound = float(np.abs(palettes.components[:number]).max())
    norm = TwoSlopeNorm(0, -bound, bound)
    for i, (place, component) in enumerate(zip(axes[0], palettes.components, strict=False)):
        place.imshow(component.T, origin="lower", extent=extent, cmap="PuOr", norm=norm)
        ab_axes(place, extent=70, label_b=i == 0)
        place.set_title(f"{i + 1}: {palettes.explained[i]:.0%}")
    cells = np.arange(side) * 10 - half + 5
    grid_a, grid_b = np.meshgrid(cells, cells, indexing="ij")
    table = pd.DataFrame({"a*": grid_a.ravel(), "b*": grid_b.ravel()})
    for i, component in enumerate(palettes.components):
        table[f"component {i + 1}"] = component.ravel()
    caption = (
        "Principal components of the color distributions of "
        f"{count(len(palettes.places), 'image')}, with the fraction of the variance that each "
        "explains. Images at one end have more of the colors in purple cells, images at the other "
        "end more of those in orange cells. Computed from square roots of fractions in cells of "
        "10 Lab units."
    )
    return Chart(figure, table, caption)


@drawn
def groups(
    palettes: Palettes, codes: NDArray[np.uint8], names: Sequence[str], samples: int = 9
) -> Chart:
    """Show the groups of images by color: positions, colors, most typical members."""
    number = int(palettes.group.max()) + 1
    figure, axes = panels(
        number, samples + 2, height=0.78 * number + 0.4, width_ratios=(2.4, 2.4, *[1] * samples)
    )
    for place in axes.flat:
        image_axes(place)
    for group in range(number):
        members = np.flatnonzero(palettes.group == group)
        axes[group, 0].text(
            0,
            0.5,
            f"group {group + 1}\n{count(len(members), 'image')}",
            transform=axes[group, 0].transAxes,
            va="center",
            fontsize=8.5,
        )
        axes[group, 1].imshow(_swatch(codes[members]), extent=(0, 2.4, 0, 1))
        typical = members[np.argsort(palettes.distance[members], kind="stable")]
        for place, member in zip(axes[group, 2:], typical, strict=False):
            place.imshow(codes[member])
    axes[0, 1].set_title("their colors", fontsize=8.5)
    heading = axes[0, 2].set_title("most typical images", fontsize=8.5)
    heading.set_in_layout(False)  # it extends over the neighboring images
    tried = ", ".join(f"{k}: {score:.2f}" for k, score in palettes.silhouettes.items())
    chosen = f"silhouettes by their number are {tried}" if tried else "too few images to tell more"
    caption = (
        f"Groups of {count(len(palettes.group), 'image')} with similar color distributions, by "
        f"k-means on the first {palettes.places.shape[1]} principal components ({chosen}). Colors: "
        "the pixels of a group by hue, grays first, light ones above."
    )
    table = pd.DataFrame({"image": list(names), "group": palettes.group + 1})
    for i, places in enumerate(palettes.places.T[:3]):
        table[f"component {i + 1}"] = places
    return Chart(figure, table, caption)


def _swatch(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the colors of images as a bar (24, 72, 3): columns by hue, grays first; rows by L*."""
    pixels = codes.reshape(-1, 3)
    pixels = pixels[:: max(1, len(pixels) // 24 // 72)][: 24 * 72]
    lab = np.asarray(rgb_to_lab(pixels), np.float64)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    hue = np.degrees(np.arctan2(lab[:, 2], lab[:, 1])) % 360
    order = np.argsort(np.where(chroma < GRAY_CHROMA, -1, (hue + 15) % 360), kind="stable")
    columns = pixels[order[: len(order) // 24 * 24]].reshape(-1, 24, 3)
    light = lab[order[: len(order) // 24 * 24], 0].reshape(-1, 24)
    by_light = np.take_along_axis(columns, np.argsort(-light, axis=1)[..., None], axis=1)
    return np.ascontiguousarray(by_light.transpose(1, 0, 2))


@drawn
def scatter(palettes: Palettes) -> Chart:
    """Plot every image in the plane of the first two components."""
    figure, ((axes, beside),) = panels(1, 2, height=3.3, width_ratios=(1.6, 1))
    places = palettes.places
    second = places[:, 1] if places.shape[1] > 1 else np.zeros(len(places))
    for group in range(int(palettes.group.max()) + 1):
        members = palettes.group == group
        color = SERIES[group % len(SERIES)]
        marker = "o" if group < len(SERIES) else "s"
        style = {"s": 14, "alpha": 0.75, "linewidths": 0, "marker": marker}
        label = f"group {group + 1}"
        axes.scatter(places[members, 0], second[members], color=color, label=label, **style)
    axes.set(xlabel="component 1", ylabel="component 2", title="images by color")
    axes.legend(ncols=2, fontsize=7.5, handletextpad=0.1)
    axes.collections[0].set_rasterized(len(places) > 2000)
    grid(axes, "both")
    explained = 100 * palettes.explained
    beside.bar(np.arange(1, len(explained) + 1), explained, color=SERIES[0], width=0.65)
    beside.plot(np.arange(1, len(explained) + 1), explained.cumsum(), color=INK, lw=1, marker=".")
    beside.set(xlabel="component", ylabel="variance explained, %", ylim=(0, None))
    beside.set_title("explained variance")
    grid(beside)
    caption = (
        f"{count(len(places), 'image')} along the first two principal components of their color "
        "distributions, by group. Right: the fraction of the variance that each component explains "
        "(bars) and its cumulative sum (line). All images are shown, so there is no interval."
    )
    table = pd.DataFrame(
        {"component": np.arange(1, len(explained) + 1), "explained": palettes.explained}
    )
    return Chart(figure, table, caption)

"""Charts of color over the frames of a stack."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.analysis.charts.style import (
    CHANNEL,
    GRAY,
    INK,
    SERIES,
    Chart,
    channel_map,
    count,
    drawn,
    grid,
    heat,
    image_axes,
    panels,
)
from training.analysis.temporal import (
    CHANNELS,
    Autoregression,
    Decomposition,
    Lags,
    Modes,
    Stack,
)

_STRIP = 12  # number of frames shown of a stack


@drawn
def strip(stack: Stack) -> Chart:
    """Show evenly spaced frames of the stack and the mean color of every frame."""
    chosen = np.linspace(0, len(stack.codes) - 1, min(_STRIP, len(stack.codes))).round().astype(int)
    figure, axes = panels(2, 1, height=1.5, height_ratios=(2, 0.7))
    row = np.concatenate(list(stack.codes[chosen]), axis=1)
    axes[0, 0].imshow(row)
    means = stack.codes.mean((1, 2)).round().astype(np.uint8)[None]
    axes[1, 0].imshow(means, aspect="auto")
    for place in axes.flat:
        aspect = place.get_aspect()
        image_axes(place)
        place.set_aspect(aspect)
    rate = f", {stack.rate:g} per second" if stack.rate else ""
    caption = (
        f"Above: {len(chosen)} of {count(len(stack.codes), 'frame')}{rate}, evenly spaced. Below: "
        "the mean color of each frame, from the first to the last."
    )
    table = pd.DataFrame(stack.means(), columns=list(CHANNELS)).rename_axis("frame").reset_index()
    return Chart(figure, table, caption)


@drawn
def decomposition(parts: Decomposition) -> Chart:
    """Plot the series of mean a* and b* and its components."""
    frames = np.arange(len(parts.observed))
    names = ("observed and trend", "periodic", "residual")
    columns = range(1, parts.observed.shape[1])
    figure, axes = panels(3, 2, height=4.4, sharex=True, height_ratios=(1.5, 1, 1))
    shares = parts.shares()
    table = pd.DataFrame({"frame": frames})
    for column, side in zip(columns, axes.T, strict=True):
        name = CHANNELS[column]
        color = CHANNEL[name]
        side[0].plot(frames, parts.observed[:, column], color=color, lw=1)
        side[0].plot(frames, parts.trend[:, column], color=INK, lw=1.4)
        side[1].plot(frames, parts.periodic[:, column], color=color, lw=1.2)
        side[2].plot(frames, parts.residual[:, column], color=color, lw=0.9)
        period = int(parts.period[column])
        repeats = f"every {period} frames" if period else "no period found"
        side[0].set_title(f"mean {name}: trend {shares[0, column]:.0%}")
        side[1].set_title(f"periodic, {repeats}: {shares[1, column]:.0%}", fontsize=8.5)
        side[2].set_title(f"residual: {shares[2, column]:.0%}", fontsize=8.5)
        # Use one scale for both small components, so that they are comparable.
        reach = 1.08 * max(
            np.abs(parts.periodic[:, column]).max(), np.abs(parts.residual[:, column]).max(), 1e-3
        )
        for place in side[1:]:
            place.set_ylim(-reach, reach)
            place.axhline(0, color=INK, lw=0.5, alpha=0.4)
        for place in side:
            grid(place)
        side[-1].set_xlabel("frame")
        for part, values in zip(
            ("observed", "trend", "periodic", "residual"),
            (parts.observed, parts.trend, parts.periodic, parts.residual),
            strict=True,
        ):
            table[f"{name} {part}"] = values[:, column]
    for place, text in zip(axes[:, 0], names, strict=True):
        place.set_ylabel("Lab units")
        place.set_gid(text)
    tests = ", ".join(
        f"{CHANNELS[c]} p {'<' if parts.p_value[c] < 0.001 else '='} "
        f"{max(parts.p_value[c], 0.001):.3f}"
        for c in columns
    )
    caption = (
        f"Mean a* and b* of each of {count(len(frames), 'frame')} as trend + periodic + residual, "
        "with the fraction of the variance of each. Both small components have one scale. A period "
        f"is accepted if it is significant in Fisher's test at 1 % ({tests})."
    )
    return Chart(figure, table, caption)


@drawn
def modes(found: Modes) -> Chart:
    """Plot the regions that change color together, and when."""
    number = found.courses.shape[1]
    figure, axes = panels(number, 3, height=1.75 * number, width_ratios=(2.6, 1, 1))
    bound = float(np.quantile(np.abs(found.maps), 0.995))
    frames = np.arange(len(found.courses))
    reach = 1.05 * float(np.abs(found.courses).max())
    for i in range(number):
        course, first, second = axes[i]
        course.plot(frames, found.courses[:, i], color=SERIES[i % len(SERIES)], lw=1.2)
        course.axhline(0, color=INK, lw=0.5, alpha=0.4)
        course.set_title(f"mode {i + 1}: {found.explained[i]:.0%} of the variance")
        course.set(ylabel="Lab units", ylim=(-reach, reach))
        grid(course)
        for channel, place in enumerate((first, second)):
            name = ("a*", "b*")[channel]
            shown = found.maps[i, ..., channel]
            heat(figure, place, shown, channel_map(name), limits=(-bound, bound))
            place.set_title(f"{name} of mode {i + 1}", fontsize=8.5)
    axes[-1, 0].set_xlabel("frame")
    caption = (
        f"Principal components of a* and b* over {count(len(frames), 'frame')}. Left: the "
        "amplitude of each component (root mean square over the image). Right: the positions and "
        "directions in which it changes color. All frames are shown, so there is no interval."
    )
    table = pd.DataFrame(
        found.courses, columns=[f"mode {i + 1}" for i in range(number)]
    ).rename_axis("frame")
    return Chart(figure, table.reset_index(), caption)


@drawn
def lags(found: Lags, frames: int) -> Chart:
    """Plot correlations over a range of lags."""
    figure, axes = panels(1, 3, height=2.8, sharey=True)
    own, cross, place = axes[0]
    for channel, name in enumerate(CHANNELS):
        own.plot(found.lags, found.auto[:, channel], color=CHANNEL[name], label=name)
    own.set(xlabel="lag, frames", ylabel="correlation", title="means with themselves")
    own.legend(loc="lower left", ncols=3, handlelength=1.2, columnspacing=1)
    for channel, name in enumerate(("a*", "b*")):
        cross.plot(found.cross_lags, found.cross[:, channel], color=CHANNEL[name])
    cross.set(xlabel="lag of color behind L*, frames", title="mean L* with mean a*, b*")
    place.fill_between(
        found.lags, found.place[:, 0], found.place[:, 2], color=SERIES[0], alpha=0.2, lw=0
    )
    place.plot(found.lags, found.place[:, 1], color=SERIES[0])
    place.set(xlabel="lag, frames", title="positions with themselves")
    for axis in axes[0]:
        axis.axhspan(-found.bound, found.bound, color=GRAY, alpha=0.14, lw=0)
        axis.axhline(0, color=INK, lw=0.5, alpha=0.4)
        axis.set_ylim(-1.05, 1.05)
        grid(axis)
    caption = (
        f"Lagged correlations over {count(frames, 'frame')}. Left: the mean of each frame with "
        "that of a later frame. Middle: mean lightness with mean color of a later frame. Right: "
        "color at each position, with a* and b* together; median and quartiles over the positions. "
        f"The gray band, ±{found.bound:.2f}, holds 95 % of the correlations of independent frames."
    )
    table = pd.DataFrame({"lag": found.lags})
    for channel, name in enumerate(CHANNELS):
        table[f"mean {name}"] = found.auto[:, channel]
    for column, text in enumerate(("lower quartile", "median", "upper quartile")):
        table[f"places, {text}"] = found.place[:, column]
    zero = len(found.lags) - 1
    for channel, name in enumerate(("a*", "b*")):
        table[f"L* with {name} later"] = found.cross[zero:, channel]
        table[f"L* with {name} earlier"] = found.cross[zero::-1, channel]
    return Chart(figure, table, caption)


@drawn
def autoregression(series: NDArray[np.float64], found: list[Autoregression]) -> Chart:
    """Plot predictions of held-out frames from previous frames, and the errors."""
    figure, axes = panels(1, len(found) + 1, height=2.7)
    rows = []
    for place, one in zip(axes[0], found, strict=False):
        column = CHANNELS.index(one.channel)
        held = np.arange(one.first, len(series))
        shown = np.arange(max(0, one.first - len(held)), len(series))
        place.plot(shown, series[shown, column], color=CHANNEL[one.channel], lw=1.4, label="true")
        place.plot(held, one.predicted, color=INK, lw=1, ls=(0, (3, 1.5)), label="predicted")
        place.axvline(one.first - 0.5, color=INK, lw=0.6, alpha=0.5)
        place.set(xlabel="frame", title=f"mean {one.channel}, order {one.order}")
        grid(place)
        weights = [float(f"{weight:.4g}") for weight in one.coefficients]
        rows.append(
            {
                "channel": one.channel,
                "order": one.order,
                "autoregression": one.error,
                "persistence": one.persistence,
                "mean of the frames before": one.constant,
                "coefficients": " ".join(map(str, weights)),
            }
        )
    axes[0, 0].legend(loc="best", fontsize=7.5)
    table = pd.DataFrame(rows)
    last = axes[0, -1]
    ways = ("autoregression", "persistence", "mean of the frames before")
    heights = np.arange(len(found))
    for i, (way, color) in enumerate(zip(ways, (SERIES[0], SERIES[5], GRAY), strict=True)):
        last.barh(heights + (1 - i) * 0.26, table[way], height=0.23, color=color, label=way)
    last.set_yticks(heights, table["channel"])
    last.set(xlabel="RMSE of held-out frames, Lab units", title="error one frame ahead")
    last.legend(loc="upper right", fontsize=7)
    last.set_ylim(-0.5, len(found) - 0.5 + 0.75)
    grid(last, "x")
    number = len(series) - found[0].first
    caption = (
        f"The last {count(number, 'frame')} of {len(series)}, each predicted from the true frames "
        "before it by an autoregression fitted to the frames left of the line (order by Akaike's "
        "corrected criterion). Last panel: its root mean square error beside the errors of "
        "repeating the last frame and of a constant."
    )
    return Chart(figure, table, caption)

"""The style of all charts, and shared axes of the a*b* plane.

Text and lines have the color `INK`, and empty areas the color `PAPER`. A page replaces them with
the colors of its own text and background, so the same drawing works on light and dark pages.
Series have the colors of P. Tol's "bright" scheme (personal.sron.nl/~pault, 2021), which is safe
for color-blind people and readable on both.
"""

import functools
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, cast

import numpy as np
import pandas as pd
from matplotlib import rc_context, rcdefaults, rcParams
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from recolor_core.files import replacing
from recolor_core.lab import lab_to_rgb

P = ParamSpec("P")

WIDTH = 8.6
"""Width of a chart in inches. In a column of 860 pixels, 9-point text is 12.5 pixels high."""

INK = "#1b1c1f"
PAPER = "#fefefe"
BLUE, RED, GREEN, OCHER, CYAN, PURPLE, GRAY = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#c08a00",
    "#55aacc",
    "#aa3377",
    "#8a8d93",
)
SERIES = (BLUE, RED, GREEN, OCHER, PURPLE, CYAN, GRAY)
CHANNEL = {"L*": GRAY, "a*": PURPLE, "b*": OCHER, "C*": BLUE}
"""The color of each channel in all charts."""

SHOWN_LIGHTNESS = 65.0
"""L* of painted a*b* planes. At this value, sRGB has its widest range of hues."""

RC: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlepad": 7,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.dpi": 110,
    "figure.facecolor": "none",
    "font.size": 9,
    "grid.alpha": 0.16,
    "grid.color": INK,
    "grid.linewidth": 0.6,
    "image.interpolation": "none",  # keep the pixels; the viewer scales them
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "patch.linewidth": 0,
    "savefig.dpi": 170,
    "svg.fonttype": "none",  # keep text as text
    "svg.hashsalt": "recolor",
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 8.5,
    "xtick.major.size": 3,
    "xtick.major.width": 0.7,
    "ytick.color": INK,
    "ytick.labelsize": 8.5,
    "ytick.major.size": 3,
    "ytick.major.width": 0.7,
}


@contextmanager
def style() -> Iterator[None]:
    """Apply the style of all charts, whatever style is active outside."""
    with rc_context():
        rcdefaults()
        rcParams.update(cast("Any", RC))  # its type lists every valid key
        yield


@dataclass(frozen=True)
class Chart:
    """A drawing, its numbers and its caption.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
    table : pandas.DataFrame
        The drawn numbers, as written to the CSV file.
    caption : str
        What is shown, of how many images, and with which interval.
    """

    figure: Figure
    table: pd.DataFrame
    caption: str

    def save(self, folder: Path, name: str) -> None:
        """Write ``NAME.png``, ``NAME.svg`` and ``NAME.csv`` to a folder."""
        with style():
            self.figure.draw_without_rendering()
            self.figure.set_layout_engine("none")  # compute the layout once, not for every file
            with replacing(folder / f"{name}.png") as part:
                self.figure.savefig(part, format="png", facecolor="white")
            with replacing(folder / f"{name}.svg") as part:
                self.figure.savefig(part, format="svg", metadata={"Date": None})
        write_table(folder / f"{name}.csv", self.table)

    def _repr_png_(self) -> bytes:  # lets a notebook show the chart
        file = io.BytesIO()
        with style():
            self.figure.savefig(file, format="png", facecolor="white", dpi=110)
        return file.getvalue()


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write the numbers of a chart to a CSV file."""
    with replacing(path) as part:
        table.to_csv(part, index=False, lineterminator="\n", float_format="%.6g")


def drawn(draw: Callable[P, Chart]) -> Callable[P, Chart]:
    """Make a function draw in the style of all charts, whatever style is active outside."""

    @functools.wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> Chart:
        with style():
            return draw(*args, **kwargs)

    return in_style


def panels(
    rows: int = 1, columns: int = 1, height: float = 3.0, **options: Any
) -> tuple[Figure, Any]:
    """Make a figure and an array of axes (rows, columns).

    Parameters
    ----------
    rows, columns
        Size of the grid.
    height
        Height in inches.
    **options
        Options of `subplots`.
    """
    figure = Figure(figsize=(WIDTH, height))
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def paint(lab: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return clipped sRGB codes in [0, 1] of Lab (..., 3)."""
    return np.asarray(lab_to_rgb(np.asarray(lab, np.float64))).clip(0, 1)


def painted_ab(
    a: NDArray[np.floating], b: NDArray[np.floating], lightness: float = SHOWN_LIGHTNESS
) -> NDArray[np.float64]:
    """Return sRGB codes (..., 3) of a* and b* at one lightness."""
    a, b = np.broadcast_arrays(a, b)
    return paint(np.stack((np.full(a.shape, lightness), a, b), axis=-1))


def channel_map(channel: str) -> ListedColormap:
    """Return a diverging colormap: a* from green to magenta, b* from blue to yellow.

    Both ends are darker, so that magnitude is visible without hue. Contours show the sign.
    """
    t = np.linspace(-1, 1, 255)
    lightness = 90 - 45 * np.abs(t)
    chroma, nothing = 62 * t, np.zeros_like(t)
    ab = (chroma, nothing) if channel == "a*" else (nothing, chroma)
    return ListedColormap(paint(np.stack((lightness, *ab), axis=-1)), name=channel)


def ab_axes(axes: Axes, extent: float = 80, label_b: bool = True) -> None:
    """Make axes a square of the a*b* plane, framed by the real colors along its axes."""
    axes.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal", xlabel="a*")
    if label_b:
        axes.set_ylabel("b*", labelpad=0)
    ticks = [t for t in (-80, -40, 0, 40, 80) if abs(t) <= extent]
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.axhline(0, color=INK, lw=0.5, alpha=0.35, zorder=0.5)
    axes.axvline(0, color=INK, lw=0.5, alpha=0.35, zorder=0.5)
    along, none = np.linspace(-extent, extent, 161), np.zeros(161)
    below = axes.inset_axes((0, -0.035, 1, 0.025), zorder=3)
    left = axes.inset_axes((-0.035, 0, 0.025, 1), zorder=3)
    for strip, colors in (
        (below, painted_ab(along, none)[None]),
        (left, painted_ab(none, along)[::-1, None]),
    ):
        strip.imshow(colors, aspect="auto", extent=(0, 1, 0, 1))
        strip.set_axis_off()
    axes.tick_params(axis="x", length=0, pad=8)
    axes.tick_params(axis="y", length=0, pad=12)


def image_axes(axes: Axes) -> None:
    """Prepare axes for an image or a map: no ticks, no frame."""
    axes.set(xticks=[], yticks=[], aspect="equal")
    for spine in axes.spines.values():
        spine.set_visible(False)


def heat(
    figure: Figure,
    axes: Axes,
    values: NDArray[np.floating],
    colors: Any,
    *,
    limits: tuple[float, float],
    levels: Iterable[float] = (),
    label: str = "",
) -> None:
    """Draw a map by position in the image with a colorbar and labeled contours.

    The contours, at `levels`, are of the smoothed map, because a map of few images is noisy.
    """
    image = axes.imshow(values, cmap=colors, vmin=limits[0], vmax=limits[1])
    image_axes(axes)
    smooth = ndimage.gaussian_filter(np.nan_to_num(values), 2.5, mode="nearest")
    inside = [level for level in levels if smooth.min() < level < smooth.max()]
    if inside:
        # Use black instead of ink: the map below it is the same on a dark page.
        lines = axes.contour(smooth, levels=inside, colors="black", linewidths=0.6, alpha=0.75)
        axes.clabel(lines, fontsize=7, fmt=lambda level: f"{level:g}".replace("-", "−"))
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, aspect=22)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, labelsize=7.5)
    if label:
        bar.set_label(label, fontsize=8)


def grid(axes: Axes, which: str = "y") -> None:
    """Draw faint grid lines."""
    axes.grid(True, axis=which)  # type: ignore[arg-type]


def interval_text(value: float, low: float, high: float, digits: int = 2) -> str:
    """Format an interval as ``0.31 (0.27 to 0.35)``."""
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})".replace("-", "−")


def count(number: int, noun: str) -> str:
    """Format a count as ``1 image``, ``1,044 images``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

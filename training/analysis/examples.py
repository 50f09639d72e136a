"""Choose example images by rule and color them with the settings of the evaluation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recolor_core.colorizer import Colorizer
from recolor_core.gray import read_gray
from recolor_core.lab import rgb_to_lab
from recolor_core.models.config import SCALE
from recolor_core.result import Colorization
from recolor_core.settings import Settings
from training.measures import Truth
from training.models.interface import enlarge
from training.photographs import DataError, list_photographs, square
from training.prepare.images import SourceImage

RULES = {
    "random": "drawn at random",
    "best": "with the least CIEDE2000, among the more colorful half",
    "worst": "with the largest CIEDE2000, among the more colorful half",
    "most uncertain": "whose colors the generator is least certain of",
}
"""Rules for choosing images. In the paler half, every coloring is close to the truth."""


def choose(rows: pd.DataFrame, number: int, seed: int) -> dict[str, pd.DataFrame]:
    """Select rows of one model by each rule in `RULES`.

    Parameters
    ----------
    rows
        One row for each image, as in an evaluation.
    number
        Maximum number of images for each rule.
    seed
        Seed of the random selection.
    """
    colorful = rows[rows["true_colorfulness"] >= rows["true_colorfulness"].median()]
    by_error = colorful.sort_values("ciede2000", kind="stable")
    drawn = np.random.default_rng(seed).permutation(len(rows))[:number]
    chosen = {
        "random": rows.iloc[drawn],
        "best": by_error.head(number),
        "worst": by_error.iloc[::-1].head(number),
    }
    doubts = rows.dropna(subset=["uncertainty_mean"])
    if len(doubts):
        order = doubts.sort_values("uncertainty_mean", ascending=False, kind="stable")
        chosen["most uncertain"] = order.head(number)
    return chosen


@dataclass(frozen=True, eq=False)
class Example:
    """A photograph and its coloring.

    Attributes
    ----------
    name : str
    truth, gray, coarse, refined : ndarray (S, S, 3)
        sRGB codes.
    uncertainty : ndarray (s, s)
        Uncertainty in Lab units.
    result : Colorization
    """

    name: str
    truth: NDArray[np.uint8]
    gray: NDArray[np.uint8]
    coarse: NDArray[np.uint8]
    refined: NDArray[np.uint8]
    uncertainty: NDArray[np.float32]
    result: Colorization


class Painter:
    """Colors the images of an evaluation again on request.

    Parameters
    ----------
    sources
        Folders or archives of the images.
    weights, device
        As in `Colorizer`.
    sha256
        Required SHA-256 of the weights.
    settings
        Settings of the evaluation.
    wear
        As in `training.measures.Truth`.

    Raises
    ------
    RecolorError
        If the weights or the images no longer exist.
    """

    def __init__(
        self,
        sources: Sequence[Path],
        weights: str,
        sha256: str,
        settings: Settings,
        device: str = "auto",
        wear: str = "",
    ) -> None:
        self.settings = settings
        self.wear = wear
        self.images = {
            f"{Path(image.source).name}::{image.name}": image
            for image in list_photographs(list(sources))
        }
        self.weights = weights
        self.colorizer = Colorizer(weights, device)
        if self.colorizer.record.sha256 != sha256:
            raise DataError(
                f"the weights {weights} are others than those that were measured "
                f"(SHA-256 {sha256[:12]}…); give these by --weights"
            )

    def image(self, name: str) -> SourceImage:
        """Return a measured image by its name in the evaluation.

        Raises
        ------
        DataError
            If the image no longer exists.
        """
        if name not in self.images:
            raise DataError(f"{name} is no longer among the images; evaluate again")
        return self.images[name]

    def color(self, rgb: NDArray[np.uint8]) -> Colorization:
        """Color the gray version of a photograph."""
        gray = Truth(rgb, self.wear).gray
        return self.colorizer.refine(
            self.colorizer.generate(read_gray(gray), self.settings), self.settings
        )

    def example(self, name: str) -> Example:
        """Return a measured image with its coloring."""
        truth = square(self.image(name), self.settings.size)
        result = self.color(truth)
        gray = Truth(truth, self.wear).gray
        ab = enlarge(result.ab_coarse, gray.shape)
        return Example(
            name,
            truth,
            np.repeat(gray[..., None], 3, axis=2),
            np.concatenate(list(result.strips(ab))),
            result.rgb,
            result.uncertainty,
            result,
        )


@dataclass(frozen=True)
class Colors:
    """Distribution of colors over the a*b* plane.

    Attributes
    ----------
    images : int
    per_image : ndarray (N, 110, 110)
        Fraction of each image's pixels in cells of 2 Lab units over [-110, 110), with a* as the
        first axis.
    """

    images: int
    per_image: NDArray[np.float32]

    @property
    def share(self) -> NDArray[np.float64]:
        """Return the mean distribution over all images, (110, 110)."""
        return self.per_image.mean(0, dtype=np.float64)


CELL = 2.0
"""Side of the cells of `Colors`, in Lab units."""

_EXTENT = 110


def colors_of(ab: Iterator[NDArray[np.floating]]) -> Colors:
    """Compute the distribution of a* and b*, (2, h, w), for each image."""
    cells = round(2 * _EXTENT / CELL)
    shares = []
    for one in ab:
        place = ((one.reshape(2, -1) + _EXTENT) / CELL).astype(int).clip(0, cells - 1)
        counts = np.bincount(place[0] * cells + place[1], minlength=cells**2)
        shares.append((counts / counts.sum()).reshape(cells, cells).astype(np.float32))
    return Colors(len(shares), np.stack(shares))


def true_ab(images: Sequence[SourceImage], size: int) -> Iterator[NDArray[np.float32]]:
    """Yield a*, b* (2, h, w) of photographs as center squares, at the size of coarse ab."""
    for image in images:
        small = square(image, size // SCALE)
        yield np.moveaxis(np.asarray(rgb_to_lab(small), np.float32), -1, 0)[1:]


def divergence(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return the Jensen-Shannon divergence (Lin 1991) in bits: 0 is equal, 1 is disjoint."""
    one, other = np.asarray(one, np.float64).ravel(), np.asarray(other, np.float64).ravel()
    middle = (one + other) / 2

    def entropy(share: NDArray[np.float64]) -> float:
        positive = share[share > 0]
        return float(-(positive * np.log2(positive)).sum())

    return max(0.0, entropy(middle) - (entropy(one) + entropy(other)) / 2)


def divergence_interval(
    one: Colors, other: Colors, draws: int = 200, seed: int = 0
) -> tuple[float, float, float]:
    """Return `divergence` of two sets of images with its 95 % bootstrap interval over both.

    Small sets differ by chance, and bootstrap samples differ even more. The interval is
    therefore shifted down by this bias (Efron and Tibshirani 1993, section 10.3).
    """
    rng = np.random.default_rng(seed)
    value = divergence(one.share, other.share)
    drawn = np.array(
        [divergence(*(_drawn(colors, rng) for colors in (one, other))) for _ in range(draws)]
    )
    low, high = np.quantile(drawn - (drawn.mean() - value), (0.025, 0.975))
    return value, max(0.0, float(low)), float(high)


def _drawn(colors: Colors, rng: np.random.Generator) -> NDArray[np.float64]:
    count = len(colors.per_image)
    weights = np.bincount(rng.integers(count, size=count), minlength=count) / count
    return np.tensordot(weights.astype(np.float32), colors.per_image, 1).astype(np.float64)

"""Simple baselines: no color, one color, and the colors of another image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recolor_core.hints import Hint
from training.models.interface import (
    Fitted,
    Model,
    Photographs,
    Prediction,
    ab_of,
    enlarge,
    gray_of,
    lightness_of,
    reduce,
)

THUMBNAIL = 16
"""Side of the L* thumbnails that are compared."""

GRID = 56
"""Side of the grid on which the colors of the training images are stored."""


class Gray(Model):
    """No color: a* = b* = 0."""

    def __init__(self) -> None:
        super().__init__("gray", "no color")

    def predict(self, gray: NDArray[np.uint8], hints: Sequence[Hint] = ()) -> Prediction:
        """See `Model.predict`."""
        return Prediction(np.zeros((2, *gray.shape), np.float32))


class Average(Fitted):
    """One color: the mean a* and b* of the training images."""

    suffix = ".npz"

    def __init__(self) -> None:
        super().__init__("average", "average color")
        self.ab = np.zeros(2, np.float32)

    def fit(self, photographs: Photographs) -> None:
        """See `Fitted.fit`."""
        means = [ab_of(rgb).mean(axis=(1, 2)) for rgb in photographs]
        self.ab = np.mean(means, axis=0, dtype=np.float32)

    def predict(self, gray: NDArray[np.uint8], hints: Sequence[Hint] = ()) -> Prediction:
        """See `Model.predict`."""
        return Prediction(np.tile(self.ab[:, None, None], (1, *gray.shape)))

    def save(self, path: Path) -> None:
        """See `Fitted.save`."""
        with path.open("wb") as file:  # given a path, NumPy would change the suffix
            np.savez(file, ab=self.ab)

    def load(self, path: Path) -> None:
        """See `Fitted.load`."""
        self.ab = np.load(path)["ab"]


class Nearest(Fitted):
    """The colors of the training image that looks most alike in gray (persistence for stills).

    The most similar image has the smallest Euclidean distance between L* thumbnails. Colors are
    stored on a grid of `GRID` x `GRID` cells: 13 KB for each image.
    """

    suffix = ".npz"

    def __init__(self) -> None:
        super().__init__("nearest", "persistence: nearest training image")
        self.thumbnails = np.zeros((0, THUMBNAIL**2), np.float32)
        self.ab = np.zeros((0, 2, GRID, GRID), np.float16)

    def fit(self, photographs: Photographs) -> None:
        """See `Fitted.fit`."""
        pairs = [(_thumbnail(gray_of(rgb)), _on_grid(rgb)) for rgb in photographs]
        self.thumbnails = np.stack([thumbnail for thumbnail, _ in pairs])
        self.ab = np.stack([ab for _, ab in pairs])

    def predict(self, gray: NDArray[np.uint8], hints: Sequence[Hint] = ()) -> Prediction:
        """See `Model.predict`."""
        distance = np.square(self.thumbnails - _thumbnail(gray)).sum(axis=1)
        coarse = self.ab[distance.argmin()].astype(np.float32)
        return Prediction(enlarge(coarse, gray.shape), coarse)

    def save(self, path: Path) -> None:
        """See `Fitted.save`."""
        with path.open("wb") as file:  # given a path, NumPy would change the suffix
            np.savez(file, thumbnails=self.thumbnails, ab=self.ab)

    def load(self, path: Path) -> None:
        """See `Fitted.load`."""
        kept = np.load(path)
        self.thumbnails, self.ab = kept["thumbnails"], kept["ab"]


def _thumbnail(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    return reduce(lightness_of(gray)[None], (THUMBNAIL, THUMBNAIL)).ravel()


def _on_grid(rgb: NDArray[np.uint8]) -> NDArray[np.float16]:
    return reduce(ab_of(rgb), (GRID, GRID)).astype(np.float16)

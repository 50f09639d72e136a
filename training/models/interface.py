"""The interface of a model: gray codes in, a* and b* out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from recolor_core.hints import Hint
from recolor_core.lab import gray_codes, lightness, rgb_to_lab
from recolor_core.result import Colorization

Photographs = Sequence[NDArray[np.uint8]]
"""Images as (S, S, 3) sRGB codes. Each image is read only when it is requested."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The colors that a model predicts for an image.

    Parameters
    ----------
    ab
        (2, H, W) float32: a* and b* in Lab units.
    coarse
        (2, h, w) float32, Lab units. `ab` is its bicubic upsampling.
    uncertainty
        (h, w) float32, Lab units: expected error of the color, on a coarser grid.
    alternatives
        Other colorings, each like `ab`.
    colorization
        The object that writes the image, for models that write images as `recolor` does.
    seconds
        Time of the prediction, if it differs from that of the call because models share work.
    """

    ab: NDArray[np.float32]
    coarse: NDArray[np.float32] | None = None
    uncertainty: NDArray[np.float32] | None = None
    alternatives: tuple[NDArray[np.float32], ...] = ()
    colorization: Colorization | None = None
    seconds: float | None = None


class Model(ABC):
    """A model that predicts colors for gray images.

    Parameters
    ----------
    name
        Name for requests and for rows in tables.
    title
        Title for people.
    """

    hints: int = 0
    """Number of random pixels whose true colors the model receives."""

    def __init__(self, name: str, title: str) -> None:
        self.name = name
        self.title = title

    @property
    def settings(self) -> dict[str, Any]:
        """Return what determines predictions, except training images; JSON types only."""
        return {}

    @abstractmethod
    def predict(self, gray: NDArray[np.uint8], hints: Sequence[Hint] = ()) -> Prediction:
        """Predict the colors of an image.

        Parameters
        ----------
        gray
            (H, W) gray codes, as in a scan.
        hints
            Pixels with known color; there are `Model.hints` of them.
        """


class Fitted(Model):
    """A model that learns from photographs within minutes. Its fit is stored in a file."""

    suffix: ClassVar[str]
    """Suffix of the file."""

    @abstractmethod
    def fit(self, photographs: Photographs) -> None:
        """Learn from photographs. They may be iterated more than once."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write the fit to a file. `load` reads it from a name with the `suffix`."""

    @abstractmethod
    def load(self, path: Path) -> None:
        """Load a fit that `save` wrote."""


def gray_of(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the gray codes of a photograph (H, W, 3), which are the input of the models."""
    return gray_codes(rgb)


def lightness_of(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return L* in [0, 100] of gray codes, in the same shape."""
    return lightness(gray)


def ab_of(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the true a* and b* of a photograph (H, W, 3) as (2, H, W) in Lab units."""
    ab: NDArray[np.float32] = rgb_to_lab(torch.from_numpy(rgb).permute(2, 0, 1))[1:].numpy()
    return ab


def enlarge(ab: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Upsample (2, h, w) to (2, H, W) bicubically."""
    if ab.shape[1:] == shape:
        return ab
    large = F.interpolate(torch.from_numpy(ab)[None], size=shape, mode="bicubic")
    return large[0].numpy()


def reduce(ab: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Average (C, H, W) over the cells of a grid, (C, h, w)."""
    return F.adaptive_avg_pool2d(torch.from_numpy(ab)[None], shape)[0].numpy()

"""What a model is: gray codes in, chroma out."""

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
"""Images as (S, S, 3) sRGB codes, each read when it is asked for."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The colors that a model gives an image.

    Parameters
    ----------
    ab
        (2, H, W) float32: a* and b* in Lab units.
    coarse
        (2, h, w) float32, Lab units: what `ab` is the bicubic upsampling of.
    uncertainty
        (h, w) float32, Lab units: by how much the color may be wrong, on a coarser grid.
    alternatives
        Further colorings, each like `ab`.
    colorization
        Of models that write images the way `recolor` does: what writes them.
    seconds
        How long it took, where that is more than the call did because other models share the work.
    """

    ab: NDArray[np.float32]
    coarse: NDArray[np.float32] | None = None
    uncertainty: NDArray[np.float32] | None = None
    alternatives: tuple[NDArray[np.float32], ...] = ()
    colorization: Colorization | None = None
    seconds: float | None = None


class Model(ABC):
    """Gives gray images colors.

    Parameters
    ----------
    name
        By which it is asked for, and its rows in tables are known.
    title
        For people.
    """

    hints: int = 0
    """How many random pixels' true colors it is to be told."""

    def __init__(self, name: str, title: str) -> None:
        self.name = name
        self.title = title

    @property
    def settings(self) -> dict[str, Any]:
        """What decides its predictions, beside the images it was fitted on; JSON types only."""
        return {}

    @abstractmethod
    def predict(self, gray: NDArray[np.uint8], hints: Sequence[Hint] = ()) -> Prediction:
        """The colors of an image.

        Parameters
        ----------
        gray
            (H, W) gray codes, as a scan has them.
        hints
            Pixels whose color is known, `Model.hints` of them.
        """


class Fitted(Model):
    """A model that learns from photographs within minutes, and whose fit is kept in a file."""

    suffix: ClassVar[str]
    """Of the file."""

    @abstractmethod
    def fit(self, photographs: Photographs) -> None:
        """Learn from photographs; they may be gone through more than once."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write the fit into a file; `load` reads it under a name with the `suffix`."""

    @abstractmethod
    def load(self, path: Path) -> None:
        """Take over what `save` wrote."""


def gray_of(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The gray codes of a photograph (H, W, 3): what the models see of it."""
    return gray_codes(torch.from_numpy(rgb).permute(2, 0, 1)).numpy()


def lightness_of(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    """L* in [0, 100] of gray codes, of the same shape."""
    return lightness(torch.from_numpy(gray)).numpy()


def ab_of(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """True a* and b* of a photograph (H, W, 3), (2, H, W) in Lab units."""
    ab: NDArray[np.float32] = rgb_to_lab(torch.from_numpy(rgb).permute(2, 0, 1))[1:].numpy()
    return ab


def enlarge(ab: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Bicubic upsampling of (2, h, w) to (2, H, W)."""
    if ab.shape[1:] == shape:
        return ab
    large = F.interpolate(torch.from_numpy(ab)[None], size=shape, mode="bicubic")
    return large[0].numpy()


def reduce(ab: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Means of (C, H, W) over the cells of a grid, (C, h, w)."""
    return F.adaptive_avg_pool2d(torch.from_numpy(ab)[None], shape)[0].numpy()

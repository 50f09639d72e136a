"""Photographs to train and validate on, as arrays of one size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset

from recolor_core.errors import RecolorError
from training.prepare.errors import PrepareError
from training.prepare.images import SourceImage, decode, find_images, pixels


class DataError(RecolorError, ValueError):
    """The images given cannot be trained on or measured."""


def list_photographs(sources: list[Path]) -> list[SourceImage]:
    """The images of folders and archives, in a fixed order.

    Raises
    ------
    DataError
        If a source does not exist or holds no image.
    """
    try:
        return find_images(sources)
    except PrepareError as error:
        raise DataError(str(error)) from error


def square(image: SourceImage, size: int) -> NDArray[np.uint8]:
    """The center square of an image, (size, size, 3) sRGB codes.

    Raises
    ------
    DataError
        If the image cannot be read.
    """
    try:
        rgb = decode(image.read()).rgb
    except (PrepareError, OSError, KeyError) as error:
        raise DataError(
            f"{image.label} cannot be read ({error}); remove it, or let "
            "`python -m training.prepare clean` list what to leave out"
        ) from error
    return pixels(ImageOps.fit(rgb, (size, size), Image.Resampling.BICUBIC))


class Squares(Dataset[Tensor]):
    """Photographs as squares of one size, (3, size, size) uint8 sRGB codes, read when asked for.

    Parameters
    ----------
    images
        As in `list_photographs`.
    size
        Side of the squares in pixels.
    """

    def __init__(self, images: Sequence[SourceImage], size: int) -> None:
        self.images = images
        self.size = size

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(square(self.images[index], self.size)).permute(2, 0, 1)

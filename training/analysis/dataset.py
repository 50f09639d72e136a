"""Load a sample of photographs as one array, at the resolution of the generator's targets."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recolor_core.lab import rgb_to_lab
from training.photographs import DataError
from training.prepare.errors import PrepareError
from training.prepare.images import SourceImage, decode, pixels
from training.prepare.parallel import unordered
from training.prepare.progress import Progress, silent

GRID = 56
"""Rows and columns of the grid that an image is averaged to, as in coarse ab of a square."""

_CHUNK = 256  # images whose Lab values are in memory at a time; 20 MB in double precision


def read_grid(image: SourceImage) -> tuple[SourceImage, NDArray[np.uint8]]:
    """Return the image and its sRGB codes averaged to (GRID, GRID, 3), without its aspect ratio.

    Raises
    ------
    DataError
        If the image cannot be read.
    """
    try:
        rgb = decode(image.read()).rgb
    except (PrepareError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{image.label} can no longer be read ({error}); run the command again"
        ) from error
    return image, pixels(rgb.resize((GRID, GRID), Image.Resampling.BOX))


def read_grids(
    images: Sequence[SourceImage], workers: int = 1, progress: Progress = silent
) -> NDArray[np.uint8]:
    """Load images as (N, GRID, GRID, 3) uint8 sRGB codes in their order; 10 KB for each image.

    Raises
    ------
    DataError
        If an image cannot be read.
    """
    place = {image: number for number, image in enumerate(images)}
    grids = np.empty((len(images), GRID, GRID, 3), np.uint8)
    for done, (image, grid) in enumerate(unordered(read_grid, images, workers), 1):
        grids[place[image]] = grid
        progress("read", done, len(images))
    return grids


def lab_chunks(codes: NDArray[np.uint8]) -> Iterator[NDArray[np.float64]]:
    """Yield L*, a*, b* of (N, h, w, 3) sRGB codes, a few hundred images at a time."""
    for first in range(0, len(codes), _CHUNK):
        yield np.asarray(rgb_to_lab(codes[first : first + _CHUNK]), np.float64)

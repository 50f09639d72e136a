"""A sample of photographs as one array, the way the generator's targets see them."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recolor_core.lab import rgb_to_lab
from training.photographs import DataError
from training.prepare.errors import PrepareError
from training.prepare.parallel import unordered
from training.prepare.pictures import Picture, decode, pixels
from training.prepare.progress import Progress, silent

GRID = 56
"""Rows and columns that a whole picture is averaged to: as many as coarse ab has of a square."""

_CHUNK = 256  # pictures whose Lab values are in memory at a time: 20 MB in double precision


def read_grid(picture: Picture) -> tuple[Picture, NDArray[np.uint8]]:
    """The picture and its sRGB codes averaged to (GRID, GRID, 3), the aspect ratio not kept.

    Raises
    ------
    DataError
        Where the picture cannot be read.
    """
    try:
        rgb = decode(picture.read()).rgb
    except (PrepareError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{picture.label} can no longer be read ({error}); run the command again"
        ) from error
    return picture, pixels(rgb.resize((GRID, GRID), Image.Resampling.BOX))


def read_grids(
    pictures: Sequence[Picture], workers: int = 1, progress: Progress = silent
) -> NDArray[np.uint8]:
    """Many pictures, (N, GRID, GRID, 3) uint8 sRGB codes in their order; 10 KB a picture.

    Raises
    ------
    DataError
        Where a picture cannot be read.
    """
    place = {picture: number for number, picture in enumerate(pictures)}
    grids = np.empty((len(pictures), GRID, GRID, 3), np.uint8)
    for done, (picture, grid) in enumerate(unordered(read_grid, pictures, workers), 1):
        grids[place[picture]] = grid
        progress("read", done, len(pictures))
    return grids


def lab_chunks(codes: NDArray[np.uint8]) -> Iterator[NDArray[np.float64]]:
    """L*, a*, b* of (N, h, w, 3) sRGB codes, some hundred pictures at a time."""
    for first in range(0, len(codes), _CHUNK):
        yield np.asarray(rgb_to_lab(codes[first : first + _CHUNK]), np.float64)

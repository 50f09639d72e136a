"""Sample data for napari's File menu: historical photographs in the public domain.

They are those of `recolor_core`, whose SOURCES.csv tells where each comes from; it goes into
``layer.metadata["sample"]``.
"""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import recolor_core

FOLDER = Path(recolor_core.__file__).parent / "data" / "samples"

PAN_FRAMES = 12
PAN_SIZE = (320, 420)  # height and width of the moving window, in pixels

LayerData = tuple[NDArray[Any], dict[str, Any], str]


def colorado() -> list[LayerData]:
    """A landscape, 8-bit gray."""
    return _photograph("colorado.png")


def saratoga() -> list[LayerData]:
    """A street, 8-bit gray."""
    return _photograph("saratoga.jpg")


def migrant_mother() -> list[LayerData]:
    """A portrait, 8-bit gray."""
    return _photograph("migrant-mother.jpg")


def deadwood() -> list[LayerData]:
    """A sepia print, 8-bit RGB."""
    return _photograph("deadwood.jpg")


def chinatown() -> list[LayerData]:
    """People in a street, 16-bit gray."""
    return _photograph("chinatown.tif")


def pan() -> list[LayerData]:
    """A window that moves over one photograph from left to right: a stack, not a film."""
    ((image, options, kind),) = colorado()
    height, width = PAN_SIZE
    top = (image.shape[0] - height) // 2
    lefts = np.linspace(0, image.shape[1] - width, PAN_FRAMES).round().astype(int)
    frames = np.stack([image[top : top + height, left : left + width] for left in lefts])
    sample = options["metadata"]["sample"]
    made = f"a window of {width} x {height} pixels moved over the still photograph"
    sample = {key: value for key, value in sample.items() if key != "path"}
    options["metadata"] = {"sample": sample | {"changes": f"{sample['changes']}; {made}"}}
    options["name"] += " (slow pan)"
    options["axis_labels"] = ("t", "y", "x")
    return [(frames, options, kind)]


def _photograph(file: str) -> list[LayerData]:
    path = FOLDER / file
    with (FOLDER / "SOURCES.csv").open(encoding="utf-8", newline="") as table:
        (row,) = (row for row in csv.DictReader(table) if row["file"] == file)
    if path.suffix == ".tif":
        import tifffile

        image = tifffile.imread(path)
    else:
        from PIL import Image

        image = np.array(Image.open(path))
    rgb = image.ndim == 3
    white = np.iinfo(image.dtype).max
    options = {
        "name": path.stem.replace("-", " ").title(),
        "rgb": rgb,
        "metadata": {"sample": {**row, "path": str(path)}},
    }
    if not rgb:  # as it is, not stretched to its extremes
        options["contrast_limits"] = (0, white)
    return [(image, options, "image")]

"""Make pairs of real photographs and colorized twins, with neutral file names."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track

from recolor_core import __version__
from recolor_core.colorizer import Colorizer
from recolor_core.files import replacing
from recolor_core.lab import rgb_to_lab
from recolor_core.settings import Settings
from training.photographs import DataError, list_photographs, square
from training.prepare.files import make_folder
from training.prepare.images import SourceImage, pixels
from training.prepare.rules import Thresholds


@dataclass(frozen=True)
class Pair:
    """One photograph and its colorized twins.

    All files are PNG images of one size without metadata. Their names are made from their content,
    so that each file is made only once and no name tells which image is real.

    Parameters
    ----------
    label
        Name of the photograph for people: its archive or folder, and its name there.
    real
        File name of the photograph's center square.
    colored
        File name of the twin for each name of weights.
    """

    label: str
    real: str
    colored: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pairs:
    """Pairs and the folder of their images.

    Parameters
    ----------
    folder
        Folder with the files of `pairs`.
    pairs
        Pairs in random order.
    weights
        SHA-256 of each weights file, by name.
    how
        How the twins were made: ``version`` of the package and ``settings`` of the colorizer.
    """

    folder: Path
    pairs: tuple[Pair, ...]
    weights: Mapping[str, str]
    how: Mapping[str, Any]


def make_pairs(
    sources: list[Path],
    folder: Path,
    weights: Sequence[str],
    count: int,
    *,
    size: int = 256,
    seed: int = 0,
    device: str = "auto",
) -> Pairs:
    """Select photographs at random and colorize them. Existing files are not made again.

    A twin is made from the gray center square of the photograph, with default settings. Photographs
    without color are skipped (by the rule of ``python -m training.prepare clean``), because
    observers would recognize them by their lack of color. Exact copies of other photographs are
    also skipped.

    Parameters
    ----------
    sources
        Folders or archives of color photographs.
    folder
        Folder for the images.
    weights
        Names or paths of weights files.
    count
        Number of pairs.
    size
        Side of the squares in pixels.
    seed
        Seed of the random selection.
    device
        As in `Colorizer`.

    Raises
    ------
    DataError
        If there are too few photographs with color, or two weights files have the same name.
    """
    make_folder(folder)
    console = Console(stderr=True)
    drawn = _draw(list_photographs(sources), folder, size, seed)
    steps = zip(range(count), drawn, strict=False)
    pairs = [pair for _, pair in track(steps, "Photographs", count, console=console)]
    if len(pairs) < count:
        raise DataError(
            f"expected {count} different photographs with color, found {len(pairs)}; ask for fewer "
            "or give more"
        )
    how = {"version": __version__, "settings": asdict(Settings())}
    records: dict[str, str] = {}
    for one in weights:
        colorizer = Colorizer(one, device)
        name = colorizer.record.name
        if name in records:
            raise DataError(f"two weights are named {name!r}; give each once, or rename a file")
        records[name] = colorizer.record.sha256
        pairs = [
            Pair(
                pair.label, pair.real, {**pair.colored, name: _color(folder, pair, colorizer, how)}
            )
            for pair in track(pairs, f"Colorizing with {name}", console=console)
        ]
    return Pairs(folder, tuple(pairs), records, how)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return the codes of an image from `make_pairs`, (size, size, 3) sRGB.

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    try:
        with Image.open(path) as image:
            return pixels(image)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}); remove it and prepare again") from error


def _draw(images: Sequence[SourceImage], folder: Path, size: int, seed: int) -> Iterator[Pair]:
    seen = set()
    for index in np.random.default_rng(seed).permutation(len(images)):
        rgb = square(images[index], size)
        chroma = np.hypot(*np.moveaxis(rgb_to_lab(rgb)[..., 1:], -1, 0))
        name = _name(rgb)
        if name in seen or np.percentile(chroma, 95) < Thresholds.min_chroma:
            continue
        seen.add(name)
        if not (folder / name).exists():
            _write(folder / name, rgb)
        yield Pair(images[index].label, name)


def _color(folder: Path, pair: Pair, colorizer: Colorizer, how: Mapping[str, Any]) -> str:
    rgb = read_image(folder / pair.real)
    name = _name(rgb, colorizer.record.sha256, json.dumps(how))
    if not (folder / name).exists():
        _write(folder / name, colorizer(rgb).rgb)
    return name


def _name(rgb: NDArray[np.uint8], *made_by: str) -> str:
    digest = hashlib.sha256(f"{rgb.shape} {made_by}".encode())
    digest.update(rgb.tobytes())
    return f"{digest.hexdigest()[:32]}.png"


def _write(path: Path, rgb: NDArray[np.uint8]) -> None:
    with replacing(path) as part:
        Image.fromarray(rgb).save(part, "PNG")

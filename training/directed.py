"""Measure whether a hint colors the thing it is on: ``training.evaluate --directed FOLDER``.

Each region that a person outlined gets one hint, as somebody would give it who wants this thing in
another color: at the innermost point of the region, with a radius of 4 pixels, a hue turned by 120
degrees from the mean color that the networks give the region, and a chroma of 38. The change that
is wanted is that color minus that mean, in a* and b*.

``reached`` is the mean, over the region, of the projection of the change on the change wanted: 1
is perfect. ``spilled`` is the mean of its absolute value over everything else: 0 is perfect. The
worst quarters are means, too: of the regions that were reached least, and spilled from most.

FOLDER is that of BSDS500 (Arbelaez et al. 2011; `BSDS500/data`, with ``--split``), or any folder
of photographs, each with its outlines beside it: ``NAME.png``, of the size of ``NAME.jpg``, whose
values are the labels of the regions. Regions of 3 to 25 % of the image count.

People do not agree on what a thing is. If an image has the outlines of several people, those of
the first count, and ``--agreement 0.7`` leaves out the regions of which the median overlap
(intersection over union) with what the others outlined around the same point is smaller. The row
"another person" says what the others' outlines are worth in this measure.

``directed.csv`` has one row for each region: image, label, share (of the image),
agreement, reached, spilled, person_reached, person_spilled.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from scipy.io import loadmat
from scipy.ndimage import distance_transform_edt, label
from torch.nn import functional as F

from recolor_core.colorizer import Colorizer
from recolor_core.files import write_file
from recolor_core.gray import read_gray
from recolor_core.hints import Hint
from recolor_core.lab import lab_to_rgb
from recolor_core.result import Coarse
from recolor_core.settings import Settings
from training.photographs import DataError

SMALLEST, LARGEST = 0.03, 0.25
"""Regions of such shares of the image are measured."""

RADIUS = 4.0
TURN = 2 * np.pi / 3
CHROMA = 38.0

Labels = NDArray[np.int64]
"""(H, W): the number of the region that each pixel is in."""


@dataclass(frozen=True)
class Outlined:
    """A photograph and the regions that people outlined in it, one array for each person."""

    name: str
    rgb: NDArray[np.uint8]
    people: tuple[Labels, ...]


@dataclass(frozen=True)
class Row:
    """The effect of one hint; see the docstring of this module."""

    image: str
    label: int
    share: float
    agreement: float
    reached: float
    spilled: float
    person_reached: float
    person_spilled: float


def read_outlined(folder: Path, split: str = "val") -> Iterator[Outlined]:
    """Read photographs with their outlines, in the order of their names.

    Parameters
    ----------
    folder : Path
        See the docstring of this module.
    split : str
        Of BSDS500: train, val or test.

    Raises
    ------
    DataError
        If the folder has no photograph with outlines, or outlines are of another size.
    """
    data = next(
        (
            d
            for d in (folder, folder / "data", folder / "BSDS500/data")
            if (d / "groundTruth" / split).is_dir()
        ),
        None,
    )
    photographs = sorted((data / "images" / split if data else folder).glob("*.jpg"))
    found = 0
    for path in photographs:
        if data:
            truth = loadmat(data / "groundTruth" / split / f"{path.stem}.mat")["groundTruth"][0]
            people = tuple(one["Segmentation"][0, 0].astype(np.int64) for one in truth)
        elif path.with_suffix(".png").exists():
            with Image.open(path.with_suffix(".png")) as image:
                people = (np.asarray(image).astype(np.int64),)
        else:
            continue
        with Image.open(path) as image:
            rgb = np.asarray(image.convert("RGB"))
        if any(person.shape != rgb.shape[:2] for person in people):
            raise DataError(
                f"expected outlines of the size of {path}, got {people[0].shape}; make them anew"
            )
        found += 1
        yield Outlined(path.stem, rgb, people)
    if not found:
        raise DataError(
            f"expected photographs NAME.jpg with outlines NAME.png in {folder}, or BSDS500/data; "
            "got none"
        )


def innermost(inside: NDArray[np.bool_]) -> tuple[int, int]:
    """Row and column of the pixel farthest from the edge of a region and of the image."""
    depth = distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return int(y), int(x)


def turned(ab: NDArray[np.floating[Any]]) -> str:
    """A color whose hue is turned from that of ab, as ``#rrggbb``; the lightest in the gamut."""
    angle = np.arctan2(ab[1], ab[0]) + TURN
    target = CHROMA * np.array([np.cos(angle), np.sin(angle)])
    lightness = torch.arange(40.0, 81.0)
    lab = torch.cat((lightness[None], torch.tensor(target)[:, None].expand(2, len(lightness))))
    rgb = lab_to_rgb(lab[None, :, :, None].float())[0, :, :, 0]
    best = int((rgb - rgb.clamp(0, 1)).abs().sum(0).argmin())
    codes = (255 * rgb[:, best].clamp(0, 1)).round().byte().tolist()
    return "#{:02x}{:02x}{:02x}".format(*codes)


def measure(
    colorizer: Colorizer, outlined: Outlined, settings: Settings, most: int, agreement: float
) -> list[Row]:
    """Give each region of an image its hint.

    Parameters
    ----------
    colorizer : Colorizer
    outlined : Outlined
    settings : Settings
    most : int
        How many regions of the image at most, the largest first.
    agreement : float
        From 0 to 1; see the docstring of this module.
    """
    gray = np.asarray(Image.fromarray(outlined.rgb).convert("L"))
    first, *others = outlined.people
    coarse = colorizer.generate(read_gray(gray), settings)
    before = _ab(colorizer, coarse, settings, ())
    rows: list[Row] = []
    for number, share in _regions(first):
        inside = first == number
        y, x = innermost(inside)
        around = [other == other[y, x] for other in others]
        agreed = [(inside & one).sum() / (inside | one).sum() for one in around]
        if len(rows) == most or (agreed and np.median(agreed) < agreement):
            continue
        mean = before[:, inside].mean(axis=1)
        hint = Hint(float(x), float(y), turned(mean), RADIUS)
        wanted = np.array(hint.ab) - mean
        change = _ab(colorizer, coarse, settings, (hint,)) - before
        along = np.tensordot(wanted / (wanted @ wanted), change, 1)
        rows.append(
            Row(
                outlined.name,
                number,
                share,
                float(np.median(agreed)) if agreed else float("nan"),
                float(along[inside].mean()),
                float(np.abs(along[~inside]).mean()),
                float(np.mean([one[inside].mean() for one in around] or [np.nan])),
                float(np.mean([one[~inside].mean() for one in around] or [np.nan])),
            )
        )
    return rows


def _regions(labels: Labels) -> list[tuple[int, float]]:
    """Labels and shares of the regions that count, largest first."""
    numbers, counts = np.unique(labels, return_counts=True)
    shares = counts / labels.size
    found = [
        (int(number), float(share))
        for number, share in zip(numbers, shares, strict=True)
        if SMALLEST <= share <= LARGEST and label(labels == number)[1] == 1
    ]
    return sorted(found, key=lambda region: -region[1])


def _ab(
    colorizer: Colorizer, coarse: Coarse, settings: Settings, hints: Sequence[Hint]
) -> NDArray[np.float32]:
    ab = torch.from_numpy(colorizer.refine(coarse, settings, hints).ab_refined)
    fine = F.interpolate(ab[None], size=coarse.gray.shape, mode="bilinear", antialias=True)
    return np.asarray(fine[0])


def directed_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Make a table of reached and spilled, of the networks and of another person."""
    lines = {}
    for title, prefix in (("networks", ""), ("another person", "person_")):
        reached, spilled = (rows[prefix + name].dropna() for name in ("reached", "spilled"))
        quarter = max(1, len(reached) // 4)
        lines[title] = {
            "reached": reached.mean(),
            "worst quarter reached": reached.nsmallest(quarter).mean(),
            "spilled": spilled.mean(),
            "worst quarter spilled": spilled.nlargest(quarter).mean(),
        }
    return pd.DataFrame(lines).T


def measure_folders(
    folders: Sequence[Path],
    out: Path,
    *,
    weights: str = "default",
    device: str = "auto",
    settings: Settings | None = None,
    split: str = "val",
    agreement: float = 0.0,
    regions: int = 4,
    every: int = 1,
) -> pd.DataFrame:
    """Measure all regions of folders, and write ``directed.csv`` into `out`.

    Parameters
    ----------
    folders : sequence of Path
        Photographs with outlines, or that of BSDS500.
    out : Path
        Is made if it is not there.
    weights, device : str
        As of `Colorizer`.
    settings : Settings or None
        The defaults if None.
    split : str
        Of BSDS500: train, val or test.
    agreement : float
        From 0 to 1: regions that people agree on less are left out.
    regions : int
        The largest number of regions of one image, the largest regions first.
    every : int
        Measure only every n-th image.

    Returns
    -------
    DataFrame
        One row for each region, with the fields of `Row`.

    Raises
    ------
    DataError
        If there is no region to measure.
    """
    colorizer = Colorizer(weights, device)
    outlined = (one for folder in folders for one in read_outlined(folder, split))
    rows: list[Row] = []
    for one in track(islice(outlined, 0, None, every), "Measuring", console=Console(stderr=True)):
        rows += measure(colorizer, one, settings or Settings(), regions, agreement)
    if not rows:
        raise DataError(
            f"expected regions of {SMALLEST:.0%} to {LARGEST:.0%} of an image, got none; "
            "lower --agreement"
        )
    table = pd.DataFrame([asdict(row) for row in rows])
    out.mkdir(parents=True, exist_ok=True)
    write_file(out / "directed.csv", table.to_csv(index=False).encode())
    return table

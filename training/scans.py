"""Photographs as scans of old prints: within mounts and borders, or faded.

What `training.evaluate --mounted` and ``--faded`` do to the gray codes of an image before the
models see them; the true colors stay those of the photograph.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Gray = NDArray[np.uint8]


@dataclass(frozen=True)
class Scan:
    """Gray codes of a scan, and where in it the photograph is.

    Parameters
    ----------
    gray : ndarray
        (H, W) uint8.
    top, left : int
        Where the photograph begins, in pixels.
    """

    gray: Gray
    top: int
    left: int


def mounted(photograph: Gray, rng: np.random.Generator) -> Scan:
    """Put a photograph into one to three borders, as albums, card mounts, film and scanners do.

    Parameters
    ----------
    photograph : ndarray
        (H, W) uint8.
    rng : numpy.random.Generator
        Decides on the kinds, sizes and tones of the borders.

    Returns
    -------
    Scan
        Of at most three times the height and width of the photograph.
    """
    scan = Scan(photograph, 0, 0)
    kinds = [["rim"], ["card"], ["rim", "card"], ["film"], ["rim", "card", "scanner"]]
    for kind in kinds[rng.integers(len(kinds))]:
        scan = _BORDERS[kind](scan, rng)
    return scan


def faded(photograph: Gray, rng: np.random.Generator) -> Gray:
    """The gray codes of a print that has lost its contrast, or was exposed too long or too briefly.

    Black rises to 10 to 35 and white sinks to 60 to 90 % of the code range, after a gamma of 0.6
    to 1.7.

    Parameters
    ----------
    photograph : ndarray
        (H, W) uint8.
    rng : numpy.random.Generator
        Decides on black, white and gamma.
    """
    black, white = rng.uniform(0.10, 0.35), rng.uniform(0.60, 0.90)
    gamma = np.exp(rng.uniform(np.log(0.6), np.log(1.7)))
    codes = black + (white - black) * (photograph / 255.0) ** gamma
    return np.rint(255 * codes).astype(np.uint8)


def _framed(scan: Scan, margins: NDArray[np.int_], paper: NDArray[np.float64]) -> Scan:
    """A scan on a larger sheet; margins at the top, left, bottom and right."""
    top, left, *_ = margins
    height, width = scan.gray.shape
    paper[top : top + height, left : left + width] = scan.gray
    return Scan(np.rint(paper.clip(0, 255)).astype(np.uint8), scan.top + top, scan.left + left)


def _sheet(
    scan: Scan, margins: NDArray[np.int_], tone: float, cloud: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Paper of a tone, with grain and large clouds, as codes."""
    top, left, bottom, right = margins
    shape = (scan.gray.shape[0] + top + bottom, scan.gray.shape[1] + left + right)
    clouds = gaussian_filter(rng.normal(size=shape), min(shape) / 4)
    clouds /= np.abs(clouds).max()
    paper: NDArray[np.float64] = tone + cloud * clouds + rng.normal(0, 1.5, shape)
    return paper


def _margins(scan: Scan, low: float, high: float, rng: np.random.Generator) -> NDArray[np.int_]:
    return np.rint(rng.uniform(low, high, 4) * min(scan.gray.shape)).astype(int)


def _rim(scan: Scan, rng: np.random.Generator) -> Scan:
    """The white rim of a print."""
    margins = np.full(4, _margins(scan, 0.02, 0.06, rng)[0])
    return _framed(scan, margins, _sheet(scan, margins, rng.uniform(215, 250), 3, rng))


def _card(scan: Scan, rng: np.random.Generator) -> Scan:
    """A card mount or an album page, often with a printed line and a caption."""
    margins = _margins(scan, 0.08, 0.3, rng)
    tone = rng.uniform(60, 235)
    paper = _sheet(scan, margins, tone, 8, rng)
    ink = tone - 50 if tone > 110 else tone + 60
    (top, left, bottom, right), (height, width) = margins, paper.shape
    if rng.random() < 0.4:
        gap = int(margins.min()) // 3
        lines = paper[top - gap : height - bottom + gap, left - gap : width - right + gap]
        lines[[0, -1]], lines[:, [0, -1]] = ink, ink
    if rng.random() < 0.4 and bottom >= 16:
        begin = left + int(rng.uniform(0, 0.5) * scan.gray.shape[1])
        row = height - bottom + bottom // 2
        letters = rng.random((5, scan.gray.shape[1] // 3)) < 0.4
        paper[row : row + 5, begin : begin + letters.shape[1]][letters] = ink
    return _framed(scan, margins, paper)


def _film(scan: Scan, rng: np.random.Generator) -> Scan:
    """The black rebate of a sheet of film, with numbers scratched into it."""
    margins = _margins(scan, 0.02, 0.08, rng)
    paper = _sheet(scan, margins, rng.uniform(4, 14), 2, rng)
    letters = rng.random((max(1, int(margins[0]) // 2), paper.shape[1] // 6)) < 0.4
    paper[: letters.shape[0], 8 : 8 + letters.shape[1]][letters] = 230
    return _framed(scan, margins, paper)


def _scanner(scan: Scan, rng: np.random.Generator) -> Scan:
    """The black or white bed of a scanner around a page, on two sides or four."""
    margins = _margins(scan, 0.01, 0.06, rng)
    if rng.random() < 0.5:
        margins[rng.integers(2) :: 2] = 0
    return _framed(scan, margins, _sheet(scan, margins, rng.choice([2.0, 252.0]), 1, rng))


_BORDERS = {"rim": _rim, "card": _card, "film": _film, "scanner": _scanner}

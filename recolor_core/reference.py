"""Reference images: colors go where a color photograph shows the same thing.

The generator looks at both images in gray. Two places are alike if it predicts the same for them
and for what is around them. Only matches that are mutual and clear count. They are spread like
hints, and the rest of the image is left to the generator.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from recolor_core.errors import HintsError
from recolor_core.lab import SRGB, ColorSpace, rgb_to_lab

MAX_CELLS = 2500
"""The most places of an image that are compared; a finer grid is averaged first."""

_COMPONENTS = 48
_WINDOWS = (1, 5, 13)  # cells: a place, what is around it, and what that is part of
_LIGHTNESS = 20.0  # L* units: two places may differ by so much
_CLEAR = 0.62  # the least similarity of a match
_NEAR = 2.0  # cells: how far from where it began a match may lead back
_WINDOW = 5  # cells: the side of the square in which a match has to agree with its neighbors
_COHERENT = 0.35  # share of that square whose matches lie close together, too
_FEWEST = 0.07  # share of the image: fewer matches are chance
_GRAY = 2.0  # Lab units: mean chroma below which an image has no color
_TONED = 3.0  # Lab units: deviation from one tone below which an image is toned


@dataclass(frozen=True, eq=False)
class Reference:
    """A color image to take colors from.

    Parameters
    ----------
    rgb : ndarray
        (H, W, 3) or (H, W, 4), uint8, uint16 or floating point in [0, 1], upright. From a gray
        image, (H, W), no color is taken; `without_color` and `Matches.note` say so.
    name : str
        For the provenance, such as a file name.
    sha256 : str
        Of the file, hexadecimal; of the pixels if none is given.
    space : ColorSpace
        What the codes mean.

    Raises
    ------
    HintsError
        If the array is not an image, or has NaN or infinity.

    Attributes
    ----------
    lab : Tensor
        (3, H, W) float32: its colors in Lab units.
    seen : dict
        What networks saw in it; `recolor_core.Colorizer.look` looks once at each reference.
    """

    rgb: NDArray[Any]
    name: str = ""
    sha256: str = ""
    space: ColorSpace = SRGB
    lab: Tensor = field(init=False, repr=False)
    seen: dict[Any, "Seen"] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        array = np.asarray(self.rgb)
        if array.ndim == 2:
            array = np.broadcast_to(array[..., None], (*array.shape, 3))
            object.__setattr__(self, "rgb", array)
        if array.ndim != 3 or array.shape[-1] not in (3, 4) or array.size == 0:
            raise HintsError(
                f"expected a reference image as (H, W, 3), got shape {array.shape}; use a color "
                "photograph"
            )
        if not self.sha256:
            digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
            object.__setattr__(self, "sha256", digest)
        lab = torch.from_numpy(np.asarray(rgb_to_lab(array[..., :3], self.space), np.float32))
        if not bool(torch.isfinite(lab).all()):
            raise HintsError("expected a reference image of numbers, got NaN or infinity")
        object.__setattr__(self, "lab", lab.permute(2, 0, 1))

    @property
    def without_color(self) -> str:
        """Why no color can be taken from it: ``"gray"``, ``"toned"``, or ``""`` if it can."""
        small = F.adaptive_avg_pool2d(self.lab[None], (32, 32))[0].flatten(1)
        if float(small[1:].norm(dim=0).mean()) < _GRAY:
            return "gray"
        # A tone is one hue, and one chroma for each lightness.
        light = small[0] / 100
        basis = torch.stack((torch.ones_like(light), light, light**2), dim=1)
        rest = small[1:].T - basis @ torch.linalg.lstsq(basis, small[1:].T).solution
        other_hues = torch.linalg.svdvals(small[1:])[-1] / small.shape[1] ** 0.5
        spread = max(float(rest.square().sum(1).mean().sqrt()), float(other_hues))
        return "toned" if spread < _TONED else ""


@dataclass(frozen=True, eq=False)
class Seen:
    """A reference, and what the generator predicts for it.

    Parameters
    ----------
    reference : Reference
    lightness : Tensor
        (1, h, w): its L* at the working size.
    logits : Tensor
        (Q, ceil(h / 4), ceil(w / 4)): of the color distribution.
    """

    reference: Reference
    lightness: Tensor
    logits: Tensor


@dataclass(frozen=True, eq=False)
class Matches:
    """The places of an image that a reference also shows.

    Parameters
    ----------
    reference : Reference
    image, places : ndarray
        (N, 2) float32: x and y of each match, in pixels of the image and of the reference.
    similarity : ndarray
        (N,) float32, up to 1.
    ab : ndarray
        (N, 2) float32, Lab units: the color of the reference there.
    matched : float
        The fraction of the image that has a match, in [0, 1].
    note : str
        ``""``, or why nothing was taken: ``"gray"``, ``"toned"`` or ``"unrelated"``.
    """

    reference: Reference
    image: NDArray[np.float32]
    places: NDArray[np.float32]
    similarity: NDArray[np.float32]
    ab: NDArray[np.float32]
    matched: float
    note: str = ""

    @property
    def words(self) -> str:
        """Why nothing was taken, in words; otherwise the fraction of the image that has a match."""
        return {
            "gray": "it has no color",
            "toned": "it is toned, with one color for each lightness",
            "unrelated": "it does not clearly show what the image shows",
        }.get(self.note, f"{self.matched:.0%} of the image matched")

    def record(self) -> dict[str, Any]:
        """Describe the reference for the provenance, in JSON types."""
        return {
            "name": self.reference.name,
            "sha256": self.reference.sha256,
            "matched": round(self.matched, 4),
            **({"note": self.note} if self.note else {}),
        }


def matched_colors(
    found: Sequence[Matches], shape: tuple[int, int], grid: tuple[int, int]
) -> NDArray[np.float32] | None:
    """Return the colors of matches, as `recolor_core.hints.hint_map` has those of hints.

    Parameters
    ----------
    found : sequence of Matches
        Of all references; the mean counts of those that share a cell.
    shape, grid : (int, int)
        Height and width of the image, and of the coarse ab.

    Returns
    -------
    ndarray or None
        (3, h, w) float32; None if nothing matches.
    """
    total = np.zeros((3, grid[0] * grid[1]), np.float32)
    for matches in found:
        scale = np.array([grid[1] / shape[1], grid[0] / shape[0]])
        x, y = ((matches.image + 0.5) * scale).astype(int).T
        index = y.clip(0, grid[0] - 1) * grid[1] + x.clip(0, grid[1] - 1)
        colors = np.concatenate((matches.ab, np.ones_like(matches.ab[:, :1])), axis=1)
        for channel, values in zip(total, colors.T, strict=True):
            np.add.at(channel, index, values)
    return (total / np.maximum(total[2], 1)).reshape(3, *grid) if total[2].any() else None


def match(lightness: Tensor, logits: Tensor, shape: tuple[int, int], seen: Seen) -> Matches:
    """Match the places of an image with those of a reference.

    Parameters
    ----------
    lightness, logits : Tensor
        Of the image, as `Seen` has those of the reference.
    shape : (int, int)
        Height and width of the image.
    seen : Seen
        The reference.

    Returns
    -------
    Matches
    """
    reference = seen.reference
    nothing = np.zeros((0, 2), np.float32)
    note = reference.without_color
    if note:
        return Matches(reference, nothing, nothing, nothing[:, 0], nothing, 0.0, note)
    both = (logits, seen.logits)
    grids = [_grid((one.shape[-2], one.shape[-1])) for one in both]
    first, second = _descriptors(both, grids)
    lights = [
        F.adaptive_avg_pool2d(one, grid).flatten()
        for one, grid in zip((lightness, seen.lightness), grids, strict=True)
    ]
    alike = first @ second.T
    # Exposures differ; what is lighter than the rest of its image should be so in both.
    lights = [light - light.mean() for light in lights]
    alike -= ((lights[0][:, None] - lights[1]).abs() / _LIGHTNESS - 1).clamp(min=0)
    similarity, there = alike.max(1)
    back = alike.argmax(0)[there]
    cells = torch.cartesian_prod(*(torch.arange(n, dtype=torch.float32) for n in grids[0]))
    mutual = (cells[back] - cells).norm(dim=1) <= _NEAR
    clear = mutual & (similarity >= _CLEAR)
    clear &= _coherent(there, clear, *grids)
    good = clear.nonzero()[:, 0]
    matched = len(good) / len(cells)
    if matched < _FEWEST:
        return Matches(reference, nothing, nothing, nothing[:, 0], nothing, 0.0, "unrelated")
    ab = F.adaptive_avg_pool2d(reference.lab[None, 1:], grids[1])[0].flatten(1).T
    return Matches(
        reference,
        _pixels(good, grids[0], shape),
        _pixels(there[good], grids[1], (reference.lab.shape[-2], reference.lab.shape[-1])),
        similarity[good].numpy(),
        ab[there[good]].numpy(),
        matched,
    )


def _coherent(
    there: Tensor, clear: Tensor, grid: tuple[int, int], other: tuple[int, int]
) -> Tensor:
    """Check that neighbors of a place match neighbors of its match, (cells,): chance scatters."""
    place = torch.stack((there // other[1], there % other[1])).float()
    place[:, ~clear] = -1e6
    place = place.view(1, 2, *grid)
    radius = _WINDOW // 2
    around = F.unfold(F.pad(place, (radius,) * 4, value=-1e6), _WINDOW).view(2, _WINDOW**2, -1)
    near = (around - place.flatten(2)[0][:, None]).norm(dim=0) <= _WINDOW
    agreed = near.float().mean(0)  # the place itself is one of them
    coherent: Tensor = (agreed >= _COHERENT) & clear
    return coherent


def _grid(grid: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, (MAX_CELLS / (grid[0] * grid[1])) ** 0.5)
    return max(1, int(grid[0] * scale)), max(1, int(grid[1] * scale))


def _descriptors(logits: Sequence[Tensor], grids: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Describe each place and its surroundings by unit vectors, (cells, C), of the prediction."""
    small = [F.adaptive_avg_pool2d(x.float(), grid) for x, grid in zip(logits, grids, strict=True)]
    cells = torch.cat([x.flatten(1).T for x in small])
    mean, deviation = cells.mean(0), cells.std(0) + 1e-6
    standard = (cells - mean) / deviation
    axes = torch.linalg.eigh(standard.T @ standard)[1][:, -_COMPONENTS:]
    described = []
    for x in small:
        z = torch.einsum("qhw,qc->chw", (x - mean[:, None, None]) / deviation[:, None, None], axes)
        parts = [z if window == 1 else _around(z, window) for window in _WINDOWS]
        parts = [part / part.square().sum(0).mean().sqrt().clamp(min=1e-6) for part in parts]
        described.append(F.normalize(torch.cat(parts).flatten(1).T, dim=1))
    return described


def _around(x: Tensor, window: int) -> Tensor:
    padding = window // 2
    mean: Tensor = F.avg_pool2d(x[None], window, 1, padding, count_include_pad=False)[0]
    return mean


def _pixels(cells: Tensor, grid: tuple[int, int], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Columns and rows of the centers of cells, in pixels."""
    y, x = cells // grid[1], cells % grid[1]
    return np.stack(
        [
            (x.numpy() + 0.5) * shape[1] / grid[1] - 0.5,
            (y.numpy() + 0.5) * shape[0] / grid[0] - 0.5,
        ],
        axis=1,
    ).astype(np.float32)

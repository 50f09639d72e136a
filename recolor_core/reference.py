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
from numpy.typing import NDArray

from recolor_core.errors import HintsError
from recolor_core.lab import SRGB, ColorSpace, rgb_to_lab
from recolor_core.resampling import area_means, box_means

Array = NDArray[np.float32]

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
    lab : ndarray
        (3, H, W) float32: its colors in Lab units.
    seen : dict
        What networks saw in it; `recolor_core.Colorizer.look` looks once at each reference.
    """

    rgb: NDArray[Any]
    name: str = ""
    sha256: str = ""
    space: ColorSpace = SRGB
    lab: Array = field(init=False, repr=False)
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
        lab = np.asarray(rgb_to_lab(array[..., :3], self.space), np.float32)
        if not np.isfinite(lab).all():
            raise HintsError("expected a reference image of numbers, got NaN or infinity")
        object.__setattr__(self, "lab", np.moveaxis(lab, -1, 0))

    @property
    def without_color(self) -> str:
        """Why no color can be taken from it: ``"gray"``, ``"toned"``, or ``""`` if it can."""
        small = area_means(self.lab, (32, 32)).reshape(3, -1)
        ab = small[1:].T
        if np.hypot(*small[1:]).mean() < _GRAY:
            return "gray"
        # A tone is one hue, and one chroma for each lightness.
        light = small[0] / 100
        basis = np.stack((np.ones_like(light), light, light**2), axis=1)
        rest = ab - basis @ np.linalg.lstsq(basis, ab)[0]
        other_hues = np.linalg.svd(ab, compute_uv=False)[-1] / len(ab) ** 0.5
        spread = max(float(np.sqrt((rest**2).sum(axis=1).mean())), float(other_hues))
        return "toned" if spread < _TONED else ""


@dataclass(frozen=True, eq=False)
class Seen:
    """A reference, and what the generator predicts for it.

    Parameters
    ----------
    reference : Reference
    lightness : ndarray
        (1, h, w) float32: its L* at the working size.
    logits : ndarray
        (Q, ceil(h / 4), ceil(w / 4)) float32: of the color distribution.
    """

    reference: Reference
    lightness: Array
    logits: Array


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


def match(lightness: Array, logits: Array, shape: tuple[int, int], seen: Seen) -> Matches:
    """Match the places of an image with those of a reference.

    Parameters
    ----------
    lightness, logits : ndarray
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
        area_means(one, grid).ravel()
        for one, grid in zip((lightness, seen.lightness), grids, strict=True)
    ]
    alike = first @ second.T
    # Exposures differ; what is lighter than the rest of its image should be so in both.
    lights = [light - light.mean() for light in lights]
    alike -= (np.abs(lights[0][:, None] - lights[1]) / _LIGHTNESS - 1).clip(0)
    similarity, there = alike.max(axis=1), alike.argmax(axis=1)
    back = alike.argmax(axis=0)[there]
    cells = np.indices(grids[0]).reshape(2, -1)
    mutual = np.hypot(*(cells[:, back] - cells)) <= _NEAR
    clear = mutual & (similarity >= _CLEAR)
    clear &= _coherent(there, clear, *grids)
    good = np.flatnonzero(clear)
    matched = len(good) / len(clear)
    if matched < _FEWEST:
        return Matches(reference, nothing, nothing, nothing[:, 0], nothing, 0.0, "unrelated")
    ab = area_means(reference.lab[1:], grids[1]).reshape(2, -1).T
    return Matches(
        reference,
        _pixels(good, grids[0], shape),
        _pixels(there[good], grids[1], (reference.lab.shape[-2], reference.lab.shape[-1])),
        similarity[good],
        ab[there[good]],
        matched,
    )


def _coherent(
    there: NDArray[np.intp], clear: NDArray[np.bool_], grid: tuple[int, int], other: tuple[int, int]
) -> NDArray[np.bool_]:
    """Check that neighbors of a place match neighbors of its match, (cells,): chance scatters."""
    place = np.stack(np.divmod(there, other[1])).astype(np.float32)
    place[:, ~clear] = -1e6
    place = place.reshape(2, *grid)
    radius = _WINDOW // 2
    padded = np.pad(place, ((0, 0), (radius, radius), (radius, radius)), constant_values=-1e6)
    agreed = np.zeros(grid)  # the place itself is one of them
    for y, x in np.ndindex(_WINDOW, _WINDOW):
        around = padded[:, y : y + grid[0], x : x + grid[1]]
        agreed += np.hypot(*(around - place)) <= _WINDOW
    coherent: NDArray[np.bool_] = (agreed.ravel() / _WINDOW**2 >= _COHERENT) & clear
    return coherent


def _grid(grid: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, (MAX_CELLS / (grid[0] * grid[1])) ** 0.5)
    return max(1, int(grid[0] * scale)), max(1, int(grid[1] * scale))


def _descriptors(logits: Sequence[Array], grids: Sequence[tuple[int, int]]) -> list[Array]:
    """Describe each place and its surroundings by unit vectors, (cells, C), of the prediction."""
    small = [
        area_means(x, grid).reshape(len(x), -1).T for x, grid in zip(logits, grids, strict=True)
    ]
    cells = np.concatenate(small)
    mean, deviation = cells.mean(axis=0), cells.std(axis=0, ddof=1) + 1e-6
    standard = (cells - mean) / deviation
    axes = np.linalg.eigh(standard.T @ standard)[1][:, -_COMPONENTS:]
    described: list[Array] = []
    for x, grid in zip(small, grids, strict=True):
        z = (((x - mean) / deviation) @ axes).T.reshape(-1, *grid)
        parts = [z if window == 1 else box_means(z, window // 2) for window in _WINDOWS]
        scales = [max(float(np.sqrt((part**2).sum(axis=0).mean())), 1e-6) for part in parts]
        whole = np.concatenate([part / scale for part, scale in zip(parts, scales, strict=True)])
        whole = whole.reshape(len(whole), -1).T
        described.append(whole / np.linalg.norm(whole, axis=1, keepdims=True).clip(1e-12))
    return described


def _pixels(cells: NDArray[np.intp], grid: tuple[int, int], shape: tuple[int, int]) -> Array:
    """Return columns and rows of the centers of cells, in pixels."""
    y, x = np.divmod(cells, grid[1])
    places = ((x + 0.5) * shape[1] / grid[1] - 0.5, (y + 0.5) * shape[0] / grid[0] - 0.5)
    return np.stack(places, axis=1).astype(np.float32)

"""What colorizing an image gives: the result with all its stages, and progress on the way to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recolor_core.errors import ImageError
from recolor_core.full_resolution import color_strips, strip_rows
from recolor_core.gray import GrayImage
from recolor_core.hints.things import Things
from recolor_core.lab import lightness
from recolor_core.reference import Matches
from recolor_core.view import View


@dataclass(frozen=True, eq=False)
class Coarse:
    """What the generator predicts for an image; `Colorizer.refine` makes colors of it.

    Keep it to try other hints, vividness or saturation without running the generator again.

    Parameters
    ----------
    grays : tuple of GrayImage
        The images of the batch, B of them; one unless `Colorizer.map` made the batch.
    lightness : Tensor
        (B, 1, h, w) float32: L* in [0, 100] at the working size.
    logits : Tensor
        (B, Q, ceil(h / 4), ceil(w / 4)) float32: the distribution over Q color bins.
    device : str
        Where the generator ran.
    size, views : int
        The `Settings` that it ran with.
    shown : tuple of View
        What the generator saw of each image.
    ab : Tensor or None
        (B, 2, ceil(h / 4), ceil(w / 4)) float32, Lab units: the coarse color to refine, with hints
        spread, in place of what `Colorizer.coarse_ab` computes from the distribution.
    """

    grays: tuple[GrayImage, ...]
    lightness: Tensor
    logits: Tensor
    device: str
    size: int
    views: int
    shown: tuple[View, ...]
    ab: Tensor | None = None

    @property
    def gray(self) -> GrayImage:
        """The first image of the batch."""
        return self.grays[0]

    @cached_property
    def things(self) -> tuple[Things, ...]:
        """Groups of pixels that belong together in each image, for hints."""
        return tuple(
            Things(logits, light[0])
            for logits, light in zip(self.logits, self.lightness, strict=True)
        )


@dataclass(frozen=True, eq=False)
class Colorization:
    """A colorized image and all its intermediate stages.

    Parameters
    ----------
    gray : GrayImage
        The image that was colorized.
    ab_coarse : ndarray
        (2, ceil(h / 4), ceil(w / 4)) float32, Lab units: the color that the generator predicts, at
        a quarter of the working size (h, w).
    ab_refined : ndarray
        (2, h, w) float32, Lab units: the output of the refiner.
    uncertainty : ndarray
        (ceil(h / 4), ceil(w / 4)) float32, Lab units: standard deviation of the predicted color.
    ab_alternatives : tuple of ndarray
        Other plausible colorings, each like `ab_refined`.
    working_lightness : ndarray
        (h, w) float32: L* in [0, 100], as the networks saw it.
    provenance : dict
        How the result was made: software, version, weights and their SHA-256, settings, device, and
        how the image was read. It holds only JSON types.
    """

    gray: GrayImage
    ab_coarse: NDArray[np.float32]
    ab_refined: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    ab_alternatives: tuple[NDArray[np.float32], ...]
    working_lightness: NDArray[np.float32]
    provenance: dict[str, Any]
    matches: tuple[Matches, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.gray.shape

    @cached_property
    def L(self) -> NDArray[np.float32]:
        """(H, W) float32: L* of the image, in [0, 100]."""
        return to_numpy(lightness(self.gray.codes, self.gray.space))

    @cached_property
    def rgb(self) -> NDArray[Any]:
        """(H, W, 3), of the dtype of the gray codes: the image in color.

        Its gray is exactly the input: see `recolor_core.lab.to_rgb`.
        """
        return np.concatenate(list(self.strips()))

    @property
    def alternatives(self) -> tuple[NDArray[Any], ...]:
        """The other colorings as images, each like `rgb`."""
        return tuple(np.concatenate(list(self.strips(ab))) for ab in self.ab_alternatives)

    def compute(self) -> Iterator[int]:
        """Compute `rgb` strip by strip; stop iterating to cancel.

        Yields
        ------
        int
            Number of strips done. When it reaches `strip_count`, `rgb` is available.
        """
        strips: list[NDArray[Any]] = []
        for strip in self.strips():
            strips.append(strip)
            if len(strips) == self.strip_count:
                vars(self)["rgb"] = np.concatenate(strips)  # where the cached property keeps it
            yield len(strips)

    def strips(
        self, ab: NDArray[np.float32] | None = None, first_row: int = 0
    ) -> Iterator[NDArray[Any]]:
        """Colorize the image from top to bottom.

        Parameters
        ----------
        ab : ndarray, optional
            (2, h, w) float32, Lab units: color to use in place of `ab_refined`.
        first_row : int
            A row of the strip to begin with, such as the first one that someone looks at. After the
            last strip come those above; see `recolor_core.full_resolution.strip_tops`.

        Yields
        ------
        ndarray
            (rows, W, 3), like `rgb`; `strip_count` strips in all.

        Raises
        ------
        ImageError
            If `ab` is not finite.
        """
        chroma = torch.from_numpy(self.ab_refined if ab is None else ab)
        if not bool(torch.isfinite(chroma).all()):
            raise ImageError("expected finite ab, got NaN or infinity; check where it comes from")
        guide = torch.from_numpy(self.working_lightness)
        yield from color_strips(self.gray.codes, self.gray.space, chroma, guide, first_row)

    def colored(self, gray: NDArray[Any]) -> NDArray[Any]:
        """The colors of the image on gray of another size, such as that of halved chroma.

        Parameters
        ----------
        gray : ndarray
            (h, w): the gray of the whole image, in codes of the dtype of `gray.codes`.

        Returns
        -------
        ndarray
            (h, w, 3), like `rgb`. Its gray is exactly `gray`.
        """
        if gray.shape == self.shape:
            return self.rgb
        chroma, guide = map(torch.from_numpy, (self.ab_refined, self.working_lightness))
        strips = color_strips(torch.from_numpy(gray), self.gray.space, chroma, guide)
        return np.concatenate(list(strips))

    @property
    def strip_count(self) -> int:
        """Number of strips that `strips` yields."""
        return -(-self.shape[0] // strip_rows(self.shape[1]))


@dataclass(frozen=True)
class Progress:
    """An event of `Colorizer.events`: `done` of the `total` steps of a stage are finished.

    Parameters
    ----------
    stage : str
        ``"generator"``, ``"refiner"`` or ``"color"`` (the full resolution, strip by strip).
    done, total : int
        Finished steps and all steps of the stage.
    result : Colorization or None
        The result; only the last event has one.
    """

    stage: str
    done: int
    total: int
    result: Colorization | None = None


def to_numpy(x: Tensor) -> NDArray[Any]:
    """Convert a tensor on the CPU to a contiguous array."""
    return np.ascontiguousarray(x.numpy())

"""What colorizing an image gives: the result with all its stages, and progress on the way to it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.errors import ImageError
from recolor_core.full_resolution import color_strips, strip_rows
from recolor_core.gray import GrayImage
from recolor_core.hints import Area, area_entry
from recolor_core.lab import lab_to_rgb, lightness
from recolor_core.resampling import area_means, resize
from recolor_core.view import View

if TYPE_CHECKING:
    from recolor_core.hints.things import Things
    from recolor_core.reference import Matches


@dataclass(frozen=True, eq=False)
class Coarse:
    """What the generator predicts for an image; `Colorizer.refine` makes colors of it.

    Keep it to try other hints, vividness or saturation without running the generator again.

    Parameters
    ----------
    grays : tuple of GrayImage
        The images of the batch, B of them; one unless `Colorizer.map` made the batch.
    lightness : ndarray
        (B, 1, h, w) float32: L* in [0, 100] at the working size.
    logits : ndarray
        (B, Q, ceil(h / 4), ceil(w / 4)) float32: the distribution over Q color bins.
    uncertainty : ndarray
        (B, 1, ceil(h / 4), ceil(w / 4)) float32: its standard deviation, in Lab units.
    device : str
        Where the generator ran.
    size, views : int
        The `Settings` that it ran with.
    shown : tuple of View
        What the generator saw of each image.
    ab : ndarray or None
        (B, 2, ceil(h / 4), ceil(w / 4)) float32, Lab units: the coarse color to refine, with hints
        spread, in place of what `Colorizer.coarse_ab` computes from the distribution.
    """

    grays: tuple[GrayImage, ...]
    lightness: NDArray[np.float32]
    logits: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    device: str
    size: int
    views: int
    shown: tuple[View, ...]
    ab: NDArray[np.float32] | None = None

    @property
    def gray(self) -> GrayImage:
        """The first image of the batch."""
        return self.grays[0]

    @cached_property
    def things(self) -> "tuple[Things, ...]":
        """Groups of pixels that belong together in each image, for hints."""
        from recolor_core.hints.things import Things

        pairs = zip(self.logits, self.lightness, strict=True)
        return tuple(Things(logits, light[0]) for logits, light in pairs)

    @cached_property
    def distributions(self) -> "dict[bytes, Distribution]":
        """The distributions of this prediction that were used last, by the palette they follow."""
        return {}

    def with_ab(self, ab: NDArray[np.float32]) -> "Coarse":
        """Return the same prediction with a coarse color of its own.

        Parameters
        ----------
        ab : ndarray
            As the attribute.

        Returns
        -------
        Coarse
            It shares what is already known of this one, such as `things`.
        """
        other = replace(self, ab=ab)
        vars(other).update(things=self.things, distributions=self.distributions)
        return other


@dataclass(frozen=True, eq=False)
class Distribution:
    """The distribution of colors of a batch, as predicted or steered to a palette.

    Parameters
    ----------
    logits : ndarray
        (B, Q, h, w) float32.
    uncertainty : ndarray
        (B, 1, h, w) float32: its standard deviation, in Lab units.
    means : dict
        The mean color (B, 2, h, w) for each temperature that was used.
    """

    logits: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    means: dict[float, NDArray[np.float32]] = field(default_factory=dict)


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
        Other plausible colorings, each like `ab_refined`; see `take`.
    working_lightness : ndarray
        (h, w) float32: L* in [0, 100], as the networks saw it.
    provenance : dict
        How the result was made: software, version, weights and their SHA-256, settings, device, and
        how the image was read. It holds only JSON types.
    matches : tuple of Matches
        What the references show of the image.
    ab_coarse_alternatives : tuple of ndarray
        The coarse color of each alternative, like `ab_coarse`.
    """

    gray: GrayImage
    ab_coarse: NDArray[np.float32]
    ab_refined: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    ab_alternatives: tuple[NDArray[np.float32], ...]
    working_lightness: NDArray[np.float32]
    provenance: dict[str, Any]
    matches: "tuple[Matches, ...]" = ()
    ab_coarse_alternatives: tuple[NDArray[np.float32], ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.gray.shape

    @cached_property
    def L(self) -> NDArray[np.float32]:
        """(H, W) float32: L* of the image, in [0, 100]."""
        return lightness(self.gray.codes, self.gray.space)

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

    def take(self, number: int) -> "Colorization":
        """Take an alternative as the result.

        Parameters
        ----------
        number : int
            From 1; 0 is the coloring itself.

        Returns
        -------
        Colorization
            Its provenance has the number as ``"alternative"``; it has no alternatives of its own.

        Raises
        ------
        ImageError
            If there is no such alternative.
        """
        count = len(self.ab_alternatives)
        if not 0 <= number <= count:
            raise ImageError(
                f"expected an alternative from 0 to {count}, got {number}; make more alternatives"
            )
        taken = replace(self, ab_alternatives=(), ab_coarse_alternatives=())
        if number == 0:
            return taken
        return replace(
            taken,
            ab_coarse=self.ab_coarse_alternatives[number - 1],
            ab_refined=self.ab_alternatives[number - 1],
            provenance=self.provenance | {"alternative": number},
        )

    def combine(self, other: "Colorization", region: Area) -> "Colorization":
        """Put another coloring of the same image into a region of this one.

        Parameters
        ----------
        other : Colorization
            Made from the same `Coarse` prediction, such as another alternative.
        region : ndarray, Region or Mask
            Where the other one counts; an array is a mask of the shape (H, W) of the image. Its
            edge follows an edge of the image nearby.

        Returns
        -------
        Colorization
            Its provenance lists the regions and what is there as ``"combined"``.

        Raises
        ------
        ImageError
            If the other one is of another image or of another working size.
        HintsError
            If the region does not fit the image.
        """
        same = other.gray is self.gray or np.array_equal(other.gray.codes, self.gray.codes)
        if not same or other.ab_refined.shape != self.ab_refined.shape:
            raise ImageError(
                "expected two colorings of one image at one working size, got colorings of two; "
                "combine alternatives of one result"
            )
        from recolor_core.hints import cover

        inside = cover(region, self.shape, self.working_lightness)
        entry = area_entry(region) | {"alternative": other.provenance.get("alternative", 0)}
        combined = [*self.provenance.get("combined", ()), entry]
        return replace(
            self,
            ab_coarse=limited(inside, self.ab_coarse, other.ab_coarse),
            ab_refined=limited(inside, self.ab_refined, other.ab_refined),
            ab_alternatives=(),
            ab_coarse_alternatives=(),
            provenance=self.provenance | {"combined": combined},
        )

    def thumbnail(self, max_side: int = 256) -> NDArray[np.uint8]:
        """A small version, without computing the full resolution.

        Parameters
        ----------
        max_side : int
            The longer side, in pixels; it is not enlarged beyond the working size.

        Returns
        -------
        ndarray
            (h, w, 3) uint8, sRGB.
        """
        lab = np.concatenate((self.working_lightness[None], self.ab_refined))
        height, width = lab.shape[1:]
        scale = min(1.0, max_side / max(height, width))
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        rgb = np.clip(lab_to_rgb(np.moveaxis(resize(lab, size), 0, -1)), 0, 1)
        return np.rint(255 * rgb).astype(np.uint8)  # type: ignore[no-any-return]

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
        chroma = self.ab_refined if ab is None else np.asarray(ab, np.float32)
        if not np.isfinite(chroma).all():
            raise ImageError("expected finite ab, got NaN or infinity; check where it comes from")
        guide = self.working_lightness
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
        strips = color_strips(gray, self.gray.space, self.ab_refined, self.working_lightness)
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


def limited(
    inside: NDArray[np.float32], outer: NDArray[np.float32], inner: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Limit a coloring to a region of another one.

    Parameters
    ----------
    inside : ndarray
        (H', W') float32 in [0, 1]: the region, at the working size.
    outer, inner : ndarray
        (..., 2, h, w), Lab units. Where the region is 0, the outer one stays bit for bit.

    Returns
    -------
    ndarray
        (..., 2, h, w), Lab units.
    """
    part = area_means(inside, (outer.shape[-2], outer.shape[-1]))
    return np.where(part > 0, outer + part * (inner - outer), outer)

"""The whole way of an image, in order, once: `Colorizer`, and its result, `Colorization`."""

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from recolor_core.device import autocast, choose_device, out_of_memory
from recolor_core.errors import DeviceWarning, ImageError
from recolor_core.gray import GrayImage, Levels, read_gray
from recolor_core.hints import Hint, hint_map, spread_hints
from recolor_core.lab import SRGB, ColorSpace, lightness, to_rgb
from recolor_core.models.refiner import SCALE
from recolor_core.palette import Palette, palette_record
from recolor_core.settings import VIEWS, Settings
from recolor_core.upsample import GuidedUpsampler
from recolor_core.weights import load_weights

STRIP = 2**18
"""Pixels that are worked on at a time at full resolution: they fit into the cache."""

SMALLEST_TILE = 128
"""Where a GPU is full, the refiner's tiles are halved down to this side, in pixels."""

HALO = 192
"""What a tile sees around it, in pixels: more than reaches a pixel through a refiner of up to 12
blocks with a detail of up to 8, so that tiles fit together."""


@dataclass(frozen=True)
class Progress:
    """A step of the work that was done.

    Parameters
    ----------
    stage
        ``"generator"``, ``"refiner"`` or ``"color"`` (the full resolution, strip by strip).
    done, total
        Steps of the stage.
    result
        The result, in the last event alone.
    """

    stage: str
    done: int
    total: int
    result: "Colorization | None" = None


@dataclass(frozen=True, eq=False)
class Colorization:
    """A colorized image and every stage on its way.

    Parameters
    ----------
    gray
        The image that was colorized.
    ab_coarse
        (2, h, w) float32, Lab units: what the generator predicts, at a quarter of the working size.
    ab_refined
        (2, h', w') float32, Lab units: what the refiner makes of it, at the working size, of which
        h and w are a quarter, rounded up.
    uncertainty
        (h, w) float32, Lab units: the standard deviation of the predicted color.
    ab_alternatives
        Each like `ab_refined`.
    working_lightness
        L* that the networks saw, at the working size.
    provenance
        How the result came to be: software, version, weights and their SHA-256, settings, device,
        and how the image was read. JSON types alone.
    """

    gray: GrayImage
    ab_coarse: NDArray[np.float32]
    ab_refined: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    ab_alternatives: tuple[NDArray[np.float32], ...]
    working_lightness: NDArray[np.float32]
    provenance: dict[str, Any]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.gray.shape

    @cached_property
    def L(self) -> NDArray[np.float32]:
        """(H, W) float32: L* of the image, in [0, 100]."""
        return _numpy(lightness(self.gray.codes, self.gray.space))

    @cached_property
    def rgb(self) -> NDArray[Any]:
        """(H, W, 3), the dtype of the gray codes: the image in color.

        Its gray is the input, exactly: see `recolor_core.lab.to_rgb`.
        """
        return np.concatenate(list(self.strips()))

    @property
    def alternatives(self) -> tuple[NDArray[Any], ...]:
        """Further colorings, each like `rgb`."""
        return tuple(np.concatenate(list(self.strips(ab))) for ab in self.ab_alternatives)

    def strips(self, ab: NDArray[np.float32] | None = None) -> Iterator[NDArray[Any]]:
        """The colorized image from top to bottom, `strip_count` strips of (rows, W, 3).

        Parameters
        ----------
        ab
            Chroma to use, (2, h, w) in Lab units, instead of `ab_refined`.

        Raises
        ------
        ImageError
            Where the chroma is not finite.
        """
        chroma = torch.from_numpy(self.ab_refined if ab is None else ab)
        if not bool(torch.isfinite(chroma).all()):
            raise ImageError("expected ab of numbers, got NaN or infinity; check where it is from")
        guide = torch.from_numpy(self.working_lightness)
        upsampler = GuidedUpsampler(chroma, guide, self.shape)
        rows = self._strip_rows
        for top in range(0, self.shape[0], rows):
            codes = self.gray.codes[top : top + rows]
            ab_rows = upsampler.rows(top, lightness(codes, self.gray.space))
            rgb = to_rgb(codes, ab_rows, self.gray.space)
            yield _numpy(rgb.permute(1, 2, 0))

    @property
    def strip_count(self) -> int:
        """Number of strips that `strips` gives."""
        return -(-self.shape[0] // self._strip_rows)

    @property
    def _strip_rows(self) -> int:
        return max(1, STRIP // self.shape[1])


@dataclass(frozen=True, eq=False)
class Coarse:
    """What the generator sees in an image; `Colorizer.refine` makes colors of it.

    Keep it to try other hints, vividness or saturation: the generator is not asked again.

    Parameters
    ----------
    gray
        The image.
    lightness
        (1, 1, h, w): L* at the working size.
    logits
        (1, Q, h / 4, w / 4): of the color distribution.
    device
        Where the generator ran.
    size, views
        The `Settings` that it was asked with.
    ab
        None, or (1, 2, h / 4, w / 4): the coarse ab to go on with, in Lab units, hints spread
        already, in place of what `Colorizer.coarse_ab` makes of the distribution.
    """

    gray: GrayImage
    lightness: Tensor
    logits: Tensor
    device: str
    size: int
    views: int
    ab: Tensor | None = None


class Colorizer:
    """Colorizes gray images.

    Calls do not depend on each other: the object holds nothing but the networks.

    Parameters
    ----------
    weights
        A name that `recolor_core.list_weights` gives, or the path of a weights file.
    device
        ``"auto"`` (CUDA, else MPS, else CPU), ``"cpu"``, ``"mps"``, ``"cuda"``, ``"cuda:1"``, ...

    Raises
    ------
    WeightsError
        Where the weights are unknown or damaged.
    DeviceError
        Where this machine has no such device.

    Attributes
    ----------
    record
        What is known of the weights.
    memory
        Keeps the colors of stacks and films steady (see `recolor_core.frames`); None where the
        weights have none.
    """

    def __init__(self, weights: str | Path = "default", device: str = "auto") -> None:
        self.device = choose_device(device)
        self._networks = load_weights(weights)
        self.record = self._networks.record
        self.memory = self._networks.memory

    def __call__(
        self,
        image: Any,
        settings: Settings | None = None,
        *,
        hints: Sequence[Hint] = (),
        palette: Palette | None = None,
        space: ColorSpace = SRGB,
        levels: Levels | str | None = None,
        **changes: Any,
    ) -> Colorization:
        """Colorize one image; its full resolution is computed when it is asked for.

        Parameters
        ----------
        image
            (H, W), (H, W, 3) or (H, W, 4): see `recolor_core.gray.read_gray`.
        settings
            How to colorize; the default ones where None.
        hints
            Points whose color is known.
        palette
            Colors that the image as a whole should have, (N, 2) in Lab units; see
            `recolor_core.palette`.
        space
            What the codes of the image mean.
        levels
            Values of black and white, for arrays without an agreed range.
        **changes
            Fields of `Settings` that differ from `settings`.

        Returns
        -------
        Colorization

        Raises
        ------
        ImageError
            Where the image or a setting cannot be used.
        HintsError
            Where a hint lies outside the image.
        """
        settings = replace(settings or Settings(), **changes)
        coarse = self.generate(read_gray(image, space, levels), settings)
        return self.refine(coarse, settings, hints, palette)

    def events(
        self,
        image: Any,
        settings: Settings | None = None,
        *,
        hints: Sequence[Hint] = (),
        palette: Palette | None = None,
        space: ColorSpace = SRGB,
        levels: Levels | str | None = None,
        **changes: Any,
    ) -> Iterator[Progress]:
        """Colorize one image step by step, its full resolution included.

        Stop iterating to cancel. The parameters are those of a call. Every event comes before its
        step is taken; the last one carries the result, whose `rgb` is there already.
        """
        settings = replace(settings or Settings(), **changes)
        yield Progress("generator", 0, 1)
        coarse = self.generate(read_gray(image, space, levels), settings)
        yield Progress("refiner", 0, 1)
        result = self.refine(coarse, settings, hints, palette)
        strips: list[NDArray[Any]] = []
        total = result.strip_count
        yield Progress("color", 0, total)
        for strip in result.strips():
            strips.append(strip)
            if len(strips) < total:
                yield Progress("color", len(strips), total)
        vars(result)["rgb"] = np.concatenate(strips)  # what the cached property would compute
        yield Progress("color", total, total, result)

    def map(
        self,
        images: Iterable[Any],
        settings: Settings | None = None,
        *,
        batch: int = 1,
        palette: Palette | None = None,
        space: ColorSpace = SRGB,
        levels: Levels | str | None = None,
        **changes: Any,
    ) -> Iterator[Colorization]:
        """Colorize images one after the other, lazily and in order.

        Parameters
        ----------
        images, settings, palette, space, levels, **changes
            As in a call.
        batch
            How many consecutive images of one working size go through the networks together, 1
            or more. More than 1 is faster on a GPU; on the CPU it gains nothing.
        """
        if batch < 1:
            raise ImageError(f"expected a batch of 1 image or more, got {batch!r}")
        settings = replace(settings or Settings(), **changes)
        grays = (read_gray(image, space, levels) for image in images)
        for _, group in groupby(grays, lambda gray: working_size(gray.shape, settings.size)):
            while chunk := list(islice(group, batch)):
                coarse = self._generate(chunk, settings)
                yield from self._refine(coarse, settings, [()] * len(coarse), palette)

    def generate(self, gray: GrayImage, settings: Settings | None = None, **changes: Any) -> Coarse:
        """The generator's part: what colors the image may have.

        Parameters
        ----------
        gray
            As `recolor_core.gray.read_gray` gives it.
        settings, **changes
            As in a call; `size` and `views` are what counts here.
        """
        return self._generate([gray], replace(settings or Settings(), **changes))[0]

    def refine(
        self,
        coarse: Coarse,
        settings: Settings | None = None,
        hints: Sequence[Hint] = (),
        palette: Palette | None = None,
    ) -> Colorization:
        """The refiner's part: one coloring of what the generator saw.

        Parameters
        ----------
        coarse
            Of `generate`.
        settings
            How to colorize; `size` and `views` have had their effect already.
        hints, palette
            As in a call.

        Raises
        ------
        HintsError
            Where a hint lies outside the image.
        """
        return self._refine([coarse], settings or Settings(), [hints], palette)[0]

    @torch.inference_mode()
    def coarse_ab(
        self,
        coarse: Coarse,
        settings: Settings | None = None,
        hints: Sequence[Hint] = (),
        palette: Palette | None = None,
    ) -> Tensor:
        """The coarse ab that `refine` begins with, before chroma is scaled: (1, 2, h / 4, w / 4).

        The parameters are those of `refine`.
        """
        settings = settings or Settings()
        hinted = self._hint_map(coarse, settings, hints)
        return self._color(coarse, self._steered(coarse.logits, palette), settings, hinted)

    def _steered(self, logits: Tensor, palette: Palette | None) -> Tensor:
        if palette is None:
            return logits
        return self._networks.generator.steered(logits, torch.from_numpy(palette))

    def _hint_map(self, coarse: Coarse, settings: Settings, hints: Sequence[Hint]) -> Tensor:
        grid = (coarse.logits.shape[-2], coarse.logits.shape[-1])
        hinted = hint_map(hints, coarse.gray.shape, grid)
        hinted[:2] /= max(settings.chroma, 1e-3)  # hints are colors of the result
        return hinted

    def _color(
        self,
        coarse: Coarse,
        logits: Tensor,
        settings: Settings,
        hinted: Tensor,
        angle: float | None = None,
    ) -> Tensor:
        """Mean color, hints spread; leaning towards the hue of an angle, if one is given."""
        generator = self._networks.generator
        drawn = logits if angle is None else generator.tilted(logits, angle)
        ab = generator.mean_color(drawn, settings.temperature)
        if not bool(hinted[2].any()):
            return ab
        spread = generator.uncertainty(logits)[0, 0]
        return spread_hints(ab[0], hinted, logits[0], spread, coarse.lightness[0])[None]

    def _generate(self, grays: Sequence[GrayImage], settings: Settings) -> list[Coarse]:
        size, views = settings.size, settings.views
        light = _lightness(grays, working_size(grays[0].shape, size))
        total, devices = self._logits(light)
        grid = (total.shape[-2], total.shape[-1])
        for scale, mirrored in VIEWS[1:views]:
            height, width = (round(scale * n) for n in light.shape[-2:])
            seen = _lightness(grays, (height, width))
            logits, device = self._logits(seen.flip(-1) if mirrored else seen)
            logits = logits.flip(-1) if mirrored else logits
            total = total + F.interpolate(logits, size=grid, mode="bilinear", antialias=True)
            devices = devices if device in devices else f"{devices}, {device}"
        logits = total / views
        return [
            Coarse(gray, light[i : i + 1], logits[i : i + 1], devices, size, views)
            for i, gray in enumerate(grays)
        ]

    def _logits(self, light: Tensor) -> tuple[Tensor, str]:
        """What the generator says of a view, and where it ran."""
        generator = self._networks.generator
        try:
            return _run(generator, self.device, light), str(self.device)
        except RuntimeError as error:
            device = self._leave(error, generator)
            return _run(generator, torch.device("cpu"), light), device

    @torch.inference_mode()
    def _refine(
        self,
        coarse: Sequence[Coarse],
        settings: Settings,
        hints: Sequence[Sequence[Hint]],
        palette: Palette | None,
    ) -> list[Colorization]:
        generator = self._networks.generator
        light = torch.cat([c.lightness for c in coarse])
        logits = self._steered(torch.cat([c.logits for c in coarse]), palette)
        uncertainty = generator.uncertainty(logits)
        hinted = torch.stack(
            [self._hint_map(c, settings, h) for c, h in zip(coarse, hints, strict=True)]
        )
        colorings = []  # the first one is the image's, the others its alternatives
        devices = []
        turns = range(settings.alternatives)
        for angle in (None, *(2 * math.pi * turn / settings.alternatives for turn in turns)):
            ab = torch.cat(
                [
                    c.ab
                    if angle is None and c.ab is not None
                    else self._color(c, logits[i : i + 1], settings, hinted[i], angle)
                    for i, c in enumerate(coarse)
                ]
            )
            refined, device = self._refine_tiles(light, ab, hinted, settings.tile)
            devices.append(device)
            colorings.append((settings.chroma * ab, settings.chroma * refined))
        return [
            Colorization(
                gray=c.gray,
                ab_coarse=_numpy(colorings[0][0][i]),
                ab_refined=_numpy(colorings[0][1][i]),
                uncertainty=_numpy(uncertainty[i, 0]),
                ab_alternatives=tuple(_numpy(refined[i]) for _, refined in colorings[1:]),
                working_lightness=_numpy(light[i, 0]),
                provenance=self._provenance(
                    c, settings, hints[i], palette, ", ".join(dict.fromkeys(devices))
                ),
            )
            for i, c in enumerate(coarse)
        ]

    def _refine_tiles(
        self, light: Tensor, ab: Tensor, hints: Tensor, tile: int
    ) -> tuple[Tensor, str]:
        """The refiner over an image of any working size, and where it ran."""
        refiner, device, said = self._networks.refiner, self.device, str(self.device)
        tile = min(tile, max(light.shape[-2:]))
        while True:
            try:
                return _tiled(refiner, device, tile, light, ab, hints), said
            except RuntimeError as error:
                if device.type == "cpu":
                    raise
                if out_of_memory(error) and tile >= 2 * SMALLEST_TILE:
                    tile //= 2
                else:
                    said, device = self._leave(error, refiner), torch.device("cpu")

    def _leave(self, error: RuntimeError, network: nn.Module) -> str:
        """Warn that a network goes on on the CPU, where the memory of a GPU is the reason."""
        if not out_of_memory(error) or self.device.type == "cpu":
            raise error
        name = type(network).__name__.lower()
        warnings.warn(
            f"the memory of {self.device} is full: the {name} runs on the CPU instead",
            DeviceWarning,
            stacklevel=5,
        )
        return f"cpu ({self.device} was out of memory)"

    def _provenance(
        self,
        coarse: Coarse,
        settings: Settings,
        hints: Sequence[Hint],
        palette: Palette | None,
        device: str,
    ) -> dict[str, Any]:
        return {
            "software": "recolor",
            "version": version("napari-recolor"),
            "weights": {"name": self.record.name, "sha256": self.record.sha256},
            "settings": asdict(settings) | {"size": coarse.size, "views": coarse.views},
            "hints": [asdict(hint) for hint in hints],
            "palette": None if palette is None else palette_record(palette),
            "device": {"generator": coarse.device, "refiner": device},
            "reading": coarse.gray.reading,
        }


def colorize(
    image: Any, *, weights: str | Path = "default", device: str = "auto", **options: Any
) -> Colorization:
    """Colorize one image. For more than one make a `Colorizer`, which loads its weights once.

    Parameters
    ----------
    image
        (H, W), (H, W, 3) or (H, W, 4): see `recolor_core.gray.read_gray`.
    weights, device
        As in `Colorizer`.
    **options
        As in a call of `Colorizer`: `settings` or its fields, `hints`, `space`, `levels`.

    Returns
    -------
    Colorization
    """
    return Colorizer(weights, device)(image, **options)


def working_size(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """Height and width that the networks work at: short side `size`, the aspect ratio kept.

    The long side is at most eight times as long; a strip of film longer than that gets a shorter
    short side instead.
    """
    short, long = min(shape), max(shape)
    scale = min(size / short, 8 * size / long)
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _lightness(grays: Sequence[GrayImage], shape: tuple[int, int]) -> Tensor:
    """L* of images at one size, (B, 1, h, w)."""
    return torch.stack([gray.lightness(shape)[None] for gray in grays])


@torch.inference_mode()
def _run(network: nn.Module, device: torch.device, *inputs: Tensor) -> Tensor:
    """The output of a network, on the CPU; where a GPU is full, of half the batch at a time."""
    try:
        network.to(device)
        with autocast(device):
            output: Tensor = network(*(x.to(device) for x in inputs))
        return output.float().cpu()
    except RuntimeError as error:
        if not out_of_memory(error) or device.type == "cpu" or len(inputs[0]) == 1:
            raise
    return torch.cat([_run(network, device, *(x[h] for x in inputs)) for h in _halves(inputs[0])])


def _tiled(
    refiner: nn.Module, device: torch.device, tile: int, light: Tensor, ab: Tensor, hints: Tensor
) -> Tensor:
    """The refiner in tiles, each with so much around it as reaches its pixels."""
    height, width = light.shape[-2:]
    step = -(-tile // 32) * 32  # so that tiles begin where a refiner's blocks of cells do
    refined = torch.empty(len(ab), 2, height, width)
    for top in range(0, height, step):
        for left in range(0, width, step):
            y, x = max(top - HALO, 0), max(left - HALO, 0)
            bottom, right = min(top + step, height), min(left + step, width)
            pixels = (..., slice(y, bottom + HALO), slice(x, right + HALO))
            cells = (
                ...,
                slice(y // SCALE, -(-(bottom + HALO) // SCALE)),
                slice(x // SCALE, -(-(right + HALO) // SCALE)),
            )
            part = _run(refiner, device, light[pixels], ab[cells], hints[cells])
            refined[..., top:bottom, left:right] = part[
                ..., top - y : bottom - y, left - x : right - x
            ]
    return refined


def _halves(x: Tensor) -> tuple[slice, slice]:
    return slice(None, len(x) // 2), slice(len(x) // 2, None)


def _numpy(x: Tensor) -> NDArray[Any]:
    return np.ascontiguousarray(x.numpy())

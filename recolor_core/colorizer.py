"""The path of an image from gray to color, top to bottom.

Gray codes -> lightness -> generator -> mean color (and hints) -> refiner -> upsampling -> RGB whose
gray is the input. The last two steps are in `recolor_core.result`.

All of this works on NumPy arrays. PyTorch is imported only for networks that are not compiled.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.arguments import described, expect, expect_all, is_whole
from recolor_core.blotches import calm_blotches, even_chroma
from recolor_core.device import choose_device
from recolor_core.errors import HintsError, ImageError
from recolor_core.gray import GrayImage, Levels, read_gray
from recolor_core.hints import (
    Area,
    Hint,
    Mark,
    MarksInTime,
    Mask,
    Region,
    Stroke,
    area_entry,
    mark_entry,
)
from recolor_core.inference import NetworkRunner
from recolor_core.lab import SRGB, ColorSpace
from recolor_core.models.bins import ColorBins
from recolor_core.palette import Palette, check_palette, palette_record
from recolor_core.resampling import area_means, resize
from recolor_core.result import Coarse, Colorization, Distribution, Progress, limited
from recolor_core.runtime import choose_runtime
from recolor_core.settings import NEUTRAL_CHROMA, VIEWS, WARM_AB, Settings, changed
from recolor_core.view import View, look
from recolor_core.weights import open_weights

if TYPE_CHECKING:
    from recolor_core.hints import Direction
    from recolor_core.reference import Matches, Reference, Seen


class Colorizer:
    """Colorizes gray images.

    Calls do not depend on each other: the object holds nothing but the networks. Threads may share
    it. The same call gives the same bytes every time on one machine. With the quantized networks
    this holds for any number of threads if NumPy multiplies matrices in one, as in the command
    (``OPENBLAS_NUM_THREADS=1``); otherwise, and with PyTorch, another number of threads rounds
    differently, by up to 2e-4 Lab units, which changes a few pixels in a million by one code.

    Do not fork a process after it has colorized: PyTorch's threads do not survive a fork, and the
    child may hang. Start processes with ``multiprocessing.get_context("spawn")`` and make a
    `Colorizer` in each of them.

    Parameters
    ----------
    weights : str or Path
        A name that `recolor_core.list_weights` gives, or the path of a weights file.
    device : str
        ``"auto"`` (CUDA, else MPS, else CPU), ``"cpu"``, ``"mps"``, ``"cuda"``, ``"cuda:1"``, ...
    runtime : str
        What runs the networks: ``"torch"``, float32; ``"onnxruntime"``, quantized, on the CPU
        alone, three times as fast; or ``"auto"``, the quantized networks on the CPU where they can
        be used, otherwise PyTorch. See `recolor_core.runtime.choose_runtime`.

    Raises
    ------
    WeightsError
        If the weights are unknown or damaged.
    DeviceError
        If this machine does not have the device, or the runtime cannot be used.

    Attributes
    ----------
    device : str
        Where PyTorch runs the networks.
    record : WeightsRecord
        What is known about the weights.
    runner : NetworkRunner
        Runs the networks.
    runtime : Runtime
        What computes in them: name, version and precision.
    bins : ColorBins
        The colors that the generator chooses from.
    """

    def __init__(
        self, weights: str | Path = "default", device: str = "auto", runtime: str = "auto"
    ) -> None:
        self.device = choose_device(device)
        file = open_weights(weights)
        programs, self.runtime = choose_runtime(file, self.device, runtime)
        self.record = file.record
        self.runner = NetworkRunner(file, self.device, programs)
        self._version = version("napari-recolor")  # takes milliseconds each time
        generator: Any = file.configs["generator"]
        self.bins = ColorBins(generator.grid)

    def __call__(
        self,
        image: Any,
        settings: Settings | None = None,
        *,
        hints: Sequence[Mark] = (),
        palette: Palette | None = None,
        references: "Sequence[Reference]" = (),
        seed: int = 0,
        region: Area | None = None,
        space: ColorSpace = SRGB,
        levels: Levels | str | None = None,
        **changes: Any,
    ) -> Colorization:
        """Colorize one image. Its full resolution is computed when `Colorization.rgb` is used.

        Parameters
        ----------
        image : array_like
            (H, W), (H, W, 3) or (H, W, 4): see `recolor_core.gray.read_gray`.
        settings : Settings, optional
            How to colorize; the defaults if None.
        hints : sequence of Hint
            Points whose color is known.
        palette : ndarray, optional
            (N, 2): colors that the image as a whole should have, in Lab units; see
            `recolor_core.palette`.
        references : sequence of Reference
            Color images; their colors go where they show the same as the image. The matches are
            in the result, and the share of the image that has one is in the provenance.
        seed : int
            Another seed gives other alternatives.
        region : ndarray, Region or Mask, optional
            Where the alternatives differ from the coloring; everywhere if None. An array is a mask
            of the shape (H, W) of the image.
        space : ColorSpace
            What the codes of the image mean.
        levels : tuple of float, "auto" or None
            Values of black and white, for arrays without an agreed range.
        **changes
            Fields of `Settings` that differ from `settings`.

        Returns
        -------
        Colorization

        Raises
        ------
        ImageError
            If the image or a setting is not supported.
        HintsError
            If a hint lies outside the image.
        """
        settings = changed(settings, **changes)
        check_arguments(hints, palette, references, space)
        if not is_whole(seed):
            raise ImageError(f"expected seed as a whole number, got {described(seed)}")
        coarse = self.generate(read_gray(image, space, levels), settings)
        seen = [self.look(reference, settings) for reference in references]
        return self.refine(coarse, settings, hints, palette, seen, seed=seed, region=region)

    def events(
        self,
        image: Any,
        settings: Settings | None = None,
        *,
        hints: Sequence[Mark] = (),
        palette: Palette | None = None,
        references: "Sequence[Reference]" = (),
        seed: int = 0,
        region: Area | None = None,
        space: ColorSpace = SRGB,
        levels: Levels | str | None = None,
        **changes: Any,
    ) -> Iterator[Progress]:
        """Colorize one image step by step, including its full resolution.

        The parameters and errors are those of a call. Stop iterating to cancel.

        Yields
        ------
        Progress
            One when each stage begins, and one after each strip of the full resolution. The last
            one has the result, whose `rgb` is computed.
        """
        settings = changed(settings, **changes)
        check_arguments(hints, palette, references, space)
        yield Progress("generator", 0, 1)
        coarse = self.generate(read_gray(image, space, levels), settings)
        seen = [self.look(reference, settings) for reference in references]
        yield Progress("refiner", 0, 1)
        result = self.refine(coarse, settings, hints, palette, seen, seed=seed, region=region)
        total = result.strip_count
        yield Progress("color", 0, total)
        for done in result.compute():
            yield Progress("color", done, total, result if done == total else None)

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
        images : iterable of array_like
            Each as in a call.
        settings, palette, space, levels, **changes
            As in a call.
        batch : int
            How many consecutive images of one working size go through the networks together, 1 or
            more. Larger batches are faster on a GPU, but not on the CPU.

        Yields
        ------
        Colorization
        """
        if batch < 1:
            raise ImageError(f"expected a batch of 1 image or more, got {batch!r}")
        settings = changed(settings, **changes)
        shown = (_look(read_gray(image, space, levels), settings) for image in images)
        for _, group in groupby(shown, lambda view: view.key):
            while chunk := tuple(islice(group, batch)):
                yield from self._refine(self._generate(chunk, settings), settings, (), palette)

    def generate(self, gray: GrayImage, settings: Settings | None = None, **changes: Any) -> Coarse:
        """Predict which colors the image may have.

        Parameters
        ----------
        gray : GrayImage
            From `recolor_core.gray.read_gray`.
        settings, **changes
            As in a call. Only `size`, `views`, `find_photograph` and `correct_tones` matter here.

        Returns
        -------
        Coarse
        """
        settings = changed(settings, **changes)
        return self._generate((_look(gray, settings),), settings)

    def look(self, reference: "Reference", settings: Settings | None = None) -> "Seen":
        """Look at a reference image, in gray, as at the image to colorize.

        What the networks see is kept in the reference, so that they look only once.

        Parameters
        ----------
        reference : Reference
        settings : Settings, optional
            As of `generate`.

        Returns
        -------
        Seen
            What `refine` takes.
        """
        settings = settings or Settings()
        key = (
            *(self.record.sha256, self.runtime, self.device, settings.size, settings.views),
            *(settings.find_photograph, settings.correct_tones),
        )
        if key not in reference.seen:
            from recolor_core.reference import Seen

            coarse = self.generate(read_gray(reference.rgb, reference.space), settings)
            reference.seen[key] = Seen(reference, coarse.lightness[0], coarse.logits[0])
        return reference.seen[key]

    def refine(
        self,
        coarse: Coarse,
        settings: Settings | None = None,
        hints: Sequence[Mark] | MarksInTime = (),
        palette: Palette | None = None,
        references: "Sequence[Seen]" = (),
        *,
        seed: int = 0,
        region: Area | None = None,
    ) -> Colorization:
        """Choose a color from the prediction of the generator and run the refiner.

        Parameters
        ----------
        coarse : Coarse
            From `generate`.
        settings : Settings, optional
            How to colorize. `size` and `views` have no effect any more.
        hints, palette
            As in a call.
        references : sequence of Seen
            From `look`.
        seed, region
            As in a call.

        Returns
        -------
        Colorization
            With `Settings.alternatives` other colorings. Its full resolution, and theirs, are
            computed only when they are used.

        Raises
        ------
        HintsError
            If a hint lies outside the image.
        """
        settings = settings or Settings()
        return self._refine(coarse, settings, hints, palette, references, seed, region)[0]

    def coarse_ab(
        self,
        coarse: Coarse,
        settings: Settings | None = None,
        hints: Sequence[Mark] | MarksInTime = (),
        palette: Palette | None = None,
        references: "Sequence[Seen]" = (),
    ) -> NDArray[np.float32]:
        """Compute the coarse ab that `refine` begins with, before its chroma is scaled.

        If the coarse stage has an ab of its own, the hints are put into that.

        The parameters and errors are those of `refine`.

        Returns
        -------
        ndarray
            (B, 2, ceil(h / 4), ceil(w / 4)) float32, Lab units, for the working size (h, w).
        """
        settings = settings or Settings()
        predicted = self._steered(coarse, palette)
        found = _matches(coarse, references)
        directions = self._directions(coarse, predicted, settings, hints, found)
        ab = self._mean_color(predicted, settings) if coarse.ab is None else coarse.ab
        return _blended(directions, _directed(coarse, directions, ab))

    def _generate(self, shown: tuple[View, ...], settings: Settings) -> Coarse:
        """Average the logits of the generator over the views of a batch."""
        total, devices = self.runner.generate(np.stack([view.shown() for view in shown]))
        grid = (total.shape[-2], total.shape[-1])
        for scale, mirrored in VIEWS[1 : settings.views]:
            seen = np.stack([view.shown(scale) for view in shown])
            logits, device = self.runner.generate(seen[..., ::-1] if mirrored else seen)
            total = total + resize(logits[..., ::-1] if mirrored else logits, grid)
            devices = devices if device in devices else f"{devices}, {device}"
        logits = shown[0].framed(total / np.float32(settings.views), self.bins.neutral)
        return Coarse(
            grays=tuple(view.gray for view in shown),
            lightness=np.stack([view.lightness[None] for view in shown]),
            logits=logits,
            uncertainty=self.bins.uncertainty(logits),
            device=devices,
            size=settings.size,
            views=settings.views,
            shown=shown,
        )

    def _refine(
        self,
        coarse: Coarse,
        settings: Settings,
        hints: Sequence[Mark] | MarksInTime,
        palette: Palette | None,
        references: "Sequence[Seen]" = (),
        seed: int = 0,
        region: Area | None = None,
    ) -> list[Colorization]:
        """Refine a batch: the coloring itself, then its alternatives."""
        predicted = self._steered(coarse, palette)
        logits, uncertainty = predicted.logits, predicted.uncertainty
        found = _matches(coarse, references)
        directions = self._directions(coarse, predicted, settings, hints, found)
        hinted = _hinted(coarse, directions)
        inside = _inside(coarse, region)
        shifts = self._alternatives(coarse, logits, settings.alternatives, seed, inside)
        colorings, devices = [], []
        for shift in (None, *shifts):
            given = coarse.ab if shift is None else None  # wishes are in it already
            if given is not None and not any(bool(d.weight.any()) for d in directions):
                ab = blended = given
            else:
                shifted = predicted if shift is None else Distribution(logits + shift, uncertainty)
                ab = self._mean_color(shifted, settings)
                ab = _directed(coarse, directions, ab)
                blended = _blended(directions, ab)
                if given is not None:
                    ab, blended = ab + (given - blended), given
            refined, device = self.runner.refine(coarse.lightness, ab, hinted, settings.tile)
            ab, refined = blended, _blended(directions, refined)
            colors = (settings.chroma * ab, settings.chroma * refined)
            colorings.append(tuple(_warmed(directions, one, settings.warmth) for one in colors))
            devices.append(device)
        provenance = {
            "software": "recolor",
            "version": self._version,
            "weights": {"name": self.record.name, "sha256": self.record.sha256},
            "settings": asdict(settings) | {"size": coarse.size, "views": coarse.views},
            "hints": [mark_entry(hint) for hint in hints],
            "palette": None if palette is None else palette_record(palette),
            **({"seed": seed} if settings.alternatives else {}),
            **({"region": area_entry(region)} if region is not None else {}),
            "device": {"generator": coarse.device, "refiner": ", ".join(dict.fromkeys(devices))},
            "runtime": self.runtime.as_record(),
        }
        if inside is not None:
            (main, refined), *others = colorings
            colorings[1:] = [
                (limited(inside, main, ab), limited(inside, refined, other)) for ab, other in others
            ]
        (ab_coarse, ab_refined), *others = colorings
        return [
            Colorization(
                gray=gray,
                ab_coarse=ab_coarse[i],
                ab_refined=ab_refined[i],
                uncertainty=uncertainty[i, 0],
                ab_alternatives=tuple(refined[i] for _, refined in others),
                ab_coarse_alternatives=tuple(ab[i] for ab, _ in others),
                working_lightness=coarse.lightness[i, 0],
                provenance=provenance
                | {"reading": gray.reading, "view": coarse.shown[i].record}
                | ({"references": [m.record() for m in found[i]]} if references else {}),
                matches=found[i],
            )
            for i, gray in enumerate(coarse.grays)
        ]

    def _mean_color(self, predicted: Distribution, settings: Settings) -> NDArray[np.float32]:
        """Return the color of a distribution, without blotches and exaggerated colors."""
        mean = predicted.means.get(settings.temperature)
        if mean is None:
            mean = self.bins.mean_color(predicted.logits, settings.temperature)
            mean = even_chroma(calm_blotches(mean, predicted.uncertainty))
            predicted.means.clear()  # a slider that moves asks for many
            predicted.means[settings.temperature] = mean
        return mean.copy()

    def _alternatives(
        self,
        coarse: Coarse,
        logits: NDArray[np.float32],
        count: int,
        seed: int,
        inside: NDArray[np.float32] | None,
    ) -> list[NDArray[np.float32]]:
        """Return what alternatives add to the logits of a batch: `count` of (B, Q, h, w)."""
        if not count:
            return []
        from recolor_core.alternatives import draw_alternatives

        grid = (logits.shape[-2], logits.shape[-1])
        where = None if inside is None else area_means(inside, grid)
        drawn = [
            draw_alternatives(things, one, self.bins.bins, count, seed, where)
            for things, one in zip(coarse.things, logits, strict=True)
        ]
        return [np.stack(shifts) for shifts in zip(*drawn, strict=True)]

    def _steered(self, coarse: Coarse, palette: Palette | None) -> Distribution:
        """Steer the distribution to a palette; the borders of a print get none of it."""
        known, key = coarse.distributions, b"" if palette is None else palette.tobytes()
        found = known.get(key)
        if found is None:
            logits, uncertainty = coarse.logits, coarse.uncertainty
            if palette is not None:
                view = coarse.shown[0]
                steered = self.bins.steered(logits[view.cells], palette)
                logits = view.framed(steered, self.bins.neutral)
                uncertainty = self.bins.uncertainty(logits)
            known.clear()  # hints and settings change more often than the palette
            known[key] = found = Distribution(logits, uncertainty)
        return found

    def _directions(
        self,
        coarse: Coarse,
        predicted: Distribution,
        settings: Settings,
        hints: Sequence[Mark] | MarksInTime,
        found: "Sequence[Sequence[Matches]]",
    ) -> "list[Direction]":
        """Resolve the hints and the matches for each image of a batch; without any, return []."""
        if not isinstance(hints, MarksInTime) and not hints and not any(found):
            return []
        from recolor_core.hints import Direction, DirectionInTime

        logits, uncertainty = predicted.logits, predicted.uncertainty
        parts = [
            (things, one, doubt[0], self.bins.bins, settings.chroma)
            for things, one, doubt in zip(coarse.things, logits, uncertainty, strict=True)
        ]
        if isinstance(hints, MarksInTime):
            return [DirectionInTime(hints, coarse.gray.shape, *parts[0])]
        grid = (logits.shape[-2], logits.shape[-1])
        return [
            Direction(hints, gray.shape, *part, _matched(matches, gray.shape, grid))
            for gray, part, matches in zip(coarse.grays, parts, found, strict=True)
        ]


def _inside(coarse: Coarse, region: Area | None) -> NDArray[np.float32] | None:
    """Return how much of each pixel of the working size is in a region; None without one."""
    if region is None:
        return None
    from recolor_core.hints import cover

    return cover(region, coarse.gray.shape, coarse.lightness[0, 0])


def _matched(
    found: "Sequence[Matches]", shape: tuple[int, int], grid: tuple[int, int]
) -> NDArray[np.float32] | None:
    """Return the colors of the matches of an image; None without any."""
    if not found:
        return None
    from recolor_core.reference import matched_colors

    return matched_colors(found, shape, grid)


def _matches(coarse: Coarse, references: "Sequence[Seen]") -> "list[tuple[Matches, ...]]":
    """Match each image of a batch with each reference."""
    if not references:
        return [()] * len(coarse.grays)
    from recolor_core.reference import match

    return [
        tuple(match(light, logits, gray.shape, seen) for seen in references)
        for gray, light, logits in zip(coarse.grays, coarse.lightness, coarse.logits, strict=True)
    ]


def check_arguments(
    hints: "Sequence[Mark]",
    palette: Palette | None,
    references: "Sequence[Reference]",
    space: ColorSpace,
) -> None:
    """Check the types of what is given for an image.

    Parameters
    ----------
    hints, palette, references, space
        As in a call of `Colorizer`.

    Raises
    ------
    ImageError, HintsError
        If one of them has the wrong type.
    """
    words = "a list of Hint, Stroke, Region or Mask"
    expect_all("hints", hints, (Hint, Stroke, Region, Mask), words, HintsError)
    if palette is not None:
        check_palette(palette)
    expect("space", space, ColorSpace, "a ColorSpace, such as recolor_core.lab.SRGB")
    if not isinstance(references, tuple | list) or references:
        from recolor_core.reference import Reference

        words = "a list of Reference; make one of each image with Reference(image)"
        expect_all("references", references, Reference, words)


def colorize(
    image: Any,
    *,
    weights: str | Path = "default",
    device: str = "auto",
    runtime: str = "auto",
    **options: Any,
) -> Colorization:
    """Colorize one image. For more than one, make a `Colorizer`, which loads its weights once.

    Parameters
    ----------
    image : array_like
        (H, W), (H, W, 3) or (H, W, 4): see `recolor_core.gray.read_gray`.
    weights, device, runtime
        As in `Colorizer`.
    **options
        As in a call of `Colorizer`: `settings` or its fields, `hints`, `palette`, `space`,
        `levels`.

    Returns
    -------
    Colorization
    """
    return Colorizer(weights, device, runtime)(image, **options)


def _hinted(coarse: Coarse, directions: "Sequence[Direction]") -> NDArray[np.float32]:
    """Return what the refiner is told of the hints of a batch, (B, 3, h, w)."""
    if directions:
        return np.stack([direction.hinted for direction in directions])
    batch, _, height, width = coarse.logits.shape
    return np.zeros((batch, 3, height, width), np.float32)


def _directed(
    coarse: Coarse, directions: "Sequence[Direction]", ab: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Spread the hints in coarse ab, over the photographs and over their borders."""
    if not directions:
        return ab
    spread = np.stack([d.coarse(one) for d, one in zip(directions, ab, strict=True)])
    return coarse.shown[0].with_borders(spread, _hinted(coarse, directions))


def _blended(directions: "Sequence[Direction]", ab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put what the wishes give into a batch of ab."""
    if not directions:
        return ab
    return np.stack([d.blend(one) for d, one in zip(directions, ab, strict=True)])


def _warmed(
    directions: "Sequence[Direction]", ab: NDArray[np.float32], warmth: float
) -> NDArray[np.float32]:
    """Make a batch of ab warmer or colder where no wish decides about the color."""
    if not warmth:
        return ab
    chroma = np.hypot(ab[:, :1], ab[:, 1:])
    amount = warmth * chroma / (chroma + NEUTRAL_CHROMA)
    if directions:
        size = (ab.shape[-2], ab.shape[-1])
        given = np.stack([area_means(d.weight, size) for d in directions])
        amount = amount * (1 - given[:, None])
    toward = np.array(WARM_AB, np.float32)[:, None, None]
    return (ab + amount * toward).astype(np.float32)


def _look(gray: GrayImage, settings: Settings) -> View:
    """Return the view of an image that the generator is shown."""
    return look(gray, settings.size, find=settings.find_photograph, correct=settings.correct_tones)

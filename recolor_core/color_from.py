"""Put the color of another image on the exact gray of this one.

The other image shows the same thing in color: made by another tool or a person, at another size,
cut differently, in less depth. It is registered to the gray image. Where both show the same
structure its color is taken; elsewhere the color of the networks stays. The gray of the result is
the input, as always.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from recolor_core.errors import ImageError
from recolor_core.gray import working_size
from recolor_core.images import open_image
from recolor_core.lab import SRGB, ColorSpace, rgb_to_lab
from recolor_core.motion import CUT_MATCH, estimate_motion, match, warp
from recolor_core.result import Colorization

FINE = 448
"""Short side, in pixels, at which color is taken. The lightness guides it from there."""

COARSE = 56
"""Short side, in pixels, at which the images are registered first."""

GRAY_CHROMA = 2.0
"""Mean chroma, in Lab units, below which an image counts as gray."""

DIFFERENT = 0.2
"""Part of the image that agrees, below which the other one shows something else."""

_WINDOW = 15  # pixels, over which structures are compared
_NOISE = 4.0  # squared L*: structure below it is grain
_GOOD_MATCH = 0.8  # correlation at which no other way to align is tried


@dataclass(frozen=True, eq=False)
class ColorSource:
    """An image whose color is to be taken.

    Parameters
    ----------
    rgb : ndarray
        (H, W, 3), uint8 or uint16.
    name : str
        The name of its file, for the provenance.
    sha256 : str
        Of its file, in hexadecimal; empty if there is no file.
    space : ColorSpace
        What its codes mean.
    """

    rgb: NDArray[Any]
    name: str = "array"
    sha256: str = ""
    space: ColorSpace = SRGB
    _lab: dict[int, Tensor] = field(default_factory=dict, repr=False)

    def lab(self, short_side: int) -> Tensor:
        """(1, 3, h, w) float32: Lab at a small size, or at its own if that is smaller."""
        if short_side not in self._lab:
            height, width = self.rgb.shape[:2]
            scale = min(1.0, short_side / min(height, width))
            size = (max(1, round(height * scale)), max(1, round(width * scale)))
            step = max(1, min(height // (2 * size[0]), width // (2 * size[1])))
            codes = torch.from_numpy(np.ascontiguousarray(self.rgb[::step, ::step]).astype("f4"))
            codes = (codes / np.iinfo(self.rgb.dtype).max).permute(2, 0, 1)[None]
            codes = F.interpolate(codes, size=size, mode="bilinear", antialias=True)
            self._lab[short_side] = rgb_to_lab(codes[0].clamp(0, 1), self.space)[None]
        return self._lab[short_side]

    @property
    def is_gray(self) -> bool:
        """Whether it has no color."""
        return float(self.lab(COARSE)[:, 1:].norm(dim=1).mean()) < GRAY_CHROMA

    def record(self) -> dict[str, str]:
        """Describe the source in JSON types."""
        return {"name": self.name, "sha256": self.sha256}


@dataclass(frozen=True, eq=False)
class TakenColor:
    """The color of another image, registered.

    Parameters
    ----------
    ab : Tensor
        (1, 2, h, w), Lab units.
    trust : Tensor
        (1, 1, h, w) in [0, 1]: how far both images show the same thing there.
    """

    ab: Tensor
    trust: Tensor

    @property
    def agreement(self) -> float:
        """The part of the image that takes its color from the other one, 0 to 1."""
        return float(self.trust.mean())

    def over(self, ab: Tensor) -> Tensor:
        """Put this color over another one, (1, 2, h', w'), where it is trusted."""
        size = (ab.shape[-2], ab.shape[-1])
        if size != self.ab.shape[-2:]:
            both = torch.cat((self.ab * self.trust, self.trust), dim=1)
            both = F.interpolate(both, size=size, mode="bilinear", antialias=True)
            return ab * (1 - both[:, 2:]) + both[:, :2]
        return torch.lerp(ab, self.ab, self.trust)


def read_color_source(path: str | Path) -> ColorSource:
    """Read the first page of an image whose color is to be taken.

    Parameters
    ----------
    path : str or Path
        An image file in color.

    Raises
    ------
    ImageError
        If it cannot be read, or is gray.
    """
    return next(iter(read_color_sources(path)))


def read_color_sources(path: str | Path) -> Generator[ColorSource]:
    """Read the pages of an image file whose color is to be taken, one after the other.

    Parameters
    ----------
    path : str or Path
        An image file in color.

    Yields
    ------
    ColorSource

    Raises
    ------
    ImageError
        If a page cannot be read, or is gray.
    """
    path = Path(path)
    with open_image(path) as opened:
        for page in opened:
            codes = np.array(page.codes)
            if codes.ndim != 3 or codes.dtype.kind != "u":
                raise ImageError(
                    f"{path}: expected an image in color of 8 or 16 bits, got "
                    f"{'a gray one' if codes.ndim != 3 else codes.dtype}; name an image in color"
                )
            source = ColorSource(codes, path.name, opened.sha256, page.space)
            if source.is_gray:
                raise ImageError(
                    f"{path}: expected an image in color, got one whose pixels are all gray; name "
                    "an image in color"
                )
            yield source


def apply_color(result: Colorization, source: ColorSource) -> Colorization:
    """Put the color of another image on a colorized one.

    Parameters
    ----------
    result : Colorization
        The image as the networks color it. Its gray stays, to the bit.
    source : ColorSource
        The image whose color is taken.

    Returns
    -------
    Colorization
        Its provenance has ``"color_from"``: the name and SHA-256 of the source, and the fraction of
        the image that takes its color.

    Raises
    ------
    ImageError
        If the other image shows something else.
    """
    size = working_size(result.shape, min(FINE, *result.shape))
    lightness = result.gray.lightness(size)
    taken = take_color(source, torch.from_numpy(lightness)[None, None])
    if taken.agreement < DIFFERENT:
        raise ImageError(
            f"{source.name}: expected an image of the same thing, got one that agrees in "
            f"{taken.agreement:.0%} of its area; check whether the files belong together"
        )
    ab = F.interpolate(torch.from_numpy(result.ab_refined)[None], size=size, mode="bilinear")
    return with_color(replace(result, working_lightness=lightness), taken, ab, [source])


def with_color(
    result: Colorization, taken: TakenColor, ab: Tensor, sources: Sequence[ColorSource]
) -> Colorization:
    """Put other color over a colorization.

    Parameters
    ----------
    result : Colorization
        The image as the networks color it.
    taken : TakenColor
        The other color.
    ab : Tensor
        (1, 2, h, w): the color of the networks at the size of the result's working lightness.
    sources : Sequence of ColorSource
        Where the other color is from.
    """
    record = {
        "sources": [source.record() for source in sources],
        "agreement": round(taken.agreement, 3),
    }
    return replace(
        result,
        ab_refined=taken.over(ab)[0].numpy(),
        provenance=result.provenance | {"color_from": record},
    )


@torch.inference_mode()
def take_color(source: ColorSource, lightness: Tensor) -> TakenColor:
    """Register another image to a gray one, and find where both show the same.

    The other image is first placed as a whole: stretched to the frame, or scaled to fill it or to
    fit into it, and moved to where phase correlation (Kuglin and Hines 1975) finds it. Then its
    dense motion is estimated on a coarse and on a fine grid, which follows small turns and
    distortions, too.

    Parameters
    ----------
    source : ColorSource
        The image whose color is taken.
    lightness : Tensor
        (1, 1, h, w): L* of the gray image, in [0, 100].

    Returns
    -------
    TakenColor
        At the size of the lightness.
    """
    height, width = lightness.shape[-2:]
    scale = min(1.0, COARSE / min(height, width))
    grid = (max(8, round(height * scale)), max(8, round(width * scale)))
    small = F.interpolate(lightness, size=grid, mode="area")
    other = source.lab(COARSE)[:, :1]
    coordinates, _ = _placed(other, small, width / height)
    flow = estimate_motion(_sampled(other, coordinates), small)
    coordinates = warp(coordinates, flow)
    coordinates = F.interpolate(coordinates, size=(height, width), mode="bicubic")
    lab = source.lab(max(FINE, min(height, width)))
    flow = estimate_motion(_sampled(lab[:, :1], coordinates), lightness)
    coordinates = warp(coordinates, flow)
    found = _sampled(lab, coordinates)
    within = (coordinates.abs() <= 1).all(dim=1, keepdim=True).to(found.dtype)
    same = float(match(found[:, :1], lightness)) >= CUT_MATCH  # else it is of another shot
    return TakenColor(found[:, 1:], _alike(found[:, :1], lightness) * within * same)


def mixed(colors: Sequence[tuple[TakenColor, float]]) -> TakenColor:
    """The color of several images, by weight, where more than one is trusted.

    Parameters
    ----------
    colors : Sequence of tuple
        The color of each image, all of one size, and its weight, 0 or more.
    """
    shares = [weight * taken.trust for taken, weight in colors]
    total = torch.stack(shares).sum(dim=0).clamp(min=1e-6)
    ab = torch.stack([s * taken.ab for s, (taken, _) in zip(shares, colors, strict=True)])
    trust = torch.stack([taken.trust * (weight > 0) for taken, weight in colors]).amax(dim=0)
    return TakenColor(ab.sum(dim=0) / total, trust)


def _placed(other: Tensor, small: Tensor, aspect: float) -> tuple[Tensor, float]:
    """Where in the other image, in [-1, 1], each pixel is, and how well both match.

    Parameters
    ----------
    other, small : Tensor
        (1, 1, h, w): L* of both.
    aspect : float
        Width of the small image divided by its height.
    """
    ratio = other.shape[-1] / other.shape[-2] / aspect
    # How much of the other image the frame spans, across and down.
    spans = [(1.0, 1.0)]
    if abs(ratio - 1) > 0.01:
        spans += [(1 / ratio, 1.0), (1.0, ratio)]
    best: tuple[Tensor, float] | None = None
    for span in spans:
        coordinates = _grid(small, span)
        for _ in range(2):
            shift = _phase_shift(_sampled(other, coordinates), small)
            step = torch.tensor([2 * span[0] / small.shape[-1], 2 * span[1] / small.shape[-2]])
            moved = coordinates + (shift * step)[None, :, None, None]
            better = _matches(other, moved, small) > _matches(other, coordinates, small)
            coordinates = moved if better else coordinates
        found = _matches(other, coordinates, small)
        if best is None or found > best[1]:
            best = coordinates, found
        if found > _GOOD_MATCH:
            break
    assert best is not None
    return best


def _grid(like: Tensor, span: tuple[float, float]) -> Tensor:
    height, width = like.shape[-2:]
    x = ((2 * torch.arange(width) + 1) / width - 1) * span[0]
    y = ((2 * torch.arange(height) + 1) / height - 1) * span[1]
    return torch.stack((x.expand(height, width), y[:, None].expand(height, width)))[None]


def _sampled(image: Tensor, coordinates: Tensor) -> Tensor:
    grid = coordinates.permute(0, 2, 3, 1)
    return F.grid_sample(image, grid, padding_mode="border", align_corners=False)


def _matches(other: Tensor, coordinates: Tensor, small: Tensor) -> float:
    within = (coordinates.abs() <= 1).all(dim=1).float().mean()
    return float(match(_sampled(other, coordinates), small) * within.sqrt())


def _phase_shift(before: Tensor, now: Tensor) -> Tensor:
    """How far to the right and down the content of `now` was in `before`, (2,), in whole pixels."""
    height, width = now.shape[-2:]
    window = torch.hann_window(height, periodic=False)[:, None]
    window = window * torch.hann_window(width, periodic=False)
    one, two = (torch.fft.rfft2((x[0, 0] - x.mean()) * window) for x in (before, now))
    cross = one * two.conj()
    peak = int(torch.fft.irfft2(cross / cross.abs().clamp(min=1e-6), s=(height, width)).argmax())
    down, across = divmod(peak, width)
    across -= width if across > width // 2 else 0
    down -= height if down > height // 2 else 0
    return torch.tensor([across, down])


def _alike(one: Tensor, other: Tensor) -> Tensor:
    """How far two images show the same structure, pixel by pixel, in [0, 1].

    The contrast and structure part of SSIM (Wang et al. 2004) over a window; 1 where both are flat.
    """
    side = min(_WINDOW, *(n - 1 + n % 2 for n in other.shape[-2:]))

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, side, 1, side // 2, count_include_pad=False)

    a, b = one - mean(one), other - mean(other)
    structure = (2 * mean(a * b) + _NOISE) / (mean(a * a) + mean(b * b) + _NOISE)
    return mean(((structure - 0.3) / 0.3).clamp(0, 1))

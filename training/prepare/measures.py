"""Measure one image. All outlier rules use only these numbers."""

import hashlib
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import fft, ndimage

from recolor_core.lab import rgb_to_lab
from training.prepare.errors import PrepareError
from training.prepare.images import SourceImage, decode, pixels, shrink

VERSION = 1
"""Increase this number if a measure changes, so that stored measures are computed again."""

LOOKED_AT = 256
"""Short side in pixels at which images are measured, close to the size the networks see."""

THUMBNAIL = 16
"""Side in pixels of the square thumbnail that confirms near-duplicates."""

_AB_BINS = 22  # bins of 10 x 10 Lab units over [-110, 110)
AB_CELLS = _AB_BINS**2

_TONE_KNOTS = np.linspace(0, 100, 9)


@dataclass(frozen=True)
class Measures:
    """The measures of one image.

    Attributes
    ----------
    error : str
        Why the image cannot be decoded. If it is not empty, all other fields are empty.
    format, mode : str
        Format and mode of the file, for example ``JPEG`` and ``RGB``.
    width, height : int
        Size of the upright image in pixels.
    pixel_sha256 : str
        SHA-256 of the decoded sRGB codes and their shape. Equal pixels have equal hashes.
    phash, phash_mirrored : int
        64-bit perceptual hashes of the image and of its mirror image; see `perceptual_hash`.
    transparent : float
        Fraction of pixels that are at least half transparent, [0, 1].
    chroma : float
        95th percentile of the CIELAB chroma C*.
    tone_residual : float
        Amount of color that lightness does not explain: root mean square distance of a*b* from
        the best piecewise linear function of L*, in Lab units. A tinted black-and-white photograph
        is such a function; after compression it has about 1.4. The median color photograph has 10.
    sharpness : float
        99th percentile of the absolute Laplacian of the gray image divided by that of its gradient,
        at a short side of 256 px: about 2 for a sharp image, 0.6 after a Gaussian blur of 1.5 px.
        Because it is a ratio at the strongest edges, it does not depend on contrast or on how much
        of the image is sky or bokeh.
    color_entropy : float
        Entropy in bits of the histogram over 32 x 32 x 32 RGB bins. Photographs have 4.1 to 12.7;
        most drawings, charts and screenshots have less than 4.
    flat : float
        Fraction of pixels that equal all four neighbors, [0, 1].
    """

    error: str = ""
    format: str = ""
    mode: str = ""
    width: int = 0
    height: int = 0
    pixel_sha256: str = ""
    phash: int = 0
    phash_mirrored: int = 0
    transparent: float = 0.0
    chroma: float = 0.0
    tone_residual: float = 0.0
    sharpness: float = 0.0
    color_entropy: float = 0.0
    flat: float = 0.0

    def as_dict(self) -> dict[str, str | int | float]:
        """Return the fields as a dictionary."""
        return asdict(self)


@dataclass(frozen=True)
class Measured:
    """An image, its measures, and the two small arrays for rules that compare images.

    Attributes
    ----------
    image : SourceImage
    measures : Measures
    thumbnail : ndarray of uint8, shape (16, 16, 3)
        sRGB; the aspect ratio is not kept.
    ab_histogram : ndarray of float16, shape (484,)
        Fraction of the pixels in each bin of 10 x 10 units of the a*b* plane over [-110, 110).
    """

    image: SourceImage
    measures: Measures
    thumbnail: NDArray[np.uint8]
    ab_histogram: NDArray[np.float16]


def inspect_image(image: SourceImage) -> Measured:
    """Read, decode and measure one image. If it cannot be read, `error` says why."""
    try:
        decoded = decode(image.read())
    except (PrepareError, OSError, KeyError, ValueError, RuntimeError) as error:
        return Measured(
            image,
            Measures(error=" ".join(str(error).split()) or type(error).__name__),
            np.zeros((THUMBNAIL, THUMBNAIL, 3), np.uint8),
            np.zeros(AB_CELLS, np.float16),
        )
    rgb = decoded.rgb
    small = shrink(rgb, LOOKED_AT)
    codes = pixels(small)
    lab = _lab(small)
    chroma, tone_residual = _color(lab)
    sharpness, flat = _detail(codes)
    measures = Measures(
        format=decoded.format,
        mode=decoded.mode,
        width=rgb.width,
        height=rgb.height,
        pixel_sha256=pixel_sha256(rgb),
        phash=perceptual_hash(small),
        phash_mirrored=perceptual_hash(small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        transparent=decoded.transparent,
        chroma=chroma,
        tone_residual=tone_residual,
        sharpness=sharpness,
        color_entropy=_color_entropy(codes),
        flat=flat,
    )
    thumbnail = small.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return Measured(image, measures, pixels(thumbnail), _ab_histogram(lab))


def pixel_sha256(image: Image.Image) -> str:
    """Return the SHA-256 (hexadecimal) of the size and the codes of an RGB image."""
    digest = hashlib.sha256(f"{image.width}x{image.height}".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def perceptual_hash(image: Image.Image) -> int:
    """Return the 64-bit DCT hash of an image (pHash: C. Zauner, Implementation and Benchmarking of
    Perceptual Image Hash Functions, 2010, section 3.2).

    The gray image is reduced to 32 x 32 pixels. Its 8 x 8 lowest frequencies, without the constant
    row and column, are each compared with their median. Images that differ in size, compression
    or brightness differ in a few bits; unrelated images differ in about 32.
    """  # noqa: D205 - the reference is part of the summary
    gray = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BOX), np.float64)
    low = fft.dctn(gray, norm="ortho")[1:9, 1:9]
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "big")


def _lab(small: Image.Image) -> NDArray[np.float64]:
    """Return Lab of the image averaged to a short side of about 64 px, shape (pixels, 3).

    Averaging removes the color noise of JPEG and sensors, which is not a color of the scene.
    """
    tiny = small.reduce(max(1, round(min(small.size) / 64)))
    # The pool of processes already uses all cores; more threads would only slow it down.
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    return np.asarray(rgb_to_lab(pixels(tiny)), np.float64).reshape(-1, 3)


def _color(lab: NDArray[np.float64]) -> tuple[float, float]:
    lightness, ab = lab[:, 0], lab[:, 1:]
    spacing = _TONE_KNOTS[1] - _TONE_KNOTS[0]
    hats = np.maximum(0, 1 - np.abs(lightness[:, None] - _TONE_KNOTS) / spacing)
    normal = hats.T @ hats + 1e-3 * np.eye(len(_TONE_KNOTS))  # knots without a pixel: 0
    fitted = hats @ np.linalg.solve(normal, hats.T @ ab)
    residual = np.sqrt(((ab - fitted) ** 2).sum(1).mean())
    return float(np.percentile(np.hypot(ab[:, 0], ab[:, 1]), 95)), float(residual)


def _ab_histogram(lab: NDArray[np.float64]) -> NDArray[np.float16]:
    cell = np.clip(np.floor(lab[:, 1:] / 10).astype(int) + _AB_BINS // 2, 0, _AB_BINS - 1)
    counts = np.bincount(cell[:, 0] * _AB_BINS + cell[:, 1], minlength=AB_CELLS)
    return (counts / len(lab)).astype(np.float16)


def _detail(codes: NDArray[np.uint8]) -> tuple[float, float]:
    gray = codes.astype(np.float32) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    laplacian = np.abs(ndimage.laplace(gray, mode="nearest"))
    steps = (ndimage.correlate1d(gray, [-1, 1], axis=axis, mode="nearest") for axis in (0, 1))
    gradient = np.hypot(*steps)
    # Adding one gray level keeps noise in an empty image from counting as sharpness.
    sharpness = np.percentile(laplacian, 99) / (np.percentile(gradient, 99) + 1)

    flat = np.ones(gray.shape, bool)
    beside = (codes[:, 1:] == codes[:, :-1]).all(2)
    below = (codes[1:] == codes[:-1]).all(2)
    flat[:, 1:] &= beside
    flat[:, :-1] &= beside
    flat[1:] &= below
    flat[:-1] &= below
    return float(sharpness), float(flat.mean())


def _color_entropy(codes: NDArray[np.uint8]) -> float:
    cell = (codes >> 3).astype(np.int64) @ np.array([1024, 32, 1])
    share = np.bincount(cell.ravel()) / cell.size
    share = share[share > 0]
    return float((share * -np.log2(share)).sum())

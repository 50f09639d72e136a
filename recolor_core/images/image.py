"""What an image file holds: the types that reading, coloring and writing share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recolor_core.lab import SRGB, ColorSpace, ToneCurve

ResolutionUnit = Literal["none", "inch", "cm"]
Model = Literal["gray", "rgb", "cmyk"]

LINEAR = ColorSpace("linear sRGB", ToneCurve(1, a=1, b=0, c=0, d=0))
"""Codes that are linear light, with the primaries of sRGB."""

ALPHA_SAMPLES = (1, 2)
"""The ExtraSamples of a TIFF that are alpha, premultiplied or not; 0 is something else."""


@dataclass(frozen=True)
class Resolution:
    """Pixels per unit along x and y, exactly as stored ("none": only the aspect is known)."""

    x: Fraction
    y: Fraction
    unit: ResolutionUnit = "inch"

    def per_inch(self) -> tuple[float, float] | None:
        """Dots per inch, or None if the file does not say."""
        if self.unit == "none":
            return None
        scale = Fraction(254, 100) if self.unit == "cm" else Fraction(1)
        return float(self.x * scale), float(self.y * scale)

    def per_meter(self) -> tuple[int, int] | None:
        """Whole pixels per meter, as PNG and BMP store it, or None."""
        if self.unit == "none":
            return None
        scale = Fraction(100) if self.unit == "cm" else Fraction(10000, 254)
        return round(self.x * scale), round(self.y * scale)

    @classmethod
    def from_meter(cls, x: int, y: int) -> "Resolution":
        """The resolution of x and y pixels per meter."""
        return cls(Fraction(x, 100), Fraction(y, 100), "cm")

    def turned(self, axes_swapped: bool) -> "Resolution":
        """The resolution after the image's axes were swapped."""
        return Resolution(self.y, self.x, self.unit) if axes_swapped else self


@dataclass(frozen=True)
class TiffLayout:
    """How a TIFF page is laid out, to write it back the same way.

    Parameters
    ----------
    compression, predictor : int
        TIFF tag values of a lossless scheme that can be written: 1 none, 5 LZW, 8 deflate,
        32773 PackBits, 34925 LZMA, 50000 Zstandard; predictor 1 none, 2 horizontal, 3 float.
    tile : tuple of int or None
        Tile height and width, or None for strips.
    rows_per_strip : int
        Rows of one strip; 0 if the writer chooses.
    byte_order : str
        "<" little-endian, ">" big-endian.
    big : bool
        BigTIFF (64-bit offsets).
    subfile_type : int
        NewSubfileType bits (1 reduced resolution, 2 page of several).
    pyramid : tuple of int
        By how much each smaller copy of the page is reduced; made anew from the result.
    pyramid_in_pages : bool
        Whether the smaller copies are pages that follow, and not SubIFDs.
    """

    compression: int = 1
    predictor: int = 1
    tile: tuple[int, int] | None = None
    rows_per_strip: int = 0
    byte_order: Literal["<", ">"] = "<"
    big: bool = False
    subfile_type: int = 0
    pyramid: tuple[int, ...] = ()
    pyramid_in_pages: bool = False


@dataclass(frozen=True)
class Metadata:
    r"""What goes back into the file beside the pixels.

    Parameters
    ----------
    resolution : Resolution or None
        Pixels per unit, already turned with the pixels.
    icc : bytes or None
        The ICC profile of the colorized RGB image, or None if the source has none.
    exif : bytes or None
        EXIF as a TIFF structure (no ``Exif\0\0`` in front), orientation 1, without thumbnail. The
        describing tags of a TIFF page (ImageDescription, Artist, DateTime, PageName, ...) are here.
    xmp : bytes or None
        The XMP packet of the source.
    photoshop : bytes or None
        Photoshop's image resources, without those that are no longer true of the result.
    iptc : bytes or None
        Captions as IPTC records (IIM 4).
    comments : tuple of str
        Free text of a JPEG, JPEG 2000 or GIF.
    png_text : tuple of (bytes, bytes)
        Text chunks of a PNG, (type, body), byte for byte.
    layout
        The layout of a TIFF page.
    premultiplied : bool
        Whether the color codes have been multiplied by alpha.
    extra_samples : tuple of int
        ExtraSamples of a TIFF page, in the order of its channels: 0 something else, 1 premultiplied
        alpha, 2 alpha. The first 1 or 2 is `Page.alpha`, the others are in `Page.extra`.
    """

    resolution: Resolution | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    photoshop: bytes | None = None
    iptc: bytes | None = None
    comments: tuple[str, ...] = ()
    png_text: tuple[tuple[bytes, bytes], ...] = ()
    layout: TiffLayout | None = None
    premultiplied: bool = False
    extra_samples: tuple[int, ...] = ()


@dataclass(frozen=True)
class Page:
    """One image of a file: its codes, what they mean, and what goes back with them.

    Parameters
    ----------
    codes : ndarray
        ``(H, W)`` gray or ``(H, W, 3)`` RGB, native-endian uint8, uint16, float32 or float64 (full
        range: 0 is black, the highest code or 1.0 is white). Other integers have no agreed white,
        and are given as they are: they need `levels`. EXIF orientation is applied. May be a
        read-only view of the file on disk.
    space : ColorSpace
        What the codes mean: from the ICC profile, or sRGB if there is none.
    alpha : ndarray or None
        ``(H, W)``, the dtype of `codes`; carried to the output untouched.
    reading : str
        How the image was read, in words.
    metadata : Metadata
        What goes back into the file beside the pixels.
    extra : ndarray or None
        ``(H, W, n)``, the dtype of `codes`: channels that are neither color nor alpha, such as a
        scanner's infrared; carried to the output untouched.
    """

    codes: NDArray[Any]
    space: ColorSpace = SRGB
    alpha: NDArray[Any] | None = None
    reading: str = "array"
    metadata: Metadata = field(default_factory=Metadata)
    extra: NDArray[Any] | None = None

    @property
    def output_dtype(self) -> np.dtype[Any]:
        """The dtype of the colorized page."""
        return output_dtype(self.codes.dtype)

    @property
    def further_channels(self) -> int:
        """Number of channels that the colorized page has beside RGB."""
        return (self.alpha is not None) + (0 if self.extra is None else self.extra.shape[-1])


@dataclass(frozen=True)
class Stored:
    """One image as its file stores it: everything the header says, and how to decode the pixels.

    Parameters
    ----------
    height, width
        Of the stored pixels, before `orientation` is applied.
    model
        What the samples are. RGB is three, CMYK four.
    bits
        Bits of one sample, as `decode` gives it.
    bits_in_file
        Bits of one sample in the file, if decoding expands them.
    is_float, is_signed
        Whether samples are floating point, or signed integers.
    alpha
        Whether one more sample follows, which is alpha. With `Metadata.extra_samples`, these say
        what follows.
    decode
        Gives ``(H, W)`` or ``(H, W, samples)``: bool, integers or floating point.
    white_is_zero
        Whether the codes run from white to black.
    icc
        The ICC profile of the source.
    space
        What the codes mean if there is no profile and the format says it (PNG gAMA, OpenEXR).
    orientation
        EXIF orientation, 1 to 8.
    lossy
        Whether the pixels went through a lossy codec.
    notes
        What is special about the reading, in words. Decoding may add to them.
    """

    height: int
    width: int
    model: Model
    bits: int
    decode: Callable[[], NDArray[Any]]
    is_float: bool = False
    is_signed: bool = False
    alpha: bool = False
    white_is_zero: bool = False
    icc: bytes | None = None
    space: ColorSpace | None = None
    orientation: int = 1
    lossy: bool = False
    notes: Sequence[str] = ()
    metadata: Metadata = field(default_factory=Metadata)
    bits_in_file: int | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the page's codes."""
        if self.is_float:
            return np.dtype(np.float64 if self.bits == 64 else np.float32)
        size = next(size for size in (8, 16, 32, 64) if self.bits <= size)
        return np.dtype(f"{'i' if self.is_signed else 'u'}{size // 8}")

    @property
    def channels(self) -> int:
        """Number of channels that the colorized page has."""
        return 3 + (len(self.metadata.extra_samples) or self.alpha)


def output_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of the colorized image of codes; integers without an agreed white become uint16."""
    if dtype.kind in "bf":
        return dtype
    return np.dtype(np.uint8 if dtype.itemsize == 1 else np.uint16)


def contiguous(pixels: NDArray[Any]) -> NDArray[Any]:
    """The pixels in C order, with the strides that codecs expect.

    NumPy calls an array of 1 x 1 pixels contiguous whatever its strides are; encoders do not.
    """
    strides = tuple(
        int(np.prod(pixels.shape[axis + 1 :])) * pixels.itemsize for axis in range(pixels.ndim)
    )
    return pixels if pixels.strides == strides else np.array(pixels, order="C")

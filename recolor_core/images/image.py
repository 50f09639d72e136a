"""What an image file holds, in the words that reading, coloring and writing share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recolor_core.lab import SRGB, ColorSpace

ResolutionUnit = Literal["none", "inch", "cm"]
Model = Literal["gray", "rgb", "cmyk"]


@dataclass(frozen=True)
class Resolution:
    """Pixels per unit along x and y, exactly as stored ("none": only the aspect is known)."""

    x: Fraction
    y: Fraction
    unit: ResolutionUnit = "inch"

    def per_inch(self) -> tuple[float, float] | None:
        """Dots per inch, or None where the file does not say."""
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
    compression, predictor
        TIFF tag values of a lossless scheme that can be written: 1 none, 5 LZW, 8 deflate,
        32773 PackBits, 34925 LZMA, 50000 Zstandard; predictor 1 none, 2 horizontal, 3 float.
    tile
        Tile height and width, or None for strips.
    rows_per_strip
        Rows of one strip; 0 where it is left to the writer.
    byte_order
        "<" little-endian, ">" big-endian.
    big
        BigTIFF (64-bit offsets).
    subfile_type
        NewSubfileType bits (1 reduced resolution, 2 page of several).
    """

    compression: int = 1
    predictor: int = 1
    tile: tuple[int, int] | None = None
    rows_per_strip: int = 0
    byte_order: Literal["<", ">"] = "<"
    big: bool = False
    subfile_type: int = 0


@dataclass(frozen=True)
class Metadata:
    r"""What goes back into the file beside the pixels.

    Parameters
    ----------
    resolution
        Pixels per unit, already turned with the pixels.
    icc
        The ICC profile of the colorized RGB image, or None where the source has none.
    exif
        EXIF as a TIFF structure (no ``Exif\0\0`` in front), orientation 1, without thumbnail. The
        describing tags of a TIFF page (ImageDescription, Artist, DateTime, PageName, ...) are here.
    xmp
        The XMP packet of the source.
    png_text
        Text chunks of a PNG, (type, body), byte for byte.
    layout
        The layout of a TIFF page.
    premultiplied
        Whether the color codes have been multiplied by alpha.
    """

    resolution: Resolution | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    png_text: tuple[tuple[bytes, bytes], ...] = ()
    layout: TiffLayout | None = None
    premultiplied: bool = False


@dataclass(frozen=True)
class Page:
    """One image of a file: its codes, what they mean, and what goes back with them.

    Parameters
    ----------
    codes
        ``(H, W)`` gray or ``(H, W, 3)`` RGB, native-endian uint8, uint16, float32 or float64 (full
        range: 0 is black, the highest code or 1.0 is white). EXIF orientation is applied. May be a
        read-only view of the file on disk.
    space
        What the codes mean: from the ICC profile, or sRGB where there is none.
    alpha
        ``(H, W)``, the dtype of `codes`; carried to the output untouched.
    reading
        How the image was read, in words for people.
    metadata
        What goes back into the file beside the pixels.
    """

    codes: NDArray[Any]
    space: ColorSpace = SRGB
    alpha: NDArray[Any] | None = None
    reading: str = "array"
    metadata: Metadata = field(default_factory=Metadata)


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
        Bits of one sample.
    is_float
        Whether samples are floating point.
    alpha
        Whether one more sample follows.
    decode
        Gives ``(H, W)`` or ``(H, W, samples)``: bool, unsigned or float. Costs the decoding.
    white_is_zero
        Whether the codes run from white to black.
    icc
        The ICC profile of the source.
    gamma
        Code = linear ** gamma, where the file says so and has no profile (PNG gAMA).
    orientation
        EXIF orientation, 1 to 8.
    lossy
        Whether the pixels went through a lossy codec.
    notes
        What is special about the reading, in words.
    """

    height: int
    width: int
    model: Model
    bits: int
    decode: Callable[[], NDArray[Any]]
    is_float: bool = False
    alpha: bool = False
    white_is_zero: bool = False
    icc: bytes | None = None
    gamma: float | None = None
    orientation: int = 1
    lossy: bool = False
    notes: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the page's codes."""
        if self.is_float:
            return np.dtype(np.float64 if self.bits == 64 else np.float32)
        return np.dtype(np.uint8 if self.bits <= 8 else np.uint16)

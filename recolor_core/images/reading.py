"""Reading: any image file as exact codes, with what they mean."""

import os
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from recolor_core.errors import ImageWarning, RecolorError
from recolor_core.images import (
    bmp,
    claims,
    dicom,
    exr,
    heif,
    icc,
    jp2,
    jpeg,
    jxl,
    large,
    png,
    pnm,
    psd,
    webp,
)
from recolor_core.images.image import ALPHA_SAMPLES, Page, Stored, output_dtype
from recolor_core.images.limits import MAX_PIXELS, MAX_PIXELS_PER_BYTE, too_many_pixels
from recolor_core.images.source import Source, open_source
from recolor_core.images.tiff import TiffPages
from recolor_core.lab import SRGB, ColorSpace

T = TypeVar("T")

_LARGEST_DARK_CODE = 4095

_Reader = Callable[[Source], "list[Stored] | TiffPages"]

# The formats by their first bytes: a file's name may be wrong.
_FORMATS: tuple[tuple[bytes, str, _Reader], ...] = (
    (b"\xff\xd8\xff", "JPEG", jpeg.read),
    (claims.PNG_SIGNATURE, "PNG", png.read),
    (b"II*\0", "TIFF", TiffPages),
    (b"MM\0*", "TIFF", TiffPages),
    (b"II+\0", "TIFF", TiffPages),
    (b"MM\0+", "TIFF", TiffPages),
    (b"RIFF", "WebP", webp.read),
    (b"BM", "BMP", bmp.read_bmp),
    (claims.JP2_SIGNATURE, "JPEG 2000", jp2.read),
    (claims.J2K_SIGNATURE, "JPEG 2000", jp2.read),
    (b"GIF8", "GIF", bmp.read_gif),
    (claims.JXL_SIGNATURE, "JPEG XL", jxl.read),
    (claims.JXL_BOX_SIGNATURE, "JPEG XL", jxl.read),
    (psd.SIGNATURE, "PSD", psd.read),
    (exr.SIGNATURE, "OpenEXR", exr.read),
    *((b"P%d" % number, "PNM", pnm.read) for number in range(1, 8)),
)
_BY_BRAND = {"AVIF": heif.read_avif, "HEIF": heif.read_heif}
READABLE = (
    "JPEG, PNG, TIFF, WebP, BMP, JPEG 2000, JPEG XL, AVIF, HEIC, PSD, PNM, OpenEXR, DICOM and "
    "still GIF"
)

# What people mistake for an image, and what to do with it.
_OTHERS = (
    (b"%PDF", "a PDF", "extract its pages first, for example: pdftoppm -tiff FILE.pdf page"),
    (b"\x89HDF", "an HDF5 file", "export its images as TIFF"),
    (b"\x1aE\xdf\xa3", "a film", "extract its frames as images"),
)

# How to turn stored pixels upright, by EXIF orientation (Exif 2.32, 4.6.4 A).
_TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


class ImageFile:
    """An image file, open: its pages are decoded one by one, when they are asked for.

    A context manager; made by `open_image`. Iterate it for its pages.

    Attributes
    ----------
    name : str
        For messages: the path, or "<stdin>".
    path : Path or None
        The file, or None for a stream.
    format : str
        "JPEG", "PNG", "TIFF", "WebP", "BMP", "JPEG 2000", "GIF", "JPEG XL", "AVIF", "HEIF", "PSD",
        "PNM", "OpenEXR" or "DICOM", by content.
    """

    def __init__(
        self,
        source: Source,
        format: str,
        stored: list[Stored] | TiffPages,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.name = source.name
        self.path = source.path
        self.format = format
        self._source = source
        self._stored = stored
        self._max_pixels = max_pixels

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; pages stay valid."""
        if isinstance(self._stored, TiffPages):
            self._stored.close()

    def __len__(self) -> int:
        return len(self._stored)

    def __iter__(self) -> Iterator[Page]:
        for stored in self.headers():
            page = self._guarded(partial(_page, stored))
            _warn_of_dark_codes(page)
            yield page

    def pages(self, numbers: Collection[int]) -> Iterator[tuple[Page, Stored]]:
        """Decode only some of the pages.

        Parameters
        ----------
        numbers
            Of the pages, counted from 1.

        Yields
        ------
        Page
            In the order of the file.
        Stored
            Its header.
        """
        for number, stored in enumerate(self.headers(), 1):
            if number in numbers:
                yield self._guarded(partial(_page, stored)), stored

    @property
    def lossy(self) -> bool:
        """Whether the (first) image went through a lossy codec."""
        return next(self.headers()).lossy

    @property
    def megapixels(self) -> float:
        """Millions of pixels of all pages."""
        return sum(stored.height * stored.width for stored in self.headers()) / 1e6

    @property
    def output_nbytes(self) -> int:
        """Bytes of all pages in color, before any compression."""
        return sum(
            stored.height * stored.width * stored.channels * output_dtype(stored.dtype).itemsize
            for stored in self.headers()
        )

    @property
    def dtypes(self) -> set[np.dtype[Any]]:
        """The dtypes of the colorized pages."""
        return {output_dtype(stored.dtype) for stored in self.headers()}

    @property
    def other_pages(self) -> list[str]:
        """The pages that are no image to color, in words; a TIFF keeps them as they are."""
        return self._stored.others if isinstance(self._stored, TiffPages) else []

    def carry_other_pages(self, target: BinaryIO) -> None:
        """Copy the `other_pages` into a finished TIFF that holds the colorized ones.

        Parameters
        ----------
        target
            The file, open for reading and writing; its byte order is that of this file.
        """
        if isinstance(self._stored, TiffPages):
            self._guarded(partial(self._stored.carry, target))

    def opened(self) -> BinaryIO:
        """Open the content of the file or stream, for reading."""
        return self._source.open()

    @property
    def size(self) -> int:
        """Bytes of the file or stream."""
        return self._source.size

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file or stream, hexadecimal."""
        return self._source.sha256()

    def output_name(self) -> str:
        """The name that the colorized copy has unless another is asked for.

        ``scan.tif`` gives ``scan.recolor.tif``: the same format if that keeps every code;
        ``photo.jpg`` gives ``photo.recolor.png``, since a lossy copy cannot keep the gray exactly
        (nor can BMP keep alpha).
        """
        name = Path(self.name).name if self.path else "stdin"
        path = Path(name)
        suffixes = _SUFFIXES.get(self.format, (".png",))
        first = next(self.headers())
        if self.format != "TIFF" and (first.lossy or (self.format == "BMP" and first.alpha)):
            suffixes = (".png",)
        if first.is_float or (first.alpha and first.metadata.premultiplied):  # TIFF holds them
            suffixes = _SUFFIXES["TIFF"]
        suffix = path.suffix if path.suffix.lower() in suffixes else suffixes[0]
        return f"{path.stem}.recolor{suffix}"

    def headers(self) -> Iterator[Stored]:
        """Every image's header; those that are too large or empty are refused."""
        iterator = iter(self._stored)
        while True:
            stored = self._guarded(lambda: next(iterator, None))
            if stored is None:
                return
            self._check_size(stored)
            yield stored

    def _check_size(self, stored: Stored) -> None:
        pixels = stored.height * stored.width
        if stored.height < 1 or stored.width < 1:
            raise self._source.error("the image has no pixels", "give one of 1 x 1 or more")
        came = f"{stored.width} x {stored.height} = {_count(pixels)} pixels"
        if pixels > self._max_pixels:
            raise self._source.error(
                f"the image has {came}, at most {_count(self._max_pixels)} are allowed",
                "raise max_pixels if you trust the file",
            )
        if self._max_pixels <= MAX_PIXELS and too_many_pixels(pixels, self._source.size):
            raise self._source.error(
                f"the file claims {came} in {self._source.size:,} bytes, more than "
                f"{MAX_PIXELS_PER_BYTE:,} per byte",
                f"raise max_pixels above {MAX_PIXELS:,} if you trust the file",
            )

    def _guarded(self, step: Callable[[], T]) -> T:
        return _guarded(self._source, self.format, step)


# The formats that keep every code, and the endings that stand for them.
_SUFFIXES = {
    "TIFF": (".tif", ".tiff"),
    "PNG": (".png",),
    "WebP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "JPEG 2000": (".jp2",),
}


def open_image(
    source: str | os.PathLike[str] | BinaryIO,
    *,
    max_pixels: int = MAX_PIXELS,
) -> ImageFile:
    """Open an image file, by its content, whatever its name says.

    Parameters
    ----------
    source : str, PathLike or binary stream
        A stream (``sys.stdin.buffer``) is read to its end.
    max_pixels : int
        Images with more pixels are refused, before anything is decoded. Up to the default, images
        of more than 64 million pixels are also refused if their file has less than a byte per
        5,000 pixels, since a few bytes can claim any size.

    Returns
    -------
    ImageFile
        A context manager that gives the pages.

    Raises
    ------
    ImageError
        If there is no such file, or it is not an image that can be read. While pages are taken:
        if they are damaged, too large, or of a kind that cannot be colorized.

    Warns
    -----
    ImageWarning
        If all codes of a 16-bit image are so dark that it probably has fewer bits.
    """
    found = open_source(source)
    format, read = _format_of(found)
    return ImageFile(found, format, _guarded(found, format, partial(read, found)), max_pixels)


def _format_of(found: Source) -> tuple[str, _Reader]:
    head = found.head
    if head[dicom.MARK_AT :].startswith(dicom.MARK):  # its first 128 bytes may be another header
        return "DICOM", dicom.read
    for signature, format, read in _FORMATS:
        if not head.startswith(signature):
            continue
        if (format == "WebP" and head[8:12] != b"WEBP") or (
            format == "PNM" and not head[2:3].isspace()
        ):
            continue
        return format, read
    brand = heif.kind_of(head)
    if brand:
        return brand, _BY_BRAND[brand]
    for signature, name, remedy in _OTHERS:
        if head.startswith(signature):
            raise found.error(f"this is {name}, expected {READABLE}", remedy)
    if head[4:8] == b"ftyp":
        raise found.error("this is a film", "colorize it with: recolor film IN OUT")
    raise found.error(f"this is no image; expected {READABLE}", "convert it to PNG or TIFF")


def _guarded(source: Source, format: str, step: Callable[[], T]) -> T:
    """The result of a step of decoding. Whatever a damaged file makes it raise is an `ImageError`.

    The message does not repeat what a codec says of itself; RECOLOR_DEBUG shows it.
    """
    try:
        return step()
    except RecolorError:
        raise
    except MemoryError as error:
        raise source.error("the image does not fit into memory", "give a smaller one") from error
    except Exception as error:  # decoders raise anything from IndexError to zlib.error
        raise source.error(
            f"the {format} file is damaged, truncated or of a kind that is not supported",
            "copy it again from its origin, or save it anew as PNG or TIFF",
        ) from error


def _count(pixels: int) -> str:
    return f"{pixels / 1e6:,.0f} million" if pixels >= 1e6 else f"{pixels:,}"


def _warn_of_dark_codes(page: Page) -> None:
    """Warn if a 16-bit image uses the lowest 12 bits only, as some cameras write it."""
    if page.codes.dtype != np.uint16:
        return
    largest = int(page.codes.max())
    if 0 < largest <= _LARGEST_DARK_CODE:
        white = (1 << largest.bit_length()) - 1
        warnings.warn(
            f"the largest code is {largest} of 65535, so the image is nearly black; if "
            f"{white} is white, pass levels=(0, {white})",
            ImageWarning,
            stacklevel=3,
        )


def _page(stored: Stored) -> Page:
    """The decoded page: codes, their meaning, alpha, upright."""
    samples = stored.decode()
    notes = list(stored.notes)
    if samples.ndim == 2:
        samples = samples[..., None]
    expected = (stored.height, stored.width)
    if samples.shape[:2] != expected:
        raise ValueError(f"expected {expected} pixels from the header, got {samples.shape[:2]}")
    samples = _native(samples, stored, notes)
    colors = {"gray": 1, "rgb": 3, "cmyk": 4}[stored.model]
    codes = samples[..., 0] if colors == 1 else samples[..., :colors]
    alpha, extra = _further(samples[..., colors:], stored)
    if stored.white_is_zero:
        codes = large.converted(codes, np.invert, codes.dtype)
        notes.append("white was 0, inverted")
    if alpha is not None:
        notes.append("alpha kept")
    if extra is not None:
        count = extra.shape[-1]
        notes.append(f"{count} further channel{'s' if count > 1 else ''} kept")
    codes, space, profile, meaning = _meaning(codes, stored)
    metadata = replace(stored.metadata, icc=profile)
    turn = _TURNS.get(stored.orientation)
    if turn:
        codes = turn(codes)
        alpha, extra = (None if a is None else turn(a) for a in (alpha, extra))
        swapped = stored.orientation >= 5
        resolution = metadata.resolution and metadata.resolution.turned(swapped)
        metadata = replace(metadata, resolution=resolution)
        notes.append(f"turned upright (EXIF orientation {stored.orientation})")
    codes = large.settled(codes)
    kind = "float " if stored.is_float else "signed " if stored.is_signed else ""
    depth = f"{stored.dtype.itemsize * 8}-bit {kind}"
    model = {"gray": "gray", "rgb": "RGB", "cmyk": "CMYK"}[stored.model]
    words = ", ".join((f"{depth}{model}", meaning, *notes))
    return Page(codes, space, alpha, words, metadata, extra)


def _further(
    samples: NDArray[Any], stored: Stored
) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """Alpha and the channels that are neither color nor alpha."""
    kinds = stored.metadata.extra_samples
    if not kinds:
        return (samples[..., 0] if stored.alpha else None), None
    first = next((index for index, kind in enumerate(kinds) if kind in ALPHA_SAMPLES), None)
    others = [index for index in range(len(kinds)) if index != first]
    alpha = None if first is None else samples[..., first]
    return alpha, (samples[..., others] if others else None)


def _native(samples: NDArray[Any], stored: Stored, notes: list[str]) -> NDArray[Any]:
    """Samples in the dtype of the page, odd bit depths stretched to its full range."""
    dtype, bits = stored.dtype, stored.bits
    if stored.is_float:
        if bits not in (32, 64):
            notes.append(f"widened from {bits} bits")
        return _cast(samples, dtype)
    if stored.is_signed or bits > 16 or bits in (8, 16):
        return _cast(samples, dtype)
    top, full = (1 << bits) - 1, int(np.iinfo(dtype).max)
    table = (np.arange(top + 1, dtype=np.uint32) * full + top // 2) // top
    notes.append(f"expanded from {bits} bit{'s' if bits > 1 else ''}")
    narrow = table.astype(dtype)
    return large.converted(samples, lambda strip: narrow[strip.astype(np.uint16)], dtype)


def _cast(samples: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Samples in a dtype and in native byte order; a view if they are already."""
    if samples.dtype == dtype:
        return samples
    return large.converted(samples, lambda strip: strip.astype(dtype), dtype)


def _meaning(
    codes: NDArray[Any], stored: Stored
) -> tuple[NDArray[Any], ColorSpace, bytes | None, str]:
    """Codes (converted if need be), their space, the profile of the result, and words."""
    profile = icc.read_profile(stored.icc) if stored.icc else None
    fits = {"gray": ("GRAY", "RGB"), "rgb": ("RGB",), "cmyk": ("CMYK",)}[stored.model]
    words = "sRGB (no profile)"
    if stored.icc and (profile is None or profile.model not in fits):
        words = f"sRGB ({'damaged' if profile is None else profile.model} profile ignored)"
        profile = None
    if profile and stored.icc:
        if profile.space:
            kept = stored.icc if profile.model == "RGB" else icc.profile_in_color(stored.icc)
            return codes, profile.space, kept, f"{profile.name} profile"
        in_channels = codes
        if codes.ndim == 2 and profile.model == "RGB":
            in_channels = np.repeat(codes[..., None], 3, axis=-1)
        try:
            converted = icc.to_srgb(in_channels, stored.icc)
        except (RuntimeError, ValueError):  # LittleCMS rejects more profiles than are damaged
            words = f"sRGB (profile {profile.name} cannot be applied, ignored)"
        else:
            words = f"converted from {profile.name} to sRGB"
            return converted, SRGB, icc.profile_of(SRGB), words
    if stored.model == "cmyk":
        words = "converted to sRGB without a profile"
        return _naive_rgb(codes), SRGB, icc.profile_of(SRGB), words
    if stored.space:
        return codes, stored.space, icc.profile_of(stored.space), stored.space.name
    return codes, SRGB, None, words


def _naive_rgb(cmyk: NDArray[Any]) -> NDArray[Any]:
    """RGB of CMYK without a profile: every ink absorbs its part of the light."""
    full = 1.0 if cmyk.dtype.kind == "f" else float(np.iinfo(cmyk.dtype).max)
    light = 1 - cmyk.astype(np.float64) / full
    rgb = light[..., :3] * light[..., 3:] * full
    return (rgb if cmyk.dtype.kind == "f" else np.rint(rgb)).astype(cmyk.dtype)

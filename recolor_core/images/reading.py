"""Reading: any image file as exact codes, with what they mean."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from recolor_core.errors import RecolorError
from recolor_core.images import bmp, icc, jp2, jpeg, png, webp
from recolor_core.images.image import Page, Stored
from recolor_core.images.source import Source, open_source
from recolor_core.images.tiff import TiffPages
from recolor_core.lab import SRGB, ColorSpace, ToneCurve

T = TypeVar("T")

MAX_PIXELS = 500_000_000
"""More pixels than this are refused before anything is decoded (a decompression bomb)."""

# Every format by its first bytes; a file's name may lie.
_FORMATS: tuple[tuple[bytes, str, Callable[[Source], "list[Stored] | TiffPages"]], ...] = (
    (b"\xff\xd8\xff", "JPEG", jpeg.read),
    (png.SIGNATURE, "PNG", png.read),
    (b"II*\0", "TIFF", TiffPages),
    (b"MM\0*", "TIFF", TiffPages),
    (b"II+\0", "TIFF", TiffPages),
    (b"MM\0+", "TIFF", TiffPages),
    (b"RIFF", "WebP", webp.read),
    (b"BM", "BMP", bmp.read_bmp),
    (jp2.BOX_SIGNATURE, "JPEG 2000", jp2.read),
    (jp2.CODESTREAM_SIGNATURE, "JPEG 2000", jp2.read),
    (b"GIF8", "GIF", bmp.read_gif),
)
READABLE = "JPEG, PNG, TIFF, WebP, BMP, JPEG 2000 and still GIF"

# What people mistake for an image, and what to do with it.
_OTHERS = (
    (b"%PDF", "a PDF", "extract its pages first, for example: pdftoppm -tiff FILE.pdf page"),
    (b"8BPS", "a Photoshop document", "export it as TIFF"),
    (b"\0\0\0\x0cJXL ", "JPEG XL", "convert it to PNG or TIFF"),
    (b"\xff\x0a", "JPEG XL", "convert it to PNG or TIFF"),
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
    name
        For messages: the path, or "<stdin>".
    path
        The file, or None for a stream.
    format
        "JPEG", "PNG", "TIFF", "WebP", "BMP", "JPEG 2000" or "GIF", by content.
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
        for stored in self._headers():
            yield self._guarded(partial(_page, stored))

    @property
    def lossy(self) -> bool:
        """Whether the (first) image went through a lossy codec."""
        return next(self._headers()).lossy

    @property
    def megapixels(self) -> float:
        """Millions of pixels of all pages."""
        return sum(stored.height * stored.width for stored in self._headers()) / 1e6

    @property
    def output_nbytes(self) -> int:
        """Bytes of all pages in color, before any compression."""
        return sum(
            stored.height * stored.width * (4 if stored.alpha else 3) * stored.dtype.itemsize
            for stored in self._headers()
        )

    @property
    def dtypes(self) -> set[np.dtype[Any]]:
        """The dtypes of the pages' codes."""
        return {stored.dtype for stored in self._headers()}

    def packets(self) -> Iterator[bytes | None]:
        """The XMP packet of every page; no pixels are decoded."""
        return (stored.metadata.xmp for stored in self._headers())

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file or stream, hexadecimal."""
        return self._source.sha256()

    def output_name(self) -> str:
        """The name that the colorized copy has unless another is asked for.

        ``scan.tif`` gives ``scan.recolor.tif``: the same format where that keeps every code;
        ``photo.jpg`` gives ``photo.recolor.png``, since a lossy copy cannot keep the gray exactly
        (nor can BMP keep alpha).
        """
        name = Path(self.name).name if self.path else "stdin"
        path = Path(name)
        suffixes = _SUFFIXES.get(self.format, (".png",))
        first = next(self._headers())
        if self.format != "TIFF" and (first.lossy or (self.format == "BMP" and first.alpha)):
            suffixes = (".png",)
        suffix = path.suffix if path.suffix.lower() in suffixes else suffixes[0]
        return f"{path.stem}.recolor{suffix}"

    def _headers(self) -> Iterator[Stored]:
        """Every image's header; those that are too large or empty are refused."""
        iterator = iter(self._stored)
        while True:
            stored = self._guarded(lambda: next(iterator, None))
            if stored is None:
                return
            pixels = stored.height * stored.width
            if pixels < 1:
                raise self._source.error("the image has no pixels", "give one of 1 x 1 or more")
            if pixels > self._max_pixels:
                raise self._source.error(
                    f"{stored.width} x {stored.height} = {pixels / 1e6:,.0f} million pixels came, "
                    f"at most {self._max_pixels / 1e6:,.0f} million are expected",
                    "raise max_pixels if you trust the file",
                )
            yield stored

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
    source: str | os.PathLike[str] | BinaryIO, *, max_pixels: int = MAX_PIXELS
) -> ImageFile:
    """Open an image file, by its content, whatever its name says.

    Parameters
    ----------
    source
        A path, or a binary stream (``sys.stdin.buffer``), which is read to its end.
    max_pixels
        Images with more pixels are refused, before anything is decoded.

    Returns
    -------
    ImageFile
        A context manager that gives the pages.

    Raises
    ------
    ImageError
        Where there is no such file, or it is no image that can be read. While pages are taken:
        where they are damaged, too large, or of a kind that cannot be colorized.
    """
    found = open_source(source)
    for signature, format, read in _FORMATS:
        if found.head.startswith(signature) and (format != "WebP" or found.head[8:12] == b"WEBP"):
            return ImageFile(
                found, format, _guarded(found, format, partial(read, found)), max_pixels
            )
    for signature, name, remedy in _OTHERS:
        if found.head.startswith(signature):
            raise found.error(f"this is {name}, expected {READABLE}", remedy)
    if found.head[4:8] == b"ftyp":
        raise found.error(f"this is HEIF, AVIF or a film, expected {READABLE}", "convert it to PNG")
    raise found.error(f"this is no image; expected {READABLE}", "convert it to PNG or TIFF")


def _guarded(source: Source, format: str, step: Callable[[], T]) -> T:
    """The result of a step of decoding; whatever a damaged file makes it raise, as `ImageError`."""
    try:
        return step()
    except RecolorError:
        raise
    except MemoryError as error:
        raise source.error("the image does not fit into memory", "give a smaller one") from error
    except Exception as error:  # decoders raise anything from IndexError to zlib.error
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise source.error(
            f"the {format} file is damaged, truncated or of a kind that cannot be read ({reason})",
            "copy it again from its origin, or save it anew as PNG or TIFF",
        ) from error


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
    alpha = samples[..., colors] if stored.alpha else None
    if stored.white_is_zero:
        codes = np.invert(codes)
        notes.append("white was 0, inverted")
    if alpha is not None:
        notes.append("alpha kept")
    codes, space, profile, meaning = _meaning(codes, stored)
    metadata = replace(stored.metadata, icc=profile)
    turn = _TURNS.get(stored.orientation)
    if turn:
        codes, alpha = turn(codes), None if alpha is None else turn(alpha)
        swapped = stored.orientation >= 5
        resolution = metadata.resolution and metadata.resolution.turned(swapped)
        metadata = replace(metadata, resolution=resolution)
        notes.append(f"turned upright (EXIF orientation {stored.orientation})")
    depth = f"{stored.dtype.itemsize * 8}-bit {'float ' if stored.is_float else ''}"
    model = {"gray": "gray", "rgb": "RGB", "cmyk": "CMYK"}[stored.model]
    return Page(codes, space, alpha, ", ".join((f"{depth}{model}", meaning, *notes)), metadata)


def _native(samples: NDArray[Any], stored: Stored, notes: list[str]) -> NDArray[Any]:
    """Samples in the dtype of the page, odd bit depths stretched to its full range."""
    dtype, bits = stored.dtype, stored.bits
    if stored.is_float:
        if bits not in (32, 64):
            notes.append(f"widened from {bits} bits")
        return samples.astype(dtype, copy=False)
    if bits in (8, 16):
        return samples.astype(dtype, copy=False)
    top, full = (1 << bits) - 1, int(np.iinfo(dtype).max)
    table = (np.arange(top + 1, dtype=np.uint32) * full + top // 2) // top
    notes.append(f"expanded from {bits} bit{'s' if bits > 1 else ''}")
    return table.astype(dtype)[samples.astype(np.uint16)]


def _meaning(
    codes: NDArray[Any], stored: Stored
) -> tuple[NDArray[Any], ColorSpace, bytes | None, str]:
    """Codes (converted where need be), their space, the profile of their color, and words."""
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
        words = f"converted from {profile.name} to sRGB"
        if codes.ndim == 2 and profile.model == "RGB":
            codes = np.repeat(codes[..., None], 3, axis=-1)
        return icc.to_srgb(codes, stored.icc), SRGB, icc.profile_of(SRGB), words
    if stored.model == "cmyk":
        return _naive_rgb(codes), SRGB, icc.profile_of(SRGB), "converted to sRGB without a profile"
    if stored.gamma:
        curve = ToneCurve(1 / stored.gamma, a=1, b=0, c=0, d=0)
        space = ColorSpace(f"PNG gamma {stored.gamma:g}", curve)
        return codes, space, icc.profile_of(space), space.name
    return codes, SRGB, None, words


def _naive_rgb(cmyk: NDArray[Any]) -> NDArray[Any]:
    """RGB of CMYK that has no profile: every ink takes its share of the light."""
    full = 1.0 if cmyk.dtype.kind == "f" else float(np.iinfo(cmyk.dtype).max)
    light = 1 - cmyk.astype(np.float64) / full
    rgb = light[..., :3] * light[..., 3:] * full
    return (rgb if cmyk.dtype.kind == "f" else np.rint(rgb)).astype(cmyk.dtype)

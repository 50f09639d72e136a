"""TIFF and BigTIFF, by tifffile: pages in and out, strip by strip, laid out as they came."""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from tifffile import TIFF, TiffFile, TiffPage, TiffWriter

from recolor_core.images import exif
from recolor_core.images.image import (
    Metadata,
    Model,
    Page,
    Resolution,
    ResolutionUnit,
    Stored,
    TiffLayout,
)
from recolor_core.images.source import Source

# What tifffile logs about odd tags reaches people who configure logging, and not stderr unasked.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_NONE, _LZW, _JPEG, _DEFLATE, _OLD_DEFLATE = 1, 5, 7, 8, 32946
_PACKBITS, _LZMA, _ZSTD = 32773, 34925, 50000
_WRITABLE = {code: code for code in (_NONE, _LZW, _DEFLATE, _PACKBITS, _LZMA, _ZSTD)}
_WRITABLE[_OLD_DEFLATE] = _DEFLATE
_BILEVEL = {2, 3, 4}  # CCITT: without loss, but for one bit only
_LOSSLESS = set(_WRITABLE) | _BILEVEL
_NO_PREDICTOR = {_NONE, _PACKBITS}
_DIFFERENCE, _FLOAT_DIFFERENCE = 2, 3
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_MASK = 4  # bit of NewSubfileType
_PLANAR = 2
_PREMULTIPLIED = 1
_UNITS: dict[int, ResolutionUnit] = {1: "none", 2: "inch", 3: "cm"}
_XMP = 700
_DESCRIPTION = 270

# Tags that describe the image and stay true of its colorized copy: DocumentName,
# ImageDescription, Make, Model, PageName, XPosition, YPosition, PageNumber, Software, DateTime,
# Artist, HostComputer, Copyright, IPTC, GeoTIFF, Windows' XP*.
_KEPT = {269, 270, 271, 272, 285, 286, 287, 297, 305, 306, 315, 316, 33432, 33723}
_KEPT |= {33550, 33922, 34264, 34735, 34736, 34737} | set(range(40091, 40096))

_STRIP_BYTES = 1 << 20  # of a strip where the source's is no guide
_LARGEST_STRIP_BYTES = 8 << 20
_WORKERS = min(8, os.cpu_count() or 1)


class TiffPages:
    """The pages of a TIFF file, each read when it is asked for."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._tiff = TiffFile(source.path or source.open())
        try:
            self._count = len(self._tiff.pages)
            if not self._count:
                raise source.error("this TIFF has no page", "copy it again from its origin")
        except BaseException:
            self._tiff.close()
            raise

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Stored]:
        for index in range(self._count):
            page = self._tiff.pages[index]
            assert isinstance(page, TiffPage)  # frames come only when asked for
            yield self._stored(page, index)

    def close(self) -> None:
        """Close the file. Views of it stay valid."""
        self._tiff.close()

    def _stored(self, page: TiffPage, index: int) -> Stored:
        place = f"page {index + 1}: " if self._count > 1 else ""

        def refuse(came: str, remedy: str) -> None:
            raise self._source.error(place + came, remedy)

        model = _model(page, refuse)
        colors = 1 if page.photometric == _PALETTE else {"gray": 1, "rgb": 3, "cmyk": 4}[model]
        samples = page.samplesperpixel
        if samples - colors not in (0, 1) or (samples > 1 and page.photometric == _PALETTE):
            refuse(f"{samples} channels per pixel", "save it as gray or RGB, with alpha or without")
        if page.is_volumetric:
            refuse("a volume in one page (ImageDepth)", "save it as one page per slice")
        self._check_samples(page, refuse)
        metadata, turn = self._metadata(page)
        notes = []
        bits = page.bitspersample
        if page.photometric == _PALETTE:
            notes.append("palette, expanded to RGB")
            bits = 8 if _is_8_bit(page) else 16
        if page.planarconfig == _PLANAR and samples > 1:
            notes.append("planar")
        return Stored(
            height=page.imagelength,
            width=page.imagewidth,
            model=model,
            bits=bits,
            is_float=page.sampleformat == _FLOAT,
            alpha=samples > colors,
            white_is_zero=page.photometric == _WHITE_IS_ZERO,
            decode=partial(self._decode, page, refuse),
            icc=page.iccprofile,
            orientation=turn,
            lossy=page.compression not in _LOSSLESS,
            notes=tuple(notes),
            metadata=metadata,
        )

    def _check_samples(self, page: TiffPage, refuse: Callable[[str, str], None]) -> None:
        if page.sampleformat == _SIGNED:
            refuse(f"signed {page.bitspersample}-bit integers", "convert it to uint8 or uint16")
        if page.sampleformat not in (_UNSIGNED, _FLOAT) or page.dtype is None:
            refuse("complex or undefined samples", "convert it to uint8, uint16 or float32")
        if page.sampleformat == _UNSIGNED and page.bitspersample > 16:
            refuse(f"{page.bitspersample}-bit integers", "convert it to uint16 or float32")
        if page.sampleformat == _FLOAT and page.photometric in (_WHITE_IS_ZERO, _PALETTE):
            refuse("floating point samples that run from white to black", "invert it first")

    def _check_complete(self, page: TiffPage, refuse: Callable[[str, str], None]) -> None:
        # tifffile fills what is missing with zeros, which nobody would notice in a dark image.
        offsets, counts = page.dataoffsets, page.databytecounts
        size = self._tiff.filehandle.size
        ends = [offset + count for offset, count in zip(offsets, counts, strict=False)]
        wanted = int(np.prod(page.chunked)) if page.dtype is not None else 0
        if len(offsets) < wanted or len(counts) < wanted or not all(counts) or not all(offsets):
            refuse("strips or tiles are missing", "save or copy the file again")
        if max(ends) > size:
            came = f"the file is truncated: it has {size} bytes of {max(ends)}"
            refuse(came, "copy it again from its origin")
        description = page.description
        if page.is_imagej and self._count == 1 and "images=" in description:
            stated = description.split("images=")[1].split()[0]
            if stated.isdigit() and int(stated) > 1:
                refuse(
                    f"an ImageJ stack of {stated} images in one page",
                    "save it as a TIFF with one page per image",
                )

    def _decode(self, page: TiffPage, refuse: Callable[[str, str], None]) -> NDArray[Any]:
        self._check_complete(page, refuse)
        if page.is_memmappable and page.dtype is not None and page.photometric != _PALETTE:
            # A view of the file: no copy of what may be gigabytes ("c": unless it is written to).
            pixels = self._tiff.filehandle.memmap_array(
                self._tiff.byteorder + page.dtype.char, page.shape, page.dataoffsets[0], mode="c"
            )
        else:
            pixels = page.asarray()
        if page.axes.startswith("S"):  # planar
            pixels = np.moveaxis(pixels, 0, -1)
        if page.photometric == _PALETTE:
            colors = page.colormap
            assert colors is not None
            if _is_8_bit(page):
                colors = (colors >> 8).astype(np.uint8)
            pixels = colors.T[pixels]
        return pixels

    def _metadata(self, page: TiffPage) -> tuple[Metadata, int]:
        tags, order = page.tags, self._tiff.byteorder
        handle = self._tiff.filehandle

        def read(offset: int, size: int) -> bytes:
            handle.seek(offset)
            return handle.read(size)

        directory = exif.read_directory(read, page.offset, order, big=self._tiff.is_bigtiff)
        kept = {code: entry for code, entry in directory.entries.items() if code in _KEPT}
        if _describes_arrays(kept.get(_DESCRIPTION)):
            del kept[_DESCRIPTION]
        if exif.ORIENTATION in directory.entries:
            kept[exif.ORIENTATION] = directory.entries[exif.ORIENTATION]
        block, turn = None, 1
        if kept or directory.children:
            block = exif.build(order, exif.Directory(kept, directory.children))
            block, turn = exif.take(block)
        xmp = directory.entries.get(_XMP)
        return (
            Metadata(
                resolution=_resolution(tags),
                exif=block,
                xmp=xmp.value if xmp else None,
                layout=_layout(page, order, self._tiff.is_bigtiff),
                premultiplied=_PREMULTIPLIED in page.extrasamples,
            ),
            turn,
        )


def _model(page: TiffPage, refuse: Callable[[str, str], None]) -> Model:
    if page.subfiletype & _MASK:
        refuse("a transparency mask", "remove this page")
    photometric = page.photometric
    if photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO):
        return "gray"
    if photometric in (_RGB, _PALETTE) or (photometric == _YCBCR and page.compression == _JPEG):
        return "rgb"  # tifffile has JPEG's YCbCr decoded to RGB
    if photometric == _CMYK:
        return "cmyk"
    name = getattr(photometric, "name", str(photometric))
    refuse(f"color model {name}", "convert it to gray or RGB")
    raise AssertionError  # refuse raises


def _is_8_bit(page: TiffPage) -> bool:
    """Whether the 16-bit color map holds 8-bit colors, scaled or shifted."""
    colors = page.colormap
    return colors is not None and bool(np.all(colors % 257 == 0) or np.all(colors % 256 == 0))


def _describes_arrays(entry: exif.Entry | None) -> bool:
    """Whether a description tells the shape of the gray stack, which is no longer true in color."""
    if entry is None:
        return False
    head = entry.value[:400].lstrip()
    return head.startswith(b'{"shape":') or (head.startswith(b"<?xml") and b"<OME" in entry.value)


def _resolution(tags: Any) -> Resolution | None:
    try:
        x, y = (Fraction(*tags[code].value) for code in (282, 283))
    except (KeyError, ZeroDivisionError, TypeError):
        return None
    if not x > 0 or not y > 0:
        return None
    unit = _UNITS.get(int(tags.valueof(296, default=2)), "none")  # TIFF 6.0: inch by default
    return None if unit == "none" and x == y else Resolution(x, y, unit)


def _layout(page: TiffPage, order: exif.ByteOrder, big: bool) -> TiffLayout:
    # What a lossy or bilevel codec held goes into deflate, which every reader has.
    compression = _WRITABLE.get(page.compression, _DEFLATE)
    if compression in _NO_PREDICTOR:
        predictor = 1
    elif page.compression not in _WRITABLE:
        predictor = _DIFFERENCE
    else:
        predictor = 1 if page.predictor == 1 else _DIFFERENCE
    if predictor != 1 and page.sampleformat == _FLOAT:
        predictor = _FLOAT_DIFFERENCE
    tile = (page.tilelength, page.tilewidth) if page.is_tiled else None
    if tile and (tile[0] % 16 or tile[1] % 16):
        tile = None
    return TiffLayout(
        compression=compression,
        predictor=predictor,
        tile=tile,
        rows_per_strip=0 if page.is_tiled else min(page.rowsperstrip, page.imagelength),
        byte_order=order,
        big=big,
        subfile_type=int(page.subfiletype),
    )


class TiffOutput:
    """A TIFF file being written, page after page.

    Parameters
    ----------
    file
        Opened for reading and writing, at its start.
    layout
        Byte order and offsets of the whole file.
    """

    def __init__(self, file: BinaryIO, layout: TiffLayout) -> None:
        self._file = file
        self._order: exif.ByteOrder = layout.byte_order
        self._big = layout.big
        self._writer = TiffWriter(file, bigtiff=layout.big, byteorder=layout.byte_order)

    def write(self, page: Page, strips: Iterable[NDArray[Any]], xmp: bytes | None) -> None:
        """Append a page.

        Parameters
        ----------
        page
            Alpha, metadata and layout come from here.
        strips
            RGB codes ``(h, W, 3)`` from top to bottom, of any height.
        xmp
            The XMP packet of this page.
        """
        height, width = page.codes.shape[:2]
        channels = 3 if page.alpha is None else 4
        dtype = page.codes.dtype
        metadata = page.metadata
        layout = metadata.layout or _default_layout(dtype)
        rows = _rows(layout, height, width * channels * dtype.itemsize)
        extra = []
        if metadata.exif:
            extra = self._exif_tags(metadata.exif)
        if xmp:
            extra.append((_XMP, 1, len(xmp), xmp, False))
        resolution = metadata.resolution
        options: dict[str, Any] = {}
        if resolution:
            options["resolution"] = tuple(
                _rational(value) for value in (resolution.x, resolution.y)
            )
            options["resolutionunit"] = resolution.unit if resolution.unit != "cm" else "centimeter"
        if channels == 4:
            options["extrasamples"] = ["assocalpha" if metadata.premultiplied else "unassalpha"]
        chunks: Iterable[NDArray[Any]] = with_alpha(strips, page.alpha)
        if layout.tile:
            chunks = _tiles(chunks, layout.tile)
        elif rows < height or layout.compression != _NONE:  # one plain strip takes any pieces
            chunks = _regrouped(chunks, rows)
        self._writer.write(
            _encoded(chunks, layout, dtype.newbyteorder(self._order)),
            shape=(height, width, channels),
            dtype=dtype,
            photometric="rgb",
            planarconfig="contig",
            tile=layout.tile,
            rowsperstrip=None if layout.tile else rows,
            compression=layout.compression if layout.compression != _NONE else None,
            predictor=layout.predictor if layout.predictor != 1 else None,
            iccprofile=metadata.icc,
            subfiletype=layout.subfile_type,
            software=False,
            metadata=None,
            extratags=extra,
            **options,
        )

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()

    def _exif_tags(self, block: bytes) -> list[tuple[Any, ...]]:
        order, directory = exif.parse(block)
        if order != self._order:
            directory = directory.reordered()
        extra: list[tuple[Any, ...]] = [
            (code, entry.type, entry.count, entry.value, False)
            for code, entry in directory.entries.items()
            if code in _KEPT
        ]
        # tifffile writes no private directories: they are put in front of the page, and their
        # tags named, since it takes them for its own when numbered.
        for code, name in ((exif.EXIF_IFD, "ExifTag"), (exif.GPS_IFD, "GPSTag")):
            if code in directory.children:
                self._file.seek(0, os.SEEK_END)
                self._file.write(b"\0" * (self._file.tell() % 2))
                place = self._file.tell()
                child = directory.children[code]
                self._file.write(exif.write_directory(child, place, self._order, big=self._big))
                extra.append((name, 18 if self._big else 4, 1, place, False))
        return extra


def _default_layout(dtype: np.dtype[Any]) -> TiffLayout:
    predictor = _FLOAT_DIFFERENCE if dtype.kind == "f" else _DIFFERENCE
    return TiffLayout(compression=_DEFLATE, predictor=predictor)


def with_alpha(
    strips: Iterable[NDArray[Any]], alpha: NDArray[Any] | None
) -> Iterator[NDArray[Any]]:
    """The strips with their rows of alpha as fourth channel."""
    if alpha is None:
        yield from strips
        return
    top = 0
    for strip in strips:
        yield np.dstack((strip, alpha[top : top + len(strip)]))
        top += len(strip)


def _rational(value: Fraction) -> tuple[int, int]:
    limit = (1 << 32) - 1
    if max(value.numerator, value.denominator) > limit:
        value = value.limit_denominator(int(limit / max(Fraction(1), value)))
    return value.numerator, value.denominator


def _rows(layout: TiffLayout, height: int, row_bytes: int) -> int:
    rows = layout.rows_per_strip
    if rows and (layout.compression == _NONE or rows * row_bytes <= _LARGEST_STRIP_BYTES):
        return min(rows, height)
    return min(height, max(1, _STRIP_BYTES // row_bytes))


def _tiles(strips: Iterable[NDArray[Any]], tile: tuple[int, int]) -> Iterator[NDArray[Any]]:
    """Tiles in file order, those at the edges filled up."""
    for block in _regrouped(strips, tile[0]):
        for left in range(0, block.shape[1], tile[1]):
            part = block[:, left : left + tile[1]]
            missing = [(0, tile[0] - part.shape[0]), (0, tile[1] - part.shape[1]), (0, 0)]
            yield np.pad(part, missing, mode="edge")


def _regrouped(strips: Iterable[NDArray[Any]], rows: int) -> Iterator[NDArray[Any]]:
    """Strips of exactly `rows` rows; the last may have fewer."""
    waiting: list[NDArray[Any]] = []
    count = 0
    for strip in strips:
        while count + len(strip) >= rows:
            waiting.append(strip[: rows - count])
            strip = strip[rows - count :]
            yield waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
            waiting, count = [], 0
        if len(strip):
            waiting.append(strip)
            count += len(strip)
    if waiting:
        yield np.concatenate(waiting)


def _encoded(
    chunks: Iterable[NDArray[Any]], layout: TiffLayout, dtype: np.dtype[Any]
) -> Iterator[bytes]:
    """The bytes of every chunk, compressed by several threads while the next chunks are made."""

    def encode(chunk: NDArray[Any]) -> bytes:
        data = np.ascontiguousarray(chunk, dtype)
        if layout.predictor != 1:
            data = TIFF.PREDICTORS[layout.predictor](data, axis=-2)
        if layout.compression == _PACKBITS:
            return bytes(TIFF.COMPRESSORS[_PACKBITS](data, axis=-2))
        return bytes(TIFF.COMPRESSORS[layout.compression](data))

    if layout.compression == _NONE:
        for chunk in chunks:
            yield np.ascontiguousarray(chunk, dtype).tobytes()
        return
    with ThreadPoolExecutor(_WORKERS) as pool:
        waiting: deque[Future[bytes]] = deque()
        for chunk in chunks:
            waiting.append(pool.submit(encode, chunk))
            if len(waiting) > 2 * _WORKERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

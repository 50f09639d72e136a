"""Writing TIFF and BigTIFF by tifffile: strip by strip, laid out as the source was."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from tifffile import TIFF, TiffWriter

from recolor_core.images import exif
from recolor_core.images.image import ALPHA_SAMPLES, Page, TiffLayout
from recolor_core.images.tiff_levels import Level
from recolor_core.images.tiff_tags import (
    DEFLATE,
    DIFFERENCE,
    FLOAT_DIFFERENCE,
    IPTC,
    KEPT,
    NONE,
    PACKBITS,
    PHOTOSHOP,
    XMP,
)

_STRIP_BYTES = 1 << 20  # of a strip if the source's is no guide
_LARGEST_STRIP_BYTES = 8 << 20
_WORKERS = min(8, os.cpu_count() or 1)
_ALPHA_KINDS = {False: 2, True: 1}  # ExtraSamples, by whether it is premultiplied


Photometric = Literal["rgb", "minisblack", "miniswhite"]


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

    def write(
        self,
        page: Page,
        strips: Iterable[NDArray[Any]],
        xmp: bytes | None,
        photometric: Photometric = "rgb",
    ) -> None:
        """Append a page.

        Parameters
        ----------
        page
            Alpha, further channels, metadata and layout come from here.
        strips
            RGB codes ``(h, W, 3)``, or of a gray page ``(h, W, 1)``, from top to bottom, of any
            height.
        xmp
            The XMP packet of this page.
        photometric
            What the strips are.
        """
        height, width = page.codes.shape[:2]
        channels = (3 if photometric == "rgb" else 1) + page.further_channels
        dtype = page.output_dtype
        metadata = page.metadata
        layout = metadata.layout or _default_layout(dtype)
        if dtype.kind == "b":  # packed, so that there is nothing to predict
            layout = replace(layout, predictor=1)
        rows = _rows(layout, height, width * channels * dtype.itemsize)
        extra = []
        if metadata.exif:
            extra = self._exif_tags(metadata.exif)
        if xmp:
            extra.append((XMP, 1, len(xmp), xmp, False))
        if metadata.photoshop:
            extra.append((PHOTOSHOP, 7, len(metadata.photoshop), metadata.photoshop, False))
        elif metadata.iptc and not any(tag[0] == IPTC for tag in extra):
            extra.append((IPTC, 7, len(metadata.iptc), metadata.iptc, False))
        resolution = metadata.resolution
        options: dict[str, Any] = {}
        if resolution:
            options["resolution"] = tuple(
                _rational(value) for value in (resolution.x, resolution.y)
            )
            options["resolutionunit"] = resolution.unit if resolution.unit != "cm" else "centimeter"
        if page.further_channels:
            options["extrasamples"] = _extra_samples(page)
        chunks: Iterable[NDArray[Any]] = with_further_channels(strips, page)
        factors = layout.pyramid if dtype.kind != "b" else ()
        levels = [Level(factor, (height, width, channels), dtype) for factor in factors]
        if levels:
            chunks = _also_reduced(chunks, levels)
            if not layout.pyramid_in_pages:
                options["subifds"] = len(levels)
        if layout.tile:
            chunks = _tiles(chunks, layout.tile)
        elif rows < height or layout.compression != NONE:  # one plain strip takes any pieces
            chunks = _regrouped(chunks, rows)
        self._writer.write(
            _encoded(chunks, layout, dtype.newbyteorder(self._order)),
            shape=(height, width, channels) if channels > 1 else (height, width),
            dtype=dtype,
            photometric=photometric,
            planarconfig="contig" if channels > 1 else None,
            tile=layout.tile,
            rowsperstrip=None if layout.tile else rows,
            compression=layout.compression if layout.compression != NONE else None,
            predictor=layout.predictor if layout.predictor != 1 else None,
            iccprofile=metadata.icc,
            subfiletype=layout.subfile_type,
            software=False,
            metadata=None,
            extratags=extra,
            **options,
        )
        options.pop("subifds", None)
        for level in levels:
            self._write_level(level.finished(), layout, photometric, metadata.icc, options)

    def _write_level(
        self,
        pixels: NDArray[Any],
        layout: TiffLayout,
        photometric: Photometric,
        icc: bytes | None,
        options: dict[str, Any],
    ) -> None:
        """Write a smaller copy, laid out as its page is; its resolution is not that of the page."""
        height, width, channels = pixels.shape
        chunks: Iterable[NDArray[Any]] = (pixels,)
        rows = _rows(layout, height, width * channels * pixels.itemsize)
        chunks = _tiles(chunks, layout.tile) if layout.tile else _regrouped(chunks, rows)
        extra_samples = options.get("extrasamples")
        self._writer.write(
            _encoded(chunks, layout, pixels.dtype.newbyteorder(self._order)),
            shape=pixels.shape if channels > 1 else pixels.shape[:2],
            dtype=pixels.dtype,
            photometric=photometric,
            planarconfig="contig" if channels > 1 else None,
            tile=layout.tile,
            rowsperstrip=None if layout.tile else rows,
            compression=layout.compression if layout.compression != NONE else None,
            predictor=layout.predictor if layout.predictor != 1 else None,
            iccprofile=icc,
            subfiletype=1,
            software=False,
            metadata=None,
            **({"extrasamples": extra_samples} if extra_samples else {}),
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
            if code in KEPT
        ]
        # tifffile does not write private directories. They are put in front of the page. Their tags
        # are named, since tifffile leaves out the numbers that it writes itself.
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
    predictor = FLOAT_DIFFERENCE if dtype.kind == "f" else DIFFERENCE
    return TiffLayout(compression=DEFLATE, predictor=predictor)


def _extra_samples(page: Page) -> tuple[int, ...]:
    if page.metadata.extra_samples:
        return page.metadata.extra_samples
    alpha = () if page.alpha is None else (_ALPHA_KINDS[page.metadata.premultiplied],)
    return (*alpha, *(0 for _ in range(page.further_channels - len(alpha))))


def with_further_channels(strips: Iterable[NDArray[Any]], page: Page) -> Iterator[NDArray[Any]]:
    """The strips with their rows of alpha and of the other channels, in the source's order."""
    if not page.further_channels:
        yield from strips
        return
    top = 0
    kinds = _extra_samples(page)
    alpha_at = next((at for at, kind in enumerate(kinds) if kind in ALPHA_SAMPLES), None)
    for strip in strips:
        rows = slice(top, top + len(strip))
        channels = [] if page.extra is None else list(np.moveaxis(page.extra[rows], -1, 0))
        if page.alpha is not None:
            channels.insert(alpha_at or 0, page.alpha[rows])
        yield np.dstack((strip, *channels))
        top += len(strip)


def _also_reduced(strips: Iterable[NDArray[Any]], levels: list[Level]) -> Iterator[NDArray[Any]]:
    """The strips, each also given to the smaller copies of the page."""
    for strip in strips:
        for level in levels:
            level.take(strip)
        yield strip


def _rational(value: Fraction) -> tuple[int, int]:
    limit = (1 << 32) - 1
    if max(value.numerator, value.denominator) > limit:
        value = value.limit_denominator(int(limit / max(Fraction(1), value)))
    return value.numerator, value.denominator


def _rows(layout: TiffLayout, height: int, row_bytes: int) -> int:
    rows = layout.rows_per_strip
    if rows and (layout.compression == NONE or rows * row_bytes <= _LARGEST_STRIP_BYTES):
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
        if layout.compression == PACKBITS:
            return bytes(TIFF.COMPRESSORS[PACKBITS](data, axis=-2))
        return bytes(TIFF.COMPRESSORS[layout.compression](data))

    if dtype.kind == "b":
        chunks = (np.packbits(chunk[..., 0], axis=-1)[..., None] for chunk in chunks)
        dtype = np.dtype(np.uint8)
    if layout.compression == NONE:
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

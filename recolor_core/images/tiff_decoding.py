"""Pixels of TIFF pages that tifffile does not decode, or that have to be checked first."""

import math
from collections.abc import Iterator
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from tifffile import TIFF

from recolor_core.images import claims
from recolor_core.images.limits import MAX_TILE_BYTES
from recolor_core.images.tiff_directory import (
    COMPRESSION,
    FILL_ORDER,
    JPEG_LENGTH,
    JPEG_OFFSET,
    PHOTOMETRIC,
    PLANAR,
    PREDICTOR,
    SAMPLE_FORMAT,
    Directory,
    DirectoryError,
    TiffDirectories,
)
from recolor_core.lab import SRGB

JPEG, OLD_JPEG, SGI_LOG, SGI_LOG_24 = 7, 6, 34676, 34677
LOG_L, LOG_LUV = 32844, 32845
_CODED_HEAD = 4096  # bytes of a tile or strip that usually hold its header
_ANEW = "save it anew with LZW or deflate"
_SLACK = 16  # pixels that a codec may add to a side: a block

# Compressions whose streams state their own size: it has to be compared before decoding.
STREAMS = {JPEG, 33003, 33004, 33005, 33007, 34712, 34892, 34933, 50001, 50002, 52546}
_PLAIN = {1, 2, 3, 4, 5, 8, 32771, 32773, 32909, 32946, 34925, 34926, 50000, 50013}
SUPPORTED = STREAMS | _PLAIN | {OLD_JPEG, SGI_LOG, SGI_LOG_24}

_LZW, _LZW_CLEAR, _LZW_END = 5, 256, 257
_YCBCR_COEFFICIENTS, _YCBCR_SUBSAMPLING, _REFERENCE_BLACK_WHITE = 529, 530, 532
_BT_601 = (0.299, 0.587, 0.114)


def check_chunks(file: TiffDirectories, page: Directory) -> None:
    """Compare what the tiles or strips are about to make with what the page says.

    Raises
    ------
    DirectoryError
        If a tile is far larger than its page, or a stream in it claims more than the tile.
    """
    height, width = page.chunk
    if height < 1 or width < 1:
        raise DirectoryError("its tiles or strips have no pixels")
    contiguous = page.samples if page.integer(PLANAR, 1) == 1 else 1
    sample_bytes = -(-max(page.bits) // 8)
    chunk_bytes = height * width * contiguous * sample_bytes
    if chunk_bytes > max(MAX_TILE_BYTES, page.height * page.width * contiguous * sample_bytes):
        raise DirectoryError(
            f"its tiles have {width} x {height} pixels, the page {page.width} x {page.height}"
        )
    if page.integer(COMPRESSION, 1) == _LZW:
        for offset, _ in page.places:
            _check_lzw(file.read(offset, 4))
    if page.integer(COMPRESSION, 1) not in STREAMS:
        return
    for offset, size in page.places:
        if not size:
            continue
        claimed = claims.size_of(file.read(offset, min(size, _CODED_HEAD)))
        if claimed is None:
            claimed = claims.size_of(file.read(offset, size))
        if claimed is None:
            raise DirectoryError("a tile or strip has no readable header")
        if claimed[0] > height + _SLACK or claimed[1] > width + _SLACK:
            raise DirectoryError(
                f"a tile or strip claims {claimed[1]} x {claimed[0]} pixels, "
                f"the page gives it {width} x {height}"
            )


def _check_lzw(head: bytes) -> None:
    """Refuse a stream whose first code is not in the table: the codec reads beyond it."""
    codes = int.from_bytes(head.ljust(4, b"\0"), "big")
    first, second = codes >> 23, codes >> 14 & 0x1FF
    if first == _LZW_CLEAR and second > _LZW_END:
        raise DirectoryError("an LZW tile or strip is damaged")


def expanded_palette(indices: NDArray[Any], colors: NDArray[np.uint16]) -> NDArray[Any]:
    """RGB of palette indices; `colors` is ``(3, entries)``, 16 bits unless they hold 8-bit values.

    Returns
    -------
    ndarray
        ``(H, W, 3)``, uint8 or uint16.
    """
    table = colors.T
    if is_8_bit(colors):
        table = (table >> 8).astype(np.uint8)
    return np.ascontiguousarray(table)[indices.astype(np.uint16, copy=False)]


def is_8_bit(colors: NDArray[np.uint16]) -> bool:
    """Whether a 16-bit color map holds 8-bit colors, scaled or shifted."""
    return bool(np.all(colors % 257 == 0) or np.all(colors % 256 == 0))


def old_jpeg_stream(file: TiffDirectories, page: Directory) -> bytes:
    """The JPEG stream of a page of old-style compression (TIFF 6.0, section 22).

    Raises
    ------
    DirectoryError
        If the page has its tables in other tags, or the stream claims another size.
    """
    offset, length = page.integer(JPEG_OFFSET), page.integer(JPEG_LENGTH)
    stream = file.read(offset, min(length or file.size, file.size)) if offset else b""
    if not stream.startswith(claims.JPEG_SIGNATURE):
        raise DirectoryError("old-style JPEG without a stream of its own is not supported", _ANEW)
    parts = list(claims.segments_of_jpeg(stream))
    last = parts[-1][1] if parts else None
    has_scan = isinstance(last, tuple) and last[0] == claims.SCAN
    if not has_scan or parts[-1][0].stop >= len(stream) - 2:  # the strips hold the scan
        stream = stream.removesuffix(b"\xff\xd9")
        stream += b"".join(file.read(at, size) for at, size in page.places)
    claimed = claims.size_of(stream)
    if claimed != (page.height, page.width):
        raise DirectoryError(f"its JPEG stream has another size than the page: {claimed}")
    return stream


def from_ycbcr(file: TiffDirectories, page: Directory, rationals: "Rationals") -> NDArray[np.uint8]:
    """RGB of a YCbCr page that is not JPEG, ``(H, W, 3)`` (TIFF 6.0, section 21)."""
    across, down = (*page.integers(_YCBCR_SUBSAMPLING), 2, 2)[:2]
    if across not in (1, 2, 4) or down not in (1, 2, 4):
        raise DirectoryError(f"chroma subsampling of {across} x {down} is not supported", _ANEW)
    result = np.empty((page.height, page.width, 3), np.float32)
    planar = page.integer(PLANAR, 1) != 1
    if planar and (across, down) != (1, 1):
        raise DirectoryError("subsampled chroma in planes of its own is not supported", _ANEW)
    rows, columns = page.chunk
    per_plane = math.ceil(page.height / rows) * math.ceil(page.width / columns)
    block = across * down + 2
    size = -(-rows // down) * -(-columns // across) * block
    for index, data in enumerate(_chunks(file, page, size)):
        plane, index = divmod(index, per_plane)
        top, left = (
            index // math.ceil(page.width / columns) * rows,
            index % math.ceil(page.width / columns) * columns,
        )
        height = rows if page.is_tiled else min(rows, page.height - top)
        if planar:
            part = np.frombuffer(data, np.uint8, height * columns).reshape(height, columns)
            _put(result[..., plane], part, top, left)
            continue
        across_blocks, down_blocks = -(-columns // across), -(-height // down)
        blocks = np.frombuffer(data, np.uint8, across_blocks * down_blocks * block)
        blocks = blocks.reshape(down_blocks, across_blocks, block)
        luma = (
            blocks[..., :-2]
            .reshape(down_blocks, across_blocks, down, across)
            .transpose(0, 2, 1, 3)
            .reshape(down_blocks * down, across_blocks * across)
        )
        _put(result[..., 0], luma[:height, :columns], top, left)
        for channel in (1, 2):
            chroma = blocks[..., channel - 3].repeat(down, 0).repeat(across, 1)
            _put(result[..., channel], chroma[:height, :columns], top, left)
    return _ycbcr_to_rgb(result, rationals)


Rationals = dict[int, tuple[float, ...]]


def _put(result: NDArray[Any], part: NDArray[Any], top: int, left: int) -> None:
    target = result[top : top + part.shape[0], left : left + part.shape[1]]
    target[:] = part[: target.shape[0], : target.shape[1]]


def _chunks(file: TiffDirectories, page: Directory, size: int) -> Iterator[bytes]:
    """The decompressed bytes of every tile or strip; at most `size` each."""
    compression = page.integer(COMPRESSION, 1)
    for offset, count in page.places:
        data = file.read(offset, count)
        if page.integer(FILL_ORDER, 1) == 2:
            data = bytes(imagecodecs.bitorder_decode(data))
        if compression != 1:
            data = bytes(TIFF.DECOMPRESSORS[compression](data, out=size))
        yield data


def _ycbcr_to_rgb(ycbcr: NDArray[np.float32], rationals: Rationals) -> NDArray[np.uint8]:
    red, green, blue = (*rationals.get(_YCBCR_COEFFICIENTS, ()), *_BT_601)[:3]
    limits = rationals.get(_REFERENCE_BLACK_WHITE, ())
    if len(limits) != 6:
        limits = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)
    for channel, top in enumerate((255.0, 127.0, 127.0)):
        black, white = limits[2 * channel : 2 * channel + 2]
        if white > black and (black, white) != ((0, 255) if channel == 0 else (128, 255)):
            ycbcr[..., channel] = (ycbcr[..., channel] - black) * (top / (white - black))
        elif channel:
            ycbcr[..., channel] -= 128
    luma, cb, cr = (ycbcr[..., channel] for channel in range(3))
    result = np.empty(ycbcr.shape, np.uint8)
    r = luma + cr * (2 - 2 * red)
    b = luma + cb * (2 - 2 * blue)
    g = (luma - blue * b - red * r) / green
    for channel, values in enumerate((r, g, b)):
        result[..., channel] = np.rint(np.clip(values, 0, 255))
    return result


def gray_of_lightness(samples: NDArray[Any]) -> NDArray[np.uint16]:
    """16-bit sRGB gray codes of CIELAB samples, by their L* only.

    Parameters
    ----------
    samples
        ``(H, W)`` or ``(H, W, channels)``, uint8 or uint16; L* first, of full range.
    """
    lightness = samples if samples.ndim == 2 else samples[..., 0]
    top = int(np.iinfo(lightness.dtype).max)
    unit = np.arange(top + 1) * (100 / top)
    fy = (unit + 16) / 116
    # CIE 15:2004: L* below 8 is linear in Y, with the constant 24389/27.
    luminance = np.where(unit > 8, fy**3, unit * 27 / 24389)
    codes = SRGB.curve.encode(luminance)
    table: NDArray[np.uint16] = np.rint(codes * 65535).astype(np.uint16)
    return np.asarray(table[lightness])


def luminance_of_log(file: TiffDirectories, page: Directory) -> NDArray[np.float32]:
    """Linear luminance of a LogL or LogLuv page, ``(H, W)`` (libtiff's SGI log encoding).

    Raises
    ------
    DirectoryError
        If the pixels end early.
    """
    rows, columns = page.chunk
    if page.is_tiled:
        raise DirectoryError("SGI log encoding in tiles is not supported", _ANEW)
    result = np.empty((page.height, page.width), np.float32)
    compression = page.integer(COMPRESSION, 1)
    planes = 2 if page.integer(PHOTOMETRIC) == LOG_L else 4
    top = 0
    for offset, count in page.places:
        height = min(rows, page.height - top)
        if height < 1:
            break
        data = file.read(offset, count)
        if compression == SGI_LOG_24:
            raw = np.frombuffer(data, np.uint8, height * columns * 3).reshape(height, columns, 3)
            packed = raw.astype(np.uint32)
            # 10 bits of luminance: Y = 2 ** ((Le + 0.5) / 64 - 12)
            exponent = (packed[..., 0] << 2) | (packed[..., 1] >> 6)
            values = np.exp2((exponent + 0.5) / 64 - 12)
            values[exponent == 0] = 0
        else:
            codes = _run_length_rows(data, height, columns, planes)
            # 15 bits of luminance and a sign: Y = 2 ** ((Le + 0.5) / 256 - 64)
            exponent = codes & 0x7FFF
            values = np.exp2((exponent + 0.5) / 256 - 64)
            values[exponent == 0] = 0
            values[codes & 0x8000 != 0] *= -1
        result[top : top + height] = values
        top += height
    if top < page.height:
        raise DirectoryError("strips are missing")
    return result


def _run_length_rows(data: bytes, height: int, width: int, planes: int) -> NDArray[np.uint32]:
    """The first two byte planes (luminance) of run-length encoded rows."""
    at = 0
    result = np.zeros((height, width), np.uint32)
    for row in range(height):
        for plane in range(planes):
            line = bytearray()
            while len(line) < width:
                if at + 2 > len(data):
                    raise DirectoryError("the file is truncated: a strip ends early")
                head = data[at]
                if head >= 128:
                    line += data[at + 1 : at + 2] * (head - 126)
                    at += 2
                else:
                    line += data[at + 1 : at + 1 + head]
                    at += 1 + head
            if plane < 2:
                values = np.frombuffer(bytes(line[:width]), np.uint8).astype(np.uint32)
                result[row] |= values << (8 if plane == 0 else 0)
    return result


def from_24_bits(file: TiffDirectories, page: Directory) -> NDArray[Any]:
    """24-bit integers as 32-bit ones, ``(H, W, channels)``. tifffile reads them wrongly.

    Raises
    ------
    DirectoryError
        If they have a predictor.
    """
    if page.integer(PREDICTOR, 1) != 1:
        raise DirectoryError("24-bit integers with a predictor are not supported", _ANEW)
    planar = page.integer(PLANAR, 1) != 1
    contiguous = 1 if planar else page.samples
    signed = page.integer(SAMPLE_FORMAT, 1) == 2
    result = np.empty((page.height, page.width, page.samples), np.int32 if signed else np.uint32)
    rows, columns = page.chunk
    across = -(-page.width // columns)
    per_plane = across * -(-page.height // rows)
    for index, data in enumerate(_chunks(file, page, rows * columns * contiguous * 3)):
        plane, place = divmod(index, per_plane)
        top, left = place // across * rows, place % across * columns
        height = rows if page.is_tiled else min(rows, page.height - top)
        shape = (height, columns, contiguous)
        wide = np.zeros((math.prod(shape), 4), np.uint8)
        # In the three upper bytes, so that a shift brings the sign along.
        first = 1 if file.order == "<" else 0
        wide[:, first : first + 3] = np.frombuffer(data, np.uint8, 3 * len(wide)).reshape(-1, 3)
        values = wide.view(f"{file.order}{'i' if signed else 'u'}4").reshape(shape) >> 8
        _put(result[..., plane : plane + contiguous] if planar else result, values, top, left)
    return result

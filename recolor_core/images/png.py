"""PNG: chunks after ISO/IEC 15948 (PNG third edition), pixels by libpng."""

import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from io import BytesIO
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recolor_core.images.claims import PNG_SIGNATURE as SIGNATURE
from recolor_core.images.describing import describe
from recolor_core.images.image import Metadata, Resolution, Stored, contiguous
from recolor_core.images.limits import MAX_ICC_BYTES, MAX_XMP_BYTES
from recolor_core.images.source import Source
from recolor_core.lab import ColorSpace, ToneCurve

_XMP = b"XML:com.adobe.xmp"
_SRGB_GAMMA = Fraction(45455, 100000)
_GRAY, _RGB, _PALETTE, _GRAY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_ANIMATION_CHUNKS = (b"fcTL", b"fdAT")
# Adam7 (ISO/IEC 15948, 8.1): first row and column of every pass, and the steps between them.
_PASSES = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
_DEPTHS = {_GRAY: (1, 2, 4, 8, 16), _PALETTE: (1, 2, 4, 8)}
_DEPTHS |= dict.fromkeys((_RGB, _GRAY_ALPHA, _RGB_ALPHA), (8, 16))
_SAMPLES = {_GRAY: 1, _RGB: 3, _PALETTE: 1, _GRAY_ALPHA: 2, _RGB_ALPHA: 4}
# Run lengths after adaptive filters: on photographs as small as level 6, three times as fast.
_ENCODING = {"level": 1, "strategy": imagecodecs.PNG.STRATEGY.RLE, "filter": 0xF8}


def read(source: Source) -> list[Stored]:
    """The image of a PNG file; an animated one is refused."""
    data = source.read()
    chunks: dict[bytes, bytes] = {}
    text: list[tuple[bytes, bytes]] = []
    pixels: list[tuple[bytes, memoryview]] = []  # libpng prints what it thinks of other chunks
    for kind, body, chunk in _chunks(data):
        if kind in _PIXEL_CHUNKS:
            if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):  # libpng would print
                raise source.error(
                    f"the file is damaged: the checksum of {kind.decode()} is wrong",
                    "copy it again from its origin",
                )
            pixels.append((kind, chunk))
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            text.append((kind, bytes(body)))
        elif kind != b"IDAT" and kind not in _ANIMATION_CHUNKS:
            chunks.setdefault(kind, bytes(body))
        if kind == b"IEND":
            break
    if b"IDAT" not in (kind for kind, _ in pixels) or b"IEND" not in chunks:
        raise source.error(
            "the file is truncated or damaged: pixels or the end are missing",
            "copy it again from its origin",
        )
    width, height, bits, color, interlaced = struct.unpack(">IIBBxxB", chunks[b"IHDR"])
    if bits not in _DEPTHS.get(color, ()):
        raise source.error(
            f"its header names color type {color} with {bits} bits, which PNG does not have",
            "copy it again from its origin",
        )
    pixels = list(_single(pixels, color))
    if b"acTL" in chunks and struct.unpack(">I", chunks[b"acTL"][:4])[0] > 1:
        raise source.error("this PNG is animated", "extract its frames as images first")
    notes = []
    if color == _PALETTE:
        notes.append("palette, expanded to RGB")
    elif bits < 8:
        notes.append(f"expanded from {bits} bit{'s' if bits > 1 else ''}")
    xmp = next((_itxt(body) for kind, body in text if _is_xmp(kind, body)), None)
    described = describe(
        resolution=_resolution(chunks.get(b"pHYs")),
        icc=_profile(chunks.get(b"iCCP")),
        exif_block=chunks.get(b"eXIf"),
        xmp_packet=xmp,
        png_text=tuple(chunk for chunk in text if not _is_xmp(*chunk)),
    )
    decode = _interlaced if interlaced else _plain
    return [
        Stored(
            height=height,
            width=width,
            model="gray" if color in (_GRAY, _GRAY_ALPHA) else "rgb",
            bits=max(bits, 8),  # libpng expands the rest
            bits_in_file=bits,
            alpha=color in (_GRAY_ALPHA, _RGB_ALPHA) or b"tRNS" in chunks,
            decode=partial(decode, pixels),
            icc=described.icc,
            space=_space(chunks),
            orientation=described.orientation,
            notes=(*notes, *described.notes),
            metadata=described.metadata,
        )
    ]


def _single(
    chunks: list[tuple[bytes, memoryview]], color: int
) -> Iterator[tuple[bytes, memoryview]]:
    """The chunks without a second palette, or one that gray does not have: libpng would print."""
    seen = set()
    for kind, chunk in chunks:
        if kind in (b"PLTE", b"tRNS"):
            foreign = color in (_GRAY, _GRAY_ALPHA) if kind == b"PLTE" else color > _PALETTE
            if foreign or kind in seen:
                continue
            seen.add(kind)
        yield kind, chunk


def _plain(pixels: list[tuple[bytes, memoryview]]) -> NDArray[Any]:
    return np.asarray(
        imagecodecs.png_decode(b"".join((SIGNATURE, *(chunk for _, chunk in pixels))))
    )


def _interlaced(pixels: list[tuple[bytes, memoryview]]) -> NDArray[Any]:
    """The pixels of an Adam7 file: each pass is decoded as a small image without interlacing.

    libpng would decode the file as a whole, and print a warning.
    """
    header = bytes(next(chunk for kind, chunk in pixels if kind == b"IHDR")[8:21])
    width, height, bits, color = struct.unpack(">IIBB", header[:10])
    row_bits = bits * _SAMPLES[color]
    between = b"".join(chunk for kind, chunk in pixels if kind in (b"PLTE", b"tRNS"))
    inflater = zlib.decompressobj()
    stream = inflater.decompress(
        b"".join(chunk[8:-4] for kind, chunk in pixels if kind == b"IDAT"),
        height * (width * row_bits // 8 + 2) + 64 * (width + height),  # of all passes
    )
    result: NDArray[Any] | None = None
    at = 0
    for top, left, down, right in _PASSES:
        rows, columns = -(-(height - top) // down), -(-(width - left) // right)
        if rows < 1 or columns < 1:
            continue
        size = rows * (1 + (columns * row_bits + 7) // 8)
        if at + size > len(stream):
            raise ValueError("the pixels end early")
        part = _decoded_pass(header, rows, columns, between, stream[at : at + size])
        at += size
        if result is None:
            result = np.empty((height, width, *part.shape[2:]), part.dtype)
        result[top::down, left::right] = part
    if result is None:
        raise ValueError("no pixels")
    return result


def _decoded_pass(
    header: bytes, rows: int, columns: int, between: bytes, lines: bytes
) -> NDArray[Any]:
    plain = struct.pack(">II", columns, rows) + header[8:12] + b"\0"
    part = np.asarray(
        imagecodecs.png_decode(
            SIGNATURE
            + _chunk(b"IHDR", plain)
            + between
            + _chunk(b"IDAT", zlib.compress(lines, 1))
            + _chunk(b"IEND", b"")
        )
    )
    return part.reshape(rows, columns, *part.shape[2:])


def write(file: BinaryIO, pixels: NDArray[Any], metadata: Metadata, xmp: bytes | None) -> None:
    """Write codes with their metadata.

    RGB or RGBA ``(H, W, 3 or 4)``, gray ``(H, W)`` or gray and alpha ``(H, W, 2)``, uint8 or
    uint16; or bool ``(H, W)``.
    """
    if pixels.dtype == np.bool_:
        stream = BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        coded: bytes | bytearray = stream.getvalue()
    else:
        coded = imagecodecs.png_encode(contiguous(pixels), **_ENCODING)
    end_of_header = len(SIGNATURE) + 25
    file.write(coded[:end_of_header])
    if metadata.icc:
        file.write(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.resolution:
        file.write(_chunk(b"pHYs", _physical(metadata.resolution)))
    if metadata.exif:
        file.write(_chunk(b"eXIf", metadata.exif))
    for kind, body in metadata.png_text:
        file.write(_chunk(kind, body))
    if metadata.comments:
        text = "\n".join(metadata.comments).encode()
        file.write(_chunk(b"iTXt", b"Comment\0\0\0\0\0" + text))
    if xmp:
        file.write(_chunk(b"iTXt", _XMP + b"\0" * 5 + xmp))
    file.write(memoryview(coded)[end_of_header:])


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """The type, body and whole of every chunk."""
    view, at = memoryview(data), len(SIGNATURE)
    while at + 12 <= len(data):
        length, kind = struct.unpack(">I4s", view[at : at + 8])
        end = at + 12 + length
        yield kind, view[at + 8 : end - 4], view[at:end]
        at = end


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(kind))
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def _inflate(data: bytes, limit: int) -> bytes | None:
    """What was compressed, up to one byte more than the limit (for `describe` to see)."""
    try:
        return zlib.decompressobj().decompress(data, limit + 1)
    except zlib.error:
        return None


def _profile(body: bytes | None) -> bytes | None:
    if body is None:
        return None
    _name, _, rest = body.partition(b"\0")
    return _inflate(rest[1:], MAX_ICC_BYTES)


def _is_xmp(kind: bytes, body: bytes) -> bool:
    return kind == b"iTXt" and body.startswith(_XMP + b"\0")


def _itxt(body: bytes) -> bytes | None:
    compressed = body[len(_XMP) + 1 : len(_XMP) + 2] == b"\1"
    _language, _, rest = body[len(_XMP) + 3 :].partition(b"\0")
    _keyword, _, text = rest.partition(b"\0")
    return _inflate(text, MAX_XMP_BYTES) if compressed else text


def _space(chunks: dict[bytes, bytes]) -> ColorSpace | None:
    """The space that gAMA states; None if a profile or sRGB mark overrules it, or it is sRGB's."""
    if b"iCCP" in chunks or b"sRGB" in chunks or len(chunks.get(b"gAMA", b"")) != 4:
        return None
    value = Fraction(struct.unpack(">I", chunks[b"gAMA"])[0], 100000)
    if not value or abs(value - _SRGB_GAMMA) <= Fraction(1, 200):
        return None
    curve = ToneCurve(float(1 / value), a=1, b=0, c=0, d=0)
    return ColorSpace(f"PNG gamma {float(value):g}", curve)


def _resolution(body: bytes | None) -> Resolution | None:
    if body is None or len(body) != 9:
        return None
    x, y, unit = struct.unpack(">IIB", body)
    if not x or not y:
        return None
    return (
        Resolution.from_meter(x, y) if unit == 1 else Resolution(Fraction(x), Fraction(y), "none")
    )


def _physical(resolution: Resolution) -> bytes:
    per_meter = resolution.per_meter()
    if per_meter is None:
        return struct.pack(">IIB", round(resolution.x), round(resolution.y), 0)
    return struct.pack(">IIB", *per_meter, 1)

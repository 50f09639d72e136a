"""PNG, as ISO/IEC 15948 (PNG third edition) lays it out: chunks here, pixels by libpng."""

import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from recolor_core.images import exif
from recolor_core.images.image import Metadata, Resolution, Stored
from recolor_core.images.source import Source

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_XMP = b"XML:com.adobe.xmp"
_SRGB_GAMMA = Fraction(45455, 100000)
_GRAY, _RGB, _PALETTE, _GRAY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_INFLATED_LIMIT = 64 << 20  # a compressed profile or text larger than this is an attack
# Run lengths after adaptive filters: on photographs as small as level 6, three times as fast.
_ENCODING = {"level": 1, "strategy": imagecodecs.PNG.STRATEGY.RLE, "filter": 0xF8}


def read(source: Source) -> list[Stored]:
    """The image of a PNG file; an animated one is refused."""
    data = source.read()
    chunks: dict[bytes, bytes] = {}
    text: list[tuple[bytes, bytes]] = []
    pixels: list[bytes | memoryview] = [SIGNATURE]  # libpng prints what it thinks of other chunks
    for kind, body, chunk in _chunks(data):
        if kind in _PIXEL_CHUNKS:
            pixels.append(chunk)
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            text.append((kind, bytes(body)))
        elif kind != b"IDAT":
            chunks.setdefault(kind, bytes(body))
    width, height, bits, color = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    if b"acTL" in chunks and struct.unpack(">I", chunks[b"acTL"][:4])[0] > 1:
        raise source.error("this PNG is animated", "extract its frames as images first")
    notes = []
    if color == _PALETTE:
        notes.append("palette, expanded to RGB")
    elif bits < 8:
        notes.append(f"expanded from {bits} bit{'s' if bits > 1 else ''}")
    xmp = next((_itxt(body) for kind, body in text if _is_xmp(kind, body)), None)
    block, turn = exif.take(chunks.get(b"eXIf"))
    return [
        Stored(
            height=height,
            width=width,
            model="gray" if color in (_GRAY, _GRAY_ALPHA) else "rgb",
            bits=max(bits, 8),  # libpng expands the rest
            alpha=color in (_GRAY_ALPHA, _RGB_ALPHA) or b"tRNS" in chunks,
            decode=lambda: imagecodecs.png_decode(b"".join(pixels)),
            icc=_profile(chunks.get(b"iCCP")),
            gamma=_gamma(chunks),
            orientation=turn,
            notes=tuple(notes),
            metadata=Metadata(
                resolution=_resolution(chunks.get(b"pHYs")),
                exif=block,
                xmp=xmp,
                png_text=tuple(chunk for chunk in text if not _is_xmp(*chunk)),
            ),
        )
    ]


def write(file: BinaryIO, pixels: NDArray[Any], metadata: Metadata, xmp: bytes | None) -> None:
    """Write RGB or RGBA codes ``(H, W, 3 or 4)``, uint8 or uint16, with their metadata."""
    coded = imagecodecs.png_encode(np.ascontiguousarray(pixels), **_ENCODING)
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


def _inflate(data: bytes) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(data, _INFLATED_LIMIT)
    except zlib.error:
        return None


def _profile(body: bytes | None) -> bytes | None:
    if body is None:
        return None
    _name, _, rest = body.partition(b"\0")
    return _inflate(rest[1:])


def _is_xmp(kind: bytes, body: bytes) -> bool:
    return kind == b"iTXt" and body.startswith(_XMP + b"\0")


def _itxt(body: bytes) -> bytes | None:
    compressed = body[len(_XMP) + 1 : len(_XMP) + 2] == b"\1"
    _language, _, rest = body[len(_XMP) + 3 :].partition(b"\0")
    _keyword, _, text = rest.partition(b"\0")
    return _inflate(text) if compressed else text


def _gamma(chunks: dict[bytes, bytes]) -> float | None:
    """The exponent of gAMA where it counts: no profile, no sRGB mark, and not sRGB's own 1/2.2."""
    if b"iCCP" in chunks or b"sRGB" in chunks or len(chunks.get(b"gAMA", b"")) != 4:
        return None
    value = Fraction(struct.unpack(">I", chunks[b"gAMA"])[0], 100000)
    return float(value) if value and abs(value - _SRGB_GAMMA) > Fraction(1, 200) else None


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

"""WebP: container after the WebP Container Specification, pixels by libwebp."""

import struct
from io import BytesIO
from typing import Any, BinaryIO

import imagecodecs
from numpy.typing import NDArray
from PIL import Image

from recolor_core.images import exif
from recolor_core.images.image import Metadata, Stored
from recolor_core.images.source import Source

LARGEST_SIDE = 16383
_ALPHA, _ANIMATION = 0x10, 0x02


def read(source: Source) -> list[Stored]:
    """The image of a WebP file; an animated one is refused."""
    data = source.read()
    chunks = _chunks(data)
    lossless = b"VP8L" in chunks
    if b"VP8X" in chunks:
        flags = chunks[b"VP8X"][0]
        width, height = (
            int.from_bytes(chunks[b"VP8X"][at : at + 3], "little") + 1 for at in (4, 7)
        )
        alpha = bool(flags & _ALPHA)
        if flags & _ANIMATION:
            raise source.error("this WebP is animated", "extract its frames as images first")
    elif lossless:  # a signature byte, then 14 + 14 bits of size less one, 1 bit of alpha
        packed = int.from_bytes(chunks[b"VP8L"][1:5], "little")
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
        alpha = bool(packed >> 28 & 1)
    else:  # RFC 6386, 9.1: after the frame tag and start code, two 14-bit sizes
        width, height = (value & 0x3FFF for value in struct.unpack("<HH", chunks[b"VP8 "][6:10]))
        alpha = False
    block, turn = exif.take(chunks.get(b"EXIF"))
    return [
        Stored(
            height=height,
            width=width,
            model="rgb",
            bits=8,
            alpha=alpha,
            decode=lambda: imagecodecs.webp_decode(data, hasalpha=alpha),
            icc=chunks.get(b"ICCP"),
            orientation=turn,
            lossy=not lossless,
            metadata=Metadata(exif=block, xmp=chunks.get(b"XMP ")),
        )
    ]


def write(file: BinaryIO, pixels: NDArray[Any], metadata: Metadata, xmp: bytes | None) -> None:
    """Write RGB or RGBA codes ``(H, W, 3 or 4)``, uint8, without loss, with their metadata."""
    coded = BytesIO()
    Image.fromarray(pixels).save(
        coded,
        "WEBP",
        lossless=True,
        exact=True,  # also where it is transparent
        method=0,  # These two are effort alone. With Pillow's defaults a file would be a fifth
        quality=20,  # smaller, and take ten times as long.
        icc_profile=metadata.icc or b"",
        exif=metadata.exif or b"",
        xmp=xmp or b"",
    )
    file.write(coded.getbuffer())


def _chunks(data: bytes) -> dict[bytes, bytes]:
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack("<4sI", data[at : at + 8])
        chunks.setdefault(kind, data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    return chunks

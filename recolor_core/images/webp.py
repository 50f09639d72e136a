"""WebP: chunks after RFC 9649, pixels by libwebp."""

from io import BytesIO
from typing import Any, BinaryIO

import imagecodecs
from numpy.typing import NDArray
from PIL import Image

from recolor_core.images.claims import webp_chunks, webp_header
from recolor_core.images.describing import describe
from recolor_core.images.image import Metadata, Stored
from recolor_core.images.source import Source

LARGEST_SIDE = 16383
_ANIMATION = 0x02


def read(source: Source) -> list[Stored]:
    """The image of a WebP file; an animated one is refused."""
    data = source.read()
    chunks = webp_chunks(data)
    if b"VP8X" in chunks and chunks[b"VP8X"][0] & _ANIMATION:
        raise source.error("this WebP is animated", "extract its frames as images first")
    height, width, alpha = webp_header(chunks)
    described = describe(
        icc=chunks.get(b"ICCP"), exif_block=chunks.get(b"EXIF"), xmp_packet=chunks.get(b"XMP ")
    )
    return [
        Stored(
            height=height,
            width=width,
            model="rgb",
            bits=8,
            alpha=alpha,
            decode=lambda: imagecodecs.webp_decode(data, hasalpha=alpha),
            icc=described.icc,
            orientation=described.orientation,
            lossy=b"VP8L" not in chunks,
            notes=described.notes,
            metadata=described.metadata,
        )
    ]


def write(file: BinaryIO, pixels: NDArray[Any], metadata: Metadata, xmp: bytes | None) -> None:
    """Write RGB or RGBA codes ``(H, W, 3 or 4)``, uint8, without loss, with their metadata."""
    coded = BytesIO()
    Image.fromarray(pixels).save(
        coded,
        "WEBP",
        lossless=True,
        exact=True,  # also the colors of transparent pixels
        method=0,  # These two set the effort only. With Pillow's defaults a file would be a fifth
        quality=20,  # smaller, and take ten times as long.
        icc_profile=metadata.icc or b"",
        exif=metadata.exif or b"",
        xmp=xmp or b"",
    )
    file.write(coded.getbuffer())

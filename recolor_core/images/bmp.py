"""BMP and still GIF: BMP with bit fields here, the rest by Pillow."""

import struct
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile

from recolor_core.images.claims import gif_comments
from recolor_core.images.describing import describe
from recolor_core.images.image import Metadata, Resolution, Stored
from recolor_core.images.source import Source

_BIT_FIELDS, _ALPHA_BIT_FIELDS = 3, 6
_MASKS_OF_16_BITS = (0x7C00, 0x3E0, 0x1F, 0)  # unless masks are given
# GIF's LZW has codes of at most 12 bits, each for at most 4096 pixels.
_GIF_PIXELS_PER_BYTE = 4096


@dataclass(frozen=True)
class _BitFields:
    """How a BMP packs its channels: bits of one pixel, masks of red, green, blue and alpha."""

    height: int
    width: int
    bits: int
    offset: int
    masks: tuple[int, int, int, int]
    bottom_up: bool


def read_bmp(source: Source) -> list[Stored]:
    """The image of a BMP file."""
    data = source.read()
    fields = _bit_fields(data)
    resolution = None
    if struct.unpack("<I", data[14:18])[0] >= 40:
        x, y = struct.unpack("<ii", data[38:46])
        resolution = Resolution.from_meter(x, y) if x > 0 and y > 0 else None
    metadata = Metadata(resolution=resolution)
    if fields is None:
        return [_stored(BmpImageFile(BytesIO(data)), metadata)]
    return [
        Stored(
            height=fields.height,
            width=fields.width,
            model="rgb",
            bits=8,
            alpha=bool(fields.masks[3]),
            decode=partial(_unpacked, data, fields),
            notes=(f"{fields.bits}-bit color, expanded",) if fields.bits < 24 else (),
            metadata=metadata,
        )
    ]


def read_gif(source: Source) -> list[Stored]:
    """The image of a GIF file; an animated one is refused."""
    data = source.read()
    width, height = struct.unpack("<HH", data[6:10])
    if width * height > _GIF_PIXELS_PER_BYTE * len(data):
        raise source.error(
            f"{width} x {height} pixels cannot come from {len(data)} bytes of GIF; the file is "
            "truncated or made to do harm",
            "copy it again from its origin",
        )
    image = GifImageFile(BytesIO(data))
    if image.is_animated:
        raise source.error("this GIF is animated", "extract its frames as images first")
    return [_stored(image, describe(comments=gif_comments(data)).metadata)]


def _stored(image: Image.Image, metadata: Metadata) -> Stored:
    mode, notes = image.mode, []
    if mode == "1":
        notes.append("expanded from 1 bit")
    elif mode == "P":
        mode = "RGBA" if "transparency" in image.info else "RGB"
        notes.append("palette, expanded to RGB")
    wanted = "L" if mode == "1" else mode

    def decode() -> NDArray[Any]:
        return np.asarray(image.convert(wanted))

    return Stored(
        height=image.height,
        width=image.width,
        model="gray" if wanted == "L" else "rgb",
        bits=8,
        alpha=wanted == "RGBA",
        decode=decode,
        notes=tuple(notes),
        metadata=metadata,
    )


def write(file: BinaryIO, pixels: NDArray[Any], metadata: Metadata, _xmp: bytes | None) -> None:
    """Write RGB codes ``(H, W, 3)``, uint8, as BMP, which holds no other metadata than dpi."""
    options: dict[str, Any] = {}
    if dpi := metadata.resolution and metadata.resolution.per_inch():
        options["dpi"] = dpi
    Image.fromarray(pixels).save(file, "BMP", **options)


def _bit_fields(data: bytes) -> _BitFields | None:
    """The layout of a BMP of 16 or 32 bits with masks; None for the others."""
    offset, header, width, height, _planes, bits, compression = struct.unpack(
        "<IIiiHHI", data[10:34].ljust(24, b"\0")
    )
    if bits not in (16, 32) or header < 40:
        return None
    if compression in (_BIT_FIELDS, _ALPHA_BIT_FIELDS):
        given = struct.unpack("<4I", data[54:70])
        has_alpha = compression == _ALPHA_BIT_FIELDS or header >= 56
        masks = (*given[:3], given[3] if has_alpha else 0)
    elif compression == 0 and bits == 16:
        masks = _MASKS_OF_16_BITS
    else:
        return None
    return _BitFields(abs(height), width, bits, offset, masks, bottom_up=height > 0)


def _unpacked(data: bytes, fields: _BitFields) -> NDArray[Any]:
    stride = (fields.width * fields.bits + 31) // 32 * 4
    size = stride * fields.height
    if len(data) < fields.offset + size:
        raise EOFError("the file is truncated")
    rows = np.frombuffer(data, np.uint8, size, fields.offset).reshape(fields.height, stride)
    bytes_per_pixel = fields.bits // 8
    pixels = np.ascontiguousarray(rows[:, : fields.width * bytes_per_pixel])
    packed = pixels.view(f"<u{bytes_per_pixel}")
    masks = fields.masks if fields.masks[3] else fields.masks[:3]
    result = np.dstack([_channel(packed, mask) for mask in masks])
    return result[::-1] if fields.bottom_up else result


def _channel(packed: NDArray[Any], mask: int) -> NDArray[np.uint8]:
    """The channel that a mask selects, stretched to 8 bits."""
    if not mask:
        return np.zeros(packed.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    top = mask >> shift
    kind = packed.dtype.type
    values: NDArray[Any] = (packed & kind(mask)) >> kind(shift)
    stretched = values if top == 255 else np.rint(values * (255 / top))
    return np.asarray(stretched, np.uint8)

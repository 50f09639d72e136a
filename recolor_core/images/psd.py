"""The merged image of a Photoshop document (PSD and PSB).

After "Adobe Photoshop File Formats Specification". Layers are not read.
"""

import struct
from functools import partial
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from recolor_core.images import photoshop
from recolor_core.images.describing import describe
from recolor_core.images.image import Model, Stored
from recolor_core.images.source import Source
from recolor_core.images.tiff_decoding import expanded_palette, gray_of_lightness

SIGNATURE = b"8BPS"
_BITMAP, _GRAY, _INDEXED, _RGB, _CMYK, _DUOTONE, _LAB = 0, 1, 2, 3, 4, 8, 9
_MODELS: dict[int, tuple[Model, int]] = {  # and the channels that are color
    _BITMAP: ("gray", 1),
    _GRAY: ("gray", 1),
    _INDEXED: ("rgb", 1),
    _RGB: ("rgb", 3),
    _CMYK: ("cmyk", 4),
    _DUOTONE: ("gray", 1),
    _LAB: ("gray", 3),
}
_RAW, _PACKBITS = 0, 1
_VERSION_INFO = 0x0421
_LARGE = 2  # version of PSB, whose lengths are wider
_DEPTHS = (1, 8, 16, 32)


def read(source: Source) -> list[Stored]:
    """The merged image of a document."""
    data = source.read()
    version, channels, height, width, depth, mode = struct.unpack(">H6xHIIHH", data[4:26])
    if mode not in _MODELS:
        raise source.error("a Photoshop document of several single channels", "save it as RGB")
    if depth not in _DEPTHS:
        raise source.error(f"a Photoshop document of {depth} bits", "save it with 8 or 16 bits")
    colors_at, palette = 30, b""
    (size,) = struct.unpack(">I", data[26:30])
    palette = data[colors_at : colors_at + size]
    at = colors_at + size
    (size,) = struct.unpack(">I", data[at : at + 4])
    resources = data[at + 4 : at + 4 + size]
    at += 4 + size
    wide = ">Q" if version == _LARGE else ">I"
    (size,) = struct.unpack(wide, data[at : at + struct.calcsize(wide)])
    at += struct.calcsize(wide) + size
    found = photoshop.read(resources)
    info = found.get(_VERSION_INFO, b"")
    if len(info) > 4 and not info[4]:
        raise source.error(
            "this Photoshop document has no merged image",
            "save it with the option Maximize Compatibility",
        )
    model, colors = _MODELS[mode]
    if channels < colors:
        raise source.error(f"{channels} channels, {colors} are needed", "save it again")
    described = describe(exif_block=found.get(photoshop.EXIF), resources=resources or None)
    notes = ["the merged image of a Photoshop document"]
    is_lab = mode == _LAB
    if is_lab:
        notes.append("CIELAB, its lightness L* read")
    further = 0 if mode in (_BITMAP, _INDEXED) or is_lab else channels - colors
    metadata = described.metadata
    return [
        Stored(
            height=height,
            width=width,
            model=model,
            bits=16 if is_lab else max(depth, 8),
            is_float=depth == 32,
            alpha=further > 0,
            decode=partial(
                _decoded,
                source,
                data,
                at,
                version,
                (channels, height, width),
                depth,
                mode,
                palette,
                colors + (further > 0),
            ),
            white_is_zero=False,
            icc=None if is_lab else described.icc,
            orientation=described.orientation,
            notes=(*notes, *described.notes),
            metadata=metadata,
        )
    ]


def _decoded(
    source: Source,
    data: bytes,
    at: int,
    version: int,
    shape: tuple[int, int, int],
    depth: int,
    mode: int,
    palette: bytes,
    wanted: int,
) -> NDArray[Any]:
    channels, height, width = shape
    row = (width * depth + 7) // 8
    (compression,) = struct.unpack(">H", data[at : at + 2])
    at += 2
    planes = []
    if compression == _RAW:
        if len(data) < at + wanted * height * row:
            raise _truncated(source)
        for channel in range(wanted):
            start = at + channel * height * row
            planes.append(data[start : start + height * row])
    elif compression == _PACKBITS:
        kind = np.dtype(">u4" if version == _LARGE else ">u2")
        counts = np.frombuffer(data, kind, channels * height, at).astype(np.int64)
        ends = at + counts.nbytes // 8 * kind.itemsize + np.cumsum(counts)
        if ends[wanted * height - 1] > len(data):
            raise _truncated(source)
        for channel in range(wanted):
            rows = range(channel * height, (channel + 1) * height)
            lines = (data[ends[i] - counts[i] : ends[i]] for i in rows)
            planes.append(
                b"".join(bytes(imagecodecs.packbits_decode(line, out=row)) for line in lines)
            )
    else:
        raise source.error(
            "the merged image of this Photoshop document is compressed by zip, which is not "
            "supported",
            "save it again from Photoshop",
        )
    if any(len(plane) < height * row for plane in planes):
        raise _truncated(source)
    return _samples(planes, (height, width), row, depth, mode, palette)


def _samples(
    planes: list[bytes], size: tuple[int, int], row: int, depth: int, mode: int, palette: bytes
) -> NDArray[Any]:
    height, width = size
    if depth == 1:
        bits = np.unpackbits(
            np.frombuffer(planes[0], np.uint8, height * row).reshape(height, row), 1
        )
        return (1 - bits[:, :width]) * np.uint8(255)  # 1 is black
    kind = {8: "u1", 16: ">u2", 32: ">f4"}[depth]
    stack = [np.frombuffer(plane, kind, height * width).reshape(size) for plane in planes]
    pixels = np.dstack(stack).astype(np.dtype(kind).newbyteorder("="))
    if mode == _INDEXED:
        colors = np.frombuffer(palette, np.uint8, 768).reshape(3, 256).astype(np.uint16) * 257
        return expanded_palette(pixels[..., 0], colors)
    if mode == _LAB:
        return gray_of_lightness(pixels)
    if mode == _CMYK:  # 0 is full ink
        pixels[..., :4] = (1.0 if depth == 32 else np.iinfo(pixels.dtype).max) - pixels[..., :4]
    return pixels


def _truncated(source: Source) -> Exception:
    return source.error("the file is truncated: pixels are missing", "copy it from its origin")

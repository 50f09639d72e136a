"""JPEG XL: header after ISO/IEC 18181-1 annex D, boxes after -2, pixels by libjxl."""

from dataclasses import dataclass

import imagecodecs
import numpy as np

from recolor_core.images.claims import (
    JXL_SIGNATURE,
    Bits,
    isobmff_boxes,
    jxl_codestream,
    jxl_size_header,
)
from recolor_core.images.describing import describe
from recolor_core.images.image import LINEAR, Stored
from recolor_core.images.source import Source
from recolor_core.lab import ColorSpace, ToneCurve

_HEADER_BYTES = 4096
_ALPHA = 0
_RGB, _GRAY = 0, 1
_CUSTOM_WHITE, _CUSTOM_PRIMARIES, _D65, _SRGB_PRIMARIES = 2, 2, 1, 1
_LINEAR_CURVE, _SRGB_CURVE = 8, 13
_METADATA_LIMIT = 16 << 20


@dataclass
class _Header:
    height: int = 0
    width: int = 0
    bits: int = 8
    is_float: bool = False
    turned: bool = False
    animated: bool = False
    extra: tuple[int, ...] = ()
    premultiplied: bool = False
    lossy: bool = True
    is_gray: bool = False
    space: ColorSpace | None = None
    foreign: bool = False  # colors that are neither sRGB nor named by `space`


def read(source: Source) -> list[Stored]:
    """The image of a JPEG XL file; an animated one is refused."""
    data = source.read()
    header = _header(Bits(jxl_codestream(data)[2:_HEADER_BYTES]))
    if header.animated:
        raise source.error("this JPEG XL is animated", "extract its frames as images first")
    if any(kind != _ALPHA for kind in header.extra) or len(header.extra) > 1:
        raise source.error(
            "this JPEG XL has channels beside color and alpha", "convert it to PNG or TIFF"
        )
    boxes: dict[bytes, bytes] = {}
    if not data.startswith(JXL_SIGNATURE):
        for kind, body in isobmff_boxes(data):
            if kind == b"brob" and body[:4] in (b"Exif", b"xml "):
                kind, body = body[:4], _decompressed(body[4:])
            boxes.setdefault(kind, body)
    block = boxes.get(b"Exif")
    described = describe(
        exif_block=block[4 + int.from_bytes(block[:4], "big") :] if block else None,
        xmp_packet=boxes.get(b"xml "),
        premultiplied=header.premultiplied,
    )
    notes = list(described.notes)
    if header.foreign:
        notes.append("its color space is taken as sRGB")
    height, width = header.height, header.width
    if header.turned:  # libjxl turns the pixels
        height, width = width, height
    return [
        Stored(
            height=height,
            width=width,
            model="gray" if header.is_gray else "rgb",
            bits=header.bits,
            is_float=header.is_float,
            alpha=bool(header.extra),
            decode=lambda: np.asarray(imagecodecs.jpegxl_decode(data)),
            space=header.space,
            lossy=header.lossy,
            notes=notes,
            metadata=described.metadata,
        )
    ]


def _decompressed(body: bytes) -> bytes:
    try:
        return bytes(imagecodecs.brotli_decode(body, out=_METADATA_LIMIT))
    except (RuntimeError, ValueError):
        return b"damaged"


def _header(bits: Bits) -> _Header:
    header = _Header()
    header.height, header.width = jxl_size_header(bits)
    if bits.take(1):  # everything as by default: 8 bits, sRGB, lossy
        return header
    if bits.take(1):
        header.turned = bits.take(3) >= 4
        if bits.take(1):
            jxl_size_header(bits)
        if bits.take(1):
            _skip_preview(bits)
        header.animated = bool(bits.take(1))
        if header.animated:
            return header
    header.bits, header.is_float = _depth(bits)
    bits.take(1)
    count = bits.choice((0, 0), (1, 0), (2, 4), (1, 12))
    kinds = []
    for _ in range(count):
        kind, premultiplied = _extra_channel(bits)
        kinds.append(kind)
        header.premultiplied |= premultiplied
    header.extra = tuple(kinds)
    header.lossy = bool(bits.take(1))  # XYB
    if not bits.take(1):
        _color(bits, header)
    return header


def _skip_preview(bits: Bits) -> None:
    eighths = bits.take(1)
    sides = (
        ((16, 0), (32, 0), (1, 5), (33, 9)) if eighths else ((1, 6), (65, 8), (321, 10), (1345, 12))
    )
    bits.choice(*sides)
    if not bits.take(3):
        bits.choice(*sides)


def _depth(bits: Bits) -> tuple[int, bool]:
    if bits.take(1):
        size = bits.choice((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)
        return size, True
    return bits.choice((8, 0), (10, 0), (12, 0), (1, 6)), False


def _enum(bits: Bits) -> int:
    return bits.choice((0, 0), (1, 0), (2, 4), (18, 6))


def _extra_channel(bits: Bits) -> tuple[int, bool]:
    if bits.take(1):  # alpha of 8 bits
        return _ALPHA, False
    kind = _enum(bits)
    _depth(bits)
    bits.choice((0, 0), (3, 0), (4, 0), (1, 3))
    name = bits.choice((0, 0), (0, 4), (16, 5), (48, 10))
    bits.take(8 * name)
    if kind == _ALPHA:
        return kind, bool(bits.take(1))
    return kind, False


def _color(bits: Bits, header: _Header) -> None:
    """The color encoding. Custom white points and primaries, and profiles, are not read."""
    profile = bool(bits.take(1))
    space = _enum(bits)
    header.is_gray = space == _GRAY
    header.foreign = profile or space not in (_RGB, _GRAY)
    if header.foreign:
        return
    white = _enum(bits)
    if white == _CUSTOM_WHITE:
        header.foreign = True
        return
    primaries = _SRGB_PRIMARIES if header.is_gray else _enum(bits)
    if primaries == _CUSTOM_PRIMARIES:
        header.foreign = True
        return
    if bits.take(1):
        gamma = bits.take(24) * 1e-7
        header.space = ColorSpace(f"gamma {gamma:g}", ToneCurve(1 / gamma, a=1, b=0, c=0, d=0))
    else:
        curve = _enum(bits)
        header.space = LINEAR if curve == _LINEAR_CURVE else None
        header.foreign = curve not in (_LINEAR_CURVE, _SRGB_CURVE)
    header.foreign |= white != _D65 or primaries != _SRGB_PRIMARIES

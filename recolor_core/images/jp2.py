"""JPEG 2000: boxes after ISO/IEC 15444-1 annex I, pixels by OpenJPEG."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from io import BytesIO
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from recolor_core.images.claims import J2K_SIGNATURE as CODESTREAM_SIGNATURE
from recolor_core.images.claims import JP2_SIGNATURE as BOX_SIGNATURE
from recolor_core.images.claims import isobmff_boxes
from recolor_core.images.describing import describe
from recolor_core.images.image import Metadata, Model, Resolution, Stored, contiguous
from recolor_core.images.source import Source

_XMP_UUID = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")  # XMP specification part 3
_EXIF_UUID = b"JpgTiffExif->JP2"
_IPTC_UUID = bytes.fromhex("33C7A4D2B81D4723A0BAF1A3E097AD38")
_SIZ, _COD, _COMMENT = 0xFF51, 0xFF52, 0xFF64
_LATIN = b"\0\1"  # kind of a comment
_OWN_COMMENT = b"Created by OpenJPEG"  # of the codec, which writes it into the result, too
_REVERSIBLE_WAVELET = 1
_CMYK_SPACE, _PLAIN = 12, {12, 16, 17}  # enumerated color spaces CMYK, sRGB and gray
_MAX_DEPTH = 16
_YCBCR = ("Y", "Cb", "Cr")


@dataclass(frozen=True)
class _Codestream:
    height: int
    width: int
    bits: tuple[int, ...]
    signed: bool
    subsampled: bool
    lossless: bool
    comments: tuple[bytes, ...]


def read(source: Source) -> list[Stored]:
    """The image of a JPEG 2000 file or bare codestream."""
    data = source.read()
    boxes = {} if data.startswith(CODESTREAM_SIGNATURE) else _boxes(data)
    stream = _codestream(data if not boxes else boxes[b"jp2c"])
    if stream.signed:
        raise source.error("this JPEG 2000 has signed samples", "convert it to unsigned ones")
    if max(stream.bits) > _MAX_DEPTH:
        raise source.error(
            f"this JPEG 2000 has {max(stream.bits)}-bit samples", "convert it to 16 bits"
        )
    header = _boxes(boxes.get(b"jp2h", b""), 0)
    icc, enumerated = _color(header.get(b"colr", b""))
    is_cmyk = enumerated == _CMYK_SPACE or (icc or b"")[16:20] == b"CMYK"
    channels = len(stream.bits)
    plain = not stream.subsampled and len(set(stream.bits)) == 1 and b"pclr" not in header
    plain &= enumerated in _PLAIN | {None} and channels <= 4 + is_cmyk
    if not plain and max(stream.bits) > 8:
        raise source.error(
            "this JPEG 2000 has more than 8 bits in channels of different sizes, or in a color "
            "model that is not supported at this depth",
            "convert it to gray or RGB with equal channels",
        )
    if stream.subsampled and channels != len(_YCBCR):
        raise source.error(
            "this JPEG 2000 has subsampled channels that are not those of YCbCr",
            "convert it to gray or RGB with equal channels",
        )
    described = describe(
        resolution=_resolution(_boxes(header.get(b"res ", b""), 0)),
        icc=icc,
        exif_block=boxes.get(_EXIF_UUID),
        xmp_packet=boxes.get(_XMP_UUID),
        iptc_block=boxes.get(_IPTC_UUID),
        comments=stream.comments,
    )
    model: Model
    decode: Callable[[], NDArray[Any]]
    notes: tuple[str, ...]
    if plain:
        if is_cmyk and channels >= 4:
            model, alpha = "cmyk", channels == 5
        else:
            model, alpha = ("gray" if channels < 3 else "rgb"), channels in (2, 4)
        decode, notes = partial(imagecodecs.jpeg2k_decode, data), ()
    else:
        # The plugin itself, not Image.open: that has its own limit of pixels, which is global.
        image = Jpeg2KImageFile(BytesIO(data))
        if image.size != (stream.width, stream.height):  # Pillow would make what the box claims
            raise source.error(
                f"its header states {image.size[0]} x {image.size[1]} pixels, its codestream "
                f"{stream.width} x {stream.height}",
                "copy it again from its origin",
            )
        mode = "CMYK" if image.mode == "CMYK" else "RGBA" if "A" in image.mode else "RGB"
        model, alpha = ("cmyk" if mode == "CMYK" else "rgb"), mode == "RGBA"
        decode, notes = partial(_by_pillow, image, mode), (f"stored as {image.mode}",)
    return [
        Stored(
            height=stream.height,
            width=stream.width,
            model=model,
            bits=stream.bits[0] if plain else 8,
            alpha=alpha,
            decode=decode,
            icc=described.icc,
            orientation=described.orientation,
            lossy=not stream.lossless,
            notes=(*notes, *described.notes),
            metadata=described.metadata,
        )
    ]


def _by_pillow(image: Jpeg2KImageFile, mode: str) -> NDArray[Any]:
    return np.asarray(image.convert(mode))


def write(file: BinaryIO, pixels: NDArray[Any], metadata: Metadata, xmp: bytes | None) -> None:
    """Write RGB or RGBA codes ``(H, W, 3 or 4)``, uint8 or uint16, without loss."""
    pixels = contiguous(pixels)
    boxes = _boxes(
        bytes(imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat="jp2"))
    )
    codec_header = _boxes(boxes[b"jp2h"], 0)
    color = b"\2\0\0" + metadata.icc if metadata.icc else codec_header[b"colr"]
    header = _box(b"ihdr", codec_header[b"ihdr"]) + _box(b"colr", color)
    if pixels.shape[-1] == 4:  # the fourth channel is the opacity of the whole image
        kind = 2 if metadata.premultiplied else 1
        header += _box(b"cdef", struct.pack(">13H", 4, 0, 0, 1, 1, 0, 2, 2, 0, 3, 3, kind, 0))
    if metadata.resolution and metadata.resolution.unit != "none":
        header += _box(b"res ", _box(b"resc", _capture(metadata.resolution)))
    file.write(BOX_SIGNATURE + _box(b"ftyp", b"jp2 \0\0\0\0jp2 ") + _box(b"jp2h", header))
    if metadata.exif:
        file.write(_box(b"uuid", _EXIF_UUID + metadata.exif))
    if xmp:
        file.write(_box(b"uuid", _XMP_UUID + xmp))
    file.write(_box(b"jp2c", boxes[b"jp2c"]))


def _boxes(data: bytes, at: int = len(BOX_SIGNATURE)) -> dict[bytes, bytes]:
    """The first box of every type; a uuid box under its uuid."""
    boxes: dict[bytes, bytes] = {}
    for kind, body in isobmff_boxes(data, at):
        if kind == b"uuid":
            kind, body = body[:16], body[16:]
        boxes.setdefault(kind, body)
    return boxes


def _box(kind: bytes, body: bytes) -> bytes:
    length = len(body) + 8
    if length < 1 << 32:
        return struct.pack(">I4s", length, kind) + body
    return struct.pack(">I4sQ", 1, kind, length + 8) + body


def _codestream(data: bytes) -> _Codestream:
    at, size, lossless, comments = 2, None, False, []
    while at + 4 <= len(data):
        marker, length = struct.unpack(">HH", data[at : at + 4])
        if marker not in range(0xFF50, 0xFF90):  # the main header is over
            break
        body = data[at + 4 : at + 2 + length]
        if marker == _SIZ:
            size = body
        elif marker == _COD:
            lossless = body[9] == _REVERSIBLE_WAVELET
        elif marker == _COMMENT and body.startswith(_LATIN):
            comments.append(body[len(_LATIN) :])
        at += 2 + length
    if size is None:
        raise ValueError("no SIZ marker")
    width, height, left, top = struct.unpack(">4I", size[2:18])
    (count,) = struct.unpack(">H", size[34:36])
    components = [tuple(size[36 + 3 * index : 39 + 3 * index]) for index in range(count)]
    return _Codestream(
        height - top,
        width - left,
        tuple((depth & 0x7F) + 1 for depth, _, _ in components),
        signed=any(depth & 0x80 for depth, _, _ in components),
        subsampled=any((x, y) != (1, 1) for _, x, y in components),
        lossless=lossless,
        comments=tuple(text for text in comments if not text.startswith(_OWN_COMMENT)),
    )


def _color(body: bytes) -> tuple[bytes | None, int | None]:
    """The ICC profile and the enumerated color space of a colr box."""
    if body[:1] == b"\1":
        return None, int(struct.unpack(">I", body[3:7])[0])
    return (body[3:] or None), None


def _resolution(boxes: dict[bytes, bytes]) -> Resolution | None:
    body = boxes.get(b"resc") or boxes.get(b"resd")
    if not body:
        return None
    y_top, y_bottom, x_top, x_bottom, y_power, x_power = struct.unpack(">4H2b", body[:10])
    if not (y_top and y_bottom and x_top and x_bottom):
        return None
    per_meter = Fraction(1, 100)  # of a centimeter
    return Resolution(
        Fraction(x_top, x_bottom) * Fraction(10) ** x_power * per_meter,
        Fraction(y_top, y_bottom) * Fraction(10) ** y_power * per_meter,
        "cm",
    )


def _capture(resolution: Resolution) -> bytes:
    scale = Fraction(100) if resolution.unit == "cm" else Fraction(10000, 254)
    (y_top, y_bottom, y_power), (x_top, x_bottom, x_power) = (
        _of_16_bits(value * scale) for value in (resolution.y, resolution.x)
    )
    return struct.pack(">4H2b", y_top, y_bottom, x_top, x_bottom, y_power, x_power)


def _of_16_bits(value: Fraction) -> tuple[int, int, int]:
    """Numerator, denominator and power of ten of a number, as exactly as 16 bits allow."""
    power = 0
    while value > 65535:
        value, power = value / 10, power + 1
    value = value.limit_denominator(int(65535 / max(Fraction(1), value)))
    return value.numerator, value.denominator, power

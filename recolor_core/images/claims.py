"""The size that an encoded stream claims, read from its header without decoding anything.

JPEG after ITU T.81, PNG after ISO/IEC 15948, WebP after RFC 9649, JPEG 2000 after ISO/IEC 15444-1,
JPEG XL after ISO/IEC 18181-1 and -2.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

JPEG_SIGNATURE = b"\xff\xd8"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JP2_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
J2K_SIGNATURE = b"\xff\x4f\xff\x51"
JXL_SIGNATURE = b"\xff\x0a"
JXL_BOX_SIGNATURE = b"\0\0\0\x0cJXL \r\n\x87\n"

_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF markers; the others are tables
_STANDALONE = {0x01, *range(0xD0, 0xD8)}
SCAN = 0xDA
_WEBP_ALPHA = 0x10
_JXL_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


@dataclass(frozen=True)
class Frame:
    """The contents of the frame header (SOF) of a JPEG."""

    marker: int
    bits: int
    height: int
    width: int
    components: int


def size_of(data: bytes) -> tuple[int, int] | None:
    """Height and width that a stream claims.

    Parameters
    ----------
    data
        An encoded JPEG, PNG, WebP, JPEG 2000 or JPEG XL.

    Returns
    -------
    tuple of int or None
        None if the format is not one of these, or the header is damaged.
    """
    try:
        if data.startswith(JPEG_SIGNATURE):
            frames = [frame for _, frame in segments_of_jpeg(data) if isinstance(frame, Frame)]
            # A second frame header is an attack on those who read the first one only.
            return (max(f.height for f in frames), max(f.width for f in frames)) if frames else None
        if data.startswith(PNG_SIGNATURE):
            width, height = struct.unpack(">II", data[16:24])
            return height, width
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            height, width, _ = webp_header(webp_chunks(data))
            return height, width
        if data.startswith(J2K_SIGNATURE):
            return _codestream_size(data)
        if data.startswith(JP2_SIGNATURE):
            return _codestream_size(data[data.index(J2K_SIGNATURE) :])
        if data.startswith((JXL_SIGNATURE, JXL_BOX_SIGNATURE)):
            return _jxl_size(jxl_codestream(data))
    except (struct.error, ValueError, IndexError, KeyError):
        return None
    return None


def segments_of_jpeg(data: bytes) -> Iterator[tuple[slice, "Frame | tuple[int, bytes]"]]:
    """The place of every segment up to the first scan, and what it holds: marker and body.

    Bytes between the segments are left out.

    Raises
    ------
    struct.error
        If a frame header ends early.
    """
    at = len(JPEG_SIGNATURE)
    while at + 4 <= len(data):
        marker = data[at + 1]
        if data[at] != 0xFF or marker in (0xFF, 0):  # fill bytes, or damage: as libjpeg skips them
            at += 1
            continue
        if marker in _STANDALONE:
            at += 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : end]
        place = slice(at, end)
        if marker in _FRAMES:
            bits, height, width, components = struct.unpack(">BHHB", body[:6])
            yield place, Frame(marker, bits, height, width, components)
        else:
            yield place, (marker, body)
        if marker == SCAN:
            return
        at = end


def webp_chunks(data: bytes) -> dict[bytes, bytes]:
    """The first chunk of every kind."""
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack("<4sI", data[at : at + 8])
        chunks.setdefault(kind, data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    return chunks


def webp_header(chunks: dict[bytes, bytes]) -> tuple[int, int, bool]:
    """Height, width, and whether there is alpha; of canvas and bitstream, the larger size."""
    alpha, sizes = False, []
    if b"VP8L" in chunks:  # a signature byte, then 14 + 14 bits of size less one, 1 bit of alpha
        packed = int.from_bytes(chunks[b"VP8L"][1:5], "little")
        sizes.append(((packed >> 14 & 0x3FFF) + 1, (packed & 0x3FFF) + 1))
        alpha = bool(packed >> 28 & 1)
    elif b"VP8 " in chunks:  # RFC 6386, 9.1: after frame tag and start code, two 14-bit sizes
        width, height = (value & 0x3FFF for value in struct.unpack("<HH", chunks[b"VP8 "][6:10]))
        sizes.append((height, width))
    if b"VP8X" in chunks:
        canvas = chunks[b"VP8X"]
        width, height = (int.from_bytes(canvas[at : at + 3], "little") + 1 for at in (4, 7))
        sizes.append((height, width))
        alpha = bool(canvas[0] & _WEBP_ALPHA)
    return max(height for height, _ in sizes), max(width for _, width in sizes), alpha


def _codestream_size(data: bytes) -> tuple[int, int]:
    right, bottom, left, top = struct.unpack(">4I", data[8:24])
    return bottom - top, right - left


def jxl_codestream(data: bytes) -> bytes:
    """The first bytes of the codestream of a JPEG XL file: its header is in them."""
    if data.startswith(JXL_SIGNATURE):
        return data
    for kind, body in isobmff_boxes(data):
        if kind == b"jxlc":
            return body
        if kind == b"jxlp":  # a part, after its number
            return body[4:]
    raise ValueError("no codestream")


def isobmff_boxes(data: bytes, at: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of every box of an ISO base media file, on one level."""
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        head = 8
        if length == 1:
            length, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif length == 0:  # to the end
            length = len(data) - at
        if length < head:
            return
        yield kind, data[at + head : at + length]
        at += length


def gif_comments(data: bytes) -> list[bytes]:
    """The comments of a GIF file (GIF89a, 24); what follows damage is left out."""
    comments: list[bytes] = []
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while at < len(data):
        if data[at] == 0x2C and at + 10 < len(data):  # an image: its palette, then its code size
            local = data[at + 9]
            at += 11 + (3 << (local & 7) + 1 if local & 0x80 else 0)
            label = None
        elif data[at] == 0x21 and at + 1 < len(data):
            label = data[at + 1]
            at += 2
        else:
            break
        body = b""
        while at < len(data) and data[at]:
            body += data[at + 1 : at + 1 + data[at]] if label == 0xFE else b""
            at += 1 + data[at]
        at += 1
        if body:
            comments.append(body)
    return comments


class Bits:
    """Bits of a byte string, the least significant one first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """The next `count` bits; ValueError if there are not so many."""
        self._left -= count
        if self._left < 0:
            raise ValueError("the header ends early")
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        return value

    def choice(self, *options: tuple[int, int]) -> int:
        """JPEG XL's U32: two bits choose a (constant, number of further bits) to add."""
        constant, count = options[self.take(2)]
        return constant + self.take(count)


def _jxl_size(data: bytes) -> tuple[int, int]:
    return jxl_size_header(Bits(data[2:64]))


def jxl_size_header(bits: Bits) -> tuple[int, int]:
    """Height and width of a JPEG XL codestream; `bits` begins after its signature."""
    small = bits.take(1)

    def side() -> int:
        if small:
            return (bits.take(5) + 1) * 8
        return bits.choice((1, 9), (1, 13), (1, 18), (1, 30))

    height = side()
    ratio = bits.take(3)
    if not ratio:
        return height, side()
    numerator, denominator = _JXL_RATIOS[ratio]
    return height, height * numerator // denominator

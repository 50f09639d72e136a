"""PBM, PGM, PPM and PAM, after the format descriptions of Netpbm."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.images.describing import describe
from recolor_core.images.image import Stored
from recolor_core.images.source import Source

_TOKEN = re.compile(rb"(?:\s+|#[^\n\r]*[\n\r])*([^\s#]+)")
_COMMENT = re.compile(rb"#([^\n\r]*)")
_CHANNELS = {b"P1": 1, b"P2": 1, b"P3": 3, b"P4": 1, b"P5": 1, b"P6": 3}
_PLAIN = {b"P1", b"P2", b"P3"}
_BITMAPS = {b"P1", b"P4"}
_PAM_TYPES = {1: b"GRAYSCALE", 2: b"GRAYSCALE_ALPHA", 3: b"RGB", 4: b"RGB_ALPHA"}
_HEADER_BYTES = 1 << 16
_LARGEST_VALUE = 65535


@dataclass(frozen=True)
class _Header:
    magic: bytes
    height: int
    width: int
    channels: int
    largest: int
    start: int  # of the pixels
    comments: tuple[bytes, ...]


def read(source: Source) -> list[Stored]:
    """The image of a PNM file; of several the first."""
    data = source.read()
    header = _pam_header(data) if data.startswith(b"P7") else _header(data)
    if not 0 < header.largest <= _LARGEST_VALUE:
        raise source.error(
            f"its largest value is {header.largest:,}, 1 to {_LARGEST_VALUE:,} are allowed",
            "save it again",
        )
    if header.channels not in _PAM_TYPES:
        raise source.error(f"a PAM of {header.channels} channels", "save it as gray or RGB")
    described = describe(comments=header.comments)
    deep = header.largest > 255
    notes = []
    if header.magic in _BITMAPS:
        notes.append("expanded from 1 bit")
    elif header.largest not in (255, _LARGEST_VALUE):
        notes.append(f"stretched from 0 to {header.largest}")
    return [
        Stored(
            height=header.height,
            width=header.width,
            model="gray" if header.channels < 3 else "rgb",
            bits=16 if deep else 8,
            alpha=header.channels in (2, 4),
            decode=partial(_decoded, source, data, header),
            notes=notes,
            metadata=described.metadata,
        )
    ]


def _header(data: bytes) -> _Header:
    magic, at, numbers = data[:2], 2, []
    for _ in range(2 if magic in _BITMAPS else 3):
        match = _TOKEN.match(data, at, _HEADER_BYTES)
        if match is None:
            raise ValueError("the header ends early")
        numbers.append(int(match[1]))
        at = match.end()
    width, height, largest = (*numbers, 1)[:3]
    comments = tuple(_COMMENT.findall(data[:at]))
    return _Header(magic, height, width, _CHANNELS[magic], largest, at + 1, comments)


def _pam_header(data: bytes) -> _Header:
    end = data.index(b"ENDHDR", 0, _HEADER_BYTES)
    fields: dict[bytes, bytes] = {}
    comments = []
    for line in data[2:end].splitlines():
        if line.startswith(b"#"):
            comments.append(line[1:])
            continue
        name, _, value = line.strip().partition(b" ")
        fields.setdefault(name, value.strip())
    width, height, channels, largest = (
        int(fields[name]) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")
    )
    start = data.index(b"\n", end) + 1
    return _Header(b"P7", height, width, channels, largest, start, tuple(comments))


def _decoded(source: Source, data: bytes, header: _Header) -> NDArray[Any]:
    shape = (header.height, header.width, header.channels)
    count = header.height * header.width * header.channels
    deep = header.largest > 255
    values: NDArray[Any]
    if header.magic == b"P4":
        stride = -(-header.width // 8)
        packed = _bytes(source, data, header.start, np.dtype(np.uint8), header.height * stride)
        bits = np.unpackbits(packed.reshape(header.height, stride), axis=1)
        values = 1 - bits[:, : header.width, None]
    elif header.magic == b"P1":
        digits = re.sub(rb"\s+|#[^\n\r]*", b"", data[header.start - 1 :])[:count]
        if len(digits) < count:
            raise _truncated(source)
        values = 1 - (np.frombuffer(digits, np.uint8) - ord("0")).reshape(shape)
    elif header.magic in _PLAIN:
        words = re.sub(rb"#[^\n\r]*", b"", data[header.start - 1 :]).split(None, count)[:count]
        if len(words) < count:
            raise _truncated(source)
        values = np.array(words, dtype="S5").astype(np.uint16).reshape(shape)
    else:
        kind = np.dtype(">u2" if deep else np.uint8)
        values = _bytes(source, data, header.start, kind, count).reshape(shape)
    if int(values.max()) > header.largest:
        raise ValueError("a value is larger than the largest")
    full = 65535 if deep else 255
    if header.largest == full:
        return values.astype(np.uint16 if deep else np.uint8, copy=False)
    table = (np.arange(header.largest + 1, dtype=np.uint32) * full + header.largest // 2) // (
        header.largest
    )
    return table.astype(np.uint16 if deep else np.uint8)[values]


def _bytes(
    source: Source, data: bytes, start: int, kind: np.dtype[Any], count: int
) -> NDArray[Any]:
    if len(data) < start + count * kind.itemsize:
        raise _truncated(source)
    return np.frombuffer(data, kind, count, start)


def _truncated(source: Source) -> Exception:
    return source.error("the file is truncated: pixels are missing", "copy it from its origin")

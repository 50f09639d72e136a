"""Write the pixel aspect ratio into Matroska files, for which PyAV has no call (RFC 9559)."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

_SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_PATH = (_SEGMENT, _TRACKS, _TRACK, _VIDEO)
_INDEX, _SEEK, _POSITION, _CLUSTER = 0x114D9B74, 0x4DBB, 0x53AC, 0x1F43B675
_CRC, _VOID = 0xBF, 0xEC
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
_LONGEST_HEADER = 1 << 24  # bytes; covers and fonts come after the tracks


@dataclass(frozen=True)
class _Element:
    id: int
    start: int
    content: int
    end: int


def set_pixel_aspect(file: BinaryIO, size: tuple[int, int], aspect: Fraction) -> bool:
    """Write the display size of the first video track of a Matroska file, in place.

    The bytes come from the padding that FFmpeg leaves behind the index of the header; what lies
    between it and the track moves there.

    Parameters
    ----------
    file : BinaryIO
        The complete file, open for reading and writing; its position changes.
    size : tuple of int
        Width and height of the video in pixels.
    aspect : Fraction
        The width of a pixel divided by its height.

    Returns
    -------
    bool
        Whether it was written; False if there is no room.
    """
    file.seek(0)
    data = bytearray(file.read(_LONGEST_HEADER))
    path = [_find(data, _PATH[: depth + 1]) for depth in range(len(_PATH))]
    index, padding = _find(data, (_SEGMENT, _INDEX)), _find(data, (_SEGMENT, _VOID))
    if None in path or index is None or padding is None:
        return False
    segment, *parents, video = (element for element in path if element)
    width, height = size[0] * aspect, Fraction(size[1])
    if width.denominator != 1:  # whole numbers of the same ratio
        width, height = width * width.denominator, height * width.denominator
    display = {_DISPLAY_WIDTH: int(width), _DISPLAY_HEIGHT: int(height)}
    kept = b"".join(
        data[e.start : e.end]
        for e in _elements(data, video.content, video.end)
        if e.id not in (*display, _DISPLAY_UNIT)
    )
    new = _element(
        _VIDEO, kept + b"".join(_element(key, _number(value)) for key, value in display.items())
    )
    room = len(new) - (video.end - video.start)
    left = padding.end - padding.start - room
    if left < 2 or padding.start > video.start or room < 0:
        return False
    for parent in parents:
        _, start, _ = _variable(data, parent.start)
        _, _, length = _variable(data, start)
        data[start : parent.content] = _size(length + room, parent.content - start)
    for entry in _elements(data, index.content, index.end):
        place = next(
            (e for e in _elements(data, entry.content, entry.end) if e.id == _POSITION), None
        )
        if entry.id == _SEEK and place is not None:
            where = int.from_bytes(data[place.content : place.end], "big")
            if padding.end <= segment.content + where <= video.start:
                where -= room
            data[place.content : place.end] = where.to_bytes(place.end - place.content, "big")
    data[padding.start : video.end] = _void(left) + data[padding.end : video.start] + new
    tracks = parents[0]
    for start, end in ((index.content, index.end), (tracks.content - room, tracks.end)):
        first = next(_elements(data, start, end))
        if first.id == _CRC:
            checksum = zlib.crc32(data[first.end : end])
            data[first.content : first.end] = checksum.to_bytes(4, "little")
    file.seek(0)
    file.write(data)
    return True


def _find(data: bytearray, path: tuple[int, ...]) -> _Element | None:
    found: _Element | None = None
    start, end = 0, len(data)
    for id in path:
        found = next((e for e in _elements(data, start, end) if e.id == id), None)
        if found is None:
            return None
        start, end = found.content, min(found.end, len(data))
    return found


def _elements(data: bytearray, start: int, end: int) -> Iterator[_Element]:
    while start < end:
        id, content, _ = _variable(data, start)
        _, content, size = _variable(data, content)
        stop = content + size
        yield _Element(id, start, content, stop)
        if id == _CLUSTER:
            return
        start = stop


def _variable(data: bytearray, start: int) -> tuple[int, int, int]:
    """A number of variable length: with its marker, where it ends, and without its marker."""
    length = 9 - data[start].bit_length()
    raw = int.from_bytes(data[start : start + length], "big")
    return raw, start + length, raw & ~(1 << (7 * length))


def _number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")


def _size(value: int, length: int) -> bytes:
    return (value | 1 << (7 * length)).to_bytes(length, "big")


def _element(id: int, content: bytes) -> bytes:
    return _number(id) + _size(len(content), 1 if len(content) < 127 else 4) + content


def _void(length: int) -> bytes:
    """Padding of 2 bytes or more."""
    size = 1 if length < 9 else 8
    return _number(_VOID) + _size(length - 1 - size, size) + bytes(length - 1 - size)

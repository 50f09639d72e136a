"""EXIF without loss: entries are kept as raw bytes, so that nothing changes type or precision.

EXIF is a TIFF structure: a header, then directories (IFD) of entries. The layout follows TIFF 6.0
and CIPA DC-008 (Exif 2.32); BigTIFF widens counts and offsets to 64 bits.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np

from recolor_core.images.image import Resolution, ResolutionUnit
from recolor_core.images.limits import MAX_EXIF_BYTES

ByteOrder = Literal["<", ">"]
Read = Callable[[int, int], bytes]
"""Gives n bytes from an offset."""

ORIENTATION = 0x0112
EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD = 0x8769, 0x8825, 0xA005
_POINTERS = (EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD)
_PIXEL_X, _PIXEL_Y = 0xA002, 0xA003
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0201, 0x0202

# Bytes of one value by type, and of the numbers that a value consists of (a rational is two).
_SIZE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZE |= {16: 8, 17: 8, 18: 8}
_WORD = _SIZE | {5: 4, 10: 4}
_LONG = 4
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_UNITS: dict[int, ResolutionUnit] = {1: "none", 2: "inch", 3: "cm"}


@dataclass(frozen=True)
class Entry:
    """One entry of a directory: its type, its raw value, and where the value lies."""

    type: int
    count: int
    value: bytes
    position: int = 0

    def integer(self, order: ByteOrder) -> int:
        """The (first) value as an unsigned integer."""
        size = _SIZE[self.type]
        return int.from_bytes(self.value[:size], "little" if order == "<" else "big")

    def fraction(self, order: ByteOrder) -> Fraction | None:
        """The (first) value as an exact number, or None if it is not a number."""
        return next(iter(self.fractions(order)), None)

    def fractions(self, order: ByteOrder) -> list[Fraction]:
        """The values as exact numbers, up to one that is not a number."""
        letters = {1: "B", 3: "H", 4: "I", 5: "II", 10: "ii", 11: "f", 12: "d"}.get(self.type)
        if letters is None:
            return []
        found = []
        for value in struct.iter_unpack(order + letters, self.value):
            if (len(value) > 1 and not value[1]) or not np.isfinite(value[0]):
                break
            found.append(Fraction(*value))
        return found

    def reordered(self) -> "Entry":
        """The entry in the other byte order."""
        word = _WORD[self.type]
        if word == 1:
            return self
        return replace(self, value=np.frombuffer(self.value, f"u{word}").byteswap().tobytes())


@dataclass(frozen=True)
class Directory:
    """The entries of one IFD, and the IFDs that some of them point to."""

    entries: dict[int, Entry]
    children: dict[int, "Directory"]
    following: int = 0
    following_at: int = 0

    def reordered(self) -> "Directory":
        """The directory in the other byte order."""
        return Directory(
            {code: entry.reordered() for code, entry in self.entries.items()},
            {code: child.reordered() for code, child in self.children.items()},
        )


@dataclass
class Budget:
    """How many bytes of values may still be read: entries can share one large value."""

    left: int

    def spend(self, size: int) -> None:
        """Take `size` bytes; ValueError if that is more than is left."""
        self.left -= size
        if self.left < 0:
            raise ValueError("the values of the tags are larger than the file")


def read_directory(
    read: Read,
    offset: int,
    order: ByteOrder,
    budget: Budget,
    *,
    big: bool = False,
    wanted: frozenset[int] | None = None,
    depth: int = 0,
) -> Directory:
    """The directory at an offset, and those that it points to. Damaged entries are left out.

    Parameters
    ----------
    read
        Gives bytes of the file.
    offset
        If the directory begins.
    order, big
        Byte order, and whether offsets have 64 bits (BigTIFF).
    budget
        How many bytes of values may be read.
    wanted
        Read the values of these tags only (those of child directories are all read).

    Raises
    ------
    ValueError, struct.error
        If there is no directory, or its values take more than the budget.
    """
    count_format, entry_format, pointer = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    head, inline = struct.calcsize(order + entry_format), 8 if big else 4
    start = offset + struct.calcsize(order + count_format)
    (count,) = struct.unpack(order + count_format, read(offset, start - offset))
    if not 0 < count <= 4096:
        raise ValueError(f"expected a directory of 1 to 4096 entries, got {count}")
    entries: dict[int, Entry] = {}
    children: dict[int, Directory] = {}
    for index in range(count):
        at = start + index * (head + inline)
        code, kind, number = struct.unpack(order + entry_format, read(at, head))
        if kind not in _SIZE or not (wanted is None or code in wanted or code in _POINTERS):
            continue
        size, position = _SIZE[kind] * number, at + head
        if size > inline:
            (position,) = struct.unpack(order + pointer, read(position, inline))
            budget.spend(size)
        value = read(position, size)
        if len(value) != size or not number:
            continue
        entry = Entry(kind, number, value, position)
        if code not in _POINTERS:
            # As libtiff does: of several, the first counts. After the caption, tifffile writes the
            # shape of the array with the same tag.
            entries.setdefault(code, entry)
        elif depth < 2:  # a damaged file may point to itself
            try:
                target = entry.integer(order)
                children[code] = read_directory(
                    read, target, order, budget, big=big, depth=depth + 1
                )
            except (ValueError, struct.error):
                continue
    end = start + count * (head + inline)
    following = read(end, inline)
    return Directory(
        entries,
        children,
        struct.unpack(order + pointer, following)[0] if len(following) == inline else 0,
        end,
    )


def write_directory(
    directory: Directory, offset: int, order: ByteOrder, *, big: bool = False
) -> bytes:
    """The directory as bytes that will lie at `offset`, its children behind it."""
    count_format, entry_format, pointer = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    head, inline = struct.calcsize(order + entry_format), 8 if big else 4
    codes = sorted({**directory.entries, **directory.children})
    table = struct.pack(order + count_format, len(codes))
    end = offset + len(table) + len(codes) * (head + inline) + inline
    values = b""
    for code in codes:
        if code in directory.children:
            child = write_directory(directory.children[code], end + len(values), order, big=big)
            kind, number, value = (18 if big else _LONG), 1, b""
            value = struct.pack(order + pointer, end + len(values))
            values += child
        else:
            entry = directory.entries[code]
            kind, number, value = entry.type, entry.count, entry.value
        if len(value) > inline:
            place = struct.pack(order + pointer, end + len(values))
            values += value + b"\0" * (len(value) % 2)  # values start on a word boundary
        else:
            place = value.ljust(inline, b"\0")
        table += struct.pack(order + entry_format, code, kind, number) + place
    return table + b"\0" * inline + values


def parse(exif: bytes) -> tuple[ByteOrder, Directory]:
    """Byte order and first directory of an EXIF block.

    Raises
    ------
    ValueError, struct.error
        If it is not an EXIF block.
    """
    order: ByteOrder = "<" if exif[:2] == b"II" else ">"
    if exif[:4] not in (b"II*\0", b"MM\0*"):
        raise ValueError("expected a TIFF header")
    (offset,) = struct.unpack(order + "I", exif[4:8])
    budget = Budget(len(exif))
    return order, read_directory(lambda at, size: exif[at : at + size], offset, order, budget)


def build(order: ByteOrder, directory: Directory) -> bytes:
    """The EXIF block of a directory."""
    head = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8)
    return head + write_directory(directory, 8, order)


def orientation(exif: bytes) -> int:
    """The orientation that an EXIF block states, 1 to 8; 1 if it states none."""
    order, directory = parse(exif)
    entry = directory.entries.get(ORIENTATION)
    value = entry.integer(order) if entry else 1
    return value if 1 <= value <= 8 else 1


def resolution(exif: bytes | None) -> Resolution | None:
    """The resolution that an EXIF block states, exactly; None if it states none."""
    if not exif:
        return None
    try:
        order, directory = parse(exif)
    except (ValueError, struct.error):
        return None
    return directory_resolution(directory, order)


def directory_resolution(directory: Directory, order: ByteOrder) -> Resolution | None:
    """The resolution that a TIFF directory states; in inches if it names no unit (TIFF 6.0)."""
    entries = [directory.entries.get(code) for code in (_X_RESOLUTION, _Y_RESOLUTION)]
    x, y = (entry.fraction(order) if entry else None for entry in entries)
    if not x or not y or x < 0 or y < 0:
        return None
    stated = directory.entries.get(_RESOLUTION_UNIT)
    unit = _UNITS.get(stated.integer(order), "none") if stated else "inch"
    return None if unit == "none" and x == y else Resolution(x, y, unit)


def take(block: bytes | None) -> tuple[bytes | None, int]:
    """A file's EXIF block made upright, and its orientation; None if the block is damaged."""
    if not block or len(block) > MAX_EXIF_BYTES:
        return None, 1
    block = block.removeprefix(b"Exif\0\0")
    try:
        return upright(block), orientation(block)
    except (ValueError, struct.error):
        return None, 1


def upright(exif: bytes) -> bytes:
    """The block with orientation 1, the pixel dimensions turned along, and no thumbnail.

    Everything else keeps its place, byte for byte, since maker notes hold absolute offsets.
    """
    order, directory = parse(exif)
    block = bytearray(exif)
    turned = directory.entries.get(ORIENTATION)
    if turned:
        swapped = turned.integer(order) >= 5
        block[turned.position : turned.position + 2] = struct.pack(order + "H", 1)
        inner = directory.children.get(EXIF_IFD)
        x, y = (inner.entries.get(code) if inner else None for code in (_PIXEL_X, _PIXEL_Y))
        if swapped and x and y and x.type == y.type:
            block[x.position : x.position + len(x.value)] = y.value
            block[y.position : y.position + len(y.value)] = x.value
    if directory.following:
        _drop_thumbnail(block, order, directory)
    return bytes(block)


def _drop_thumbnail(block: bytearray, order: ByteOrder, directory: Directory) -> None:
    # It would go on showing the gray image. It usually lies last, so that the block gets shorter.
    block[directory.following_at : directory.following_at + 4] = b"\0" * 4
    try:
        second = read_directory(
            lambda at, size: bytes(block[at : at + size]),
            directory.following,
            order,
            Budget(len(block)),
        )
    except (ValueError, struct.error):
        return
    offset, length = (
        second.entries[code].integer(order) if code in second.entries else 0
        for code in (_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH)
    )
    if offset >= 8 and offset + length == len(block):
        del block[offset:]
    elif offset >= 8 and length:
        block[offset : offset + length] = b"\0" * len(block[offset : offset + length])

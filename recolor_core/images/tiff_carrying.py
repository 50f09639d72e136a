"""Copying pages from one TIFF file to another: pixels and tags as they are."""

import os
import struct
from typing import BinaryIO

from recolor_core.images import exif
from recolor_core.images.tiff_directory import (
    STRIP_COUNTS,
    STRIP_OFFSETS,
    SUB_IFDS,
    TILE_COUNTS,
    TILE_OFFSETS,
    Directory,
    DirectoryError,
    TiffDirectories,
)

# Offsets into the source that would be wrong in the copy: smaller copies, free space, the parts of
# old-style JPEG.
_LEFT_OUT = {SUB_IFDS, 288, 289, 513, 514, 519, 520, 521}
_PIECE = 1 << 20


def carry(source: TiffDirectories, indices: set[int], target: BinaryIO) -> None:
    """Copy pages of a file into another one, and put them where they were among the others.

    Parameters
    ----------
    source
        The file that has the pages.
    indices
        Which pages, from 0.
    target
        A finished file that holds all other pages in their order; the same byte order. Open for
        reading and writing.
    """
    result = TiffDirectories(target)
    written = iter([page.offset for page in result.pages])
    offsets = []
    for index, page in enumerate(source.pages):
        if index in indices:
            offsets.append(_copied(source, page, target, result))
        else:
            offsets.extend(offset for offset in [next(written, None)] if offset is not None)
    at = result.first_at
    for offset in offsets:
        _put_pointer(target, at, offset, result)
        at = _next_at(target, offset, result)
    _put_pointer(target, at, 0, result)


def _copied(
    source: TiffDirectories, page: Directory, target: BinaryIO, result: TiffDirectories
) -> int:
    """The offset of the copy's directory, at the end of the target."""
    directory = exif.read_directory(
        source.read, page.offset, source.order, exif.Budget(2 * source.size), big=source.big
    )
    entries = {code: e for code, e in directory.entries.items() if code not in _LEFT_OUT}
    codes = (TILE_OFFSETS, TILE_COUNTS) if TILE_OFFSETS in page else (STRIP_OFFSETS, STRIP_COUNTS)
    places = [(_append(source, offset, size, target), size) for offset, size in page.places]
    kind, letter = (16, "Q") if result.big else (4, "I")
    for code, values in zip(codes, zip(*places, strict=True), strict=False):
        packed = struct.pack(f"{result.order}{len(values)}{letter}", *values)
        entries[code] = exif.Entry(kind, len(values), packed)
    start = _even_end(target)
    children = directory.children
    copy = exif.Directory(entries, children)
    target.write(exif.write_directory(copy, start, result.order, big=result.big))
    return start


def _append(source: TiffDirectories, offset: int, size: int, target: BinaryIO) -> int:
    start = _even_end(target)
    for at in range(offset, offset + size, _PIECE):
        piece = source.read(at, min(_PIECE, offset + size - at))
        if not piece:
            raise DirectoryError("the file is truncated")
        target.write(piece)
    return start


def _even_end(target: BinaryIO) -> int:
    end = target.seek(0, os.SEEK_END)
    target.write(b"\0" * (end % 2))
    return end + end % 2


def _put_pointer(target: BinaryIO, at: int, offset: int, result: TiffDirectories) -> None:
    target.seek(at)
    target.write(struct.pack(result.order + ("Q" if result.big else "I"), offset))


def _next_at(target: BinaryIO, offset: int, result: TiffDirectories) -> int:
    return Directory(result, offset).next_at

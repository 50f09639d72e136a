"""The directories (IFD) of a TIFF file, walked and measured before anything else reads them.

After TIFF 6.0; BigTIFF widens counts and offsets to 64 bits.
"""

import os
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO, Literal

from recolor_core.images.exif import ByteOrder
from recolor_core.images.limits import MAX_PAGES, MAX_TAG_BYTES

SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
FILL_ORDER, STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS = 266, 273, 277, 278, 279
MAX_SAMPLE, PLANAR, PREDICTOR, COLOR_MAP = 281, 284, 317, 320
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
SUB_IFDS, INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT, IMAGE_DEPTH = 330, 332, 338, 339, 32997
JPEG_OFFSET, JPEG_LENGTH = 513, 514
WHITE_LEVEL = 50717  # of DNG
OLD_SUBFILE = 255

_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_PLACES = (STRIP_OFFSETS, STRIP_COUNTS, TILE_OFFSETS, TILE_COUNTS)
_SCALARS = {SUBFILE, WIDTH, HEIGHT, COMPRESSION, PHOTOMETRIC, FILL_ORDER, SAMPLES, ROWS_PER_STRIP}
_SCALARS |= {PLANAR, PREDICTOR, TILE_WIDTH, TILE_HEIGHT, INK_SET, IMAGE_DEPTH}
_ARRAYS = {BITS, *_PLACES, EXTRA_SAMPLES, SUB_IFDS, SAMPLE_FORMAT, MAX_SAMPLE, COLOR_MAP}
_LAYERS = 37724  # of Photoshop: never read
_MAX_ENTRIES = 4096
_MAX_PLACES = 2_000_000
_MAX_SUB_IFDS = 64


class DirectoryError(ValueError):
    """A page is damaged, made to do harm or of a kind that is not supported.

    Parameters
    ----------
    message
        What came, for people.
    remedy
        What to do about it.
    """

    def __init__(self, message: str, remedy: str = "copy the file again from its origin") -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True)
class _Tag:
    type: int
    count: int
    position: int  # of the value or, if it is too long, of its offset
    inline: bool


class Directory:
    """One directory: where it lies and what its integers say.

    Attributes
    ----------
    offset
        If it begins.
    next_at
        If the offset of the next one is stored.
    following
        The offset of the next one; 0 if it is the last.
    """

    def __init__(self, file: "TiffDirectories", offset: int) -> None:
        self._file = file
        self.offset = offset
        self._tags, self.next_at, self.following = file.table(offset)

    def __contains__(self, code: int) -> bool:
        return code in self._tags

    def integers(self, code: int) -> tuple[int, ...]:
        """The values of a tag of integers; empty if it is not there."""
        tag = self._tags.get(code)
        return self._file.integers(tag) if tag else ()

    def integer(self, code: int, default: int = 0) -> int:
        """The (first) value of a tag of integers."""
        values = self.integers(code)
        return values[0] if values else default

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return self.integer(HEIGHT)

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return self.integer(WIDTH)

    @property
    def samples(self) -> int:
        """Channels."""
        return self.integer(SAMPLES, 1)

    @cached_property
    def bits(self) -> tuple[int, ...]:
        """Bits of each channel."""
        return self.integers(BITS) or (1,)

    @property
    def subfile(self) -> int:
        """The bits of NewSubfileType; those of the old SubfileType if only this is there."""
        if SUBFILE in self:
            return self.integer(SUBFILE)
        return {2: 1, 3: 2}.get(self.integer(OLD_SUBFILE), 0)

    @property
    def is_tiled(self) -> bool:
        """Tiles, not strips."""
        return TILE_OFFSETS in self or (TILE_WIDTH in self and TILE_HEIGHT in self)

    @property
    def chunk(self) -> tuple[int, int]:
        """Rows and columns of one tile or strip."""
        if self.is_tiled:
            return self.integer(TILE_HEIGHT), self.integer(TILE_WIDTH)
        return min(self.integer(ROWS_PER_STRIP, self.height), self.height), self.width

    @cached_property
    def places(self) -> list[tuple[int, int]]:
        """Offset and bytes of every tile or strip."""
        codes = (TILE_OFFSETS, TILE_COUNTS) if TILE_OFFSETS in self else _PLACES[:2]
        return list(zip(*(self.integers(code) for code in codes), strict=False))

    @property
    def children(self) -> list["Directory"]:
        """The directories that SubIFDs names; damaged ones are left out."""
        found = []
        for offset in self.integers(SUB_IFDS)[:_MAX_SUB_IFDS]:
            try:
                found.append(Directory(self._file, offset))
            except DirectoryError:
                continue
        return found


class TiffDirectories:
    """All directories of the main chain of a TIFF file.

    Parameters
    ----------
    handle
        The file, open for reading.

    Raises
    ------
    DirectoryError
        If a directory is damaged, or claims more than the file can hold.
    """

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        head = self.read(0, 16)
        self.order: ByteOrder = "<" if head[:2] == b"II" else ">"
        self.big = head[2:4] in (b"+\0", b"\0+")
        self._pointer: Literal["Q", "I"] = "Q" if self.big else "I"
        self.first_at = 8 if self.big else 4
        self.pages: list[Directory] = []
        seen = set()
        offset = self.pointer(self.first_at)
        while offset and offset not in seen and len(self.pages) < MAX_PAGES:
            seen.add(offset)
            try:
                page = Directory(self, offset)
            except DirectoryError:
                if not self.pages or offset < self.size:
                    raise
                break  # a chain that leads out of the file: what came before is whole
            self.pages.append(page)
            offset = page.following
        if offset and offset not in seen and len(self.pages) >= MAX_PAGES:
            raise DirectoryError(f"the file has more than {MAX_PAGES:,} pages")

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._handle.seek(0, os.SEEK_END)

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the file; fewer at its end."""
        self._handle.seek(offset)
        return self._handle.read(size)

    def pointer(self, at: int) -> int:
        """The offset that is stored somewhere."""
        size = 8 if self.big else 4
        stored = self.read(at, size)
        if len(stored) < size:
            return 0
        return int(struct.unpack(self.order + self._pointer, stored)[0])

    def table(self, offset: int) -> tuple[dict[int, _Tag], int, int]:
        """The entries of a directory by tag, where the next offset is stored, and that offset."""
        count_format, entry_format = ("Q", "HHQ") if self.big else ("H", "HHI")
        head = struct.calcsize(self.order + count_format)
        stored = self.read(offset, head) if offset < self.size else b""
        if len(stored) < head:
            raise DirectoryError("a directory of tags lies beyond the end of the file")
        (count,) = struct.unpack(self.order + count_format, stored)
        if not 0 < count <= _MAX_ENTRIES:
            raise DirectoryError(f"a directory has {count:,} tags, 1 to {_MAX_ENTRIES} are allowed")
        inline = 8 if self.big else 4
        size = struct.calcsize(self.order + entry_format) + inline
        start = offset + head
        entries = self.read(start, size * count)
        if len(entries) < size * count:
            raise DirectoryError("the file is truncated: a directory of tags ends early")
        tags: dict[int, _Tag] = {}
        total = 0
        for at in range(0, size * count, size):
            code, kind, number = struct.unpack_from(self.order + entry_format, entries, at)
            length = _SIZES.get(kind, 0) * number
            if length > inline and code != _LAYERS:
                total += length
            tags.setdefault(code, _Tag(kind, number, start + at + size - inline, length <= inline))
        self._check(tags, total)
        next_at = start + size * count
        return tags, next_at, self.pointer(next_at)

    def integers(self, tag: _Tag) -> tuple[int, ...]:
        """The values of a tag whose type `_check` has found to be an integer."""
        kind = _INTEGERS.get(tag.type)
        if kind is None:
            return ()
        position = tag.position if tag.inline else self.pointer(tag.position)
        size = _SIZES[tag.type] * tag.count
        stored = self.read(position, size)
        if len(stored) < size:
            return ()
        return struct.unpack(f"{self.order}{tag.count}{kind}", stored)

    def _check(self, tags: dict[int, _Tag], total: int) -> None:
        for code in _SCALARS | _ARRAYS:
            tag = tags.get(code)
            if tag is None:
                continue
            if tag.type not in _INTEGERS or tag.count < 1 or (code in _SCALARS and tag.count > 1):
                raise DirectoryError(
                    f"tag {code} has type {tag.type} and {tag.count:,} values, which it cannot have"
                )
            limit = _MAX_PLACES if code in _PLACES else 3 << 16
            if tag.count > limit:
                raise DirectoryError(f"tag {code} has {tag.count:,} values, too many")
        places = sum(_SIZES[tags[code].type] * tags[code].count for code in _PLACES if code in tags)
        if total > self.size or total - places > MAX_TAG_BYTES:
            raise DirectoryError("the values of its tags take more bytes than they can")

"""Whether an image file goes on to its end: what it claims to hold is there. Nothing is decoded."""

from pathlib import Path

import tifffile

_PNG_END = bytes.fromhex("0000000049454e44ae426082")  # the IEND chunk, PNG 5.2
_END_OF_IMAGE = b"\xff\xd9"  # of JPEG (T.81, B.1.1.3) and, with this value too, JPEG 2000


def is_whole(path: Path, format: str) -> bool:
    """Whether a file that Recolor wrote is as long as it claims.

    Tells files that were cut, by a full disk or a broken copy, from complete ones. It does not
    notice changed bytes.

    Parameters
    ----------
    path : Path
        The file.
    format : str
        Its format, as `ImageFile.format` names it.
    """
    size = path.stat().st_size
    if format == "TIFF":
        return _tiff_end(path) <= size
    with path.open("rb") as file:
        head = file.read(16)
        file.seek(max(0, size - 64))
        tail = file.read()
    if format == "PNG":
        return tail.endswith(_PNG_END)
    if format in ("JPEG", "JPEG 2000"):
        return _END_OF_IMAGE in tail
    if format == "WebP":  # RIFF: the size of what follows the first 8 bytes
        return int.from_bytes(head[4:8], "little") + 8 <= size
    if format == "BMP":
        return int.from_bytes(head[2:6], "little") <= size
    return True


def _tiff_end(path: Path) -> int:
    end = 0
    with path.open("rb") as stream, tifffile.TiffFile(stream) as file:
        for page in file.pages:
            places = zip(page.dataoffsets, page.databytecounts, strict=True)
            end = max(end, *(offset + count for offset, count in places))
    return end

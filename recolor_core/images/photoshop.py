"""Photoshop's image resources: TIFF tag 34377, APP13 of JPEG, and a section of PSD.

After "Adobe Photoshop File Formats Specification", section "Image Resources".
"""

import struct
from collections.abc import Iterator
from fractions import Fraction

from recolor_core.images.image import Resolution

IPTC, ICC, EXIF, XMP = 0x0404, 0x040F, 0x0422, 0x0424
_RESOLUTION = 0x03ED
# Thumbnails would go on showing the gray image. Profile, EXIF and XMP have their own places in the
# result, where they are true of it.
_STALE = {0x0409, 0x040C, ICC, EXIF, 0x0423, XMP}
# What refers to the axes of the image: resolution, guides, paths.
_ORIENTED = {_RESOLUTION, 0x0408} | set(range(0x07D0, 0x0BB7))
_SIGNATURES = {b"8BIM", b"MeSa", b"PHUT", b"AgHg", b"DCSR"}
_MAX_RESOURCES = 10_000


def read(block: bytes) -> dict[int, bytes]:
    """The first resource of every kind, by its number; what follows damage is left out."""
    resources: dict[int, bytes] = {}
    for kind, body, _ in _resources(block):
        resources.setdefault(kind, body)
    return resources


def kept(block: bytes, *, turned: bool) -> bytes | None:
    """The resources that stay true of the colorized image, byte for byte; None if there are none.

    Parameters
    ----------
    block
        Resources one after the other.
    turned
        Whether the pixels are turned upright, so that guides and paths no longer fit.
    """
    left_out = _STALE | (_ORIENTED if turned else set())
    return b"".join(whole for kind, _, whole in _resources(block) if kind not in left_out) or None


def with_iptc(iptc: bytes) -> bytes:
    """A block of resources that holds IPTC records only."""
    return struct.pack(">4sHHI", b"8BIM", IPTC, 0, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)


def resolution(resources: dict[int, bytes]) -> Resolution | None:
    """The resolution that the resources state, or None."""
    body = resources.get(_RESOLUTION, b"")
    if len(body) < 16:
        return None
    x, _, _, y = struct.unpack(">IHHI", body[:12])  # pixels per inch in 16.16, however displayed
    return Resolution(Fraction(x, 65536), Fraction(y, 65536)) if x and y else None


def _resources(block: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    at = 0
    for _ in range(_MAX_RESOURCES):
        if block[at : at + 4] not in _SIGNATURES or at + 12 > len(block):
            return
        (kind,) = struct.unpack(">H", block[at + 4 : at + 6])
        name = block[at + 6] + 1
        start = at + 6 + name + name % 2
        if start + 4 > len(block):
            return
        (size,) = struct.unpack(">I", block[start : start + 4])
        end = start + 4 + size + size % 2
        if start + 4 + size > len(block):
            return
        yield kind, block[start + 4 : start + 4 + size], block[at:end]
        at = end

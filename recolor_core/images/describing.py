"""What describes an image: measured, cleaned, and carried to the place that the result has for it.

No metadata, however odd, keeps a readable image from being read. What cannot be kept is left out,
and `Description.notes` says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from recolor_core.images import exif, iptc, photoshop, xmp
from recolor_core.images.image import Metadata, Resolution, TiffLayout
from recolor_core.images.limits import MAX_COMMENT_BYTES, MAX_ICC_BYTES, MAX_IPTC_BYTES

# Formats with a place of their own for IPTC, and for comments.
_HOLD_IPTC = {"TIFF", "JPEG"}
_HOLD_COMMENTS = {"PNG", "JPEG"}


@dataclass(frozen=True)
class Description:
    """What a file says of its image, ready for `Stored`.

    Parameters
    ----------
    metadata
        What goes back into the result.
    orientation
        EXIF orientation, 1 to 8.
    icc
        The ICC profile of the source.
    notes
        What was left out, in words.
    """

    metadata: Metadata
    orientation: int
    icc: bytes | None
    notes: tuple[str, ...]


def describe(
    *,
    resolution: Resolution | None = None,
    icc: bytes | None = None,
    exif_block: bytes | None = None,
    xmp_packet: bytes | None = None,
    resources: bytes | None = None,
    iptc_block: bytes | None = None,
    comments: Iterable[bytes] = (),
    png_text: tuple[tuple[bytes, bytes], ...] = (),
    layout: TiffLayout | None = None,
    premultiplied: bool = False,
) -> Description:
    """The description of an image from the raw blocks of its file.

    Parameters
    ----------
    resolution
        From the format's own header. If None, that of EXIF counts, then that of Photoshop.
    icc, exif_block, xmp_packet, iptc_block
        The blocks as the file has them.
    resources
        Photoshop's image resources, which can hold the same blocks again.
    comments
        Free text of the file.
    png_text, layout, premultiplied
        As in `Metadata`.
    """
    notes = []
    if icc and len(icc) > MAX_ICC_BYTES:
        icc = None
        notes.append("ICC profile left out (too large)")
    block, orientation = exif.take(exif_block)
    if exif_block and block is None:
        notes.append("EXIF left out (damaged)")
    found = photoshop.read(resources) if resources else {}
    iptc_block = iptc_block or found.get(photoshop.IPTC)
    packet = xmp_packet or found.get(photoshop.XMP)
    icc = icc or found.get(photoshop.ICC)
    if iptc_block and len(iptc_block) > MAX_IPTC_BYTES:
        iptc_block = None
        notes.append("IPTC left out (too large)")
    if packet and (reason := xmp.problem(packet)):
        packet = None
        notes.append(f"XMP left out ({reason})")
    metadata = Metadata(
        resolution=resolution or exif.resolution(block) or photoshop.resolution(found),
        exif=block,
        xmp=packet,
        photoshop=resources and photoshop.kept(resources, turned=orientation > 1),
        iptc=iptc_block,
        comments=_texts(comments),
        png_text=png_text,
        layout=layout,
        premultiplied=premultiplied,
    )
    return Description(metadata, orientation, icc, tuple(notes))


def packet_for(metadata: Metadata, format: str) -> bytes | None:
    """The XMP packet of a result, with the captions that the format has no other place for."""
    properties = []
    if metadata.iptc and format not in _HOLD_IPTC:
        properties = iptc.properties(metadata.iptc)
    if metadata.comments and format not in _HOLD_COMMENTS:
        text = "\n".join(metadata.comments)
        properties.append(xmp.Property(xmp.EXIF, "exif:UserComment", "alt", (text,)))
    return xmp.extended(metadata.xmp, properties)


def _texts(comments: Iterable[bytes]) -> tuple[str, ...]:
    texts = []
    for comment in comments:
        raw = comment[:MAX_COMMENT_BYTES].rstrip(b"\0")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
        if text.strip():
            texts.append(text)
    return tuple(texts)

"""Limits that keep a small hostile file from taking much memory or time.

A file can claim any size in a few bytes. Every reader compares what a codec is about to make with
what the page says, and metadata is measured before it is parsed.
"""

MAX_PIXELS = 500_000_000
"""Images with more pixels are refused before anything is decoded."""

MAX_PIXELS_PER_BYTE = 5_000
"""Pixels that one byte of a file may stand for, if the image has more than `MAX_BLANK_PIXELS`.

Only a blank page has more: deflate makes up to 8,256 one-bit pixels of a byte. A photograph has
about ten, a sparse drawing a thousand.
"""

MAX_BLANK_PIXELS = 64_000_000
"""Up to this size an image may be blank, so that its file may have any size."""

MAX_PAGES = 20_000
"""Pages of one TIFF file."""

MAX_EXIF_BYTES = 16 << 20
MAX_ICC_BYTES = 16 << 20
MAX_ICC_CURVE_ENTRIES = 65_536
MAX_XMP_BYTES = 4 << 20
MAX_XMP_NODES = 30_000  # elements and attributes: about a second of parsing
MAX_XMP_DEPTH = 100
MAX_IPTC_BYTES = 1 << 20
MAX_COMMENT_BYTES = 1 << 20
MAX_TAG_BYTES = 64 << 20  # all values of a TIFF page, offsets of strips and tiles aside
MAX_TILE_BYTES = 256 << 20  # one decoded tile that reaches beyond its page


def too_many_pixels(pixels: int, file_bytes: int) -> bool:
    """Whether a file of this size cannot honestly hold this many pixels."""
    return pixels > max(MAX_BLANK_PIXELS, MAX_PIXELS_PER_BYTE * file_bytes)

"""Image files in and out: exact codes with what they mean, and back the same way.

Reading goes by content, page by page; writing by strips, and atomically. What cannot be kept is
said in `Page.reading` or refused with a remedy.
"""

from recolor_core.images.image import Metadata, Page, Resolution, TiffLayout
from recolor_core.images.limits import MAX_PIXELS
from recolor_core.images.reading import READABLE, ImageFile, open_image
from recolor_core.images.writing import WRITABLE, ImageWriter, encode_stage, write_stage

__all__ = [
    "MAX_PIXELS",
    "READABLE",
    "WRITABLE",
    "ImageFile",
    "ImageWriter",
    "Metadata",
    "Page",
    "Resolution",
    "TiffLayout",
    "encode_stage",
    "open_image",
    "write_stage",
]

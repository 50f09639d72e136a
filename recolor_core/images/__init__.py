"""Picture files in and out: exact codes with what they mean, and back the same way.

Reading goes by content, page by page; writing by strips, and atomically. What cannot be kept is
said in `Page.reading` or refused with a remedy.
"""

from recolor_core.images.picture import Metadata, Page, Resolution, TiffLayout
from recolor_core.images.reading import MAX_PIXELS, READABLE, PictureFile, open_picture
from recolor_core.images.writing import WRITABLE, PictureWriter, write_stage

__all__ = [
    "MAX_PIXELS",
    "READABLE",
    "WRITABLE",
    "Metadata",
    "Page",
    "PictureFile",
    "PictureWriter",
    "Resolution",
    "TiffLayout",
    "open_picture",
    "write_stage",
]

"""AVIF by Pillow and imagecodecs, HEIC by pillow-heif (an extra)."""

from functools import partial
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL.AvifImagePlugin import AvifImageFile

from recolor_core.images.claims import isobmff_boxes
from recolor_core.images.describing import describe
from recolor_core.images.extras import library
from recolor_core.images.image import Stored
from recolor_core.images.source import Source

_AVIF, _HEIC = {b"avif"}, {b"heic", b"heix", b"heim", b"heis", b"mif1"}
_SEQUENCES = {b"avis", b"msf1", b"hevc", b"hevx"}
_BIT_DEPTHS = {0: 8, 0x40: 10, 0x60: 12}  # flags of av1C: high bit depth, 12 bits
_MONOCHROME = 0x10


def kind_of(head: bytes) -> str | None:
    """The format that the brands of a file name: "AVIF", "HEIF" or None."""
    kind, brands = next(isobmff_boxes(head), (b"", b""))
    if kind != b"ftyp":
        return None
    names = {brands[:4], *(brands[at : at + 4] for at in range(8, len(brands), 4))}
    if names & _AVIF or brands[:4] == b"avis":
        return "AVIF"
    return "HEIF" if names & (_HEIC | _SEQUENCES) else None


def read_avif(source: Source) -> list[Stored]:
    """The image of an AVIF file; an animated one is refused."""
    data = source.read()
    image = AvifImageFile(BytesIO(data))
    if image.is_animated:
        raise source.error("this AVIF is animated", "extract its frames as images first")
    described = describe(
        icc=image.info.get("icc_profile"),
        exif_block=image.info.get("exif"),
        xmp_packet=image.info.get("xmp"),
    )
    at = data.find(b"av1C")
    flags = data[at + 6] if at >= 0 else 0
    is_gray = bool(flags & _MONOCHROME)
    width, height = image.size
    alpha = "A" in image.mode
    return [
        Stored(
            height=height,
            width=width,
            model="gray" if is_gray else "rgb",
            bits=_BIT_DEPTHS.get(flags & 0x60, 8),
            alpha=alpha,
            decode=partial(_decoded, data, is_gray, alpha),
            icc=described.icc,
            orientation=described.orientation,
            lossy=True,
            notes=described.notes,
            metadata=described.metadata,
        )
    ]


def read_heif(source: Source) -> list[Stored]:
    """The primary image of a HEIF (HEIC) file."""
    heif = library(source, "pillow_heif", "a HEIF (HEIC) image")
    image = heif.open_heif(BytesIO(source.read()), convert_hdr_to_8bit=False, hdr_to_16bit=False)
    width, height = image.size
    mode = image.mode.partition(";")[0]
    described = describe(
        icc=image.info.get("icc_profile"),
        exif_block=image.info.get("exif"),
        xmp_packet=image.info.get("xmp"),
    )
    several = len(image) > 1
    notes = ["the primary image of several in the file"] if several else []
    return [
        Stored(
            height=height,
            width=width,
            model="gray" if mode in ("L", "LA", "I") else "rgb",
            bits=image.info["bit_depth"],
            alpha=mode.endswith("A"),
            decode=lambda: np.asarray(image),
            icc=described.icc,
            orientation=1,  # libheif has turned the pixels
            lossy=True,
            notes=(*notes, *described.notes),
            metadata=described.metadata,
        )
    ]


def _decoded(data: bytes, is_gray: bool, alpha: bool) -> NDArray[Any]:
    pixels = np.asarray(imagecodecs.avif_decode(data))
    if is_gray and pixels.ndim == 3 and pixels.shape[-1] > 1 + alpha:
        pixels = pixels[..., [0, -1]] if alpha else pixels[..., 0]
    return pixels

"""JPEG, by Pillow."""

from fractions import Fraction
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from recolor_core.images import exif
from recolor_core.images.image import Metadata, Model, Resolution, ResolutionUnit, Stored
from recolor_core.images.source import Source

_MODELS: dict[str, Model] = {"L": "gray", "RGB": "rgb", "CMYK": "cmyk"}
_UNITS: dict[int, ResolutionUnit] = {0: "none", 1: "inch", 2: "cm"}
_QUALITY = 95


def read(source: Source) -> list[Stored]:
    """The image of a JPEG file; of several (MPO) the first."""
    # The plugin itself, not Image.open: that has its own limit of pixels, which is global.
    image = JpegImageFile(BytesIO(source.read()))
    info = image.info
    block, turn = exif.take(info.get("exif"))
    notes = []
    if "mp" in info:
        notes.append("the first of several images in the file (MPO)")
    return [
        Stored(
            height=image.height,
            width=image.width,
            model=_MODELS[image.mode],
            bits=8,
            decode=lambda: np.asarray(image),
            icc=info.get("icc_profile"),
            orientation=turn,
            lossy=True,
            notes=tuple(notes),
            metadata=Metadata(resolution=_resolution(info), exif=block, xmp=info.get("xmp")),
        )
    ]


def write(file: BinaryIO, pixels: NDArray[Any], metadata: Metadata, xmp: bytes | None) -> None:
    """Write RGB codes ``(H, W, 3)``, uint8: lossy, at quality 95 and full color resolution."""
    options: dict[str, Any] = {}
    if dpi := metadata.resolution and metadata.resolution.per_inch():
        options["dpi"] = tuple(round(value) for value in dpi)
    if metadata.exif:
        options["exif"] = b"Exif\0\0" + metadata.exif
    Image.fromarray(pixels).save(
        file,
        "JPEG",
        quality=_QUALITY,
        subsampling=0,
        icc_profile=metadata.icc,
        xmp=xmp or b"",
        **options,
    )


def _resolution(info: dict[str | tuple[int, int], Any]) -> Resolution | None:
    x, y = info.get("jfif_density", (0, 0))
    if x and y:
        return Resolution(Fraction(x), Fraction(y), _UNITS.get(info["jfif_unit"], "none"))
    if "dpi" in info:  # from EXIF
        x, y = (Fraction(value).limit_denominator(1000) for value in info["dpi"])
        return Resolution(x, y)
    return None

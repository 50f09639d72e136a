"""BMP and still GIF, by Pillow."""

from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile

from recolor_core.images.image import Metadata, Resolution, Stored
from recolor_core.images.source import Source


def read_bmp(source: Source) -> list[Stored]:
    """The image of a BMP file."""
    image = BmpImageFile(BytesIO(source.read()))
    dpi = image.info.get("dpi")
    resolution = None
    if dpi and all(dpi):
        resolution = Resolution.from_meter(*(round(value / 0.0254) for value in dpi))
    return [_stored(image, Metadata(resolution=resolution))]


def read_gif(source: Source) -> list[Stored]:
    """The image of a GIF file; an animated one is refused."""
    image = GifImageFile(BytesIO(source.read()))
    if image.is_animated:
        raise source.error("this GIF is animated", "extract its frames as images first")
    return [_stored(image, Metadata())]


def _stored(image: Image.Image, metadata: Metadata) -> Stored:
    mode, notes = image.mode, []
    if mode == "1":
        notes.append("expanded from 1 bit")
    elif mode == "P":
        mode = "RGBA" if "transparency" in image.info else "RGB"
        notes.append("palette, expanded to RGB")
    wanted = "L" if mode == "1" else mode

    def decode() -> NDArray[Any]:
        return np.asarray(image.convert(wanted))

    return Stored(
        height=image.height,
        width=image.width,
        model="gray" if wanted == "L" else "rgb",
        bits=8,
        alpha=wanted == "RGBA",
        decode=decode,
        notes=tuple(notes),
        metadata=metadata,
    )


def write(file: BinaryIO, pixels: NDArray[Any], metadata: Metadata, _xmp: bytes | None) -> None:
    """Write RGB codes ``(H, W, 3)``, uint8, as BMP, which holds no other metadata than dpi."""
    options: dict[str, Any] = {}
    if dpi := metadata.resolution and metadata.resolution.per_inch():
        options["dpi"] = dpi
    Image.fromarray(pixels).save(file, "BMP", **options)

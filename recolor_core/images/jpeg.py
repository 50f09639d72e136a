"""JPEG: segments after ITU T.81, pixels by libjpeg-turbo."""

import warnings
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from io import BytesIO
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from recolor_core.errors import ImageWarning
from recolor_core.images import photoshop
from recolor_core.images.claims import Frame, segments_of_jpeg
from recolor_core.images.describing import describe
from recolor_core.images.image import Metadata, Model, Resolution, ResolutionUnit, Stored
from recolor_core.images.source import Source

_MODELS: dict[int, Model] = {1: "gray", 3: "rgb", 4: "cmyk"}
_UNITS: dict[int, ResolutionUnit] = {0: "none", 1: "inch", 2: "cm"}
_QUALITY = 95
_APP0, _APP1, _APP2, _APP13, _APP14, _COMMENT = 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE
_SEQUENTIAL = {0xC0, 0xC1}
_LOSSLESS = 0xC3
_END = b"\xff\xd9"
_EXIF, _XMP, _MORE_XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp"
_ICC, _PHOTOSHOP, _MULTI_PICTURE = b"ICC_PROFILE\0", b"Photoshop 3.0\0", b"MPF\0"
_ADOBE_BYTES = 12  # a shorter one says nothing of the colors
_MAX_SEGMENT = 65533


@dataclass
class _Segments:
    """What lies in front of the first scan, apart, and the stream without the metadata."""

    frame: Frame | None = None
    pixels: bytes = b""
    exif: bytes | None = None
    xmp: bytes | None = None
    more_xmp: bool = False
    icc: dict[int, bytes] = field(default_factory=dict)
    resources: bytes = b""
    comments: list[bytes] = field(default_factory=list)
    resolution: Resolution | None = None
    several: bool = False


def read(source: Source) -> list[Stored]:
    """The image of a JPEG file; of several (MPO) the first."""
    found = _segments(source.read())
    frame = found.frame
    if frame is None:
        raise ValueError("no frame header")
    if frame.components not in _MODELS:
        raise source.error(
            f"a JPEG of {frame.components} channels is not supported", "save it as gray or RGB"
        )
    described = describe(
        resolution=found.resolution,
        icc=b"".join(found.icc[number] for number in sorted(found.icc)) or None,
        exif_block=found.exif,
        xmp_packet=found.xmp,
        resources=found.resources or None,
        comments=found.comments,
    )
    notes = []
    if found.several:
        notes.append("the first of several images in the file (MPO)")
    if found.more_xmp:
        notes.append("extended XMP left out")
    return [
        Stored(
            height=frame.height,
            width=frame.width,
            model=_MODELS[frame.components],
            bits=frame.bits,
            decode=partial(_decoded, source, frame, found.pixels, notes),
            icc=described.icc,
            orientation=described.orientation,
            lossy=frame.marker != _LOSSLESS,
            notes=notes,
            metadata=described.metadata,
        )
    ]


def write(file: BinaryIO, pixels: NDArray[Any], metadata: Metadata, xmp: bytes | None) -> None:
    """Write RGB codes ``(H, W, 3)``, uint8: lossy, at quality 95 and full color resolution."""
    options: dict[str, Any] = {}
    if dpi := metadata.resolution and metadata.resolution.per_inch():
        options["dpi"] = tuple(min(65535, max(1, round(value))) for value in dpi)
    if metadata.exif:
        options["exif"] = _EXIF + metadata.exif
    if metadata.comments:
        options["comment"] = "\n".join(metadata.comments).encode()[:_MAX_SEGMENT]
    coded = BytesIO()
    Image.fromarray(pixels).save(
        coded,
        "JPEG",
        quality=_QUALITY,
        subsampling=0,
        icc_profile=metadata.icc,
        xmp=xmp or b"",
        **options,
    )
    resources = metadata.photoshop or (metadata.iptc and photoshop.with_iptc(metadata.iptc)) or b""
    data = coded.getvalue()
    end = next(place.stop for place, _ in segments_of_jpeg(data))  # after JFIF
    file.write(data[:end])
    step = _MAX_SEGMENT - len(_PHOTOSHOP)
    for at in range(0, len(resources), step):
        body = _PHOTOSHOP + resources[at : at + step]
        file.write(b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body)
    file.write(memoryview(data)[end:])


def _segments(data: bytes) -> _Segments:
    found = _Segments()
    kept: list[bytes | memoryview] = [data[:2]]
    end = 2
    for place, content in segments_of_jpeg(data):
        end = place.stop
        if isinstance(content, Frame):
            found.frame = found.frame or content
            kept.append(data[place])
            continue
        marker, body = content
        if marker == _APP0 and body.startswith(b"JFIF\0") and len(body) >= 12:
            found.resolution = _density(body)
            kept.append(data[place])
        elif marker == _APP1 and body.startswith(_EXIF):
            found.exif = found.exif or body
        elif marker == _APP1 and body.startswith(_XMP):
            found.xmp = found.xmp or body[len(_XMP) :]
        elif marker == _APP1 and body.startswith(_MORE_XMP):
            found.more_xmp = True
        elif marker == _APP2 and body.startswith(_ICC):
            found.icc.setdefault(body[len(_ICC)] if len(body) > len(_ICC) else 0, body[14:])
        elif marker == _APP2 and body.startswith(_MULTI_PICTURE):
            found.several = True
        elif marker == _APP13 and body.startswith(_PHOTOSHOP):
            found.resources += body[len(_PHOTOSHOP) :]
        elif marker == _COMMENT:
            found.comments.append(body)
        elif (marker == _APP14 and len(body) >= _ADOBE_BYTES) or not _APP0 <= marker <= 0xEF:
            kept.append(data[place])
    kept.append(memoryview(data)[end:])
    found.pixels = b"".join(kept)
    return found


def _density(body: bytes) -> Resolution | None:
    unit, x, y = _UNITS.get(body[7]), *(int.from_bytes(body[at : at + 2], "big") for at in (8, 10))
    if not x or not y or unit is None or (unit == "none" and x == y):
        return None
    return Resolution(Fraction(x), Fraction(y), unit)


def _decoded(source: Source, frame: Frame, data: bytes, notes: list[str]) -> NDArray[Any]:
    if frame.bits != 8 or frame.marker == _LOSSLESS:  # Pillow reads 8 bits only
        return np.asarray(imagecodecs.jpeg8_decode(data))
    try:
        return _by_pillow(data)
    except OSError:
        if data.endswith(_END) or frame.marker not in _SEQUENTIAL:
            raise source.error(
                "the file is truncated or damaged: its pixels end early",
                "copy it again from its origin",
            ) from None
    # Only the end marker may be missing. If pixels were missing too, they would be made up from
    # whatever follows.
    first, second = (_by_pillow(data + filler * 64 + _END) for filler in (b"\0", b"\xaa"))
    if not np.array_equal(first, second):
        raise source.error(
            "the file is truncated: its pixels end early", "copy it again from its origin"
        )
    words = "the end marker is missing, all pixels are there"
    if words not in notes:
        notes.append(words)
    warnings.warn(words, ImageWarning, stacklevel=2)
    return first


def _by_pillow(data: bytes) -> NDArray[Any]:
    # The plugin itself, not Image.open: that has its own limit of pixels, which is global.
    return np.asarray(JpegImageFile(BytesIO(data)))

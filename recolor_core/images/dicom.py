"""Single frames of DICOM files, by pydicom (an extra) and imagecodecs.

What identifies a patient is not copied: the result is an image, not a medical record.
"""

from fractions import Fraction
from functools import partial
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from recolor_core.images.claims import size_of
from recolor_core.images.extras import library
from recolor_core.images.image import Metadata, Resolution, Stored
from recolor_core.images.source import Source

MARK, MARK_AT = b"DICM", 128
_GRAY = {"MONOCHROME1", "MONOCHROME2"}
_RGB = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
_STREAMS: dict[str, Any] = {  # transfer syntaxes that pydicom leaves to other packages
    "1.2.840.10008.1.2.4.50": imagecodecs.jpeg8_decode,
    "1.2.840.10008.1.2.4.51": imagecodecs.jpeg8_decode,
    "1.2.840.10008.1.2.4.57": imagecodecs.ljpeg_decode,
    "1.2.840.10008.1.2.4.70": imagecodecs.ljpeg_decode,
    "1.2.840.10008.1.2.4.80": imagecodecs.jpegls_decode,
    "1.2.840.10008.1.2.4.81": imagecodecs.jpegls_decode,
    "1.2.840.10008.1.2.4.90": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.91": imagecodecs.jpeg2k_decode,
}
_LOSSY = {
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.91",
}


def read(source: Source) -> list[Stored]:
    """The image of a DICOM file of one frame."""
    pydicom = library(source, "pydicom", "DICOM")
    data = pydicom.dcmread(BytesIO(source.read()))
    if "PixelData" not in data:
        raise source.error("this DICOM file has no pixels", "give one that holds an image")
    frames = int(data.get("NumberOfFrames", None) or 1)
    if frames > 1:
        raise source.error(f"a DICOM series of {frames} frames", "export its frames as images")
    model = str(data.PhotometricInterpretation)
    if model not in _GRAY | _RGB:
        raise source.error(f"DICOM of color model {model} is not supported", "export it as TIFF")
    stored, allocated = int(data.BitsStored), int(data.BitsAllocated)
    if allocated not in (8, 16, 32) or not 0 < stored <= allocated:
        raise source.error(f"DICOM of {stored} in {allocated} bits", "export it as TIFF")
    signed = bool(data.get("PixelRepresentation", 0))
    notes = ["no tags of DICOM copied"]
    if signed and model == "MONOCHROME1":
        raise source.error("signed DICOM that runs from white to black", "invert it first")
    syntax = str(data.file_meta.TransferSyntaxUID)
    return [
        Stored(
            height=int(data.Rows),
            width=int(data.Columns),
            model="gray" if model in _GRAY else "rgb",
            bits=allocated if signed else stored,
            is_signed=signed,
            white_is_zero=model == "MONOCHROME1",
            decode=partial(_decoded, source, pydicom, data, syntax, signed),
            lossy=syntax in _LOSSY,
            notes=notes,
            metadata=Metadata(resolution=_resolution(data)),
        )
    ]


def _decoded(source: Source, pydicom: Any, data: Any, syntax: str, signed: bool) -> NDArray[Any]:
    if syntax in _STREAMS:
        (stream, *_) = pydicom.encaps.generate_frames(data.PixelData, number_of_frames=1)
        claimed = size_of(stream)
        if claimed is not None and claimed != (data.Rows, data.Columns):
            raise source.error(
                f"its stream claims {claimed[1]} x {claimed[0]} pixels, its tags "
                f"{data.Columns} x {data.Rows}",
                "copy it again from its origin",
            )
        pixels = np.asarray(_STREAMS[syntax](stream))
        if signed:
            pixels = pixels.view(f"i{pixels.dtype.itemsize}")
        return pixels
    pixels = np.asarray(data.pixel_array)
    if str(data.PhotometricInterpretation).startswith("YBR_FULL"):
        pixels = pydicom.pixels.convert_color_space(pixels, "YBR_FULL", "RGB")
    if not signed:  # what lies above the stored bits is not part of the image
        pixels = pixels & pixels.dtype.type((1 << int(data.BitsStored)) - 1)
    return np.asarray(pixels)


def _resolution(data: Any) -> Resolution | None:
    spacing = data.get("PixelSpacing", None) or data.get("ImagerPixelSpacing", None)
    if not spacing or len(spacing) != 2:
        return None
    down, across = (Fraction(str(value)) for value in spacing)  # millimeters
    return Resolution(10 / across, 10 / down, "cm") if across > 0 and down > 0 else None

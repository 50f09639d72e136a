"""Writing the frames of a part of a film: coded into a small film of its own, or as images."""

import re
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from recolor_core.film.decoding import (
    BT709,
    FULL_RANGE,
    LIMITED_RANGE,
    UNKNOWN_CURVE,
    FilmFacts,
    FilmFrame,
)
from recolor_core.film.errors import FilmError
from recolor_core.film.luma import Luma, chroma
from recolor_core.images import ImageWriter, Page
from recolor_core.images.atomic import AtomicFile, explained
from recolor_core.result import Colorization

CRF = 16
"""Constant rate factor of the lossy codecs by default: hard to tell from the original."""

CONTAINERS = {
    ".mkv": "matroska",
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".webm": "webm",
    ".ts": "mpegts",
}
"""FFmpeg's names of the containers that are written, by the ending of the name."""

_RGB, _BT709_MATRIX, _BT709_PRIMARIES = 0, 1, 1  # ITU-T H.273
_IMAGES = {".tif", ".tiff", ".png", ".dpx"}
_NUMBER = re.compile(r"%0?\d*d")


@dataclass(frozen=True)
class Coding:
    """How frames are coded.

    Parameters
    ----------
    codec
        FFmpeg's name of the encoder.
    pixels
        FFmpeg's name of the pixel format.
    options
        Of the encoder.
    luma
        What the codes of the luma plane mean; None of RGB.
    """

    codec: str
    pixels: str
    options: dict[str, str]
    luma: Luma | None

    @property
    def exact(self) -> bool:
        """Whether the gray of the result is that of the film at every pixel."""
        return self.luma is None

    def add_to(self, container: OutputContainer, facts: FilmFacts) -> VideoStream:
        """A stream of this kind in a container.

        Raises
        ------
        FilmError
            Where the container or this build of PyAV cannot.
        """
        try:
            stream = container.add_stream(self.codec, rate=facts.rate or 25, options=self.options)
        except av.codec.codec.UnknownCodecError as error:
            raise FilmError(
                f"this build of PyAV has no encoder {self.codec}; use --lossless, or PyAV as "
                "`pip install av` gives it"
            ) from error
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.width, context.height = facts.size
        context.pix_fmt = self.pixels
        context.time_base = stream.time_base = facts.time_base
        context.sample_aspect_ratio = facts.aspect
        context.color_range = LIMITED_RANGE if self.luma and self.luma.limited else FULL_RANGE
        context.colorspace = _BT709_MATRIX if self.luma else _RGB
        context.color_primaries = _BT709_PRIMARIES
        context.color_trc = BT709 if facts.transfer == UNKNOWN_CURVE else facts.transfer
        return stream


def choose_coding(target: Path, facts: FilmFacts, *, lossless: bool, crf: int) -> Coding | None:
    """How frames are coded in an output, by its name; None for images.

    Parameters
    ----------
    target
        The output. A number such as ``%06d`` in its name, or an ending of images, means images.
    facts
        Of the film.
    lossless
        Whether every code is to be kept.
    crf
        Constant rate factor of a lossy codec, 0 to 51.

    Raises
    ------
    FilmError
        Where there is none.
    """
    if not 0 <= crf <= 51:
        raise FilmError(f"expected --crf from 0 (largest, best) to 51, got {crf}")
    ending = target.suffix.lower()
    if _NUMBER.search(target.name):
        if ending not in _IMAGES:
            raise FilmError(
                f"{target}: expected images that end in {', '.join(sorted(_IMAGES))}, got "
                f"{ending or 'none'!r}; rename the output"
            )
        return None
    if ending in _IMAGES:
        raise FilmError(
            f"{target}: expected the number of the frame in the name of images; name them "
            f"{target.stem}_%06d{ending}, or a folder: {target.stem}/"
        )
    if ending not in CONTAINERS:
        raise FilmError(
            f"{target}: expected a film that ends in {', '.join(CONTAINERS)}, numbered images "
            f"(frame_%06d.tif) or a folder for them, got {ending or 'none'!r}; rename the output"
        )
    if facts.rate is None:
        raise FilmError(
            f"{facts.name}: images have no time; say how many are shown per second, for example "
            "--fps 24"
        )
    deep = facts.dtype == np.uint16
    if lossless:
        if ending != ".mkv":
            raise FilmError(f"{target}: --lossless writes FFV1 in Matroska; name the output .mkv")
        # Every frame stands for itself, with checksums: as archives ask for (RFC 9043, 4.9).
        options = {"level": "3", "g": "1", "slices": "4", "slicecrc": "1"}
        return Coding("ffv1", "gbrp16le" if deep else "bgr0", options, None)
    limited = facts.luma is not None and facts.luma.limited
    halved = all(side % 2 == 0 for side in facts.size)
    pixels = "yuv420p" if halved else "yuv444p"
    # No frames out of order: then the times of a film are those of its packets.
    options = {"crf": str(crf), "bf": "0"}
    if ending == ".webm":
        options |= {"b": "0", "auto-alt-ref": "0", "row-mt": "1", "cpu-used": "4"}
        return Coding("libvpx-vp9", pixels, options, Luma(8, limited))
    if not deep:
        return Coding("libx264", pixels, options, Luma(8, limited))
    if min(facts.size) < 64:  # x265 writes beyond its memory where images are 40 or 48 wide
        return Coding("libx264", f"{pixels}10le", options, Luma(10, limited))
    options["x265-params"] = "log-level=none"
    return Coding("libx265", f"{pixels}10le", options, Luma(10, limited))


class CodedPart:
    """A part of a film, coded, in a Matroska file.

    Parameters
    ----------
    path
        Of the file.
    facts
        Of the film.
    coding
        Of its frames.
    """

    def __init__(self, path: Path, facts: FilmFacts, coding: Coding) -> None:
        self._path = path
        self._facts = facts
        self._coding = coding

    def __enter__(self) -> Self:
        self._file = AtomicFile(self._path, overwrite=True)
        try:
            self._container = av.open(self._file.file, "w", format="matroska")
            self._stream = self._coding.add_to(self._container, self._facts)
        except BaseException:
            self._file.discard()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                with explained(str(self._path)):
                    self._container.mux(self._stream.encode(None))
                    self._container.close()
                self._file.commit()
        finally:
            self._file.discard()

    def write(self, frame: FilmFrame, result: Colorization) -> None:
        """Code one frame."""
        coded = _coded(frame, result, self._coding, self._facts.luma)
        coded.pts, coded.time_base = frame.pts, self._facts.time_base
        with explained(str(self._path)):
            self._container.mux(self._stream.encode(coded))


class ImagesPart:
    """A part of a film as images, one file per frame.

    Parameters
    ----------
    folder
        Where they are written.
    pattern
        Their name, with a place for the number of the frame.
    """

    def __init__(self, folder: Path, pattern: str) -> None:
        self._folder = folder
        self._pattern = pattern

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def write(self, frame: FilmFrame, result: Colorization) -> None:
        """Write the image of one frame."""
        path = self._folder / numbered(self._pattern, frame.number)
        if path.suffix.lower() == ".dpx":
            _write_dpx(path, result)
            return
        page = frame.page or Page(result.gray.codes.numpy(), reading=result.gray.reading)
        with ImageWriter(path, overwrite=True) as writer:
            writer.write(page, result.strips(), result.provenance)


def numbered(pattern: str, number: int) -> str:
    """The name of a frame's image: ``frame_%06d.tif`` gives ``frame_000012.tif``."""
    return _NUMBER.sub(lambda match: match[0] % number, pattern, count=1)


def is_image_of(pattern: str, name: str) -> bool:
    """Whether a name is that of some frame's image."""
    before, after = _NUMBER.split(pattern, maxsplit=1)
    return re.fullmatch(rf"{re.escape(before)}\d+{re.escape(after)}", name) is not None


def _coded(
    frame: FilmFrame, result: Colorization, coding: Coding, stored: Luma | None
) -> VideoFrame:
    rgb = result.rgb
    luma = coding.luma
    if luma is None:
        if rgb.dtype == np.uint8:
            return VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=coding.pixels)
        return VideoFrame.from_ndarray(rgb, coding.pixels)
    if frame.luma is not None and stored is not None:
        y = stored.converted(frame.luma, luma.bits)
    else:
        y = luma.codes(result.gray.codes.numpy())
    planes = (y, *chroma(rgb, luma, halved="420" in coding.pixels))
    height, width = y.shape
    coded = VideoFrame(width, height, coding.pixels)
    for plane, codes in zip(coded.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size // codes.itemsize), codes.dtype)
        rows[:, : codes.shape[1]] = codes
        plane.update(rows.tobytes())
    coded.color_range = LIMITED_RANGE if luma.limited else FULL_RANGE
    coded.colorspace = _BT709_MATRIX
    return coded


def _write_dpx(path: Path, result: Colorization) -> None:
    rgb = result.rgb
    context = av.CodecContext.create("dpx", "w")
    context.height, context.width = result.shape
    context.pix_fmt = "rgb24" if rgb.dtype == np.uint8 else "rgb48be"
    context.time_base = Fraction(1, 24)  # the encoder asks for one; the file has none
    frame = VideoFrame.from_ndarray(rgb, "rgb24" if rgb.dtype == np.uint8 else "rgb48le")
    output = AtomicFile(path, overwrite=True)
    try:
        with explained(output.name):
            for packet in context.encode(frame.reformat(format=context.pix_fmt)):
                output.file.write(bytes(packet))
        output.commit()
    finally:
        output.discard()


def coding_record(coding: Coding | None, pattern: str) -> dict[str, Any]:
    """How frames are coded, in JSON types."""
    if coding is None:
        return {"images": pattern}
    record = asdict(coding)
    del record["luma"]
    return record

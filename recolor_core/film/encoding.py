"""Write the frames of a part of a film: coded into a small film of its own, or as images."""

import re
import warnings
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import av
import imagecodecs
import numpy as np
import tifffile
from av.codec.context import Flags
from av.container import OutputContainer
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.stream import VideoStream
from numpy.typing import NDArray

from recolor_core.files import AtomicFile, explained, write_file
from recolor_core.film.decoding import (
    BT709,
    FULL_RANGE,
    LIMITED_RANGE,
    UNKNOWN_CURVE,
    FilmFacts,
    FilmFrame,
)
from recolor_core.film.errors import FilmError, FilmWarning
from recolor_core.film.luma import Luma, chroma, halve, halve_columns
from recolor_core.film.sequences import DPX_HEADER
from recolor_core.images import ImageWriter, Page
from recolor_core.result import Colorization

CONTAINERS = {
    ".mkv": "matroska",
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".webm": "webm",
    ".ts": "mpegts",
}
"""FFmpeg's names of the containers that are written, by the ending of the name."""

LOSSLESS = {"level": "3", "g": "1", "slices": "4", "slicecrc": "1"}
"""Options of FFV1: each frame by itself, with checksums, as archives ask for (RFC 9043, 4.9)."""

# ITU-T H.273, tables 2 and 4
_RGB, _BT709_MATRIX, _BT709_PRIMARIES = 0, 1, 1
_BT2020_MATRIX, _BT2020_PRIMARIES = 9, 9
_INTERLACED_CODECS = {"libx264", "ffv1", "prores_ks"}
_FFV1_BITS = (8, 9, 10, 12, 14, 16)
_CAPTIONED_CODECS = {"libx264", "libx265"}
_IMAGES = {".tif", ".tiff", ".png", ".dpx"}
_NUMBER = re.compile(r"%0?\d*d")


@dataclass(frozen=True)
class Coding:
    """How frames are coded.

    Parameters
    ----------
    codec : str
        FFmpeg's name of the encoder.
    pixels : str
        FFmpeg's name of the pixel format.
    options : dict
        The options of the encoder.
    luma : Luma or None
        What the codes of the luma plane mean; None for RGB.
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
        """Add a stream of this kind to a container.

        Raises
        ------
        FilmError
            If this build of PyAV does not have the encoder.
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
        context.colorspace = _matrix(facts) if self.luma else _RGB
        context.color_primaries = _BT2020_PRIMARIES if facts.is_hdr else _BT709_PRIMARIES
        context.field_order = facts.field_order
        context.flags |= Flags.global_header  # all of our containers want it
        context.color_trc = BT709 if facts.transfer == UNKNOWN_CURVE else facts.transfer
        return stream


def choose_coding(
    target: Path, facts: FilmFacts, *, lossless: bool, crf: int, codec: str = "auto"
) -> Coding | None:
    """How frames are coded in an output, by its name; None for images.

    Parameters
    ----------
    target : Path
        The output. A number such as ``%06d`` in its name means images.
    facts : FilmFacts
        The facts of the film.
    lossless : bool
        Whether to keep every code.
    crf : int
        Constant rate factor of a lossy codec, 0 to 51.
    codec : str
        ``"auto"``, ``"ffv1"`` (luma and chroma apart) or ``"prores"``.

    Raises
    ------
    FilmError
        If the output cannot be written.
    """
    ending = target.suffix.lower()
    if _NUMBER.search(target.name):
        if ending not in _IMAGES and ending != ".exr":
            raise FilmError(
                f"{target}: expected images that end in {', '.join(sorted(_IMAGES))}, got "
                f"{ending or 'none'!r}; rename the output"
            )
        if ending != ".exr":
            return None
    if ending == ".exr":
        raise FilmError(
            f"{target}: OpenEXR is not supported; write images of 16 bits that end in .tif or .dpx"
        )
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
            f"{facts.name}: images have no times; set how many are shown per second, for example "
            "--fps 24"
        )
    deep = facts.dtype == np.uint16
    if codec != "auto":
        if lossless:
            raise FilmError(
                f"{target}: --lossless writes FFV1 in RGB, so that it cannot be combined with "
                f"--codec {codec}; leave one of them out"
            )
        return _named_coding(target, facts, codec)
    if lossless:
        if ending != ".mkv":
            raise FilmError(f"{target}: --lossless writes FFV1 in Matroska; name the output .mkv")
        return Coding("ffv1", "gbrp16le" if deep else "bgr0", dict(LOSSLESS), None)
    limited = facts.luma is not None and facts.luma.limited
    width, height = facts.size
    # Interlaced 4:2:0 halves the rows of each field.
    halved = width % 2 == 0 and height % (4 if facts.interlaced else 2) == 0
    pixels = "yuv420p" if halved else "yuv444p"
    # Without reordering, the times of frames are those of packets.
    options = {"crf": str(crf), "bf": "0"}
    if ending == ".webm":
        options |= {"b": "0", "auto-alt-ref": "0", "row-mt": "1", "cpu-used": "4"}
        return Coding("libvpx-vp9", pixels, options, Luma(8, limited))
    if not deep:
        # With more threads x264 does not always give the same bytes, and a call that was stopped
        # must. The networks take far longer than one thread of it.
        options["threads"] = "1"
        if facts.interlaced:
            options["flags"] = "+ildct+ilme"
        return Coding("libx264", pixels, options, Luma(8, limited))
    if min(facts.size) < 64:  # x265 writes beyond its memory where images are 40 or 48 wide
        return Coding("libx264", f"{pixels}10le", options, Luma(10, limited))
    options["x265-params"] = ":".join(filter(None, ("log-level=none", facts.light)))
    return Coding("libx265", f"{pixels}10le", options, Luma(10, limited))


def _named_coding(target: Path, facts: FilmFacts, codec: str) -> Coding:
    """The coding that a person has asked for by name."""
    endings = {"ffv1": (".mkv",), "prores": (".mov", ".mkv")}[codec]
    if target.suffix.lower() not in endings:
        raise FilmError(
            f"{target}: expected the name of the output to end in {' or '.join(endings)} for "
            f"--codec {codec}, got {target.suffix or 'no ending'!r}; rename it"
        )
    if codec == "ffv1":
        luma = facts.luma or Luma(8 * facts.dtype.itemsize, limited=False)
        bits = next(bits for bits in _FFV1_BITS if bits >= luma.bits)
        pixels = "yuv444p" if bits == 8 else f"yuv444p{bits}le"
        return Coding("ffv1", pixels, dict(LOSSLESS), Luma(bits, luma.limited))
    # ProRes has 10 bits of limited range.
    halved = facts.size[0] % 2 == 0
    options = {"profile": "hq" if halved else "4444", "vendor": "apl0"}
    if facts.interlaced:
        options["flags"] = "+ildct"
    pixels = "yuv422p10le" if halved else "yuv444p10le"
    return Coding("prores_ks", pixels, options, Luma(10, limited=True))


def warn_of_losses(target: Path, coding: Coding | None, facts: FilmFacts) -> None:
    """Warn of what a film says of its frames and the result cannot say.

    Parameters
    ----------
    target : Path
        The output.
    coding : Coding or None
        How frames are coded; None for images.
    facts : FilmFacts
        The facts of the film.
    """
    codec = coding.codec if coding else ""
    losses: list[str] = []
    if facts.interlaced and codec not in _INTERLACED_CODECS:
        losses.append(
            "that it is interlaced (rows stay where they are; deinterlace it first, or write "
            "H.264 or --lossless)"
        )
    if facts.captions and codec not in _CAPTIONED_CODECS:
        losses.append("captions inside the video (write H.264 or HEVC, or extract them first)")
    if facts.light and codec != "libx265":
        losses.append("mastering display and content light level (write .mkv or .mp4)")
    if facts.aspect != 1 and coding is None and target.suffix.lower() != ".dpx":
        losses.append(f"that pixels are {facts.aspect} times as wide as high")
    if losses:
        warnings.warn(
            f"the result does not keep what the film says of its frames: {'; '.join(losses)}",
            FilmWarning,
            stacklevel=3,
        )


def _matrix(facts: FilmFacts) -> int:
    return _BT2020_MATRIX if facts.is_hdr else _BT709_MATRIX


class CodedPart:
    """A part of a film, coded, in a Matroska file.

    Parameters
    ----------
    path : Path
        The file.
    facts : FilmFacts
        The facts of the film.
    coding : Coding
        How its frames are coded.
    """

    def __init__(self, path: Path, facts: FilmFacts, coding: Coding) -> None:
        self._path = path
        self._facts = facts
        self._coding = coding
        self._graph: Graph | None = None

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
        coded = _coded(frame, result, self._coding, self._facts)
        coded.pts, coded.time_base = frame.pts, self._facts.time_base
        if self._coding.codec == "ffv1" and self._facts.aspect != 1:
            coded = self._shaped(coded)
        with explained(str(self._path)):
            self._container.mux(self._stream.encode(coded))

    def _shaped(self, frame: VideoFrame) -> VideoFrame:
        """The frame with the shape of its pixels, which FFV1 writes into every frame."""
        if self._graph is None:
            self._graph = Graph()
            source = self._graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=self._facts.time_base,
            )
            shape = self._graph.add("setsar", str(self._facts.aspect))
            sink = self._graph.add("buffersink")
            source.link_to(shape)
            shape.link_to(sink)
            self._graph.configure()
        self._graph.push(frame)
        shaped = self._graph.pull()
        assert isinstance(shaped, VideoFrame)
        return shaped


class ImagesPart:
    """A part of a film as images, one file per frame.

    Parameters
    ----------
    folder : Path
        Where they are written.
    pattern : str
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
            _write_dpx(path, result.rgb, frame.header)
            return
        page = frame.page or Page(result.gray.codes, reading=result.gray.reading)
        with ImageWriter(path, overwrite=True) as writer:
            writer.write(page, result.strips(), result.provenance)


def numbered(pattern: str, number: int) -> str:
    """The name of a frame's image: ``frame_%06d.tif`` gives ``frame_000012.tif``."""
    return _NUMBER.sub(lambda match: match[0] % number, pattern, count=1)


def is_image_of(pattern: str, name: str) -> bool:
    """Whether a name is that of an image that the pattern stands for."""
    before, *after = _NUMBER.split(pattern, maxsplit=1)
    expected = rf"{re.escape(before)}\d+{re.escape(''.join(after))}"
    return bool(after) and re.fullmatch(expected, name) is not None


def kept_gray(
    frame: FilmFrame, gray: NDArray[Any], coding: Coding | None, facts: FilmFacts
) -> NDArray[Any]:
    """The gray codes that the result of a frame holds, but for the loss of its codec.

    Parameters
    ----------
    frame : FilmFrame
        The frame.
    gray : ndarray
        (H, W): its gray, of full range.
    coding : Coding or None
        How the result is coded; None for images.
    facts : FilmFacts
        The facts of the film.

    Returns
    -------
    ndarray
        (H, W): luma codes of the coding if it has luma, else `gray`.
    """
    if coding is None or coding.luma is None:
        return gray
    if frame.luma is not None and facts.luma and facts.luma.limited == coding.luma.limited:
        return facts.luma.converted(frame.luma, coding.luma.bits)
    return coding.luma.codes(gray)


def _coded(frame: FilmFrame, result: Colorization, coding: Coding, facts: FilmFacts) -> VideoFrame:
    luma = coding.luma
    if luma is None:
        rgb = result.rgb
        deep = rgb.dtype != np.uint8
        pixels = VideoFrame.from_ndarray(rgb, "gbrp16le" if deep else "rgb24")
        if not deep:
            pixels = pixels.reformat(format=coding.pixels)
        coded = _like(frame, rgb.shape[:2], coding.pixels)
        for plane, source in zip(coded.planes, pixels.planes, strict=True):
            plane.update(_rows(source, plane))
        coded.color_range, coded.colorspace = FULL_RANGE, _RGB
        return coded
    gray = result.gray.codes
    y = kept_gray(frame, gray, coding, facts)
    if "420" in coding.pixels:  # colors at the size at which they are coded: a quarter of the work
        gray = halve(gray, interlaced=facts.interlaced)
    elif "422" in coding.pixels:
        gray = halve_columns(gray)
    planes = (y, *chroma(result.colored(gray), luma, wide=facts.is_hdr))
    coded = _like(frame, y.shape, coding.pixels)
    for plane, codes in zip(coded.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size // codes.itemsize), codes.dtype)
        rows[:, : codes.shape[1]] = codes
        plane.update(rows.tobytes())
    coded.color_range = LIMITED_RANGE if luma.limited else FULL_RANGE
    coded.colorspace = _matrix(facts)
    return coded


def _like(frame: FilmFrame, shape: tuple[int, ...], pixels: str) -> VideoFrame:
    """A frame to fill, with what FFmpeg knows of the source's: captions, fields, pixel shape."""
    height, width = shape[:2]
    if frame.decoded is None:
        return VideoFrame(width, height, pixels)
    # Two steps, because reformatting to the same format gives the decoder's own frame.
    between = "gbrp" if frame.decoded.format.name == pixels else None
    return frame.decoded.reformat(format=between).reformat(format=pixels)


def _rows(source: VideoPlane, target: VideoPlane) -> bytes:
    """The bytes of a plane, its rows as long as those of another one of the same size."""
    rows = np.frombuffer(memoryview(source), np.uint8).reshape(source.height, source.line_size)
    if target.line_size <= source.line_size:
        return rows[:, : target.line_size].tobytes()
    return np.pad(rows, ((0, 0), (0, target.line_size - source.line_size))).tobytes()


def _write_dpx(path: Path, codes: NDArray[Any], header: bytes) -> None:
    """Write a DPX file; of the header of the source all that is not about how samples are stored.

    Parameters
    ----------
    path : Path
        The file.
    codes : ndarray
        (H, W, 3) RGB or (H, W) gray, uint8 or uint16.
    header : bytes
        The header of the source's DPX file; empty if it is none.
    """
    # Numbers in the header are in the byte order of the samples.
    order = "le" if header.startswith(b"XPDS") else "be"
    shallow, deep = ("gray", "gray16") if codes.ndim == 2 else ("rgb24", "rgb48")
    is_deep = codes.dtype != np.uint8
    context = av.CodecContext.create("dpx", "w")
    context.height, context.width = codes.shape[:2]
    context.pix_fmt = f"{deep}{order}" if is_deep else shallow
    context.time_base = Fraction(1, 24)  # the encoder requires one; the file has none
    frame = VideoFrame.from_ndarray(codes, f"{deep}le" if is_deep else shallow)
    made = b"".join(map(bytes, context.encode(frame.reformat(format=context.pix_fmt))))
    write_file(path, _with_dpx_header(made, header))


def write_gray_image(path: Path, codes: NDArray[Any], frame: FilmFrame) -> None:
    """Write the gray of a frame as an image: TIFF, PNG or DPX, by the ending of its name.

    Parameters
    ----------
    path : Path
        The file; one that is there is replaced.
    codes : ndarray
        (H, W) uint8 or uint16: gray codes.
    frame : FilmFrame
        The colorized frame, whose DPX header is kept.
    """
    ending = path.suffix.lower()
    if ending == ".dpx":
        _write_dpx(path, codes, frame.header)
        return
    with AtomicFile(path, overwrite=True) as output, explained(output.name):
        if ending == ".png":
            output.file.write(imagecodecs.png_encode(codes))
        else:
            tifffile.imwrite(
                output.file, codes, photometric="minisblack", compression="zlib", predictor=True
            )


# SMPTE ST 268: creation time, creator, project and copyright; transfer and colorimetry of the first
# element; image orientation (origin of the scan, pixel aspect ratio), film and television headers.
_DPX_KEPT = ((136, 660), (801, 803), (1408, 2048))


def _with_dpx_header(made: bytes, header: bytes) -> bytes:
    """Put what the header of the source says in front of the samples that FFmpeg coded.

    FFmpeg writes the generic header only, so that the samples move behind the film and television
    headers. In the source these are there if its samples begin behind them.
    """
    if len(header) < DPX_HEADER or made[:4] != header[:4]:
        return made  # no header to keep, or 8 bits in the other byte order
    order: Literal["little", "big"] = "little" if made.startswith(b"XPDS") else "big"
    samples_at = int.from_bytes(made[4:8], order)
    end = min(DPX_HEADER, int.from_bytes(header[4:8], order))
    content = bytearray(made[:samples_at]).ljust(DPX_HEADER, b"\xff")  # what is not known
    for start, stop in _DPX_KEPT:
        content[start : min(stop, end)] = header[start : min(stop, end)]
    size = DPX_HEADER + len(made) - samples_at
    for at, value in ((4, DPX_HEADER), (16, size), (28, DPX_HEADER - samples_at)):
        content[at : at + 4] = value.to_bytes(4, order)
    return bytes(content) + made[samples_at:]


def coding_record(coding: Coding | None, pattern: str) -> dict[str, Any]:
    """Describe the coding of the frames in JSON types."""
    if coding is None:
        return {"images": pattern}
    record = asdict(coding)
    del record["luma"]
    return record

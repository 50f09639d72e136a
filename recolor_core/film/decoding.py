"""Reading films, one file or many images: frames as exact codes, upright, with their time."""

import glob
import hashlib
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from recolor_core.film.errors import FilmError, FilmWarning
from recolor_core.film.luma import Luma
from recolor_core.images import WRITABLE, Page, open_image
from recolor_core.lab import SRGB, ColorSpace

FULL_RANGE, LIMITED_RANGE = 2, 1  # AVColorRange
BT709, SRGB_CURVE, UNKNOWN_CURVE = 1, 13, 2  # AVColorTransferCharacteristic (ITU-T H.273, table 3)
_SLACK = Fraction(1, 2)  # seconds; nobody says how long the last frame of a film is
_HDR = {16: "PQ", 18: "HLG"}

# Pixel formats whose first plane is the luma, a code per byte or per two bytes.
_PLAIN = re.compile(r"(gray(\d+le)?|(yuvj?|yuva)\d{3}p(\d+le)?|nv(12|16|21|24|42))")
_IMAGES = {*WRITABLE, ".dpx"}
_DIGITS = re.compile(r"(\d+)")
_PLANAR_RGB = re.compile(r"gbra?p(\d+)(le|be)")


@dataclass(frozen=True)
class FilmFrame:
    """A frame as it is stored, turned upright.

    Parameters
    ----------
    number
        In the film, from 0.
    pts
        When it is shown, in the time base of the film.
    duration
        Until the next one, in the time base of the film.
    image
        What to colorize: gray codes (H, W) or RGB (H, W, 3), uint8 or uint16 of full range.
    luma
        (H, W): the codes of its luma; None of films in RGB and of images.
    page
        Of the image's file; None of films.
    """

    number: int
    pts: int
    duration: int
    image: NDArray[Any]
    luma: NDArray[Any] | None = None
    page: Page | None = None


@dataclass(frozen=True)
class FilmFacts:
    """What is known of a film before its frames are read.

    Parameters
    ----------
    name
        Of its file, folder or pattern.
    size
        Width and height, upright.
    dtype
        Of the gray: uint8 or uint16.
    luma
        What luma codes mean; None of films in RGB and of images.
    reading
        How frames are read, in words.
    time_base
        Seconds of a tick.
    rate
        Frames per second, on the average; None of images of which nobody said it.
    aspect
        Width of a pixel by its height.
    transfer
        The tone curve of the codes, as ITU-T H.273, table 3, numbers them.
    times
        When frames are shown, in ticks, ascending; what the index of the film says, before the
        frames themselves do.
    space
        What the codes mean to the networks.
    """

    name: str
    size: tuple[int, int]
    dtype: np.dtype[Any]
    luma: Luma | None
    reading: str
    time_base: Fraction
    rate: Fraction | None
    aspect: Fraction
    transfer: int
    times: Sequence[int]
    space: ColorSpace = SRGB


def open_film(name: str, rate: Fraction | None = None) -> "Movie | Images":
    """A film: a file, a folder of images, or a pattern (``scan_*.tif``, ``scan_%05d.dpx``).

    Parameters
    ----------
    name
        Of it.
    rate
        Frames per second of images.

    Raises
    ------
    FilmError
        Where there is no film, or it cannot be read.
    """
    path = Path(name)
    if path.is_file():
        if rate is not None:
            raise FilmError(
                f"expected images for --fps, got {name}, which has times of its own; leave it out"
            )
        return Movie(path)
    if path.is_dir():
        files = [p for p in path.iterdir() if p.suffix.lower() in _IMAGES]
        missing = f"no images ({', '.join(sorted(_IMAGES))}) are in this folder"
    elif glob.has_magic(name) or "%" in name:
        pattern = re.sub(r"%0?\d*d", "*", name)
        files = [Path(p) for p in glob.glob(pattern)]  # noqa: PTH207 (Path has no absolute ones)
        missing = "no file matches this pattern; check it, or name a folder"
    else:
        raise FilmError(f"{name}: there is no such file; check the name")
    files = sorted((p for p in files if not p.name.startswith(".")), key=_natural)
    if not files:
        raise FilmError(f"{name}: {missing}")
    return Images(name, files, rate)


class Movie:
    """A film in one file, by FFmpeg.

    Parameters
    ----------
    path
        Of it.

    Raises
    ------
    FilmError
        Where it is no film, or nothing of it can be decoded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = (path,)
        self._turn = _Turn()
        with self.opened() as container:
            stream = main_stream(container, path)
            self.index = stream.index
            times, self.cut_short = _scan(container, stream)
        with self.opened() as container:
            stream = main_stream(container, path)
            frame = next(_decoded(container, stream, path), None)
            if frame is None:
                raise FilmError(
                    f"{path}: not one frame of its {_codec(stream)} video can be decoded; the file "
                    "may be truncated: copy it again from its origin"
                )
            self.facts = self._facts(stream, frame, times)

    @contextmanager
    def opened(self) -> Iterator[InputContainer]:
        """The file, open; read from its beginning."""
        try:
            # Playlists may name anything: only files of this machine are read.
            container = av.open(str(self.path), options={"protocol_whitelist": "file,crypto"})
        except (av.FFmpegError, OSError) as error:
            raise FilmError(
                f"{self.path}: this cannot be opened as a film ({_reason(error)}); it is none, of "
                "an unknown kind, or truncated"
            ) from error
        with container:
            yield container

    def frames(self) -> Iterator[FilmFrame]:
        """All frames, in the order in which they are shown.

        Raises
        ------
        FilmError
            Where the film changes its size or kind on its way.
        """
        with self.opened() as container:
            stream = main_stream(container, self.path)
            for number, (frame, pts, until) in enumerate(self._timed(container, stream)):
                yield self._frame(frame, number, pts, until - pts)

    def sha256(self) -> str:
        """Of the file."""
        return _sha256([self.path])

    def _timed(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator[tuple[VideoFrame, int, int]]:
        """Frames, when each begins and when the next one does, in ticks."""
        rate, base = self.facts.rate or Fraction(25), self.facts.time_base
        usual = max(1, round(1 / (rate * base)))

        def timed() -> Iterator[tuple[VideoFrame | None, int]]:
            end: int | None = None
            last: int | None = None
            for frame in _decoded(container, stream, self.path):
                pts = frame.pts if frame.pts is not None else end or 0
                if last is not None and pts <= last:  # no muxer takes two at one time
                    pts = last + 1
                yield frame, pts
                last, end = pts, pts + (frame.duration or usual)
            yield None, end or 0

        for (frame, pts), (_, until) in pairwise(timed()):
            assert frame is not None
            yield frame, pts, max(until, pts + 1)

    def _facts(self, stream: VideoStream, frame: VideoFrame, times: Sequence[int]) -> FilmFacts:
        self._turn = _Turn.of(frame)
        luma = _luma_of(frame)
        self._kind = _kind(frame, luma)
        bits = luma.bits if luma else max(c.bits for c in frame.format.components)
        words = [f"{_codec(stream)}, {frame.format.name}"]
        if luma:
            words.append(f"luma of {luma.bits} bits from {luma.black} to {luma.white}")
        else:
            words.append(f"RGB of {bits} bits, its luminance kept")
        if frame.interlaced_frame:
            warnings.warn(
                "the film is interlaced; its lines stay where they are, but players will not be "
                "told: deinterlace it first",
                FilmWarning,
                stacklevel=4,
            )
        if name := _HDR.get(frame.color_trc):
            warnings.warn(
                f"the film has the tone curve {name}, which the networks have never seen; colors "
                "may be wrong",
                FilmWarning,
                stacklevel=4,
            )
        width, height = frame.width, frame.height
        aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
        aspect = aspect or Fraction(1)
        if self._turn.swapped:
            width, height, aspect = height, width, 1 / aspect
        assert stream.time_base is not None
        return FilmFacts(
            name=str(self.path),
            size=(width, height),
            dtype=np.dtype(np.uint8 if bits == 8 else np.uint16),
            luma=luma,
            reading=", ".join(words),
            time_base=stream.time_base,
            rate=stream.average_rate or stream.guessed_rate or None,
            aspect=aspect,
            transfer=frame.color_trc,
            times=times,
        )

    def _frame(self, frame: VideoFrame, number: int, pts: int, duration: int) -> FilmFrame:
        luma = _luma_of(frame)
        size = (frame.width, frame.height)
        size = size[::-1] if self._turn.swapped else size
        if size != self.facts.size or luma != self.facts.luma:
            raise FilmError(
                f"{self.path}: the film changes at frame {number}, from {_words(self.facts.size)} "
                f"({self._kind}) to {_words(size)} ({_kind(frame, luma)}); colorize the parts "
                f"apart, with --end {number}f and --start {number}f"
            )
        if luma is None:
            return FilmFrame(number, pts, duration, self._turn.upright(_rgb(frame)))
        codes = self._turn.upright(_plane(frame, luma))
        return FilmFrame(number, pts, duration, luma.gray(codes), codes)


class Images:
    """A film as images, one file each.

    Parameters
    ----------
    name
        Of the folder or pattern.
    files
        In their order.
    rate
        Frames per second.

    Raises
    ------
    FilmError, ImageError
        Where the first one cannot be read.
    """

    def __init__(self, name: str, files: Sequence[Path], rate: Fraction | None = None) -> None:
        self.files = files
        page = _read_page(files[0])
        height, width = page.codes.shape[:2]
        self.facts = FilmFacts(
            name=name,
            size=(width, height),
            dtype=page.codes.dtype,
            luma=None,
            reading=page.reading,
            time_base=1 / rate if rate else Fraction(1),
            rate=rate,
            aspect=Fraction(1),
            transfer=SRGB_CURVE,
            times=range(len(files)),
            space=page.space,
        )

    def frames(self) -> Iterator[FilmFrame]:
        """All images.

        Raises
        ------
        FilmError
            Where one differs from the first one in size, depth or meaning.
        """
        width, height = self.facts.size
        expected = (height, width), self.facts.dtype, self.facts.space
        for number, path in enumerate(self.files):
            page = _read_page(path)
            if (page.codes.shape[:2], page.codes.dtype, page.space) != expected:
                got = f"{page.codes.shape[1]} x {page.codes.shape[0]} of {page.codes.dtype}"
                raise FilmError(
                    f"{path}: expected an image like the first one, {width} x {height} of "
                    f"{self.facts.dtype} in {self.facts.space.name}, got {got} in "
                    f"{page.space.name}; colorize it apart"
                )
            yield FilmFrame(number, number, 1, page.codes, page=page)

    def sha256(self) -> str:
        """Of the content of all files, one after the other."""
        return _sha256(self.files)


def main_stream(container: InputContainer, path: Path) -> VideoStream:
    """The video that is colorized: the first one that is no cover image.

    Raises
    ------
    FilmError
        Where there is none that can be decoded.
    """
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = ", ".join(dict.fromkeys(stream.type for stream in container.streams)) or "nothing"
        raise FilmError(f"{path}: expected a file with video, got one with {kinds}; check the name")
    stream = streams[0]
    if stream.codec_context is None:
        raise FilmError(
            f"{path}: its video is of a codec that this FFmpeg does not know; convert it first, "
            "for example to FFV1"
        )
    return stream


def _scan(container: InputContainer, stream: VideoStream) -> tuple[list[int], bool]:
    """When frames are shown, by their packets, and whether the file ends before its film does."""
    times: list[int] = []
    packets, last, failed = 0, Fraction(0), False
    try:
        for packet in container.demux():
            stamp = packet.pts if packet.pts is not None else packet.dts
            if packet.size == 0 and stamp is None:
                continue  # the end
            if stamp is not None:
                last = max(last, (stamp + (packet.duration or 0)) * packet.time_base)
            if packet.stream_index == stream.index:
                packets += 1
                if not packet.is_discard:
                    times.append(stamp if stamp is not None else packets)
    except (av.FFmpegError, OSError):
        failed = True
    # Durations of other kinds of files are estimates.
    if container.format.name.startswith(("mov,", "matroska,")) and container.duration:
        declared = Fraction(container.duration + max(0, container.start_time or 0), 1_000_000)
        failed |= packets < stream.frames or last < declared - _SLACK
    return sorted(times), failed


def _decoded(container: InputContainer, stream: VideoStream, path: Path) -> Iterator[VideoFrame]:
    """Frames that can be decoded; a warning tells of damage."""
    left_out: list[int | None] = []
    damaged: list[int | None] = []
    try:
        for packet in container.demux(stream):
            pts = packet.pts  # decoding takes it away
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                left_out.append(pts)
                continue
            damaged += [frame.pts for frame in frames if frame.is_corrupt]
            yield from frames
    except (av.FFmpegError, OSError) as error:
        warnings.warn(f"reading ended early ({_reason(error)})", FilmWarning, stacklevel=2)
    base = stream.time_base or Fraction(1)
    for stamps, what in ((left_out, "could not be decoded"), (damaged, "are damaged")):
        if stamps:
            first = next((float(pts * base) for pts in stamps if pts is not None), 0.0)
            warnings.warn(
                f"{len(stamps)} frames {what}, the first one at {first:.2f} s",
                FilmWarning,
                stacklevel=2,
            )


@dataclass(frozen=True)
class _Turn:
    """How to make stored frames upright: swap the axes, then mirror."""

    swapped: bool = False
    left_right: bool = False
    up_down: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> "_Turn":
        """By the display matrix (ISO/IEC 14496-12, 6.2.2); turns by other than 90 degrees stay."""
        side: Any = frame.side_data.get("DISPLAYMATRIX")
        if side is None:
            return cls()
        a, b, _, c, d, *_ = np.frombuffer(bytes(side), np.int32).tolist()  # x' = ax + cy, ...
        if a == d == 0:
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0) if b == c == 0 else cls()

    def upright(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Codes (H, W) or (H, W, 3), turned."""
        if self.swapped:
            codes = codes.swapaxes(0, 1)
        return np.ascontiguousarray(
            codes[:: -1 if self.up_down else 1, :: -1 if self.left_right else 1]
        )


def _luma_of(frame: VideoFrame) -> Luma | None:
    """What its luma codes mean; None of RGB."""
    format = frame.format
    first = format.components[0]
    if format.is_rgb or format.has_palette or not first.is_luma:
        return None
    bits = 16 if first.bits > 16 else max(8, first.bits)
    # Untagged, luma is limited, but in formats that are full by their name, or gray alone.
    full = frame.color_range == FULL_RANGE or (
        frame.color_range != LIMITED_RANGE
        and format.name.startswith(("yuvj", "gray", "ya", "mono"))
    )
    return Luma(bits, limited=not full)


def _plane(frame: VideoFrame, luma: Luma) -> NDArray[Any]:
    """The luma codes of a frame, (H, W)."""
    if not _PLAIN.fullmatch(frame.format.name):  # packed, shifted, or in the other byte order
        deep = "" if luma.bits == 8 else f"{luma.bits}le"
        plain = "gray" if frame.format.name.startswith(("gray", "ya", "mono")) else "yuv444p"
        color_range = LIMITED_RANGE if luma.limited else FULL_RANGE
        frame = frame.reformat(
            format=plain + deep, src_color_range=color_range, dst_color_range=color_range
        )
    plane = frame.planes[0]
    rows: NDArray[Any] = np.frombuffer(memoryview(plane), luma.dtype).reshape(plane.height, -1)
    return rows[:, : frame.width].copy()


def _rgb(frame: VideoFrame) -> NDArray[Any]:
    """RGB codes (H, W, 3) of full range: uint8, or uint16 where there are more bits."""
    if max(component.bits for component in frame.format.components) <= 8:
        return frame.to_ndarray(format="rgb24")
    match = _PLANAR_RGB.fullmatch(frame.format.name)
    bits = int(match[1]) if match else 16
    if bits == 16:
        return frame.to_ndarray(format="rgb48le")
    codes = frame.to_ndarray(format=f"gbrp{bits}le")
    top = (1 << bits) - 1
    spread: NDArray[Any] = np.rint(np.arange(top + 1) * (65535 / top)).astype(np.uint16)[codes]
    return spread


def _words(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} pixels"


def _kind(frame: VideoFrame, luma: Luma | None) -> str:
    extent = f", luma from {luma.black} to {luma.white}" if luma else ""
    return f"{frame.format.name}{extent}"


def _codec(stream: Stream) -> str:
    return stream.codec_context.name if stream.codec_context else "unknown"


def _read_page(path: Path) -> Page:
    if path.suffix.lower() == ".dpx":
        film = Movie(path)
        frame = next(film.frames())
        return Page(frame.image, reading=film.facts.reading)
    with open_image(path) as file:
        if len(file) > 1:
            raise FilmError(
                f"{path}: expected one image per file, got {len(file)} pages; split it first"
            )
        page = next(iter(file))
    if page.codes.dtype.kind == "f":
        raise FilmError(
            f"{path}: expected codes of 8 or 16 bits, got {page.codes.dtype}; convert it first"
        )
    # The codes may be a view of the file on disk, which is closed now.
    return replace(page, codes=np.array(page.codes))


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts 2 before 10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(str(path))
    ]


def _sha256(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split())

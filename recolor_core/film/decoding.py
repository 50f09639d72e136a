"""Read a film from one file: frames as exact codes, upright, with their times."""

import re
import warnings
from bisect import bisect_left
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.filter import Graph
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from recolor_core.files import sha256_of
from recolor_core.film.errors import FilmError, FilmWarning
from recolor_core.film.luma import Luma
from recolor_core.images import Page
from recolor_core.lab import SRGB, ColorSpace
from recolor_core.wording import counted

METADATA_ERRORS = "surrogateescape"
"""How metadata is decoded that is not UTF-8, so that the result has the same bytes."""

FULL_RANGE, LIMITED_RANGE = 2, 1  # AVColorRange
BT709, SRGB_CURVE, UNKNOWN_CURVE = 1, 13, 2  # AVColorTransferCharacteristic (ITU-T H.273, table 3)
_SLACK = Fraction(1, 2)  # seconds; files do not say how long the last frame of a film is
_HDR = {16: "PQ", 18: "HLG"}

# Pixel formats whose first plane is the luma, a code per byte or per two bytes.
_PLAIN = re.compile(r"(gray(\d+le)?|(yuvj?|yuva)\d{3}p(\d+le)?|nv(12|16|21|24|42))")
_PLANAR_RGB = re.compile(r"gbra?p(\d+)(le|be)")


@dataclass(frozen=True)
class FilmFrame:
    """A frame as it is stored, turned upright.

    Parameters
    ----------
    number : int
        Its number in the film, from 0; of images, the number in the file's name.
    pts : int
        When it is shown, in the time base of the film.
    duration : int
        How long it is shown, in the time base of the film.
    image : ndarray
        What to colorize: gray codes (H, W) or RGB (H, W, 3), uint8 or uint16 of full range.
    luma : ndarray or None
        (H, W): the codes of its luma; None for films in RGB and for images.
    page : Page or None
        The page of the image's file; None if the frame is of a film in one file.
    header : bytes
        The header of the image's DPX file; empty if there is none.
    decoded : VideoFrame or None
        The frame as FFmpeg decoded it. Its captions, fields and pixel shape go into the result.
        None if the frame is an image or was turned.
    """

    number: int
    pts: int
    duration: int
    image: NDArray[Any]
    luma: NDArray[Any] | None = None
    page: Page | None = None
    header: bytes = b""
    decoded: VideoFrame | None = field(default=None, repr=False)


@dataclass(frozen=True)
class FilmFacts:
    """What is known of a film before its frames are read.

    Parameters
    ----------
    name : str
        The name of its file or folder, or its pattern.
    size : tuple of int
        Width and height, upright.
    dtype : dtype
        The dtype of the gray: uint8 or uint16.
    luma : Luma or None
        What luma codes mean; None for films in RGB and for images.
    reading : str
        How frames are read, in words.
    time_base : Fraction
        The length of a tick, in seconds.
    rate : Fraction or None
        Average frames per second; None for images without a given rate.
    aspect : Fraction
        The width of a pixel divided by its height.
    transfer : int
        The tone curve of the codes, as ITU-T H.273, table 3, numbers it.
    times : Sequence of int
        When frames are shown, in ticks, ascending, by the packets of the film.
    space : ColorSpace
        What the codes mean to the networks.
    numbers : Sequence of int
        The number of each frame: from 0 in films, the number in the file's name for images.
    start : Fraction
        The time of the container's clock, in seconds, that becomes 0 in the result.
    interlaced : bool
        Whether each frame holds two fields, on alternating rows.
    field_order : int
        The order of the fields, as FFmpeg's AVFieldOrder numbers it; 0 if it is unknown.
    captions : bool
        Whether there are captions (CEA-608/708) inside the video.
    light : str
        Mastering display and content light level, as options of x265; empty if there are none.
    comment : str
        The comment in the metadata of the file; empty if there is none.
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
    numbers: Sequence[int] = ()
    start: Fraction = Fraction(0)
    interlaced: bool = False
    field_order: int = 0
    captions: bool = False
    light: str = ""
    comment: str = ""

    @property
    def is_hdr(self) -> bool:
        """Whether the tone curve is that of high dynamic range (PQ or HLG)."""
        return self.transfer in _HDR


class Movie:
    """A film in one file, read by FFmpeg.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    FilmError
        If it is not a film, or nothing in it can be decoded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = (path,)
        self._damage = _Damage()
        self._turn = _Turn()
        with self.opened() as container:
            stream = main_stream(container, path)
            self.index = stream.index
            self._start = Fraction(0)
            # The clock of a broadcast runs on from before; in other files the film begins at 0.
            if container.format.name in ("mpegts", "mpeg"):
                self._start = Fraction(container.start_time or 0, 1_000_000)
            times, self.cut_short, self.chapter_tracks = _scan(container, stream)
            self._by_time = all(one < other for one, other in pairwise(times))
        with self.opened() as container:
            stream = main_stream(container, path)
            frame = next(_decoded(container, stream, path), None)
            if frame is None:
                raise FilmError(
                    f"{path}: not one frame of its {_codec(stream)} video can be decoded; the file "
                    "may be truncated: copy it again from its origin"
                )
            facts = self._facts(stream, frame, times)
            said = (v for k, v in container.metadata.items() if k.lower() == "comment")
            self.facts = replace(facts, comment=next(said, ""))

    @contextmanager
    def opened(self) -> Iterator[InputContainer]:
        """Open the file at its beginning."""
        try:
            # Playlists may name anything; read only files of this machine.
            container = av.open(
                str(self.path),
                options={"protocol_whitelist": "file,crypto"},
                metadata_errors=METADATA_ERRORS,
            )
        except (av.FFmpegError, OSError) as error:
            raise FilmError(
                f"{self.path}: this cannot be opened as a film ({_reason(error)}); it is not "
                "one, of an unknown kind, or truncated"
            ) from error
        with container:
            yield container

    def frames(self) -> Generator[FilmFrame, None, None]:
        """Read all frames, in the order in which they are shown.

        Their codes are the same each time, also if the film is damaged.

        Raises
        ------
        FilmError
            If the film changes its size or kind on the way.
        """
        with self.opened() as container:
            stream = main_stream(container, self.path)
            damage = self._damage = _Damage(self.facts)
            try:
                numbered = self._numbered(_decoded(container, stream, self.path, damage), damage)
                for (frame, pts, number), (_, until, _) in pairwise(numbered):
                    assert frame is not None
                    yield self._frame(frame, number, pts, max(until, pts + 1) - pts)
            finally:
                damage.warn()

    @property
    def damaged(self) -> bool:
        """Whether damage was found in the frames that were read last.

        Another version of FFmpeg may decode other codes from a damaged film.
        """
        return self._damage.found

    def sha256(self) -> str:
        """The SHA-256 of the file, in hexadecimal."""
        return sha256_of(self.path)

    def _numbered(
        self, frames: Iterator[VideoFrame], damage: "_Damage"
    ) -> Iterator[tuple[VideoFrame | None, int, int]]:
        """Frames, when each begins, in ticks, and their numbers; at last the end of the film.

        A frame has the number of the packet that has its time, so that frames after a lost one
        keep their numbers. Where packets have no times of their own, frames are counted.
        """
        rate, base = self.facts.rate or Fraction(25), self.facts.time_base
        usual = max(1, round(1 / (rate * base)))
        times = self.facts.times
        end: int | None = None
        last: int | None = None
        number = -1
        for frame in frames:
            pts = frame.pts if frame.pts is not None else end or 0
            place = bisect_left(times, pts, lo=min(number + 1, len(times)))
            known = self._by_time and place < len(times) and times[place] == pts
            if not known and damage.found and last is not None and pts <= last:
                continue  # the decoder made it up in place of a lost one
            number = place if known else number + 1
            if last is not None and pts <= last:  # muxers refuse two frames at one time
                pts = last + 1
            damage.seen(number)
            yield frame, pts, number
            last, end = pts, pts + (frame.duration or usual)
        damage.at_end()
        yield None, end or 0, number + 1

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
        if any(component.is_alpha for component in frame.format.components):
            words.append("alpha channel left out")
            _warn(self.path, "the film has an alpha channel, which is left out of the result")
        if name := _HDR.get(frame.color_trc):
            _warn(
                self.path,
                f"the film has the tone curve {name}, which the networks have never seen; colors "
                "may be wrong",
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
            numbers=range(len(times)),
            start=self._start,
            interlaced=frame.interlaced_frame,
            field_order=stream.codec_context.field_order if frame.interlaced_frame else 0,
            captions=frame.side_data.get("A53_CC") is not None,
            light=_light(frame),
        )

    def _frame(self, frame: VideoFrame, number: int, pts: int, duration: int) -> FilmFrame:
        luma = _luma_of(frame)
        size = (frame.width, frame.height)
        size = size[::-1] if self._turn.swapped else size
        if size != self.facts.size or luma != self.facts.luma:
            raise FilmError(
                f"{self.path}: the film changes at frame {number}, from {_words(self.facts.size)} "
                f"({self._kind}) to {_words(size)} ({_kind(frame, luma)}); colorize the parts "
                f"separately, with --end {number}f and --start {number}f"
            )
        if luma is None:
            image, codes = self._turn.upright(_rgb(frame)), None
        else:
            codes = self._turn.upright(_plane(frame, luma))
            image = luma.gray(codes)
        decoded = frame if self._turn == _Turn() else None
        return FilmFrame(number, pts, duration, image, codes, decoded=decoded)


def main_stream(container: InputContainer, path: Path) -> VideoStream:
    """The video that is colorized: the first one that is not a cover image.

    Raises
    ------
    FilmError
        If no video can be decoded.
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


def _scan(container: InputContainer, stream: VideoStream) -> tuple[list[int], bool, frozenset[int]]:
    """When frames are shown, whether the file is cut short, and the tracks that hold chapters.

    Times are those of packets. Files of the MP4 family store the titles of chapters as a track,
    too. Muxers write it anew from the chapters.
    """
    times: list[int] = []
    packets, last, failed = 0, Fraction(0), False
    starts = {round(c["start"] * (c["time_base"] or 0), 2) for c in container.chapters()}
    texts: dict[int, set[Fraction]] = {
        s.index: set()
        for s in container.streams
        if s.type == "data" and starts and container.format.name.startswith("mov,")
    }
    try:
        for packet in container.demux():
            stamp = packet.pts if packet.pts is not None else packet.dts
            if packet.size == 0 and stamp is None:
                continue  # the end
            if stamp is not None:
                last = max(last, (stamp + (packet.duration or 0)) * packet.time_base)
                if packet.stream_index in texts:
                    texts[packet.stream_index].add(round(stamp * packet.time_base, 2))
            if packet.stream_index == stream.index:
                packets += 1
                if not packet.is_discard:
                    times.append(stamp if stamp is not None else packets)
    except (av.FFmpegError, OSError):
        failed = True
    # Durations of other kinds of files are estimates.
    if container.format.name.startswith(("mov,", "matroska,")) and container.duration:
        # The duration of these is the time of their end, wherever the first packet begins.
        declared = Fraction(container.duration, 1_000_000)
        failed |= packets < stream.frames or last < declared - _SLACK
    chapter_tracks = frozenset(i for i, found in texts.items() if found <= starts)
    return sorted(times), failed, chapter_tracks


def _decoded(
    container: InputContainer, stream: VideoStream, path: Path, damage: "_Damage | None" = None
) -> Iterator[VideoFrame]:
    """Frames that can be decoded; damage is noted.

    A damaged frame keeps, where FFmpeg could not decode it, what its memory held before. So that
    its codes are the same each time, the decoder has one thread (several would race, and FFmpeg
    does not conceal errors in H.264 then) and gets its memory back in an order that does not depend
    on how long our frames are kept: they are copies. The slices of FFV1 do not depend on each other
    and keep their threads.
    """
    damage = damage or _Damage()
    copied = _Copies()
    if stream.codec_context.name != "ffv1":
        stream.codec_context.thread_count = 1
    try:
        for packet in container.demux(stream):
            damage.found |= packet.is_corrupt
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                damage.found = True
                continue
            for frame in frames:
                if frame.is_corrupt:
                    damage.add_damaged(frame.pts)
                yield copied(frame)
    except (av.FFmpegError, OSError) as error:
        damage.found = True
        _warn(path, f"reading ended early ({_reason(error)})")


class _Copies:
    """Makes copies of frames, with all that FFmpeg says of them, in memory of their own."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._like: tuple[str, int, int] | None = None

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        like = (frame.format.name, frame.width, frame.height)
        if self._graph is None or like != self._like:
            self._graph, self._like = Graph(), like
            self._graph.threads = 1
            source = self._graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=frame.time_base,
            )
            copy, sink = self._graph.add("copy"), self._graph.add("buffersink")
            self._graph.link_nodes(source, copy, sink).configure()
        self._graph.vpush(frame)
        return self._graph.vpull()


class _Damage:
    """What is lost or damaged of a film, for one warning at the end of reading.

    Parameters
    ----------
    facts : FilmFacts or None
        The facts of the film; None if there will be no warning.

    Attributes
    ----------
    found : bool
        Whether the decoder met with damage. Otherwise a packet without a frame is nothing unusual.
    """

    def __init__(self, facts: FilmFacts | None = None) -> None:
        self.found = False
        self._facts = facts
        self._lost: list[int] = []
        self._damaged: list[int] = []
        self._next = 0
        self._at_end = False

    def add_damaged(self, pts: int | None) -> None:
        """Note that a frame was decoded only in parts."""
        self.found = True
        if pts is not None:
            self._damaged.append(pts)

    def seen(self, number: int) -> None:
        """Note that a frame was decoded, and which ones before it were not."""
        self._lost += range(self._next, number)
        self._next = number + 1

    def at_end(self) -> None:
        """Note that there are no more frames."""
        if self._facts:
            self._lost += range(self._next, len(self._facts.times))
            self._at_end = True

    def warn(self) -> None:
        """Say what is lost and what is damaged, with times."""
        facts = self._facts
        if facts is None or not facts.times:
            return
        times = facts.times
        if self.found and self._lost:
            _warn(
                facts.name,
                f"{counted(len(self._lost), 'frame')} lost, because the file is damaged: "
                f"{_spans([times[n] for n in self._lost], facts)}; all others keep their numbers "
                "and times, and the frame before a lost one is shown in its place",
            )
        if self._damaged:
            _warn(
                facts.name,
                f"{counted(len(self._damaged), 'frame')} damaged, and decoded as far as possible: "
                f"{_spans(sorted(self._damaged), facts)}",
            )
        if self._at_end and (gaps := _gaps(facts)):
            _warn(
                facts.name,
                f"the film has no frames in {counted(len(gaps), 'place')}, where the file may be "
                f"damaged: {_listed([f'{a:.2f} to {b:.2f} s' for a, b in gaps])}; the frame before "
                "is shown until the next one, so that times stay",
            )


_MOST_PLACES = 8  # that a warning lists
_CONSTANT = 0.75  # part of the frames with the usual duration, from which a longer one is a gap


def _warn(name: Path | str, text: str) -> None:
    warnings.warn(f"{name}: {text}", FilmWarning, stacklevel=4)


def _listed(places: Sequence[str]) -> str:
    rest = len(places) - _MOST_PLACES
    more = [f"and {counted(rest, 'more place')}"] if rest > 0 else []
    return ", ".join([*places[:_MOST_PLACES], *more])


def _spans(stamps: Sequence[int], facts: FilmFacts) -> str:
    """Times in words, consecutive frames together: 0.60 to 0.68 s, 0.96 s."""
    index = {stamp: number for number, stamp in enumerate(facts.times)}
    seconds = [float((stamp - facts.times[0]) * facts.time_base) for stamp in stamps]
    places: list[str] = []
    begin = 0
    for i in range(1, len(stamps) + 1):
        here = index.get(stamps[i - 1], -2)
        if i < len(stamps) and index.get(stamps[i], -1) == here + 1:
            continue
        until = "" if i - 1 == begin else f" to {seconds[i - 1]:.2f}"
        places.append(f"{seconds[begin]:.2f}{until} s")
        begin = i
    return _listed(places)


def _gaps(facts: FilmFacts) -> list[tuple[float, float]]:
    """Where a film of a constant rate has no frames, from and to, in seconds."""
    times = np.array(facts.times, np.int64)
    lengths = np.diff(times)
    if len(lengths) < 2:
        return []
    usual = float(np.median(lengths))
    long = lengths > 1.5 * usual + 1
    constant = np.abs(lengths - usual) <= 0.1 * usual + 1
    if usual <= 0 or np.mean(constant) < _CONSTANT:
        return []  # its frames are shown for as long as someone wanted
    base = float(facts.time_base)
    return [
        (float(times[i] + usual - times[0]) * base, float(times[i + 1] - times[0]) * base)
        for i in np.flatnonzero(long)
    ]


@dataclass(frozen=True)
class _Turn:
    """The operations that make stored frames upright: swap the axes, then mirror."""

    swapped: bool = False
    left_right: bool = False
    up_down: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> "_Turn":
        """By the display matrix (ISO/IEC 14496-12, 6.2.2), for multiples of 90 degrees."""
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
    """Return the meaning of a frame's luma codes; None if the frame is RGB."""
    format = frame.format
    first = format.components[0]
    if format.is_rgb or format.has_palette or not first.is_luma:
        return None
    bits = 16 if first.bits > 16 else max(8, first.bits)
    # Without a tag, luma is limited, except in formats that are full by name, and in gray formats.
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
    """RGB codes (H, W, 3) of full range: uint8, or uint16 if there are more bits."""
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


def _light(frame: VideoFrame) -> str:
    """The mastering display and content light level of a frame, as options of x265."""
    options: list[str] = []
    display: Any = frame.side_data.get("MASTERING_DISPLAY_METADATA")
    if display is not None:
        *numbers, has_primaries, has_luminance = np.frombuffer(bytes(display), np.int32).tolist()
        if has_primaries and has_luminance:
            values = [n / (d or 1) for n, d in zip(numbers[::2], numbers[1::2], strict=True)]
            # FFmpeg: red, green, blue, white, each x and y, then minimum and maximum in cd/m2.
            red, green, blue, white = (
                ",".join(str(round(value * 50000)) for value in values[i : i + 2])
                for i in (0, 2, 4, 6)
            )
            low, high = (round(value * 10000) for value in values[8:10])
            options.append(f"master-display=G({green})B({blue})R({red})WP({white})L({high},{low})")
    level: Any = frame.side_data.get("CONTENT_LIGHT_LEVEL")
    if level is not None:
        content, average = np.frombuffer(bytes(level), np.uint32)[:2].tolist()
        options.append(f"max-cll={content},{average}")
    return ":".join(options)


def _words(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} pixels"


def _kind(frame: VideoFrame, luma: Luma | None) -> str:
    extent = f", luma from {luma.black} to {luma.white}" if luma else ""
    return f"{frame.format.name}{extent}"


def _codec(stream: Stream) -> str:
    return stream.codec_context.name if stream.codec_context else "unknown"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split())

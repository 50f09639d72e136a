"""Join the parts of a film, without coding them again, with all else that its source holds."""

import heapq
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from recolor_core.film.decoding import METADATA_ERRORS, FilmFacts, Movie
from recolor_core.film.encoding import CONTAINERS, Coding
from recolor_core.film.errors import FilmError, FilmWarning
from recolor_core.film.matroska import set_pixel_aspect
from recolor_core.film.resume import FrameRecord

if TYPE_CHECKING:
    from av.container.core import Chapter

    _Timed = tuple[Fraction, Packet[Any]]  # the time of a packet in seconds, and the packet

# What Matroska files say of the streams that they hold, and would be wrong of new ones.
_STALE = ("BPS", "DURATION", "NUMBER_OF_", "_STATISTICS", "ENCODER", "encoder", "rotate")

MARK = "Colors made up by recolor"
"""How the comment of a colorized film begins; it may follow another one."""

_MICROSECOND = Fraction(1, 1_000_000)
_OPTIONS = {"fflags": "+bitexact"}  # no random numbers, no time: the same call gives the same file
_MATROSKA = ("matroska", "webm")
_LAYOUTS = {1: "mono", 2: "stereo"}
_COVERS = {"png": ("cover.png", "image/png"), "mjpeg": ("cover.jpg", "image/jpeg")}
_BETWEEN = " | "  # of comments
_FIRST_PACKETS = 500  # packets that the check before the start looks at


@dataclass(frozen=True)
class _Clock:
    """What of the source's time goes into the result.

    Parameters
    ----------
    start : Fraction
        The time in the source, in seconds, that is 0 in the result.
    end : Fraction or None
        Until when streams are copied if the film is trimmed; None if all of it is kept.
    """

    start: Fraction = Fraction(0)
    end: Fraction | None = None


def check_target(
    target: Path,
    film: Movie | None,
    facts: FilmFacts,
    coding: Coding,
    left_out: Collection[int] = (),
) -> None:
    """Try whether a container can hold the result, before any work is done.

    Parameters
    ----------
    target : Path
        The output.
    film : Movie or None
        The film whose other streams are copied; None if there is none.
    facts : FilmFacts
        The facts of the film.
    coding : Coding
        How frames are coded.
    left_out : Collection of int
        Numbers of streams that are not copied.

    Raises
    ------
    FilmError
        If it cannot: the message says which stream, and what to do.
    """
    ending = target.suffix.lower()
    if reason := _refusal(ending, None, facts, coding, ()):
        raise FilmError(
            f"{target}: {ending} cannot hold video of {coding.codec} ({reason}); "
            f"{_other_names(target, None, facts, coding, ())}"
        )
    if film is None:
        return
    with film.opened() as source:
        numbers = [stream.index for stream in source.streams if stream.index != film.index]
        streams = [stream.index for stream in copied_streams(source, film, left_out)]
    if unknown := set(left_out) - set(numbers):
        raise FilmError(
            f"{film.path}: expected --drop with the number of a stream besides the video, "
            f"{', '.join(map(str, sorted(numbers))) or 'of which there are none'}, got "
            f"{', '.join(map(str, sorted(unknown)))}"
        )
    if not (reason := _refusal(ending, film, facts, coding, streams)):
        return
    for index in streams:
        if _refusal(ending, film, facts, coding, [index]):
            with film.opened() as source:
                stream = source.streams[index]
                codec = stream.codec_context.name if stream.codec_context else "unknown codec"
                kind = stream.type
            raise FilmError(
                f"{target}: {ending} cannot hold the {kind} stream {index} of {film.path.name} "
                f"({codec}); {_other_names(target, film, facts, coding, streams)}leave it out with "
                f"--drop {index}"
            )
    raise FilmError(
        f"{target}: {ending} cannot hold this film ({reason}); "
        f"{_other_names(target, film, facts, coding, streams)}leave streams out with --drop N"
    )


def _other_names(
    target: Path,
    film: Movie | None,
    facts: FilmFacts,
    coding: Coding,
    streams: Sequence[int],
) -> str:
    """A remedy: the first other container that does hold all; nothing if none does."""
    if coding.exact:
        return ""  # FFV1 is written into Matroska only
    own = film.path.suffix.lower() if film else ""
    for ending in dict.fromkeys((".mkv", own, ".mov", ".mp4")):
        known = ending in CONTAINERS and ending not in (target.suffix.lower(), ".webm")
        if known and not _refusal(ending, film, facts, coding, streams):
            return f"name a {ending} instead" + (", or " if film else "")
    return ""


def _refusal(
    ending: str,
    film: Movie | None,
    facts: FilmFacts,
    coding: Coding,
    streams: Sequence[int],
) -> str:
    """Why a container cannot hold the video and these streams; empty if it can.

    The first packet of each stream is written: some containers refuse a stream only then.
    """
    with ExitStack() as stack:
        source = stack.enter_context(film.opened()) if film else None
        copied = [source.streams[index] for index in streams] if source else []
        try:
            container = _open_output(BytesIO(), CONTAINERS[ending], copied)
            with container:
                video = coding.add_to(container, facts)
                if film and source:
                    copies = _prepare(container, video, source, film, copied, CONTAINERS[ending])
                    container.start_encoding()
                    waiting = set(copies)
                    for number, packet in enumerate(source.demux(copied) if copied else ()):
                        if not waiting or number > _FIRST_PACKETS:
                            break
                        if packet.size and packet.stream_index in waiting:
                            waiting.remove(packet.stream_index)
                            packet.stream = copies[packet.stream_index]
                            packet.pts = packet.dts = 0
                            container.mux(packet)
        except FilmError:
            raise
        except (av.FFmpegError, ValueError, OSError) as error:
            return getattr(error, "strerror", None) or " ".join(str(error).split()) or "no reason"
    return ""


def _open_output(file: BinaryIO, format: str, streams: Sequence[Stream]) -> OutputContainer:
    """Open a container for writing.

    PyAV refuses to put codecs into Matroska that have no name of their own there, such as Windows
    Media Audio. FFmpeg writes them in compatibility mode (A_MS/ACM), and its tee muxer lets them
    pass.
    """
    if format == "matroska":
        known = av.open(BytesIO(), "w", format=format).supported_codecs
        names = {s.codec_context.codec.canonical_name for s in streams if s.type == "audio"}
        if not names <= known:
            return av.open(
                "[f=matroska:fflags=+bitexact]film",
                "w",
                format="tee",
                io_open=lambda *_: _LeftOpen(file),
                metadata_errors=METADATA_ERRORS,
            )
    return av.open(
        file, "w", format=format, options=dict(_OPTIONS), metadata_errors=METADATA_ERRORS
    )


class _LeftOpen:
    """A file that PyAV does not close: of those that it opens itself it closes all.

    Parameters
    ----------
    file : BinaryIO
        The file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.write = file.read, file.write
        self.seek, self.tell = file.seek, file.tell

    def close(self) -> None:
        """Leave the file open."""


def copied_streams(source: InputContainer, film: Movie, left_out: Collection[int]) -> list[Stream]:
    """The streams of a film that are copied as they are.

    Parameters
    ----------
    source : InputContainer
        The film, open.
    film : Movie
        The film.
    left_out : Collection of int
        Numbers of streams that are not copied.
    """
    return [
        stream
        for stream in source.streams
        if stream.index != film.index
        and stream.index not in left_out
        and stream.index not in film.chapter_tracks
        # A stream of time code goes as metadata, of which muxers make such a stream again.
        and not (stream.type == "data" and "timecode" in stream.metadata)
    ]


def join(
    file: BinaryIO,
    format: str,
    parts: Iterator[Path],
    frames: Sequence[FrameRecord],
    facts: FilmFacts,
    *,
    film: Movie | None,
    left_out: Collection[int] = (),
    trimmed: bool = False,
    comment: str,
    without_mark: bool = False,
) -> None:
    """Write the whole film.

    Parameters
    ----------
    file : BinaryIO
        The output; seekable, open for reading and writing.
    format : str
        FFmpeg's name of the container.
    parts : Iterator of Path
        The files of the parts, in order.
    frames : Sequence of FrameRecord
        The frames of all parts.
    facts : FilmFacts
        The facts of the film.
    film : Movie or None
        The film whose other streams, chapters and metadata are copied; None if there are none.
    left_out : Collection of int
        Numbers of streams that are not copied.
    trimmed : bool
        Whether the frames are a part of the film. Then the result begins at time 0, and only what
        is shown with the frames is copied of the other streams.
    comment : str
        A text for the metadata of the file.
    without_mark : bool
        Whether comments of Recolor are left out, because the result has no color.

    Raises
    ------
    FilmError
        If the container does not take it after all.
    """
    base = facts.time_base
    # Transport streams carry a clock of their own; in other containers the film begins at 0.
    clock = _Clock(Fraction(0) if format == "mpegts" else facts.start)
    if trimmed:
        clock = _Clock(frames[0].pts * base, (frames[-1].pts + frames[-1].duration) * base)
    with ExitStack() as stack:
        source = stack.enter_context(film.opened()) if film else None
        streams = copied_streams(source, film, left_out) if film and source else []
        output = stack.enter_context(_open_output(file, format, streams))
        paths = list(parts)
        with av.open(str(paths[0])) as part:
            template = part.streams.video[0]
            header = template.codec_context.extradata
            video = output.add_stream_from_template(template, opaque=True)
            video.time_base = base
            if facts.rate:
                video.codec_context.framerate = facts.rate
        packets = [_video_packets(paths, frames, base, clock, video, header)]
        if film and source:
            copies = _prepare(output, video, source, film, streams, format, clock)
            if copies:
                packets.append(_copied_packets(source, copies, clock))
        key = next((key for key in output.metadata if key.lower() == "comment"), "comment")
        said = [text for text in output.metadata.get(key, "").split(_BETWEEN) if text]
        if without_mark:
            said = [text for text in said if not text.startswith(MARK)]
        output.metadata[key] = _BETWEEN.join((*said, comment))
        for _, packet in heapq.merge(*packets, key=lambda item: item[0]):
            output.mux(packet)
    if (
        facts.aspect != 1
        and format in _MATROSKA
        and not set_pixel_aspect(file, facts.size, facts.aspect)
    ):
        warnings.warn(
            f"pixels of the film are {facts.aspect} times as wide as high, which the header of the "
            "result does not say; some players have to be told",
            FilmWarning,
            stacklevel=2,
        )


def _prepare(
    output: OutputContainer,
    video: VideoStream,
    source: InputContainer,
    film: Movie,
    streams: Sequence[Stream],
    format: str,
    clock: _Clock | None = None,
) -> dict[int, Stream]:
    """Copy metadata and chapters; gives the copies of streams by the numbers of their originals."""
    clock = clock or _Clock()
    main = source.streams[film.index]
    video.metadata.update(_lasting(main.metadata, clock))
    video.disposition = main.disposition
    copies: dict[int, Stream] = {}
    for stream in streams:
        if stream.disposition & Disposition.attached_pic and format == "matroska":
            name, kind = _COVERS.get(stream.codec_context.name, ("cover", "image"))
            name = stream.metadata.get("filename", name)
            kind = stream.metadata.get("mimetype", kind)
            output.add_attachment(name, kind, _cover(film, stream.index))
            continue
        copy = output.add_stream_from_template(stream, opaque=True)
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        if isinstance(copy, AudioStream) and "channels" in copy.layout.name:
            # Only the number of channels is known, as in AVI; MP4 needs their places.
            copy.codec_context.layout = _LAYOUTS.get(copy.channels, copy.layout.name)
        copies[stream.index] = copy
    output.metadata.update(_lasting(source.metadata, clock))
    output.set_chapters(_chapters(source.chapters(), clock))
    return copies


def _cover(film: Movie, index: int) -> bytes:
    """The image file that a stream of a film holds."""
    with film.opened() as source:
        for packet in source.demux(source.streams[index]):
            if packet.size:
                return bytes(packet)
    raise FilmError(f"{film.path}: the cover image in stream {index} is empty; use --drop {index}")


def _video_packets(
    parts: Sequence[Path],
    frames: Sequence[FrameRecord],
    base: Fraction,
    clock: _Clock,
    stream: VideoStream,
    header: bytes | None,
) -> "Iterator[_Timed]":
    """The packets of the parts, with the times of their frames."""
    records = iter(frames)
    ticks = round(clock.start / base)
    for path in parts:
        with av.open(str(path)) as part:
            if part.streams.video[0].codec_context.extradata != header:
                raise FilmError(
                    f"{path} was coded by another version of FFmpeg than the parts before; remove "
                    f"the folder {path.parent} and begin anew"
                )
            for packet in part.demux(video=0):
                if packet.size == 0:
                    continue  # the end
                record = next(records)
                packet.time_base = base
                packet.pts = packet.dts = record.pts - ticks
                packet.duration = record.duration
                packet.stream = stream
                yield packet.pts * base, packet


def _copied_packets(
    source: InputContainer, copies: Mapping[int, Stream], clock: _Clock
) -> "Iterator[_Timed]":
    """The packets of the other streams, moved to the time of the result."""
    time = Fraction(0)
    for packet in source.demux([source.streams[index] for index in copies]):
        if packet.size == 0 and packet.pts is None:
            continue  # the end
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is not None:
            time = stamp * packet.time_base
        copy = copies[packet.stream_index]
        if clock.end is not None and not copy.disposition & Disposition.attached_pic:
            shown = time if packet.pts is None else packet.pts * packet.time_base
            until = shown + (packet.duration or 0) * packet.time_base
            if copy.type == "subtitle" and shown < clock.start < until:
                # It is on screen where the trimmed film begins.
                packet.pts = packet.dts = round(clock.start / packet.time_base)
                packet.duration = round((until - clock.start) / packet.time_base)
                time = shown = clock.start
            if not clock.start <= shown < clock.end:
                continue
        shift = round(clock.start / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - shift
        packet.dts = None if packet.dts is None else packet.dts - shift
        packet.stream = copy
        yield time - clock.start, packet


def _chapters(chapters: "Sequence[Chapter]", clock: _Clock) -> "list[Chapter]":
    kept: list[Chapter] = []
    for chapter in chapters:
        base = chapter["time_base"] or _MICROSECOND
        start, stop = chapter["start"] * base - clock.start, chapter["end"] * base - clock.start
        if clock.end is not None:
            start, stop = max(start, Fraction(0)), min(stop, clock.end - clock.start)
            if stop <= start:
                continue
        kept.append({**chapter, "start": round(start / base), "end": round(stop / base)})
    return kept


def _lasting(metadata: Mapping[str, str], clock: _Clock) -> dict[str, str]:
    """The metadata that are true of the result, too."""
    stale = _STALE if clock.end is None else (*_STALE, "timecode")
    return {key: text for key, text in metadata.items() if not key.startswith(stale)}

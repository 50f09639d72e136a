"""Joining: the parts of a film, not coded again, with everything else that its source holds."""

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from recolor_core.film.decoding import FilmFacts, Movie
from recolor_core.film.encoding import CONTAINERS, Coding
from recolor_core.film.errors import FilmError
from recolor_core.film.resume import FrameRecord

if TYPE_CHECKING:
    from av.container.core import Chapter

    _Timed = tuple[Fraction, Packet[Any]]  # the time of a packet in seconds, and the packet

# What Matroska files say of the streams that they hold, and would be wrong of new ones.
_STALE = ("BPS", "DURATION", "NUMBER_OF_", "_STATISTICS", "ENCODER", "encoder", "rotate")

_MICROSECOND = Fraction(1, 1_000_000)
_Cut = tuple[Fraction, Fraction]
"""From when until when a trimmed film goes, in seconds of its source."""

_OPTIONS = {"fflags": "+bitexact"}  # no random numbers, no time: the same call gives the same file


def check_target(
    target: Path,
    film: Movie | None,
    facts: FilmFacts,
    coding: Coding,
    left_out: Collection[int] = (),
) -> None:
    """Try whether a container can hold the result, before any work is done.

    Raises
    ------
    FilmError
        Where it cannot: says what of it, and what to do.
    """
    format = CONTAINERS[target.suffix.lower()]

    def attempt(source: InputContainer | None, streams: Sequence[Stream]) -> str:
        """What is wrong with a container of the video and these streams; nothing where it holds."""
        container = av.open(BytesIO(), "w", format=format)
        try:
            video = coding.add_to(container, facts)
            if film and source:
                _prepare(container, video, source, film, streams)
            container.start_encoding()
        except FilmError:
            raise
        except (av.FFmpegError, ValueError, OSError) as error:
            return " ".join(str(error).split()) or "for no reason told"
        finally:
            with suppress(av.FFmpegError, ValueError, OSError):
                container.close()
        return ""

    if reason := attempt(None, ()):
        raise FilmError(
            f"{target}: {target.suffix} cannot hold video of {coding.codec} ({reason}); name a "
            ".mkv or .mp4 instead"
        )
    if film is None:
        return
    with film.opened() as source:
        numbers = {stream.index for stream in source.streams} - {film.index}
        if unknown := set(left_out) - numbers:
            raise FilmError(
                f"{film.path}: expected --drop with the number of a stream besides the video, "
                f"{', '.join(map(str, sorted(numbers))) or 'of which there are none'}, got "
                f"{', '.join(map(str, sorted(unknown)))}"
            )
        streams = copied_streams(source, film, left_out)
        if not attempt(source, streams):
            return
        for stream in streams:
            if reason := attempt(source, [stream]):
                codec = stream.codec_context.name if stream.codec_context else "unknown codec"
                raise FilmError(
                    f"{target}: {target.suffix} cannot hold the {stream.type} stream "
                    f"{stream.index} of {film.path.name} ({codec}); name a .mkv or the source's "
                    f"{film.path.suffix} instead, or leave it out with --drop {stream.index}"
                )
        reason = attempt(source, streams)
        raise FilmError(f"{target}: {target.suffix} cannot hold this film ({reason}); name a .mkv")


def copied_streams(source: InputContainer, film: Movie, left_out: Collection[int]) -> list[Stream]:
    """The streams of a film that are copied as they are.

    Parameters
    ----------
    source
        The film, open.
    film
        The film.
    left_out
        Numbers of streams that are not copied.
    """
    return [
        stream
        for stream in source.streams
        if stream.index != film.index
        and stream.index not in left_out
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
) -> None:
    """Write the whole film.

    Parameters
    ----------
    file
        To write into; seekable.
    format
        FFmpeg's name of the container.
    parts
        The files of the parts, in order.
    frames
        Of all parts.
    facts
        Of the film.
    film
        Whose other streams, chapters and metadata are copied; None where there are none.
    left_out
        Numbers of streams that are not copied.
    trimmed
        Whether the frames are a part of the film: then it begins at time 0, and of the other
        streams only what lies within is copied.
    comment
        A text for the metadata of the file.

    Raises
    ------
    FilmError
        Where the container does not take it after all.
    """
    base = facts.time_base
    cut = None
    if trimmed:
        cut = frames[0].pts * base, (frames[-1].pts + frames[-1].duration) * base
    with ExitStack() as stack:
        output = stack.enter_context(av.open(file, "w", format=format, options=dict(_OPTIONS)))
        paths = list(parts)
        with av.open(str(paths[0])) as part:
            template = part.streams.video[0]
            header = template.codec_context.extradata
            video = output.add_stream_from_template(template, opaque=True)
            video.time_base = base
            if facts.rate:
                video.codec_context.framerate = facts.rate
        packets = [_video_packets(paths, frames, base, cut, video, header)]
        if film:
            source = stack.enter_context(film.opened())
            streams = copied_streams(source, film, left_out)
            copies = _prepare(output, video, source, film, streams, cut)
            if copies:
                packets.append(_copied_packets(source, copies, cut))
        before = output.metadata.get("comment")
        output.metadata["comment"] = f"{before} | {comment}" if before else comment
        for _, packet in heapq.merge(*packets, key=lambda item: item[0]):
            output.mux(packet)


def _prepare(
    output: OutputContainer,
    video: VideoStream,
    source: InputContainer,
    film: Movie,
    streams: Sequence[Stream],
    cut: _Cut | None = None,
) -> dict[int, Stream]:
    """Copy metadata and chapters; gives the copies of streams by the numbers of their originals."""
    main = source.streams[film.index]
    video.metadata.update(_lasting(main.metadata, cut))
    video.disposition = main.disposition
    copies: dict[int, Stream] = {}
    for stream in streams:
        copy = output.add_stream_from_template(stream, opaque=True)
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        copies[stream.index] = copy
    output.metadata.update(_lasting(source.metadata, cut))
    output.set_chapters(_chapters(source.chapters(), cut))
    return copies


def _video_packets(
    parts: Sequence[Path],
    frames: Sequence[FrameRecord],
    base: Fraction,
    cut: _Cut | None,
    stream: VideoStream,
    header: bytes | None,
) -> "Iterator[_Timed]":
    """The packets of the parts, with the times of their frames."""
    records = iter(frames)
    ticks = frames[0].pts if cut else 0
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
    source: InputContainer, copies: Mapping[int, Stream], cut: _Cut | None
) -> "Iterator[_Timed]":
    """The packets of the other streams, moved to where a trimmed film begins."""
    time = Fraction(0)
    for packet in source.demux([source.streams[index] for index in copies]):
        if packet.size == 0 and packet.pts is None:
            continue  # the end
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is not None:
            time = stamp * packet.time_base
        if cut:
            shown = time if packet.pts is None else packet.pts * packet.time_base
            if not cut[0] <= shown < cut[1]:
                continue
            shift = round(cut[0] / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
        packet.stream = copies[packet.stream_index]
        yield time - (cut[0] if cut else 0), packet


def _chapters(chapters: "Sequence[Chapter]", cut: _Cut | None) -> "list[Chapter]":
    kept: list[Chapter] = []
    for chapter in chapters:
        base = chapter["time_base"] or _MICROSECOND
        start, stop = chapter["start"] * base, chapter["end"] * base
        if cut:
            start, stop = max(start, cut[0]) - cut[0], min(stop, cut[1]) - cut[0]
            if stop <= start:
                continue
        kept.append({**chapter, "start": round(start / base), "end": round(stop / base)})
    return kept


def _lasting(metadata: Mapping[str, str], cut: _Cut | None) -> dict[str, str]:
    """Metadata that are true of the result too."""
    stale = (*_STALE, "timecode") if cut else _STALE
    return {key: text for key, text in metadata.items() if not key.startswith(stale)}

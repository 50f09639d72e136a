"""Joining: the parts of a film, not coded again, with everything else that its source holds."""

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from recolor_core.film.errors import FilmError
from recolor_core.film.parts import FrameRecord
from recolor_core.film.reading import FilmFacts, Movie
from recolor_core.film.writing import Coding

if TYPE_CHECKING:
    from av.container.core import Chapter

# What Matroska files say of the streams that they hold, and would be wrong of new ones.
_STALE = ("BPS", "DURATION", "NUMBER_OF_", "_STATISTICS", "ENCODER", "encoder", "rotate")

_STREAM_TIMES = Fraction(1, 1_000_000)  # of containers: AV_TIME_BASE
_OPTIONS = {"fflags": "+bitexact"}  # no random numbers, no time: the same call gives the same file


def container_format(target: Path) -> str:
    """FFmpeg's name of the container that a name means.

    Raises
    ------
    FilmError
        Where it means none.
    """
    try:
        return av.open(str(target), "w").format.name.split(",")[0]  # nothing is opened yet
    except ValueError:
        raise FilmError(
            f"{target}: expected a name that ends in .mp4, .mkv, .mov, .webm or another ending of "
            "films, or a folder for pictures; rename the output"
        ) from None


def copied_streams(
    container: InputContainer, film: Movie, left_out: Collection[int]
) -> list[Stream]:
    """The streams of a film that are copied as they are.

    Parameters
    ----------
    container
        The film, open.
    film
        The film.
    left_out
        Numbers of streams that are not copied.
    """
    return [s for s in container.streams if s.index != film.index and s.index not in left_out]


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
    format = container_format(target)

    def attempt(copied: Sequence[Stream]) -> None:
        container = av.open(BytesIO(), "w", format=format)
        try:
            coding.add_to(container, facts)
            for stream in copied:
                container.add_stream_from_template(stream, opaque=True)
            container.start_encoding()
        finally:
            with suppress(av.FFmpegError, ValueError, OSError):
                container.close()

    try:
        attempt(())
    except (av.FFmpegError, ValueError, OSError) as error:
        if isinstance(error, FilmError):
            raise
        raise FilmError(
            f"{target}: {target.suffix or 'this'} cannot hold video of {coding.codec} "
            f"({' '.join(str(error).split())}); name a .mkv or .mp4 instead"
        ) from error
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
        for stream in copied_streams(source, film, left_out):
            try:
                attempt([stream])
            except (av.FFmpegError, ValueError, OSError) as error:
                codec = stream.codec_context.name if stream.codec_context else "unknown codec"
                raise FilmError(
                    f"{target}: {target.suffix} cannot hold the {stream.type} stream "
                    f"{stream.index} of {film.path.name} ({codec}); name a .mkv or the source's "
                    f"{film.path.suffix} instead, or leave it out with --drop {stream.index}"
                ) from error


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
    """
    base = facts.time_base
    begin = frames[0].pts * base if trimmed else None
    end = (frames[-1].pts + frames[-1].duration) * base if trimmed else None
    ticks = frames[0].pts if trimmed else 0
    with av.open(file, "w", format=format, options=dict(_OPTIONS)) as output:
        first = next(parts)
        with av.open(str(first)) as part:
            video = output.add_stream_from_template(part.streams.video[0], opaque=True)
            video.time_base = base
            if facts.rate:
                video.codec_context.framerate = facts.rate
            header = part.streams.video[0].codec_context.extradata
        packets = [
            _video_packets([first, *parts], frames, base, ticks, video, header),
        ]
        if film is None:
            output.metadata["comment"] = comment
            _mux(output, packets)
            return
        with film.opened() as source:
            main = source.streams[film.index]
            video.metadata.update(_lasting(main.metadata))
            video.disposition = main.disposition
            copies: dict[int, Stream] = {}
            for stream in copied_streams(source, film, left_out):
                copy = output.add_stream_from_template(stream, opaque=True)
                copy.metadata.update(stream.metadata)
                copy.disposition = stream.disposition
                copies[stream.index] = copy
            output.metadata.update(_lasting(source.metadata))
            before = output.metadata.get("comment")
            output.metadata["comment"] = f"{before} | {comment}" if before else comment
            output.set_chapters(_chapters(source.chapters(), begin, end))
            if copies:
                packets.append(_copied_packets(source, copies, begin, end))
            _mux(output, packets)


def _mux(output: OutputContainer, streams: Sequence[Iterator[tuple[Fraction, Packet]]]) -> None:
    for _, packet in heapq.merge(*streams, key=lambda item: item[0]):
        output.mux(packet)


def _video_packets(
    parts: Sequence[Path],
    frames: Sequence[FrameRecord],
    base: Fraction,
    ticks: int,
    stream: Stream,
    header: bytes | None,
) -> Iterator[tuple[Fraction, Packet]]:
    """The packets of the parts, with the times of their frames."""
    records = iter(frames)
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
    source: InputContainer,
    copies: Mapping[int, Stream],
    begin: Fraction | None,
    end: Fraction | None,
) -> Iterator[tuple[Fraction, Packet]]:
    """The packets of the other streams, moved to where a trimmed film begins."""
    time = Fraction(0)
    for packet in source.demux([source.streams[index] for index in copies]):
        if packet.size == 0 and packet.pts is None:
            continue  # the end
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is not None:
            time = stamp * packet.time_base
        if begin is not None and end is not None:
            shown = time if packet.pts is None else packet.pts * packet.time_base
            if not begin <= shown < end:
                continue
            shift = round(begin / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
        packet.stream = copies[packet.stream_index]
        yield time - (begin or 0), packet


def _chapters(
    chapters: "Sequence[Chapter]", begin: Fraction | None, end: Fraction | None
) -> "list[Chapter]":
    kept: list[Chapter] = []
    for chapter in chapters:
        base = chapter["time_base"] or _STREAM_TIMES
        start, stop = chapter["start"] * base, chapter["end"] * base
        if begin is not None and end is not None:
            start, stop = max(start, begin) - begin, min(stop, end) - begin
            if stop <= start:
                continue
        moved: Any = {"start": round(start / base), "end": round(stop / base)}
        kept.append({**chapter, **moved})
    return kept


def _lasting(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: text for key, text in metadata.items() if not key.startswith(_STALE)}

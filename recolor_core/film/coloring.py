"""Colorize a film: `colorize_film` holds the order of all steps."""

import os
import warnings
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from functools import partial
from importlib.metadata import version
from itertools import chain, groupby, pairwise
from pathlib import Path
from typing import Any, BinaryIO

import av
from numpy.typing import NDArray

from recolor_core import provenance
from recolor_core.colorizer import Colorizer
from recolor_core.digest import digest_codes
from recolor_core.files import AtomicFile, explained, sha256_of, write_file
from recolor_core.film.decoding import FilmFacts, FilmFrame, Movie
from recolor_core.film.encoding import (
    CONTAINERS,
    CodedPart,
    Coding,
    ImagesPart,
    choose_coding,
    coding_record,
    kept_gray,
    numbered,
    warn_of_losses,
)
from recolor_core.film.errors import FilmError, FilmWarning
from recolor_core.film.finished import FinishedFilm, find_finished, find_record, find_taken
from recolor_core.film.key_frames import (
    ColorSources,
    KeyFrame,
    hash_source,
    number_key_frames,
    write_key_frames,
)
from recolor_core.film.key_hints import KeyHint
from recolor_core.film.muxing import MARK, check_target, join
from recolor_core.film.pipeline import ReadAhead, WriteBehind
from recolor_core.film.resume import FrameRecord, Parts, is_joining
from recolor_core.film.sequences import Images, open_film
from recolor_core.film.timestamps import Moment, frame_within, parse_moment, parse_rate
from recolor_core.frames import (
    BLOCK,
    Frame,
    FrameGuide,
    FrameState,
    Seen,
    check_frames,
    color_frame,
    look_both_ways,
    see_frames,
)
from recolor_core.guides.cleaning import with_eyes
from recolor_core.guides.hints import HintTracks
from recolor_core.guides.shots import Shots, find_shots, read_shots
from recolor_core.hints import Mark, check_marks
from recolor_core.palette import Palette, palette_record
from recolor_core.settings import FilmSettings, Settings
from recolor_core.wording import counted

PART = 2 * BLOCK
"""Frames of a part: whole blocks, so that two passes continue from it as if never stopped."""

GENERATOR_EVERY = 2
"""The generator looks at every second frame; see `recolor_core.frames.see_frames`.

On pieces of four real color films (20 to 50 frames at 256 rows, colorized from their gray) the PSNR
changed by -0.01 to +0.08 dB and the warped error by -4 to 0 %. Where much moves quickly, as in two
pieces of a fifth film, the generator looks at all frames. `PART` is a multiple of this number, so
that a call that goes on looks at the same frames.
"""

IMAGES = "frame_%06d.tif"
"""The names of images in an output that is a folder."""


@dataclass(frozen=True, kw_only=True)
class FilmJob(FilmSettings):
    """How a film is to be colorized. It also takes the parameters of `FilmSettings`.

    Parameters
    ----------
    settings : Settings
        The settings of a call of `Colorizer`.
    palette : ndarray or None
        The palette of a call of `Colorizer`.
    hints : Sequence of KeyHint
        Points, strokes, regions and masks of known color.
    keys : Sequence of KeyFrame
        Key frames in color.
    color_from : str or None
        An image, film, folder or pattern whose color is put on the film.
    shots : Path or None
        A file of shots. If it exists, it is read; else the shots that are found are written to it.
    overwrite : bool
        Whether to replace an existing output, and parts of another call.
    """

    settings: Settings = field(default_factory=Settings)
    palette: Palette | None = None
    hints: Sequence[KeyHint] = ()
    keys: Sequence[KeyFrame] = ()
    color_from: str | None = None
    shots: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class FilmResult:
    """The result of colorizing a film.

    Parameters
    ----------
    output, sidecar : str
        File names.
    frames : int
        The number of frames.
    resumed : int
        How many of them an earlier call had done.
    cuts : tuple of int
        Numbers of the frames that begin a shot, except the first one.
    exact_gray : bool
        Whether the gray of the result is that of the film at every pixel.
    reading : str
        How frames were read, in words.
    status : str
        ``"done"``, or ``"skipped"`` if the result was there already, complete and made in the same
        way.
    """

    output: str
    sidecar: str
    frames: int
    resumed: int
    cuts: tuple[int, ...]
    exact_gray: bool
    reading: str
    status: str = "done"


@dataclass(frozen=True)
class FilmProgress:
    """An event of the work.

    Parameters
    ----------
    done, total : int
        Finished frames, and all frames that the index of the film lists.
    result : FilmResult or None
        The result; only the last event has one.
    stage : str
        ``"shots"`` while shots are looked for, then ``"frames"``; ``"key frames"`` while those are
        written.
    """

    done: int
    total: int
    result: FilmResult | None = None
    stage: str = "frames"


def colorize_film(
    colorizer: Colorizer, source: str, target: str, job: FilmJob | None = None
) -> Iterator[FilmProgress]:
    """Colorize a film step by step; stop iterating to interrupt.

    Finished frames stay in a folder beside the output, ``<target>.recolor-part``. The same call
    continues from there, with the same result. The folder is removed when the output is complete.
    If the output is there already, complete and made in the same way, there is nothing to do.

    Parameters
    ----------
    colorizer : Colorizer
        Its weights must have a color memory.
    source : str
        A film, a folder of images, or a pattern.
    target : str
        A film (its ending names the container), images with a place for their number
        (``frame_%06d.tif``; it is the number of the frame in the source), or a folder for them.
        Beside it ``<target>.json`` says how it was made.
    job : FilmJob or None
        How to colorize it; the defaults if None.

    Yields
    ------
    FilmProgress
        After every frame.

    Raises
    ------
    FilmError
        If the film cannot be read, colorized as requested, or written.
    OutputExistsError
        If there is another output of this name, and it may not be replaced.
    """
    job = job or FilmJob()
    check_frames(job.settings, job.passes)
    film = open_film(source, parse_rate(job.fps) if job.fps else None)
    path = Path(target)
    if path.is_dir() or target.endswith((os.sep, "/")):
        path /= IMAGES
    coding = choose_coding(path, film.facts, lossless=job.lossless, crf=job.crf, codec=job.codec)
    span = _Span(film, job)
    given = _read_shots(span, job)
    hints = _hints_by_frame(span, job.hints)
    number_key_frames(film.facts, job.keys)  # refuses some before hours of work
    # A call that was killed while it moved its outputs into place may replace them.
    overwrite = job.overwrite or is_joining(path)
    if coding is None:
        _make_folder(path.parent)
    elif not path.parent.is_dir():
        raise FilmError(f"{path}: the folder {path.parent} does not exist; create it first")
    elif isinstance(film, Movie):
        check_target(path, film, film.facts, coding, job.drop)
    else:
        check_target(path, None, film.facts, coding)
    find_taken(path, coding, film.files)  # refuses a source before its content is read
    sha256 = film.sha256()
    asked, environment = _asked(colorizer, sha256, path, coding, job), _environment(colorizer)
    if not overwrite and (there := find_finished(path, coding, asked, given, film.files)):
        if job.shots and given is None:
            write_file(job.shots, there.shots.as_json(film.facts.rate))
        yield FilmProgress(there.frames, there.frames, _skipped(path, there))
        return
    if (record := find_record(film)) is not None:
        warnings.warn(
            f"{provenance.describe_result(record)}; {provenance.RECOLORED}",
            FilmWarning,
            stacklevel=2,
        )
    warn_of_losses(path, coding, film.facts)
    # Frames do not depend on the streams that are left out: another --drop may go on with them.
    frames_depend_on = environment | {key: asked[key] for key in asked if key != "drop"}
    parts = Parts(path, frames_depend_on, overwrite=job.overwrite)
    try:
        total = span.total
        shots = parts.shots(given)
        if shots is None:
            shots = yield from _find_shots(span)
        parts.keep_shots(shots)
        if job.shots and given is None:
            write_file(job.shots, shots.as_json(film.facts.rate))
        resumed = len(parts.frames)
        yield FilmProgress(resumed, max(total, resumed))
        tracks = HintTracks(hints, shots)
        if tracks.last >= 0:
            tracks.look(span.images())
        colors = ColorSources(film.facts, shots, job.keys, job.color_from)
        for done in _color(colorizer, span, path, coding, job, parts, tracks, shots, colors):
            yield FilmProgress(done, max(total, done))
        if not parts.frames:
            raise FilmError(f"{source}: no frame could be decoded in the requested part")
        facts = _facts(asked, environment, film, coding, parts) | shots.record(film.facts.rate)
        parts.begin_joining()
        _put_into_place(path, film, coding, job, parts, facts, sha256, overwrite)
    finally:
        if parts.count == 0:  # nothing to go on from
            parts.remove()
    parts.remove()
    result = FilmResult(
        output=str(path),
        sidecar=f"{path}.json",
        frames=len(parts.frames),
        resumed=resumed,
        cuts=tuple(facts["cuts"]),
        exact_gray=_is_exact(coding),
        reading=film.facts.reading,
    )
    yield FilmProgress(result.frames, result.frames, result)


def _skipped(path: Path, there: FinishedFilm) -> FilmResult:
    """The result of a call that has nothing to do."""
    return FilmResult(
        output=str(path),
        sidecar=f"{path}.json",
        frames=there.frames,
        resumed=there.frames,
        cuts=tuple(there.facts["cuts"]),
        exact_gray=there.exact_gray,
        reading=str(there.facts["reading"]),
        status="skipped",
    )


class _Span:
    """The frames of a film between two moments.

    Parameters
    ----------
    film : Movie or Images
        The film.
    job : FilmJob
        Its `start` and `end`.

    Raises
    ------
    FilmError
        If the film has no frames there, or is cut short.
    """

    def __init__(self, film: Movie | Images, job: FilmJob) -> None:
        self.film = film
        self._start = parse_moment(job.start) if job.start else Moment(frame=0)
        self._end = end = parse_moment(job.end) if job.end else None
        name, times, numbers = film.facts.name, film.facts.times, film.facts.numbers
        moments = [(time - times[0]) * film.facts.time_base for time in times]
        self.numbers = [
            number
            for number, moment in zip(numbers, moments, strict=True)
            if self._holds(number, moment)
        ]
        self.total = len(self.numbers)
        length = (
            f"it has {counted(len(times), 'frame')} in {float(moments[-1]) if moments else 0:g} s"
        )
        if self.total == 0:
            raise FilmError(
                f"{name}: expected a start before the end, both in the film, got {self._start} to "
                f"{end or 'its end'}; {length}"
            )
        cut_short = isinstance(film, Movie) and film.cut_short
        if cut_short and (end is None or not end.reached(len(times), moments[-1])):
            raise FilmError(
                f"{name}: the file is truncated or damaged: {length}, and should have more; copy "
                f"it again from its origin, or take what is there with --end {len(times)}f"
            )

    def images(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """The number and the image of each frame."""
        for frame, _, _ in self.frames():
            yield frame.number, frame.image

    def frames(self) -> Iterator[tuple[FilmFrame, Fraction, Fraction]]:
        """Read the frames, and when each is shown, from and until, in seconds of the film."""
        facts = self.film.facts
        after = {
            n: time - facts.times[0] for n, time in zip(facts.numbers, facts.times, strict=True)
        }
        base, origin = facts.time_base, None
        for frame in self.film.frames():
            if origin is None:  # the first frames may be lost
                origin = frame.pts - after.get(frame.number, 0)
            time = (frame.pts - origin) * base
            if self._holds(frame.number, time):
                yield frame, time, time + frame.duration * base
            elif self._end and self._end.reached(frame.number, time):
                return

    def _holds(self, number: int, time: Fraction) -> bool:
        ended = self._end is not None and self._end.reached(number, time)
        return self._start.reached(number, time) and not ended


def _color(
    colorizer: Colorizer,
    span: _Span,
    target: Path,
    coding: Coding | None,
    job: FilmJob,
    parts: Parts,
    hints: HintTracks,
    shots: Shots,
    colors: ColorSources,
) -> Iterator[int]:
    """Colorize what is not done yet, part by part; yields the number of finished frames."""
    resumed = len(parts.frames)
    waiting: deque[FilmFrame] = deque()  # read but not colored yet: two passes look ahead
    guides: dict[int, FrameGuide] = {}

    # Cleaning begins anew with each shot, so that it can go on where the call was stopped.
    next_number = parts.frames[-1].number + 1 if parts.frames else span.numbers[0]
    shot = shots.of(next_number)
    begin = shot.first if shot else next_number

    def images(frames: Iterable[tuple[FilmFrame, Fraction, Fraction]]) -> Iterator[NDArray[Any]]:
        for index, (frame, guide) in enumerate(guided(frames)):
            if index >= resumed:
                guides[index] = guide
                waiting.append(frame)
                yield frame.image

    def guided(
        frames: Iterable[tuple[FilmFrame, Fraction, Fraction]],
    ) -> Iterator[tuple[FilmFrame, FrameGuide]]:
        known = (
            (
                frame,
                replace(
                    shots.guide(frame.number),
                    sources=colors.at(frame.number, time) if index >= resumed else (),
                    marks=hints.at(frame.number),
                ),
            )
            for index, (frame, time, _) in enumerate(frames)
        )
        if not job.clean:
            yield from known
            return
        for frame, guide in known:
            if frame.number < begin:
                yield frame, guide
                continue
            rest = ((one, one.image, about) for one, about in chain(((frame, guide),), known))
            yield from with_eyes(rest, job.settings.size, span.film.facts.space)

    # Four steps run beside each other: reading, the networks up to the color memory, the refiner,
    # and the full resolution with its coding.
    with (
        ReadAhead(span.frames()) as frames,
        ReadAhead(_seen(colorizer, images(frames), span, job, parts.state(), guides)) as seen,
    ):
        colored = (
            color_frame(colorizer, one, job.settings, job.palette)
            for one in seen
            if one is not None
        )
        for _, part in groupby(enumerate(colored, resumed), lambda item: item[0] // PART):
            records: list[FrameRecord] = []
            writer: CodedPart | ImagesPart = (
                CodedPart(parts.path(parts.count), span.film.facts, coding)
                if coding
                else ImagesPart(parts.folder, target.name)
            )
            finish = partial(_finish_frame, writer, records, coding, span.film.facts)
            with writer, WriteBehind() as behind:
                for index, colorized in part:
                    behind.call(partial(finish, waiting.popleft(), colorized))
                    state = colorized.state
                    guides.pop(index)
                    yield index + 1
            parts.finish_part(records, state)


def _seen(
    colorizer: Colorizer,
    images: Iterator[NDArray[Any]],
    span: _Span,
    job: FilmJob,
    state: FrameState,
    guides: Mapping[int, FrameGuide],
) -> Iterator[Seen | None]:
    """The frames after the color memory, of one or two passes."""
    seen = see_frames(
        colorizer,
        images,
        job.settings,
        palette=job.palette,
        space=span.film.facts.space,
        state=state,
        guides=guides,
        every=GENERATOR_EVERY,
    )
    return look_both_ways(colorizer, seen) if job.passes == 2 else seen


def _finish_frame(
    writer: CodedPart | ImagesPart,
    records: list[FrameRecord],
    coding: Coding | None,
    facts: FilmFacts,
    frame: FilmFrame,
    colorized: Frame,
) -> None:
    """Write one frame and add its record."""
    result = colorized.result
    writer.write(frame, result)
    gray = kept_gray(frame, result.gray.codes, coding, facts)
    records.append(
        FrameRecord(
            frame.number,
            frame.pts,
            frame.duration,
            colorized.first,
            round(float(result.uncertainty.mean()), 3),
            digest_codes(gray),
            _count_cut(frame, coding, facts),
        )
    )


def _count_cut(frame: FilmFrame, coding: Coding | None, facts: FilmFacts) -> int:
    """Number of luma codes beyond black and white, if the result is RGB."""
    if frame.luma is None or facts.luma is None or not _is_exact(coding):
        return 0
    return facts.luma.count_beyond(frame.luma)


def extract_key_frames(
    source: str, folder: str | None = None, job: FilmJob | None = None
) -> Iterator[FilmProgress]:
    """Write one representative frame of each shot of a film, for a person to color.

    Parameters
    ----------
    source : str
        A film, a folder of images, or a pattern.
    folder : str or None
        Where the images go; those that are there stay. None to look for the shots only.
    job : FilmJob or None
        Only `start`, `end`, `fps` and `shots` matter.

    Yields
    ------
    FilmProgress
        After every frame that was looked at, then after every image that was written.

    Raises
    ------
    FilmError
        If the film cannot be read.
    """
    job = job or FilmJob()
    film = open_film(source, parse_rate(job.fps) if job.fps else None)
    span = _Span(film, job)
    given = _read_shots(span, job)
    if given is not None:
        shots = given
    else:
        shots = yield from _find_shots(span)
        if job.shots:
            write_file(job.shots, shots.as_json(film.facts.rate))
    if folder is None:
        return
    total = sum(shot.kind == "image" for shot in shots.shots)
    with explained(folder):
        for done, _ in enumerate(write_key_frames(film, shots, Path(folder)), 1):
            yield FilmProgress(done, total, stage="key frames")


def _hints_by_frame(span: _Span, hints: Sequence[KeyHint]) -> dict[int, list[Mark]]:
    """The hints of each frame, by its number; warns about those that no frame gets.

    Raises
    ------
    FilmError, HintsError
        If hints do not fit the film, which is found before hours of work.
    """
    given: dict[int, list[Mark]] = {}
    size = span.film.facts.size[::-1]
    inside = set(span.numbers)
    left_out = 0
    for key in hints:
        check_marks([key.hint], size)
        number = span.numbers[0]
        if key.moment:
            number = frame_within(span.film.facts, key.moment, "hints")
        if number in inside:
            given.setdefault(number, []).append(key.hint)
        else:
            left_out += 1
    for marks in given.values():
        check_marks(marks, size)
    if left_out:
        warnings.warn(
            f"{counted(left_out, 'hint')} left out: the moment is not in the part that is "
            f"colorized, frames {span.numbers[0]} to {span.numbers[-1]}",
            FilmWarning,
            stacklevel=3,
        )
    return given


def _read_shots(span: _Span, job: FilmJob) -> Shots | None:
    """Read the file of shots; None if there is none.

    Raises
    ------
    FilmError
        If it is not a file of shots, or not of this film.
    """
    if job.shots is None or not job.shots.exists():
        return None
    shots, film = read_shots(job.shots), span.film.facts
    last = shots.shots[-1].last
    if last > film.numbers[-1]:
        problem = f"got one to frame {last}"
    elif missing := shots.missing(span.numbers):
        end = next(n for n, after in pairwise([*missing, -1]) if after != n + 1)
        many = end != missing[0]
        problem = f"no shot has frame{'s' * many} {missing[0]}{f' to {end}' * many}"
    else:
        return shots
    raise FilmError(
        f"{job.shots}: expected shots of all frames from {span.numbers[0]} to {span.numbers[-1]} "
        f"of {film.name}, which ends with frame {film.numbers[-1]}, but {problem}; correct the "
        "file, or remove it to have the shots found"
    )


def _find_shots(span: _Span) -> Generator[FilmProgress, None, Shots]:
    """The first pass over a film."""
    found: Shots | None = None
    for done, found in enumerate(find_shots(span.images()), 1):  # noqa: B007 (the last one counts)
        yield FilmProgress(min(done, span.total), span.total, stage="shots")
    return found.over(span.numbers[0], span.numbers[-1]) if found and found.shots else Shots(())


def _put_into_place(
    path: Path,
    film: Movie | Images,
    coding: Coding | None,
    job: FilmJob,
    parts: Parts,
    facts: dict[str, Any],
    sha256: str,
    overwrite: bool,
) -> None:
    """Put the sidecar into its place, then the film: if the film exists, all is complete."""

    def write_sidecar(output_sha256: str = "") -> None:
        sidecar = provenance.sidecar(
            [facts],
            source=Path(film.facts.name).name,
            source_sha256=sha256,
            output=path.name,
            exact_gray=_is_exact(coding),
            output_sha256=output_sha256,
        )
        with _written(path.with_name(path.name + ".json"), overwrite) as file:
            file.write(sidecar)

    if coding is None:
        write_sidecar()
        for name in (numbered(path.name, frame.number) for frame in parts.frames):
            with explained(str(path.parent / name)), suppress(FileNotFoundError):  # moved already
                (parts.folder / name).replace(path.parent / name)
        return
    with _written(path, overwrite) as file:
        with _joined(path, parts):
            join(
                file,
                CONTAINERS[path.suffix.lower()],
                parts.files(),
                parts.frames,
                film.facts,
                film=film if isinstance(film, Movie) else None,
                left_out=job.drop,
                trimmed=bool(job.start or job.end),
                comment=_comment(facts),
            )
        file.seek(0)
        write_sidecar(sha256_of(file))


def _is_exact(coding: Coding | None) -> bool:
    return coding is None or coding.exact


@contextmanager
def _written(path: Path, overwrite: bool) -> Iterator[BinaryIO]:
    """Open a file that appears when it is complete."""
    with AtomicFile(path, overwrite=overwrite) as output, explained(output.name):
        yield output.file


@contextmanager
def _joined(path: Path, parts: Parts) -> Iterator[None]:
    """Explain what a container refuses; errors of the disk pass through."""
    try:
        yield
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, FilmError | OSError):
            raise
        raise FilmError(
            f"{path}: all frames are colorized, but cannot be joined with the other streams of the "
            f"film ({' '.join(str(error).split())}); repeat the call with --drop N, the number of "
            f"a stream; the frames stay in {parts.folder}"
        ) from error


def _make_folder(folder: Path) -> None:
    with explained(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)


def _asked(
    colorizer: Colorizer,
    sha256: str,
    target: Path,
    coding: Coding | None,
    job: FilmJob,
) -> dict[str, Any]:
    """What a call asks for, in JSON types: two calls that ask for the same give the same result."""
    asked: dict[str, Any] = {
        "source": sha256,
        "weights": {"name": colorizer.record.name, "sha256": colorizer.record.sha256},
        "settings": asdict(job.settings),
        "palette": None if job.palette is None else palette_record(job.palette),
        "passes": job.passes,
        "clean": job.clean,
        "hints": [key.record() for key in job.hints],
        "coding": coding_record(coding, target.name),
        "span": [job.start, job.end],
        "fps": job.fps,
        "drop": list(job.drop),
        "runtime": colorizer.runtime.as_record(),
        "key_frames": [key.record() for key in job.keys],
        "color_from": None,
    }
    if job.color_from:
        name = Path(job.color_from).name
        asked["color_from"] = {"name": name, "sha256": hash_source(job.color_from)}
    return asked


def _environment(colorizer: Colorizer) -> dict[str, Any]:
    """What else the bytes of a result depend on."""
    return {
        "version": version("napari-recolor"),
        "pyav": av.__version__,
        "device": str(colorizer.device),
    }


def _facts(
    asked: Mapping[str, Any],
    environment: Mapping[str, Any],
    film: Movie | Images,
    coding: Coding | None,
    parts: Parts,
) -> dict[str, Any]:
    """Describe the frames for the sidecar."""
    frames, base = parts.frames, film.facts.time_base
    doubt = [frame.uncertainty for frame in frames]
    facts: dict[str, Any] = {"software": "recolor", **environment, **asked}
    del facts["source"]  # the sidecar names it
    facts |= {
        "reading": film.facts.reading,
        "pixel_aspect": str(film.facts.aspect),
        "original": _original(film),
        "frames": {
            "first": frames[0].number,
            "count": len(frames),
            "gray_sha256": [frame.gray_sha256 for frame in frames],
            "cut_codes": sum(frame.cut for frame in frames),
        },
        "cuts": [frame.number for frame in frames[1:] if frame.first],
        "uncertainty": {"mean": round(sum(doubt) / len(doubt), 3), "frames": doubt},
    }
    facts["ai_system_used"], facts["ai_system_version_used"] = provenance.ai_system(facts)
    if coding is None and film.facts.rate:
        facts["seconds"] = [round(float(frame.pts * base), 6) for frame in frames]
    return facts


def _original(film: Movie | Images) -> dict[str, Any]:
    """How the film stored its gray, so that it can be restored."""
    luma = film.facts.luma
    kind = "film" if isinstance(film, Movie) else "images"
    return {"kind": kind, "dtype": str(film.facts.dtype), "luma": luma and asdict(luma)}


def _comment(facts: dict[str, Any]) -> str:
    """The comment in the metadata of the film; the sidecar says more."""
    weights = facts["weights"]
    return (
        f"{MARK} {facts['version']}, weights {weights['name']} "
        f"(SHA-256 {weights['sha256']}); digital source type {provenance.SOURCE_TYPE}; "
        f"AI system used: {facts['ai_system_used']}; "
        f"AI system version used: {facts['ai_system_version_used']}"
    )

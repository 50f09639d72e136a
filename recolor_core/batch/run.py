"""A batch from its input folder to its output folder."""

import fnmatch
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from recolor_core.batch.lock import only_one
from recolor_core.batch.manifest import MANIFEST, Found, Making, Manifest
from recolor_core.batch.observer import BatchObserver
from recolor_core.batch.outcome import Outcome
from recolor_core.batch.schedulers import Lost, Scheduler, Serial, make_scheduler
from recolor_core.batch.tasks import LARGE, Task, Work, make_colorizer
from recolor_core.batch.tree import OWN, REPORT, find_files, is_image_name
from recolor_core.colorizer import Colorizer
from recolor_core.errors import ImageError, RecolorError
from recolor_core.files import explained, remove_abandoned
from recolor_core.images import open_image
from recolor_core.provenance import now
from recolor_core.weights import open_weights

_LOSSES = 2
"""How often the process that does a file may be lost before the file has failed."""

_SAMPLES = 3  # images that a dry run colorizes
_HEADERS = 300  # images whose size a dry run looks at


@dataclass(frozen=True)
class Batch:
    """A batch: which files, how, and where.

    Parameters
    ----------
    source, output : Path
        The input folder and the output folder. The output folder may lie in the input folder.
    work : Work
        How files are colorized and written.
    include, exclude : sequence of str
        Patterns of file names, or of paths below the input folder. Files that match one of
        `include`, or all if there is none, and none of `exclude` are taken.
    limit : int or None
        How many files to do at most.
    scheduler : str
        "serial" works in this process, which is ended if a damaged file crashes a decoder. See
        `recolor_core.batch.schedulers.make_scheduler` for the others.
    seconds : float or None
        A process that makes no progress for this time is ended, and its file has failed.
    check : bool
        Look into every result instead of trusting its size and date.
    hints : Path or None
        A folder with files of hints, laid out and named as the images are: ``box/scan.json`` for
        ``box/scan.tif``. An image without one is colorized without hints.
    """

    source: Path
    output: Path
    work: Work = field(default_factory=Work)
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    limit: int | None = None
    scheduler: str = "serial"
    seconds: float | None = None
    check: bool = False
    hints: Path | None = None

    def hints_of(self, found: Found) -> Path | None:
        """Return the place of the file of hints of an image; None in a batch without hints."""
        if self.hints is None:
            return None
        name = Path(f"{found.path}.json" if found.full_name else found.path).with_suffix(".json")
        return self.hints / name

    def takes(self, path: str) -> bool:
        """Whether a file of the input folder is part of the batch, by its name."""
        name = os.path.basename(path)  # noqa: PTH119 (one in 100,000)
        if OWN in name or not is_image_name(name):
            return False

        def matches(patterns: Sequence[str]) -> bool:
            return any(fnmatch.fnmatch(text, p) for p in patterns for text in (name, path))

        return (not self.include or matches(self.include)) and not matches(self.exclude)


@dataclass(frozen=True)
class Summary:
    """What a run did.

    Parameters
    ----------
    current : int
        Number of files whose results were there already.
    outcomes : Counter
        Number of files of this run by the status of their outcomes.
    left : int
        Number of files that are still to be done, because of a limit.
    bugs : int
        Number of files that failed by an unexpected error.
    left_out : Counter
        Number of files of the input folder that are not images, by ending.
    unused_hints : list of Path
        Files of hints that belong to no image. It is empty if patterns choose the images.
    """

    current: int
    outcomes: Counter[str]
    left: int
    bugs: int
    left_out: Counter[str]
    unused_hints: list[Path] = field(default_factory=list)


def run_batch(batch: Batch, observer: BatchObserver) -> Summary:
    """Colorize the images of a folder that are not done yet. See `docs/batch.md`.

    Parameters
    ----------
    batch : Batch
        Which files, how, and where.
    observer : BatchObserver
        Is told how it goes on.

    Returns
    -------
    Summary

    Raises
    ------
    RecolorError
        If the folders, weights or the scheduler cannot be used. What goes wrong with a file is
        told in its outcome.
    """
    _check(batch)
    with explained(str(batch.output)):
        batch.output.mkdir(parents=True, exist_ok=True)
    serial = batch.scheduler == "serial"
    colorizer = make_colorizer(batch.work) if serial else None
    making = _making(batch, colorizer)
    with only_one(batch.output), Manifest(batch.output, write=True) as manifest:
        run = manifest.begin_run(making, batch.source.absolute(), now())
        left_out: Counter[str] = Counter()
        unused = _files_of_hints(batch)
        for sources in find_sources(batch, left_out):
            manifest.note_sources(run, sources, making, redo_all=batch.check)
            unused -= {batch.hints_of(found) for found in sources}
        if not batch.include and not batch.exclude:
            manifest.note_gone(run)
        before = manifest.counts()
        observer.expect(min(before["pending"], batch.limit or before["pending"]))
        outcomes, bugs = _work_through(batch, manifest, run, making, observer, colorizer)
        manifest.end_run(run, now())
        left = manifest.counts()["pending"]
    return Summary(before["done"], outcomes, left, bugs, left_out, sorted(unused))


def find_sources(batch: Batch, left_out: Counter[str]) -> Iterator[list[Found]]:
    """The sources of a batch, folder by folder; of one folder at a time, so that memory is bounded.

    Parameters
    ----------
    batch : Batch
        Which files.
    left_out : Counter
        Counts the files that are not taken: results of recolor as `OWN`, and what is not an image
        by ending. The manifest and the report of a batch are not counted.
    """
    within = None if _same(batch.source, batch.output) else batch.output
    paths = find_files(batch.source, without=within if within and within.is_dir() else None)
    for folder, members in groupby(paths, lambda path: path.parent):
        below = folder.relative_to(batch.source)
        found: list[Found] = []
        for path in members:
            name = str(below / path.name)
            if batch.takes(name):
                try:
                    status = path.stat()
                except FileNotFoundError:  # it disappeared meanwhile
                    continue
                found.append(Found(name, status.st_size, status.st_mtime_ns))
            elif OWN in path.name:
                left_out[OWN] += is_image_name(path.name)
            elif not is_image_name(path.name) and not path.name.startswith((MANIFEST, REPORT)):
                left_out[path.suffix.lower()] += 1
        stems = Counter(Path(one.path).stem.casefold() for one in found)
        yield [replace(one, full_name=stems[Path(one.path).stem.casefold()] > 1) for one in found]


def _files_of_hints(batch: Batch) -> set[Path]:
    """Find the files in the folder of hints, unless patterns leave out images that they are for."""
    if batch.hints is None or batch.include or batch.exclude:
        return set()
    return {path for path in find_files(batch.hints) if path.suffix == ".json"}


def _work_through(
    batch: Batch,
    manifest: Manifest,
    run: int,
    making: Making,
    observer: BatchObserver,
    colorizer: Colorizer | None,
) -> tuple[Counter[str], int]:
    outcomes: Counter[str] = Counter()
    losses: Counter[str] = Counter()
    swept: set[str] = set()
    begun: set[str] = set()
    bugs = taken = 0

    def take() -> Iterator[Task]:
        nonlocal taken
        for found in manifest.pending(run):
            if batch.limit is not None and taken >= batch.limit and not losses[found.path]:
                return
            taken += not losses[found.path]
            folder = str((batch.output / found.path).parent)
            if folder not in swept:
                swept.add(folder)
                remove_abandoned(Path(folder))
            manifest.note_running(found.path)
            begun.add(found.path)
            source = str(batch.source / found.path)
            alone = bool(losses[found.path]) or found.size > LARGE
            hints = batch.hints_of(found)
            given = str(hints) if hints and hints.is_file() else None
            yield Task(found.path, source, folder, found.full_name, given, alone)

    again = True
    try:
        while again:
            again = False
            scheduler: Scheduler = (
                Serial(colorizer, batch.work, observer)
                if colorizer
                else make_scheduler(batch.scheduler, batch.work, batch.seconds, observer)
            )
            for task, outcome in scheduler.run(take()):
                if isinstance(outcome, Lost) or outcome.status == "failed":
                    remove_abandoned(Path(task.folder))  # a process that is ended cannot do it
                if isinstance(outcome, Lost):
                    losses[task.path] += 1
                    if losses[task.path] < _LOSSES:
                        manifest.note_waiting([task.path])
                        again = True
                        continue
                    outcome = Outcome(
                        task.source,
                        "failed",
                        f"the process that worked on it was ended twice, {outcome.reason}",
                    )
                begun.discard(task.path)
                manifest.note_outcome(task.path, outcome, making, now())
                outcomes[outcome.status] += 1
                bugs += outcome.bug
                observer.finish(outcome)
    finally:
        manifest.note_waiting(begun)
    return outcomes, bugs


@dataclass(frozen=True)
class Estimate:
    """What a run would do.

    Parameters
    ----------
    files, current : int
        Number of files to be done, and of files whose results are there already.
    megapixels : float
        Of the files to be done.
    seconds : float or None
        How long they take, with one process; None if nothing could be timed.
    output_bytes : float or None
        Size of their results.
    free_bytes : int
        Free space of the output folder.
    samples : int
        Number of files that were colorized to find out.
    left_out : Counter
        Number of files of the input folder that are not images, by ending.
    """

    files: int
    current: int
    megapixels: float
    seconds: float | None
    output_bytes: float | None
    free_bytes: int
    samples: int
    left_out: Counter[str]


def estimate_batch(batch: Batch) -> Estimate:
    """What a run would do, how long it would take, and how much space. Writes no result.

    A few of the files are colorized into a temporary folder; sizes come from the headers of some
    hundred.

    Parameters
    ----------
    batch : Batch
        Which files, how, and where.
    """
    _check(batch)
    making = _making(batch, None)
    left_out: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="recolor-") as scratch:
        # A copy of the manifest says what is done, and takes the notes of this rehearsal.
        copy = Path(scratch, "manifest")
        copy.mkdir()
        if any(batch.output.glob("recolor-manifest.sqlite")):
            with Manifest(batch.output) as manifest:
                manifest.copy_to(copy)
        with Manifest(copy, write=True) as manifest:
            manifest.folder = batch.output
            run = manifest.begin_run(making, batch.source.absolute(), now())
            for sources in find_sources(batch, left_out):
                manifest.note_sources(run, sources, making, redo_all=batch.check)
            counts = manifest.counts()
            files = min(counts["pending"], batch.limit or counts["pending"])
            step = max(1, files // _HEADERS)
            chosen = [
                found
                for i, found in enumerate(manifest.pending(run))
                if i < files and i % step == 0
            ][:_HEADERS]
        sizes = [size for found in chosen if (size := _megapixels(batch, found.path)) is not None]
        megapixels = files * sum(sizes) / len(sizes) if sizes else 0.0
        samples = chosen[:: max(1, len(chosen) // _SAMPLES)][:_SAMPLES] if sizes else []
        spent, pixels, made = _try_out(batch, samples, Path(scratch, "results"))
    where = batch.output
    while not where.exists():
        where = where.parent
    return Estimate(
        files=files,
        current=counts["done"],
        megapixels=megapixels,
        seconds=megapixels * spent / pixels if pixels else None,
        output_bytes=megapixels * made / pixels if pixels else None,
        free_bytes=shutil.disk_usage(where).free,
        samples=len(samples),
        left_out=left_out,
    )


def _megapixels(batch: Batch, path: str) -> float | None:
    try:
        with open_image(batch.source / path, max_pixels=batch.work.request.max_pixels) as file:
            return file.megapixels
    except (RecolorError, OSError):
        return None


def _making(batch: Batch, colorizer: Colorizer | None) -> Making:
    record = colorizer.record if colorizer else open_weights(batch.work.weights).record
    parameters = batch.work.request.parameters()
    if batch.work.request.credentials is not None:
        parameters["signed"] = True  # a result without a signature does not count as done
    return Making(parameters, record.name, record.sha256, version("napari-recolor"))


def _try_out(batch: Batch, samples: Sequence[Found], folder: Path) -> tuple[float, float, float]:
    """Seconds, megapixels and bytes of some results."""
    tasks = [
        Task(found.path, str(batch.source / found.path), str(folder / str(number)))
        for number, found in enumerate(samples)
    ]
    scheduler: Scheduler = (
        Serial(make_colorizer(batch.work), batch.work)
        if batch.scheduler == "serial"
        else make_scheduler("local:1", batch.work, batch.seconds)
    )
    seconds = pixels = size = 0.0
    for task, outcome in scheduler.run(iter(tasks)):
        if not isinstance(outcome, Lost) and outcome.status == "done":
            seconds += outcome.seconds
            pixels += outcome.megapixels
            size += sum(path.stat().st_size for path in Path(task.folder).iterdir())
    return seconds, pixels, size


def _check(batch: Batch) -> None:
    if not batch.source.is_dir():
        raise ImageError(
            f"{batch.source}: expected a folder of images, found none of this name; check the path"
        )
    if batch.hints and not batch.hints.is_dir():
        raise ImageError(
            f"{batch.hints}: expected a folder with files of hints, found none of this name; check "
            "the path"
        )
    if batch.output.exists() and not batch.output.is_dir():
        raise ImageError(f"{batch.output}: this is a file; name a folder for the results")
    if batch.seconds is not None and not batch.scheduler.startswith("local:"):
        raise RecolorError(
            "expected --jobs N or --scheduler local:N with --timeout, got another scheduler: only "
            "a process of its own can be ended"
        )


def _same(first: Path, second: Path) -> bool:
    return second.exists() and first.samefile(second)

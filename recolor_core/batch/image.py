"""One image file, from its source to all files of its result."""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import fields
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from numpy.typing import NDArray

from recolor_core import provenance
from recolor_core.batch.observer import Observer
from recolor_core.batch.original import facts_to_verify
from recolor_core.batch.outcome import (
    STREAM,
    Outcome,
    PageFacts,
    bug,
    one_line,
    show_traceback,
)
from recolor_core.batch.request import ColorFile, Request
from recolor_core.batch.result import (
    STAGES,
    ResultFiles,
    ResultState,
    find_state,
    is_replaceable,
    read_records,
    sidecar_of,
)
from recolor_core.batch.sheet import contact_sheet
from recolor_core.batch.thumbnail import thumbnail_of
from recolor_core.batch.tree import make_folder
from recolor_core.batch.warned import warnings_shown_by
from recolor_core.colorizer import Colorizer
from recolor_core.digest import digest_codes
from recolor_core.errors import (
    ImageError,
    OutputBusyError,
    OutputExistsError,
    RecolorError,
    StaleOutputError,
)
from recolor_core.files import AtomicFile, explained
from recolor_core.gray import read_gray
from recolor_core.images import ImageFile, ImageWriter, encode_stage, open_image
from recolor_core.result import Colorization

if TYPE_CHECKING:
    from recolor_core.color_from import ColorSource

_WAIT_SECONDS = 0.5

Place = Callable[[str], Path | None]
"""Gives the path of a result, None for standard output, from the name it has by default."""


def try_image(
    colorizer: Colorizer,
    source: Path | BinaryIO,
    place: Place,
    request: Request,
    observer: Observer | None = None,
) -> Outcome:
    """Colorize an image file; whatever goes wrong is told in the outcome.

    The parameters are those of `colorize_image`.

    Raises
    ------
    OutputBusyError
        If another call is making the same result.
    """
    observer = observer or Observer()
    began = time.monotonic()
    name = str(source) if isinstance(source, Path) else STREAM
    said: list[str] = []

    def show(message: Warning | str) -> None:
        said.append(one_line(message))
        observer.warn(said[-1])

    try:
        with warnings_shown_by(show):
            outcome = colorize_image(colorizer, source, place, request, observer)
    except OutputBusyError:
        raise
    except RecolorError as error:
        show_traceback()
        outcome = Outcome(name, "failed", one_line(error))
    except MemoryError:
        show_traceback()
        outcome = Outcome(name, "failed", "the image does not fit into memory; give a smaller one")
    except OSError as error:  # the disk or the network, not a bug
        if isinstance(error, BrokenPipeError):
            raise
        show_traceback()
        where = error.filename or name
        outcome = Outcome(
            name, "failed", f"{where}: {error.strerror or error}; check the disk and permissions"
        )
    except Exception as error:  # one failing image must not stop the batch
        show_traceback()
        outcome = Outcome(name, "failed", bug(error), bug=True)
    outcome.warnings[:0] = said
    outcome.seconds = time.monotonic() - began
    return outcome


def colorize_image(
    colorizer: Colorizer,
    source: Path | BinaryIO,
    place: Place,
    request: Request,
    observer: Observer | None = None,
) -> Outcome:
    """Colorize an image file into all files of its result, unless they are there.

    All files appear together, the main one last. If the call is killed in between, the next one
    finishes the result.

    Parameters
    ----------
    colorizer : Colorizer
        Makes the colors.
    source : Path or BinaryIO
        An image file, or a stream of one.
    place : callable
        Where the result goes: gets its default name, such as "scan.recolor.tif", and returns the
        path, or None for standard output.
    request : Request
        How to colorize and what to write.
    observer : Observer or None
        Is told how the work goes on.

    Returns
    -------
    Outcome
        "done", or "skipped" if everything that is asked for is there.

    Raises
    ------
    OutputExistsError
        If something else has the name of the result; see `recolor_core.batch.result.find_state`.
    OutputBusyError
        If another call is making the same result.
    RecolorError
        If the image cannot be read, colorized or written.
    """
    request = request.resolved(source if isinstance(source, Path) else None)
    work = _Work(colorizer, request, observer or Observer())
    with open_image(source, max_pixels=request.max_pixels) as file:
        output = place(file.output_name())
        name = str(source) if isinstance(source, Path) else STREAM
        outcome = Outcome(name, output=str(output or STREAM), source_sha256=file.sha256)
        if mark := _describe_result(file):
            if request.skip_results:
                outcome.status, outcome.message = "kept", mark
                work.observer.warn(f"left out: {mark}")
                return outcome
            outcome.warnings.append(f"{mark}; {provenance.RECOLORED}")
            work.observer.warn(outcome.warnings[-1])
        pages = len(file)
        request.check_pages(pages)
        files = ResultFiles.of(output, request, pages) if output else None
        if files is None:
            work.write(file, None, outcome, replace=False)
            return outcome
        for path in (files.main, *files.further()):
            check_name(path)
        if _same_file(files.main, file.path):
            raise ImageError(f"{files.main}: this is the source itself; name another output")
        weights = {"name": colorizer.record.name, "sha256": colorizer.record.sha256}

        def state() -> ResultState:
            return find_state(files, request, file.sha256, weights, colorizer.runtime.as_record())

        try:
            found = ResultState.ABSENT if request.overwrite else state()
            replace = request.overwrite or found is ResultState.INCOMPLETE
        except StaleOutputError as error:
            if request.on_changed == "fail":
                raise
            if request.on_changed == "skip":
                outcome.status, outcome.message = "kept", one_line(error).split(";")[0]
                return outcome
            found, replace = ResultState.INCOMPLETE, True
        if found is ResultState.COMPLETE:
            return _skipped(outcome, files.main)
        make_folder(files.main.parent)
        try:
            work.write(file, files, outcome, replace=replace)
        except OutputBusyError:
            raise
        except OutputExistsError:
            # Two calls may share the work on a folder, and the other one was faster.
            if replace or state() is not ResultState.COMPLETE:
                raise
            outcome = Outcome(name, output=outcome.output, source_sha256=file.sha256)
            return _skipped(outcome, files.main)
    return outcome


class _Work:
    """Makes and writes the results of one request."""

    def __init__(self, colorizer: Colorizer, request: Request, observer: Observer) -> None:
        self.colorizer = colorizer
        self.request = request
        self.observer = observer

    def write(
        self, file: ImageFile, files: ResultFiles | None, outcome: Outcome, *, replace: bool
    ) -> None:
        """Colorize page by page into all files of a result; all of them appear, or none."""
        request, before = self.request, _stamp(file.path)
        times = _times(file.path) if request.keep_dates else None

        def replaceable(path: Path) -> bool:
            return replace or is_replaceable(path, file.sha256)

        def writer(path: Path, overwrite: bool, sidecar: bool = False) -> ImageWriter:
            return ImageWriter(
                path,
                like=file,
                overwrite=overwrite,
                sidecar=sidecar,
                overwrite_sidecar=replaceable(sidecar_of(path)),
                times=times,
                credentials=request.credentials,
            )

        with ExitStack() as stack:
            # What is entered first is put into its place last: the main file stands for all.
            main = stack.enter_context(
                writer(files.main, replace, files.sidecar is not None)
                if files
                else ImageWriter(sys.stdout.buffer, like=file, credentials=request.credentials)
            )
            alternatives = [
                stack.enter_context(writer(path, replaceable(path)))
                for path in (files.alternatives if files else ())
            ]
            stages = [
                [
                    stack.enter_context(AtomicFile(path, overwrite=replaceable(path)))
                    for path in page
                ]
                for page in (files.stages if files else ())
            ]
            sheets = [
                stack.enter_context(AtomicFile(path, overwrite=replaceable(path)))
                for path in (files.sheets if files else ())
            ]
            colors = None
            if isinstance(request.color_from, ColorFile):
                from recolor_core.color_from import apply_color, read_color_sources

                sources = closing(read_color_sources(request.color_from.path))
                colors = stack.enter_context(sources)
            settings = request.settings
            if request.take > settings.alternatives:
                settings = changed(settings, alternatives=request.take)
            if not main.exact_gray:
                text = "JPEG cannot keep the gray exactly; name a .png or .tif for that"
                outcome.warnings.append(text)
                self.observer.warn(text)
            headers = file.headers()
            seen = [self.colorizer.look(one, request.settings) for one in request.references]
            for number, page in enumerate(file, 1):
                height, width = page.codes.shape[:2]
                megapixels = height * width / 1e6
                self.observer.page(number, len(file), megapixels * (1 + len(alternatives)))
                coarse = self.colorizer.generate(
                    read_gray(page.codes, page.space, request.levels), request.settings
                )
                result = drawn = self.colorizer.refine(
                    coarse,
                    settings,
                    request.page_hints(number),
                    request.palette,
                    seen,
                    seed=request.seed,
                )
                if request.take:
                    result = drawn.take(request.take)
                if colors is not None:
                    result = apply_color(result, _next(colors, request, len(file)))
                for matches in result.matches:
                    if matches.note:
                        text = f"no color taken from {matches.reference.name}: {matches.words}"
                        outcome.warnings.append(text)
                        self.observer.warn(text)
                known = PageFacts(
                    width,
                    height,
                    str(page.codes.dtype),
                    page.reading,
                    digest_codes(result.gray.codes),
                    round(float(result.uncertainty.mean()), 3),
                )
                to_verify = facts_to_verify(
                    page,
                    source=Path(file.name).name,
                    source_sha256=file.sha256,
                    format=main.format,
                    gray_sha256=known.gray_sha256,
                    stored=next(headers),
                    stored_format=file.format,
                )
                facts = result.provenance | to_verify
                facts |= {"levels": request.levels, "uncertainty": known.uncertainty}
                main.write(page, self._counted(result.strips()), facts)
                for i, alternative in enumerate(alternatives):
                    strips = self._counted(drawn.strips(drawn.ab_alternatives[i]))
                    alternative.write(page, strips, facts | {"alternative": i + 1})
                if sheets:
                    with explained(sheets[number - 1].name):
                        sheets[number - 1].file.write(contact_sheet(drawn, facts))
                    sheets[number - 1].finish()
                    if times:
                        sheets[number - 1].copy_times(times)
                if stages:
                    self._write_stages(stages[number - 1], result, facts, times)
                _note(outcome, known, facts)
                if request.thumbnails and number == 1:
                    outcome.thumbnail = thumbnail_of(result)
            if _stamp(file.path) != before:
                raise ImageError(f"{file.name}: the file was changed meanwhile; repeat the call")
            for image in (*alternatives, main):
                image.finish()
        outcome.sidecar = str(main.sidecar_path) if main.sidecar_path else None
        outcome.alternatives = [alternative.name for alternative in alternatives]
        outcome.sheets = [sheet.name for sheet in sheets]
        outcome.stages = [stage.name for page in stages for stage in page]

    def _write_stages(
        self,
        outputs: "list[AtomicFile]",
        result: Colorization,
        facts: dict[str, Any],
        times: tuple[int, int] | None,
    ) -> None:
        arrays = (result.ab_coarse, result.ab_refined, result.uncertainty)
        for output, array, (name, description) in zip(outputs, arrays, STAGES, strict=True):
            digest = digest_codes(array.reshape(-1, array.shape[-1]))
            xmp = provenance.xmp_packet(facts | {"stage": name, "stage_sha256": digest})
            encode_stage(output, array, description=description, xmp=xmp)
            output.finish()
            if times:
                output.copy_times(times)

    def _counted(self, strips: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        for strip in strips:
            yield strip
            self.observer.advance(strip.shape[0] * strip.shape[1] / 1e6)


def _describe_result(file: ImageFile) -> str:
    """Say whose result an image is, in words; empty if Recolor did not make it."""
    for header in file.headers():
        if record := provenance.read_xmp(header.metadata.xmp):
            return provenance.describe_result(record)
    return ""


def _next(colors: "Iterator[ColorSource]", request: Request, pages: int) -> "ColorSource":
    """The color of the next page."""
    source = next(colors, None)
    if source is None:
        assert isinstance(request.color_from, ColorFile)
        raise ImageError(
            f"{request.color_from.path}: expected {pages} pages in color, as the image has, got "
            "fewer; name a file with all of them"
        )
    return source


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    """Size, time of modification and inode of a source that is a file."""
    if path is None:
        return None
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def _times(path: Path | None) -> tuple[int, int] | None:
    """Times of access and modification, in nanoseconds, of a source that is a file."""
    if path is None:
        return None
    status = path.stat()
    return status.st_atime_ns, status.st_mtime_ns


def _note(outcome: Outcome, page: PageFacts, facts: Mapping[str, Any]) -> None:
    """Add a page to an outcome."""
    megapixels = page.width * page.height / 1e6
    before, total = outcome.megapixels, outcome.megapixels + megapixels
    mean = ((outcome.uncertainty or 0) * before + page.uncertainty * megapixels) / total
    outcome.uncertainty = round(mean, 3)
    outcome.megapixels = total
    outcome.pages += 1
    outcome.reading.append(page.reading)
    outcome.page_facts.append(page)
    outcome.exact_gray = facts.get("format") != "JPEG" and facts.get("levels") is None
    device = facts.get("device")
    outcome.device = ", ".join(dict.fromkeys(device.values())) if device else None


def _skipped(outcome: Outcome, main: Path) -> Outcome:
    """The outcome of a result that is there already; what is known about it comes from its mark."""
    outcome.status = "skipped"
    outcome.message = f"{outcome.output} is there already, complete and made in the same way"
    names = [field.name for field in fields(PageFacts)]
    for record in read_records(main):
        if all(name in record for name in names):
            _note(outcome, PageFacts(*(record[name] for name in names)), record)
    return outcome


def check_name(path: Path) -> None:
    """Check that a file name is one that the file system can hold."""
    longest, length, unit = 255, len(os.fsencode(path.name)), "bytes"
    if sys.platform == "win32":  # whose file systems count UTF-16 units
        length, unit = len(path.name.encode("utf-16-le", "surrogatepass")) // 2, "characters"
    elif path.parent.is_dir():
        longest = os.pathconf(path.parent, "PC_NAME_MAX")
    if length > longest:
        raise ImageError(
            f"expected a result whose name has at most {longest} {unit}, got one of {length} "
            f"({path.name[:40]}...); name it yourself, shorter"
        )


def _same_file(first: Path, second: Path | None) -> bool:
    if second is None:
        return False
    with explained(str(first)):
        try:
            return first.samefile(second)
        except (FileNotFoundError, NotADirectoryError):
            return False


def wait_for(attempt: Callable[[], Outcome], seconds: float = math.inf) -> Outcome:
    """Repeat an attempt until the other call that makes the same result has ended.

    Parameters
    ----------
    attempt : callable
        Makes the result, or raises OutputBusyError.
    seconds : float
        How long to wait at most.

    Raises
    ------
    OutputBusyError
        If the other call takes longer.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except OutputBusyError:
            if time.monotonic() > end:
                raise
            time.sleep(_WAIT_SECONDS)

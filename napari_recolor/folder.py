"""Colorizes the images of a folder, as `recolor batch` does: a generator that knows no widget."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread

from napari_recolor.events import failure_of
from napari_recolor.options import Options


@dataclass(frozen=True)
class FolderStep:
    """What was done last.

    Parameters
    ----------
    done, total : int
        Finished files, and all that were to be done.
    name : str
        Of the file that was finished, below the input folder; empty when it begins.
    status : str
        "done", "skipped", "kept" or "failed"; of the whole folder "end".
    message : str
        Why it failed; at the end, what was done.
    output : str
        The result.
    thumbnail : bytes or None
        WebP: the gray image above the colorized one.
    """

    done: int
    total: int
    name: str = ""
    status: str = ""
    message: str = ""
    output: str = ""
    thumbnail: bytes | None = None


class _Canceled(BaseException):
    """Ends a batch: one failing image must not, so this is not an `Exception`."""


def colorize_folder(
    source: Path, output: Path, options: Options, stop: Event
) -> Iterator[FolderStep]:
    """Colorize the images of a folder that are not done yet.

    Parameters
    ----------
    source, output : Path
        The input folder and the output folder.
    options : Options
        How to colorize. Alternatives are not made.
    stop : Event
        Set it to end after a strip of the image; finished results are kept.

    Yields
    ------
    FolderStep
        One when the number of files is known, one for each file, and one at the end.
    """
    steps: SimpleQueue[FolderStep | None] = SimpleQueue()
    thread = Thread(target=_run, args=(source, output, options, stop, steps), daemon=True)
    thread.start()
    try:
        while (step := steps.get()) is not None:
            yield step
    finally:
        stop.set()
        thread.join()


def _run(
    source: Path,
    output: Path,
    options: Options,
    stop: Event,
    steps: "SimpleQueue[FolderStep | None]",
) -> None:
    from recolor_core.batch.observer import BatchObserver
    from recolor_core.batch.outcome import Outcome
    from recolor_core.batch.request import Request
    from recolor_core.batch.run import Batch, run_batch
    from recolor_core.batch.tasks import Work
    from recolor_core.settings import Settings

    done = total = failed = 0

    class Observer(BatchObserver):
        """Passes on what is done, and ends the batch if that is asked for."""

        def expect(self, files: int) -> None:
            nonlocal total
            total = files
            steps.put(FolderStep(0, files))

        def file(self, name: str) -> None:
            self.advance(0)

        def advance(self, megapixels: float) -> None:
            if stop.is_set():
                raise _Canceled

        def finish(self, outcome: Outcome) -> None:
            nonlocal done, failed
            done += 1
            failed += outcome.status == "failed"
            name, status = Path(outcome.input).name, outcome.status
            path = outcome.output or ""
            steps.put(
                FolderStep(done, total, name, status, outcome.message, path, outcome.thumbnail)
            )

    try:
        settings = Settings(**{**options.settings, "alternatives": 0})
        palette = options.read_palette()
        request = Request(
            settings=settings, palette=palette, runtime=options.runtime, thumbnails=True
        )
        work = Work(request, options.weights, options.device)
        summary = run_batch(Batch(source, output, work), Observer())
        bad = f", {failed} failed" if failed else ""
        there = f", {summary.current} were there already" if summary.current else ""
        said = f"Done: {done - failed} of {total} images{bad}{there}."
    except _Canceled:
        said = f"Canceled: {done} of {total} images done. Start again to go on from there."
    except Exception as error:
        said = f"Failed: {failure_of(error).message}"
    steps.put(FolderStep(done, total, status="end", message=said))
    steps.put(None)

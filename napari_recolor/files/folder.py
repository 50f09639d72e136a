"""Colorizes the images of a folder, as `recolor batch` does: a generator that knows no widget."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread

from napari_recolor.runs.events import failure_of
from napari_recolor.runs.options import Options
from recolor_core.errors import RecolorError

RENEW = "Renew results of other settings"
"""What the window calls its check box."""


@dataclass(frozen=True)
class FolderStep:
    """What was done last.

    Parameters
    ----------
    done, total : int
        Finished files, and all that were to be done.
    name : str
        Of the file that was finished; empty when the work begins.
    status : str
        "done", "there" for a result that was there already, "kept" for one that was made with other
        settings or of another source and stays as it is, or "failed"; of the whole folder "end".
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
    source: Path, output: Path, options: Options, stop: Event, *, renew: bool = False
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
    renew : bool
        Make results again that were made with other settings or of another source.

    Yields
    ------
    FolderStep
        One when the number of files is known, one for each file, and one at the end.
    """
    steps: SimpleQueue[FolderStep | None] = SimpleQueue()
    thread = Thread(target=_run, args=(source, output, options, stop, renew, steps), daemon=True)
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
    renew: bool,
    steps: "SimpleQueue[FolderStep | None]",
) -> None:
    from recolor_core.batch.observer import BatchObserver
    from recolor_core.batch.outcome import Outcome
    from recolor_core.batch.request import Request
    from recolor_core.batch.run import Batch, run_batch
    from recolor_core.batch.tasks import Work
    from recolor_core.settings import Settings

    done = total = 0
    told: dict[str, FolderStep] = {}

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
            nonlocal done
            done += 1
            name, path = Path(outcome.input).name, outcome.output or ""
            status = "there" if outcome.status == "skipped" else outcome.status
            image = outcome.thumbnail
            if status in ("there", "kept"):
                image = _thumbnail(Path(path))
            step = told[path or name] = FolderStep(
                done, total, name, status, outcome.message, path, image
            )
            steps.put(step)

    try:
        settings = Settings(**{**options.settings, "alternatives": 0})
        palette = options.read_palette()
        request = Request(
            settings=settings,
            palette=palette,
            runtime=options.runtime,
            thumbnails=True,
            on_changed="redo" if renew else "skip",
        )
        work = Work(request, options.weights, options.device)
        run_batch(Batch(source, output, work), Observer())
        for step in _results(output, total, stop):
            if step.output not in told:
                told[step.output] = step
                steps.put(step)
        said = _summary(list(told.values()))
    except _Canceled:
        said = f"Canceled: {done} of {total} images done. Start again to go on from there."
    except Exception as error:
        said = f"Failed: {failure_of(error).message}"
    steps.put(FolderStep(done, total, status="end", message=said))
    steps.put(None)


def _results(output: Path, total: int, stop: Event) -> Iterator[FolderStep]:
    """Find the results that are in the output folder."""
    from recolor_core.batch.manifest import Manifest

    with Manifest(output) as manifest:
        for row in manifest.files(status="done"):
            if stop.is_set():
                return
            path = output / row["output"]
            image = manifest.thumbnail(row["path"]) or _thumbnail(path)
            name = Path(row["path"]).name
            yield FolderStep(total, total, name, "there", output=str(path), thumbnail=image)


def _thumbnail(result: Path) -> bytes | None:
    """Make the small image of a result; None if it cannot be read."""
    from recolor_core.batch.thumbnail import thumbnail_of_result

    try:
        return thumbnail_of_result(result)
    except (RecolorError, OSError):
        return None


def _summary(steps: list[FolderStep]) -> str:
    """Say what was done with a folder, and what can be done about the rest."""
    count = Counter(step.status for step in steps)
    parts = [f"{count['done']} of {len(steps)} images colorized"]
    if count["there"]:
        parts.append(f"{count['there']} were there already")
    if count["kept"]:
        parts.append(f"{count['kept']} were made with other settings or of another source")
    if count["failed"]:
        parts.append(f"{count['failed']} failed")
    said = f"Done: {', '.join(parts)}."
    if count["kept"]:
        said += f" Check “{RENEW}” to make these again, or choose another folder."
    failed = next((step for step in steps if step.status == "failed"), None)
    if failed is not None:
        others = "" if count["failed"] == 1 else " (the others: point at them below)"
        said += f" {failed.name}: {failed.message}{others}"
    return said

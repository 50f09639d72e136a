"""What a call prints: lines and progress bars for people, JSON for programs."""

import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from recolor_core.batch.observer import BatchObserver
from recolor_core.batch.outcome import STREAM, Outcome, one_line
from recolor_core.cli.words import in_words_of_command


class Report(BatchObserver):
    """Prints how a call goes on. A context manager: inside it, a terminal shows progress bars.

    Everything goes to standard error, except for the lines of JSON.

    Parameters
    ----------
    files : int
        Number of images.
    quiet : bool
        Print only errors and warnings.
    each : bool
        Print a line for every image that is done; of a hundred thousand the summary is enough.
    json_lines : bool
        Print one line of JSON on standard output for every image.
    words : callable
        Puts a message of the library into the words of the command.

    Attributes
    ----------
    counts : Counter
        Number of images by status.
    bugs : int
        Number of images that failed by an unexpected error.
    """

    def __init__(
        self,
        files: int,
        *,
        quiet: bool = False,
        each: bool = True,
        json_lines: bool = False,
        words: Callable[[object], str] = in_words_of_command,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.bugs = 0
        self._files = files
        self._quiet = quiet
        self._each = each
        self._words = words
        self._json = json_lines
        self._console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            _Amount(),
            _Speed(),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._all = self._bars.add_task("all images", total=files, unit="", visible=files > 1)
        self._one = self._bars.add_task("loading", total=None, unit="MP")
        self._name = self._label = ""
        self._page = self._pages = 1
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._bars.disable:  # otherwise rich before 14.3 prints an empty line
            self._bars.stop()

    def line(self, text: str) -> None:
        """Print a line unless the call is quiet."""
        if not self._quiet:
            self.complain(text)

    def complain(self, text: str) -> None:
        """Print an error or a warning."""
        with suppress(OSError):  # the terminal was closed
            self._console.out(text, highlight=False)

    def warn(self, text: str) -> None:
        """Print a warning about the image at hand."""
        self.complain(f"recolor: {self._name}: {self._words(text)}")

    def expect(self, files: int) -> None:
        """So many images are to be done."""
        self._files = files
        self._bars.update(self._all, total=files, visible=files > 1)

    def file(self, name: str) -> None:
        """An image begins."""
        self._name = label_of(name)
        self._label = Path(self._name).name  # of a long path the bars would have no room
        self._bars.reset(self._one, total=None, description=self._label)

    def page(self, page: int, pages: int, megapixels: float) -> None:
        """A page begins; its megapixels count every coloring that is made of it."""
        self._page, self._pages = page, pages
        name = Path(self._name).name
        self._label = name if pages == 1 else f"{name} page {page}/{pages}"
        self._bars.reset(self._one, total=megapixels, description=f"{self._label}: networks")

    def advance(self, megapixels: float) -> None:
        """A strip of the page is done."""
        self._bars.update(self._one, advance=megapixels, description=self._label)
        task = self._bars.tasks[1]
        share = (self._page - 1 + min(1.0, task.completed / (task.total or 1))) / self._pages
        self._bars.update(self._all, completed=self._through + share)

    @property
    def _through(self) -> int:
        return self.counts["done"] + self.counts["failed"]

    @property
    def total(self) -> int:
        """Number of images so far."""
        return self.counts.total()

    def finish(self, outcome: Outcome) -> None:
        """An image is done, skipped or failed."""
        self.counts[outcome.status] += 1
        self.bugs += outcome.bug
        outcome.message = self._words(outcome.message)
        name = label_of(outcome.input)
        if outcome.status == "failed":
            self.complain(f"recolor: {name}: {outcome.message.removeprefix(f'{name}: ')}")
        elif outcome.status in ("skipped", "kept"):
            if self._files == 1:  # of 40,000 the summary is enough
                self.line(f"{name}: skipped, {outcome.message}")
        elif self._each:
            pages = f"{outcome.pages} pages, " if outcome.pages > 1 else ""
            speed = outcome.megapixels / max(outcome.seconds, 1e-3)
            self.line(
                f"{name} -> {label_of(outcome.output or '', 'out')} ({pages}"
                f"{outcome.megapixels:.2f} MP in {outcome.seconds:.1f} s, {speed:.1f} MP/s)"
            )
        if self._json:
            print(json.dumps(outcome.record()), flush=True)
        # What is skipped says nothing of the time that is left.
        left = self._files - self.counts["skipped"] - self.counts["kept"]
        self._bars.update(self._all, total=left, completed=self._through)

    @property
    def seconds(self) -> float:
        """Since the call began."""
        return time.monotonic() - self._started

    def summary(self) -> str:
        """The whole call in one line."""
        parts = []
        if done := self.counts["done"]:
            parts.append(f"{done} done")
        if skipped := self.counts["skipped"]:
            parts.append(f"{skipped} skipped, being there already (--overwrite makes them again)")
        if failed := self.counts["failed"]:
            parts.append(f"{failed} failed")
        return f"{', '.join(parts)}, in {self.seconds:.1f} s"


def label_of(name: str, stream: str = "in") -> str:
    """A file name for people, on one line."""
    return f"<std{stream}>" if name == STREAM else one_line(name)


class _Amount(ProgressColumn):
    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text("")
        done, total, unit = task.completed, task.total, task.fields["unit"]
        text = f"{done:.1f}/{total:.1f} {unit}" if unit else f"{int(done)}/{int(total)}"
        return Text(text, style="progress.download")


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed: Any = task.speed
        unit = task.fields["unit"]
        return Text(f"{speed:.1f} {unit}/s" if unit and speed else "", style="progress.data.speed")

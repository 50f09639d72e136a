"""What a call tells: lines and progress bars for people, JSON for programs."""

import json
import os
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from recolor_core.cli.plan import STREAM


@dataclass
class Outcome:
    """What became of one image; the JSON line of it.

    Parameters
    ----------
    input, output
        File names; "-" for streams.
    status
        "skipped" where the result was there already.
    message
        Why it was skipped or failed.
    alternatives, stages, sidecar
        Further files that were written.
    reading
        How every page was read, in words.
    pages, megapixels
        Of the image.
    seconds
        It took.
    exact_gray
        Whether the gray of the result is that of the input at every pixel.
    """

    input: str
    status: Literal["done", "skipped", "failed"] = "done"
    message: str = ""
    output: str | None = None
    alternatives: list[str] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    sidecar: str | None = None
    reading: list[str] = field(default_factory=list)
    pages: int = 0
    megapixels: float = 0.0
    seconds: float = 0.0
    exact_gray: bool | None = None


class Report:
    """Tells how a call goes on. A context manager: bars are shown inside it, on a terminal.

    Everything goes to standard error, but the JSON lines.

    Parameters
    ----------
    files
        Number of images.
    quiet
        Tell errors and warnings alone.
    json_lines
        Write one line of JSON to standard output for every image.
    """

    def __init__(self, files: int, *, quiet: bool = False, json_lines: bool = False) -> None:
        self.outcomes: list[Outcome] = []
        self.bugs = 0
        self._files = files
        self._quiet = quiet
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
        self._started = self._file_started = time.monotonic()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def line(self, text: str) -> None:
        """A line for people."""
        if not self._quiet:
            self.complain(text)

    def complain(self, text: str) -> None:
        """A line that has to be told: an error or a warning."""
        self._console.out(text, highlight=False)

    def warn(self, text: str) -> None:
        """A line about the image at hand that has to be told."""
        self.complain(f"recolor: {self._name}: {text}")

    def file(self, name: str) -> None:
        """An image begins."""
        self._file_started = time.monotonic()
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
        return sum(outcome.status != "skipped" for outcome in self.outcomes)

    @property
    def file_seconds(self) -> float:
        """Since the image began."""
        return time.monotonic() - self._file_started

    def finish(self, outcome: Outcome) -> None:
        """An image is through with."""
        self.outcomes.append(outcome)
        name = label_of(outcome.input)
        if outcome.status == "failed":
            self.complain(f"recolor: {name}: {outcome.message.removeprefix(f'{name}: ')}")
        elif outcome.status == "skipped":
            if self._files == 1:  # of 40,000 the summary is enough
                self.line(f"{name}: skipped, {outcome.message}")
        else:
            pages = f"{outcome.pages} pages, " if outcome.pages > 1 else ""
            speed = outcome.megapixels / max(outcome.seconds, 1e-3)
            self.line(
                f"{name} -> {label_of(outcome.output or '', 'out')} ({pages}"
                f"{outcome.megapixels:.2f} MP in {outcome.seconds:.1f} s, {speed:.1f} MP/s)"
            )
        if self._json:
            print(json.dumps(asdict(outcome)), flush=True)
        # What is skipped says nothing of the time that is left.
        left = self._files - sum(outcome.status == "skipped" for outcome in self.outcomes)
        self._bars.update(self._all, total=left, completed=self._through)

    def count(self, status: str) -> int:
        """Number of images of a status."""
        return sum(outcome.status == status for outcome in self.outcomes)

    def summary(self) -> str:
        """The whole call in one line."""
        parts = []
        if done := self.count("done"):
            parts.append(f"{done} done")
        if skipped := self.count("skipped"):
            parts.append(f"{skipped} skipped, being there already (--overwrite makes them again)")
        if failed := self.count("failed"):
            parts.append(f"{failed} failed")
        return f"{', '.join(parts)}, in {time.monotonic() - self._started:.1f} s"


def label_of(name: str, stream: str = "in") -> str:
    """A file name for people."""
    return f"<std{stream}>" if name == STREAM else name


def one_line(message: object) -> str:
    """A message without its line breaks."""
    return " ".join(str(message).split())


def bug(error: BaseException) -> str:
    """What to tell of an error that nobody foresaw."""
    return (
        f"unexpected error ({type(error).__name__}: {one_line(error)}), a bug of recolor; set "
        "RECOLOR_DEBUG=1 in the environment, run it again and report what it prints"
    )


def show_traceback() -> None:
    """Show where the error that is being handled came from, if RECOLOR_DEBUG asks for it."""
    if os.environ.get("RECOLOR_DEBUG", "") not in ("", "0"):
        traceback.print_exc(file=sys.stderr)


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

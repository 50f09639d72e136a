"""The work on one file of a batch, wherever it is done."""

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from threading import Lock

from recolor_core.batch.image import try_image, wait_for
from recolor_core.batch.observer import Observer
from recolor_core.batch.outcome import Outcome, one_line
from recolor_core.batch.request import Request, read_page_hints
from recolor_core.colorizer import Colorizer
from recolor_core.errors import HintsError, OutputBusyError
from recolor_core.files import sha256_of

_WAIT_SECONDS = 600.0
"""Seconds to wait for another call that makes the same result."""

IMAGES_AT_A_TIME = 2
"""Number of images that a process works on at a time if nothing speaks against it."""

LARGE = 300_000_000
"""Size in bytes of a file beside which no other one is colorized, to save memory."""


@dataclass(frozen=True)
class Task:
    """A file to be done. Doing it twice, or at two places at once, does no harm.

    Parameters
    ----------
    path : str
        Of the source, below the input folder.
    source : str
        The source.
    folder : str
        Where the result goes.
    full_name : bool
        Whether the name of the result keeps the ending of the source.
    hints : str or None
        A file of hints for this image.
    alone : bool
        Whether a process that does this task does no other one at the same time.
    """

    path: str
    source: str
    folder: str
    full_name: bool = False
    hints: str | None = None
    alone: bool = False


@dataclass(frozen=True)
class Work:
    """What is the same for all files of a batch.

    Parameters
    ----------
    request : Request
        How to colorize and what to write.
    weights, device : str
        As in `recolor_core.Colorizer`.
    threads : int or None
        Threads of a worker process; None leaves it to PyTorch.
    """

    request: Request = field(default_factory=Request)
    weights: str = "default"
    device: str = "auto"
    threads: int | None = None


def images_at_a_time(colorizer: Colorizer) -> int:
    """Number of images that a process works on at a time.

    On the CPU, one image is read or written while another one is in the networks. On a GPU it is
    one image, to save memory.
    """
    return IMAGES_AT_A_TIME if colorizer.device == "cpu" else 1


def make_colorizer(work: Work) -> Colorizer:
    """The colorizer of a batch."""
    return Colorizer(work.weights, work.device, work.request.runtime)


def perform(
    colorizer: Colorizer, task: Task, request: Request, observer: Observer | None = None
) -> Outcome:
    """Do a task; whatever goes wrong is told in the outcome.

    Parameters
    ----------
    colorizer : Colorizer
        Makes the colors.
    task : Task
        The file.
    request : Request
        How to colorize and what to write.
    observer : Observer or None
        Is told how the work goes on.
    """
    source = Path(task.source)

    def place(name: str) -> Path:
        if task.full_name:  # scan.jpg and scan.png lie in one folder
            name = f"{source.name}.recolor{Path(name).suffix}"
        return Path(task.folder, name)

    try:
        if task.hints:
            request = replace(request, hints=read_page_hints(task.hints))
        outcome = wait_for(
            lambda: try_image(colorizer, source, place, request, observer), _WAIT_SECONDS
        )
    except (OutputBusyError, HintsError) as error:
        return Outcome(task.source, "failed", one_line(error))
    if outcome.status in ("done", "skipped") and outcome.output:
        outcome.output_sha256 = sha256_of(Path(outcome.output))
    return outcome


def perform_anywhere(task: Task, work: Work) -> Outcome:
    """Do a task in a process that may have done others before, as Dask calls it."""
    with _LOADING:
        colorizer = _kept_colorizer(work.weights, work.device, work.request.runtime)
    return perform(colorizer, task, work.request)


_LOADING = Lock()


@cache
def _kept_colorizer(weights: str, device: str, runtime: str) -> Colorizer:
    return Colorizer(weights, device, runtime)

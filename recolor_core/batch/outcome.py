"""What became of one file, and the words for what went wrong."""

import os
import sys
import traceback
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

STREAM = "-"
"""Stands for standard input and standard output."""

Status = Literal["done", "skipped", "failed"]


@dataclass
class Outcome:
    """What became of one image file.

    Parameters
    ----------
    input, output : str
        File names; "-" for streams.
    status : {"done", "skipped", "failed"}
        "skipped" if the result was there already, complete and made in the same way.
    message : str
        Why it was skipped or failed.
    warnings : list of str
        What has to be said about the file although it was done.
    alternatives, stages, sidecar
        Names of the further files that were written.
    reading : list of str
        How every page was read, in words.
    pages : int
        Number of pages.
    megapixels : float
        Of all pages.
    seconds : float
        How long it took.
    exact_gray : bool or None
        Whether the gray of the result is that of the input at every pixel.
    source_sha256 : str or None
        SHA-256 of the input, hexadecimal.
    bug : bool
        Whether the error was unexpected.
    """

    input: str
    status: Status = "done"
    message: str = ""
    output: str | None = None
    warnings: list[str] = field(default_factory=list)
    alternatives: list[str] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    sidecar: str | None = None
    reading: list[str] = field(default_factory=list)
    pages: int = 0
    megapixels: float = 0.0
    seconds: float = 0.0
    exact_gray: bool | None = None
    source_sha256: str | None = None
    bug: bool = False

    def record(self) -> dict[str, Any]:
        """The outcome in JSON types."""
        facts = asdict(self)
        del facts["bug"]
        return facts


def one_line(message: object) -> str:
    """A message without its line breaks."""
    return " ".join(str(message).split())


def bug(error: BaseException) -> str:
    """What to say about an unexpected error."""
    return (
        f"unexpected error ({type(error).__name__}: {one_line(error)}), a bug of recolor; set "
        "RECOLOR_DEBUG=1 in the environment, run it again and report what it prints"
    )


def show_traceback() -> None:
    """Print the traceback of the error that is being handled, if RECOLOR_DEBUG is set."""
    if os.environ.get("RECOLOR_DEBUG", "") not in ("", "0"):
        traceback.print_exc(file=sys.stderr)

"""The outcome of one file, and the words for what went wrong."""

import os
import sys
import traceback
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

STREAM = "-"
"""Stands for standard input and standard output."""

Status = Literal["done", "skipped", "kept", "failed"]


@dataclass(frozen=True)
class PageFacts:
    """What is known about one page of a result.

    Parameters
    ----------
    width, height : int
        In pixels.
    dtype : str
        Of the codes.
    reading : str
        How the page was read, in words.
    gray_sha256 : str
        SHA-256 of the gray codes that the page keeps; see `recolor_core.digest`.
    uncertainty : float
        Mean standard deviation of the predicted color, in Lab units.
    """

    width: int
    height: int
    dtype: str
    reading: str
    gray_sha256: str
    uncertainty: float


@dataclass
class Outcome:
    """What became of one image file.

    Parameters
    ----------
    input, output : str
        File names; "-" for streams.
    status : {"done", "skipped", "kept", "failed"}
        "skipped" if the result was there already, complete and made in the same way; "kept" if it
        was made from another source or in another way and is to stay as it is.
    message : str
        Why it was skipped or failed.
    warnings : list of str
        What has to be said about the file although it was done.
    alternatives, sheets, stages, sidecar
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
    output_sha256 : str or None
        SHA-256 of the result, hexadecimal, if it was asked for.
    uncertainty : float or None
        Mean standard deviation of the predicted color over all pages, in Lab units.
    device : str or None
        Where the networks ran.
    page_facts : list of PageFacts
        What is known about every page.
    thumbnail : bytes or None
        A small pair of before and after, if it was asked for; see
        `recolor_core.batch.thumbnail`.
    bug : bool
        Whether the error was unexpected.
    """

    input: str
    status: Status = "done"
    message: str = ""
    output: str | None = None
    warnings: list[str] = field(default_factory=list)
    alternatives: list[str] = field(default_factory=list)
    sheets: list[str] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    sidecar: str | None = None
    reading: list[str] = field(default_factory=list)
    pages: int = 0
    megapixels: float = 0.0
    seconds: float = 0.0
    exact_gray: bool | None = None
    source_sha256: str | None = None
    output_sha256: str | None = None
    uncertainty: float | None = None
    device: str | None = None
    page_facts: list[PageFacts] = field(default_factory=list)
    thumbnail: bytes | None = None
    bug: bool = False

    def record(self) -> dict[str, Any]:
        """The outcome in JSON types."""
        facts = asdict(replace(self, thumbnail=None))
        for internal in ("bug", "device", "page_facts", "thumbnail"):
            del facts[internal]
        return facts


def one_line(message: object) -> str:
    """A message without its line breaks."""
    return " ".join(str(message).split())


def bug(error: BaseException) -> str:
    """Describe an unexpected error."""
    return (
        f"unexpected error ({type(error).__name__}: {one_line(error)}), a bug of recolor; set "
        "RECOLOR_DEBUG=1 in the environment, run it again and report what it prints"
    )


def show_traceback() -> None:
    """Print the traceback of the error that is being handled, if RECOLOR_DEBUG is set."""
    if os.environ.get("RECOLOR_DEBUG", "") not in ("", "0"):
        traceback.print_exc(file=sys.stderr)


def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Show a warning as one line on standard error; takes what `warnings.showwarning` gets."""
    print(f"recolor: {one_line(message)}", file=sys.stderr)

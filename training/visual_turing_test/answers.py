"""The answers of observers, one line for each answer: ``answers.jsonl``.

Each line is a JSON object with the fields of `Answer`. An answer is on the disk before the next
trial is shown.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from training.photographs import DataError

FILE = "answers.jsonl"


class Side(StrEnum):
    """The side on which an image is shown."""

    LEFT = "left"
    RIGHT = "right"


class Reason(StrEnum):
    """A reason that gave the colorized image away."""

    BLEEDING = "color bleeding"
    GRAY = "too gray"
    WRONG = "wrong color"
    BLOTCHES = "blotches"
    OTHER = "other"


@dataclass(frozen=True)
class Answer:
    """One answer of one observer.

    Parameters
    ----------
    observer
        Name of the observer.
    number
        Number of the trial, from 1 in the observer's own order.
    image
        Label of the photograph.
    photograph, twin
        File names of the two images that were shown, in the folder ``images``.
    weights
        Name of the weights that colorized the twin.
    sha256
        SHA-256 of the weights file.
    real
        Side of the photograph.
    answered
        Side that the observer chose.
    reasons
        What gave the other image away, as the observer says.
    seconds
        Seconds that the trial was shown, including breaks.
    time
        Time of the answer: ISO 8601, UTC.
    """

    observer: str
    number: int
    image: str
    photograph: str
    twin: str
    weights: str
    sha256: str
    real: Side
    answered: Side
    reasons: tuple[Reason, ...]
    seconds: float
    time: str

    @property
    def fooled(self) -> bool:
        """Return whether the observer took the colorized image for the real one."""
        return self.answered != self.real


def append_answer(path: Path, answer: Answer) -> None:
    """Append one line. It is on the disk when the call returns.

    Raises
    ------
    OSError
        If it cannot be written. The file is then unchanged.
    """
    path.touch()
    written = path.read_bytes()
    end = written.rfind(b"\n") + 1
    if end < len(written):  # a crash left part of a line, which was never reported as saved
        os.truncate(path, end)
    try:
        with path.open("ab") as file:
            file.write(json.dumps(asdict(answer)).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        os.truncate(path, end)
        raise


def read_answers(path: Path) -> list[Answer]:
    """Return all answers in the order given, or none if the file does not exist.

    Raises
    ------
    DataError
        If a line is not a valid answer.
    """
    # Text after the last end of line is part of an answer that a crash cut off.
    lines: Sequence[bytes] = path.read_bytes().split(b"\n")[:-1] if path.exists() else ()
    return [_parsed(line, number, path) for number, line in enumerate(lines, start=1)]


def _parsed(line: bytes, number: int, path: Path) -> Answer:
    try:
        fields = json.loads(line)
        fields["real"], fields["answered"] = Side(fields["real"]), Side(fields["answered"])
        fields["reasons"] = tuple(map(Reason, fields["reasons"]))
        return Answer(**fields)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}, line {number}: expected an answer, got {line[:40]!r} ({error}); remove the "
            "line if it is not yours to keep"
        ) from error

"""What observers answered, one line for each answer: ``answers.jsonl``.

Each line is a JSON object with the fields of `Answer`; an answer is on the disk before the next
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
    """Where an image is shown."""

    LEFT = "left"
    RIGHT = "right"


class Reason(StrEnum):
    """What gave the colorized image away."""

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
        Who answered.
    number
        Of the trial, from 1 in the observer's own order.
    image
        Label of the photograph.
    photograph, twin
        File names of the two that were shown, in the folder ``images``.
    weights
        Name of the weights that colorized its twin.
    sha256
        Of the weights file.
    real
        Where the photograph was.
    answered
        Where the observer took it to be.
    reasons
        What the observer says gave the other one away.
    seconds
        How long the trial was looked at, breaks included.
    time
        When it was given: ISO 8601, UTC.
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
        """Whether the colorized image was taken for the real one."""
        return self.answered != self.real


def append_answer(path: Path, answer: Answer) -> None:
    """Write one more line; it is on the disk when the call returns.

    Raises
    ------
    OSError
        If it cannot be written; the file is as it was then.
    """
    path.touch()
    written = path.read_bytes()
    end = written.rfind(b"\n") + 1
    if end < len(written):  # a crash has left the beginning of a line, which nobody was told of
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
    """All answers in the order given; none where the file is not there yet.

    Raises
    ------
    DataError
        If a line is no answer.
    """
    # What follows the last end of line is the beginning of an answer that a crash cut off.
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

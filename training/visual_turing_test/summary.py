"""Summarize how often observers were fooled, and what gave the colorized images away.

``summary.json`` is an object with ``format`` (1), ``rows`` (objects with the fields of `Row`; the
first one covers all observers and all weights) and ``images`` (objects with the fields of `Given`,
sorted by how often they were told, most often first). ``summary.csv`` and ``images.csv`` contain
the same data as tables.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recolor_core.files import replacing
from recolor_core.metrics import wilson_interval
from training.visual_turing_test.answers import FILE, Answer, Reason, read_answers

FORMAT = 1
SUMMARY = "summary.json"


@dataclass(frozen=True)
class Row:
    """How often observers took the colorized image for the real one.

    Parameters
    ----------
    observer, weights
        Observer and weights that the row covers. None means all of several.
    trials
        Number of answers.
    fooled
        Number of wrong answers.
    share
        Fraction of wrong answers, in [0, 1]; 0.5 is perfect. NaN if there are no trials.
    low, high
        Its 95 % interval (Wilson 1927), which assumes independent answers. If several observers saw
        the same photographs, the interval for all of them together is slightly too narrow.
    """

    observer: str | None
    weights: str | None
    trials: int
    fooled: int
    share: float
    low: float
    high: float

    def sentence(self) -> str:
        """Return the row as a sentence."""
        if not self.trials:
            return "No answers yet."
        return (
            f"Fooled in {self.fooled} of {self.trials} trials: {100 * self.share:.0f} %, 95 % "
            f"interval {100 * self.low:.0f} to {100 * self.high:.0f} %. 50 % is perfect."
        )


@dataclass(frozen=True)
class Given:
    """What gave one colorized image away.

    Parameters
    ----------
    image, weights, photograph, twin
        As in `Answer`.
    trials, told
        Number of observers who saw the image, and how many of them told it from the photograph.
    reasons
        How many of these observers named each `Reason`. Reasons of observers who took the twin for
        the photograph are not counted.
    """

    image: str
    weights: str
    photograph: str
    twin: str
    trials: int
    told: int
    reasons: dict[str, int]


def count_answers(answers: Sequence[Answer]) -> list[Row]:
    """Count answers in total, by weights, by observer, and by observer and weights."""
    observers = _names(answer.observer for answer in answers)
    weights = _names(answer.weights for answer in answers)
    rows = []
    for observer in observers:
        for name in weights:
            chosen = [
                a for a in answers if observer in (None, a.observer) and name in (None, a.weights)
            ]
            fooled = sum(answer.fooled for answer in chosen)
            interval = wilson_interval(fooled, len(chosen))
            rows.append(Row(observer, name, len(chosen), fooled, *interval))
    return rows


def given_away(answers: Sequence[Answer]) -> list[Given]:
    """Return what gave each image away, sorted by how often it was told, most often first."""
    groups: dict[str, list[Answer]] = {}
    for answer in answers:
        groups.setdefault(answer.twin, []).append(answer)
    given = []
    for group in groups.values():
        told = [answer for answer in group if not answer.fooled]
        named = Counter(reason for answer in told for reason in answer.reasons)
        first = group[0]
        given.append(
            Given(
                first.image,
                first.weights,
                first.photograph,
                first.twin,
                len(group),
                len(told),
                {reason.value: named[reason] for reason in Reason},
            )
        )
    return sorted(given, key=lambda one: (-one.told / one.trials, -one.told, one.image))


def write_summary(folder: Path) -> tuple[list[Row], list[Given]]:
    """Write the summary of the answers in a folder and return it.

    Raises
    ------
    DataError
        If a line of the answers is invalid.
    """
    answers = read_answers(folder / FILE)
    rows, images = count_answers(answers), given_away(answers)
    summary: dict[str, Any] = {
        "format": FORMAT,
        "rows": [asdict(row) for row in rows if row.trials],
        "images": [asdict(one) for one in images],
    }
    with replacing(folder / SUMMARY) as part:
        part.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    write_table(folder / "summary.csv", summary["rows"])
    flat = [one | one["reasons"] for one in summary["images"]]
    for one in flat:
        del one["reasons"]
    write_table(folder / "images.csv", flat)
    return rows, images


def write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows with the same keys as CSV. If there are no rows, the file is empty."""
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0] if rows else ())
        if rows:
            writer.writeheader()
        writer.writerows(rows)


def _names(given: Iterable[str]) -> list[str | None]:
    names = sorted(set(given))
    return [*names] if len(names) == 1 else [None, *names]

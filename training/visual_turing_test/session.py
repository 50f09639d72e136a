"""The visual Turing test: observers say which of two images is the real photograph.

A real photograph and its colorized twin stand side by side in random order. Who cannot tell them
apart takes the colorized one for real in half of the trials: a fooled share of 50 % is perfect.

A folder holds one test: ``session.json`` (what is shown, `Questionnaire`), ``images/`` (see
`training.visual_turing_test.pairs`), ``answers.jsonl`` (`training.visual_turing_test.answers`) and
the tables that `training.visual_turing_test.summary` makes of the answers. Observers take turns in
it.

``session.json`` is an object of ``format`` (1), ``seed``, ``size`` (side of the squares in pixels),
``weights`` (name to SHA-256), ``how`` (``version`` of the package and ``settings`` that colorized)
and ``images``: a list of objects of ``label``, ``real`` (file name) and ``colored`` (file name by
name of the weights).
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.files import replacing
from training.photographs import DataError
from training.visual_turing_test.answers import (
    FILE,
    Answer,
    Reason,
    Side,
    append_answer,
    read_answers,
)
from training.visual_turing_test.pairs import Pair, Pairs, read_image
from training.visual_turing_test.summary import Row, count_answers, write_summary

FORMAT = 1
PLAN = "session.json"
IMAGES = "images"


@dataclass(frozen=True)
class Questionnaire:
    """What a test shows: one trial of each pair for each observer.

    Parameters
    ----------
    seed
        Of every observer's random order.
    size
        Side of the images in pixels.
    weights
        SHA-256 of the weights files by their names.
    how
        As in `Pairs`.
    images
        The pairs.
    """

    seed: int
    size: int
    weights: Mapping[str, str]
    how: Mapping[str, Any]
    images: tuple[Pair, ...]

    @classmethod
    def read(cls, folder: Path) -> "Questionnaire":
        """The questionnaire of a folder.

        Raises
        ------
        DataError
            If there is none, or it is damaged.
        """
        path = folder / PLAN
        try:
            questionnaire = json.loads(path.read_text(encoding="utf-8"))
            if questionnaire["format"] != FORMAT:
                raise ValueError(f"expected format {FORMAT}, got {questionnaire['format']!r}")
            images = tuple(Pair(**pair) for pair in questionnaire["images"])
            return cls(
                questionnaire["seed"],
                questionnaire["size"],
                questionnaire["weights"],
                questionnaire["how"],
                images,
            )
        except FileNotFoundError as error:
            raise DataError(
                f"{folder} holds no visual Turing test; make one with "
                "`python -m training.visual_turing_test prepare FOLDER --out ...`"
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path} is damaged ({error}); remove it and prepare the test again"
            ) from error

    def write(self, folder: Path) -> None:
        """Write the questionnaire; it may replace one that nobody has answered.

        Raises
        ------
        DataError
            If another questionnaire of this folder has answers already.
        """
        path = folder / PLAN
        if path.exists() and read_answers(folder / FILE) and Questionnaire.read(folder) != self:
            raise DataError(
                f"{folder} holds another test, and answers to it; name another folder with --out"
            )
        with replacing(path) as part:
            text = json.dumps({"format": FORMAT, **asdict(self)}, indent=1)
            part.write_text(text + "\n", encoding="utf-8")


def make_questionnaire(pairs: Pairs, seed: int) -> Questionnaire:
    """The questionnaire of a test that shows these pairs."""
    size = len(read_image(pairs.folder / pairs.pairs[0].real))
    return Questionnaire(seed, size, pairs.weights, pairs.how, pairs.pairs)


@dataclass(frozen=True)
class Trial:
    """What an observer is shown; it holds nothing that tells which one is real.

    Parameters
    ----------
    number
        From 1 to `total`.
    total
        Number of trials.
    left, right
        (size, size, 3) uint8 sRGB codes.
    """

    number: int
    total: int
    left: NDArray[np.uint8]
    right: NDArray[np.uint8]


@dataclass(frozen=True)
class _Secret:
    pair: Pair
    weights: str
    real: Side


class Session:
    """The trials of one observer, who may stop at any time and go on later.

    Every photograph is shown once. Which one comes when, with which weights and on which side is
    drawn for each observer by the questionnaire's seed; every weights colorizes equally many, and
    half of these stand on the left (one more or less where the numbers are odd). The observer
    learns no truth before the last answer, so that counting does not help.

    Parameters
    ----------
    folder
        Of a test that was prepared.
    observer
        Name of the observer.

    Raises
    ------
    DataError
        If the folder holds no test, or no name is given.
    """

    def __init__(self, folder: Path, observer: str) -> None:
        if not observer.strip():
            raise DataError("expected the name of an observer, got none; give --observer NAME")
        self.folder = folder
        self.observer = observer.strip()
        self._questionnaire = Questionnaire.read(folder)
        drawn = _draw(self._questionnaire, self.observer)
        self.total = len(drawn)
        answered = {answer.photograph for answer in self.answers}
        self._due = [secret for secret in drawn if secret.pair.real not in answered]
        self._since: float | None = None  # when the trial that is due was shown

    @property
    def answers(self) -> list[Answer]:
        """What this observer has answered."""
        return [a for a in read_answers(self.folder / FILE) if a.observer == self.observer]

    @property
    def trial(self) -> Trial | None:
        """What is to be answered next; None after the last answer."""
        if not self._due:
            return None
        self._since = self._since or time.monotonic()
        secret = self._due[0]
        images = self.folder / IMAGES
        real = read_image(images / secret.pair.real)
        colored = read_image(images / secret.pair.colored[secret.weights])
        left, right = (real, colored) if secret.real == Side.LEFT else (colored, real)
        return Trial(self.total - len(self._due) + 1, self.total, left, right)

    def answer(self, side: Side, reasons: Sequence[Reason] = ()) -> None:
        """Take the answer to `trial` and write it and the summary; then the next trial is due.

        Parameters
        ----------
        side
            Where the real photograph is, as the observer sees it.
        reasons
            What gave the other one away.

        Raises
        ------
        DataError
            If every trial is answered already.
        OSError
            If the answer cannot be written; the trial is still due.
        """
        if not self._due:
            raise DataError(f"expected at most {self.total} answers of {self.observer}, got more")
        secret = self._due[0]
        now = time.monotonic()
        answer = Answer(
            observer=self.observer,
            number=self.total - len(self._due) + 1,
            image=secret.pair.label,
            photograph=secret.pair.real,
            twin=secret.pair.colored[secret.weights],
            weights=secret.weights,
            sha256=self._questionnaire.weights[secret.weights],
            real=secret.real,
            answered=side,
            reasons=tuple(reasons),
            seconds=round(now - (self._since or now), 3),
            time=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        append_answer(self.folder / FILE, answer)
        self._due.pop(0)
        self._since = None
        write_summary(self.folder)

    @property
    def result(self) -> Row:
        """How often this observer was fooled so far, by all weights together."""
        return count_answers(self.answers)[0]


def _draw(questionnaire: Questionnaire, observer: str) -> list[_Secret]:
    """The observer's own trials in order."""
    name = int.from_bytes(hashlib.sha256(observer.encode()).digest()[:8])
    rng = np.random.default_rng([questionnaire.seed, name])
    order = rng.permutation(len(questionnaire.images))
    names = rng.permutation(list(questionnaire.weights)).tolist()
    secrets: list[_Secret] = []
    for place, weights in enumerate(names):
        mine = order[place :: len(names)]
        sides = rng.permutation(np.arange(len(mine)) + rng.integers(2)) % 2
        secrets += [
            _Secret(questionnaire.images[image], weights, (Side.LEFT, Side.RIGHT)[side])
            for image, side in zip(mine, sides, strict=True)
        ]
    return [secrets[i] for i in rng.permutation(len(secrets))]

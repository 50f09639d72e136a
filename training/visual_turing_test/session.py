"""The visual Turing test: observers say which of two images is the real photograph.

A real photograph and its colorized twin are shown side by side in random order. An observer who
cannot distinguish them chooses the colorized image in half of the trials: 50 % fooled is perfect.

A folder holds one test: ``session.json`` (the content of the test, `Questionnaire`), ``images/``
(see `training.visual_turing_test.pairs`), ``answers.jsonl`` (see
`training.visual_turing_test.answers`) and the tables that `training.visual_turing_test.summary`
makes from the answers. Several observers can take the same test.

``session.json`` is an object with ``format`` (1), ``seed``, ``size`` (side of the squares in
pixels), ``weights`` (name to SHA-256), ``how`` (``version`` of the package and ``settings`` of the
colorizer) and ``images``: a list of objects with ``label``, ``real`` (file name) and ``colored``
(file name for each name of weights).
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
    """The content of a test: one trial with each pair for each observer.

    Parameters
    ----------
    seed
        Seed from which each observer's random order is made.
    size
        Side of the images in pixels.
    weights
        SHA-256 of each weights file, by name.
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
        """Read the questionnaire in a folder.

        Raises
        ------
        DataError
            If the file is missing or damaged.
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
        """Write the questionnaire. It may replace a questionnaire that has no answers yet.

        Raises
        ------
        DataError
            If the folder holds another questionnaire that already has answers.
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
    """Make the questionnaire of a test that shows these pairs."""
    size = len(read_image(pairs.folder / pairs.pairs[0].real))
    return Questionnaire(seed, size, pairs.weights, pairs.how, pairs.pairs)


@dataclass(frozen=True)
class Trial:
    """The data shown to an observer. It does not contain which image is real.

    Parameters
    ----------
    number
        Number of this trial, from 1 to `total`.
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
    """The trials of one observer, who may stop at any time and resume later.

    Every photograph is shown once. The order, the weights and the sides are chosen at random for
    each observer from the questionnaire's seed. All weights colorize equally many images, and half
    of these are on the left (plus or minus one if a number is odd). The observer learns the correct
    answers only after the last trial, so that counting does not help.

    Parameters
    ----------
    folder
        Folder of a prepared test.
    observer
        Name of the observer.

    Raises
    ------
    DataError
        If the folder holds no test, or the name is empty.
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
        self._since: float | None = None  # when the current trial was shown

    @property
    def answers(self) -> list[Answer]:
        """Return the answers that this observer has given."""
        return [a for a in read_answers(self.folder / FILE) if a.observer == self.observer]

    @property
    def trial(self) -> Trial | None:
        """Return the next trial, or None after the last answer."""
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
        """Save the answer to `trial` and update the summary. The next trial becomes current.

        Parameters
        ----------
        side
            Side on which the observer believes the real photograph to be.
        reasons
            What gave the other image away.

        Raises
        ------
        DataError
            If all trials are already answered.
        OSError
            If the answer cannot be written. The trial stays current.
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
        """Return how often this observer has been fooled, over all weights."""
        return count_answers(self.answers)[0]


def _draw(questionnaire: Questionnaire, observer: str) -> list[_Secret]:
    """Return the trials of this observer in order."""
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

"""The visual Turing test in the system's default image viewer and the terminal."""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import typer
from PIL import Image

from recolor_core.files import replacing
from training.photographs import DataError
from training.visual_turing_test.answers import Reason, Side
from training.visual_turing_test.session import Session, Trial

GAP = 16
"""Pixels between the two images, before they are enlarged."""

SIDES = {"l": Side.LEFT, "r": Side.RIGHT}


def side_by_side(trial: Trial, enlarge: int = 1) -> Image.Image:
    """Both images of a trial in one, on gray, enlarged by a whole factor."""
    gap = np.full((len(trial.left), GAP, 3), 128, np.uint8)
    both = Image.fromarray(np.concatenate((trial.left, gap, trial.right), axis=1))
    return both.resize((both.width * enlarge, both.height * enlarge), Image.Resampling.BICUBIC)


class ImageViewer:
    """Shows one image after the other in a program of its own.

    Parameters
    ----------
    command
        The program with its arguments; the path of the image is added. None is the system's
        default one.
    """

    def __init__(self, command: str | None = None) -> None:
        self._command = shlex.split(command, posix=os.name == "posix") if command else None
        self._process: subprocess.Popen[bytes] | None = None

    def show(self, path: Path) -> None:
        """Show an image; where the program was named, the one before it is closed.

        Raises
        ------
        DataError
            If the program cannot be started.
        """
        if self._command is None:
            if typer.launch(str(path)):
                raise DataError("this system has no default image viewer; name one with --viewer")
            return
        self.close()
        try:
            self._process = subprocess.Popen([*self._command, str(path)])
        except OSError as error:
            raise DataError(
                f"{self._command[0]} cannot be started ({error.strerror}); name another --viewer"
            ) from error

    def close(self) -> None:
        """Close the program, if it was named and is still open."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


def parse(text: str) -> tuple[Side, list[Reason]] | None:
    """What was typed: ``l`` or ``r``, then digits of reasons, ``r 14``; None where it is neither.

    Parameters
    ----------
    text
        Spaces, commas and capitals do not matter.
    """
    words = text.lower().replace(",", "").replace(" ", "")
    digits = set(words[1:])
    known = {str(number): reason for number, reason in enumerate(Reason, start=1)}
    if words[:1] not in SIDES or not digits <= known.keys():
        return None
    return SIDES[words[0]], [known[digit] for digit in sorted(digits)]


def show(
    session: Session,
    viewer: ImageViewer,
    *,
    enlarge: int = 2,
    ask: Callable[[str], str] = input,
    say: Callable[[str], None] = print,
) -> None:
    """Show every trial that is due, until the last one, ``q`` or the end of the input.

    Parameters
    ----------
    session
        Whose trials.
    viewer
        Shows the images.
    enlarge
        Factor on their size.
    ask
        Returns what the observer types.
    say
        Tells the observer something.
    """
    reasons = ", ".join(f"{number} {reason}" for number, reason in enumerate(Reason, start=1))
    say("Which one is the real photograph? l: left, r: right, q: stop and go on another day.")
    say(f"Then, if you like, what gave the other one away, as in r 14: {reasons}.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "which-is-real.png")
        try:
            while (trial := session.trial) is not None:
                with replacing(path) as part:
                    side_by_side(trial, enlarge).save(part, "PNG")
                viewer.show(path)
                answer = _asked(f"{trial.number} of {trial.total}: ", ask, say)
                if answer is None:
                    say(f"Stopped after {trial.number - 1} of {trial.total}; the same goes on.")
                    break
                session.answer(*answer)
        finally:
            viewer.close()
    if session.trial is None:
        say(session.result.sentence())


def _asked(
    question: str, ask: Callable[[str], str], say: Callable[[str], None]
) -> tuple[Side, list[Reason]] | None:
    while True:
        try:
            text = ask(question)
        except EOFError:
            return None
        if text.strip().lower() in ("q", "quit"):
            return None
        answer = parse(text)
        if answer is not None:
            return answer
        say(f"Expected l or r and digits of reasons, as in r 14, got {text!r}.")

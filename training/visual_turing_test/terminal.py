"""The visual Turing test in the terminal, with images in the system's default viewer."""

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
"""Gap between the two images in pixels, before they are enlarged."""

SIDES = {"l": Side.LEFT, "r": Side.RIGHT}


def side_by_side(trial: Trial, enlarge: int = 1) -> Image.Image:
    """Return both images of a trial side by side on gray, enlarged by an integer factor."""
    gap = np.full((len(trial.left), GAP, 3), 128, np.uint8)
    both = Image.fromarray(np.concatenate((trial.left, gap, trial.right), axis=1))
    return both.resize((both.width * enlarge, both.height * enlarge), Image.Resampling.BICUBIC)


class ImageViewer:
    """Shows images in an external program.

    Parameters
    ----------
    command
        Program with its arguments; the path of the image is appended. None selects the system's
        default viewer.
    """

    def __init__(self, command: str | None = None) -> None:
        self._command = shlex.split(command, posix=os.name == "posix") if command else None
        self._process: subprocess.Popen[bytes] | None = None

    def show(self, path: Path) -> None:
        """Show an image. If `command` was given, close the previous image first.

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
        """Close the program if `command` was given and it is still open."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


def parse(text: str) -> tuple[Side, list[Reason]] | None:
    """Parse typed text: ``l`` or ``r``, then digits of reasons, as in ``r 14``; None if invalid.

    Parameters
    ----------
    text
        Text that the observer typed. Spaces, commas and case are ignored.
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
    """Show trials until the last one is answered, or the input is ``q`` or ends.

    Parameters
    ----------
    session
        Session of the observer.
    viewer
        Shows the images.
    enlarge
        Factor to enlarge the images by.
    ask
        Function that returns what the observer types.
    say
        Function that shows a message to the observer.
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

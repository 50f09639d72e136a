"""The command ``recolor``. See `docs/command.md`.

Each subcommand is imported when it is called, and imports torch only when there is work to do, so
that help appears at once.
"""

import os
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

from recolor_core.batch.outcome import bug, one_line, show_traceback
from recolor_core.cli.interrupts import BAD_INPUT, BUG, DONE, INTERRUPTED, PIPE_CLOSED
from recolor_core.cli.words import in_words_of_command, in_words_of_film
from recolor_core.errors import RecolorError

COMMANDS = {
    "": "colorize",
    "batch": "batch",
    "film": "film",
    "info": "info",
    "restore": "restore",
    "verify": "verify",
    "weights": "weights",
}
"""Modules of this package by the first word of a call. Each has an `app`."""


def main() -> None:
    """Run the command that the first word names; without such a word, colorize."""
    name, *words = sys.argv[1:] or [""]
    if name not in COMMANDS:
        name, words = "", sys.argv[1:]
    # Let waiting threads sleep: with other programs running, spinning made torch several times
    # slower. The variables are read when torch and numpy are imported. The matrices that numpy
    # multiplies here are small, and its threads spin, too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for stream in (sys.stdout, sys.stderr):
        # File names need not fit the encoding of the terminal.
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
    code = _run(name, words)
    try:
        sys.stdout.flush()
    except OSError as error:
        # Otherwise Python would try again when it ends, fail, and report that in its own words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or _code_of(error)
    sys.exit(code)


def _run(name: str, words: list[str]) -> int:
    """Make a call; its errors and warnings become lines in the words of the command."""
    in_words = in_words_of_film if name == "film" else in_words_of_command

    def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"recolor: {in_words(message)}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show_warning
        return _call(name, words, in_words)


def _call(name: str, words: list[str], in_words: Callable[[object], str]) -> int:
    try:
        app = import_module(f"{__name__}.{COMMANDS[name]}").app
        app(words, prog_name=f"recolor {name}".strip())
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # click's own handling of it
            return PIPE_CLOSED
        return end.code if isinstance(end.code, int) else DONE
    except RecolorError as error:
        return _failed(in_words(error), BAD_INPUT)
    except OSError as error:  # of standard output, say: of an image it is a RecolorError
        return _code_of(error)
    except KeyboardInterrupt:
        return _failed("interrupted", INTERRUPTED)
    except Exception as error:
        return _failed(bug(error), BUG)
    return DONE


def _code_of(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):  # as in `recolor ... --json | head -1`
        return PIPE_CLOSED
    where = error.filename or "<stdout>"
    return _failed(f"{where}: {error.strerror}; check the disk and permissions", BAD_INPUT)


def _failed(message: str, code: int) -> int:
    try:
        show_traceback()
        print(f"recolor: {one_line(message)}", file=sys.stderr)
    except OSError:  # the terminal is closed
        pass
    return code

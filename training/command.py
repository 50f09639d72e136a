"""How every command of `training` ends: an error is one line on stderr and exit code 2."""

import errno
import sqlite3
import sys
from collections.abc import Sequence

import typer

from recolor_core.errors import RecolorError


def run_command(
    app: typer.Typer, arguments: Sequence[str] | None = None, name: str | None = None
) -> None:
    """Run a command and report what the user can correct in one line.

    Parameters
    ----------
    app : typer.Typer
        The command.
    arguments : sequence of str, optional
        The words after the command's name; those of the process by default.
    name : str, optional
        How the help text names the command; ``sys.argv[0]`` by default.

    Raises
    ------
    SystemExit
        With code 2 after an error of the input, the disk or the network. Any other exception is a
        bug and keeps its traceback.
    """
    try:
        app(args=arguments, prog_name=name)
    except RecolorError as error:
        message = _without_traceback(error)
    except sqlite3.Error as error:
        message = f"the measures cannot be stored ({error}): is the disk full?"
    except OSError as error:
        where = error.filename or "the output"
        if error.errno == errno.ENOSPC:
            message = f"no space left for {where}: free some and run the same command again."
        else:
            message = f"{where}: {error.strerror or error}."
    else:
        return
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def _without_traceback(error: RecolorError) -> str:
    """The message of an error; a loading process prepends its whole traceback to it."""
    message = str(error).strip()
    if "Traceback (most recent call last)" in message:
        message = message.splitlines()[-1]
    return message.removeprefix(f"{type(error).__module__}.{type(error).__name__}: ")

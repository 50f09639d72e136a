"""The lock of an output folder: one batch at a time writes its manifest."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from recolor_core.batch.outcome import one_line
from recolor_core.errors import RecolorError
from recolor_core.files import explained

LOCK = ".recolor-batch.lock"
"""Name of the file in the output folder that a running batch holds."""


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the lock of an output folder.

    Raises
    ------
    RecolorError
        If another batch holds it.
    """
    with explained(str(folder)):
        file = (folder / LOCK).open("ab")
    with file:
        attempts = 0
        while not _lock(file):
            attempts += 1  # somebody may just be asking for the status
            if attempts > 10:
                raise RecolorError(
                    f"{folder}: another recolor batch is at work here; see how far it is with: "
                    f"recolor batch status {one_line(folder)}"
                )
            time.sleep(0.05)
        yield


def _lock(file: BinaryIO) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network file system without locks: the user's own care
        pass
    return True


def is_running(folder: Path) -> bool:
    """Whether a batch is at work on an output folder."""
    if not (folder / LOCK).exists():
        return False
    try:
        with (folder / LOCK).open("ab") as file:
            return not _lock(file)
    except OSError:
        return False

"""Folders and files that are there completely or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.prepare.errors import PrepareError


def make_folder(path: Path) -> None:
    """Make a folder and those above it.

    Raises
    ------
    PrepareError
        A file is in the way, or the folder cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise PrepareError(f"{path} cannot be a folder, a file is in the way: name another.") from (
            error
        )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to; it replaces `path` when the block ends well, else it is removed."""
    part = path.with_name(path.name + ".part")
    try:
        yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise

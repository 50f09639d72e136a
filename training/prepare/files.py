"""Folders for what is prepared."""

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

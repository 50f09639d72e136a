"""Create folders for prepared files."""

from pathlib import Path

from training.prepare.errors import PrepareError


def make_folder(path: Path) -> None:
    """Create a folder and its parents.

    Raises
    ------
    PrepareError
        If a file has that name, or the folder cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise PrepareError(f"{path} cannot be a folder, a file is in the way: name another.") from (
            error
        )

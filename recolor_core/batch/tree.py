"""Which files of a folder are images, and folders for results. Opens no image."""

import os
from collections.abc import Iterator
from pathlib import Path

from recolor_core.errors import ImageError

OWN = ".recolor."
"""In the name of every result that gets its name from recolor."""

REPORT = "recolor-report"
"""Name of the folder of a batch's report, whose images are no sources."""

# A folder holds other things than images: of its files, those with these endings are taken. A file
# that is named itself may be called anything; its content counts.
IMAGE_ENDINGS = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".dib"),
        *(
            ".gif",
            ".jp2",
            ".j2k",
            ".jpf",
            ".jpx",
            ".j2c",
            ".jpc",
            ".jxl",
            ".avif",
            ".heic",
            ".heif",
        ),
        *(".hif", ".psd", ".psb", ".pbm", ".pgm", ".ppm", ".pnm", ".pam", ".exr", ".dcm", ".dng"),
    )
)
FILM_ENDINGS = frozenset(
    (
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts"),
        *(".ts", ".wmv", ".flv", ".ogv", ".dv", ".mxf", ".3gp"),
    )
)


def is_image_name(name: str) -> bool:
    """Whether a file's name ends as those of images do."""
    return os.path.splitext(name)[1].lower() in IMAGE_ENDINGS  # noqa: PTH122 (one in 100,000)


def is_film_name(name: str) -> bool:
    """Whether a file's name ends as those of films do."""
    return os.path.splitext(name)[1].lower() in FILM_ENDINGS  # noqa: PTH122 (one in 100,000)


def find_files(
    folder: Path, *, recursive: bool = True, without: Path | None = None
) -> Iterator[Path]:
    """The regular files of a folder in order, folder by folder; hidden ones are left out.

    What is not a regular file, such as a pipe, is left out too: reading it might never end.

    Parameters
    ----------
    folder : Path
        Where to look.
    recursive : bool
        Whether to search its folders too. Links to folders are not followed.
    without : Path or None
        A folder that is left out.
    """
    with os.scandir(folder) as scan:
        entries = sorted(
            (entry for entry in scan if not entry.name.startswith(".")),
            key=lambda entry: entry.name,
        )
    for entry in entries:
        if entry.is_file():
            yield Path(entry.path)
    for entry in entries if recursive else ():
        if not entry.is_dir(follow_symlinks=False) or entry.name == REPORT:
            continue
        if not (without and without.samefile(entry.path)):
            yield from find_files(Path(entry.path), without=without)


def make_folder(folder: Path) -> None:
    """Make the folder of a result, and those above it, unless it is there.

    Raises
    ------
    ImageError
        If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(
            f"the folder {folder} cannot be made ({error.strerror}); name another output"
        ) from error

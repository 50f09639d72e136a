"""What a call is about: which images, and where their results go. Opens no image."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recolor_core.errors import RecolorError

STREAM = "-"
"""Stands for standard input and standard output."""

OWN = ".recolor."
"""In the name of every result that gets its name from recolor."""

# A folder holds other things than images: of its files these are taken. Files that are named
# may be called anything; their content counts.
_ENDINGS = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".dib"}
_ENDINGS |= {".gif", ".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"}


@dataclass(frozen=True)
class Input:
    """An image that a call asks for.

    Parameters
    ----------
    name
        As it was given, or where it was found.
    subfolder
        Where below the folder that was given it lies.
    """

    name: str
    subfolder: Path = Path()

    @property
    def path(self) -> Path | None:
        """The file; None for standard input."""
        return None if self.name == STREAM else Path(self.name)


@dataclass(frozen=True)
class Inputs:
    """All images of a call.

    Parameters
    ----------
    images
        In the order of the call, those of a folder by name; each once.
    problems
        What of the call is no image, and why.
    results
        Those of earlier calls that were met and left out.
    batch
        Whether the call asks for more than one image, or may on another day.
    """

    images: tuple[Input, ...]
    problems: tuple[tuple[str, str], ...]
    results: tuple[str, ...]
    batch: bool


def find_inputs(words: Sequence[str], *, recursive: bool = False, own: bool = False) -> Inputs:
    """The images that the words of a call mean: files, folders, patterns and ``-``.

    Parameters
    ----------
    words
        As the shell gives them. Patterns are expanded here too, because not every shell does.
    recursive
        Whether to go into the folders of a folder.
    own
        Whether a result of recolor is taken too, where it is the only thing named.
    """
    images: dict[str, Input] = {}  # by what they are, so that none is taken twice
    problems: list[tuple[str, str]] = []
    results: list[str] = []
    batch = len(words) > 1
    for word in words:
        if word != STREAM and Path(word).is_dir():
            batch = True
            found = list(_in_folder(Path(word), recursive))
            missing = "no images are in this folder" + (
                "" if recursive else "; --recursive looks into its folders too"
            )
        elif glob.has_magic(word) and not Path(word).exists():
            batch = True
            matches = sorted(glob.glob(word, recursive=True))  # noqa: PTH207 (Path has no absolute ones)
            found = [Input(match) for match in matches if not Path(match).is_dir()]
            missing = "no file matches this pattern; check it, or name a folder"
        else:
            found, missing = [Input(word)], ""
        if not found:
            problems.append((word, missing))
        for image in found:
            if image.path and OWN in image.path.name and (batch or not own):
                results.append(image.name)
            else:
                identity = os.path.realpath(image.name) if image.path else STREAM
                images.setdefault(identity, image)
    return Inputs(tuple(images.values()), tuple(problems), tuple(results), batch)


def _in_folder(folder: Path, recursive: bool) -> Iterator[Input]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if recursive and not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in _ENDINGS:
                yield Input(str(Path(place, name)), Path(place).relative_to(folder))


@dataclass(frozen=True)
class Destination:
    """Where results go: to standard output, into one file, into a folder, or beside the sources.

    Parameters
    ----------
    stream
        To standard output.
    file
        Under this name.
    folder
        Into this folder, laid out as the folder that was given; None is beside the sources.
    """

    stream: bool = False
    file: Path | None = None
    folder: Path | None = None

    @property
    def named(self) -> bool:
        """Whether the call names the result itself."""
        return self.stream or self.file is not None

    def path(self, image: Input, output_name: str) -> Path | None:
        """The file of an image's result; None for standard output.

        Parameters
        ----------
        image
            The image.
        output_name
            The name that it has unless the call gives another.
        """
        if self.stream:
            return None
        if self.file:
            return self.file
        if self.folder:
            return self.folder / image.subfolder / output_name
        return image.path.with_name(output_name) if image.path else None


def find_destination(out: str | None, inputs: Inputs) -> Destination:
    """What ``-o`` means in a call.

    Raises
    ------
    RecolorError
        Where several results would go into one file or stream.
    """
    streamed = any(image.path is None for image in inputs.images)
    if out == STREAM or (out is None and streamed):
        if inputs.batch:
            raise RecolorError(
                "expected one image for standard output, got several; give a folder: -o FOLDER"
            )
        return Destination(stream=True)
    if out is None:
        return Destination()
    path = Path(out)
    if path.is_dir() or out.endswith((os.sep, "/")):
        return Destination(folder=path)
    if inputs.batch:
        if path.suffix.lower() in _ENDINGS or path.exists():
            raise RecolorError(
                f"expected a folder for several images, got -o {out}; if it is to be a folder, "
                f"put a slash behind it: -o {out}/"
            )
        return Destination(folder=path)
    return Destination(file=path) if path.suffix else Destination(folder=path)


def beside(output: Path, tag: str, suffix: str | None = None) -> Path:
    """The name of a further result: ``photo.recolor.png`` gives ``photo.recolor.alt1.png``."""
    return output.with_name(f"{output.stem}.{tag}{suffix or output.suffix}")

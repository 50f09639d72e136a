"""Find the images that a call asks for, and where their results go. Opens no image."""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recolor_core.batch.outcome import STREAM
from recolor_core.batch.tree import FILM_ENDINGS, OWN, find_files, is_image_name
from recolor_core.errors import RecolorError
from recolor_core.wording import counted


@dataclass(frozen=True)
class Input:
    """An image that a call asks for.

    Parameters
    ----------
    name : str
        As it was given, or where it was found.
    subfolder : Path
        Where it lies below the folder that was given.
    """

    name: str
    subfolder: Path = Path()

    @property
    def path(self) -> Path | None:
        """The file; None for standard input."""
        return None if self.name == STREAM else Path(self.name)

    @property
    def folder(self) -> Path | None:
        """The folder that the file lies in; None for standard input."""
        return None if self.name == STREAM else Path(self.name).parent


@dataclass(frozen=True)
class Inputs:
    """All images of a call.

    Parameters
    ----------
    images : tuple of Input
        In the order of the call, those of a folder by name; each once.
    problems : tuple of (str, str)
        Words of the call that name no image, and why.
    results : tuple of str
        Results of earlier calls that were found and left out.
    batch : bool
        Whether the call asks for more than one image, or may on another day.
    left_out : Counter
        Number of other files in the folders, by ending.
    """

    images: tuple[Input, ...]
    problems: tuple[tuple[str, str], ...]
    results: tuple[str, ...]
    batch: bool
    left_out: Counter[str] = field(default_factory=Counter)

    def notes(self) -> Iterator[str]:
        """List in words which files were left out."""
        yield from describe_left_out(self.left_out + Counter({OWN: len(self.results)}))


def describe_left_out(left_out: Counter[str]) -> Iterator[str]:
    """List in words which files of folders were left out.

    Parameters
    ----------
    left_out : Counter
        Number of files by ending; of results of recolor, as `OWN`.
    """
    left_out = left_out.copy()
    if results := left_out.pop(OWN, 0):
        yield f"left out {counted(results, 'result')} of recolor (*{OWN}*)"
    films = {ending: n for ending, n in left_out.items() if ending in FILM_ENDINGS}
    others = {ending: n for ending, n in left_out.items() if ending not in FILM_ENDINGS}
    if others:
        yield f"left out {_counts(others)}: not images that recolor reads"
    if films:
        yield f"left out {_counts(films)}: films, which are colorized with: recolor film IN OUT"


def _counts(numbers: dict[str, int]) -> str:
    return ", ".join(f"{n} {ending or 'without ending'}" for ending, n in sorted(numbers.items()))


def find_inputs(words: Sequence[str], *, recursive: bool = False, own: bool = False) -> Inputs:
    """Find the images that the words of a call name: files, folders, patterns and ``-``.

    Parameters
    ----------
    words : sequence of str
        As the shell gives them. Patterns are expanded here too, because not every shell does.
    recursive : bool
        Whether to search the folders of a folder.
    own : bool
        Whether a result of recolor is taken too, if it is the only thing named.
    """
    images: dict[str, Input] = {}  # by what they are, so that none is taken twice
    problems: list[tuple[str, str]] = []
    results: list[str] = []
    left_out: Counter[str] = Counter()
    batch = len(words) > 1
    for word in words:
        if word != STREAM and Path(word).is_dir():
            batch = True
            found = []
            for path in find_files(Path(word), recursive=recursive):
                if is_image_name(path.name):
                    found.append(Input(str(path), path.parent.relative_to(word)))
                elif OWN not in path.name:  # the sidecar of a result, say
                    left_out[path.suffix.lower()] += 1
            missing = "no images are in this folder" + (
                "" if recursive else "; --recursive also searches its folders"
            )
        elif glob.has_magic(word) and not Path(word).exists():
            batch = True
            matches = sorted(glob.glob(word, recursive=True))  # noqa: PTH207 (Path has no absolute ones)
            found = [Input(match) for match in matches if Path(match).is_file()]
            missing = "no file matches this pattern; check it, or name a folder"
        else:
            found, missing = [Input(word)], ""
        if not found:
            problems.append((word, missing))
        for image in found:
            if image.path and OWN in image.path.name and (batch or not own):
                results.append(image.name)
            elif image.path and image.path.suffix.lower() in FILM_ENDINGS:
                problems.append(
                    (image.name, "this is a film; colorize it with: recolor film IN OUT")
                )
            else:
                identity = os.path.realpath(image.name) if image.path else STREAM
                images.setdefault(identity, image)
    return Inputs(tuple(images.values()), tuple(problems), tuple(results), batch, left_out)


@dataclass(frozen=True)
class Destination:
    """Where results go: to standard output, into one file, into a folder, or beside the sources.

    Parameters
    ----------
    stream : bool
        To standard output.
    file : Path or None
        Under this name.
    folder : Path or None
        Into this folder, laid out as the folder that was given; None is beside the sources.
    """

    stream: bool = False
    file: Path | None = None
    folder: Path | None = None

    def path(self, image: Input, output_name: str) -> Path | None:
        """The file of an image's result; None for standard output.

        Parameters
        ----------
        image : Input
            The image.
        output_name : str
            The name of the result unless the call gives another.
        """
        if self.stream:
            return None
        if self.file:
            return self.file
        if self.folder:
            return self.folder / image.subfolder / output_name
        return image.path.with_name(output_name) if image.path else None


def find_destination(out: str | None, inputs: Inputs) -> Destination:
    """Decide what ``-o`` means in a call.

    Parameters
    ----------
    out : str or None
        As it was given.
    inputs : Inputs
        The images of the call.

    Raises
    ------
    RecolorError
        If several results would go into one file or stream.
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
        if is_image_name(path.name) or path.exists():
            raise RecolorError(
                f"expected a folder for several images, got -o {out}; if it is to be a folder, "
                f"put a slash behind it: -o {out}/"
            )
        return Destination(folder=path)
    return Destination(file=path) if path.suffix else Destination(folder=path)

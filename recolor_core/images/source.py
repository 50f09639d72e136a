"""The source of an image: a file, or the bytes of a stream."""

import os
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from recolor_core.errors import ImageError
from recolor_core.files import sha256_of

HEAD = 256


@dataclass(frozen=True)
class Source:
    """A file, or the bytes of a stream, with a name for messages.

    Parameters
    ----------
    name
        For messages: the file's path, or "<stdin>".
    path
        The file, if it is a regular one.
    buffer
        The content of a stream.
    """

    name: str
    path: Path | None = None
    buffer: bytes | None = None

    def error(self, came: str, remedy: str) -> ImageError:
        """The error that says what is wrong with this source, and the remedy."""
        return ImageError(f"{self.name}: {came}; {remedy}")

    @cached_property
    def head(self) -> bytes:
        """The first bytes, which identify the format."""
        with self.open() as file:
            return file.read(HEAD)

    def open(self) -> BinaryIO:
        """The content as a seekable binary stream."""
        if self.path is None:
            return BytesIO(self.buffer or b"")
        return self.path.open("rb")

    @property
    def size(self) -> int:
        """Length of the content in bytes."""
        return len(self.buffer or b"") if self.path is None else self.path.stat().st_size

    def read(self) -> bytes:
        """The whole content."""
        with self.open() as file:
            return file.read()

    def sha256(self) -> str:
        """SHA-256 of the whole content, hexadecimal."""
        with self.open() as file:
            return sha256_of(file)


def open_source(source: "str | os.PathLike[str] | BinaryIO") -> Source:
    """The source of a path or stream.

    Raises
    ------
    ImageError
        If there is no such file, it may not be read, or it is empty.
    """
    if isinstance(source, (str, os.PathLike)):
        return _open_path(Path(source))
    name = getattr(source, "name", None)
    label = name if isinstance(name, str) else "<stream>"
    return _checked(Source(label, buffer=source.read()))


def _open_path(path: Path) -> Source:
    source = Source(str(path), path)
    try:
        if path.is_dir():
            raise source.error("this is a folder, not an image", "name the files in it")
        if not path.is_file() and path.exists():  # a pipe: it can be read only once
            with path.open("rb") as pipe:
                return _checked(Source(str(path), buffer=pipe.read()))
        return _checked(source)
    except FileNotFoundError:
        raise source.error("there is no such file", "check the path") from None
    except PermissionError:
        raise source.error("no permission to read this file", "change its permissions") from None
    except OSError as error:
        raise source.error(f"cannot be read ({error.strerror})", "check the path") from error


def _checked(source: Source) -> Source:
    if not source.head:
        raise source.error("the file is empty", "give an image file")
    return source

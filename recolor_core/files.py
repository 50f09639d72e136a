"""Files that appear whole or not at all, each written by one call at a time; and their hashes.

Everything that Recolor writes goes through `AtomicFile`, `write_file` or `replacing`.
"""

import errno
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from recolor_core.errors import ImageError, OutputBusyError, OutputExistsError

if sys.platform != "win32":
    import fcntl

_NO_SPACE = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}

_BLOCK = 2**20
"""Bytes that are read at a time."""

_ABANDONED_SECONDS = 24 * 3600
"""Age after which a part file counts as abandoned on a file system without locks."""


class AtomicFile:
    """A file that is written beside its place and moved there when it is complete.

    While it is being written it is named ``.recolor-<digest>.part``, where the digest is that of
    the target's name, and is locked: on Windows by being open, elsewhere by `flock`. So only one of
    several calls, on several machines too, writes a target at a time, and a file that a killed call
    left behind is distinguished from one that a living call is writing.

    As a context manager it commits the file at the end, and discards it after an exception.

    Parameters
    ----------
    target : Path
        Where the file will appear. A symbolic link is followed.
    overwrite : bool
        Whether it may replace a file that is there.

    Attributes
    ----------
    file : BinaryIO
        What to write into: binary, readable and seekable.
    part : Path
        The path of this file until it is complete, for libraries that need a path to write to.

    Raises
    ------
    OutputExistsError
        If there is a file already that may not be replaced.
    OutputBusyError
        If another call is writing the same target.
    ImageError
        If nothing can be written there.
    """

    def __init__(self, target: Path, *, overwrite: bool = False) -> None:
        self.name = str(target)
        self._target = Path(os.path.realpath(target))
        self._overwrite = overwrite
        self._finished = self._closed = False
        folder = self._target.parent
        with explained(self.name):
            if not folder.is_dir():
                raise ImageError(f"{target}: the folder {folder} is not there; create it first")
            if self._target.is_dir():
                raise ImageError(f"{target}: this is a folder; name a file in it")
            if not overwrite and self._target.exists():
                raise _exists(self.name)
            self.part = part_of(self._target)
            self.file: BinaryIO = _open_locked(self.part, self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.commit()
        else:
            self.discard()

    def finish(self) -> None:
        """Bring everything that was written to the disk; `commit` then only moves the file."""
        if not self._finished:
            with explained(self.name):
                self.file.flush()
                os.fsync(self.file.fileno())
            self._finished = True

    def copy_times(self, times: tuple[int, int]) -> None:
        """Give the file the times of access and modification of another, in nanoseconds."""
        self.finish()
        with explained(self.name):
            os.utime(self.part, ns=times)

    def commit(self) -> None:
        """Put the file into its place."""
        try:
            self.finish()
            with explained(self.name):
                if sys.platform == "win32":  # cannot move an open file
                    self.file.close()
                self._place()  # elsewhere still locked, so that nobody takes it for abandoned
        finally:
            self.discard()
        if sys.platform != "win32":
            with suppress(OSError):  # some file systems cannot do this
                folder = os.open(self._target.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)

    def discard(self) -> None:
        """Remove what was written. Does nothing after `commit`."""
        if self._closed:
            return
        self._closed = True
        if sys.platform == "win32":
            with suppress(OSError):
                self.file.close()
        # Before the lock goes: afterwards a part of this name may be another call's.
        with suppress(OSError):
            self.part.unlink(missing_ok=True)
        with suppress(OSError):  # flushing the rest fails again on a full disk
            self.file.close()

    def _place(self) -> None:
        if self._overwrite:
            self.part.replace(self._target)
            return
        try:
            os.link(self.part, self._target)  # unlike a rename, never replaces
        except FileExistsError:
            raise _exists(self.name) from None
        except OSError:  # a file system without hard links
            if self._target.exists():
                raise _exists(self.name) from None
            self.part.rename(self._target)


def write_file(target: Path, content: bytes | str) -> None:
    """Write a file atomically. It replaces a file that is there.

    Parameters
    ----------
    target : Path
        Where the file will appear.
    content : bytes or str
        Text is encoded as UTF-8.

    Raises
    ------
    ImageError
        If it cannot be written.
    """
    with AtomicFile(target, overwrite=True) as output, explained(output.name):
        output.file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Write a file atomically with a library that needs a path.

    Parameters
    ----------
    target : Path
        Where the file will appear. It replaces a file that is there.

    Yields
    ------
    Path
        An empty file to write to. It takes its place when the block ends, and is removed after an
        exception, which passes through.

    Raises
    ------
    ImageError
        If nothing can be written there.
    """
    with AtomicFile(target, overwrite=True) as output:
        yield output.part


def sha256_of(*files: Path | BinaryIO) -> str:
    """SHA-256 of the content of files, one after the other, read in blocks.

    Parameters
    ----------
    *files : Path or BinaryIO
        A stream is read from its position to its end.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") if isinstance(file, Path) else nullcontext(file) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


class StreamFile:
    """The same for a stream: what is written reaches it when it is complete."""

    def __init__(self, stream: BinaryIO) -> None:
        self.name = "<stdout>"
        # It has a name, unlike a TemporaryFile: tifffile asks for it.
        temporary = tempfile.NamedTemporaryFile()  # noqa: SIM115 (closed in discard)
        self.file = cast(BinaryIO, temporary)
        self._stream = stream

    def finish(self) -> None:
        """Flush what was written."""
        with explained(self.name):
            self.file.flush()

    def commit(self) -> None:
        """Send everything."""
        try:
            with explained(self.name):
                self.file.seek(0)
                shutil.copyfileobj(self.file, self._stream)
                self._stream.flush()
        finally:
            self.discard()

    def discard(self) -> None:
        """Forget what was written."""
        with suppress(OSError):
            self.file.close()


def part_of(target: Path) -> Path:
    """The name that a file has while it is being written.

    Parameters
    ----------
    target : Path
        Where the file will appear.
    """
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()
    return target.with_name(f".recolor-{digest[:16]}.part")


def remove_abandoned(folder: Path) -> int:
    """Remove the part files of calls that were killed; those of living calls stay.

    Parameters
    ----------
    folder : Path
        Where to look; its folders are left alone.

    Returns
    -------
    int
        How many files were removed.
    """
    removed = 0
    with suppress(OSError):  # it is not there, or may not be listed
        with os.scandir(folder) as entries:
            parts = [
                Path(entry.path)
                for entry in entries
                if entry.name.startswith(".recolor-")
                and entry.name.endswith(".part")
                and entry.is_file(follow_symlinks=False)
            ]
        for part in parts:
            with suppress(OSError):
                removed += _remove_if_abandoned(part)
    return removed


def _open_locked(part: Path, name: str) -> BinaryIO:
    """A part file of our own, empty and locked."""
    while True:
        try:
            file = part.open("x+b")  # "x": never a file of somebody else
        except FileExistsError:
            if not _remove_if_abandoned(part):
                raise OutputBusyError(
                    f"{name} is being written by another call; wait for it, or name another output"
                ) from None
            continue
        # Between its making and its locking another call may have taken it for abandoned.
        if _locked(file) is not False and _is_named(file, part):
            return file
        file.close()


def _remove_if_abandoned(part: Path) -> bool:
    """Remove a part file unless a living call holds it; whether it is gone."""
    if sys.platform == "win32":
        # Windows refuses to remove an open file, so a file is held as long as it is open.
        try:
            part.unlink(missing_ok=True)
        except PermissionError:
            return False
        return True
    try:
        with part.open("r+b") as file:
            locked = _locked(file)
            if locked is None:  # no locks here
                age = time.time() - os.fstat(file.fileno()).st_mtime
                locked = age > _ABANDONED_SECONDS
            if locked and _is_named(file, part):
                part.unlink()
    except FileNotFoundError:  # placed or removed meanwhile
        return True
    return bool(locked)


def _locked(file: BinaryIO) -> bool | None:
    """Lock a file without waiting: False if another call has it, None if there are no locks."""
    if sys.platform == "win32":
        return None
    else:  # noqa: RET505 - mypy for Windows skips only a block of its own
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # network file systems without a lock service
            return None
        return True


def _is_named(file: BinaryIO, path: Path) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _exists(name: str) -> OutputExistsError:
    return OutputExistsError(
        f"{name} is there already; pass overwrite=True to replace it, or name another output"
    )


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn what the operating system refuses into an `ImageError` with its remedy."""
    try:
        yield
    except OutputExistsError:
        raise
    except OSError as error:
        if error.errno in _NO_SPACE:
            remedy = "make room, or choose another folder"
        elif error.errno in _FORBIDDEN:
            remedy = "choose a folder that you may write to"
            if sys.platform == "win32":  # which does not replace an open file
                remedy = f"close the program that has it open, or {remedy}"
        elif error.errno == errno.ENAMETOOLONG:
            remedy = "name the output yourself, shorter"
        else:
            remedy = "check the folder, or choose another"
        reason = error.strerror or str(error)
        raise ImageError(f"{name}: cannot be written ({reason}); {remedy}") from error

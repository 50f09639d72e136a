"""Files that appear whole or not at all."""

import errno
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from recolor_core.errors import ImageError, OutputExistsError

_NO_SPACE = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


class AtomicFile:
    """A file that is written beside its place and moved there when it is complete.

    Parameters
    ----------
    target
        Where it will appear. A symbolic link is followed.
    overwrite
        Whether it may replace a file that is there.

    Attributes
    ----------
    file
        What to write into: binary, readable and seekable.

    Raises
    ------
    OutputExistsError
        Where there is a file already that may not be replaced.
    ImageError
        Where nothing can be written there.
    """

    def __init__(self, target: Path, *, overwrite: bool = False) -> None:
        self.name = str(target)
        self._target = Path(os.path.realpath(target))
        self._overwrite = overwrite
        folder = self._target.parent
        if not folder.is_dir():
            raise ImageError(f"{target}: the folder {folder} is not there; create it first")
        if self._target.is_dir():
            raise ImageError(f"{target}: this is a folder; name a file in it")
        if not overwrite and self._target.exists():
            raise _exists(self.name)
        self._temporary = folder / f".recolor-{secrets.token_hex(6)}.part"
        with explained(self.name):
            # "x": never a file of somebody else. The permissions are the usual ones.
            self.file: BinaryIO = self._temporary.open("x+b")

    def commit(self) -> None:
        """Put the file into its place."""
        try:
            with explained(self.name):
                self.file.flush()
                os.fsync(self.file.fileno())
                self.file.close()
                self._place()
        finally:
            self.discard()
        if sys.platform != "win32":
            with suppress(OSError):  # not every file system can
                folder = os.open(self._target.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)

    def discard(self) -> None:
        """Remove what was written; nothing, after `commit`."""
        with suppress(OSError):  # flushing the rest fails again on a full disk
            self.file.close()
        self._temporary.unlink(missing_ok=True)

    def _place(self) -> None:
        if self._overwrite:
            self._temporary.replace(self._target)
            return
        try:
            os.link(self._temporary, self._target)  # unlike a rename, never replaces
        except FileExistsError:
            raise _exists(self.name) from None
        except OSError:  # a file system without hard links
            if self._target.exists():
                raise _exists(self.name) from None
            self._temporary.rename(self._target)


class StreamFile:
    """The same for a stream: what is written reaches it when it is complete."""

    def __init__(self, stream: BinaryIO) -> None:
        self.name = "<stdout>"
        # It has a name, unlike a TemporaryFile: tifffile asks for it.
        temporary = tempfile.NamedTemporaryFile()  # noqa: SIM115 (closed in discard)
        self.file = cast(BinaryIO, temporary)
        self._stream = stream

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


def _exists(name: str) -> OutputExistsError:
    return OutputExistsError(f"{name} is there already; overwrite it on purpose, or name another")


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
        else:
            remedy = "check the folder, or choose another"
        reason = error.strerror or str(error)
        raise ImageError(f"{name}: cannot be written ({reason}); {remedy}") from error

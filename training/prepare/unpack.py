"""Unpack an archive completely or not at all, and never outside its folder."""

import shutil
import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from training.prepare.errors import PrepareError


def unpack(archive: Path) -> Path:
    """Unpack a zip or tar file (also compressed) into a folder of the same name next to it.

    Returns
    -------
    Path
        The folder. An existing folder is returned unchanged.

    Raises
    ------
    PrepareError
        If the archive is damaged or not an archive, would write outside its folder, contains links
        or devices, or does not fit on the disk.
    """
    name = archive.name.removesuffix(archive.suffix).removesuffix(".tar")
    folder = archive.with_name(name)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise PrepareError(
            f"{archive.name} cannot be unpacked to {folder}: a file has that name; move it."
        )
    part = archive.with_name(f"{name}.unpack.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, part)
        elif tarfile.is_tarfile(archive):
            _unpack_tar(archive, part)
        else:
            raise PrepareError(f"{archive} is neither a zip nor a tar archive.")
        part.rename(folder)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, RuntimeError) as error:
        raise PrepareError(
            f"{archive} cannot be unpacked ({error}): remove it and fetch it again."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _unpack_zip(archive: Path, into: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        for entry in file.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            _check(archive, entry.filename, kind in (0, stat.S_IFREG, stat.S_IFDIR))
        _must_fit(sum(entry.file_size for entry in file.infolist()), archive, into)
        file.extractall(into)  # checks each file's CRC


def _unpack_tar(archive: Path, into: Path) -> None:
    with tarfile.open(archive) as file:
        for member in file:
            _check(archive, member.name, member.isreg() or member.isdir())
        _must_fit(sum(member.size for member in file), archive, into)
        # It sets the permissions, too. Python has it from 3.11.4 on, and Debian 12 has 3.11.2.
        file.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        file.extractall(into)


def _check(archive: Path, name: str, plain: bool) -> None:
    """Refuse an entry that leads outside the folder, or is neither a file nor a folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]):
        raise PrepareError(
            f"{archive} would write outside its folder ({name}): its source may not be trustworthy."
        )
    if not plain:
        raise PrepareError(f"{archive} contains a link or device ({name}), expected only files.")


def _must_fit(size: int, archive: Path, into: Path) -> None:
    free = shutil.disk_usage(into).free
    if size > free:
        raise PrepareError(
            f"{archive.name} unpacks to {size / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are "
            "free: free space (`clean` and `pack` can also read archives directly)."
        )

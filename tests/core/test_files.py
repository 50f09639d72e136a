"""Files that appear whole or not at all, and hashes."""

import errno
import hashlib
import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from recolor_core import ImageError, OutputExistsError
from recolor_core.errors import OutputBusyError
from recolor_core.files import (
    AtomicFile,
    explained,
    part_of,
    remove_abandoned,
    replacing,
    sha256_of,
    write_file,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_there_when_it_is_complete(tmp_path):
    path = tmp_path / "a.bin"
    with AtomicFile(path) as output:
        output.file.write(b"half")
        assert not path.exists()
        output.file.write(b" whole")
    assert path.read_bytes() == b"half whole"
    assert names(tmp_path) == ["a.bin"]


def test_after_an_error_the_old_file_is_there_and_nothing_else(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(part):
        part.write_bytes(b"new")
        raise KeyError

    with pytest.raises(KeyError), AtomicFile(path, overwrite=True) as output:
        fail(output.part)
    with pytest.raises(KeyError), replacing(path) as part:
        fail(part)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"\0\xff", b"\0\xff"), ("gray \u2192 color\n", "gray \u2192 color\n".encode())],
)
def test_bytes_and_text_are_written_as_they_are(tmp_path, content, expected):
    path = tmp_path / "a"
    write_file(path, "an older one, and longer")
    write_file(path, content)
    assert path.read_bytes() == expected


def test_a_library_can_write_to_the_path(tmp_path):
    path = tmp_path / "a.safetensors"
    for value in (3, 4):
        with replacing(path) as part:
            assert part == part_of(path)
            save_file({"x": np.full((2, 3), value)}, part)
        np.testing.assert_array_equal(load_file(path)["x"], np.full((2, 3), value))
    assert names(tmp_path) == ["a.safetensors"]


def test_a_file_that_is_there_is_not_replaced_unless_asked(tmp_path):
    path = tmp_path / "a"
    write_file(path, "first")
    with pytest.raises(OutputExistsError):
        AtomicFile(path)
    assert path.read_text() == "first"


def test_what_the_system_refuses_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(ImageError, match="create it first"):
        write_file(tmp_path / "none" / "a", "text")
    output = AtomicFile(tmp_path / "a")
    refused = pytest.raises(ImageError, match=r"a: cannot be written \(No space left.*make room")
    with refused, output, explained(output.name):
        raise OSError(28, "No space left on device")
    with pytest.raises(FileNotFoundError, match="source"), replacing(tmp_path / "a"):
        (tmp_path / "source").read_bytes()  # not the fault of what is written
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EACCES, "choose a folder that you may write to"),
        (errno.EROFS, "choose a folder that you may write to"),
        (errno.ENAMETOOLONG, "shorter"),
        (errno.EIO, "check the folder"),
    ],
)
def test_each_refusal_of_the_system_has_its_own_remedy(number, remedy):
    told = rf"^out\.png: cannot be written \(.+\); .*{remedy}"
    with pytest.raises(ImageError, match=told), explained("out.png"):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("size", [0, 1, 2**20, 2**20 + 1, 5 * 2**20 - 3])
def test_hashes_are_those_of_hashlib_whatever_the_size(tmp_path, size):
    content = np.random.default_rng(size).bytes(size)
    path = tmp_path / "a"
    path.write_bytes(content)
    assert sha256_of(path) == sha256_of(BytesIO(content)) == hashlib.sha256(content).hexdigest()


def test_the_hash_of_several_files_is_that_of_their_content_in_a_row(tmp_path):
    for name, content in (("a", b"one"), ("b", b""), ("c", b"two")):
        (tmp_path / name).write_bytes(content)
    files = [tmp_path / name for name in "abc"]
    assert sha256_of(*files) == hashlib.sha256(b"onetwo").hexdigest()
    assert sha256_of(*files[::-1]) != sha256_of(*files)


@pytest.fixture
def windows(monkeypatch):
    """The rule of Windows: an open file is neither removed, nor moved, nor replaced.

    Whether it is open is asked of the system, so files that libraries opened count too.
    """

    def is_open(path):
        try:
            wanted = Path(path).stat()
        except FileNotFoundError:
            return False
        for entry in Path("/dev/fd").iterdir():
            with suppress(OSError):  # the one that the listing itself used
                if os.path.samestat(os.fstat(int(entry.name)), wanted):
                    return True
        return False

    def refusing(name):
        function = getattr(os, name)

        def refuse(*paths, **options):
            if any(map(is_open, paths)):
                raise PermissionError(errno.EACCES, "used by another process", str(paths[0]))
            return function(*paths, **options)

        monkeypatch.setattr(os, name, refuse)

    for name in ("unlink", "remove", "rename", "replace"):
        refusing(name)
    monkeypatch.setattr("recolor_core.files.sys", SimpleNamespace(platform="win32"))


by_open_files = pytest.mark.skipif(
    not Path("/dev/fd").is_dir(), reason="the system does not tell which files are open"
)


@by_open_files
def test_windows_open_files_are_the_lock(tmp_path, windows):
    path = tmp_path / "a"
    part_of(path).write_bytes(b"of a call that was killed a moment ago")
    with AtomicFile(path, overwrite=True) as output:
        output.file.write(b"first")
        with pytest.raises(OutputBusyError):
            AtomicFile(path, overwrite=True)
        assert remove_abandoned(tmp_path) == 0
        assert output.part.exists()
    assert path.read_bytes() == b"first"
    part_of(path).write_bytes(b"of another one")
    assert remove_abandoned(tmp_path) == 1
    assert names(tmp_path) == ["a"]


@by_open_files
@pytest.mark.parametrize("overwrite", [False, True])
def test_windows_a_file_is_closed_before_it_is_moved_or_removed(tmp_path, windows, overwrite):
    with AtomicFile(tmp_path / "a", overwrite=overwrite) as output:
        output.file.write(b"whole")
        output.copy_times((10**18, 10**18))
    assert (tmp_path / "a").read_bytes() == b"whole"
    with pytest.raises(KeyError), AtomicFile(tmp_path / "b", overwrite=overwrite):
        raise KeyError
    assert names(tmp_path) == ["a"]


@by_open_files
def test_windows_a_result_that_a_viewer_has_open_is_kept_and_the_reason_told(tmp_path, windows):
    path = tmp_path / "a"
    write_file(path, "old")
    told = pytest.raises(ImageError, match="close the program that has it open, or choose a folder")
    with path.open("rb"), told:
        write_file(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]

"""The command against real files that are broken, odd or out of reach."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from .badfiles import BAD_FILES
from .cli_runner import FAST, Call, files, gray_of, photo, pixels, recolor

posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX systems")


def png(path: Path, codes: np.ndarray | None = None) -> Path:
    Image.fromarray(photo() if codes is None else codes).save(path)
    return path


def refused(call: Call, source: Path, *parts: str) -> None:
    """One line that names the file and a remedy, exit code 2."""
    assert call.code == 2
    [line] = call.err.splitlines()
    assert line.startswith(f"recolor: {source}: ")
    for part in parts:
        assert part in line
    assert call.out == b""


# --- files that are no images, or none that can be used --------------------------------------


def test_of_a_box_of_bad_files_the_good_ones_are_done(tmp_path: Path) -> None:
    box, out = tmp_path / "box", tmp_path / "out"
    box.mkdir()
    # Numbered, because the results of truncated.png and truncated.jpg would have one name.
    bad = {f"{i:02}-{name}": (make, message) for i, (name, make, message) in enumerate(BAD_FILES)}
    for name, (make, _) in bad.items():
        (box / name).write_bytes(make())
    png(box / "0-first.png")
    png(box / "zz-last.png")
    before = {name: (box / name).read_bytes() for name in files(box)}

    call = recolor(box, "-o", out, "--json", *FAST)

    assert call.code == 2
    outcomes = {Path(o["input"]).name: o for o in map(json.loads, call.out.splitlines())}
    assert set(outcomes) == set(before)
    for name, (_, message) in bad.items():
        assert outcomes[name]["status"] == "failed"
        assert message in outcomes[name]["message"]
        assert "; " in outcomes[name]["message"]  # what came; what to do
    assert len(call.errors) == len(bad)
    assert "Traceback" not in call.err
    assert "bug" not in call.err
    assert {outcomes[name]["status"] for name in ("0-first.png", "zz-last.png")} == {"done"}
    assert files(out) == ["0-first.recolor.png", "zz-last.recolor.png"]
    assert {name: (box / name).read_bytes() for name in files(box)} == before


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [entry for entry in BAD_FILES if entry[0].startswith(("empty", "truncated", "bomb", "anim"))],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_alone_too(tmp_path: Path, name: str, make: object, message: str) -> None:
    source = tmp_path / name
    source.write_bytes(make())  # type: ignore[operator]
    refused(recolor(source, *FAST), source, message)
    assert files(tmp_path) == [name]
    call = recolor("-", *FAST, stdin=source.read_bytes())
    assert (call.code, call.out, len(call.errors)) == (2, b"", 1)


def test_a_page_that_is_bad_takes_the_whole_file_along(tmp_path: Path) -> None:
    source = tmp_path / "pages.tif"
    with tifffile.TiffWriter(source) as writer:
        writer.write(photo())
        writer.write(photo(), compression="zlib")
    source.write_bytes(source.read_bytes()[:-10])
    refused(recolor(source, *FAST), source, "page 2", "truncated")
    assert files(tmp_path) == ["pages.tif"]


def test_nan_and_infinity(tmp_path: Path) -> None:
    source = tmp_path / "float.tif"
    values = photo(dtype=np.float32)
    values[3, 4], values[5, 6] = np.nan, np.inf
    tifffile.imwrite(source, values)
    refused(recolor(source, *FAST), source, "NaN or infinity in 2 of 2240 values", "levels")
    assert files(tmp_path) == ["float.tif"]
    assert recolor(source, "--levels", "0,1", *FAST).code == 0
    gray = gray_of(pixels(tmp_path / "float.recolor.tif"))
    assert gray[3, 4] == 0
    assert gray[5, 6] == 1
    np.testing.assert_allclose(gray[10:], values[10:], atol=1e-6)


def test_more_pixels_than_allowed(tmp_path: Path) -> None:
    source = png(tmp_path / "photo.png")
    refused(recolor(source, "--max-pixels", "2000", *FAST), source, "2,240 pixels, at most 2,000")
    assert recolor(source, "--max-pixels", "2240", *FAST).code == 0


def test_folders_and_files_that_are_not_there(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    good = png(tmp_path / "photo.png")
    for bad, message in (
        (tmp_path / "nothing.png", "no such file"),
        (empty, "no images are in this folder"),
        (tmp_path / "*.tif", "no file matches this pattern"),
        (tmp_path / "nowhere" / "photo.png", "no such file"),
    ):
        call = recolor(bad, good, "--overwrite", "-q", *FAST)
        refused(call, bad, message)
        assert (tmp_path / "photo.recolor.png").exists()
        (tmp_path / "photo.recolor.png").unlink()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--weights", "nope"), "expected weights by name"),
        (("--weights", "nope.safetensors"), "found none"),
        (("--weights", "{photo}"), "expected weights by name"),
        (("--weights", "{garbage}"), "damaged or foreign"),
        (("--device", "tpu"), "expected --device as one of auto, cpu"),
        (("--device", "cuda:99"), "cuda"),
        (("--hints", "nope.json"), "cannot be read (No such file or directory)"),
        (("--hints", "{garbage}"), "is not a file of color hints"),
    ],
)
def test_what_the_whole_call_needs(tmp_path: Path, words: tuple[str, str], message: str) -> None:
    source = png(tmp_path / "photo.png")
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(b"\x08\0\0\0\0\0\0\0garbage!")
    if message == "expected weights by name":
        words = (words[0], "nope")
    call = recolor(source, words[0], words[1].format(garbage=garbage), *FAST)
    assert call.code == 2
    [line] = call.err.splitlines()
    assert line.startswith("recolor: ")
    assert message in line
    assert files(tmp_path) == ["garbage.safetensors", "photo.png"]


def test_hints_outside_the_image(tmp_path: Path) -> None:
    source = png(tmp_path / "photo.png")
    hints = tmp_path / "hints.json"
    hints.write_text('{"hints": [{"x": 500, "y": 2, "color": "#ff0000", "radius": 3}]}')
    refused(recolor(source, "--hints", hints, *FAST), source, "within 56 x 40 pixels")
    assert files(tmp_path) == ["hints.json", "photo.png"]


# --- odd files whose result is documented ------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiny_images(tmp_path: Path, shape: tuple[int, int], dtype: type) -> None:
    source = tmp_path / "tiny.tif"
    codes = photo(*shape, dtype)
    tifffile.imwrite(source, codes, photometric="minisblack")
    assert recolor(source, *FAST).code == 0
    result = pixels(tmp_path / "tiny.recolor.tif").reshape(*shape, 3)
    np.testing.assert_array_equal(gray_of(result), codes)


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    source = tmp_path / "print.tif"
    ink = Image.fromarray(photo()).convert("RGB").convert("CMYK")
    ink.save(source)
    assert recolor(source, *FAST).code == 0
    result = pixels(tmp_path / "print.recolor.tif")
    np.testing.assert_allclose(gray_of(result).astype(int), photo(), atol=1)


def test_palettes_count_by_their_colors(tmp_path: Path) -> None:
    source = tmp_path / "palette.png"
    Image.fromarray(photo()).convert("P").save(source)
    with Image.open(source) as image:
        assert image.mode == "P"
        expected = gray_of(np.asarray(image.convert("RGB")))
    assert recolor(source, *FAST).code == 0
    np.testing.assert_array_equal(gray_of(pixels(tmp_path / "palette.recolor.png")), expected)


def test_alpha_is_carried_on(tmp_path: Path) -> None:
    alpha = np.linspace(0, 255, 40 * 56).astype(np.uint8).reshape(40, 56)
    for name, mode in (("la.png", "LA"), ("rgba.png", "RGBA")):
        channels = [photo()] * (1 if mode == "LA" else 3) + [alpha]
        Image.merge(mode, [Image.fromarray(c) for c in channels]).save(tmp_path / name)
        assert recolor(tmp_path / name, *FAST).code == 0
        result = pixels(tmp_path / name.replace(".", ".recolor."))
        np.testing.assert_array_equal(result[..., 3], alpha)
        np.testing.assert_array_equal(gray_of(result[..., :3]), photo())


def test_one_bit(tmp_path: Path) -> None:
    bits = photo() > 100
    for name in ("bits.png", "bits.tif"):
        Image.fromarray(bits).save(tmp_path / name)
        assert recolor(tmp_path / name, *FAST).code == 0
        result = pixels(tmp_path / name.replace(".", ".recolor."))
        np.testing.assert_array_equal(gray_of(result), bits * np.uint8(255))


@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"compression": "zlib"}])
def test_big_endian_tiff(tmp_path: Path, options: dict[str, object]) -> None:
    source = tmp_path / "mac.tif"
    tifffile.imwrite(source, photo(dtype=np.uint16), byteorder=">", **options)
    assert recolor(source, *FAST).code == 0
    with tifffile.TiffFile(tmp_path / "mac.recolor.tif") as result:
        assert result.byteorder == ">"
        np.testing.assert_array_equal(gray_of(result.asarray()), photo(dtype=np.uint16))


# --- places that cannot be read or written -----------------------------------------------------


@contextmanager
def common_user() -> Iterator[None]:
    """Without root's rights, if these are root's tests: root may read and write everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user can reach, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)
        Path(name).chmod(0o777)


@posix
def test_no_permission_to_read(shared: Path) -> None:
    secret, good = png(shared / "secret.png"), png(shared / "photo.png")
    secret.chmod(0)
    with common_user():
        call = recolor(secret, good, "--quiet", *FAST)
    refused(call, secret, "no permission")
    assert files(shared) == ["photo.png", "photo.recolor.png", "secret.png"]


@posix
def test_no_permission_to_write(shared: Path) -> None:
    source = png(shared / "photo.png")
    shared.chmod(0o555)
    with common_user():
        refused(recolor(source, *FAST), source, "Permission denied", "you may write to")
        refused(recolor(source, "-o", shared / "sub/", *FAST), source, "cannot be made")
    assert files(shared) == ["photo.png"]


@posix
@pytest.mark.parametrize("ending", ["tif", "png", "webp", "bmp", "jp2", "jpg"])
def test_a_full_disk(tmp_path: Path, ending: str) -> None:
    import resource
    import signal

    good = png(tmp_path / "small.png", photo(16, 16))
    noise = np.random.default_rng(1).integers(0, 256, (300, 300), np.uint8)
    source = png(tmp_path / "large.png", noise)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # what the file system has left
    try:
        call = recolor(source, "-o", tmp_path / f"large.recolor.{ending}", "-q", *FAST)
        other = recolor(source, good, "-q", *FAST)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    [line] = [line for line in call.errors if "keep the gray" not in line]
    assert call.code == 2
    assert "make room" in line
    refused(other, source, "make room")
    assert files(tmp_path) == ["large.png", "small.png", "small.recolor.png"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="of Linux")
def test_a_full_standard_output(tmp_path: Path) -> None:
    source = png(tmp_path / "photo.png")
    for words in ([source, "-o", "-"], [source, "--json"], ["weights"]):
        with Path("/dev/full").open("wb") as full:
            call = recolor(*words, stdout=full)
        assert call.code == 2
        [line] = call.errors
        assert "No space left on device" in line


def test_names_that_no_format_has(tmp_path: Path) -> None:
    source = png(tmp_path / "photo.png")
    refused(recolor(source, "-o", tmp_path / "color.gif", *FAST), source, ".tif")
    refused(recolor(source, "-o", tmp_path / "color.xyz", *FAST), source, ".tif")
    deep = tmp_path / "deep.tif"
    tifffile.imwrite(deep, photo(dtype=np.uint16))
    refused(recolor(deep, "-o", tmp_path / "color.webp", *FAST), deep, "16")
    assert files(tmp_path) == ["deep.tif", "photo.png"]


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    source = png(tmp_path / "photo.png")
    (tmp_path / "note").write_text("a file")
    refused(recolor(source, "-o", f"{tmp_path / 'note'}/", *FAST), source, "cannot be made")
    assert (tmp_path / "note").read_text() == "a file"

import os
import tempfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from recolor_core.errors import ImageError
from recolor_core.images import open_image

from .badfiles import (
    BAD_FILES,
    GRAY,
    GRAY_8,
    RGB_8,
    animated,
    circular_tiff,
    encoded,
    jpeg_2000,
    jpeg_bomb,
    png_header,
    tiff,
)


def pages(source: Path | BytesIO) -> list[np.ndarray]:
    with open_image(source) as image:
        return [page.codes for page in image]


@pytest.mark.parametrize(
    ("name", "make", "message"), BAD_FILES, ids=[name for name, _, _ in BAD_FILES]
)
def test_a_bad_file_is_one_line_that_names_it_and_the_remedy(
    tmp_path: Path, name: str, make: Callable[[], bytes], message: str, capfd: pytest.CaptureFixture
) -> None:
    path = tmp_path / name
    path.write_bytes(make())
    before = path.read_bytes()
    with pytest.raises(ImageError) as caught:
        pages(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert message in text
    assert "; " in text  # what came; what to do
    assert "\n" not in text
    assert path.read_bytes() == before
    assert capfd.readouterr() == ("", "")


def test_the_same_comes_through_a_stream() -> None:
    for _, make, message in BAD_FILES[::5]:  # from there on, both take the same path
        with pytest.raises(ImageError, match=message):
            pages(BytesIO(make()))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file; check the path"):
        open_image(tmp_path / "nothing.tif")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="folder"):
        open_image(tmp_path)


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        open_image(tmp_path / ("x" * 5000))


@pytest.fixture
def common_user() -> Iterator[Path]:
    """A folder, and nobody's rights in it: root may read and write everything."""
    if os.name != "posix":
        pytest.skip("permissions are POSIX ones")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if os.geteuid() != 0:
            yield folder
            return
        yield folder
        os.seteuid(0)


def become_common() -> None:
    if os.geteuid() == 0:
        os.seteuid(65534)


def test_no_permission_to_read(common_user: Path) -> None:
    path = common_user / "secret.png"
    path.write_bytes(encoded("PNG"))
    path.chmod(0)
    become_common()
    with pytest.raises(ImageError, match="no permission to read this file; change"):
        open_image(path)


@pytest.mark.skipif(os.name != "posix", reason="named pipes are POSIX ones")
def test_a_pipe_is_read(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(encoded("PNG", GRAY_8))
    assert np.array_equal(pages(Path(f"/dev/fd/{reading}"))[0], GRAY_8)
    os.close(reading)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "WEBP", "JPEG", "GIF", "JP2"])
def test_tiny_images_are_images(shape: tuple[int, int], format: str) -> None:
    gray = np.full(shape, 77, np.uint8)
    data = jpeg_2000(gray) if format == "JP2" else encoded(format, gray)
    codes = pages(BytesIO(data))[0]
    assert codes.shape[:2] == shape
    assert np.abs(codes.astype(int) - 77).max() <= 1


@pytest.mark.parametrize(("right", "wrong"), [("PNG", "jpg"), ("TIFF", "png"), ("JPEG", "tif")])
def test_an_ending_that_lies_changes_nothing(tmp_path: Path, right: str, wrong: str) -> None:
    path = tmp_path / f"image.{wrong}"
    path.write_bytes(encoded(right, GRAY_8))
    with open_image(path) as image:
        assert image.format == right
        assert next(iter(image)).codes.shape == GRAY_8.shape


def test_the_limit_of_pixels_is_a_choice_and_pillow_has_no_say() -> None:
    large = BytesIO(jpeg_bomb(10_000, 20_000))
    with pytest.raises(Image.DecompressionBombError):
        Image.open(large)
    large.seek(0)
    with open_image(large, max_pixels=10**9) as image:
        assert image.output_nbytes == 600_000_000
    large.seek(0)
    with (
        open_image(large, max_pixels=100_000_000) as image,
        pytest.raises(ImageError, match=r"200 million.*at most 100 million.*max_pixels"),
    ):
        next(iter(image))


def test_the_page_at_fault_is_named() -> None:
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(GRAY)
        writer.write(GRAY, compression="zlib")
    data = stream.getvalue()[:-10]
    with open_image(BytesIO(data)) as image:
        found = iter(image)
        assert np.array_equal(next(found).codes, GRAY)
        with pytest.raises(ImageError, match="page 2: the file is truncated"):
            next(found)


def test_pages_that_go_round_in_a_circle_are_read_once() -> None:
    found = pages(BytesIO(circular_tiff()))
    assert len(found) == 2
    assert all(np.array_equal(codes, GRAY_8) for codes in found)


def test_single_frames_of_formats_that_can_move_are_images() -> None:
    for format in ("GIF", "WEBP", "PNG"):
        still = encoded(format, GRAY_8, save_all=True)
        assert pages(BytesIO(still))[0].shape[:2] == GRAY_8.shape
        assert animated(format) != still


def _samples() -> dict[str, bytes]:
    return {
        "png": encoded("PNG"),
        "jpeg": encoded("JPEG", exif=Image.Exif().tobytes()),
        "webp": encoded("WEBP", lossless=True, exif=b"II*\0\x08\0\0\0\0\0"),
        "bmp": encoded("BMP"),
        "gif": encoded("GIF", GRAY_8),
        "jp2": jpeg_2000(GRAY),
        "tiff": tiff(rowsperstrip=10, description="x" * 30),
        "tiff-deflate": tiff(compression="zlib", predictor=True),
        "tiff-lzw-tiles": tiff(compression="lzw", tile=(16, 32)),
        "bigtiff": tiff(bigtiff=True, byteorder=">"),
        "header": png_header(8, 8),
    }


@pytest.mark.parametrize("name", list(_samples()))
def test_no_damage_ends_in_another_error(name: str) -> None:
    data = _samples()[name]
    random = np.random.default_rng(7)
    damaged = [data[:length] for length in random.integers(0, len(data), 40)]
    for _ in range(150):
        copy = bytearray(data)
        for at in random.integers(0, min(len(data), 400), random.integers(1, 4)):
            copy[at] = random.integers(0, 256)
        damaged.append(bytes(copy))
    refused = 0
    for case in damaged:
        try:
            with open_image(BytesIO(case), max_pixels=10_000_000) as image:
                for page in image:
                    assert page.codes.dtype in (np.uint8, np.uint16, np.float32, np.float64)
        except ImageError:
            refused += 1
    assert refused > 20  # else the damage was none


def test_truncated_files_are_never_read_as_complete_ones() -> None:
    for name, data in _samples().items():
        for length in range(len(data) // 2, len(data) - 64, max(1, len(data) // 50)):
            try:
                found = pages(BytesIO(data[:length]))
            except ImageError:
                continue
            assert np.array_equal(found[0], pages(BytesIO(data))[0]), (name, length)


def test_color_images_are_not_taken_for_gray_ones() -> None:
    assert pages(BytesIO(encoded("PNG", RGB_8)))[0].shape == RGB_8.shape

"""Outputs appear complete or not at all, and nothing else is touched."""

import errno
import json
import os
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from recolor_core.errors import HintsError, ImageError, OutputExistsError
from recolor_core.images import ImageWriter, Metadata, Page, open_image, write_stage
from recolor_core.images.image import TiffLayout

from .badfiles import GRAY, GRAY_8, RGB_8, encoded, tiff
from .test_images_bad import become_common, common_user  # noqa: F401 (a fixture)

FACTS = {"software": "recolor", "version": "1.2", "weights": {"name": "default"}}
ENDINGS = [".tif", ".png", ".webp", ".bmp", ".jp2", ".jpg"]
PAGE = Page(RGB_8)
DEEP = Page(np.dstack([GRAY] * 3))


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def failing(error: BaseException) -> Iterator[np.ndarray]:
    yield RGB_8[:7]
    raise error


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    "error", [HintsError("no"), KeyboardInterrupt(), MemoryError(), OSError(errno.EIO, "disk")]
)
def test_a_failure_leaves_nothing_and_keeps_its_name(
    tmp_path: Path, ending: str, error: BaseException
) -> None:
    with (
        pytest.raises(type(error)) as caught,
        ImageWriter(tmp_path / f"out{ending}", sidecar=True) as writer,
    ):
        writer.write(PAGE, failing(error), FACTS)
    assert caught.value is error
    assert files(tmp_path) == set()


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_seen_before_the_end(tmp_path: Path, ending: str) -> None:
    target = tmp_path / f"out{ending}"
    with ImageWriter(target) as writer:
        writer.write(PAGE, RGB_8, FACTS)
        assert not target.exists()
    assert target.exists()
    assert files(tmp_path) - {target.name, f"{target.name}.json"} == set()


def test_what_is_there_stays_unless_it_may_go(tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match=r"out\.png is there already"):
        ImageWriter(target).__enter__()
    assert target.read_bytes() == b"mine"
    assert files(tmp_path) == {"out.png"}
    with (
        pytest.raises(HintsError),
        ImageWriter(target, overwrite=True) as writer,
    ):
        writer.write(PAGE, failing(HintsError("no")))
    assert target.read_bytes() == b"mine"
    with ImageWriter(target, overwrite=True) as writer:
        writer.write(PAGE, RGB_8)
    assert np.array_equal(np.asarray(Image.open(target)), RGB_8)


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_stays(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:  # as on a memory card

        def refuse(*_: Any) -> None:
            raise OSError(errno.EPERM, "no links here")

        monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "out.png"
    writer = ImageWriter(target).__enter__()
    writer.write(PAGE, RGB_8)
    target.write_bytes(b"mine")
    with pytest.raises(OutputExistsError):
        writer.__exit__(None, None, None)
    assert target.read_bytes() == b"mine"
    assert files(tmp_path) == {"out.png"}
    with ImageWriter(tmp_path / "other.png") as writer:
        writer.write(PAGE, RGB_8)
    assert files(tmp_path) == {"out.png", "other.png"}


@pytest.mark.parametrize("how", ["same", "hard link", "symbolic link"])
def test_the_source_is_never_written(tmp_path: Path, how: str) -> None:
    source, target = tmp_path / "scan.tif", tmp_path / "other.tif"
    source.write_bytes(tiff(GRAY_8))
    if how == "same":
        target = tmp_path / "." / "scan.tif"
    elif how == "hard link":
        target.hardlink_to(source)
    else:
        target.symlink_to(source)
    before = source.read_bytes()
    with open_image(source) as image, pytest.raises(ImageError, match="the source itself"):
        ImageWriter(target, like=image, overwrite=True)
    assert source.read_bytes() == before


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link = tmp_path / "out.png"
    link.symlink_to(tmp_path / "far" / "real.png")
    with ImageWriter(link) as writer:
        writer.write(PAGE, RGB_8)
    assert link.is_symlink()
    assert files(tmp_path / "far") == {"real.png"}


def test_outputs_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with ImageWriter(tmp_path / "out.png") as writer:
        writer.write(PAGE, RGB_8)
    assert (tmp_path / "out.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


@contextmanager
def small_disk() -> Iterator[None]:
    """The operating system itself refuses files of more than 4 kB.

    Only inside the block: pytest writes its own output into what may be a file.
    """
    resource = pytest.importorskip("resource", reason="limits are POSIX ones")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_disk_without_room(tmp_path: Path, ending: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    with (
        small_disk(),
        pytest.raises(ImageError, match=r"out.*cannot be written.*make room") as caught,
        ImageWriter(tmp_path / f"out{ending}") as writer,
    ):
        writer.write(Page(noise), noise)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == set()


def test_a_full_disk_is_seen_at_the_last_moment_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(ImageError, match=r"No space left.*make room"),
        ImageWriter(tmp_path / "out.png") as writer,
    ):
        writer.write(PAGE, RGB_8)
    assert files(tmp_path) == set()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_a_stream_that_takes_no_more() -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(ImageError, match=r"stdout.*No space left"),
        ImageWriter(full, format="PNG") as writer,
    ):
        writer.write(PAGE, RGB_8)


def test_no_permission_to_write(common_user: Path) -> None:  # noqa: F811
    common_user.chmod(0o555)
    become_common()
    with pytest.raises(ImageError, match="may write to"):
        ImageWriter(common_user / "out.png").__enter__()


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="create it first"):
        ImageWriter(tmp_path / "missing" / "out.png").__enter__()
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ImageError, match="this is a folder"):
        ImageWriter(tmp_path / "folder.png", overwrite=True).__enter__()


def test_an_unknown_ending(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"ends in \.tif, .*got '\.xyz'"):
        ImageWriter(tmp_path / "out.xyz")


@pytest.mark.parametrize("ending", [".jpg", ".bmp", ".webp"])
def test_sixteen_bits_do_not_become_eight(tmp_path: Path, ending: str) -> None:
    with (
        pytest.raises(ImageError, match="holds 8 bits, this image has 16"),
        ImageWriter(tmp_path / f"out{ending}") as writer,
    ):
        writer.write(DEEP, DEEP.codes)
    with open_image(BytesIO(tiff(GRAY))) as image, pytest.raises(ImageError, match="8 bits"):
        ImageWriter(tmp_path / f"out{ending}", like=image)  # before any work is done
    assert files(tmp_path) == set()


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".webp", ".jp2"])
def test_floats_and_pages_need_tiff(tmp_path: Path, ending: str) -> None:
    for data, what in (
        (tiff(GRAY / np.float32(65535)), "float32"),
        (tiff(np.stack([GRAY_8] * 2), photometric="minisblack"), "2 pages"),
    ):
        with (
            open_image(BytesIO(data)) as image,
            pytest.raises(ImageError, match=rf"{what}.*write a \.tif"),
        ):
            ImageWriter(tmp_path / f"out{ending}", like=image)


@pytest.mark.parametrize("ending", [".jpg", ".bmp"])
def test_alpha_is_not_dropped(tmp_path: Path, ending: str) -> None:
    with (
        pytest.raises(ImageError, match="cannot hold alpha"),
        ImageWriter(tmp_path / f"out{ending}") as writer,
    ):
        writer.write(Page(RGB_8, alpha=GRAY_8), RGB_8)


def test_premultiplied_alpha_needs_a_format_that_says_so(tmp_path: Path) -> None:
    page = Page(RGB_8, alpha=GRAY_8, metadata=Metadata(premultiplied=True))
    with (
        pytest.raises(ImageError, match="premultiplied"),
        ImageWriter(tmp_path / "out.png") as writer,
    ):
        writer.write(page, RGB_8)


def test_a_side_that_is_too_long(tmp_path: Path) -> None:
    page = Page(np.zeros((1, 20_000), np.uint8))
    with (
        pytest.raises(ImageError, match="at most 16383 pixels a side"),
        ImageWriter(tmp_path / "out.webp") as writer,
    ):
        writer.write(page, np.zeros((1, 20_000, 3), np.uint8))


def test_what_an_encoder_refuses_is_an_error_of_the_image(tmp_path: Path) -> None:
    page = Page(RGB_8, metadata=Metadata(exif=b"II*\0" + bytes(70_000)))  # JPEG holds 64 kB
    with (
        pytest.raises(ImageError, match="cannot be written as JPEG"),
        ImageWriter(tmp_path / "out.jpg") as writer,
    ):
        writer.write(page, RGB_8)
    assert files(tmp_path) == set()


@pytest.mark.parametrize("ending", [".tif", ".png"])
@pytest.mark.parametrize(
    "strip",
    [
        RGB_8[:-1],
        np.concatenate([RGB_8, RGB_8]),
        RGB_8[:, :-1],
        RGB_8.astype(np.uint16),
        RGB_8[..., :1],
    ],
    ids=["short", "long", "narrow", "deep", "gray"],
)
def test_strips_that_do_not_fit_are_a_mistake_of_the_caller(
    tmp_path: Path, strip: np.ndarray, ending: str
) -> None:
    with (
        pytest.raises(ValueError, match="expected strips"),
        ImageWriter(tmp_path / f"out{ending}") as writer,
    ):
        writer.write(PAGE, strip)
    assert files(tmp_path) == set()


def test_a_file_without_pages_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one page"), ImageWriter(tmp_path / "out.tif"):
        pass
    assert files(tmp_path) == set()


@pytest.mark.parametrize("layout", [{}, {"compression": 5, "predictor": 2}, {"tile": (32, 48)}])
@pytest.mark.parametrize("heights", [[1] * 48, [48], [5, 43], [40, 1, 7]])
def test_strips_of_any_height_make_the_same_file(layout: Any, heights: list[int]) -> None:
    page = Page(RGB_8, metadata=Metadata(layout=TiffLayout(rows_per_strip=9, **layout)))
    cuts = np.cumsum(heights)[:-1]
    stream = BytesIO()
    with ImageWriter(stream, format="TIFF") as writer:
        writer.write(page, iter(np.split(RGB_8, cuts)))
    assert np.array_equal(tifffile.imread(BytesIO(stream.getvalue())), RGB_8)


@pytest.mark.parametrize("compression", [1, 8])
def test_a_large_page_is_never_held_as_a_whole(tmp_path: Path, compression: int) -> None:
    height, width = 4000, 3000
    page = Page(
        np.broadcast_to(np.uint8(0), (height, width)),
        metadata=Metadata(layout=TiffLayout(compression=compression)),
    )
    strip = np.zeros((20, width, 3), np.uint8)
    tracemalloc.start()
    try:
        with ImageWriter(tmp_path / "out.tif") as writer:
            writer.write(page, (strip for _ in range(0, height, 20)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < height * width * 3 / 2
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.pages[0].shape == (height, width, 3)


def test_jpeg_says_that_it_is_not_exact(tmp_path: Path) -> None:
    with ImageWriter(tmp_path / "out.jpg", sidecar=True) as writer:
        assert not writer.exact_gray
        writer.write(PAGE, RGB_8, FACTS)
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.layer[0][1:3] == image.layer[1][1:3]  # 4:4:4
        assert np.abs(np.asarray(image).astype(int) - RGB_8).mean() < 4
    facts = json.loads((tmp_path / "out.jpg.json").read_text())
    assert facts["output"]["exact_gray"] is False


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_sidecar_tells_source_and_making(tmp_path: Path, ending: str) -> None:
    source = tmp_path / "scan.png"
    source.write_bytes(encoded("PNG", GRAY_8))
    target = tmp_path / f"out{ending}"
    with (
        open_image(source) as image,
        ImageWriter(target, like=image, sidecar=True) as writer,
    ):
        for page in image:
            writer.write(page, RGB_8, FACTS)
    facts = json.loads((tmp_path / f"out{ending}.json").read_text())
    assert facts["source"] == {
        "name": "scan.png",
        "sha256": sha256(source.read_bytes()).hexdigest(),
    }
    assert facts["output"] == {
        "name": target.name,
        "sha256": sha256(target.read_bytes()).hexdigest(),
        "exact_gray": ending != ".jpg",
    }
    assert facts["pages"] == [{**FACTS, "reading": "8-bit gray, sRGB (no profile)"}]


def test_a_sidecar_comes_only_where_it_is_asked_for_or_needed(tmp_path: Path) -> None:
    for name, made in (("out.png", set()), ("out.bmp", {"out.bmp.json"})):
        with ImageWriter(tmp_path / name) as writer:
            writer.write(PAGE, RGB_8, FACTS)
        assert files(tmp_path) == {name} | made
        for path in tmp_path.iterdir():
            path.unlink()


def test_a_sidecar_never_speaks_of_an_older_image(tmp_path: Path) -> None:
    (tmp_path / "out.png.json").write_text("old")
    with pytest.raises(OutputExistsError, match="json"):
        ImageWriter(tmp_path / "out.png").__enter__()
    assert files(tmp_path) == {"out.png.json"}
    with ImageWriter(tmp_path / "out.png", overwrite=True) as writer:
        writer.write(PAGE, RGB_8, FACTS)
    assert json.loads((tmp_path / "out.png.json").read_text())["pages"][0]["version"] == "1.2"


def test_standard_output_gets_all_or_nothing() -> None:
    stream = BytesIO()
    with (
        open_image(BytesIO(encoded("JPEG", GRAY_8))) as image,
        ImageWriter(stream, like=image) as writer,
    ):
        assert writer.format == "PNG"
        for page in image:
            writer.write(page, RGB_8)
            assert stream.getvalue() == b""
    assert np.array_equal(np.asarray(Image.open(BytesIO(stream.getvalue()))), RGB_8)
    stream = BytesIO()
    with pytest.raises(HintsError), ImageWriter(stream, format="TIFF") as writer:
        writer.write(PAGE, failing(HintsError("no")))
    assert stream.getvalue() == b""
    with pytest.raises(ImageError, match="format="):
        ImageWriter(BytesIO())


def test_large_files_become_bigtiff(tmp_path: Path) -> None:
    # A header that promises 4.5 GB of color; only its first page is really written.
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as source:
        source.write(GRAY_8, metadata=None)
        source.write(
            shape=(20_000, 25_000),
            dtype=np.uint8,
            compression="zlib",
            tile=(4096, 4096),
            data=(b"x" for _ in range(35)),
            metadata=None,
            photometric="minisblack",
        )
        source.write(
            shape=(20_000, 25_000),
            dtype=np.uint16,
            compression="zlib",
            tile=(4096, 4096),
            data=(b"x" for _ in range(35)),
            metadata=None,
            photometric="minisblack",
        )
    with open_image(BytesIO(stream.getvalue()), max_pixels=10**9) as image:
        assert image.output_nbytes > 4_500_000_000 - 1
        with ImageWriter(tmp_path / "out.tif", like=image) as writer:
            writer.write(next(iter(image)), RGB_8)
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.is_bigtiff


@pytest.mark.parametrize("shape", [(48, 64), (2, 12, 16)])
def test_stages_are_float_tiffs_with_words(tmp_path: Path, shape: tuple[int, ...]) -> None:
    stage = np.random.default_rng(0).normal(0, 30, shape).astype(np.float32)
    write_stage(tmp_path / "ab.tif", stage, description="a* and b*, Lab units")
    with tifffile.TiffFile(tmp_path / "ab.tif") as file:
        assert np.array_equal(file.asarray(), stage)
        assert file.pages[0].description == "a* and b*, Lab units"
        assert file.pages[0].dtype == np.float32
    before = (tmp_path / "ab.tif").read_bytes()
    with pytest.raises(OutputExistsError):
        write_stage(tmp_path / "ab.tif", stage, description="again")
    assert (tmp_path / "ab.tif").read_bytes() == before
    write_stage(tmp_path / "ab.tif", 2 * stage, description="again", overwrite=True)
    assert np.array_equal(tifffile.imread(tmp_path / "ab.tif"), 2 * stage)
    assert files(tmp_path) == {"ab.tif"}

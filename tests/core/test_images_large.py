"""Pages that are too large to hold: the same pixels and results by way of temporary files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from recolor_core.batch.restore import restore_image
from recolor_core.batch.verify import verify_image
from recolor_core.images import large, open_image

from .cli_runner import FAST, photo, pixels, recolor

LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 7},
    "strips-lzw": {"rowsperstrip": 7, "compression": "lzw", "predictor": True},
    "strips-deflate": {"rowsperstrip": 7, "compression": "zlib", "predictor": True},
    "one-strip-deflate": {"compression": "zlib"},
    "tiles": {"tile": (16, 32)},
    "tiles-lzw": {"tile": (16, 32), "compression": "lzw", "predictor": True},
    "tiles-deflate": {"tile": (16, 32), "compression": "zlib"},
}


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything above 100 bytes counts as large."""
    monkeypatch.setattr(large, "IN_MEMORY", 100)


def write(path: Path, big: bool, order: Any, pages: list[np.ndarray], **options: Any) -> Path:
    with tifffile.TiffWriter(path, bigtiff=big, byteorder=order) as writer:
        for codes in pages:
            writer.write(codes, **({"metadata": None, "photometric": "minisblack"} | options))
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_what_is_made_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, big: bool, order: str
) -> None:
    shown = [photo(dtype=np.uint16), photo(33, 47, np.uint16)[::-1]]
    source = write(tmp_path / "scan.tif", big, order, shown, **LAYOUTS[layout])
    results = [tmp_path / "memory.tif", tmp_path / "files.tif"]
    assert recolor(source, "-o", results[0], *FAST).code == 0
    monkeypatch.setattr(large, "IN_MEMORY", 100)
    assert recolor(source, "-o", results[1], *FAST).code == 0
    for page, expected in enumerate(shown):
        one, other = (tifffile.imread(result, key=page) for result in results)
        np.testing.assert_array_equal(one, other)
        with open_image(source) as file:
            np.testing.assert_array_equal(list(file)[page].codes, expected)
    verification = verify_image(results[1], source)
    assert verification.unaltered, verification.line()
    assert verification.exact_pages == 2
    back = restore_image(results[1], tmp_path / "back.tif")
    assert back.exact
    for page, expected in enumerate(shown):
        np.testing.assert_array_equal(tifffile.imread(back.target, key=page), expected)


def _turned(orientation: int) -> dict[str, Any]:
    return {"extratags": [(274, 3, 1, orientation, True)]}


KINDS: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "rgb": (np.dstack([photo()] * 3), {"photometric": "rgb"}),
    "planar": (
        np.stack([photo()] * 3),
        {"photometric": "rgb", "planarconfig": "separate", "compression": "zlib"},
    ),
    "alpha": (
        np.dstack([photo(), photo()[::-1]]),
        {"extrasamples": ["unassalpha"], "planarconfig": "contig", "compression": "lzw"},
    ),
    "inverted": (photo(), {"photometric": "miniswhite", "compression": "zlib"}),
    "bits": (photo() > 100, {"compression": "zlib"}),
    "floats": (photo(dtype=np.float32), {"compression": "zlib", "predictor": True}),
    "turned": (photo(), {"compression": "zlib", **_turned(6)}),
    "mirrored": (photo(), _turned(2)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_as_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    codes, options = KINDS[kind]
    source = write(tmp_path / "scan.tif", False, ">", [codes], **options)
    with open_image(source) as file:
        (expected,) = file
    monkeypatch.setattr(large, "IN_MEMORY", 100)
    with open_image(source) as file:
        (page,) = file
    np.testing.assert_array_equal(page.codes, expected.codes)
    assert page.codes.flags.c_contiguous
    assert page.reading == expected.reading
    if expected.alpha is not None:
        np.testing.assert_array_equal(page.alpha, expected.alpha)


def is_mapped(array: Any) -> bool:
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array is not None


@pytest.mark.usefixtures("little_room")
def test_temporary_files_are_gone_with_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "room"))
    (tmp_path / "room").mkdir()
    source = write(tmp_path / "a.tif", False, "<", [photo()], compression="zlib")
    with open_image(source) as file:
        (page,) = file
        assert is_mapped(page.codes)
    assert list((tmp_path / "room").iterdir()) == []
    np.testing.assert_array_equal(page.codes, photo())


@pytest.mark.slow
def test_pages_by_the_hundred(tmp_path: Path) -> None:
    shown = [np.roll(photo(24, 32), page) for page in range(150)]
    source = write(tmp_path / "book.tif", True, "<", shown, compression="lzw", tile=(16, 16))
    assert recolor(source, *FAST).code == 0
    verification = verify_image(tmp_path / "book.recolor.tif", source)
    assert verification.unaltered, verification.line()
    assert verification.exact_pages == 150
    assert pixels(tmp_path / "book.recolor.tif").shape[0] == 150

"""The gray scan back from its coloring: codes, depth, profile and tags."""

import json
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from recolor_core import provenance
from recolor_core.batch.restore import restore_image
from recolor_core.images import ImageWriter, open_image
from tests.core.cli_runner import FAST, files, photo, recolor


def gray_profile() -> bytes:
    """A gray ICC profile, gamma 2.2, as scanners embed it."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    curve = b"curv" + bytes(4) + (1).to_bytes(4, "big") + (0x0233).to_bytes(2, "big") + bytes(2)
    white = b"XYZ " + bytes(4) + b"".join(n.to_bytes(4, "big") for n in (63190, 65536, 54061))
    name = b"desc" + bytes(4) + (5).to_bytes(4, "big") + b"gray\0" + bytes(78)
    tags, at = [], 128 + 4 + 3 * 12
    body = b""
    for sign, data in ((b"kTRC", curve), (b"wtpt", white), (b"desc", name)):
        data += bytes(-len(data) % 4)
        tags.append(sign + at.to_bytes(4, "big") + len(data).to_bytes(4, "big"))
        body += data
        at += len(data)
    head = profile[:128]
    head[16:20] = b"GRAY"
    head[8:12] = bytes.fromhex("02400000")
    text = bytes(head) + (3).to_bytes(4, "big") + b"".join(tags) + body
    return len(text).to_bytes(4, "big") + text[4:]


def stored(path: Path) -> list[Any]:
    """What a file stores, read by other software: codes and what they mean."""
    if path.suffix == ".tif":
        with tifffile.TiffFile(path) as file:
            return [
                (page.asarray(), page.photometric, page.bitspersample, page.iccprofile)
                for page in file.pages
            ]
    with Image.open(path) as image:
        return [(np.asarray(image), image.mode, None, image.info.get("icc_profile"))]


def there_and_back(source: Path, *words: str, suffix: str = "") -> Path:
    output = source.with_name(f"color{suffix or source.suffix}")
    assert recolor(source, "-o", output, *words, *FAST).code == 0
    target = source.with_name(f"back{source.suffix}")
    call = recolor("restore", output, "-o", target)
    assert (call.code, call.out) == (0, b""), call.err
    return target


def same(first: Path, second: Path) -> None:
    for one, other in zip(stored(first), stored(second), strict=True):
        assert one[0].dtype == other[0].dtype
        if one[0].dtype == np.float64:  # as `to_rgb` says
            np.testing.assert_allclose(one[0], other[0], rtol=0, atol=1e-12)
        else:
            np.testing.assert_array_equal(one[0], other[0])
        assert one[1:] == other[1:]


TIFFS: list[dict[str, Any]] = [
    {},
    {"compression": "zlib", "predictor": True},
    {"compression": "lzw"},
    {"compression": "zstd", "tile": (16, 16)},
    {"rowsperstrip": 7},
    {"byteorder": ">"},
    {"bigtiff": True},
    {"photometric": "miniswhite"},
    {"resolution": (300, 300), "resolutionunit": "inch", "description": "a caption"},
    {"iccprofile": gray_profile()},
]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("options", TIFFS, ids=lambda options: "-".join(options) or "plain")
def test_tiff(tmp_path: Path, dtype: type, options: dict[str, Any]) -> None:
    if np.dtype(dtype).kind == "f" and options.get("photometric") == "miniswhite":
        pytest.skip("floating point has no inverted form")
    source = tmp_path / "scan.tif"
    tifffile.imwrite(
        source, photo(dtype=dtype), **({"photometric": "minisblack", "metadata": None} | options)
    )
    back = there_and_back(source)
    same(source, back)
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(back) as after:
        assert before.byteorder == after.byteorder
        assert before.is_bigtiff == after.is_bigtiff
        first, second = before.pages[0], after.pages[0]
        for name in ("compression", "predictor", "tile", "description", "resolution"):
            assert getattr(first, name) == getattr(second, name), name
        assert 700 not in second.tags


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("compression", [None, "zlib", "packbits"])
def test_one_bit_tiff(tmp_path: Path, photometric: str, compression: str | None) -> None:
    source = tmp_path / "scan.tif"
    bits = photo(40, 57) > 100
    tifffile.imwrite(source, bits, photometric=photometric, compression=compression)
    same(source, there_and_back(source))


@pytest.mark.parametrize("bits", [1, 8, 16])
@pytest.mark.parametrize("profile", [None, gray_profile()], ids=["plain", "profile"])
def test_png(tmp_path: Path, bits: int, profile: bytes | None) -> None:
    source = tmp_path / "scan.png"
    codes = photo(dtype=np.uint16 if bits == 16 else np.uint8)
    image = Image.fromarray(codes > 100 if bits == 1 else codes)
    options = {"icc_profile": profile} if profile else {}
    image.save(source, dpi=(300, 300), **options)
    back = there_and_back(source)
    same(source, back)
    with Image.open(source) as before, Image.open(back) as after:
        assert before.info["dpi"] == after.info["dpi"]


@pytest.mark.parametrize("suffix", [".webp", ".bmp", ".jp2"])
def test_from_other_formats(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / "scan.png"
    Image.fromarray(photo()).save(source)
    same(source, there_and_back(source, suffix=suffix))


def test_alpha_pages_and_infrared(tmp_path: Path) -> None:
    source = tmp_path / "scan.tif"
    alpha = photo()[::-1]
    with tifffile.TiffWriter(source) as writer:
        for extra in ("unassalpha", "unspecified"):
            writer.write(
                np.dstack((photo(), alpha)),
                photometric="minisblack",
                planarconfig="contig",
                extrasamples=[extra],
                metadata=None,
            )
    back = there_and_back(source)
    same(source, back)
    with tifffile.TiffFile(back) as file:
        assert [page.extrasamples for page in file.pages] == [(2,), (0,)]


def test_metadata_of_the_source(tmp_path: Path) -> None:
    source = tmp_path / "scan.tif"
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
        b'"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        b'xmp:CreatorTool="SilverFast 9" dc:format="image/tiff"/></rdf:RDF></x:xmpmeta>'
    )
    tifffile.imwrite(source, photo(), extratags=[(700, 1, len(xmp), xmp, True)], metadata=None)
    back = there_and_back(source)
    with tifffile.TiffFile(back) as file:
        packet = bytes(file.pages[0].tags[700].value)
    assert b"SilverFast 9" in packet
    assert b"image/tiff" in packet
    assert b"recolor" not in packet
    assert b"trainedAlgorithmicMedia" not in packet.lower()
    assert provenance.read_xmp(packet) is None


def test_a_mark_of_other_software_comes_back() -> None:
    first = provenance.xmp_packet({"software": "other", "version": "1"})
    packet = provenance.xmp_packet({"software": "recolor", "version": "2"}, first)
    back = provenance.without_mark(packet)
    assert back is not None
    assert b"other 1" in back
    assert b"recolor" not in back
    assert provenance.without_mark(provenance.xmp_packet({"version": "1"})) is None
    assert provenance.without_mark(first) == first


def test_a_source_in_color_gives_its_gray(tmp_path: Path) -> None:
    source = tmp_path / "scan.png"
    Image.fromarray(np.dstack((photo(), photo()[::-1], photo()))).save(source)
    assert recolor(source, *FAST).code == 0
    made = restore_image(tmp_path / "scan.recolor.png")
    assert made.target == str(tmp_path / "scan.restored.png")
    assert made.exact
    assert made.notes == ("the source was in color; this is its gray",)
    with Image.open(made.target) as image:
        assert image.mode == "L"


def test_jpeg_is_not_exact(tmp_path: Path) -> None:
    source = tmp_path / "scan.png"
    Image.fromarray(photo()).save(source)
    recolor(source, "-o", tmp_path / "color.jpg", *FAST)
    call = recolor("restore", tmp_path / "color.jpg", "--json")
    assert json.loads(call.out)["exact"] is False


def test_what_cannot_be_restored(tmp_path: Path) -> None:
    source = tmp_path / "scan.png"
    Image.fromarray(photo()).save(source)
    recolor(source, *FAST)
    result = tmp_path / "scan.recolor.png"
    with open_image(result) as file:
        [page] = file
        packet = page.metadata.xmp
        codes = np.array(page.codes)
    codes[3, 4] //= 2
    with (
        open_image(result) as file,
        ImageWriter(tmp_path / "altered.png") as writer,
    ):
        writer.write(next(iter(file)), codes)
    assert packet is not None
    plain = BytesIO()
    Image.fromarray(codes).save(plain, "PNG")
    (tmp_path / "plain.png").write_bytes(plain.getvalue())
    before = files(tmp_path)
    for words, said in (
        ((tmp_path / "altered.png",), "its gray is not what was written"),
        ((tmp_path / "plain.png",), "expected a result of recolor"),
        ((tmp_path / "none.png",), "no such file"),
        ((result, "-o", tmp_path / "a.jpg"), "expected a name that ends in"),
        ((result, "-o", source), "--overwrite"),
    ):
        call = recolor("restore", *words)
        assert (call.code, len(call.errors)) == (2, 1)
        assert said in call.err
    assert files(tmp_path) == before
    call = recolor("restore", tmp_path / "altered.png", result)
    assert call.code == 2
    assert (tmp_path / "scan.restored.png").exists()


def test_where_restored_images_go(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Image.fromarray(photo()).save(tmp_path / f"{name}.png")
        recolor(tmp_path / f"{name}.png", *FAST)
    results = [tmp_path / f"{name}.recolor.png" for name in ("a", "b")]
    assert recolor("restore", results[0], "-o", f"{tmp_path}/new/").code == 0
    assert recolor("restore", *results, "-o", tmp_path / "deep" / "both").code == 0
    assert files(tmp_path / "new") == ["a.restored.png"]
    assert files(tmp_path / "deep" / "both") == ["a.restored.png", "b.restored.png"]
    for words in ((*results, "-o", tmp_path / "c.png"), (results[0], "-o", "-")):
        call = recolor("restore", *words)
        assert (call.code, len(call.errors)) == (2, 1)


@pytest.mark.skipif(os.name != "posix", reason="of POSIX systems")
def test_line_breaks_in_names(tmp_path: Path) -> None:
    source = tmp_path / "two\nlines.png"
    Image.fromarray(photo()).save(source)
    result = source.with_name("two\nlines.recolor.png")
    for words in ((source, *FAST), ("restore", result), ("restore", result), ("restore", source)):
        call = recolor(*words)
        assert len(call.err.splitlines()) == 1
        assert 1 <= call.err.count("two lines") <= 2

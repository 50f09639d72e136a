"""Kinds of files that scanners, cameras and programs write. Oracles: tifffile, Pillow, formulas."""

import struct
import warnings
import zlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from recolor_core.errors import ImageError, ImageWarning
from recolor_core.gray import read_gray
from recolor_core.images import ImageWriter, Page, icc, open_image, tiff_levels
from recolor_core.lab import lab_to_rgb

from .badfiles import GRAY, GRAY_8, RGB_8, encoded, jpeg_2000, tiff, tiff_with

RANDOM = np.random.default_rng(17)
NOISE = RANDOM.integers(0, 256, (48, 64), dtype=np.uint8)


def only(data: bytes) -> Page:
    with open_image(BytesIO(data)) as image:
        (page,) = image
    return page


def colored(page: Page) -> np.ndarray:
    codes = page.codes.astype(page.output_dtype)
    return codes if codes.ndim == 3 else np.dstack([codes] * 3)


def written(data: bytes) -> bytes:
    """The file in color, as TIFF."""
    target = BytesIO()
    with open_image(BytesIO(data)) as image, ImageWriter(target, like=image) as writer:
        for page in image:
            writer.write(page, colored(page))
    return target.getvalue()


# -- JPEG -----------------------------------------------------------------------------------------


def exif_with_resolution(x: tuple[int, int], y: tuple[int, int], unit: int = 2) -> bytes:
    """An EXIF block of three entries."""
    entries = struct.pack("<HHIIHHIIHHIHxx", 282, 5, 1, 50, 283, 5, 1, 58, 296, 3, 1, unit)
    return b"II*\0\x08\0\0\0\x03\0" + entries + bytes(4) + struct.pack("<4I", *x, *y)


def jpeg(*segments: tuple[int, bytes], jfif: bytes | None = None) -> bytes:
    """A JPEG with these segments in front, and with this density in its JFIF header, or without."""
    data = encoded("JPEG", GRAY_8)
    start = 2 + 2 + int.from_bytes(data[4:6], "big")
    head = b"" if jfif is None else data[2:13] + jfif + data[18:start]
    for marker, body in segments:
        head += struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
    return data[:2] + head + data[start:]


def exif_segment(block: bytes) -> tuple[int, bytes]:
    return 0xE1, b"Exif\0\0" + block


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ((3_000_000, 10_000), (3_000_000, 10_000), (300, 300)),  # as Photoshop writes it
        ((72, 1), (150, 2), (72, 75)),
        ((300, 0), (300, 1), None),
        ((0, 1), (300, 1), None),
        ((2**32 - 1, 1), (1, 2**32 - 1), (2**32 - 1, 1 / (2**32 - 1))),
    ],
)
def test_any_rational_of_exif_is_a_resolution_or_none(x: Any, y: Any, expected: Any) -> None:
    page = only(jpeg(exif_segment(exif_with_resolution(x, y))))
    resolution = page.metadata.resolution
    found = resolution and resolution.per_inch()
    assert found == (expected and pytest.approx(expected))


def test_a_density_without_unit_does_not_hide_that_of_exif() -> None:
    exif = exif_segment(exif_with_resolution((300, 1), (300, 1)))
    for jfif, expected in (
        (b"\0\0\1\0\1", (300, 300)),
        (b"\1\0\x48\0\x48", (72, 72)),
        (b"\2\0\x64\0\x64", (254, 254)),
        (b"\1\0\0\0\0", (300, 300)),
    ):
        page = only(jpeg(exif, jfif=jfif))
        assert page.metadata.resolution is not None
        assert page.metadata.resolution.per_inch() == pytest.approx(expected)


def test_photoshop_states_the_resolution_too() -> None:
    body = struct.pack(">IHHIHH", 240 << 16, 1, 1, 120 << 16, 1, 1)
    resources = b"8BIM" + struct.pack(">HHI", 0x3ED, 0, len(body)) + body
    page = only(jpeg((0xED, b"Photoshop 3.0\0" + resources)))
    assert page.metadata.resolution is not None
    assert page.metadata.resolution.per_inch() == (240, 120)


@pytest.mark.parametrize(
    "segments",
    [
        [exif_segment(b"nonsense")],
        [exif_segment(b"")],
        [(0xE1, b"http://ns.adobe.com/xap/1.0/\0<broken")],
        [(0xE2, b"ICC_PROFILE\0\1\1nonsense")],
        [(0xE2, b"ICC_PROFILE\0")],
        [(0xE2, b"MPF\0nonsense")],
        [(0xED, b"Photoshop 3.0\0nonsense")],
        [(0xED, b"Photoshop 3.0\x008BIM\4\4")],
        [(0xEE, b"Adobe")],
        [(0xFE, b"\xff\xfe\xfd")],
        [(0xE1, b"Exif\0\0" + bytes(40)), (0xE5, b"")],
    ],
)
def test_no_metadata_costs_a_readable_jpeg(segments: list[tuple[int, bytes]]) -> None:
    plain = only(jpeg())
    page = only(jpeg(*segments))
    assert np.array_equal(page.codes, plain.codes)


def test_bytes_between_the_segments_of_a_jpeg_are_skipped() -> None:
    data = jpeg((0xFE, b"hello"))
    at = data.index(b"hello") + 5
    page = only(data[:at] + b"garbage \xff\0 and \xff\xff" + data[at:])
    assert np.array_equal(page.codes, only(data).codes)
    assert page.metadata.comments == ("hello",)


def test_a_jpeg_that_lacks_its_end_marker_only_is_read_and_said() -> None:
    data = encoded("JPEG", NOISE, quality=80)
    assert data.endswith(b"\xff\xd9")
    whole = only(data)
    with pytest.warns(ImageWarning, match="end marker is missing"):
        page = only(data[:-2])
    assert np.array_equal(page.codes, whole.codes)
    assert "the end marker is missing" in page.reading
    for cut in (8, 100, len(data) // 2):
        with pytest.raises(ImageError, match="truncated"):
            only(data[:-cut])
    with pytest.raises(ImageError, match="truncated"):  # later scans may be missing
        only(encoded("JPEG", NOISE, progressive=True)[:-2])


def test_a_jpeg_of_12_bits() -> None:
    values = (GRAY >> 4).astype(np.uint16)
    page = only(imagecodecs.jpeg8_encode(values, bitspersample=12, level=100))
    assert page.codes.dtype == np.uint16
    assert "expanded from 12 bits" in page.reading
    assert np.abs(page.codes / 65535 * 4095 - values).max() < 8


def test_a_lossless_jpeg_is_exact() -> None:
    data = imagecodecs.jpeg8_encode(GRAY, bitspersample=16, lossless=True)
    assert np.array_equal(only(data).codes, GRAY)
    with open_image(BytesIO(data)) as image:
        assert not image.lossy


# -- TIFF: channels -------------------------------------------------------------------------------


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kinds", [(), (0,), (1,), (2,), (0, 2), (2, 0, 0), (0, 0)])
def test_every_channel_stays_what_it_is(kinds: tuple[int, ...], planar: str) -> None:
    array = RANDOM.integers(0, 65536, (48, 64, 3 + len(kinds)), dtype=np.uint16)
    source = array if planar == "contig" else np.moveaxis(array, -1, 0)
    data = tiff(source, photometric="rgb", planarconfig=planar, extrasamples=kinds or None)
    page = only(data)
    assert np.array_equal(page.codes, array[..., :3])
    assert (page.alpha is not None) == any(kinds)
    with tifffile.TiffFile(BytesIO(written(data))) as file:
        assert np.array_equal(file.asarray(), array)
        assert file.pages[0].extrasamples == kinds


def test_a_channel_that_no_tag_names_is_not_alpha() -> None:
    data = bytearray(tiff(np.dstack([GRAY] * 4), photometric="rgb", extrasamples=(0,)))
    at = data.index(struct.pack("<HHI", 338, 3, 1))
    data[at : at + 2] = struct.pack("<H", 65_000)  # a private tag now
    page = only(bytes(data))
    assert page.alpha is None
    assert page.extra is not None
    assert "further channel kept" in page.reading


def test_further_channels_turn_with_the_image_and_need_tiff() -> None:
    array = RANDOM.integers(0, 256, (5, 7, 4), dtype=np.uint8)
    tag = ("Orientation", 3, 1, 6, False)
    page = only(tiff(array, photometric="rgb", extrasamples=(0,), extratags=[tag]))
    assert page.extra is not None
    assert np.array_equal(page.extra[..., 0], np.rot90(array[..., 3], -1))
    with (
        pytest.raises(ImageError, match=r"neither color nor alpha; write a \.tif"),
        ImageWriter(BytesIO(), format="PNG") as writer,
    ):
        writer.write(page, page.codes)


def test_cmyk_with_a_spot_color() -> None:
    array = RANDOM.integers(0, 256, (48, 64, 5), dtype=np.uint8)
    data = tiff(array, photometric="separated", planarconfig="contig", extrasamples=(0,))
    page = only(data)
    expected = np.rint((255.0 - array[..., :3]) * (255.0 - array[..., 3:4]) / 255)
    assert np.abs(page.codes - expected).max() <= 1
    assert page.extra is not None
    assert np.array_equal(page.extra[..., 0], array[..., 4])
    with pytest.raises(ImageError, match="inks other than CMYK"):
        only(
            tiff(
                array,
                photometric="separated",
                planarconfig="contig",
                extrasamples=(0,),
                extratags=[(332, 3, 1, 2, False)],
            )
        )


# -- TIFF: colors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_palettes_of_every_depth(bits: int) -> None:
    entries = 1 << bits
    colors = RANDOM.integers(0, 65536, (3, entries), dtype=np.uint16)
    indices = (GRAY.astype(int) % entries).astype(np.uint8 if bits <= 8 else np.uint16)
    data = tiff(
        indices,
        photometric="minisblack",
        bitspersample=bits,
        extratags=[(320, 3, 3 * entries, tuple(colors.ravel().tolist()), False)],
    )
    data = bytearray(data)
    at = data.index(struct.pack("<HHIH", 262, 3, 1, 1))
    data[at + 8] = 3
    page = only(bytes(data))
    assert np.array_equal(page.codes, colors.T[indices])


def ycbcr(rgb: np.ndarray) -> np.ndarray:
    """BT.601 of full range, as JPEG has it."""
    matrix = np.array(
        [(0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312)]
    )
    return rgb @ matrix.T + (0, 128, 128)


@pytest.mark.parametrize(
    ("across", "down", "compression"),
    [(1, 1, None), (1, 1, "lzw"), (2, 1, "lzw"), (2, 2, None), (2, 2, "zlib"), (4, 2, "zlib")],
)
def test_ycbcr_without_jpeg(across: int, down: int, compression: str | None) -> None:
    # Colors are constant over each block, so that subsampling loses nothing.
    blocks = RANDOM.integers(40, 216, (-(-45 // down), -(-61 // across), 3)).astype(float)
    chroma = ycbcr(blocks).repeat(down, 0).repeat(across, 1)[:45, :61]
    luma = RANDOM.integers(60, 196, (45, 61))
    planes = np.rint(np.dstack([luma, chroma[..., 1:]])).astype(np.uint8)
    rows = 16
    strips = []
    for top in range(0, 45, rows):
        part = np.pad(
            planes[top : top + rows],
            [(0, -min(rows, 45 - top) % down), (0, -61 % across), (0, 0)],
            mode="edge",
        )
        height, width = part.shape[:2]
        units = part[..., 0].reshape(height // down, down, width // across, across)
        units = units.transpose(0, 2, 1, 3).reshape(height // down, width // across, -1)
        unit = np.concatenate([units, part[::down, ::across, 1:]], -1)
        raw = unit.tobytes()
        if compression:
            raw = {"lzw": imagecodecs.lzw_encode, "zlib": imagecodecs.zlib_encode}[compression](raw)
        strips.append(raw)
    target = BytesIO()
    tifffile.imwrite(
        target,
        data=iter(strips),
        shape=(45, 61, 3),
        dtype=np.uint8,
        photometric="rgb",
        compression=compression or "zlib",
        rowsperstrip=rows,
        metadata=None,
        extratags=[(530, 3, 2, (across, down), False)],
    )
    data = bytearray(target.getvalue())
    at = data.index(struct.pack("<HHIH", 262, 3, 1, 2))
    data[at + 8] = 6
    if compression is None:
        at = data.index(struct.pack("<HHIH", 259, 3, 1, 8))
        data[at + 8] = 1
    page = only(bytes(data))
    y, cb, cr = (planes[..., i].astype(float) for i in range(3))
    expected = np.dstack(
        [
            y + 1.402 * (cr - 128),
            y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128),
            y + 1.772 * (cb - 128),
        ]
    )
    assert np.abs(page.codes - np.clip(expected, 0, 255)).max() <= 1


@pytest.mark.parametrize("photometric", ["cielab", "icclab"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_cielab_by_its_lightness(dtype: type, photometric: str) -> None:
    top = np.iinfo(dtype).max
    lab = RANDOM.integers(0, top + 1, (48, 64, 3), dtype=dtype)
    page = only(tiff(lab, photometric=photometric))
    lightness = lab[..., 0] / top * 100
    expected = lab_to_rgb(
        np.dstack([lightness, np.zeros_like(lightness), np.zeros_like(lightness)])
    )
    assert page.codes.dtype == np.uint16
    assert np.abs(page.codes / 65535 - expected[..., 0]).max() < 1e-4
    assert "lightness" in page.reading


def run_lengths(line: bytes) -> bytes:
    """Run-length code of SGI: runs of 4 bytes or more, the rest literally."""
    out, at = b"", 0
    while at < len(line):
        run = 1
        while at + run < len(line) and run < 129 and line[at + run] == line[at]:
            run += 1
        if run >= 4:
            out += bytes([126 + run, line[at]])
            at += run
            continue
        end = min(len(line), at + 5)
        out += bytes([end - at]) + line[at:end]
        at = end
    return out


@pytest.mark.parametrize("photometric", [32844, 32845])
def test_luminance_of_log_luv(photometric: int) -> None:
    exponents = (16384 + RANDOM.integers(-1500, 500, (20, 31))).astype(np.uint32)
    exponents[3] = exponents[3, 0]
    planes = 2 if photometric == 32844 else 4
    codes = exponents if planes == 2 else exponents << 16 | 0x5A33
    strip = b"".join(
        run_lengths(((row >> (8 * shift)) & 255).astype(np.uint8).tobytes())
        for row in codes
        for shift in reversed(range(planes))
    )
    target = BytesIO()
    tifffile.imwrite(
        target,
        data=iter([strip]),
        shape=(20, 31),
        dtype=np.uint16,
        photometric="minisblack",
        compression="zlib",
        rowsperstrip=20,
        metadata=None,
    )
    target.seek(0)
    with tifffile.TiffFile(target, mode="r+b") as file:
        file.pages[0].tags["Compression"].overwrite(34676)
        file.pages[0].tags["PhotometricInterpretation"].overwrite(photometric)
    page = only(target.getvalue())
    np.testing.assert_allclose(page.codes, np.exp2((exponents + 0.5) / 256 - 64), rtol=1e-6)
    assert page.space.curve.gamma == 1
    assert "pass levels" in page.reading


# -- TIFF: depths ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint32", "int64", "uint64"])
def test_integers_without_a_white_need_levels(dtype: str) -> None:
    values = GRAY_8.astype(dtype) - (40 if dtype.startswith("i") else 0)
    data = tiff(values, photometric="minisblack")
    page = only(data)
    assert np.array_equal(page.codes, values)
    with pytest.raises(ImageError, match="levels"):
        read_gray(page.codes, page.space)
    levels = (float(values.min()), float(values.max()))
    gray = read_gray(page.codes, page.space, levels)
    assert gray.codes.dtype == page.output_dtype
    strips = np.dstack([gray.codes] * 3)
    target = BytesIO()
    with open_image(BytesIO(data)) as image, ImageWriter(target, like=image) as writer:
        writer.write(page, strips)
    assert np.array_equal(tifffile.imread(BytesIO(target.getvalue())), strips)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", ["none", "zlib"])
def test_integers_of_24_bits(compression: str, order: str) -> None:
    values = GRAY.astype(np.uint32) * 250
    wide = values.astype(f"{order}u4").view(np.uint8).reshape(48, 64, 4)
    raw = (wide[..., :3] if order == "<" else wide[..., 1:]).tobytes()
    target = BytesIO()
    tifffile.imwrite(
        target,
        data=iter([imagecodecs.zlib_encode(raw) if compression == "zlib" else raw]),
        shape=(48, 64),
        dtype=np.uint8,
        compression="zlib",
        rowsperstrip=48,
        byteorder=order,
        photometric="minisblack",
        metadata=None,
    )
    target.seek(0)
    with tifffile.TiffFile(target, mode="r+b") as file:
        file.pages[0].tags["BitsPerSample"].overwrite(24)
        if compression == "none":
            file.pages[0].tags["Compression"].overwrite(1)
    assert np.array_equal(only(target.getvalue()).codes, values)


def test_12_bits_in_16_are_stretched_if_a_tag_says_so() -> None:
    values = GRAY >> 4
    page = only(tiff(values, extratags=[(281, 3, 1, 4095, False)]))
    assert np.array_equal(np.rint(page.codes / 65535 * 4095), values)
    assert "expanded from 12 bits" in page.reading
    assert np.array_equal(only(tiff(GRAY, extratags=[(281, 3, 1, 65535, False)])).codes, GRAY)
    with pytest.raises(ImageError, match="4095 is the largest code, but there are codes up to"):
        only(tiff(GRAY, extratags=[(281, 3, 1, 4095, False)]))


def test_12_bits_in_16_are_said_if_no_tag_says_so() -> None:
    with pytest.warns(ImageWarning, match=r"largest code is 4030 of 65535.*levels=\(0, 4095\)"):
        page = only(tiff(GRAY >> 4))
    assert np.array_equal(page.codes, GRAY >> 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        only(tiff(GRAY))
        only(tiff(GRAY * 0))


# -- TIFF: pages ----------------------------------------------------------------------------------


def several(pages: Iterable[tuple[np.ndarray, dict[str, Any]]], **options: Any) -> bytes:
    stream = BytesIO()
    with tifffile.TiffWriter(stream, **options) as writer:
        for array, more in pages:
            color = "rgb" if array.ndim == 3 else "minisblack"
            writer.write(
                array, **{"photometric": color, "metadata": None, "software": False, **more}
            )
    return stream.getvalue()


HDR = np.dstack([GRAY, GRAY[::-1], GRAY])


def tags_of(page: tifffile.TiffPage) -> dict[str, Any]:
    places = {"StripOffsets", "TileOffsets"}
    return {tag.name: tag.value for tag in page.tags if tag.name not in places}


@pytest.mark.parametrize(
    ("order", "byteorder", "big"),
    [
        ((0, 1, 2), "<", False),
        ((0, 1, 2), ">", True),
        ((1, 0, 2), ">", False),
        ((2, 1, 0), "<", True),
    ],
)
def test_pages_that_are_no_image_are_carried_through(
    tmp_path: Path, order: tuple[int, ...], byteorder: str, big: bool
) -> None:
    small = {
        "subfiletype": 1,
        "compression": "zlib",
        "extratags": [("PageName", 2, None, "small", False)],
    }
    mask = {"subfiletype": 2, "tile": (16, 16), "resolution": (123, 45)}
    parts = [(HDR, {}), (RGB_8[::4, ::4].copy(), small), (GRAY_8, mask)]
    stream = BytesIO(several([parts[i] for i in order], byteorder=byteorder, bigtiff=big))
    with tifffile.TiffFile(stream, mode="r+b") as file:
        file.pages[order.index(2)].tags["NewSubfileType"].overwrite(4)
    data = stream.getvalue()
    with open_image(BytesIO(data)) as image:
        assert len(image) == 1
        (page,) = image
        assert "carried through untouched" in page.reading
        assert "(a small copy)" in page.reading
        assert "(a transparency mask)" in page.reading
        with ImageWriter(tmp_path / "out.tif", like=image) as writer:
            writer.write(page, HDR[..., ::-1].copy(), {"software": "recolor"})
        with pytest.raises(ImageError, match=r"PNG cannot hold the further pages.*write a \.tif"):
            ImageWriter(tmp_path / "out.png", like=image)
    with (
        tifffile.TiffFile(BytesIO(data)) as source,
        tifffile.TiffFile(tmp_path / "out.tif") as file,
    ):
        assert len(file.pages) == 3
        assert (file.byteorder, file.is_bigtiff) == (byteorder, big)
        for at, part in enumerate(order):
            one, other = source.pages[at], file.pages[at]
            if part == 0:
                assert np.array_equal(other.asarray(), HDR[..., ::-1])
            else:
                assert np.array_equal(one.asarray(), other.asarray())
                assert tags_of(one) == tags_of(other)


def test_a_page_that_cannot_be_colored_does_not_cost_the_others() -> None:
    complex_page = (GRAY.astype(np.complex64), {})
    data = several([(GRAY, {}), complex_page, (GRAY_8, {})])
    with open_image(BytesIO(data)) as image:
        assert len(image) == 2
        assert image.other_pages == ["page 2 (complex or undefined samples)"]
    with tifffile.TiffFile(BytesIO(written(data))) as file:
        assert [page.dtype for page in file.pages] == [np.uint16, np.complex64, np.uint8]
        assert np.array_equal(file.pages[1].asarray(), complex_page[0])
    with pytest.raises(ImageError, match="page 1: complex"):
        only(several([complex_page, complex_page]))


def with_children(page: np.ndarray, children: list[tuple[np.ndarray, int]], **more: Any) -> bytes:
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        options = {"metadata": None, "photometric": "minisblack"}
        writer.write(page, subifds=len(children), **options, **more)
        for child, subfile in children:
            writer.write(child, subfiletype=subfile, **options)
    return stream.getvalue()


def test_the_main_image_is_read_and_not_its_preview() -> None:
    tag = ("Artist", 2, None, "A. Nonymous", False)
    data = with_children(
        GRAY_8[::8, ::8].copy(),
        [(GRAY_8[::2, ::2].copy(), 1), (GRAY, 0)],
        subfiletype=1,
        extratags=[tag],
    )
    page = only(data)
    assert np.array_equal(page.codes, GRAY)
    assert "the main image, not the preview of 8 x 6" in page.reading
    assert page.metadata.exif is not None
    assert b"A. Nonymous" in page.metadata.exif
    result = written(data)
    with tifffile.TiffFile(BytesIO(result)) as file:
        assert np.array_equal(file.asarray()[..., 0], GRAY)
        assert file.pages[0].subfiletype == 0


def test_a_preview_of_camera_raw_is_refused() -> None:
    data = bytearray(with_children(GRAY_8[::8, ::8].copy(), [(GRAY, 0)], subfiletype=1))
    at = data.rindex(struct.pack("<HHIH", 262, 3, 1, 1))
    data[at + 8 : at + 10] = struct.pack("<H", 32803)
    with pytest.raises(ImageError, match=r"camera raw.*raw converter"):
        only(bytes(data))


def test_a_linear_raw_is_read_as_linear_light() -> None:
    data = tiff_with("PhotometricInterpretation", 34892, GRAY)
    page = only(data)
    assert np.array_equal(page.codes, GRAY)
    assert page.space.curve.gamma == 1
    assert page.metadata.icc == icc.profile_of(page.space)
    level = [(50717, 3, 1, 16383, False)]  # WhiteLevel
    page = only(tiff_with("PhotometricInterpretation", 34892, GRAY >> 2, extratags=level))
    assert np.array_equal(np.rint(page.codes / 65535 * 16383), GRAY >> 2)


def block_means(array: np.ndarray, factor: int) -> np.ndarray:
    """The mean of every block; those at the edges are smaller."""
    rows, columns = (range(0, length, factor) for length in array.shape[:2])
    blocks = [
        [array[y : y + factor, x : x + factor].astype(float).mean((0, 1)) for x in columns]
        for y in rows
    ]
    means = np.array(blocks)
    return means if array.dtype.kind == "f" else np.rint(means)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("in_pages", [False, True])
def test_a_pyramid_is_made_anew_from_the_result(in_pages: bool, dtype: type) -> None:
    gray = GRAY[:45, :61].astype(dtype) if dtype != np.float32 else np.float32(GRAY / 65535)
    levels = [gray[::factor, ::factor].copy() for factor in (2, 4)]
    mask = (GRAY_8[:9, :9].copy(), {"subfiletype": 1})
    options = {"tile": (16, 16), "compression": "zlib"}
    if in_pages:
        pages = [(gray, options), *((level, {"subfiletype": 1, **options}) for level in levels)]
        data = several([*pages, mask])
    else:
        data = with_children(gray, [(level, 1) for level in levels], **options)
    with open_image(BytesIO(data)) as image:
        assert len(image) == 1
        (page,) = image
        assert np.array_equal(page.codes, gray)
        assert "pyramid, made anew" in page.reading
        assert bool(image.other_pages) == in_pages
        color = RANDOM.permuted(np.dstack([gray] * 3), axis=2)
        target = BytesIO()
        with ImageWriter(target, like=image) as writer:
            writer.write(page, iter(np.array_split(color, 7)))
    with tifffile.TiffFile(BytesIO(target.getvalue())) as file:
        found = file.pages[1:3] if in_pages else file.pages[0].pages
        assert np.array_equal(file.pages[0].asarray(), color)
        assert len(file.pages) == (4 if in_pages else 1)
        for factor, level in zip((2, 4), found, strict=True):
            assert level.subfiletype == 1
            assert level.compression == 8
            assert level.dtype == dtype
            np.testing.assert_allclose(level.asarray(), block_means(color, factor), rtol=1e-5)


def test_images_of_subifds_that_are_no_pyramid_are_left_out_and_said() -> None:
    data = with_children(GRAY, [(GRAY[:7, :30].copy(), 1)])
    assert "1 image of SubIFDs left out" in only(data).reading


def test_a_large_level_lies_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_levels, "_LARGEST_IN_MEMORY", 0)
    level = tiff_levels.Level(3, (10, 11, 1), np.dtype(np.uint16))
    for strip in np.array_split(GRAY[:10, :11], 4):
        level.take(strip)
    assert isinstance(level.finished(), np.memmap)
    assert np.array_equal(level.finished()[..., 0], block_means(GRAY[:10, :11], 3))


# -- other formats --------------------------------------------------------------------------------


def bmp_of_16_bits(values: np.ndarray, masks: tuple[int, int, int] | None) -> bytes:
    height, width = values.shape
    stride = (2 * width + 3) // 4 * 4
    rows = np.zeros((height, stride), np.uint8)
    rows[:, : 2 * width] = values.astype("<u2").view(np.uint8)
    fields = struct.pack("<3I", *masks) if masks else b""
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, -height, 1, 16, 3 if masks else 0, rows.size, 2835, 5670, 0, 0
    )
    offset = 14 + 40 + len(fields)
    head = struct.pack("<2sIHHI", b"BM", offset + rows.size, 0, 0, offset)
    return head + info + fields + rows.tobytes()


@pytest.mark.parametrize(
    "masks", [None, (0x7C00, 0x3E0, 0x1F), (0xF800, 0x7E0, 0x1F), (0xF00, 0xF0, 0xF), (0x3, 0x4, 0)]
)
def test_bit_fields_of_a_bmp(masks: tuple[int, int, int] | None) -> None:
    values = RANDOM.integers(0, 65536, (9, 7), dtype=np.uint16)
    page = only(bmp_of_16_bits(values, masks))
    for channel, mask in enumerate(masks or (0x7C00, 0x3E0, 0x1F)):
        shift = max(0, (mask & -mask).bit_length() - 1)
        top = mask >> shift
        expected = np.rint((values & mask) // (1 << shift) * 255.0 / max(top, 1))
        assert np.abs(page.codes[..., channel] - expected).max() <= 0.5
    assert page.metadata.resolution is not None
    assert page.metadata.resolution.per_meter() == (2835, 5670)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16", "LA", "RGBA"])
def test_interlaced_png_is_read_without_a_word(mode: str, capfd: pytest.CaptureFixture) -> None:
    for height, width in ((1, 1), (3, 2), (8, 8), (5, 9), (48, 64)):
        plain = interlaced = b""
        channels = {"RGB": 3, "LA": 2, "RGBA": 4}.get(mode, 1)
        shape = (height, width, channels)[: 2 if channels == 1 else 3]
        if mode == "1":
            image = Image.fromarray(RANDOM.integers(0, 2, shape).astype(bool))
        elif mode == "I;16":
            # Codes of at most 12 bits would warn that the image is nearly black.
            image = Image.fromarray(RANDOM.integers(4096, 65536, shape, dtype=np.uint16))
        elif mode == "P":
            image = Image.fromarray(RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8))
            image = image.quantize(13)
        else:
            image = Image.fromarray(RANDOM.integers(0, 256, shape, dtype=np.uint8))
        stream = BytesIO()
        image.save(stream, "PNG")
        plain = stream.getvalue()
        interlaced = adam7(plain)
        one, other = only(plain), only(interlaced)
        assert np.array_equal(one.codes, other.codes)
        assert (one.alpha is None) == (other.alpha is None)
        if one.alpha is not None:
            assert np.array_equal(one.alpha, other.alpha)
        oracle = Image.open(BytesIO(interlaced))
        assert np.array_equal(np.asarray(oracle), np.asarray(Image.open(BytesIO(plain))))
    assert capfd.readouterr() == ("", "")


def adam7(data: bytes) -> bytes:
    """A PNG anew, interlaced; after ISO/IEC 15948, 8.2."""
    chunks, at = [], 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    width, height, bits, color = struct.unpack(">IIBB", chunks[0][1][:10])
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color] * bits
    stream = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    stride = (width * samples + 7) // 8
    rows, previous = [], bytes(stride)
    step = max(1, samples // 8)
    for y in range(height):
        kind, line = stream[y * (stride + 1)], bytearray(stream[y * (stride + 1) + 1 :][:stride])
        for x in range(stride):
            left = line[x - step] if x >= step else 0
            above, corner = previous[x], previous[x - step] if x >= step else 0
            guess = left + above - corner
            paeth = min((left, above, corner), key=lambda v: abs(guess - v))
            line[x] = (line[x] + (0, left, above, (left + above) // 2, paeth)[kind]) & 255
        rows.append(np.unpackbits(np.frombuffer(bytes(line), np.uint8))[: width * samples])
        previous = bytes(line)
    pixels = np.array(rows).reshape(height, width, samples)
    out = b""
    for top, first, down, across in (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ):
        part = pixels[top::down, first::across]
        if part.size:
            packed = np.packbits(part.reshape(len(part), -1), axis=1)
            out += b"".join(b"\0" + row.tobytes() for row in packed)
    result = data[:8]
    for kind, body in [
        (b"IHDR", chunks[0][1][:12] + b"\1"),
        *((k, b) for k, b in chunks if k in (b"PLTE", b"tRNS")),
        (b"IDAT", zlib.compress(out)),
        (b"IEND", b""),
    ]:
        result += struct.pack(">I", len(body)) + kind + body
        result += struct.pack(">I", zlib.crc32(kind + body))
    return result


def test_cmyk_in_jpeg_2000_goes_through_its_profile() -> None:
    ink = RANDOM.integers(0, 256, (48, 64, 4), dtype=np.uint8)
    data = jpeg_2000(ink)
    page = only(data)
    assert page.alpha is not None  # without a word on it, four channels are RGB and alpha
    colr = data.index(b"colr")
    size = int.from_bytes(data[colr - 4 : colr], "big")
    box = struct.pack(">I4s3BI", 15, b"colr", 1, 0, 0, 12)
    head = data.index(b"jp2h")
    grown = int.from_bytes(data[head - 4 : head], "big") + 15 - size
    changed = data[: colr - 4] + box + data[colr - 4 + size :]
    changed = changed[: head - 4] + struct.pack(">I", grown) + changed[head:]
    page = only(changed)
    assert page.alpha is None
    assert "CMYK" in page.reading
    expected = np.rint((255.0 - ink[..., :3]) * (255.0 - ink[..., 3:4]) / 255)
    assert np.abs(page.codes - expected).max() <= 1


@pytest.mark.parametrize("ending", ["TIFF", "PNG", "WebP", "BMP", "JPEG 2000", "JPEG"])
def test_every_writer_takes_every_tiny_shape(ending: str) -> None:
    for height in (1, 2, 3, 9):
        for width in (1, 2, 3, 9):
            for dtype in (np.uint8, np.uint16):
                if dtype == np.uint16 and ending not in ("TIFF", "PNG", "JPEG 2000"):
                    continue
                white = np.iinfo(dtype).max
                # Strides as they are after a view of planes: odd where an axis has one element.
                planes = np.full((3, height, width), white, dtype)
                strip = np.moveaxis(planes, 0, -1)
                target = BytesIO()
                with ImageWriter(target, format=ending) as writer:
                    writer.write(Page(planes[0]), strip)
                found = only(target.getvalue())
                assert found.codes.shape == (height, width, 3)
                assert np.abs(found.codes.astype(int) - white).max() <= (
                    3 if ending == "JPEG" else 0
                )

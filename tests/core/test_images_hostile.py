"""Small files that claim much: refused, or read without what is hostile in them.

No codec may be reached: what it would make is compared with the page first.
"""

import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recolor_core.errors import ImageError
from recolor_core.images import ImageWriter, Page, exif, icc, open_image, xmp
from recolor_core.images.claims import size_of
from recolor_core.images.limits import MAX_XMP_DEPTH, MAX_XMP_NODES

from .badfiles import GRAY_8, RGB_8, encoded, jpeg_2000, jpeg_bomb, png_header, tiff, tiff_with

SMALL = np.zeros((64, 64), np.uint8)
LIMIT = 40 << 20  # of memory that Python and NumPy may take


@contextmanager
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < LIMIT
    finally:
        tracemalloc.stop()


def pages(data: bytes) -> list[Page]:
    with little_memory(), open_image(BytesIO(data)) as image:
        return list(image)


def one_strip(stream: bytes, compression: int, channels: int = 1) -> bytes:
    """A TIFF page of 64 x 64 pixels whose strip is an encoded stream."""
    target = BytesIO()
    shape = (64, 64) if channels == 1 else (64, 64, channels)
    tifffile.imwrite(
        target,
        data=iter([stream]),
        shape=shape,
        dtype=np.uint8,
        compression="zlib",
        photometric="minisblack" if channels == 1 else "rgb",
        rowsperstrip=64,
        metadata=None,
    )
    target.seek(0)
    with tifffile.TiffFile(target, mode="r+b") as file:
        file.pages[0].tags["Compression"].overwrite(compression)
    return target.getvalue()


def large_j2k() -> bytes:
    data = bytearray(imagecodecs.jpeg2k_encode(SMALL, level=0, codecformat="j2k"))
    data[8:16] = struct.pack(">II", 60_000, 50_000)
    return bytes(data)


def large_webp() -> bytes:
    data = bytearray(imagecodecs.webp_encode(np.zeros((64, 64, 3), np.uint8), lossless=True))
    at = data.index(b"VP8L") + 9
    packed = int.from_bytes(data[at : at + 4], "little") & ~0xFFFFFFF
    data[at : at + 4] = (packed | 16382 | 16382 << 14).to_bytes(4, "little")
    return bytes(data)


BOMBS: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: one_strip(jpeg_bomb(65_000, 65_000), 7, 3),
    "JPEG 2000": lambda: one_strip(large_j2k(), 34712),
    "JP2": lambda: one_strip(jpeg_2000(np.zeros((500, 500), np.uint8)), 34712),
    "WebP": lambda: one_strip(large_webp(), 50001, 3),
    "PNG": lambda: one_strip(png_header(60_000, 60_000), 34933),
    "JPEG XL": lambda: one_strip(imagecodecs.jpegxl_encode(np.zeros((500, 600), np.uint8)), 50002),
    "not a stream": lambda: one_strip(b"nothing of this kind" * 20, 7),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_stream_in_a_tiff_makes_no_more_than_its_page(name: str) -> None:
    with pytest.raises(ImageError, match=r"claims .* the page gives it 64 x 64|no readable header"):
        pages(BOMBS[name]())


@pytest.mark.parametrize("codec", ["jpeg", "jpeg2000", "webp", "png", "jpegxl"])
def test_streams_that_fit_are_read(codec: str) -> None:
    for layout in ({"rowsperstrip": 20}, {"tile": (32, 32)}):
        (page,) = pages(tiff(RGB_8, photometric="rgb", compression=codec, **layout))
        assert page.codes.shape == RGB_8.shape
        assert np.abs(page.codes.astype(int) - RGB_8).mean() < 20


@pytest.mark.parametrize(("height", "width"), [(1, 1), (16, 9), (48, 64), (1000, 3), (264, 300)])
def test_the_size_that_a_stream_claims_is_its_size(height: int, width: int) -> None:
    rgb = np.zeros((height, width, 3), np.uint8)
    for stream in (
        imagecodecs.jpeg8_encode(rgb),
        imagecodecs.png_encode(rgb),
        imagecodecs.webp_encode(rgb, lossless=True),
        imagecodecs.webp_encode(rgb, lossless=False),
        imagecodecs.jpeg2k_encode(rgb, level=0, codecformat="j2k"),
        imagecodecs.jpeg2k_encode(rgb, level=0, codecformat="jp2"),
        imagecodecs.jpegxl_encode(rgb),
        imagecodecs.jpegxl_encode(rgb, usecontainer=True),
    ):
        assert size_of(bytes(stream)) == (height, width)


def large_tile() -> bytes:
    stream = BytesIO(tiff(SMALL, tile=(64, 64), compression="zlib"))
    with tifffile.TiffFile(stream, mode="r+b") as file:
        file.pages[0].tags["TileWidth"].overwrite(60_000)
        file.pages[0].tags["TileLength"].overwrite(60_000)
    return stream.getvalue()


def test_a_tile_is_not_far_larger_than_its_page() -> None:
    with pytest.raises(ImageError, match="its tiles have 60000 x 60000 pixels, the page 64 x 64"):
        pages(large_tile())


def test_a_deflate_bomb_in_a_strip_is_cut() -> None:
    bomb = zlib.compress(bytes(48 << 20), 9)
    with pytest.raises(ImageError, match="damaged"):
        pages(one_strip(bomb, 8))


@pytest.mark.parametrize("code", [258, 363, 511])
def test_lzw_that_begins_with_a_code_of_no_meaning_does_not_reach_the_codec(code: int) -> None:
    bits = 256 << 23 | code << 14
    with pytest.raises(ImageError, match="an LZW tile or strip is damaged"):
        pages(one_strip(bits.to_bytes(4, "big") + bytes(60), 5))


def gif_of(height: int, width: int) -> bytes:
    data = bytearray(encoded("GIF", SMALL[:8, :8]))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [gif_of(22_000, 22_000), png_header(22_000, 22_000), png_header(22_000, 22_000, bits=1)],
    ids=["GIF", "PNG", "PNG of 1 bit"],
)
def test_a_few_bytes_do_not_make_a_large_image(data: bytes) -> None:
    with pytest.raises(ImageError, match="22000 x 22000"):
        pages(data)


def test_who_raises_max_pixels_trusts_the_file() -> None:
    data = png_header(22_000, 22_000)
    with pytest.raises(ImageError, match=r"484 million pixels in \d+ bytes.*raise max_pixels"):
        pages(data)
    with open_image(BytesIO(data), max_pixels=500_000_001) as image:
        assert image.output_nbytes == 3 * 22_000**2


def test_a_blank_page_may_be_small() -> None:
    blank = np.zeros((2500, 2000), bool)
    with open_image(BytesIO(encoded("TIFF", blank, compression="group4"))) as image:
        assert next(iter(image)).codes.shape == blank.shape


# -- tags -----------------------------------------------------------------------------------------

SCALARS = (254, 256, 257, 259, 262, 266, 277, 278, 284, 317, 322, 323, 332, 32997)
ARRAYS = (258, 273, 279, 281, 320, 324, 325, 330, 338, 339)


def page_with(code: int, kind: int, count: int) -> bytes:
    """A plain page of 8 x 8 pixels, one of whose tags has another type and count."""
    tags = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 300, 277: 1, 278: 8, 279: 64}
    body = b""
    for tag, value in sorted({**tags, code: tags.get(code, 0)}.items()):
        type_, number = (kind, count) if tag == code else (4, 1)
        body += struct.pack("<HHII", tag, type_, number, value)
    head = b"II*\0" + struct.pack("<IH", 8, len(body) // 12)
    return (head + body + bytes(4)).ljust(300, b"\0") + bytes(range(64)) * 4


def test_the_page_of_these_tests_is_read() -> None:
    (page,) = pages(page_with(277, 4, 1))
    assert np.array_equal(page.codes.ravel(), np.arange(64))


@pytest.mark.parametrize("code", SCALARS + ARRAYS)
def test_a_tag_of_a_wrong_type_is_one_line(code: int) -> None:
    for kind in (2, 5, 6, 7, 8, 9, 10, 11, 12):
        with pytest.raises(ImageError, match=f"tag {code} has type {kind}"):
            pages(page_with(code, kind, 1))
    with pytest.raises(ImageError, match=f"tag {code} has type 4 and 0 values"):
        pages(page_with(code, 4, 0))


@pytest.mark.parametrize("code", SCALARS)
def test_a_tag_of_several_values_that_has_one_is_one_line(code: int) -> None:
    with pytest.raises(ImageError, match=f"tag {code} has type 4 and 2 values"):
        pages(page_with(code, 4, 2))


def sharing(entries: int, size: int) -> tuple[bytes, int]:
    """A directory whose entries all point to one value, as a TIFF, and where it begins."""
    directory = b"".join(struct.pack("<HHII", 40_000 + i, 7, size, 8) for i in range(entries))
    body = b"II*\0" + struct.pack("<I", 8 + size) + bytes(size)
    return body + struct.pack("<H", entries) + directory + bytes(4), 8 + size


def test_entries_of_exif_that_share_a_value_are_left_out() -> None:
    block, _ = sharing(4000, 60_000)
    with little_memory():
        assert exif.take(block) == (None, 1)
    (page,) = pages(encoded("PNG", GRAY_8, exif=block))
    assert "EXIF left out (damaged)" in page.reading
    assert page.metadata.exif is None


def test_tags_of_a_tiff_that_share_a_value_are_refused() -> None:
    block, _ = sharing(4000, 60_000)
    with pytest.raises(ImageError, match="tags take more bytes"):
        pages(block)


# -- profiles -------------------------------------------------------------------------------------


def gray_profile(curve: bytes, copies: int = 1) -> bytes:
    """A gray profile with one curve, under as many tags as there are copies."""
    head = bytearray(128)
    head[8:12], head[16:20], head[20:24], head[36:40] = b"\2\x40\0\0", b"GRAY", b"XYZ ", b"acsp"
    names = [b"kTRC", *(f"c{i:03}".encode() for i in range(copies - 1))]
    table = b"".join(struct.pack(">4sII", n, 132 + 12 * copies, len(curve)) for n in names)
    return bytes(head) + struct.pack(">I", copies) + table + curve


def test_a_curve_of_too_many_entries_is_not_used() -> None:
    for count in (65_537, 1_000_000):
        curve = (
            b"curv"
            + struct.pack(">II", 0, count)
            + np.linspace(0, 65535, count, dtype=">u2").tobytes()
        )
        profile = gray_profile(curve)
        with little_memory():
            found = icc.read_profile(profile)
        assert found is not None
        assert found.space is None
        (page,) = pages(encoded("PNG", GRAY_8, icc_profile=profile))
        assert np.array_equal(page.codes, GRAY_8)
        assert "ignored" in page.reading


def test_a_profile_whose_tags_share_their_bytes() -> None:
    curve = (
        b"curv" + struct.pack(">II", 0, 4096) + np.linspace(0, 65535, 4096, dtype=">u2").tobytes()
    )
    with little_memory():
        assert icc.read_profile(gray_profile(curve + bytes(4 << 20), copies=900)) is not None


def test_a_huge_profile_is_left_out() -> None:
    profile = gray_profile(bytes(17 << 20))
    (page,) = pages(encoded("PNG", GRAY_8, icc_profile=profile))
    assert "ICC profile left out (too large)" in page.reading
    assert np.array_equal(page.codes, GRAY_8)


def test_a_profile_that_littlecms_rejects_does_not_cost_the_image() -> None:
    lut = bytearray(gray_profile(b"curv" + struct.pack(">IIH", 0, 1, 256)))
    lut[16:20] = b"RGB "
    lut[132:136] = b"A2B0"  # a table, that is none
    (page,) = pages(encoded("PNG", RGB_8, icc_profile=bytes(lut)))
    assert np.array_equal(page.codes, RGB_8)
    assert "cannot be applied, ignored" in page.reading


# -- XMP ------------------------------------------------------------------------------------------

RDF = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">%b</rdf:RDF>'


@pytest.mark.parametrize(
    ("packet", "problem"),
    [
        (RDF % b"<a/>", ""),
        (RDF % (b"<a>" * (MAX_XMP_DEPTH - 1) + b"</a>" * (MAX_XMP_DEPTH - 1)), ""),
        (RDF % (b"<a>" * 5000 + b"</a>" * 5000), "too large"),
        (RDF % (b"<a/>" * (MAX_XMP_NODES + 1)), "too large"),
        (RDF % (b"<!---->" * (MAX_XMP_NODES + 1)), "too large"),
        (RDF % (b" " * (5 << 20)), "too large"),
        (b'<!DOCTYPE a [<!ENTITY e "ee">]>' + RDF % b"&e;", "damaged"),
        (RDF % b"<a>", "damaged"),
        (b"\xff\xfe\0", "damaged"),
    ],
    ids=["plain", "deep", "too deep", "nodes", "comments", "bytes", "entities", "open", "no XML"],
)
def test_a_packet_is_measured_before_it_is_parsed(packet: bytes, problem: str) -> None:
    assert xmp.problem(packet) == problem
    data = encoded("WEBP", RGB_8, lossless=True, xmp=packet)
    (page,) = pages(data)
    assert (page.metadata.xmp is None) == bool(problem)
    assert (f"XMP left out ({problem})" in page.reading) == bool(problem)
    target = BytesIO()
    with ImageWriter(target, format="PNG") as writer:
        writer.write(page, page.codes, {"software": "recolor"})
    assert b"TrainedAlgorithmicMedia" in target.getvalue()


def test_a_compressed_packet_is_not_inflated_beyond_the_limit() -> None:
    body = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(48 << 20), 9)
    data = encoded("PNG", GRAY_8)
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body
    chunk += struct.pack(">I", zlib.crc32(b"iTXt" + body))
    (page,) = pages(data[:33] + chunk + data[33:])
    assert "XMP left out (too large)" in page.reading


# -- what the fuzzer found ----------------------------------------------------------------------


@pytest.mark.parametrize("head", [b"\0\0\0\1ftypab", b"\0\0\0\1ftyp", b"\0\0\0\1"])
def test_a_box_that_ends_within_its_length_is_one_line(head: bytes) -> None:
    with pytest.raises(ImageError):
        pages(head)


def test_a_jp2_box_does_not_claim_more_than_its_codestream() -> None:
    data = bytearray(jpeg_2000(RGB_8))
    at = data.index(b"ihdr")
    data[at + 4 : at + 8] = (1 << 30).to_bytes(4, "big")
    color = data.index(b"colr") + 7
    data[color : color + 4] = (18).to_bytes(4, "big")  # sYCC: Pillow's path
    with pytest.raises(ImageError, match="its header states"):
        pages(bytes(data))


# -- anything -------------------------------------------------------------------------------------

SEEDS = {
    "tiff": tiff(GRAY_8, rowsperstrip=10, description="x" * 30),
    "jpeg in tiff": tiff(RGB_8, photometric="rgb", compression="jpeg", tile=(32, 32)),
    "palette": encoded("TIFF", np.zeros((5, 7), bool)),
    "png": encoded("PNG", RGB_8, icc_profile=icc.profile_of(icc.SRGB)),
    "jpeg": encoded("JPEG", RGB_8, comment=b"hello", xmp=RDF % b"<a/>"),
    "gif": encoded("GIF", GRAY_8),
    "bmp": encoded("BMP", RGB_8),
    "jp2": jpeg_2000(GRAY_8),
    "pnm": b"P6\n64 48\n255\n" + RGB_8.tobytes(),
    "pam": b"P7\nWIDTH 64\nHEIGHT 48\nDEPTH 1\nMAXVAL 255\nENDHDR\n" + GRAY_8.tobytes(),
    "psd": b"8BPS" + struct.pack(">H6xHIIHH12xH", 1, 1, 48, 64, 8, 1, 0) + GRAY_8.tobytes(),
    "jxl": bytes(imagecodecs.jpegxl_encode(RGB_8, usecontainer=True)),
    "avif": encoded("AVIF", RGB_8),
    "webp": encoded("WEBP", RGB_8, lossless=True),
    "lzw": tiff(GRAY_8, compression="lzw", predictor=True, tile=(16, 16)),
    "subifd": tiff_with("NewSubfileType", 0, subfiletype=1),
}


@pytest.mark.slow
@given(
    st.sampled_from(sorted(SEEDS)),
    st.lists(st.tuples(st.integers(0, 600), st.binary(min_size=1, max_size=4)), max_size=6),
    st.integers(0, 3000),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_mutated_files_are_read_or_refused(
    name: str, changes: list[tuple[int, bytes]], cut: int
) -> None:
    data = bytearray(SEEDS[name])
    for at, piece in changes:
        at %= len(data)
        data[at : at + len(piece)] = piece
    if cut < len(data):
        del data[len(data) - cut :]
    with suppress(ImageError), open_image(BytesIO(bytes(data)), max_pixels=4_000_000) as image:
        for page in image:
            assert page.codes.ndim in (2, 3)
            assert page.reading

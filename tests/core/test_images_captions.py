"""Captions, comments and tags go where the result has a place for them. Nothing is lost unsaid."""

import json
import shutil
import struct
import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from PIL import Image

from recolor_core.images import ImageWriter, Metadata, Page, iptc, open_image, photoshop, xmp

from .badfiles import GRAY_8, encoded, jpeg_2000, tiff
from .test_images_exif import camera_exif
from .test_images_kinds import jpeg

NAMES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": xmp.DC,
    "photoshop": xmp.PHOTOSHOP,
    "Iptc4xmpCore": xmp.IPTC_CORE,
    "exif": xmp.EXIF,
}
CAPTION = "Am Fluß, 1923"


def records(*datasets: tuple[int, int, bytes]) -> bytes:
    return b"".join(
        struct.pack(">BBBH", 0x1C, record, number, len(value)) + value
        for record, number, value in datasets
    )


UTF_8 = (1, 90, b"\x1b%G")
IPTC = records(
    UTF_8,
    (2, 5, b"Box 17"),
    (2, 25, b"river"),
    (2, 25, "Brücke".encode()),
    (2, 55, b"19230704"),
    (2, 60, b"120000+0100"),
    (2, 80, b"A. Nonymous"),
    (2, 90, b"Bern"),
    (2, 116, b"public domain"),
    (2, 120, CAPTION.encode()),
)


def resource(kind: int, body: bytes, name: bytes = b"") -> bytes:
    pascal = bytes([len(name)]) + name
    pascal += b"\0" * (len(pascal) % 2)
    return (
        b"8BIM"
        + struct.pack(">H", kind)
        + pascal
        + struct.pack(">I", len(body))
        + body
        + (b"\0" * (len(body) % 2))
    )


RESOURCES = (
    resource(0x0404, IPTC)
    + resource(0x0409, b"thumbnail of the gray image")
    + resource(0x040C, b"thumbnail of the gray image")
    + resource(0x0422, b"II*\0")
    + resource(0x07D0, b"a path", b"odd")
    + resource(0x040B, b"https://example.org/17")
)


def captioned_jpeg(*more: tuple[int, bytes]) -> bytes:
    return jpeg(
        (0xED, b"Photoshop 3.0\0" + RESOURCES),
        (0xFE, b"scanned on Tuesday"),
        (0xFE, "and gerührt".encode("latin-1")),
        *more,
    )


def captioned_tiff(**options: Any) -> bytes:
    tags = [
        (33723, 7, len(IPTC), IPTC, False),
        (34377, 7, len(RESOURCES), RESOURCES, False),
        (42112, 2, None, "<GDALMetadata/>", False),
        (42113, 2, None, "0", False),
    ]
    return tiff(GRAY_8, extratags=tags, metadata=None, **options)


def rgb(page: Page) -> np.ndarray:
    return page.codes if page.codes.ndim == 3 else np.dstack([page.codes] * 3)


def recolored(data: bytes, format: str) -> bytes:
    target = BytesIO()
    with (
        open_image(BytesIO(data)) as image,
        ImageWriter(target, like=image, format=format) as writer,
    ):
        for page in image:
            writer.write(page, rgb(page), {"software": "recolor"})
    return target.getvalue()


def metadata_of(data: bytes) -> Metadata:
    with open_image(BytesIO(data)) as image:
        return next(iter(image)).metadata


def texts(packet: bytes | None, name: str) -> list[str]:
    """The text of a property, of all its entries."""
    assert packet is not None
    root = ElementTree.fromstring(packet.strip())
    found = root.find(f".//{name}", NAMES)
    if found is None:
        return []
    entries = found.findall(".//rdf:li", NAMES)
    return [entry.text or "" for entry in entries] or [found.text or ""]


EXPECTED = {
    "dc:title": ["Box 17"],
    "dc:subject": ["river", "Brücke"],
    "photoshop:DateCreated": ["1923-07-04T12:00:00+01:00"],
    "dc:creator": ["A. Nonymous"],
    "photoshop:City": ["Bern"],
    "dc:rights": ["public domain"],
    "dc:description": [CAPTION],
}


@pytest.mark.parametrize("format", ["PNG", "WebP", "JPEG 2000"])
@pytest.mark.parametrize("make", [captioned_jpeg, captioned_tiff])
def test_iptc_becomes_xmp_if_there_is_no_place_for_it(
    make: Callable[[], bytes], format: str
) -> None:
    packet = metadata_of(recolored(make(), format)).xmp
    for name, expected in EXPECTED.items():
        assert texts(packet, name) == expected


@pytest.mark.parametrize("make", [captioned_jpeg, captioned_tiff])
@pytest.mark.parametrize("format", ["TIFF", "JPEG"])
def test_iptc_stays_iptc_if_there_is_a_place_for_it(make: Callable[[], bytes], format: str) -> None:
    found = metadata_of(recolored(make(), format))
    assert found.iptc == IPTC
    assert texts(found.xmp, "dc:description") == []
    assert found.photoshop is not None
    kept = photoshop.read(found.photoshop)
    assert set(kept) == {0x0404, 0x07D0, 0x040B}
    assert kept[0x040B] == b"https://example.org/17"


def test_tags_of_a_tiff_are_kept() -> None:
    with tifffile.TiffFile(BytesIO(recolored(captioned_tiff(), "TIFF"))) as file:
        tags = file.pages[0].tags
        assert tags[33723].value == IPTC
        assert tags[42112].value == "<GDALMetadata/>"
        assert tags[42113].value == "0"
        assert b"example.org" in tags[34377].value
        assert b"thumbnail" not in tags[34377].value


@pytest.mark.parametrize("description", [None, "children walking"])
def test_a_caption_before_the_shape_of_the_array_is_kept(description: str | None) -> None:
    """tifffile writes two tags 270: the caption, and the shape, which the result does not have."""
    source = BytesIO()
    tifffile.imwrite(source, GRAY_8, description=description)
    assert b'{"shape": ' in source.getvalue()
    with tifffile.TiffFile(BytesIO(recolored(source.getvalue(), "TIFF"))) as file:
        kept = [tag.value for tag in file.pages[0].tags if tag.code == 270]
    assert kept == ([description] if description else [])


def test_paths_do_not_follow_a_turned_image() -> None:
    data = captioned_tiff()
    with open_image(BytesIO(data)) as image:
        assert 0x07D0 in photoshop.read(next(iter(image)).metadata.photoshop or b"")
    kept = photoshop.kept(RESOURCES, turned=True)
    assert set(photoshop.read(kept or b"")) == {0x0404, 0x040B}


@pytest.mark.parametrize("order", ["<", ">"])
def test_iptc_of_type_long_is_not_swapped(order: str) -> None:
    padded = IPTC + b"\0" * (-len(IPTC) % 4)
    values = np.frombuffer(padded, f"{order}u4")
    tag = (33723, 4, len(values), tuple(values.tolist()), False)
    data = tiff(GRAY_8, extratags=[tag], byteorder=order)
    assert texts(metadata_of(recolored(data, "PNG")).xmp, "dc:description") == [CAPTION]


def test_properties_that_the_packet_has_win() -> None:
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="%b"><rdf:Description '
        b'rdf:about="" xmlns:photoshop="%b" photoshop:City="Thun"/></rdf:RDF></x:xmpmeta>'
        % (NAMES["rdf"].encode(), xmp.PHOTOSHOP.encode())
    )
    data = captioned_jpeg((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet))
    result = metadata_of(recolored(data, "PNG")).xmp
    assert result is not None
    assert b'photoshop:City="Thun"' in result
    assert b"Bern" not in result
    assert texts(result, "dc:creator") == ["A. Nonymous"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Brücke".encode(), "Brücke"),
        ("Brücke".encode("latin-1"), "Brücke"),
        (b"bell\x07 and <tags> & more", "bell and <tags> & more"),
        (b"padded\0\0 ", "padded"),
    ],
)
def test_captions_in_any_encoding(value: bytes, text: str) -> None:
    (found,) = iptc.properties(records((2, 120, value)))
    assert texts(xmp.extended(None, [found]), "dc:description") == [text]


@pytest.mark.parametrize(
    ("date", "time", "moment"),
    [
        (b"19230704", b"", "1923-07-04"),
        (b"19230704", b"120000", "1923-07-04T12:00:00"),
        (b"19230704", b"120000-0500", "1923-07-04T12:00:00-05:00"),
        (b"summer", b"120000", "summer"),
    ],
)
def test_moments(date: bytes, time: bytes, moment: str) -> None:
    (found,) = iptc.properties(records((2, 55, date), *([(2, 60, time)] if time else [])))
    assert found.values == (moment,)


def test_damaged_iptc_gives_what_comes_before_the_damage() -> None:
    for block in (IPTC[:-3], IPTC + b"\x1c\2\x78\xff\xff", IPTC + b"nonsense"):
        assert [p.name for p in iptc.properties(block)][:2] == ["dc:title", "dc:subject"]
    assert iptc.properties(b"") == []
    large = b"\x1c\2\x78\x80\4" + struct.pack(">I", 40_000) + b"x" * 40_000
    assert iptc.properties(large)[0].values == ("x" * 40_000,)


def commented_gif() -> bytes:
    return encoded("GIF", GRAY_8, comment=b"scanned on Tuesday")


def commented_jp2() -> bytes:
    data = jpeg_2000(GRAY_8)
    at = data.index(b"\xff\x52")  # in front of COD
    comment = struct.pack(">HHH", 0xFF64, 4 + 18, 1) + b"scanned on Tuesday"
    start = data.index(b"jp2c") - 4
    size = int.from_bytes(data[start : start + 4], "big")
    length = struct.pack(">I", size + len(comment) if size else 0)
    return data[:start] + length + data[start + 4 : at] + comment + data[at:]


@pytest.mark.parametrize("make", [captioned_jpeg, commented_gif, commented_jp2])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WebP", "JPEG 2000"])
def test_comments_are_kept(make: Callable[[], bytes], format: str) -> None:
    data = recolored(make(), format)
    if format in ("PNG", "JPEG"):
        with Image.open(BytesIO(data)) as image:
            comment = image.info.get("comment", image.info.get("Comment"))
        text = comment.decode() if isinstance(comment, bytes) else str(comment)
    else:
        (text,) = texts(metadata_of(data).xmp, "exif:UserComment")
    assert "scanned on Tuesday" in text
    if make is captioned_jpeg:
        assert "and gerührt" in text


# -- exiftool's list of tags, before and after ----------------------------------------------------

# What differs on purpose: the file itself, how its pixels are stored, what marks a result, and
# where a caption went.
FILE_GROUPS = {"File", "System", "ExifTool", "Composite", "ICC-header"}
STORAGE_NAMES = """
ImageWidth ImageHeight BitsPerSample SamplesPerPixel PhotometricInterpretation Compression
RowsPerStrip StripOffsets StripByteCounts PlanarConfiguration Predictor SubfileType BitDepth
ColorType Filter Interlace PixelsPerUnitX PixelsPerUnitY PixelUnits JFIFVersion ResolutionUnit
XResolution YResolution PhotoshopThumbnail ExifByteOrder CodedCharacterSet GIFVersion HasColorMap
ColorResolutionDepth BackgroundColor Orientation BitsPerPixel
"""
STORAGE = set(STORAGE_NAMES.split())
PHOTOSHOP_ONLY = {"URL", "IPTCDigest"}
# IPTC and its place in XMP, after the mapping of the IPTC standard.
ELSEWHERE = {
    "ObjectName": "Title",
    "Keywords": "Subject",
    "By-line": "Creator",
    "CopyrightNotice": "Rights",
    "Caption-Abstract": "Description",
    "TimeCreated": "DateCreated",
    "Comment": "UserComment",
}


def exiftool_tags(path: Path) -> dict[str, Any]:
    """Every tag by name, whatever its group."""
    output = subprocess.run(
        ["exiftool", "-j", "-G1", "-n", "-a", "-b", str(path)], capture_output=True, check=True
    )
    tags = {}
    for key, value in json.loads(output.stdout)[0].items():
        group, _, name = key.rpartition(":")
        if group not in FILE_GROUPS or name == "Comment":
            tags.setdefault(name, value)
    return tags


MATRIX: dict[str, tuple[str, Callable[[], bytes]]] = {
    "captions": (".jpg", captioned_jpeg),
    "camera": (".jpg", lambda: encoded("JPEG", GRAY_8, exif=camera_exif(), dpi=(300, 300))),
    "tiff": (".tif", captioned_tiff),
    "gif": (".gif", commented_gif),
    "png": (".png", lambda: encoded("PNG", GRAY_8, exif=camera_exif(), dpi=(300, 300))),
}


# Every source in its usual format and in another one; every format twice.
SAMPLE = [
    ("captions", ".png"),
    ("captions", ".jpg"),
    ("camera", ".png"),
    ("camera", ".webp"),
    ("tiff", ".tif"),
    ("tiff", ".webp"),
    ("gif", ".jp2"),
    ("gif", ".jpg"),
    ("png", ".tif"),
    ("png", ".jp2"),
]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@pytest.mark.parametrize(("name", "ending"), SAMPLE)
def test_exiftool_finds_every_tag_again(tmp_path: Path, name: str, ending: str) -> None:
    source_ending, make = MATRIX[name]
    source, target = tmp_path / f"source{source_ending}", tmp_path / f"target{ending}"
    source.write_bytes(make())
    with open_image(source) as image, ImageWriter(target, like=image) as writer:
        for page in image:
            writer.write(page, rgb(page), {"software": "recolor"})
    before, after = exiftool_tags(source), exiftool_tags(target)
    lost = {
        tag: value
        for tag, value in before.items()
        if tag not in STORAGE and tag not in after and ELSEWHERE.get(tag) not in after
    }
    # GDAL's tags and Photoshop's resources have a place in TIFF only (and the latter in JPEG).
    if ending != ".tif":
        lost = {tag: v for tag, v in lost.items() if not tag.startswith("GDAL")}
    if ending not in (".tif", ".jpg"):
        lost = {
            tag: v for tag, v in lost.items() if tag not in ("URL", "ClippingPathName", "_0x07d0")
        }
    assert not lost

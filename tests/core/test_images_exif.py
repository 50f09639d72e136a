"""Oracle: Pillow reads back what was made upright, and turns images by its own rule."""

from io import BytesIO

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageOps

from recolor_core.images import exif, open_image
from recolor_core.images.exif import Directory, Entry

from .badfiles import GRAY_8, encoded, tiff

MAKER_NOTE = b"CANON\0absolute offsets live here"


def camera_exif(orientation: int = 1, order: str = "<") -> bytes:
    """EXIF of a camera: sub directories, a maker note, GPS."""
    data = Image.Exif()
    data.endian = order
    data[ExifTags.Base.Make] = "Camera"
    data[ExifTags.Base.Orientation] = orientation
    inner = data.get_ifd(ExifTags.IFD.Exif)
    inner[ExifTags.Base.ExposureTime] = 0.008
    inner[ExifTags.Base.MakerNote] = MAKER_NOTE
    inner[ExifTags.Base.ExifImageWidth] = 64
    inner[ExifTags.Base.ExifImageHeight] = 48
    data.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (46.0, 56.0, 52.5)
    return data.tobytes()


def with_thumbnail(block: bytes) -> bytes:
    """The block with a second directory that holds a thumbnail, as cameras write it."""
    order, directory = exif.parse(block.removeprefix(b"Exif\0\0"))
    plain = exif.build(order, directory)
    thumbnail = encoded("JPEG", GRAY_8[:8, :8])
    second = Directory(
        {
            0x0201: Entry(4, 1, (len(plain) + 2 + 2 * 12 + 4).to_bytes(4, "little")),
            0x0202: Entry(4, 1, len(thumbnail).to_bytes(4, "little")),
        },
        {},
    )
    block = plain + exif.write_directory(second, len(plain), order) + thumbnail
    _, directory = exif.parse(block)
    at = directory.following_at
    return block[:at] + len(plain).to_bytes(4, "little") + block[at + 4 :]


def loaded(block: bytes) -> Image.Exif:
    found = Image.Exif()
    found.load(b"Exif\0\0" + block.removeprefix(b"Exif\0\0"))
    return found


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_changes_orientation_and_dimensions_alone(orientation: int, order: str) -> None:
    block = camera_exif(orientation, order)
    upright, told = exif.take(block)
    assert told == orientation
    assert upright is not None
    assert len(upright) == len(block.removeprefix(b"Exif\0\0"))
    before, after = loaded(block), loaded(upright)
    assert after.pop(ExifTags.Base.Orientation) == 1
    before.pop(ExifTags.Base.Orientation)
    assert dict(after) == dict(before)
    one, other = (found.get_ifd(ExifTags.IFD.Exif) for found in (before, after))
    sizes = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)
    assert tuple(other.pop(tag) for tag in sizes) == ((64, 48) if orientation < 5 else (48, 64))
    for tag in sizes:
        one.pop(tag)
    assert other == one
    assert MAKER_NOTE in upright
    assert upright.index(MAKER_NOTE) == block.removeprefix(b"Exif\0\0").index(MAKER_NOTE)


def test_the_thumbnail_of_the_gray_image_is_dropped() -> None:
    block = with_thumbnail(camera_exif())
    assert loaded(block).get_ifd(ExifTags.IFD.IFD1)
    upright, _ = exif.take(block)
    assert upright is not None
    assert not loaded(upright).get_ifd(ExifTags.IFD.IFD1)
    assert b"JFIF" not in upright
    assert dict(loaded(upright)) == dict(loaded(block))


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_directories_come_back(order: exif.ByteOrder, big: bool) -> None:
    inner = Directory({0x927C: Entry(7, len(MAKER_NOTE), MAKER_NOTE)}, {})
    outer = Directory(
        {
            270: Entry(2, 6, b"hello\0"),
            296: Entry(3, 1, b"\0\2"),
            282: Entry(5, 1, b"\0\0\1,\0\0\0\1"),
        },
        {exif.EXIF_IFD: inner},
    )
    data = bytes(100) + exif.write_directory(outer, 100, order, big=big)
    found = exif.read_directory(
        lambda at, size: data[at : at + size], 100, order, exif.Budget(len(data)), big=big
    )
    for wanted, got in ((outer, found), (inner, found.children[exif.EXIF_IFD])):
        assert {code: entry.value for code, entry in got.entries.items()} == {
            code: entry.value for code, entry in wanted.entries.items()
        }


def test_the_other_byte_order_means_the_same() -> None:
    order, directory = exif.parse(camera_exif().removeprefix(b"Exif\0\0"))
    assert order == "<"
    other = exif.build(">", directory.reordered())
    assert dict(loaded(other)) == dict(loaded(camera_exif()))
    assert loaded(other).get_ifd(ExifTags.IFD.Exif) == loaded(camera_exif()).get_ifd(
        ExifTags.IFD.Exif
    )
    assert loaded(other).get_ifd(ExifTags.IFD.GPSInfo) == loaded(camera_exif()).get_ifd(
        ExifTags.IFD.GPSInfo
    )


def test_damaged_blocks_do_no_harm() -> None:
    block = camera_exif(6).removeprefix(b"Exif\0\0")
    random = np.random.default_rng(1)
    for _ in range(500):
        damaged = bytearray(block)
        for at in random.integers(0, len(block), 3):
            damaged[at] = random.integers(0, 256)
        found, orientation = exif.take(bytes(damaged[: random.integers(0, len(block))]))
        assert 1 <= orientation <= 8
        assert found is None or len(found) <= len(block)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_once(orientation: int, format: str) -> None:
    if format == "TIFF":
        tag = ("Orientation", 3, 1, orientation, False)
        data = tiff(GRAY_8, extratags=[tag], resolution=(300, 150))
    else:
        options = {"lossless": True} if format == "WEBP" else {"quality": 100}
        data = encoded(format, GRAY_8, exif=camera_exif(orientation), **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(data))))
    with open_image(BytesIO(data)) as image:
        page = next(iter(image))
    assert np.array_equal(page.codes, expected)
    assert page.metadata.exif is not None
    assert exif.orientation(page.metadata.exif) == 1
    assert ("turned upright" in page.reading) == (orientation > 1)
    if format == "TIFF":
        assert page.metadata.resolution is not None
        turned = (150, 300) if orientation >= 5 else (300, 150)
        assert page.metadata.resolution.per_inch() == turned


def test_alpha_is_turned_with_the_image() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    data = encoded("PNG", pixels, exif=camera_exif(6))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(data))))
    with open_image(BytesIO(data)) as image:
        page = next(iter(image))
    assert np.array_equal(page.codes, expected[..., :3])
    assert np.array_equal(page.alpha, expected[..., 3])


def test_tags_of_a_tiff_are_kept_as_they_are() -> None:
    tags = [
        ("ImageDescription", 2, None, "Stra\u00dfe".encode() + b"\0", False),
        ("XPosition", 5, 1, (7, 3), False),
        (65000, 7, 3, b"abc", False),  # private: it may speak of the gray pixels
    ]
    data = tiff(GRAY_8, extratags=tags, metadata=None, software="Scanner 3")
    with open_image(BytesIO(data)) as image:
        block = next(iter(image)).metadata.exif
    assert block is not None
    order, directory = exif.parse(block)
    assert directory.entries[270].value == "Stra\u00dfe\0".encode()
    assert directory.entries[286].value == np.array([7, 3], f"{order}u4").tobytes()
    assert directory.entries[305].value == b"Scanner 3\0"
    assert 65000 not in directory.entries


@pytest.mark.parametrize("ome", [False, True])
def test_descriptions_of_gray_arrays_are_not_kept(ome: bool) -> None:
    stream = BytesIO()
    tifffile.imwrite(stream, GRAY_8, ome=ome, shaped=not ome)
    with open_image(BytesIO(stream.getvalue())) as image:
        block = next(iter(image)).metadata.exif
    assert block is None or 270 not in exif.parse(block)[1].entries

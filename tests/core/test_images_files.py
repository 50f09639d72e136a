"""Files come back as they went in. Oracles: tifffile, Pillow, imagecodecs, each on its own."""

import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import combinations, product
from pathlib import Path
from typing import Any
from zlib import crc32

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from recolor_core.images import ImageWriter, Metadata, Page, Resolution, icc, open_image
from recolor_core.lab import SRGB

from .badfiles import encoded, jpeg_2000, tiff
from .test_images_exif import MAKER_NOTE, camera_exif
from .test_images_icc import ADOBE, GRAY_22

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    b'syntax-ns#"><rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    b'dc:source="box 17"/></rdf:RDF></x:xmpmeta>'
)
FACTS = {"software": "recolor", "version": "1.2", "weights": {"name": "default"}}
HEIGHT, WIDTH = 37, 53


def pixels(dtype: str, channels: int = 1) -> np.ndarray:
    random = np.random.default_rng(5)
    shape = (HEIGHT, WIDTH, channels)[: 2 if channels == 1 else 3]
    if np.dtype(dtype).kind == "f":
        return random.random(shape).astype(dtype)
    return random.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def colored(page: Page) -> np.ndarray:
    """Some colors for a page."""
    codes = page.codes if page.codes.ndim == 3 else np.repeat(page.codes[..., None], 3, axis=2)
    return np.ascontiguousarray(codes[..., ::-1])


def strips(array: np.ndarray, rows: int = 5) -> Iterator[np.ndarray]:
    for top in range(0, len(array), rows):
        yield array[top : top + rows]


def recolor(data: bytes, target: Path, **options: Any) -> list[Page]:
    """Write every page of a file in color, and give the pages it had."""
    with open_image(BytesIO(data)) as image:
        pages = list(image)
        with ImageWriter(target, like=image, **options) as writer:
            for page in pages:
                writer.write(page, strips(colored(page)), FACTS)
    return pages


def png_16(array: np.ndarray, **options: Any) -> bytes:
    """A 16-bit PNG, whose metadata Pillow made for an 8-bit one."""
    coded, other = imagecodecs.png_encode(array), encoded("PNG", array.astype(np.uint8), **options)
    return coded[:33] + other[33 : other.index(b"IDAT") - 4] + coded[33:]


def pillow(format: str, **more: Any) -> Callable[[np.ndarray, dict[str, Any]], bytes]:
    return lambda array, options: encoded(format, array, **more, **options)


def tiff_with_all(array: np.ndarray, options: dict[str, Any]) -> bytes:
    extra = [("XMP", 1, len(options["xmp"]), options["xmp"], False)] if "xmp" in options else []
    more: dict[str, Any] = {}
    if "dpi" in options:
        more = {"resolution": options["dpi"], "resolutionunit": "inch"}
    color = {1: "minisblack", 2: "minisblack", 3: "rgb", 4: "rgb"}[array[0, 0].size]
    if array[0, 0].size in (2, 4):
        more["extrasamples"] = ["unassalpha"]
    if array.ndim == 3:
        more["planarconfig"] = "contig"
    return tiff(
        array, photometric=color, extratags=extra, iccprofile=options.get("icc_profile"), **more
    )


# name: (ending, writes, dtypes, channels, what it can hold)
CASES: dict[str, tuple[str, Callable[..., bytes], tuple[str, ...], tuple[int, ...], set[str]]] = {
    "tiff": (
        ".tif",
        tiff_with_all,
        ("uint8", "uint16", "float32", "float64"),
        (1, 2, 3, 4),
        {"dpi", "icc_profile", "xmp"},
    ),
    "png": (".png", pillow("PNG"), ("uint8",), (1, 2, 3, 4), {"dpi", "icc_profile", "exif"}),
    "png16": (
        ".png",
        lambda array, options: png_16(array, **options),
        ("uint16",),
        (1, 2, 3, 4),
        {"dpi", "icc_profile", "exif"},
    ),
    "webp": (
        ".webp",
        pillow("WEBP", lossless=True, exact=True),
        ("uint8",),
        (3, 4),
        {"icc_profile", "exif", "xmp"},
    ),
    "bmp": (".bmp", pillow("BMP"), ("uint8",), (1, 3), {"dpi"}),
    "jp2": (
        ".jp2",
        lambda array, options: jpeg_2000(array),
        ("uint8", "uint16"),
        (1, 2, 3, 4),
        set(),
    ),
}
COMBINATIONS = [
    (name, dtype, channels)
    for name, (_, _, dtypes, counts, _) in CASES.items()
    for dtype, channels in product(dtypes, counts)
]


def read_elsewhere(path: Path) -> np.ndarray:
    """The pixels of a file, by another library."""
    data = path.read_bytes()
    if path.suffix == ".tif":
        return tifffile.imread(path)
    if path.suffix == ".jp2":
        return imagecodecs.jpeg2k_decode(data)
    if path.suffix == ".png":
        return imagecodecs.png_decode(data)
    return np.asarray(Image.open(BytesIO(data)))


@pytest.mark.parametrize(("name", "dtype", "channels"), COMBINATIONS)
def test_what_went_in_comes_back(tmp_path: Path, name: str, dtype: str, channels: int) -> None:
    ending, make, _, _, holds = CASES[name]
    array = pixels(dtype, channels)
    everything = {
        "dpi": (300, 200),
        "icc_profile": ADOBE if channels > 2 else GRAY_22,
        "exif": camera_exif(),
        "xmp": XMP,
    }
    data = make(array, {key: value for key, value in everything.items() if key in holds})
    source = tmp_path / f"source{ending}"
    source.write_bytes(data)
    target = tmp_path / f"target{ending}"
    with open_image(source) as image:
        (page,) = image
        assert image.output_name() == f"source.recolor{ending}"
        with ImageWriter(target, like=image) as writer:
            assert writer.exact_gray
            writer.write(page, strips(colored(page)), FACTS)
    # What was read
    color = array[..., : channels - 1] if channels in (2, 4) else array
    assert page.codes.dtype == dtype
    assert page.codes.dtype.isnative
    assert np.array_equal(page.codes, color[..., 0] if channels == 2 else color)
    assert (page.alpha is not None) == (channels in (2, 4))
    if page.alpha is not None:
        assert np.array_equal(page.alpha, array[..., -1])
    # What was written, elsewhere
    wanted = colored(page)
    if page.alpha is not None:
        wanted = np.dstack((wanted, page.alpha))
    found = read_elsewhere(target)
    assert found.dtype == dtype
    assert np.array_equal(found, wanted)
    # and what lies beside the pixels
    with open_image(target) as image:
        (again,) = image
    assert np.array_equal(again.codes, colored(page))
    assert again.metadata.resolution == page.metadata.resolution
    assert again.metadata.exif == page.metadata.exif
    if "dpi" in holds:
        assert page.metadata.resolution is not None
        assert page.metadata.resolution.per_inch() == pytest.approx((300, 200), abs=0.02)
    if "icc_profile" in holds:
        profile = ADOBE if channels > 2 else icc.profile_in_color(GRAY_22)
        assert again.metadata.icc == profile
    if "exif" in holds:
        assert MAKER_NOTE in (again.metadata.exif or b"")
    if "xmp" in holds:
        assert b"box 17" in (again.metadata.xmp or b"")
    if name != "bmp":
        assert b"compositeWithTrainedAlgorithmicMedia" in (again.metadata.xmp or b"")


def test_other_programs_find_the_metadata(tmp_path: Path) -> None:
    options = {"dpi": (300, 300), "icc_profile": ADOBE, "exif": camera_exif()}
    data = encoded("JPEG", pixels("uint8", 3), quality=95, xmp=XMP, **options)
    for ending in (".png", ".webp", ".tif", ".jpg"):
        target = tmp_path / f"target{ending}"
        recolor(data, target)
        with Image.open(target) as image:
            image.load()
            exif = image.getexif()
            assert image.info["icc_profile"] == ADOBE
            assert exif[ExifTags.Base.Make] == "Camera"
            assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] == MAKER_NOTE
            assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] == (46, 56, 52.5)
            assert b"box 17" in (image.info.get("xmp") or b"")
            if ending != ".webp":
                assert image.info["dpi"] == pytest.approx((300, 300), abs=0.02)


def test_jpeg_2000_carries_the_metadata_too(tmp_path: Path) -> None:
    options = {"dpi": (300, 200), "icc_profile": ADOBE, "exif": camera_exif()}
    (page,) = recolor(encoded("PNG", pixels("uint8", 4), **options), tmp_path / "first.jp2")
    recolor((tmp_path / "first.jp2").read_bytes(), tmp_path / "second.jp2")
    for path in (tmp_path / "first.jp2", tmp_path / "second.jp2"):
        with open_image(path) as image:
            (found,) = image
        assert found.metadata.icc == ADOBE
        assert found.metadata.exif == page.metadata.exif
        assert np.array_equal(found.alpha, page.alpha)
        assert b"TrainedAlgorithmicMedia" in (found.metadata.xmp or b"")
        with Image.open(path) as image:
            assert image.mode == "RGBA"
            assert image.info["dpi"] == pytest.approx((300, 200), abs=0.02)
            assert np.array_equal(np.asarray(image)[..., 3], page.alpha)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_exif_of_a_tiff_stays_in_a_tiff(tmp_path: Path, byteorder: str, bigtiff: bool) -> None:
    jpeg = encoded("JPEG", pixels("uint8", 3), exif=camera_exif(1, byteorder))
    first, second = tmp_path / "first.tif", tmp_path / "second.tif"
    recolor(jpeg, first)
    recolor(first.read_bytes(), second)
    for path in (first, second):
        with tifffile.TiffFile(path) as file:
            tags = file.pages[0].tags
            assert tags["ExifTag"].value["ExposureTime"] == 0.008
            assert tags["ExifTag"].value["MakerNote"] == MAKER_NOTE
            assert tags["GPSTag"].value["GPSLatitude"] == (46, 1, 56, 1, 105, 2)
            assert tags["Make"].value == "Camera"


COMPRESSIONS = ["none", "lzw", "zlib", "packbits", "zstd", "lzma"]


# Of 72 combinations, 18 in which every pair of values occurs.
LAYOUTS = [
    (compression, (None, (16, 32))[(row + column) % 2], dtype, "<>"[(row // 2 + column) % 2])
    for row, compression in enumerate(COMPRESSIONS)
    for column, dtype in enumerate(("uint8", "uint16", "float32"))
]


def test_the_sample_of_layouts_has_every_pair() -> None:
    for one, other in combinations(range(4), 2):
        values = [{layout[axis] for layout in LAYOUTS} for axis in (one, other)]
        assert {(layout[one], layout[other]) for layout in LAYOUTS} == set(product(*values))


@pytest.mark.parametrize(("compression", "tile", "dtype", "byteorder"), LAYOUTS)
def test_the_layout_of_a_tiff_is_kept(
    tmp_path: Path, compression: str, tile: tuple[int, int] | None, dtype: str, byteorder: str
) -> None:
    predictor = compression in ("lzw", "zlib", "zstd", "lzma")
    data = tiff(
        pixels(dtype),
        compression=compression,
        predictor=predictor,
        tile=tile,
        rowsperstrip=None if tile else 10,
        byteorder=byteorder,
        bigtiff=byteorder == ">",
    )
    target = tmp_path / "target.tif"
    (page,) = recolor(data, target)
    with tifffile.TiffFile(BytesIO(data)) as source, tifffile.TiffFile(target) as file:
        one, other = source.pages[0], file.pages[0]
        for name in ("compression", "predictor", "tile", "rowsperstrip", "dtype", "shape"):
            assert (
                getattr(one, name)[:2] == other.shape[:2]
                if name == "shape"
                else (getattr(one, name) == getattr(other, name))
            ), name
        assert (source.byteorder, source.is_bigtiff) == (file.byteorder, file.is_bigtiff)
        assert np.array_equal(other.asarray(), colored(page))


def test_lossy_and_bilevel_compression_gives_way_to_a_lossless_one(tmp_path: Path) -> None:
    for index, data in enumerate(
        (
            tiff(pixels("uint8", 3), compression="jpeg", photometric="rgb", rowsperstrip=16),
            tiff(pixels("uint8"), compression="jpeg", rowsperstrip=16),
            encoded("TIFF", pixels("uint8") > 127, compression="group4"),
        )
    ):
        target = tmp_path / f"{index}.tif"
        (page,) = recolor(data, target)
        with tifffile.TiffFile(target) as file:
            assert file.pages[0].compression == 8
            assert np.array_equal(file.asarray(), colored(page))


def test_pages_keep_their_order_and_what_each_one_is(tmp_path: Path) -> None:
    stream = BytesIO()
    arrays = [pixels("uint8"), pixels("uint16"), pixels("float32"), pixels("uint16", 3)[:9, :8]]
    with tifffile.TiffWriter(stream) as writer:
        for index, array in enumerate(arrays):
            writer.write(
                array,
                photometric="rgb" if array.ndim == 3 else "minisblack",
                resolution=(100 + index, 100),
                subfiletype=2,
                compression="zlib" if index % 2 else None,
                extratags=[("PageName", 2, None, f"page {index}", False)],
                metadata=None,
            )
    target = tmp_path / "target.tif"
    pages = recolor(stream.getvalue(), target)
    assert [page.codes.dtype for page in pages] == [array.dtype for array in arrays]
    with tifffile.TiffFile(target) as file:
        assert len(file.pages) == 4
        for index, (written, page) in enumerate(zip(file.pages, pages, strict=True)):
            assert np.array_equal(written.asarray(), colored(page))
            assert written.tags["PageName"].value == f"page {index}"
            assert written.tags["XResolution"].value == (100 + index, 1)
            assert written.subfiletype == 2
            assert written.compression == (8 if index % 2 else 1)
            assert b"TrainedAlgorithmicMedia" in written.tags["XMP"].value


def test_a_stack_of_imagej_stays_a_stack(tmp_path: Path) -> None:
    stream = BytesIO()
    tifffile.imwrite(
        stream,
        np.stack([pixels("uint16")] * 3),
        imagej=True,
        metadata={"axes": "ZYX", "spacing": 2},
    )
    recolor(stream.getvalue(), tmp_path / "target.tif")
    with tifffile.TiffFile(tmp_path / "target.tif") as file:
        assert file.series[0].shape == (3, HEIGHT, WIDTH, 3)
        assert file.imagej_metadata is not None
        assert file.imagej_metadata["spacing"] == 2


@pytest.mark.parametrize("unit", ["none", "inch", "centimeter"])
def test_resolution_is_kept_exactly(tmp_path: Path, unit: str) -> None:
    data = tiff(pixels("uint8"), resolution=((1200007, 1000), (72, 1)), resolutionunit=unit)
    target = tmp_path / "target.tif"
    recolor(data, target)
    with tifffile.TiffFile(target) as file:
        tags = file.pages[0].tags
        assert tags["XResolution"].value == (1200007, 1000)
        assert tags["YResolution"].value == (72, 1)
        assert tags["ResolutionUnit"].value == {"none": 1, "inch": 2, "centimeter": 3}[unit]


@pytest.mark.slow
@given(st.fractions(1, 1_000_000), st.fractions(1, 1_000_000), st.sampled_from(["inch", "cm"]))
@settings(max_examples=30)
def test_every_format_keeps_resolution_as_exactly_as_it_can(x: Any, y: Any, unit: Any) -> None:
    resolution = Resolution(x, y, unit)
    page = Page(np.zeros((2, 2, 3), np.uint8), metadata=Metadata(resolution=resolution))
    for format, tolerance in (("TIFF", 1e-8), ("PNG", 0.02), ("JPEG 2000", 1e-4)):
        data = BytesIO()
        with ImageWriter(data, format=format) as writer:
            writer.write(page, page.codes)
        with open_image(BytesIO(data.getvalue())) as image:
            found = next(iter(image)).metadata.resolution
        assert found is not None
        assert found.per_inch() == pytest.approx(resolution.per_inch(), rel=tolerance)


# -- what is expanded, inverted, widened ----------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_become_eight(bits: int) -> None:
    top = (1 << bits) - 1
    values = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH) % (top + 1)
    sources = {"tiff": tiff(values, bitspersample=bits, photometric="minisblack")}
    if bits == 1:
        sources["png"] = encoded("PNG", values > 0)
        sources["bmp"] = encoded("BMP", values > 0)
        sources["fax"] = encoded("TIFF", values > 0, compression="group4")
    for name, data in sources.items():
        with open_image(BytesIO(data)) as image:
            (page,) = image
        assert page.codes.dtype == np.uint8, name
        assert np.array_equal(page.codes, values * (255 // top)), name
        assert f"expanded from {bits} bit" in page.reading


def test_twelve_bits_become_sixteen() -> None:
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    data = tiff(values, bitspersample=12)
    with open_image(BytesIO(data)) as image:
        (page,) = image
    assert page.codes.dtype == np.uint16
    assert (page.codes.min(), page.codes.max()) == (0, 65535)
    assert np.array_equal(np.rint(page.codes / 65535 * 4095), values)  # nothing is lost
    assert "expanded from 12 bits" in page.reading


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "GIF"])
def test_palettes_become_rgb(format: str, bits: int) -> None:
    image = Image.fromarray(pixels("uint8", 3)).quantize(2**bits)
    stream = BytesIO()
    image.save(stream, format, **({"bits": bits} if format == "PNG" else {}))
    expected = np.asarray(Image.open(BytesIO(stream.getvalue())).convert("RGB"))
    with open_image(BytesIO(stream.getvalue())) as image:
        (page,) = image
    assert np.array_equal(page.codes, expected)
    assert page.codes.dtype == np.uint8
    assert "palette" in page.reading


def test_a_palette_of_16_bits_is_kept() -> None:
    colors = np.random.default_rng(0).integers(0, 65536, (3, 256), dtype=np.uint16)
    indices = pixels("uint8")
    with open_image(BytesIO(tiff(indices, photometric="palette", colormap=colors))) as image:
        (page,) = image
    assert np.array_equal(page.codes, colors.T[indices])


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_transparent_palette_has_alpha(format: str) -> None:
    image = Image.fromarray(pixels("uint8", 3)).quantize(16)
    stream = BytesIO()
    image.save(stream, format, transparency=3)
    expected = np.asarray(Image.open(BytesIO(stream.getvalue())).convert("RGBA"))
    with open_image(BytesIO(stream.getvalue())) as image:
        (page,) = image
    assert np.array_equal(page.alpha, expected[..., 3])
    assert np.array_equal(page.codes, expected[..., :3])


def test_a_transparent_color_is_alpha() -> None:
    gray = pixels("uint8")
    with open_image(BytesIO(encoded("PNG", gray, transparency=9))) as image:
        (page,) = image
    assert np.array_equal(page.codes, gray)
    assert np.array_equal(page.alpha, np.where(gray == 9, 0, 255))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_white_is_zero_is_inverted_and_said(dtype: str) -> None:
    gray = pixels(dtype)
    with open_image(BytesIO(tiff(gray, photometric="miniswhite"))) as image:
        (page,) = image
    assert np.array_equal(page.codes, np.iinfo(dtype).max - gray)
    assert "white was 0" in page.reading


def test_half_floats_are_widened_without_loss(tmp_path: Path) -> None:
    gray = pixels("float16")
    (page,) = recolor(tiff(gray), tmp_path / "target.tif")
    assert page.codes.dtype == np.float32
    assert np.array_equal(page.codes, gray)
    assert "widened from 16 bits" in page.reading
    assert tifffile.imread(tmp_path / "target.tif").dtype == np.float32


def test_planes_and_tiles_are_read(tmp_path: Path) -> None:
    rgb = pixels("uint16", 3)
    data = tiff(np.moveaxis(rgb, -1, 0), photometric="rgb", planarconfig="separate", tile=(16, 16))
    (page,) = recolor(data, tmp_path / "target.tif")
    assert np.array_equal(page.codes, rgb)
    assert np.array_equal(tifffile.imread(tmp_path / "target.tif"), rgb[..., ::-1])


def test_premultiplied_alpha_stays_so(tmp_path: Path) -> None:
    rgba = pixels("uint8", 4)
    data = tiff(rgba, photometric="rgb", extrasamples=["assocalpha"])
    recolor(data, tmp_path / "target.tif")
    with tifffile.TiffFile(tmp_path / "target.tif") as file:
        assert file.pages[0].extrasamples == (1,)
        assert np.array_equal(file.asarray()[..., 3], rgba[..., 3])


def test_png_says_its_gamma() -> None:
    coded = imagecodecs.png_encode(pixels("uint16"))
    with_gamma = coded[:33] + _chunk(b"gAMA", (100_000).to_bytes(4, "big")) + coded[33:]
    with open_image(BytesIO(with_gamma)) as image:
        (page,) = image
    assert page.space.curve.gamma == 1
    assert page.metadata.icc is not None
    usual = coded[:33] + _chunk(b"gAMA", (45_455).to_bytes(4, "big")) + coded[33:]
    with open_image(BytesIO(usual)) as image:
        (page,) = image
    assert page.space == SRGB
    assert page.metadata.icc is None


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + crc32(kind + body).to_bytes(4, "big")


def test_text_of_a_png_is_kept(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("Title", "Am Fluss")
    info.add_itxt("Author", "Müller", zip=True)
    recolor(encoded("PNG", pixels("uint8"), pnginfo=info), tmp_path / "target.png")
    with Image.open(tmp_path / "target.png") as image:
        assert image.info["Title"] == "Am Fluss"
        assert image.info["Author"] == "Müller"


def test_of_several_images_in_a_jpeg_the_first_is_read() -> None:
    stream = BytesIO()
    first, second = (Image.fromarray(pixels("uint8", 3) // n) for n in (1, 4))
    first.save(stream, "MPO", save_all=True, append_images=[second])
    with open_image(BytesIO(stream.getvalue())) as image:
        (page,) = image
    assert np.array_equal(page.codes, np.asarray(Image.open(BytesIO(stream.getvalue()))))
    assert "first of several" in page.reading


def test_a_bare_codestream_is_read() -> None:
    gray = pixels("uint16")
    data = imagecodecs.jpeg2k_encode(gray, level=0, reversible=True, codecformat="j2k")
    with open_image(BytesIO(data)) as image:
        (page,) = image
    assert np.array_equal(page.codes, gray)


def test_a_jpeg_2000_with_a_palette_is_read() -> None:
    image = Image.fromarray(pixels("uint8", 3))
    stream = BytesIO()
    image.convert("YCbCr").save(stream, "JPEG2000", mct=0)
    with open_image(BytesIO(stream.getvalue())) as image:
        (page,) = image
    assert page.codes.shape == (HEIGHT, WIDTH, 3)


def bmp_with_alpha(array: np.ndarray) -> bytes:
    """A BMP of version 4, whose masks name an alpha channel."""
    body = np.ascontiguousarray(array[::-1, :, [2, 1, 0, 3]]).tobytes()
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = struct.pack("<IiiHHIIiiII", 108, WIDTH, HEIGHT, 1, 32, 3, len(body), 2835, 2835, 0, 0)
    info += struct.pack("<4I", *masks) + b"BGRs" + bytes(48)
    return struct.pack("<2sIHHI", b"BM", 14 + 108 + len(body), 0, 0, 14 + 108) + info + body


def test_alpha_of_a_bmp_is_read() -> None:
    array = pixels("uint8", 4)
    with open_image(BytesIO(bmp_with_alpha(array))) as image:
        (page,) = image
    assert np.array_equal(page.codes, array[..., :3])
    assert np.array_equal(page.alpha, array[..., 3])


# -- names, sources and views ----------------------------------------------------------------------


def jpeg_2000_with(**options: Any) -> bytes:
    return imagecodecs.jpeg2k_encode(pixels("uint8"), **options)


@pytest.mark.parametrize(
    ("name", "make", "output"),
    [
        ("photo.jpg", lambda: encoded("JPEG", pixels("uint8")), "photo.recolor.png"),
        ("scan.TIFF", lambda: tiff(pixels("uint8")), "scan.recolor.TIFF"),
        ("jpeg.tif", lambda: tiff(pixels("uint8"), compression="jpeg"), "jpeg.recolor.tif"),
        ("lossy.webp", lambda: encoded("WEBP", pixels("uint8", 3)), "lossy.recolor.png"),
        (
            "lossless.webp",
            lambda: encoded("WEBP", pixels("uint8", 3), lossless=True),
            "lossless.recolor.webp",
        ),
        ("lossless.jp2", lambda: jpeg_2000(pixels("uint16")), "lossless.recolor.jp2"),
        (
            "lossy.jp2",
            lambda: jpeg_2000_with(level=40, codecformat="jp2", reversible=False),
            "lossy.recolor.png",
        ),
        (
            "bare.j2k",
            lambda: jpeg_2000_with(level=0, codecformat="j2k", reversible=True),
            "bare.recolor.jp2",
        ),
        ("still.gif", lambda: encoded("GIF", pixels("uint8")), "still.recolor.png"),
        ("plain.bmp", lambda: encoded("BMP", pixels("uint8")), "plain.recolor.bmp"),
        ("alpha.bmp", lambda: bmp_with_alpha(pixels("uint8", 4)), "alpha.recolor.png"),
        ("liar.jpg", lambda: encoded("PNG", pixels("uint8")), "liar.recolor.png"),
        ("two.dots.png", lambda: encoded("PNG", pixels("uint8")), "two.dots.recolor.png"),
    ],
)
def test_outputs_have_a_name_that_keeps_every_code(
    tmp_path: Path, name: str, make: Callable[[], bytes], output: str
) -> None:
    (tmp_path / name).write_bytes(make())
    with open_image(tmp_path / name) as image:
        assert image.output_name() == output


def test_a_stream_is_a_source_like_a_file(tmp_path: Path) -> None:
    data = tiff(pixels("uint16"))
    path = tmp_path / "scan.tif"
    path.write_bytes(data)
    with open_image(path) as one, open_image(BytesIO(data)) as other:
        assert one.sha256 == other.sha256
        assert len(one) == len(other) == 1
        assert other.path is None
        for first, second in zip(one, other, strict=True):
            assert np.array_equal(first.codes, second.codes)
            assert first.metadata == second.metadata
            assert first.reading == second.reading


def test_a_plain_tiff_is_not_copied_and_never_written(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, pixels("uint16"))
    before = path.read_bytes()
    with open_image(path) as image:
        (page,) = image
    view: Any = page.codes
    while not isinstance(view, np.memmap) and view is not None:
        view = view.base
    assert view is not None
    page.codes[:] = 0  # of the view alone
    assert path.read_bytes() == before


@pytest.mark.parametrize("ending", [".tif", ".png", ".jpg", ".webp", ".bmp", ".jp2"])
def test_the_same_image_gives_the_same_bytes(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    data = encoded("PNG", pixels("uint8"), icc_profile=GRAY_22, dpi=(300, 300))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        recolor(data, tmp_path / name / f"image{ending}", sidecar=True)
    for suffix in (ending, f"{ending}.json"):
        one, two = ((tmp_path / name / f"image{suffix}").read_bytes() for name in ("one", "two"))
        assert one == two

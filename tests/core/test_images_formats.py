"""JPEG XL, AVIF, HEIC, PSD, PNM, OpenEXR and DICOM. Oracles: the codecs' encoders, own bytes."""

import struct
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from recolor_core.errors import ImageError
from recolor_core.images import ImageWriter, Page, open_image
from recolor_core.images.image import LINEAR
from recolor_core.lab import SRGB

from .badfiles import GRAY, GRAY_8, RGB_8
from .test_images_captions import RESOURCES
from .test_images_exif import camera_exif

RANDOM = np.random.default_rng(3)


def only(data: bytes) -> Page:
    with open_image(BytesIO(data)) as image:
        (page,) = image
    return page


def output_name(tmp_path: Path, name: str, data: bytes) -> str:
    (tmp_path / name).write_bytes(data)
    with open_image(tmp_path / name) as image:
        page = next(iter(image))
        color = page.codes if page.codes.ndim == 3 else np.dstack([page.codes] * 3)
        output = image.output_name()
        with ImageWriter(tmp_path / output, like=image) as writer:
            writer.write(page, color)
    with open_image(tmp_path / output) as image:
        assert np.array_equal(next(iter(image)).codes, color)
    return output


def noise(dtype: type, channels: int = 1, bits: int = 0) -> np.ndarray:
    top = (1 << bits if bits else np.iinfo(dtype).max + 1) - 1
    shape = (29, 43, channels)[: 2 if channels == 1 else 3]
    return RANDOM.integers(0, top + 1, shape, dtype=dtype)


# -- JPEG XL --------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("container", [False, True])
def test_jpeg_xl_is_exact(container: bool, dtype: type, channels: int) -> None:
    array = noise(dtype, channels)
    page = only(bytes(imagecodecs.jpegxl_encode(array, lossless=True, usecontainer=container)))
    color = array[..., : channels - 1] if channels in (2, 4) else array
    assert np.array_equal(page.codes, color[..., 0] if channels == 2 else color)
    assert (page.alpha is not None) == (channels in (2, 4))
    if page.alpha is not None:
        assert np.array_equal(page.alpha, array[..., -1])
    assert page.space == (SRGB if dtype == np.uint8 else LINEAR)  # as the encoder says in the file
    assert "taken as" not in page.reading


def test_jpeg_xl_of_other_depths(tmp_path: Path) -> None:
    values = noise(np.uint16, bits=10)
    page = only(bytes(imagecodecs.jpegxl_encode(values, lossless=True, bitspersample=10)))
    assert np.array_equal(np.rint(page.codes / 65535 * 1023), values)
    assert "expanded from 10 bits" in page.reading
    unit = RANDOM.random((29, 43)).astype(np.float32)
    data = bytes(imagecodecs.jpegxl_encode(unit, lossless=True))
    page = only(data)
    assert page.codes.dtype == np.float32
    assert np.array_equal(page.codes, unit)
    assert output_name(tmp_path, "a.jxl", data) == "a.recolor.tif"


def with_boxes(data: bytes, *boxes: tuple[bytes, bytes]) -> bytes:
    return data + b"".join(struct.pack(">I4s", 8 + len(body), kind) + body for kind, body in boxes)


def test_metadata_of_jpeg_xl(tmp_path: Path) -> None:
    data = bytes(imagecodecs.jpegxl_encode(RGB_8, lossless=True, usecontainer=True))
    exif = bytes(4) + camera_exif(6).removeprefix(b"Exif\0\0")
    packet = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>'
    plain = with_boxes(data, (b"Exif", exif), (b"xml ", packet))
    packed = with_boxes(
        data,
        (b"brob", b"Exif" + bytes(imagecodecs.brotli_encode(exif))),
        (b"brob", b"xml " + bytes(imagecodecs.brotli_encode(packet))),
    )
    for changed in (plain, packed):
        page = only(changed)
        assert page.codes.shape == RGB_8.shape  # the codestream says how it is turned, not EXIF
        assert page.metadata.exif is not None
        assert b"Camera" in page.metadata.exif
        assert page.metadata.xmp == packet
    assert output_name(tmp_path, "a.jxl", plain) == "a.recolor.png"


def test_animated_jpeg_xl_is_refused() -> None:
    frames = np.stack([RGB_8, 255 - RGB_8])
    data = bytes(imagecodecs.jpegxl_encode(frames))
    with pytest.raises(ImageError, match="animated"):
        only(data)


# -- AVIF and HEIC --------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_avif(bits: int, channels: int) -> None:
    array = noise(np.uint8 if bits == 8 else np.uint16, channels, bits)
    data = imagecodecs.avif_encode(array, level=100, bitspersample=bits)
    page = only(bytes(data))
    color = array[..., :3] if channels == 4 else array
    top = (1 << bits) - 1
    full = np.iinfo(page.codes.dtype).max
    assert page.codes.shape == color.shape
    assert np.array_equal(np.rint(page.codes / full * top), color)
    assert (page.alpha is not None) == (channels == 4)
    assert ("expanded" in page.reading) == (bits > 8)


def test_metadata_of_avif(tmp_path: Path) -> None:
    stream = BytesIO()
    Image.fromarray(RGB_8).save(stream, "AVIF", quality=100, exif=camera_exif(6))
    page = only(stream.getvalue())
    assert page.codes.shape == (64, 48, 3)
    assert page.metadata.exif is not None
    assert "turned upright" in page.reading
    assert output_name(tmp_path, "a.avif", stream.getvalue()) == "a.recolor.png"


def test_animated_avif_is_refused() -> None:
    stream = BytesIO()
    frames = [Image.fromarray(RGB_8), Image.fromarray(255 - RGB_8)]
    frames[0].save(stream, "AVIF", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="animated"):
        only(stream.getvalue())


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_heic(tmp_path: Path, mode: str) -> None:
    heif = pytest.importorskip("pillow_heif")
    image = Image.fromarray(RGB_8).convert(mode)
    stream = BytesIO()
    heif.from_pillow(image).save(stream, quality=-1, chroma=444, exif=camera_exif())
    page = only(stream.getvalue())
    expected = np.asarray(image)
    color = expected[..., :3] if expected.ndim == 3 else expected
    assert page.codes.shape == color.shape
    assert np.abs(page.codes.astype(int) - color).max() <= 3  # by way of YCbCr
    assert (page.alpha is not None) == (mode == "RGBA")
    assert page.metadata.exif is not None
    assert output_name(tmp_path, "a.heic", stream.getvalue()) == "a.recolor.png"


# -- PNM ------------------------------------------------------------------------------------------

PNM: dict[str, tuple[Callable[[], bytes], Any]] = {
    "P1": (lambda: b"P1 # fax\n3 2\n1 0 1\n010", [[0, 255, 0], [255, 0, 255]]),
    "P2": (lambda: b"P2\n# a\n3 1 # b\n15\n0 7 15 ", [[0, 119, 255]]),
    "P3": (lambda: b"P3 1 1 255 1 2 3", [[[1, 2, 3]]]),
    "P4": (lambda: b"P4 10 1\n\xaa\x80", [[0, 255] * 4 + [0, 255]]),
    "P5": (lambda: b"P5 43 29 255\n" + GRAY_8[:29, :43].tobytes(), GRAY_8[:29, :43]),
    "P6": (lambda: b"P6\n64 48\n255\n" + RGB_8.tobytes(), RGB_8),
    "P5 of 16 bits": (lambda: b"P5 64 48 65535\n" + GRAY.astype(">u2").tobytes(), GRAY),
    "P6 of 16 bits": (
        lambda: b"P6 64 48 65535\n" + np.dstack([GRAY] * 3).astype(">u2").tobytes(),
        np.dstack([GRAY] * 3),
    ),
    "P7": (
        lambda: (
            b"P7\n#c\nWIDTH 64\nHEIGHT 48\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n"
            + RGB_8.tobytes()
        ),
        RGB_8,
    ),
}


@pytest.mark.parametrize("name", PNM)
def test_pnm(name: str) -> None:
    make, expected = PNM[name]
    page = only(make())
    assert np.array_equal(page.codes, np.array(expected))
    assert page.codes.dtype == (np.uint16 if "16" in name else np.uint8)


def test_pnm_of_any_largest_value() -> None:
    values = noise(np.uint16, bits=12)
    page = only(b"P5 43 29 4095\n" + values.astype(">u2").tobytes())
    assert np.array_equal(np.rint(page.codes / 65535 * 4095), values)
    assert "stretched from 0 to 4095" in page.reading
    values = noise(np.uint8) % 101
    page = only(b"P5 43 29 100\n" + values.tobytes())
    assert np.array_equal(np.rint(page.codes / 255 * 100), values)


def test_pam_with_alpha_and_comments() -> None:
    rgba = noise(np.uint8, 4)
    head = b"P7\n# by hand\nWIDTH 43\nHEIGHT 29\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
    page = only(head + rgba.tobytes())
    assert np.array_equal(page.codes, rgba[..., :3])
    assert np.array_equal(page.alpha, rgba[..., 3])
    assert page.metadata.comments == (" by hand",)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"P5 4 4 255\n" + bytes(15), "truncated"),
        (b"P4 9 2\n" + bytes(3), "truncated"),
        (b"P2 4 4 255 1 2 3", "truncated"),
        (b"P1 2 2 101", "truncated"),
        (b"P5 4 4 70000\n" + bytes(40), "largest value is 70,000"),
        (b"P5 4 4 0\n" + bytes(40), "largest value is 0"),
        (b"P5 4 4 100\n" + b"\xff" * 16, "damaged"),
        (b"P5 100000 100000 255\n", "10,000 million"),
        (b"P5 4", "damaged"),
        (b"P7\nWIDTH 4\nENDHDR\n", "damaged"),
        (b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 7\nMAXVAL 1\nENDHDR\n", "7 channels"),
        (b"P9 4 4", "no image"),
        (b"P5000", "no image"),
    ],
)
def test_bad_pnm(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        only(data)


# -- PSD ------------------------------------------------------------------------------------------


def psd(
    array: np.ndarray,
    mode: int,
    *,
    packed: bool = False,
    large: bool = False,
    colors: bytes = b"",
    resources: bytes = b"",
    bits: int = 0,
) -> bytes:
    """A document without layers; `array` is (channels, H, W)."""
    channels, height, width = array.shape
    depth = bits or array.dtype.itemsize * 8
    head = struct.pack(
        ">4sH6xHIIHH", b"8BPS", 2 if large else 1, channels, height, width, depth, mode
    )
    head += struct.pack(">I", len(colors)) + colors
    head += struct.pack(">I", len(resources)) + resources
    head += bytes(8 if large else 4)
    if bits == 1:
        lines = [row.tobytes() for row in np.packbits(array[0], axis=1)]
    else:
        swapped = array.astype(array.dtype.newbyteorder(">"))
        lines = [row.tobytes() for plane in swapped for row in plane]
    if not packed:
        return head + b"\0\0" + b"".join(lines)
    coded = [bytes(imagecodecs.packbits_encode(line)) for line in lines]
    counts = np.array([len(line) for line in coded], ">u4" if large else ">u2").tobytes()
    return head + b"\0\1" + counts + b"".join(coded)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_psd(dtype: type, large: bool, packed: bool) -> None:
    integers = dtype != np.float32
    make = noise(dtype, 4) if integers else RANDOM.random((29, 43, 4)).astype(dtype)
    planes = np.moveaxis(make, -1, 0)
    options: dict[str, Any] = {"large": large, "packed": packed}
    assert np.array_equal(only(psd(planes[:1], 1, **options)).codes, make[..., 0])
    page = only(psd(planes, 3, **options))
    assert np.array_equal(page.codes, make[..., :3])
    assert np.array_equal(page.alpha, make[..., 3])
    if integers:
        top = float(np.iinfo(dtype).max)
        page = only(psd(planes, 4, **options))
        expected = np.rint(make[..., :3].astype(float) * make[..., 3:] / top)  # 0 is full ink
        assert np.abs(page.codes - expected).max() <= 1


def test_other_modes_of_psd() -> None:
    bits = noise(np.uint8) > 127
    assert np.array_equal(only(psd(bits[None], 0, bits=1)).codes, np.where(bits, 0, 255))
    table = RANDOM.integers(0, 256, (3, 256), dtype=np.uint8)
    indices = noise(np.uint8)
    page = only(psd(indices[None], 2, colors=table.tobytes()))
    assert np.array_equal(page.codes, table.T[indices])
    lab = np.moveaxis(noise(np.uint8, 3), -1, 0)
    page = only(psd(lab, 9))
    assert "lightness" in page.reading
    assert page.codes.dtype == np.uint16
    with pytest.raises(ImageError, match="single channels"):
        only(psd(lab, 7))


def test_metadata_of_psd(tmp_path: Path) -> None:
    body = struct.pack(">IHHIHH", 240 << 16, 1, 1, 240 << 16, 1, 1)
    more = b"8BIM" + struct.pack(">HHI", 0x3ED, 0, len(body)) + body
    data = psd(GRAY_8[None], 1, resources=RESOURCES + more)
    page = only(data)
    assert page.metadata.resolution is not None
    assert page.metadata.resolution.per_inch() == (240, 240)
    assert page.metadata.iptc is not None
    assert output_name(tmp_path, "a.psd", data) == "a.recolor.png"


@pytest.mark.parametrize("packed", [False, True])
def test_bad_psd(packed: bool) -> None:
    data = psd(GRAY_8[None], 1, packed=packed)
    for end in (20, 30, 40, len(data) - 1):
        with pytest.raises(ImageError, match=r"damaged|truncated"):
            only(data[:end])
    version = b"8BIM" + struct.pack(">HHI", 0x421, 0, 6) + struct.pack(">IBx", 1, 0)
    with pytest.raises(ImageError, match="no merged image; save it with"):
        only(psd(GRAY_8[None], 1, resources=version))


# -- OpenEXR --------------------------------------------------------------------------------------


def exr(tmp_path: Path, channels: dict[str, np.ndarray]) -> Path:
    library = pytest.importorskip("OpenEXR")
    path = tmp_path / "image.exr"
    with library.File({"compression": library.ZIP_COMPRESSION}, channels) as file:
        file.write(str(path))
    return path


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_exr(tmp_path: Path, dtype: type) -> None:
    rgba = RANDOM.random((29, 43, 4)).astype(dtype)
    path = exr(tmp_path, {name: rgba[..., i].copy() for i, name in enumerate("RGBA")})
    for source in (path, BytesIO(path.read_bytes())):
        with open_image(source) as image:
            (page,) = image
        assert page.codes.dtype == np.float32
        assert np.array_equal(page.codes, rgba[..., :3].astype(np.float32))
        assert np.array_equal(page.alpha, rgba[..., 3].astype(np.float32))
        assert page.space == LINEAR
    assert output_name(tmp_path, "a.exr", path.read_bytes()) == "a.recolor.tif"
    gray = exr(tmp_path, {"Y": rgba[..., 0].copy(), "Z": rgba[..., 1].copy()})
    page = only(gray.read_bytes())
    assert np.array_equal(page.codes, rgba[..., 0].astype(np.float32))
    assert "channels left out: Z" in page.reading


def test_bad_exr(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    depth = exr(tmp_path, {"Z": GRAY_8.astype(np.float32)})
    with pytest.raises(ImageError, match="its channels are Z, R, G and B or Y are expected"):
        only(depth.read_bytes())
    data = exr(tmp_path, {"Y": RANDOM.random((40, 40)).astype(np.float32)}).read_bytes()
    for end in (5, 60, len(data) // 2, len(data) - 300):
        with pytest.raises(ImageError, match="damaged"):
            only(data[:end])
    assert capfd.readouterr() == ("", "")


# -- DICOM ----------------------------------------------------------------------------------------


def dicom(array: np.ndarray, model: str = "MONOCHROME2", bits: int = 0, **more: Any) -> bytes:
    pydicom = pytest.importorskip("pydicom")
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    data = pydicom.Dataset()
    data.file_meta = meta
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    data.PatientName = "Somebody"
    data.Rows, data.Columns = array.shape[:2]
    data.SamplesPerPixel = 1 if array.ndim == 2 else 3
    if array.ndim == 3:
        data.PlanarConfiguration = 0
    data.PhotometricInterpretation = model
    data.BitsAllocated = array.dtype.itemsize * 8
    data.BitsStored = bits or data.BitsAllocated
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(array.dtype.kind == "i")
    data.PixelData = array.tobytes()
    for name, value in more.items():
        if name == "stream":
            meta.TransferSyntaxUID = value[0]
            data.PixelData = pydicom.encaps.encapsulate([value[1]])
            data["PixelData"].VR = "OB"
            data["PixelData"].is_undefined_length = True
        else:
            setattr(data, name, value)
    stream = BytesIO()
    pydicom.dcmwrite(stream, data, enforce_file_format=True)
    return stream.getvalue()


def test_dicom(tmp_path: Path) -> None:
    deep = noise(np.uint16, bits=12)
    page = only(dicom(deep, bits=12, PixelSpacing=[0.5, 0.25]))
    assert np.array_equal(np.rint(page.codes / 65535 * 4095), deep)
    assert "expanded from 12 bits" in page.reading
    assert page.metadata.resolution is not None
    assert page.metadata.resolution.per_meter() == (4000, 2000)
    inverted = only(dicom(GRAY_8, "MONOCHROME1"))
    assert np.array_equal(inverted.codes, 255 - GRAY_8)
    assert np.array_equal(only(dicom(RGB_8, "RGB")).codes, RGB_8)
    signed = noise(np.int16)
    assert np.array_equal(only(dicom(signed)).codes, signed)
    data = dicom(GRAY_8)
    assert output_name(tmp_path, "a.dcm", data) == "a.recolor.png"
    assert b"Somebody" not in (tmp_path / "a.recolor.png").read_bytes()
    assert np.array_equal(only(b"II*\0" + data[4:]).codes, GRAY_8)  # also a TIFF, to some


def codestream(array: np.ndarray) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(array, level=0, codecformat="j2k"))


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (
            "1.2.840.10008.1.2.4.90",
            lambda a: imagecodecs.jpeg2k_encode(a, level=0, codecformat="j2k"),
        ),
        ("1.2.840.10008.1.2.4.80", imagecodecs.jpegls_encode),
        ("1.2.840.10008.1.2.4.70", imagecodecs.ljpeg_encode),
    ],
)
def test_compressed_dicom(syntax: str, encode: Callable[[np.ndarray], bytes]) -> None:
    page = only(dicom(GRAY, stream=(syntax, bytes(encode(GRAY)))))
    assert np.array_equal(page.codes, GRAY)


def test_bad_dicom() -> None:
    with pytest.raises(ImageError, match="3 frames"):
        only(dicom(GRAY_8, NumberOfFrames=3))
    with pytest.raises(ImageError, match="color model PALETTE"):
        only(dicom(GRAY_8, "PALETTE COLOR"))
    large = bytes(
        imagecodecs.jpeg2k_encode(np.zeros((500, 500), np.uint8), level=0, codecformat="j2k")
    )
    with pytest.raises(ImageError, match="its stream claims 500 x 500 pixels, its tags 64 x 48"):
        only(dicom(GRAY_8, stream=("1.2.840.10008.1.2.4.90", large)))


@pytest.mark.parametrize(
    ("module", "data", "what"),
    [
        ("pydicom", bytes(128) + b"DICM" + bytes(40), "DICOM"),
        ("OpenEXR", b"\x76\x2f\x31\x01" + bytes(40), "OpenEXR"),
        ("pillow_heif", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIF"),
    ],
)
def test_a_library_that_is_not_installed_is_named(
    module: str, data: bytes, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ImageError, match=rf"this is {what}.*pip install 'napari-recolor\[formats\]'"
    ):
        only(data)

"""Real files that nobody should have to debug: each maker writes one, and tells what is wrong."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

GRAY = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 21
GRAY_8 = (GRAY >> 8).astype(np.uint8)
RGB_8 = np.dstack((GRAY_8, GRAY_8[::-1], 255 - GRAY_8))

Maker = Callable[[Path], object]


def png_header(width: int, height: int, bits: int = 8, color: int = 0) -> bytes:
    """A PNG that claims a size and holds no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def encoded(format: str, pixels: np.ndarray = RGB_8, **options: object) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, format, **options)
    return stream.getvalue()


def tiff(pixels: np.ndarray = GRAY, **options: object) -> bytes:
    stream = BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def cut(data: bytes, share: float = 0.6) -> bytes:
    return data[: int(len(data) * share)]


def animated(format: str) -> bytes:
    frames = [Image.fromarray(RGB_8), Image.fromarray(255 - RGB_8)]
    stream = BytesIO()
    frames[0].save(stream, format, save_all=True, append_images=frames[1:], duration=50)
    return stream.getvalue()


def jpeg_2000(pixels: np.ndarray) -> bytes:
    return imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat="jp2")


def signed_jpeg_2000() -> bytes:
    return jpeg_2000(GRAY.astype(np.int16))


def subsampled_jpeg_2000() -> bytes:
    data = bytearray(jpeg_2000(GRAY_8))
    at = data.index(b"\xff\x4f\xff\x51") + 43  # the steps of the only channel
    data[at : at + 2] = b"\2\2"
    return bytes(data)


def bmp_bomb() -> bytes:
    data = bytearray(encoded("BMP"))
    data[18:26] = struct.pack("<ii", 100_000, 100_000)
    return bytes(data)


def jpeg_bomb(height: int = 65_000, width: int = 65_000) -> bytes:
    data = encoded("JPEG")
    at = data.index(b"\xff\xc0")
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def webp_bomb() -> bytes:
    body = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + b"\xff\xff\x01" * 2
    body += b"VP8L" + struct.pack("<I", 6) + b"\x2f\0\0\0\0\0"
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def jpeg_2000_bomb() -> bytes:
    data = bytearray(jpeg_2000(GRAY_8))
    at = data.index(b"\xff\x4f\xff\x51") + 8
    data[at : at + 8] = struct.pack(">II", 100_000, 100_000)
    return bytes(data)


def gif_bomb() -> bytes:
    data = bytearray(encoded("GIF", GRAY_8))
    data[6:10] = struct.pack("<HH", 65_000, 65_000)
    return bytes(data)


def tiff_bomb() -> bytes:
    stream = BytesIO(tiff(np.zeros((16, 16), np.uint8), compression="zlib"))
    with tifffile.TiffFile(stream, mode="r+b") as file:
        for name in ("ImageWidth", "ImageLength"):
            file.pages[0].tags[name].overwrite(100_000)
    return stream.getvalue()


def tiff_with(tag: str, value: int, pixels: np.ndarray = GRAY, **options: object) -> bytes:
    """A TIFF whose tag was changed afterwards."""
    stream = BytesIO(tiff(pixels, **options))
    with tifffile.TiffFile(stream, mode="r+b") as file:
        file.pages[0].tags[tag].overwrite(value)
    return stream.getvalue()


def tiff_without_strip() -> bytes:
    data = tiff(GRAY, rowsperstrip=16, compression="zlib")
    stream = BytesIO(data)
    with tifffile.TiffFile(stream, mode="r+b") as file:
        tags = file.pages[0].tags
        tags["StripByteCounts"].overwrite([*tags["StripByteCounts"].value[:2], 0])
        tags["StripOffsets"].overwrite([*tags["StripOffsets"].value[:2], 0])
    return stream.getvalue()


def circular_tiff() -> bytes:
    """Its second directory says that the first one is next."""
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for _ in range(2):
            writer.write(GRAY_8, contiguous=False)
    data = bytearray(stream.getvalue())
    first = struct.unpack("<I", data[4:8])[0]
    second_at = first + 2 + 12 * struct.unpack("<H", data[first : first + 2])[0]
    second = struct.unpack("<I", data[second_at : second_at + 4])[0]
    next_at = second + 2 + 12 * struct.unpack("<H", data[second : second + 2])[0]
    data[next_at : next_at + 4] = struct.pack("<I", first)
    return bytes(data)


PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
HEIF = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"

# Name of the file, what it holds, and a part of what the error has to say.
BAD_FILES: tuple[tuple[str, Callable[[], bytes], str], ...] = (
    ("empty.tif", lambda: b"", "empty"),
    ("one-byte.png", lambda: b"\x89", "no image"),
    ("text.jpg", lambda: b"this is no image at all\n" * 10, "no image"),
    ("document.tif", lambda: PDF, "PDF"),
    ("phone.jpg", lambda: HEIF, "HEIF"),
    ("film.png", lambda: b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "a film"),
    ("sound.webp", lambda: b"RIFF\x24\0\0\0WAVEfmt " + bytes(40), "no image"),
    ("signature.png", lambda: b"\x89PNG\r\n\x1a\n", "damaged"),
    ("truncated.png", lambda: cut(encoded("PNG")), "damaged"),
    ("corrupt.png", lambda: encoded("PNG").replace(b"IDAT", b"IDAT\0", 1), "damaged"),
    ("no-pixels.png", lambda: png_header(10, 10), "damaged"),
    ("odd-depth.png", lambda: png_header(10, 10, 5), "color type 0 with 5 bits"),
    ("odd-color.png", lambda: png_header(10, 10, 8, 9), "color type 9 with 8 bits"),
    ("zero-width.png", lambda: png_header(0, 10), "no pixels"),
    ("bomb.png", lambda: png_header(100_000, 100_000), "10,000 million"),
    ("animated.png", lambda: animated("PNG"), "animated"),
    ("truncated.jpg", lambda: cut(encoded("JPEG")), "truncated"),
    ("header-only.jpg", lambda: encoded("JPEG")[:20], "damaged"),
    ("bomb.jpg", jpeg_bomb, "4,225 million"),
    ("truncated.webp", lambda: cut(encoded("WEBP", lossless=True)), "damaged"),
    ("animated.webp", lambda: animated("WEBP"), "animated"),
    ("bomb.webp", webp_bomb, "17,180 million"),
    ("truncated.bmp", lambda: cut(encoded("BMP")), "truncated"),
    ("bomb.bmp", bmp_bomb, "10,000 million"),
    ("truncated.jp2", lambda: cut(jpeg_2000(GRAY)), "damaged"),
    ("header-only.jp2", lambda: jpeg_2000(GRAY)[:60], "damaged"),
    ("signed.jp2", signed_jpeg_2000, "signed"),
    ("subsampled.jp2", subsampled_jpeg_2000, "subsampled channels"),
    ("bomb.jp2", jpeg_2000_bomb, "10,000 million"),
    ("truncated.gif", lambda: cut(encoded("GIF", GRAY_8)), "truncated"),
    ("animated.gif", lambda: animated("GIF"), "animated"),
    ("bomb.gif", gif_bomb, "cannot come from"),
    ("header-only.tif", lambda: tiff()[:8], "beyond the end of the file"),
    ("truncated-plain.tif", lambda: cut(tiff()), "truncated"),
    ("truncated-deflate.tif", lambda: cut(tiff(compression="zlib")), "truncated"),
    ("truncated-tiles.tif", lambda: cut(tiff(tile=(16, 16))), "truncated"),
    ("missing-strip.tif", tiff_without_strip, "missing"),
    ("bomb.tif", tiff_bomb, "10,000 million"),
    ("zero-height.tif", lambda: tiff_with("ImageLength", 0), "no pixels"),
    ("short-strip.tif", lambda: tiff_with("ImageLength", 50), "missing"),
    ("unknown-compression.tif", lambda: tiff_with("Compression", 12345), "compression 12345"),
    ("complex.tif", lambda: tiff(GRAY.astype(np.complex64)), "complex"),
    ("raw.tif", lambda: tiff_with("PhotometricInterpretation", 32803), "CFA"),
    ("white-float.tif", lambda: tiff(GRAY_8 / np.float32(255), photometric="miniswhite"), "white"),
    ("volume.tif", lambda: tiff(np.zeros((16, 16, 16), np.uint8), volumetric=True), "volume"),
    (
        "five-channels.tif",
        lambda: tiff(
            np.zeros((9, 9, 5), np.uint8), photometric="minisblack", planarconfig="contig"
        ),
        "5 gray channels",
    ),
    (
        "imagej-stack.tif",
        lambda: tiff(GRAY, description="ImageJ=1.54f\nimages=700\nslices=700\n", metadata=None),
        "ImageJ stack",
    ),
)

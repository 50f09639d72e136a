"""Find images in folders, tar and zip archives, and decode them to sRGB."""

import functools
import io
import os
import tarfile
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps

from training.prepare.errors import PrepareError

IMAGE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
ARCHIVE_SUFFIXES = frozenset({".tar", ".zip"})

_SRGB = ImageCms.createProfile("sRGB")


@dataclass(frozen=True, order=True)
class SourceImage:
    """Location of one encoded image.

    Attributes
    ----------
    source : str
        Absolute path of the searched folder or archive.
    name : str
        Path below the folder, or the member's name in the archive, with forward slashes.
    size : int
        Length of the encoded image in bytes.
    stamp : int
        Modification time of the file (or archive) in nanoseconds since the epoch.
    offset : int
        Position of the first byte in a tar file; -1 otherwise.
    """

    source: str
    name: str
    size: int
    stamp: int
    offset: int = -1

    @property
    def label(self) -> str:
        """Return a short name for people: the name of the folder or archive, and of the image."""
        return f"{Path(self.source).name}/{self.name}"

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the names that a table of facts may use for this image, the most precise first.

        For ``train-0003.tar`` / ``000123.webp``, the names are ``000123.webp``, ``000123`` and
        ``train/000123``, which is the key in the manifest of `pack`.
        """
        stem = str(PurePosixPath(self.name).with_suffix(""))
        shard = Path(self.source).stem.rsplit("-", 1)[0]
        return (f"{shard}/{stem}", self.name, stem)

    def read(self) -> bytes:
        """Return the encoded bytes.

        Raises
        ------
        OSError, zipfile.BadZipFile, KeyError
            If the file or archive cannot be read, or has changed since it was listed.
        """
        if self.offset >= 0:
            with Path(self.source).open("rb") as file:
                file.seek(self.offset)
                return file.read(self.size)
        if Path(self.source).is_dir():
            return Path(self.source, self.name).read_bytes()
        return _open_zip(self.source, self.stamp).read(self.name)


@functools.lru_cache(maxsize=16)  # reading the directory of a large zip file takes seconds
def _open_zip(path: str, stamp: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def find_images(paths: list[Path]) -> list[SourceImage]:
    """List the images in folders (and in archives inside them), tar files and zip files.

    Parameters
    ----------
    paths : list of Path
        Folders, ``.tar`` or ``.zip`` files.

    Returns
    -------
    list of SourceImage
        Sorted by source and name. Each image occurs once. Empty files are included.

    Raises
    ------
    PrepareError
        If a path does not exist, is neither a folder nor an archive, cannot be read, or contains
        no image.
    """
    found: set[SourceImage] = set()
    for path in paths:
        path = path.resolve()
        if path.is_dir():
            here = set(_in_folder(path))
        elif path.suffix.lower() in ARCHIVE_SUFFIXES and path.is_file():
            here = set(_in_archive(path))
        elif path.exists():
            raise PrepareError(
                f"{path} is neither a folder nor a .tar or .zip file: give its folder."
            )
        else:
            raise PrepareError(f"{path} does not exist: give a folder of images, a tar or a zip.")
        if not here:
            kinds = " ".join(sorted(IMAGE_SUFFIXES))
            raise PrepareError(f"{path} holds no image (looked for {kinds}).")
        found |= here
    return sorted(found)


def _in_folder(folder: Path) -> Iterator[SourceImage]:
    def unreadable(error: OSError) -> None:
        raise PrepareError(f"cannot list {error.filename}: {error.strerror}.") from error

    for parent, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(parent, name)
            suffix = path.suffix.lower()
            if name.startswith(".") or not path.is_file():
                continue  # .DS_Store, ._name of macOS, sockets, broken links
            if suffix in ARCHIVE_SUFFIXES:
                yield from _in_archive(path)
            elif suffix in IMAGE_SUFFIXES:
                status = path.stat()
                below = path.relative_to(folder).as_posix()
                yield SourceImage(str(folder), below, status.st_size, status.st_mtime_ns)


def _in_archive(path: Path) -> Iterator[SourceImage]:
    images: dict[str, SourceImage] = {}  # the last member of a name wins, as when unpacking
    try:
        stamp = path.stat().st_mtime_ns
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                for entry in archive.infolist():
                    name = entry.filename
                    if not entry.is_dir():
                        images[name] = SourceImage(str(path), name, entry.file_size, stamp)
        else:
            with tarfile.open(path, "r:") as tar:  # a compressed tar cannot be read at an offset
                for member in tar:
                    if member.isreg():
                        images[member.name] = SourceImage(
                            str(path), member.name, member.size, stamp, member.offset_data
                        )
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise PrepareError(
            f"{path} cannot be read as an archive ({error}): fetch it again, or unpack it first."
        ) from error
    for name, image in images.items():
        member_path = PurePosixPath(name)
        if member_path.suffix.lower() in IMAGE_SUFFIXES and member_path.name[:1] != ".":
            yield image


@dataclass(frozen=True)
class Decoded:
    """A decoded image in the form that the networks expect.

    Attributes
    ----------
    rgb : PIL.Image.Image
        8-bit sRGB, upright (EXIF orientation applied), transparent pixels on white.
    format, mode : str
        Format and mode of the file, for example ``JPEG`` and ``CMYK``.
    transparent : float
        Fraction of pixels in [0, 1] that are at least half transparent.
    as_stored : bool
        Whether the codes are unchanged from the file: 8-bit RGB, upright, without a profile.
    """

    rgb: Image.Image
    format: str
    mode: str
    transparent: float
    as_stored: bool


def decode(data: bytes) -> Decoded:
    """Decode an image completely, convert its colors to sRGB and rotate it upright.

    If the file is an animation or has several pages, the first image is used. If LittleCMS
    cannot use a profile, the image is treated as sRGB, as browsers do.

    Raises
    ------
    PrepareError
        If the bytes are not an image, are damaged or truncated, or the image has more pixels than
        Pillow's limit against decompression bombs (179 million).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd EXIF, ICC or size; the pixels are usable
            with Image.open(io.BytesIO(data)) as file:
                kind, mode = file.format or "?", file.mode
                file.load()
                profile = file.info.get("icc_profile")
                image = ImageOps.exif_transpose(file)
                upright = file.getexif().get(ExifTags.Base.Orientation, 1) == 1
            as_stored = mode == "RGB" and upright and not profile
            image, transparent = _flatten(image)
            rgb = _to_srgb(image, profile)
            rgb.info.clear()  # otherwise a writer would store the profile that no longer applies
            return Decoded(rgb, kind, mode, transparent, as_stored and not transparent)
    except Image.UnidentifiedImageError as error:
        raise PrepareError("not an image in a known format") from error
    except Exception as error:  # decoders raise many kinds of errors on damaged files
        raise PrepareError(str(error) or type(error).__name__) from error


def _flatten(image: Image.Image) -> tuple[Image.Image, float]:
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
        codes = np.asarray(image, dtype=np.float64)
        # 16-bit files arrive as I or I;16; convert("L") would clip them at 255.
        top = 65535.0 if image.mode != "F" or codes.max(initial=0) > 255 else 255.0
        return Image.fromarray((codes.clip(0, top) * (255 / top)).round().astype(np.uint8)), 0.0
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        alpha = rgba.getchannel("A")
        white = Image.new("RGBA", rgba.size, "white")
        share = float((np.asarray(alpha) < 128).mean())
        return Image.alpha_composite(white, rgba).convert("RGB"), share
    if image.mode in ("1", "P"):
        image = image.convert("RGB")
    return image, 0.0


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile and image.mode in ("RGB", "L", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in ImageCms.getProfileDescription(source):
                converted = ImageCms.profileToProfile(
                    image,
                    source,
                    _SRGB,
                    renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                    outputMode="RGB",
                    flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
                )
                assert converted is not None  # None only with inPlace
                return converted
        except (ImageCms.PyCMSError, OSError):
            pass
    return image if image.mode == "RGB" else image.convert("RGB")


def shrink(image: Image.Image, short_side: int) -> Image.Image:
    """Resize to a short side of `short_side` pixels; a smaller image is returned unchanged."""
    scale = short_side / min(image.size)
    if scale >= 1:
        return image
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3)


def pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Return the codes of an RGB image, uint8 of shape (height, width, 3)."""
    return np.array(image, dtype=np.uint8)

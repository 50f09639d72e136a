"""Writing: the colorized image as its source came, whole or not at all."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import tifffile
from numpy.typing import NDArray

from recolor_core import provenance as marks
from recolor_core.errors import ImageError
from recolor_core.files import AtomicFile, StreamFile, explained, sha256_of
from recolor_core.images import bmp, jp2, jpeg, png, tiff_output, webp
from recolor_core.images.credentials import SIGNED, Credentials
from recolor_core.images.describing import packet_for
from recolor_core.images.image import Page, TiffLayout
from recolor_core.images.reading import ImageFile

_Encode = Callable[[BinaryIO, NDArray[Any], Any, bytes | None], None]

_ENCODERS: dict[str, _Encode] = {
    "PNG": png.write,
    "WebP": webp.write,
    "BMP": bmp.write,
    "JPEG 2000": jp2.write,
    "JPEG": jpeg.write,
}
_ENDINGS = {
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".png": "PNG",
    ".webp": "WebP",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".jp2": "JPEG 2000",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
}
WRITABLE = tuple(_ENDINGS)
"""The endings that an output's name may have."""

_DEEP = {"TIFF", "PNG", "JPEG 2000"}  # hold 16 bits
_ALPHA = {"TIFF", "PNG", "WebP", "JPEG 2000"}
_PREMULTIPLIED_ALPHA = {"TIFF", "JPEG 2000"}
_XMP = {"TIFF", "PNG", "WebP", "JPEG 2000", "JPEG"}
_LARGEST_SIDE = {"WebP": webp.LARGEST_SIDE, "JPEG": 65535}
_CLASSIC_TIFF_BYTES = 4_000_000_000  # offsets have 32 bits; some room for the directories


class ImageWriter:
    """Writes a colorized image file: pages one after the other, each in strips.

    A context manager. The file appears when the block ends without an exception, complete; until
    then, and otherwise, there is nothing. The source is never written to.

    Parameters
    ----------
    target : str, PathLike or binary stream
        A path, whose ending names the format, or a binary stream (``sys.stdout.buffer``).
    like : ImageFile or None
        The source, open: pages, byte order and, for a stream, the format are taken from it.
    format : str or None
        "TIFF", "PNG", "WebP", "BMP", "JPEG 2000" or "JPEG", if the name does not tell it.
    overwrite : bool
        Whether a file that is there may be replaced.
    sidecar : bool
        Whether to write ``<target>.json`` too. It is always written if the format has no place
        for XMP (BMP), and if an old one would be left beside the new image.
    overwrite_sidecar : bool or None
        Whether a sidecar that is there may be replaced; as `overwrite`, if None.
    times : tuple of int or None
        Times of access and modification that the files get, in nanoseconds; now, if None.
    credentials : Credentials or None
        What signs the file (C2PA): PNG, JPEG, WebP, and TIFF of one page.

    Raises
    ------
    OutputExistsError
        If the target is there and may not be replaced.
    ImageError
        If the format cannot hold the image, or nothing can be written there.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        *,
        like: ImageFile | None = None,
        format: str | None = None,
        overwrite: bool = False,
        sidecar: bool = False,
        overwrite_sidecar: bool | None = None,
        times: tuple[int, int] | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self.path = Path(target) if isinstance(target, (str, os.PathLike)) else None
        self.name = str(self.path) if self.path else "<stdout>"
        self.format = format or self._format_of_name(like)
        self._stream = None if isinstance(target, (str, os.PathLike)) else target
        self._like = like
        self._overwrite = overwrite
        self._overwrite_sidecar = overwrite if overwrite_sidecar is None else overwrite_sidecar
        self._pages: list[dict[str, Any]] = []
        self._tiff: tiff_output.TiffOutput | None = None
        self._finished = False
        self._times = times
        self._credentials = credentials
        if credentials:
            self._check_signable()
        self._created = marks.now()
        if like:
            if len(like) > 1:
                self._expect_tiff(f"{len(like)} pages")
            if like.other_pages:
                self._expect_tiff(f"the further pages of the source, {', '.join(like.other_pages)}")
            for dtype in like.dtypes:
                self._check_depth(dtype)
        if self.path and like and like.path and _same_file(self.path, like.path):
            raise ImageError(f"{self.name}: this is the source itself; name another output")
        self.sidecar_path = self.path and Path(f"{self.path}.json")
        wanted = sidecar or self.format not in _XMP
        if self.sidecar_path and not wanted and not self.sidecar_path.exists():
            self.sidecar_path = None
        self._output: AtomicFile | StreamFile | None = None
        self._sidecar: AtomicFile | None = None

    @property
    def exact_gray(self) -> bool:
        """Whether the format keeps every code, and with it the gray; only JPEG does not."""
        return self.format != "JPEG"

    def __enter__(self) -> Self:
        if self.path:
            self._output = AtomicFile(self.path, overwrite=self._overwrite)
        else:
            assert self._stream is not None
            self._output = StreamFile(self._stream)
        if self.sidecar_path:
            try:
                self._sidecar = AtomicFile(self.sidecar_path, overwrite=self._overwrite_sidecar)
            except BaseException:
                self._output.discard()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._output is not None
        try:
            if kind is None:
                self.finish()
                # The image comes last: if it is there, everything that belongs to it is.
                if self._sidecar:
                    self._sidecar.commit()
                self._output.commit()
        finally:
            self._output.discard()
            if self._sidecar:
                self._sidecar.discard()

    def finish(self) -> None:
        """Bring the whole file to the disk; leaving the block then only moves it to its place.

        Call it on each of several writers whose files are to appear together, or not at all.
        """
        assert self._output is not None, "use ImageWriter in a with block"
        if self._finished:
            return
        if not self._pages:
            raise ValueError("expected at least one page, none was written")
        with explained(self.name):
            if self._tiff:
                self._tiff.close()
                if self._like:
                    self._like.carry_other_pages(self._output.file)
            if self._credentials:
                self._sign(self._credentials)
            self._output.finish()
            if self._sidecar:
                self._output.file.seek(0)
                self._sidecar.file.write(self._facts(sha256_of(self._output.file)))
                self._sidecar.finish()
        for output in (self._output, self._sidecar):
            if isinstance(output, AtomicFile) and self._times:
                output.copy_times(self._times)
        self._finished = True

    def write(
        self,
        page: Page,
        strips: Iterable[NDArray[Any]] | NDArray[Any],
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        """Write one page.

        Parameters
        ----------
        page : Page
            The page of the source: size, dtype, alpha and metadata come from it.
        strips : iterable of ndarray, or ndarray
            Its colors: RGB codes ``(h, W, 3)`` in `Page.output_dtype`, from top to
            bottom, of any height; or ``(H, W, 3)`` at once. TIFF never holds more than a few.
        provenance : mapping or None
            How the colors came to be (`Colorization.provenance`), for XMP and sidecar. None leaves
            the page unmarked.

        Raises
        ------
        ImageError
            If the format cannot hold the page, or the disk is full.
        ValueError
            If the strips do not fit the page.
        """
        assert self._output is not None, "use ImageWriter in a with block"
        self._check(page)
        if isinstance(strips, np.ndarray):
            strips = (strips,)
        facts = {**provenance, "reading": page.reading} if provenance is not None else None
        xmp = packet_for(page.metadata, self.format)
        if facts is not None:
            xmp = marks.xmp_packet(facts, xmp, self._created)
        checked = _Checked(strips, page)
        try:
            with explained(self.name):
                self._write(self._output.file, page, checked, xmp)
        except ImageError:
            if checked.error:  # what failed is the making of the colors, not the writing
                raise checked.error from None
            raise
        self._pages.append(facts if facts is not None else {"reading": page.reading})

    def _write(self, file: BinaryIO, page: Page, strips: "_Checked", xmp: bytes | None) -> None:
        if self.format == "TIFF":
            if self._tiff is None:
                self._tiff = tiff_output.TiffOutput(file, self._file_layout(page))
            self._tiff.write(page, iter(strips), xmp)
            return
        pixels = _assembled(page, tiff_output.with_further_channels(iter(strips), page))
        try:
            _ENCODERS[self.format](file, pixels, page.metadata, xmp)
        except OSError as error:
            if error.errno is not None:
                raise
            raise self._unfit("the encoder refused it") from error
        except MemoryError as error:
            raise self._unfit("it does not fit into memory") from error
        except (ValueError, RuntimeError) as error:
            raise self._unfit("the encoder refused it") from error

    def _check_signable(self) -> None:
        if self.format not in SIGNED:
            raise ImageError(
                f"{self.name}: {self.format} cannot be signed; write a .png, .tif, .jpg or .webp"
            )
        pages = self._like and (len(self._like) > 1 or self._like.other_pages)
        if pages and self.format == "TIFF":  # the library would add a page without pixels
            raise ImageError(
                f"{self.name}: a TIFF of several pages cannot be signed; split it, or leave out "
                "--c2pa-key and --c2pa-cert"
            )

    def _sign(self, credentials: Credentials) -> None:
        assert self._output is not None
        if self._like is None:
            credentials.sign(self._output.file, self.format, self.name)
            return
        with self._like.opened() as source:
            credentials.sign(
                self._output.file,
                self.format,
                self.name,
                source=source,
                source_name=Path(self._like.name).name,
                source_format=self._like.format,
            )

    def _facts(self, output_sha256: str) -> bytes:
        return marks.sidecar(
            self._pages,
            source=Path(self._like.name).name if self._like else "array",
            source_sha256=self._like.sha256 if self._like else "",
            output=self.path.name if self.path else "",
            output_sha256=output_sha256,
            exact_gray=self.exact_gray and not any(page.get("levels") for page in self._pages),
            created=self._created,
        )

    def _file_layout(self, page: Page) -> TiffLayout:
        layout = page.metadata.layout or TiffLayout()
        size = self._like.output_nbytes if self._like else 4 * page.codes.nbytes
        if self._like and self._like.other_pages:
            size += self._like.size
        return replace(layout, big=layout.big or size > _CLASSIC_TIFF_BYTES)

    def _format_of_name(self, like: ImageFile | None) -> str:
        if self.path is None:
            if like is None:
                raise ImageError("a stream has no name that tells a format; pass format=")
            return _ENDINGS[Path(like.output_name()).suffix.lower()]
        format = _ENDINGS.get(self.path.suffix.lower())
        if format is None:
            raise ImageError(
                f"{self.name}: expected a name that ends in {', '.join(WRITABLE)}, "
                f"got {self.path.suffix or 'none'!r}; rename the output"
            )
        return format

    def _check(self, page: Page) -> None:
        self._check_depth(page.output_dtype)
        if page.extra is not None:
            self._expect_tiff("channels that are neither color nor alpha")
        if self._pages:
            self._expect_tiff("more than one page")
        if page.alpha is not None:
            if self.format not in _ALPHA:
                raise self._unfit("it cannot hold alpha")
            if page.metadata.premultiplied and self.format not in _PREMULTIPLIED_ALPHA:
                raise self._unfit("it cannot hold premultiplied alpha")
        side = max(page.codes.shape[:2])
        if side > _LARGEST_SIDE.get(self.format, side):
            raise self._unfit(f"it holds at most {_LARGEST_SIDE[self.format]} pixels a side")

    def _check_depth(self, dtype: np.dtype[Any]) -> None:
        if dtype.kind == "f":
            self._expect_tiff(f"{dtype} codes")
        elif dtype.itemsize > 1 and self.format not in _DEEP:
            raise self._unfit("it holds 8 bits, this image has 16")

    def _expect_tiff(self, what: str) -> None:
        if self.format != "TIFF":
            raise ImageError(f"{self.name}: {self.format} cannot hold {what}; write a .tif instead")

    def _unfit(self, reason: str) -> ImageError:
        return ImageError(
            f"{self.name}: this image cannot be written as {self.format} "
            f"({' '.join(reason.split())}); write a .tif or .png instead"
        )


class _Checked:
    """The strips of a page, each checked, and what went wrong while they were made."""

    def __init__(self, strips: Iterable[NDArray[Any]], page: Page) -> None:
        self._strips = strips
        self._page = page
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[NDArray[Any]]:
        height, width = self._page.codes.shape[:2]
        dtype, rows = self._page.output_dtype, 0
        try:
            for strip in self._strips:
                if strip.shape[1:] != (width, 3) or strip.dtype != dtype:
                    raise ValueError(
                        f"expected strips (h, {width}, 3) of {dtype}, "
                        f"got {strip.shape} of {strip.dtype}"
                    )
                rows += len(strip)
                if rows > height:
                    raise ValueError(f"expected strips of {height} rows, got more")
                yield strip
            if rows != height:
                raise ValueError(f"expected strips of {height} rows, got {rows}")
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            raise


def _assembled(page: Page, strips: Iterable[NDArray[Any]]) -> NDArray[Any]:
    pieces = list(strips)
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _same_file(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:  # one of them is not there
        return False


def write_stage(
    path: str | os.PathLike[str],
    array: NDArray[Any],
    *,
    description: str,
    overwrite: bool = False,
    xmp: bytes | None = None,
) -> None:
    """Write an intermediate stage (ab, uncertainty) as floating point TIFF, atomically.

    Parameters
    ----------
    path : path-like
        The file, ``.tif``.
    array : ndarray
        (H, W) or (channels, H, W); written as float32, one page per channel.
    description : str
        What the numbers are, with their unit, in ASCII; the ImageDescription of the file.
    overwrite : bool
        Whether a file that is there may be replaced.
    xmp : bytes or None
        How the stage was made, for the first page.

    Raises
    ------
    OutputExistsError
        If the file is there and may not be replaced.
    ImageError
        If nothing can be written there.
    """
    output = AtomicFile(Path(path), overwrite=overwrite)
    try:
        encode_stage(output, array, description=description, xmp=xmp)
        output.commit()
    finally:
        output.discard()


def encode_stage(
    output: AtomicFile, array: NDArray[Any], *, description: str, xmp: bytes | None = None
) -> None:
    """Write an intermediate stage into an open file; see `write_stage`.

    Parameters
    ----------
    output : AtomicFile
        Receives the file; it is not committed.
    array, description
        As in `write_stage`.
    xmp : bytes or None
        How the stage was made, for the first page.
    """
    planes = np.ascontiguousarray(array, np.float32).reshape(-1, *array.shape[-2:])
    with explained(output.name), tifffile.TiffWriter(output.file) as writer:
        for number, plane in enumerate(planes):
            marked = number == 0 and xmp
            writer.write(
                plane,
                photometric="minisblack",
                compression="zlib",
                predictor=True,
                description=description if number == 0 else None,
                software=False,
                metadata=None,
                extratags=[(700, 1, len(xmp), xmp, True)] if marked and xmp else (),
            )

"""Reading TIFF and BigTIFF: which pages are images, what they hold, and what goes back with them.

Directories are read here, pixels by tifffile and imagecodecs.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL.JpegImagePlugin import JpegImageFile
from tifffile import TiffFile, TiffPage

from recolor_core.images import exif, large, tiff_carrying
from recolor_core.images.describing import Description, describe
from recolor_core.images.image import ALPHA_SAMPLES, LINEAR, Model, Stored, TiffLayout
from recolor_core.images.source import Source
from recolor_core.images.tiff_decoding import (
    JPEG,
    LOG_L,
    LOG_LUV,
    OLD_JPEG,
    SGI_LOG,
    SGI_LOG_24,
    SUPPORTED,
    check_chunks,
    expanded_palette,
    from_24_bits,
    from_ycbcr,
    gray_of_lightness,
    is_8_bit,
    luminance_of_log,
    old_jpeg_stream,
)
from recolor_core.images.tiff_directory import (
    COLOR_MAP,
    COMPRESSION,
    EXTRA_SAMPLES,
    IMAGE_DEPTH,
    INK_SET,
    MAX_SAMPLE,
    PHOTOMETRIC,
    PLANAR,
    PREDICTOR,
    ROWS_PER_STRIP,
    SAMPLE_FORMAT,
    SUB_IFDS,
    WHITE_LEVEL,
    Directory,
    DirectoryError,
    TiffDirectories,
)
from recolor_core.images.tiff_tags import (
    DEFLATE,
    DESCRIPTION,
    DIFFERENCE,
    FLOAT_DIFFERENCE,
    ICC,
    IPTC,
    KEPT,
    NONE,
    PACKBITS,
    PHOTOSHOP,
    WRITABLE,
    XMP,
)

# What tifffile logs about odd tags reaches people who configure logging only.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK_COLOR, _CMYK, _YCBCR = 0, 1, 2, 3, 4, 5, 6
_CIE_LAB, _ICC_LAB, _CFA, _LINEAR_RAW = 8, 9, 32803, 34892
_LIGHTNESS = {_CIE_LAB, _ICC_LAB}
_LOG = {LOG_L, LOG_LUV}
_INDIRECT = {_PALETTE} | _LIGHTNESS | _LOG  # whose samples are not the codes
_BILEVEL = {2, 3, 4, 32771}  # CCITT: lossless, but for one bit only
_LOSSLESS = set(WRITABLE) | _BILEVEL
_NO_PREDICTOR = {NONE, PACKBITS}
_UNSIGNED, _SIGNED, _FLOAT, _UNDEFINED = 1, 2, 3, 4
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_CANON_RAW = b"CR"
_READ_AHEAD = 32 << 20  # bytes
_DEEPEST = 64
_CMYK_INKS = 1
_PYRAMID = "a pyramid, made anew from the result if that is a TIFF"
_COLOR_NAMES = {
    _MASK_COLOR: "a transparency mask",
    10: "ITU L*a*b*",
    _CFA: "camera raw (CFA)",
    _LINEAR_RAW: "linear camera raw",
    51177: "a depth map",
    52527: "a semantic mask",
}
_READ = frozenset(KEPT | {XMP, PHOTOSHOP, ICC, exif.ORIENTATION, 282, 283, 296, 529, 532})


@dataclass(frozen=True)
class _Image:
    """A directory to color, the one whose tags describe it, and what is special, in words."""

    index: int  # of the page
    pixels: Directory
    tags: Directory
    notes: tuple[str, ...] = ()
    pyramid: tuple[int, ...] = ()
    pyramid_in_pages: bool = False


class _RefusedError(Exception):
    """A kind of page that cannot be colored: what it is, and the remedy."""

    def __init__(self, came: str, remedy: str) -> None:
        super().__init__(came)
        self.came, self.remedy = came, remedy


class TiffPages:
    """The images of a TIFF file, each read when it is asked for.

    Attributes
    ----------
    others
        The pages that are not images to color, in words: masks, small copies, kinds that cannot be
        colored. `carry` copies them.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._handle = source.open()
        self._tiff: TiffFile | None = None
        try:
            self._file = _opened(source, self._handle)
            self._images, self._others = self._sorted()
            self._tiff = TiffFile(source.path or source.open())
        except BaseException:
            self.close()
            raise
        count = len(self._file.pages)
        self.others = [f"page {at + 1} ({why})" for at, why in sorted(self._others.items())]
        if self.others:
            words = f"carried through untouched: {', '.join(self.others)}"
            self._images[0] = replace(self._images[0], notes=(*self._images[0].notes, words))
        self._count = count

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[Stored]:
        for image in self._images:
            try:
                yield self._stored(image)
            except DirectoryError as error:
                raise self._error(image.index, str(error), error.remedy) from None

    def close(self) -> None:
        """Close the file. Views of it stay valid."""
        self._handle.close()
        if self._tiff:
            self._tiff.close()

    def carry(self, target: BinaryIO) -> None:
        """Copy the other pages into a finished result, each to the place that it has here."""
        if self._others:
            try:
                tiff_carrying.carry(self._file, set(self._others), target)
            except DirectoryError as error:
                raise self._error(min(self._others), str(error), error.remedy) from None

    def _error(self, index: int, came: str, remedy: str) -> Exception:
        place = f"page {index + 1}: " if len(self._file.pages) > 1 else ""
        return self._source.error(place + came, remedy)

    def _sorted(self) -> tuple[list[_Image], dict[int, str]]:
        """The images to color, and why the other pages are not."""
        pages = self._file.pages
        images = [_main_image(index, page) for index, page in enumerate(pages)]
        largest = max(
            (i.pixels.height * i.pixels.width for i in images if not _small(i)), default=0
        )
        colored: list[_Image] = []
        others: dict[int, str] = {}
        first: tuple[int, _RefusedError] | None = None
        for image in images:
            area = image.pixels.height * image.pixels.width
            if _small(image) and area < largest:
                if colored and _continues_pyramid(colored[-1], image):
                    colored[-1] = _with_level(colored[-1], image)
                else:
                    others[image.index] = "a small copy"
                continue
            try:
                _check_kind(image.pixels)
            except _RefusedError as error:
                first = first or (image.index, error)
                others[image.index] = error.came
                continue
            colored.append(image)
        if not colored:
            assert first is not None  # there is at least one page
            raise self._error(first[0], first[1].came, first[1].remedy)
        return colored, others

    def _stored(self, image: _Image) -> Stored:
        page = image.pixels
        described = self._described(image)
        metadata = described.metadata
        photometric = page.integer(PHOTOMETRIC, _BLACK_IS_ZERO)
        notes = [*image.notes, *described.notes]
        bits, model = max(page.bits), _model(page)
        kind = page.integer(SAMPLE_FORMAT, _UNSIGNED)
        is_float = kind == _FLOAT
        space = None
        if photometric == _PALETTE:
            notes.append("palette, expanded to RGB")
            bits = 8 if is_8_bit(_colors(page)) else 16
        elif photometric in _LIGHTNESS:
            notes.append("CIELAB, its lightness L* read")
            bits = 16
        elif photometric in _LOG:
            notes.append("LogLuv, its luminance read; pass levels for what is black and white")
            bits, is_float, space = 32, True, LINEAR
        elif photometric == _LINEAR_RAW:
            notes.append("linear raw, as the scanner or camera stored it")
            space = LINEAR
        if (
            photometric not in _INDIRECT
            and bits == 16
            and kind == _UNSIGNED
            and (most := _stated_bits(page))
        ):
            bits = most
        extra = () if photometric in _LIGHTNESS | _LOG else _extra_samples(page)
        if page.integer(PLANAR, 1) != 1 and page.samples > 1:
            notes.append("planar")
        return Stored(
            height=page.height,
            width=page.width,
            model=model,
            bits=bits,
            is_float=is_float,
            is_signed=kind == _SIGNED and photometric not in _LIGHTNESS | _LOG,
            alpha=any(sample in ALPHA_SAMPLES for sample in extra),
            white_is_zero=photometric == _WHITE_IS_ZERO,
            decode=partial(self._decoded, image, bits, notes),
            icc=None if photometric in _LIGHTNESS else described.icc,
            space=space,
            orientation=described.orientation,
            lossy=page.integer(COMPRESSION, 1) not in _LOSSLESS,
            notes=notes,
            metadata=replace(metadata, extra_samples=extra),
        )

    def _decoded(self, image: _Image, bits: int, notes: list[str]) -> NDArray[Any]:
        try:
            pixels = self._pixels(image)
        except DirectoryError as error:
            raise self._error(image.index, str(error), error.remedy) from None
        if 8 < bits < 16 and max(image.pixels.bits) == 16:  # MaxSampleValue says so
            top = (1 << bits) - 1
            largest = int(pixels.max())
            if largest > top:
                raise self._error(
                    image.index,
                    f"by its tags {top} is the largest code, but there are codes up to {largest}",
                    f"remove MaxSampleValue (or WhiteLevel), or make it {largest} or more",
                )
        return pixels

    def _pixels(self, image: _Image) -> NDArray[Any]:
        page = image.pixels
        compression = page.integer(COMPRESSION, 1)
        photometric = page.integer(PHOTOMETRIC, _BLACK_IS_ZERO)
        if compression == OLD_JPEG:
            stream = old_jpeg_stream(self._file, page)
            return np.asarray(JpegImageFile(BytesIO(stream)))
        self._check_complete(page)
        check_chunks(self._file, page)
        if photometric in _LOG:
            return luminance_of_log(self._file, page)
        if photometric == _YCBCR and compression != JPEG:
            rationals = {
                code: tuple(float(v) for v in entry.fractions(self._file.order))
                for code, entry in self._tags(page).entries.items()
                if code in (529, 532)
            }
            return from_ycbcr(self._file, page, rationals)
        if max(page.bits) == 24 and page.integer(SAMPLE_FORMAT, _UNSIGNED) != _FLOAT:
            return from_24_bits(self._file, page)
        pixels = self._by_tifffile(page)
        if photometric == _PALETTE:
            return expanded_palette(pixels, _colors(page))
        if photometric in _LIGHTNESS:
            return gray_of_lightness(pixels)
        return pixels

    def _by_tifffile(self, directory: Directory) -> NDArray[Any]:
        assert self._tiff is not None
        self._tiff.filehandle.seek(directory.offset)
        page = TiffPage(self._tiff, index=0)
        if page.is_memmappable and page.dtype is not None:
            # A view of the file: no copy of what may be gigabytes ("c": unless it is written to).
            pixels = self._tiff.filehandle.memmap_array(
                self._tiff.byteorder + page.dtype.char, page.shaped, page.dataoffsets[0], mode="c"
            )
        else:
            assert page.dtype is not None
            # tifffile reads as much of the file ahead as this; its default is 256 MiB.
            pixels = page.asarray(
                squeeze=False, out=large.room(page.shaped, page.dtype), buffersize=_READ_AHEAD
            )
        planes, _, height, width, channels = page.shaped
        pixels = pixels.reshape(planes, height, width, channels)
        if planes > 1:
            return np.moveaxis(pixels[..., 0], 0, -1)
        return np.asarray(pixels[0, ..., 0] if channels == 1 else pixels[0])

    def _check_complete(self, page: Directory) -> None:
        # tifffile fills what is missing with zeros, which nobody would notice in a dark image.
        rows, columns = page.chunk
        if rows < 1 or columns < 1:
            raise DirectoryError("its tiles or strips have no pixels")
        wanted = -(-page.height // rows) * -(-page.width // columns)
        if page.integer(PLANAR, 1) != 1:
            wanted *= page.samples
        places = page.places[:wanted]
        if len(places) < wanted or not all(offset and size for offset, size in places):
            raise DirectoryError("strips or tiles are missing")
        end = max(offset + size for offset, size in places)
        if end > self._file.size:
            raise DirectoryError(f"the file is truncated: it has {self._file.size} bytes of {end}")
        description = self._tags(page).entries.get(DESCRIPTION)
        text = description.value[:400] if description else b""
        if len(self._file.pages) == 1 and text.startswith(b"ImageJ=") and b"images=" in text:
            stated = text.split(b"images=")[1].split()[0]
            if stated.isdigit() and int(stated) > 1:
                raise DirectoryError(
                    f"an ImageJ stack of {int(stated)} images in one page",
                    "save it as a TIFF with one page per image",
                )

    def _tags(self, page: Directory) -> exif.Directory:
        file = self._file
        return exif.read_directory(
            file.read,
            page.offset,
            file.order,
            exif.Budget(file.size),
            big=file.big,
            wanted=_READ,
        )

    def _described(self, image: _Image) -> Description:
        directory, order = self._tags(image.tags), self._file.order
        kept = {code: entry for code, entry in directory.entries.items() if code in KEPT}
        if _describes_arrays(kept.get(DESCRIPTION)):
            del kept[DESCRIPTION]
        if exif.ORIENTATION in directory.entries:
            kept[exif.ORIENTATION] = directory.entries[exif.ORIENTATION]
        block = None
        if kept or directory.children:
            block = exif.build(order, exif.Directory(kept, directory.children))
        values = {code: entry.value for code, entry in directory.entries.items()}
        iptc = values.get(IPTC)
        return describe(
            resolution=exif.directory_resolution(directory, order),
            icc=values.get(ICC),
            exif_block=block,
            xmp_packet=values.get(XMP),
            resources=values.get(PHOTOSHOP),
            iptc_block=iptc,
            layout=replace(
                _layout(image.pixels, self._file),
                pyramid=image.pyramid,
                pyramid_in_pages=image.pyramid_in_pages,
            ),
            premultiplied=1 in image.pixels.integers(EXTRA_SAMPLES),
        )


def _opened(source: Source, handle: BinaryIO) -> TiffDirectories:
    remedy = "copy it again from its origin"
    try:
        file = TiffDirectories(handle)
    except DirectoryError as error:
        raise source.error(f"this TIFF is damaged: {error}", remedy) from None
    if source.head[8:10] == _CANON_RAW:
        raise source.error("camera raw (CR2)", "develop it with a raw converter, to TIFF")
    if not file.pages:
        raise source.error("this TIFF has no page", remedy)
    return file


def _small(image: _Image) -> bool:
    return bool(image.pixels.subfile & _REDUCED)


def _main_image(index: int, page: Directory) -> _Image:
    """The image of a page: its own, or that of a SubIFD if the page is a preview of it."""
    children = page.children if SUB_IFDS in page else []
    whole = [child for child in children if not child.subfile & (_REDUCED | _MASK)]
    larger = [c for c in whole if c.height * c.width > page.height * page.width]
    if larger:
        main = max(larger, key=lambda child: child.height * child.width)
        words = f"the main image, not the preview of {page.width} x {page.height}"
        return _Image(index, main, page, (words,))
    if not children:
        return _Image(index, page, page)
    factors = [_reduction(page, child) for child in children]
    if all(factors):
        return _Image(index, page, page, (_PYRAMID,), tuple(factors))
    count = len(children)
    words = f"{count} {'images' if count > 1 else 'image'} of SubIFDs left out"
    return _Image(index, page, page, (words,))


def _reduction(page: Directory, level: Directory) -> int:
    """By how much a level of a pyramid is reduced, or 0 if it is none."""
    same = (page.samples, page.bits) == (level.samples, level.bits)
    if not same or not level.subfile & _REDUCED or not level.width or not level.height:
        return 0
    factor = max(round(page.width / level.width), round(page.height / level.height))
    fits = all(
        reduced in (length // factor, -(-length // factor))
        for length, reduced in ((page.height, level.height), (page.width, level.width))
    )
    return factor if factor > 1 and fits else 0


def _continues_pyramid(image: _Image, level: _Image) -> bool:
    """Whether a small page is the next level of the image in front of it."""
    levels = len(image.pyramid) if image.pyramid_in_pages else 0
    follows = level.index == image.index + levels + 1
    alone = image.pyramid_in_pages or not image.pyramid
    return follows and alone and _reduction(image.pixels, level.pixels) > 0


def _with_level(image: _Image, level: _Image) -> _Image:
    factors = (*image.pyramid, _reduction(image.pixels, level.pixels))
    notes = image.notes if _PYRAMID in image.notes else (*image.notes, _PYRAMID)
    return replace(image, notes=notes, pyramid=factors, pyramid_in_pages=True)


def _check_kind(page: Directory) -> None:
    """Refuse what cannot be colored, judging by its tags only."""
    photometric = page.integer(PHOTOMETRIC, _BLACK_IS_ZERO)
    compression = page.integer(COMPRESSION, 1)
    bits, kinds = page.bits, page.integers(SAMPLE_FORMAT) or (_UNSIGNED,)
    kind, depth = kinds[0], max(bits)
    if page.subfile & _MASK:
        raise _RefusedError("a transparency mask", "remove this page")
    if photometric == _CFA:
        raise _RefusedError(_COLOR_NAMES[_CFA], "develop it with a raw converter, to TIFF")
    supported = {_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _LINEAR_RAW}
    if photometric not in supported | _LIGHTNESS | _LOG:
        name = _COLOR_NAMES.get(photometric, f"color model {photometric}")
        raise _RefusedError(name, "convert it to gray or RGB")
    if compression not in SUPPORTED:
        raise _RefusedError(
            f"compression {compression} is not supported", "save it with LZW or deflate"
        )
    if (compression in (SGI_LOG, SGI_LOG_24)) != (photometric in _LOG):
        raise _RefusedError("SGI log encoding of other colors", "convert it to gray or RGB")
    if page.integer(IMAGE_DEPTH, 1) > 1:
        raise _RefusedError("a volume in one page (ImageDepth)", "save it as one page per slice")
    if len(set(bits)) > 1 or len(set(kinds)) > 1:
        raise _RefusedError("channels of different depths", "convert it to equal channels")
    if photometric in _LOG:
        return
    if kind not in (_UNSIGNED, _SIGNED, _FLOAT, _UNDEFINED) or depth > _DEEPEST:
        raise _RefusedError("complex or undefined samples", "convert it to uint16 or float32")
    if kind == _FLOAT and depth not in (16, 24, 32, 64):
        raise _RefusedError(f"{depth}-bit floating point", "convert it to float32")
    if kind != _FLOAT and depth > 16 and depth not in (24, 32, 64):
        raise _RefusedError(f"{depth}-bit integers", "convert it to uint16 or float32")
    if kind == _FLOAT and photometric in (_WHITE_IS_ZERO, _PALETTE):
        raise _RefusedError("floating point that runs from white to black", "invert it first")
    if kind == _SIGNED and photometric in (_WHITE_IS_ZERO, _PALETTE, _CMYK, _YCBCR):
        raise _RefusedError(f"signed {depth}-bit integers of this color model", "convert it first")
    if photometric in _LIGHTNESS:
        if depth not in (8, 16):
            raise _RefusedError(f"CIELAB of {depth} bits", "convert it to 8 or 16 bits")
        return
    if photometric == _YCBCR and compression != JPEG and (depth != 8 or page.samples != 3):
        raise _RefusedError(f"YCbCr of {depth} bits", "convert it to RGB")
    if photometric == _PALETTE:
        if page.samples != 1 or COLOR_MAP not in page:
            raise _RefusedError("a palette of several channels", "convert it to RGB")
        if depth > 16:
            raise _RefusedError(f"a palette of {depth} bits", "convert it to RGB")
    _check_channels(page, kind, depth)


def _check_channels(page: Directory, kind: int, depth: int) -> None:
    photometric = page.integer(PHOTOMETRIC, _BLACK_IS_ZERO)
    colors = _color_channels(page)
    further = page.samples - colors
    if photometric == _CMYK and page.integer(INK_SET, _CMYK_INKS) != _CMYK_INKS:
        raise _RefusedError("inks other than CMYK", "convert it to RGB")
    if further < 0:
        raise _RefusedError(
            f"{page.samples} channels, {colors} are needed for its colors", "save it again as RGB"
        )
    if colors == 1 and further > 1:
        raise _RefusedError(
            f"{page.samples} gray channels in one page", "save it as one page per channel"
        )
    if further and kind != _FLOAT and (kind == _SIGNED or depth > 16):
        raise _RefusedError(
            f"{depth}-bit integers with further channels", "convert it to uint16 or float32"
        )
    if kind == _UNDEFINED and depth not in (8, 16):
        raise _RefusedError("undefined samples", "convert it to uint8, uint16 or float32")


def _color_channels(page: Directory) -> int:
    photometric = page.integer(PHOTOMETRIC, _BLACK_IS_ZERO)
    if photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _PALETTE):
        return 1
    if photometric == _LINEAR_RAW:
        return 1 if page.samples < 3 else 3
    return 4 if photometric == _CMYK else 3


def _model(page: Directory) -> Model:
    photometric = page.integer(PHOTOMETRIC, _BLACK_IS_ZERO)
    if photometric == _CMYK:
        return "cmyk"
    if photometric in (_RGB, _PALETTE, _YCBCR):
        return "rgb"
    if photometric == _LINEAR_RAW and page.samples >= 3:
        return "rgb"
    return "gray"


def _extra_samples(page: Directory) -> tuple[int, ...]:
    """What the channels beyond the colors are; 0 (something else) if no tag says it."""
    count = page.samples - _color_channels(page)
    kinds = [kind if kind in (0, *ALPHA_SAMPLES) else 0 for kind in page.integers(EXTRA_SAMPLES)]
    return tuple((*kinds, *(0 for _ in range(count)))[:count])


def _stated_bits(page: Directory) -> int:
    """How many bits of 16 are used, by MaxSampleValue or DNG's WhiteLevel; 0 if all are."""
    stated = max(page.integers(MAX_SAMPLE) or page.integers(WHITE_LEVEL), default=0)
    bits = stated.bit_length()
    return bits if 8 < bits < 16 and stated == (1 << bits) - 1 else 0


def _colors(page: Directory) -> NDArray[np.uint16]:
    entries = page.integers(COLOR_MAP)
    size = 3 << max(page.bits)
    if len(entries) < size:
        raise DirectoryError(f"its palette has {len(entries) // 3} colors of {size // 3}")
    return np.array(entries[:size], np.uint16).reshape(3, -1)


def _describes_arrays(entry: exif.Entry | None) -> bool:
    """Whether a description states the shape of the gray stack, which is not that of the result."""
    if entry is None:
        return False
    head = entry.value[:400].lstrip()
    return head.startswith(b'{"shape":') or (head.startswith(b"<?xml") and b"<OME" in entry.value)


def _layout(page: Directory, file: TiffDirectories) -> TiffLayout:
    stored = page.integer(COMPRESSION, 1)
    # What a lossy or bilevel codec held goes into deflate, which every reader has.
    compression = WRITABLE.get(stored, DEFLATE)
    if compression in _NO_PREDICTOR:
        predictor = 1
    elif stored not in WRITABLE:
        predictor = DIFFERENCE
    else:
        predictor = 1 if page.integer(PREDICTOR, 1) == 1 else DIFFERENCE
    photometric = page.integer(PHOTOMETRIC, _BLACK_IS_ZERO)
    is_float = page.integer(SAMPLE_FORMAT, _UNSIGNED) == _FLOAT or photometric in _LOG
    if predictor != 1 and is_float:
        predictor = FLOAT_DIFFERENCE
    tile = page.chunk if page.is_tiled else None
    if tile and (tile[0] % 16 or tile[1] % 16 or not all(tile)):
        tile = None
    rows = 0 if page.is_tiled else min(page.integer(ROWS_PER_STRIP, page.height), page.height)
    return TiffLayout(
        compression=compression,
        predictor=predictor,
        tile=tile,
        rows_per_strip=rows,
        byte_order=file.order,
        big=file.big,
        subfile_type=page.subfile,
    )

"""The gray scan back from its coloring, code for code."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recolor_core import provenance
from recolor_core.batch.original import profile_of_original
from recolor_core.batch.restoration import Restoration
from recolor_core.batch.result import sidecar_of
from recolor_core.batch.tree import OWN, make_folder
from recolor_core.digest import digest_codes
from recolor_core.errors import ImageError
from recolor_core.files import AtomicFile, explained
from recolor_core.gray import read_gray
from recolor_core.images import ImageFile, Page, TiffLayout, open_image, png
from recolor_core.images.tiff_output import Photometric, TiffOutput

_ANY_SIZE = 2**62
_CLASSIC_TIFF_BYTES = 4_000_000_000  # offsets have 32 bits; some room for the directories


def restored_name(output: Path) -> Path:
    """The name of the gray image unless another is given: ``scan.restored.tif``.

    Parameters
    ----------
    output : Path
        The result, such as ``scan.recolor.tif``. What is neither TIFF nor PNG becomes PNG.
    """
    stem = output.stem.removesuffix(OWN.rstrip("."))
    suffix = output.suffix if output.suffix.lower() in (".tif", ".tiff", ".png") else ".png"
    return output.with_name(f"{stem}.restored{suffix}")


def restore_image(
    output: Path, target: Path | None = None, *, overwrite: bool = False
) -> Restoration:
    """Write the gray image that a result was made of: its codes, depth, profile and tags.

    Parameters
    ----------
    output : Path
        The result.
    target : Path or None
        Where the gray image goes, a .tif, .tiff or .png; see `restored_name`.
    overwrite : bool
        Whether a file that is there may be replaced.

    Returns
    -------
    Restoration

    Raises
    ------
    ImageError
        If the result cannot be read, was not made by Recolor, or its gray was altered.
    OutputExistsError
        If the target is there and may not be replaced.
    """
    target = target or restored_name(output)
    if target.suffix.lower() not in (".tif", ".tiff", ".png"):
        raise ImageError(
            f"{target}: expected a name that ends in .tif, .tiff or .png, "
            f"got {target.suffix!r}; rename the output"
        )
    with open_image(output, max_pixels=_ANY_SIZE) as file:
        records = _records(file, output)
        if target.suffix.lower() == ".png" and len(file) > 1:
            raise ImageError(f"{target}: PNG cannot hold {len(file)} pages; name a .tif instead")
        make_folder(target.parent)
        with AtomicFile(target, overwrite=overwrite) as place, explained(str(target)):
            writer: _Tiff | _Png = (
                _Png(place) if target.suffix.lower() == ".png" else _Tiff(place, file)
            )
            exact, notes = True, dict.fromkeys(_notes(records[0]))
            for page, record in zip(file, records, strict=True):
                gray = read_gray(page.codes, page.space).codes
                exact &= _is_exact(output, gray, record)
                writer.write(_gray_page(page, gray, record), record.get("original", {}))
            writer.close()
    return Restoration(str(output), str(target), len(records), exact, tuple(notes))


def _records(file: ImageFile, output: Path) -> list[dict[str, Any]]:
    records = [provenance.read_xmp(header.metadata.xmp) for header in file.headers()]
    if file.format == "BMP":
        records = list(provenance.read_sidecar(sidecar_of(output)))
    if records and records[0] and "stage" in records[0]:
        raise ImageError(
            f"{output}: this stage holds no gray; restore the image from the result beside it"
        )
    known = [record for record in records if record and "original" in record]
    if not known or len(known) != len(file):
        raise ImageError(
            f"{output}: expected a result of recolor, found no mark that says how its source was "
            "stored; restore the image from a copy with its metadata"
        )
    return known


def _is_exact(output: Path, gray: NDArray[Any], record: Mapping[str, Any]) -> bool:
    """Whether the gray is the source's; an altered one is refused.

    Raises
    ------
    ImageError
        If the gray is not what was written.
    """
    if record.get("format") == "JPEG":  # it was never exact
        return False
    if gray.dtype == np.float64:  # it comes back within rounding
        return False
    if digest_codes(gray) != record.get("gray_sha256"):
        raise ImageError(
            f"{output}: its gray is not what was written, so that the source cannot be restored "
            "from it; take another copy"
        )
    return record.get("levels") is None


def _notes(record: Mapping[str, Any]) -> list[str]:
    notes = []
    original = record.get("original", {})
    if original.get("model") != "gray":
        notes.append("the source was in color; this is its gray")
    if record.get("levels") is not None:
        notes.append("the source's codes were leveled; this is the leveled image")
    if record.get("format") == "JPEG":
        notes.append("JPEG does not keep the gray exactly")
    if record.get("dtype") == "float64":
        notes.append("64-bit floating point comes back within 1e-12")
    if original.get("bits") in (2, 4, 6, 10, 12, 14):
        notes.append(f"codes of {original['bits']} bits are stretched to the full range")
    if "turned upright" in str(record.get("reading")):
        notes.append("the image is upright")
    return notes


def _gray_page(page: Page, gray: NDArray[Any], record: Mapping[str, Any]) -> Page:
    metadata = replace(page.metadata, xmp=provenance.without_mark(page.metadata.xmp))
    if record.get("original", {}).get("model") == "gray":
        profile = profile_of_original(record["original"])
        metadata = replace(metadata, icc=profile or metadata.icc)
    return replace(page, codes=gray, metadata=metadata)


class _Tiff:
    """Writes gray pages as TIFF, laid out as the result, and with it the source, was."""

    def __init__(self, place: AtomicFile, file: ImageFile) -> None:
        self._file = file
        self._place = place
        self._output: TiffOutput | None = None

    def write(self, page: Page, original: Mapping[str, Any]) -> None:
        """Append a page."""
        if self._output is None:
            layout = page.metadata.layout or TiffLayout()
            big = layout.big or self._file.output_nbytes > _CLASSIC_TIFF_BYTES
            self._output = TiffOutput(self._place.file, replace(layout, big=big))
        codes = page.codes
        photometric: Photometric = "minisblack"
        if original.get("white_is_zero"):
            codes, photometric = np.invert(codes), "miniswhite"
        if original.get("bits") == 1 and not page.further_channels:
            codes = codes > 0
            page = replace(page, codes=codes)
        self._output.write(page, (codes[..., None],), page.metadata.xmp, photometric)

    def close(self) -> None:
        """Finish the file."""
        if self._output:
            self._output.close()
            self._file.carry_other_pages(self._place.file)


class _Png:
    """Writes a gray page as PNG."""

    def __init__(self, place: AtomicFile) -> None:
        self._place = place

    def write(self, page: Page, original: Mapping[str, Any]) -> None:
        """Write the page."""
        codes = page.codes
        if codes.dtype.kind == "f" or page.extra is not None:
            raise ImageError(f"{self._place.name}: PNG cannot hold this image; name a .tif instead")
        if original.get("bits") == 1 and page.alpha is None:
            codes = codes > 0
        elif page.alpha is not None:
            codes = np.dstack((codes, page.alpha))
        png.write(self._place.file, codes, page.metadata, page.metadata.xmp)

    def close(self) -> None:
        """Nothing is left to do."""

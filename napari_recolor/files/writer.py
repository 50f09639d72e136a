"""Saves a layer as the command saves a file: bit depth kept, provenance written."""

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.errors import ImageError, RecolorError

if TYPE_CHECKING:
    from recolor_core.images import ImageFile, Page, Resolution


def write_layer(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """Write one image layer; what npe2 calls a single-layer writer.

    Parameters and result are those of `write_image`.

    Raises
    ------
    RuntimeError
        If it cannot be written. napari takes a ValueError, as `recolor_core.ImageError` is one, for
        a missing writer, and does not show what it says.
    """
    try:
        return write_image(path, data, meta)
    except RecolorError as error:
        raise RuntimeError(str(error)) from error


def write_image(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """Write one image layer.

    Parameters
    ----------
    path
        Of the file, ``.tif``, ``.tiff`` or ``.png``. It is replaced, because the dialog has asked.
        ``.tif`` is added to a name without an ending; a file of that name is not replaced, because
        the dialog has asked for another name.
    data
        RGB or RGBA ``(..., H, W, 3 or 4)``: of a stack each image becomes a page. A list of them
        where `meta` says ``multiscale``: the largest is written. Of the other results of a run
        (a*, b*, uncertainty): ``(H, W)`` numbers, written as floating point TIFF.
    meta
        The attributes of the layer, as napari gives them.

    Returns
    -------
    list of str
        The file that was written.

    Raises
    ------
    recolor_core.ImageError
        If the layer is of another kind, the format cannot hold it, or the path is that of the file
        that the layer was made from.
    """
    about = (meta.get("metadata") or {}).get("recolor")
    path = _checked_path(path, about)
    if meta.get("multiscale"):
        data = data[0]
    if about and about.get("unfinished"):
        raise ImageError(
            f"expected a finished image, got {meta.get('name')!r}, whose full resolution is still "
            "being computed; save it again in a moment"
        )
    if meta.get("rgb"):
        _write_image(path, data, meta, about)
    elif about:
        _write_numbers(path, np.asarray(data), meta, about)
    else:
        raise ImageError(
            f"expected a layer in color or the result of a run, got the layer {meta.get('name')!r} "
            f"of shape {tuple(data.shape)}; choose “napari builtins” as the file type"
        )
    return [path]


def _checked_path(path: str, about: Mapping[str, Any] | None) -> str:
    """Return the path with an ending, unless a file would be lost that nobody asked to replace."""
    if not re.search(r"\.[A-Za-z0-9]{1,5}$", path):  # such as the name that napari suggests
        path = f"{path}.tif"
        if Path(path).exists():
            raise ImageError(
                f"{path} is there already; type the whole name, with .tif, to replace it"
            )
    source = (about or {}).get("source", {})
    for known in (source.get("path"), (source.get("file") or {}).get("path")):
        if known is not None and _same_file(Path(path), Path(known)):
            raise ImageError(
                f"{path} is the source of this image, which is never changed; choose another name"
            )
    return path


def _same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same file, through links too."""
    return one.absolute() == other.absolute() or (
        one.exists() and other.exists() and one.samefile(other)
    )


def _write_image(
    path: str, data: Any, meta: Mapping[str, Any], about: Mapping[str, Any] | None
) -> None:
    from recolor_core.batch.original import facts_to_verify
    from recolor_core.digest import digest_codes
    from recolor_core.images import ImageWriter

    with ExitStack() as stack:
        source = _source(about)
        if source is not None:
            stack.enter_context(source)
        writer = stack.enter_context(ImageWriter(path, like=source, overwrite=True))
        pages = zip(source, source.headers(), strict=True) if source is not None else None
        for index in np.ndindex(*data.shape[:-3]):
            image = np.ascontiguousarray(data[index])  # one at a time: a stack may be on disk
            page, stored = (_page(image, meta), None) if pages is None else next(pages)
            record = None if about is None else _facts(about, index)
            if record is not None:
                record |= facts_to_verify(
                    page,
                    source=record["source"],
                    source_sha256=record["source_sha256"],
                    format=writer.format,
                    gray_sha256=record.get("gray_sha256", ""),
                    stored=stored,
                    stored_format="" if source is None else source.format,
                )
                if record.get("layer") == "coarse":  # it has fewer pixels than the source
                    digest = digest_codes(data.reshape(-1, *data.shape[-2:]))
                    record |= {"stage": "coarse", "stage_sha256": digest}
            writer.write(page, image[..., :3], record)


def _source(about: Mapping[str, Any] | None) -> "ImageFile | None":
    """The file that a run has colorized as a whole, where it is still the same.

    What it holds beside the pixels (color profile, EXIF, resolution, alpha) then goes along, as it
    does with the command.
    """
    from recolor_core.images import open_image

    file = (about or {}).get("source", {}).get("file")
    if not about or not file or about["region"] is not None or about.get("layer") == "coarse":
        return None
    if len(about["images"]) != file["pages"]:
        return None
    try:
        source = open_image(file["path"])
    except ImageError:
        return None
    if source.sha256 == file["sha256"]:
        return source
    source.close()
    return None


def _page(image: NDArray[Any], meta: Mapping[str, Any]) -> "Page":
    """A page that holds what the layer tells."""
    from recolor_core.images import Metadata, Page

    alpha = image[..., 3] if image.shape[-1] == 4 else None
    metadata = Metadata(resolution=_resolution(meta))
    return Page(image[..., :3], alpha=alpha, reading=f"layer {meta['name']!r}", metadata=metadata)


def _write_numbers(
    path: str, data: NDArray[Any], meta: Mapping[str, Any], about: Mapping[str, Any]
) -> None:
    from recolor_core.digest import digest_codes
    from recolor_core.images import write_stage
    from recolor_core.provenance import xmp_packet

    if not path.lower().endswith((".tif", ".tiff")):
        raise ImageError(f"{path}: PNG cannot hold {data.dtype} numbers; write a .tif instead")
    name = str(meta.get("name")).encode("ascii", "replace").decode()
    # Of many images what differs from image to image would not fit into a description.
    told = _facts({**about, "images": ()}, ())
    description = f"{name}: {about.get('layer')}, Lab units\n{json.dumps(told)}"
    pages = np.ascontiguousarray(data, np.float32).reshape(-1, *data.shape[-2:])
    facts = _facts(about, (0,) * (data.ndim - 2))
    facts |= {
        "stage": about.get("layer"),
        "stage_sha256": digest_codes(pages.reshape(-1, pages.shape[-1])),
    }
    write_stage(path, pages, description=description, overwrite=True, xmp=xmp_packet(facts))


def _facts(about: Mapping[str, Any], index: tuple[int, ...]) -> dict[str, Any]:
    """Combine the facts of the whole run with those of one image, as the command records them.

    The source is named without its folder: a file that is published tells nothing of a disk.
    """
    facts = {key: value for key, value in about.items() if key not in ("images", "source")}
    source = about.get("source", {})
    file = source.get("file") or {}
    name = source.get("path") or file.get("path")
    facts["source"] = Path(name).name if name else source.get("layer", "")
    facts["source_sha256"] = file.get("sha256", "")
    for image in about.get("images", ()):
        if tuple(image["index"]) == tuple(index):
            facts |= image
            leading = source.get("shape", ())[: len(image.get("of_source", ()))]
            if leading and file.get("pages", 1) > 1:
                facts["source_page"] = 1 + int(np.ravel_multi_index(image["of_source"], leading))
    return facts


def _resolution(meta: Mapping[str, Any]) -> "Resolution | None":
    """Pixels per centimeter, where the layer's units are lengths."""
    from recolor_core.images import Resolution

    scale, units = meta.get("scale"), meta.get("units")
    if scale is None or units is None:
        return None
    per_cm = []
    for size, unit in zip(scale[-2:], units[-2:], strict=True):
        length = 1 * unit
        if not length.check("[length]") or size == 0:
            return None
        per_cm.append(Fraction(1 / abs(float((size * length).to("cm").magnitude))))
    y, x = (value.limit_denominator(10**6) for value in per_cm)
    return Resolution(x, y, "cm")

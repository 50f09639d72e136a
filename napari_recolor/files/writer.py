"""Saves a layer as the command saves a file: bit depth kept, provenance written."""

import json
import re
from base64 import b64decode
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.errors import ImageError, RecolorError

if TYPE_CHECKING:
    from recolor_core.images import ImageFile, Page, Resolution
    from recolor_core.images.image import Stored


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
        indices = _finished(about, data.shape[:-3])
        records = {index: _facts(about, index) for index in indices} if about else {}
        like = source if about and _is_whole(about, source, indices) else None
        writer = stack.enter_context(ImageWriter(path, like=like, overwrite=True))
        pages = _pages(source, [records[index].get("source_page", 1) for index in records])
        for index in indices:
            image = np.ascontiguousarray(data[index])  # one at a time: a stack may be on disk
            original, stored = next(pages, (None, None))
            page = _page(image, meta, about, original)
            record = records.get(index)
            if record is not None:
                record |= facts_to_verify(
                    page,
                    source=record["source"],
                    source_sha256=record["source_sha256"],
                    format=writer.format,
                    gray_sha256=record.get("gray_sha256", ""),
                    stored=None if record.get("region") else stored,
                    stored_format="" if source is None else source.format,
                )
                if record.get("layer") == "coarse":  # it has fewer pixels than the source
                    digest = digest_codes(np.concatenate([data[index] for index in indices]))
                    record |= {"stage": "coarse", "stage_sha256": digest}
            writer.write(page, image[..., :3], record)


def _finished(about: Mapping[str, Any] | None, leading: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The images of a layer that are finished: not all are, if the run was canceled."""
    images = (about or {}).get("images")
    finished = {tuple(image["index"]) for image in images} if images else None
    return [index for index in np.ndindex(*leading) if finished is None or index in finished]


def _source(about: Mapping[str, Any] | None) -> "ImageFile | None":
    """The file that a run has colorized, or a part of it, if the file is still the same.

    What it holds beside the pixels goes along, as it does with the command.
    """
    from recolor_core.images import open_image

    file = (about or {}).get("source", {}).get("file")
    if not about or not file or about.get("layer") == "coarse":
        return None
    try:
        source = open_image(file["path"])
    except ImageError:
        return None
    if source.sha256 == file["sha256"]:
        return source
    source.close()
    return None


def _is_whole(
    about: Mapping[str, Any], source: "ImageFile | None", indices: Sequence[tuple[int, ...]]
) -> bool:
    """Whether every pixel of the source is in the result."""
    return source is not None and about.get("region") is None and len(indices) == len(source)


def _pages(
    source: "ImageFile | None", numbers: Collection[int]
) -> "Iterator[tuple[Page | None, Stored | None]]":
    if source is not None:
        yield from source.pages(numbers)


def _page(
    image: NDArray[Any],
    meta: Mapping[str, Any],
    about: Mapping[str, Any] | None,
    original: "Page | None",
) -> "Page":
    """What is written beside the colors of an image.

    Parameters
    ----------
    image : ndarray
        (H, W, 3 or 4).
    meta, about : mapping
        The attributes of the layer, and what they tell of the run.
    original : Page or None
        The page of the source, if there is one. A region has its resolution, color profile, alpha
        and further channels. What describes the whole page does not go along.
    """
    from recolor_core.images import Metadata, Page

    region = (about or {}).get("region")
    if original is not None:
        if not region:
            return original
        rows, columns = (slice(*part) for part in region)
        whole = original.metadata
        metadata = Metadata(
            resolution=whole.resolution or _resolution(meta),
            icc=whole.icc,
            premultiplied=whole.premultiplied,
            extra_samples=whole.extra_samples,
        )
        alpha, extra = (
            None if channels is None else channels[rows, columns]
            for channels in (original.alpha, original.extra)
        )
        codes = original.codes[rows, columns]
        return replace(original, codes=codes, alpha=alpha, extra=extra, metadata=metadata)
    file = (about or {}).get("source", {}).get("file") or {}
    # The colors were made in the space of this profile, even if the file has gone since.
    metadata = Metadata(resolution=_resolution(meta), icc=b64decode(file.get("icc", "")) or None)
    alpha = image[..., 3] if image.shape[-1] == 4 else None
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

    Files are named without their folders: a file that is published tells nothing of a disk.
    """
    facts = {key: value for key, value in about.items() if key not in ("images", "source")}
    source = about.get("source", {})
    file = source.get("file") or {}
    name = source.get("path") or file.get("path")
    facts["source"] = Path(name).name if name else source.get("layer", "")
    facts["source_sha256"] = file.get("sha256", "")
    if "asked" in facts.get("weights", {}):
        asked = Path(facts["weights"]["asked"]).name
        facts["weights"] = {**facts["weights"], "asked": asked}
    if facts.get("wishes"):
        facts["wishes"] = _named(facts["wishes"], facts)
    for image in about.get("images", ()):
        if tuple(image["index"]) == tuple(index):
            facts |= image
            leading = source.get("shape", ())[: len(image.get("of_source", ()))]
            if leading and file.get("pages", 1) > 1:
                facts["source_page"] = 1 + int(np.ravel_multi_index(image["of_source"], leading))
    return facts


def _named(wishes: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Wishes whose images have a name and the SHA-256 of what was read, and no path."""

    def named(image: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
        told = {key: value for key, value in image.items() if key != "path"}
        return {**told, "sha256": known["sha256"]} if "sha256" in known else told

    told = dict(wishes)
    if "references" in told:
        known = facts.get("references") or [{}] * len(told["references"])
        told["references"] = [*map(named, told["references"], known)]
    if "color_from" in told:
        sources = (facts.get("color_from") or {}).get("sources") or [{}]
        told["color_from"] = named(told["color_from"], sources[0])
    return told


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

"""The file that holds what a layer holds."""

from base64 import b64encode
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_recolor.runs.reading import Source
from recolor_core.errors import RecolorError

if TYPE_CHECKING:
    from recolor_core.lab import ColorSpace


def file_of(source: Source) -> tuple[dict[str, Any] | None, "ColorSpace"]:
    """The file that holds just what a source holds, and what its codes mean.

    napari reads images without their color profile; `recolor_core` reads it. If a file is read
    differently from the layer, if its pages have different profiles, or if there is no file, the
    codes are taken for sRGB.

    Returns
    -------
    dict or None
        ``path``, ``sha256``, ``pages``, and ``icc``: the ICC profile of the result in Base64, or
        empty if it has none.
    ColorSpace
        Of the codes.
    """
    from recolor_core.images import open_image
    from recolor_core.lab import SRGB

    # What is read lazily is too large to be read twice.
    if source.path is None or not Path(source.path).is_file() or not _in_memory(source):
        return None, SRGB
    first = source.load((0,) * len(source.leading), source.whole)
    first = first[..., :3] if source.rgb else first
    try:
        with open_image(source.path) as file:
            page = next(iter(file))
            meanings = {(stored.icc, stored.space, stored.model) for stored in file.headers()}
            facts = {
                "path": source.path,
                "sha256": file.sha256,
                "pages": len(file),
                "icc": b64encode(page.metadata.icc or b"").decode(),
            }
    except RecolorError:
        return None, SRGB
    same = page.codes.dtype == first.dtype and np.array_equal(page.codes, first)
    if not same or facts["pages"] != prod(source.leading) or len(meanings) > 1:
        return None, SRGB
    return facts, page.space


def _in_memory(source: Source) -> bool:
    return isinstance(source.data, np.ndarray)

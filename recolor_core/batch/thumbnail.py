"""Small pairs of before and after, for the report."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recolor_core.images import open_image
from recolor_core.lab import lab_to_rgb
from recolor_core.result import Colorization

_SIDE = 256  # of the long side, in pixels
_QUALITY = 60


def thumbnail_of(result: Colorization) -> bytes:
    """The thumbnail of a coloring, made of what the networks worked with: nearly for free.

    Parameters
    ----------
    result : Colorization
        The first page of a file.

    Returns
    -------
    bytes
        WebP: the gray image above the colorized one, of the same size.
    """
    lightness = result.working_lightness
    step = max(1, round(max(lightness.shape) / _SIDE))
    small = lightness[::step, ::step]
    ab = result.ab_refined[:, ::step, ::step]
    pair = (lab_to_rgb(np.stack((small, *chroma), -1)) for chroma in (np.zeros_like(ab), ab))
    before, after = (np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8) for rgb in pair)
    return _encoded(before, after)


def thumbnail_of_result(path: Path) -> bytes:
    """The same of a result that another run made.

    Parameters
    ----------
    path : Path
        The result.
    """
    with open_image(path, max_pixels=2**62) as file:
        page = next(iter(file))
    step = max(1, round(max(page.codes.shape[:2]) / (4 * _SIDE)))
    codes = page.codes[::step, ::step, :3]
    white = 1.0 if codes.dtype.kind == "f" else float(np.iinfo(codes.dtype).max)
    image = Image.fromarray(np.rint(codes / white * 255).astype(np.uint8))
    image.thumbnail((_SIDE, _SIDE))
    gray = image.convert("L").convert("RGB")
    return _encoded(np.asarray(gray), np.asarray(image))


def _encoded(before: NDArray[Any], after: NDArray[Any]) -> bytes:
    stream = BytesIO()
    Image.fromarray(np.concatenate((before, after))).save(
        stream, "WEBP", quality=_QUALITY, method=2
    )
    return stream.getvalue()

"""Any image -> the gray codes that the colorized image keeps."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.arrays import as_array
from recolor_core.errors import ImageError
from recolor_core.lab import SRGB, ColorSpace, gray_codes, lightness, max_code
from recolor_core.resampling import resize

Levels = tuple[float, float]

MAX_ENLARGEMENT = 4
"""How many times the networks see an image enlarged at most, beyond the size of the training."""

_TRAINED_AT = 224  # pixels


@dataclass(frozen=True)
class GrayImage:
    """The gray of an image, and how it was read.

    Parameters
    ----------
    codes : ndarray
        (H, W): uint8, uint16, or float32 or float64 in [0, 1].
    space : ColorSpace
        What the codes mean.
    reading : str
        How the image was read, in words.
    """

    codes: NDArray[Any]
    space: ColorSpace
    reading: str

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.codes.shape[0], self.codes.shape[1]

    def lightness(self, size: tuple[int, int]) -> NDArray[np.float32]:
        """L* in [0, 100], float32, averaged or interpolated to a working size (h, w)."""
        (height, width), codes = self.shape, self.codes
        # Averaging whole blocks first reads a large scan once and makes no float copy of it.
        block = max(1, min(height // (2 * size[0]), width // (2 * size[1])))
        if block > 1:
            codes = _block_means(codes, block)
        small = lightness(codes, self.space)
        return np.clip(resize(small, size, cubic=size[0] > small.shape[0]), 0, 100)  # type: ignore[no-any-return]


def read_gray(
    image: Any, space: ColorSpace = SRGB, levels: Levels | str | None = None
) -> GrayImage:
    """Read the gray codes of an image.

    Parameters
    ----------
    image : array_like
        (H, W), (H, W, 1), (H, W, 3) or (H, W, 4): an array, or a Pillow image. The fourth channel
        (alpha) is ignored; the gray of RGB is its luminance. Supported are uint8 and uint16 of full
        range, bool, and floating point in [0, 1]; with `levels`, any real numbers.
    space : ColorSpace
        What the codes mean.
    levels : tuple of float, "auto" or None
        The values that become black and white; ``"auto"`` takes the smallest and the largest finite
        value. Values outside are clipped and NaN becomes black. Integers become uint16, but uint8
        stays uint8. The gray that is kept is that of the leveled image.

    Returns
    -------
    GrayImage

    Raises
    ------
    ImageError
        If the shape, dtype, range or Pillow mode is not supported, or if there is NaN or infinity
        without `levels`.
    """
    array, converted = as_array(image)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.size == 0:
        raise ImageError(f"expected an image of at least 1 x 1 pixels, got shape {array.shape}")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (3, 4)):
        raise ImageError(
            f"expected an image (H, W), (H, W, 3) or (H, W, 4), got shape {array.shape}; a stack "
            "is for recolor_core.colorize_stack, of channels first pass np.moveaxis(image, 0, -1)"
        )
    kind = "gray" if array.ndim == 2 else "color, its luminance kept"
    if array.ndim == 3:
        array = array[..., :3]
    if levels is not None:
        array, words = _level(array, levels)
        reading = f"{kind}, {words}"
    else:
        array = _full_range(array)
        reading = f"{array.dtype} {kind}"
    codes = np.ascontiguousarray(_gray_of_color(array, space) if array.ndim == 3 else array)
    if converted:
        reading = f"{reading}, {converted}"
    return GrayImage(codes, space, f"{reading}, {space.name}")


def working_size(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """The size at which the networks see an image: its short side is `size`.

    The aspect ratio is kept. The long side is at most eight times `size`; of longer images, such as
    strips of film, the short side becomes smaller instead. A small image is enlarged to 224 pixels
    or to `MAX_ENLARGEMENT` times its short side, not beyond: there is nothing more to see in it.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the image.
    size : int
        `Settings.size`, in pixels.

    Returns
    -------
    tuple of int
        Height and width.
    """
    short, long = min(shape), max(shape)
    size = min(size, max(_TRAINED_AT, MAX_ENLARGEMENT * short))
    scale = min(size / short, 8 * size / long)
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def auto_levels(images: Iterable[NDArray[Any]]) -> Levels:
    """Find the levels that ``"auto"`` stands for: one pair for all images.

    Raises
    ------
    ImageError
        If there is no finite value.
    """
    low, high = np.inf, -np.inf
    for image in images:
        finite = image[np.isfinite(image)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        raise ImageError(
            'expected at least one number for levels="auto", got NaN and infinity alone; pass '
            "levels=(low, high)"
        )
    return low, high if high > low else low + 1  # a constant image is black


def _full_range(array: NDArray[Any]) -> NDArray[Any]:
    """Codes of a dtype whose white is known: uint8, uint16, float32 or float64."""
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype in (np.uint8, np.uint16):
        return array
    if array.dtype.kind != "f":
        raise ImageError(
            f"expected uint8, uint16, bool or floating point in [0, 1], got {array.dtype}, which "
            "has no agreed white; say what is black and white with levels=(low, high)"
        )
    finite = np.isfinite(array)
    if not finite.all():
        raise ImageError(
            f"expected numbers, got NaN or infinity in {array.size - int(finite.sum())} of "
            f"{array.size} values; fill them, or pass levels=(low, high), which makes NaN black"
        )
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        raise ImageError(
            f"expected floating point in [0, 1], got [{low:g}, {high:g}]; say what is black and "
            'white with levels=(low, high), or levels="auto" for these two'
        )
    return array.astype(np.float64 if array.dtype.itemsize > 4 else np.float32, copy=False)


def _level(array: NDArray[Any], levels: Levels | str) -> tuple[NDArray[Any], str]:
    if array.dtype.kind not in "biuf":
        raise ImageError(f"expected real numbers, got {array.dtype}; convert the image first")
    if isinstance(levels, str):
        if levels != "auto":
            raise ImageError(f'expected levels=(low, high) or "auto", got {levels!r}')
        low, high = auto_levels([array])
    else:
        try:
            low, high = (float(level) for level in levels)
        except (TypeError, ValueError):
            low = high = np.nan
    if not (low < high and np.isfinite(high - low)):
        raise ImageError(
            f"expected levels=(low, high), two finite numbers with low < high, got {levels!r}"
        )
    unit = (array.astype(np.float64) - low) / (high - low)
    unit = np.clip(np.nan_to_num(unit, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)
    words = f"{array.dtype} from {low:g} (black) to {high:g} (white)"
    if array.dtype.kind == "f":
        return unit.astype(np.float64 if array.dtype.itemsize > 4 else np.float32), words
    dtype = np.uint8 if array.dtype.itemsize == 1 else np.uint16
    return np.rint(unit * np.iinfo(dtype).max).astype(dtype), words


def _gray_of_color(array: NDArray[Any], space: ColorSpace) -> NDArray[Any]:
    """The gray codes of (H, W, 3) codes, in bands of rows: it is computed in float64."""
    gray = np.empty(array.shape[:2], array.dtype)
    rows = max(1, 2**20 // array.shape[1])
    for top in range(0, len(array), rows):
        gray[top : top + rows] = gray_codes(array[top : top + rows], space)
    return gray


def _block_means(codes: NDArray[Any], block: int) -> NDArray[np.float32]:
    """Means of square blocks of (H, W) codes, in [0, 1], float32; those at the borders are smaller.

    It works in bands of rows and makes no float copy of the image.
    """
    height, width = codes.shape
    if codes.dtype.kind == "u" and height % block == 0 and width % block == 0 and block <= 4:
        # A few strided sums are several times as fast, and whole numbers have the same sums.
        whole = np.zeros((height // block, width // block), np.uint32)
        for y in range(block):
            for x in range(block):
                whole += codes[y::block, x::block]
        return (whole / (float(block * block) * max_code(codes.dtype))).astype(np.float32)
    columns = np.arange(0, width, block)
    counts = np.minimum(width - columns, block)
    means = np.empty((-(-height // block), len(columns)), np.float32)
    for row, top in enumerate(range(0, height, block)):
        band = codes[top : top + block]
        sums = band.sum(axis=0, dtype=np.uint32 if band.dtype.kind == "u" else np.float64)
        total = np.add.reduceat(sums, columns, dtype=np.float64)
        means[row] = total / (counts * len(band) * max_code(codes.dtype))
    return means

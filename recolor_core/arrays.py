"""Anything that is an image -> a NumPy array, and functions that NumPy and PyTorch share."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.errors import ImageError

_AS_IT_IS = {"1", "L", "I", "I;16", "I;16L", "I;16B", "I;16N", "F", "RGB", "RGBA", "RGBX"}
_CONVERTED = {
    "LA": "L",
    "La": "LA",
    "P": "RGB",
    "PA": "RGBA",
    "RGBa": "RGBA",
    "YCbCr": "RGB",
    "HSV": "RGB",
}


def as_array(image: Any) -> tuple[NDArray[Any], str]:
    """Convert an image to an array.

    Parameters
    ----------
    image : array_like
        Anything that `numpy.asarray` takes. A Pillow image whose mode is neither gray nor RGB (a
        palette, YCbCr, HSV, alpha that is multiplied in) is converted as Pillow does: as an array
        it would be taken for something else.

    Returns
    -------
    ndarray
        In native byte order.
    str
        The mode that was converted, for the record; empty if none was.

    Raises
    ------
    ImageError
        If the mode of a Pillow image has no agreed RGB, as CMYK and LAB without their profile.
    """
    converted = ""
    module = sys.modules.get("PIL.Image")  # if it is not loaded, nothing can be such an image
    if module is not None and isinstance(image, module.Image) and image.mode not in _AS_IT_IS:
        if image.mode not in _CONVERTED:
            raise ImageError(
                f"expected a Pillow image in gray or RGB, got mode {image.mode}, which has no RGB "
                "without a profile; convert it with PIL.ImageCms.profileToProfile, or read its "
                "file with recolor_core.images.open_image"
            )
        converted = f"{image.mode} converted to {_CONVERTED[image.mode]}"
        image = image.convert(_CONVERTED[image.mode])
        if image.mode == "LA":
            image = image.getchannel("L")
    array = np.asarray(image)
    return array.astype(array.dtype.newbyteorder("="), copy=False), converted


def softmax(x: NDArray[np.floating], axis: int) -> NDArray[Any]:
    """Convert logits to probabilities, whose sum along an axis is 1.

    Parameters
    ----------
    x : ndarray
        Logits.
    axis : int
        The axis of the outcomes.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.
    """
    odds = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(odds / odds.sum(axis=axis, keepdims=True))


def sigmoid(x: NDArray[np.floating]) -> NDArray[Any]:
    """Convert log odds to probabilities.

    Parameters
    ----------
    x : ndarray
        Log odds.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`, in [0, 1].
    """
    return np.asarray(1 / (1 + np.exp(-x.clip(-80, 80))))


def namespace(array: Any) -> Any:
    """The module whose functions an array takes: numpy, or torch for a tensor.

    What is written with functions that both have under one name and with one meaning runs on both,
    and PyTorch is only imported by whoever makes tensors.

    Parameters
    ----------
    array : ndarray or Tensor
        Any array.

    Returns
    -------
    module
    """
    return np if isinstance(array, np.ndarray | np.generic) else sys.modules["torch"]

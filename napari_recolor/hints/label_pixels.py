"""The pixels of each label of a Labels layer; of a large image they are found in a thread."""

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray
from superqt.utils import create_worker

from napari_recolor.hints.placing import data_to_data, image_shape

SMALL = 2**20
"""In an image of up to this many pixels, labels are found at once: it takes milliseconds."""

EVENTS = ("data", "paint", "labels_update", "set_data")
"""Events of a Labels layer after which its pixels may have changed."""

Pixels = dict[int, NDArray[np.bool_]]
"""(H, W) in pixels of the image, by label."""


class LabelPixels:
    """Finds the pixels of each label, and remembers them until the layer changes.

    Parameters
    ----------
    max_labels : int
        The pixels of more labels are not told apart; such a layer is refused anyway.

    Attributes
    ----------
    version : int
        Another one whenever the layer has changed.
    """

    def __init__(self, max_labels: int) -> None:
        self._max = max_labels
        self.version = 0
        self._key: Any = None
        self._found: tuple[list[int], Pixels] = ([], {})
        self._busy = False

    def forget(self, _: Any = None) -> None:
        """Note that the layer has changed."""
        self.version += 1

    def of(self, labels: Labels, image: Image, at: tuple[int, ...]) -> tuple[list[int], Pixels]:
        """Return the labels of one image and the pixels of each; find them now if necessary.

        Parameters
        ----------
        labels : Labels
            The layer; it may have other pixels than the image.
        image : Image
            The image.
        at : tuple of int
            Which slice of the layer belongs to the image.

        Returns
        -------
        list of int
            The labels.
        dict of int to ndarray
            Their pixels; empty if there are too many labels.
        """
        key = self._key_of(labels, image, at)
        if key != self._key:
            self._found = _find(*self._about(labels, image, at), self._max)
            self._key = key
        return self._found

    def prepare(
        self, labels: Labels, image: Image, at: tuple[int, ...], then: Callable[[], None]
    ) -> bool:
        """Find the pixels in a thread unless they are known or the image is small.

        Parameters
        ----------
        labels, image, at
            As in `of`.
        then : callable
            Is called once a thread has ended; ask again then.

        Returns
        -------
        bool
            Whether `of` answers at once.
        """
        key = self._key_of(labels, image, at)
        if key == self._key or np.prod(image_shape(image)) <= SMALL:
            return True
        if not self._busy:
            self._busy = True
            worker = create_worker(_find, *self._about(labels, image, at), self._max)
            worker.returned.connect(lambda found: self._keep(key, found))
            worker.finished.connect(lambda: self._end(then))
            worker.start()
        return False

    def _keep(self, key: Any, found: tuple[list[int], Pixels]) -> None:
        self._key, self._found = key, found

    def _end(self, then: Callable[[], None]) -> None:
        self._busy = False
        then()

    def _key_of(self, labels: Labels, image: Image, at: tuple[int, ...]) -> Any:
        matrix = data_to_data(image, labels).tobytes()
        return id(labels), self.version, at, matrix, image_shape(image)

    @staticmethod
    def _about(
        labels: Labels, image: Image, at: tuple[int, ...]
    ) -> tuple[Any, NDArray[np.float64], tuple[int, int]]:
        return labels.data[at], data_to_data(image, labels), image_shape(image)


def _find(
    plane: Any, matrix: NDArray[np.float64], shape: tuple[int, int], max_labels: int
) -> tuple[list[int], Pixels]:
    placed = _resampled(np.asarray(plane), matrix, shape)
    numbers = [int(label) for label in np.unique(placed) if label]
    told_apart = numbers if len(numbers) <= max_labels else []
    return numbers, {label: placed == label for label in told_apart}


def _resampled(
    plane: NDArray[Any], matrix: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[Any]:
    """Put labels on the pixels of an image."""
    linear, offset = matrix[-3:-1, -3:-1], matrix[-3:-1, -1]
    if plane.shape == shape and np.allclose(linear, np.eye(2)) and np.allclose(offset, 0):
        return plane
    from scipy.ndimage import affine_transform  # napari needs SciPy too

    found: NDArray[Any] = affine_transform(plane, linear, offset, shape, order=0, cval=0)
    return found

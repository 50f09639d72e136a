"""Which image a layer hints, kept in its metadata: a panel that is opened later finds its hints."""

from collections.abc import Iterable
from weakref import WeakSet

from napari.layers import Image, Layer

HINTS_OF = "recolor hints of"
"""In the metadata of layers that hold hints: the unique IDs of the image and of the layer itself.

A layer that the user duplicates has the metadata of the original, but another ID.
"""

_followed: WeakSet[Layer] = WeakSet()


def follow(layer: Layer, image: Image) -> None:
    """Note that a layer holds hints of an image, and that these are followed."""
    layer.metadata[HINTS_OF] = _mark(layer, image)
    _followed.add(layer)


def leave(layer: Layer) -> None:
    """Note that the hints of a layer are followed no more; they remain hints of their image."""
    _followed.discard(layer)


def disown(layer: Layer) -> None:
    """Note that a layer holds no hints any more."""
    leave(layer)
    layer.metadata.pop(HINTS_OF, None)


def layers_left(layers: Iterable[Layer], image: Image) -> list[Layer]:
    """Return the layers that hold hints of an image but are not followed, by any panel."""
    return [
        layer
        for layer in layers
        if layer not in _followed and layer.metadata.get(HINTS_OF) == _mark(layer, image)
    ]


def _mark(layer: Layer, image: Image) -> dict[str, str]:
    return {"image": str(image.unique_id), "layer": str(layer.unique_id)}

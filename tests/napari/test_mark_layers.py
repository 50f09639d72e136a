"""The layers that hold the hints of an image."""

import numpy as np
import pytest

from napari_recolor.hints import HintLayer

from .hinting import SHAPE


def test_units_and_axis_labels_are_those_of_the_image(viewer):
    image = viewer.add_image(np.zeros(SHAPE), units=("um", "um"), axis_labels=("y", "x"))
    layer = HintLayer(viewer, image)
    assert layer.layer.units == image.units
    assert layer.layer.axis_labels == ("y", "x")
    layer.close()


def test_other_layers_are_refused(viewer, hints):
    with pytest.raises(TypeError, match="Shapes"):
        hints.shapes = viewer.add_points([[1, 2]])
    with pytest.raises(TypeError, match="Labels"):
        hints.labels = viewer.add_points([[1, 2]])

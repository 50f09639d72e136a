"""The layers that hold the hints of an image."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_recolor.hints.hint_layer import HintLayer
from napari_recolor.hints.mark_styles import Style, styles_of

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


def test_a_layer_of_masks_is_the_same_whether_made_at_once_or_in_steps(viewer, hints):
    steps = hints.marks.painting()
    next(steps)
    assert hints.labels is None  # made, but not added
    next(steps)
    labels = hints.labels
    assert labels in viewer.layers
    assert not any(overlay.visible for overlay in labels._overlays.values())
    for _ in steps:
        pass
    other = Labels(np.zeros(SHAPE, np.uint8))
    shown = {name: overlay.visible for name, overlay in labels._overlays.items()}
    assert shown == {name: overlay.visible for name, overlay in other._overlays.items()}
    assert labels.mode == "paint"
    assert viewer.layers.selection.active is labels
    assert hints.marks.paint() is labels


def test_styles_are_features_from_the_start(hints):
    hints.layer.add([20, 30])
    assert styles_of(hints.layer) == [Style()]
    hints.marks.draw().add([[10, 10], [20, 20]], shape_type="line")
    assert styles_of(hints.shapes) == [Style()]

"""Colors under a place of the canvas, and the size of hints."""

import numpy as np
from napari.layers import Image

from napari_recolor.hints.placing import cell_size, color_at

from .hinting import SHAPE


def test_color_at_looks_through_what_is_hidden_or_gray(viewer):
    viewer.add_image(np.full((*SHAPE, 3), (1, 2, 3), np.uint8))
    viewer.add_image(np.full((*SHAPE, 3), (4, 5, 6), np.uint8), visible=False)
    viewer.add_image(np.full(SHAPE, 7, np.uint8))
    assert color_at(viewer, (20, 30)) == "#010203"
    assert color_at(viewer, (-20, 30)) is None


def test_color_at_of_a_multiscale_image(viewer):
    full = np.full((*SHAPE, 3), (16, 128, 255), np.uint8)
    viewer.add_image([full, full[::2, ::2]], multiscale=True)
    assert color_at(viewer, (20, 30)) == "#1080ff"


def test_cells_are_at_least_a_pixel():
    assert cell_size(Image(np.zeros((3, 4), np.uint8))) == 1
    assert cell_size(Image(np.zeros((*SHAPE, 3), np.uint8), rgb=True)) == 2

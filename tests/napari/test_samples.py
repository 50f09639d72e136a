"""The samples: real, described, offline, and as the menu opens them."""

import numpy as np
import pytest
from napari.components import ViewerModel
from PIL import Image

from napari_recolor.files import samples

SINGLE = ["colorado", "saratoga", "migrant_mother", "deadwood", "chinatown"]


def layer_of(name):
    ((data, options, kind),) = getattr(samples, name)()
    assert kind == "image"
    return ViewerModel().add_image(data, **options)


@pytest.mark.parametrize("name", [*SINGLE, "pan"])
def test_each_tells_where_it_comes_from(name):
    about = layer_of(name).metadata["sample"]
    assert "public domain" in about["license"]
    assert about["author"]
    assert about["year"]
    assert about["institution"]


@pytest.mark.parametrize("name", ["colorado", "saratoga", "migrant_mother", "deadwood"])
def test_photographs_are_the_files(name):
    layer = layer_of(name)
    stored = np.asarray(Image.open(layer.metadata["sample"]["path"]))
    np.testing.assert_array_equal(layer.data, stored)
    assert layer.rgb == (name == "deadwood")
    assert tuple(layer.contrast_limits) == (0, 255)


def test_sixteen_bits_stay_and_are_shown_as_they_are():
    layer = layer_of("chinatown")
    assert layer.data.dtype == np.uint16
    assert len(np.unique(layer.data)) > 5000  # no 8-bit image in a larger box
    assert tuple(layer.contrast_limits) == (0, 65535)


@pytest.mark.slow
def test_the_pan_is_one_photograph_moving():
    still, stack = layer_of("colorado").data, layer_of("pan")
    assert stack.axis_labels == ("t", "y", "x")
    assert "still photograph" in stack.metadata["sample"]["changes"]
    frames = stack.data
    assert frames.shape == (samples.PAN_FRAMES, *samples.PAN_SIZE)
    windows = np.lib.stride_tricks.sliding_window_view(still, samples.PAN_SIZE)
    top = (still.shape[0] - samples.PAN_SIZE[0]) // 2
    found = [np.flatnonzero((windows[top] == frame).all(axis=(1, 2))) for frame in frames]
    lefts = np.concatenate(found)
    assert len(lefts) == len(frames)
    assert lefts[0] == 0
    assert lefts[-1] == still.shape[1] - samples.PAN_SIZE[1]
    assert (np.diff(lefts) > 0).all()


def test_the_menu_has_them_all():
    from npe2 import PluginManager

    plugins = PluginManager()
    plugins.discover()
    manifest = plugins.get_manifest("napari-recolor")
    commands = {c.id: c.python_name for c in manifest.contributions.commands}
    listed = {commands[sample.command] for sample in manifest.contributions.sample_data}
    assert listed == {f"napari_recolor.files.samples:{name}" for name in [*SINGLE, "pan"]}

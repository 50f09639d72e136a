"""A run in the main thread: what it knows of a pixel, and how its hints are placed."""

import numpy as np
import pytest
from napari.layers import Image

from napari_recolor.runs.options import Options
from napari_recolor.runs.reading import LevelRule, Request, Source
from napari_recolor.runs.run import Run
from napari_recolor.runs.worker import colorize
from recolor_core.hints import Hint


@pytest.fixture
def run(engine, photo):
    """Of frames 0 and 1 of three the first is finished; a region of a scaled layer."""
    layer = Image(np.stack([photo] * 3), scale=(5, 2, 3), translate=(0, 10, 20))
    region = (slice(8, 80), slice(16, 128))
    request = Request(Source.of(layer), "stack", ((0,), (1,), (2,)), region, LevelRule())
    run = Run(1, layer, request, Options(size=64))
    for step in colorize(engine, run.options, run.stages):
        if step.finished is not None:
            run.finished.append(step.finished)
            break
    run.make_layers("rgb")
    return run


def world(run, pixel):
    return run.layers["rgb"].data_to_world(pixel)


@pytest.mark.parametrize("pixel", [(0, 0), (71, 111), (30, 57), (40, 3)])
def test_values_are_those_of_the_stages_at_the_pixel(run, pixel):
    values = run.values_at(world(run, (0, *pixel)))
    arrays, (row, column) = run.stages.arrays, pixel
    np.testing.assert_array_equal(values["rgb"], arrays["rgb"][0, row, column])
    height, width = arrays["a refined"].shape[-2:]
    y, x = int((row + 0.5) * height / 72), int((column + 0.5) * width / 112)
    assert values["a refined"] == arrays["a refined"][0, y, x]
    assert values["b coarse"] == arrays["b coarse"][0, y // 4, x // 4]
    assert values["uncertainty"] == arrays["uncertainty"][0, y // 4, x // 4]


@pytest.mark.parametrize("pixel", [(1, 5, 5), (2, 5, 5), (0, -1, 5), (0, 72, 5), (0, 5, 112)])
def test_nothing_is_known_of_unfinished_frames_and_outside(run, pixel):
    assert run.values_at(world(run, pixel)) == {}


def test_hints_are_moved_into_the_region_and_those_outside_left_out(run):
    inside, outside = Hint(20.0, 30.0, "#ff0000", 5.0), Hint(3.0, 30.0, "#ff0000", 5.0)
    assert run.hints([inside, outside]) == [Hint(4.0, 22.0, "#ff0000", 5.0)]

"""Milliseconds of the networks, against a network of SIGGRAPH17's shape in the same run.

Printed is ``times_siggraph17``: the median of the shape's time by that of the networks, each with
the default settings at a working size of 224. One round runs both, so that a machine that is busy
slows both down.
"""

import time
from statistics import median

import numpy as np
import pytest
import torch

from recolor_core import Colorizer, read_gray
from tests.benchmarks.siggraph17 import Siggraph17Shape

ROUNDS = 15
SIZE = 224


@pytest.fixture(scope="module")
def siggraph17():
    network = Siggraph17Shape().eval().to(memory_format=torch.channels_last)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert 30e6 < count < 36e6, "not the published size"
    return network


@pytest.mark.benchmark(group="both networks")
@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_both_networks(benchmark, siggraph17, runtime, views):
    colorize = Colorizer(device="cpu", runtime=runtime)
    gray = read_gray(np.random.default_rng(0).integers(0, 256, (SIZE, SIZE), np.uint8))
    theirs = torch.rand(1, 4, SIZE, SIZE)
    ratios = []

    def ours():
        return colorize.refine(colorize.generate(gray, views=views))

    def both():
        began = time.perf_counter()
        with torch.inference_mode():
            siggraph17(theirs)
        between = time.perf_counter()
        ours()
        ratios.append((between - began) / (time.perf_counter() - between))

    ours()
    benchmark.pedantic(both, rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info["times_siggraph17"] = round(median(ratios), 1)

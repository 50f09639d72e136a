"""Milliseconds of the networks, against a network of SIGGRAPH17's shape in the same run.

Printed is ``times_siggraph17``: the median over rounds of the processor's seconds of the shape by
those of the networks, with the default settings at a working size of 224. They include the mean
color and the upsampling. One round runs both, in one thread, so that a busy machine changes the
ratio little. ``RECOLOR_BENCH_WEIGHTS`` names other weights than the default ones.
"""

import os
import time
from statistics import median

import numpy as np
import pytest
import torch

from recolor_core import Colorizer, Settings
from recolor_core.device import set_thread_count, thread_count
from recolor_core.settings import VIEWS
from tests.benchmarks.siggraph17 import Siggraph17Shape

ROUNDS = 9
SIZE = 224


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = thread_count()
    set_thread_count(1)
    yield
    set_thread_count(before)


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
    colorize = Colorizer(os.environ.get("RECOLOR_BENCH_WEIGHTS", "default"), "cpu", runtime)
    light, larger = (
        np.random.default_rng(0).random((1, 1, side, side), np.float32) * 100
        for side in (SIZE, round(SIZE * VIEWS[1][0]))
    )
    theirs = torch.rand(1, 4, SIZE, SIZE)
    ratios = []

    def ours():
        logits, _ = colorize.runner.generate(light)
        if views == 2:
            colorize.runner.generate(larger)
        ab = colorize.bins.mean_color(logits, Settings().temperature)
        colorize.runner.refine(light, ab, np.zeros((1, 3, *ab.shape[-2:]), np.float32), SIZE)

    def both():
        began = time.process_time()
        with torch.inference_mode():
            siggraph17(theirs)
        between = time.process_time()
        ours()
        ratios.append((between - began) / (time.process_time() - between))

    benchmark.pedantic(both, rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info["times_siggraph17"] = round(median(ratios), 1)

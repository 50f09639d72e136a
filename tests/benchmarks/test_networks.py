"""Milliseconds of the networks, against a network of SIGGRAPH17's shape in the same run."""

import pytest
import torch

from recolor_core.runtime import choose_runtime
from recolor_core.weights import load_weights
from tests.benchmarks.siggraph17 import Siggraph17Shape


@pytest.fixture(scope="module", params=["torch", "onnxruntime"])
def networks(request):
    return choose_runtime(load_weights(), torch.device("cpu"), request.param)[0]


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.mark.benchmark(group="one image through the networks")
@pytest.mark.parametrize("size", [224, 256])
class TestNetworks:
    def test_generator(self, benchmark, networks, size):
        benchmark(networks.generator, torch.rand(1, 1, size, size) * 100)

    def test_refiner(self, benchmark, networks, size):
        ab = torch.zeros(1, 2, size // 4, size // 4)
        benchmark(networks.refiner, torch.rand(1, 1, size, size) * 100, ab)

    def test_both(self, benchmark, networks, size):
        light = torch.rand(1, 1, size, size) * 100

        def both():
            coarse = networks.generator.mean_color(networks.generator(light), 0.6)
            return networks.refiner(light, coarse)

        benchmark(both)

    def test_both_with_two_views(self, benchmark, networks, size):
        light = torch.rand(1, 1, size, size) * 100
        larger = torch.rand(1, 1, round(size * 10 / 7), round(size * 10 / 7)) * 100

        def both():
            networks.generator(larger)
            coarse = networks.generator.mean_color(networks.generator(light), 0.6)
            return networks.refiner(light, coarse)

        benchmark(both)

    def test_siggraph17_shape(self, benchmark, size):
        network = Siggraph17Shape().eval().to(memory_format=torch.channels_last)
        count = sum(parameter.numel() for parameter in network.parameters())
        assert 30e6 < count < 36e6, "not the published size"
        benchmark.pedantic(network, [torch.rand(1, 4, size, size)], rounds=3, warmup_rounds=1)

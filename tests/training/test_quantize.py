"""Weights to their quantized form, from the command to a colorizer that uses it."""

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from recolor_core import Colorizer
from recolor_core.models.encoder import fold_batch_norm
from recolor_core.models.generator import Generator, GeneratorConfig
from recolor_core.models.refiner import Refiner, RefinerConfig
from recolor_core.runtime.compiled import Program
from recolor_core.runtime.quantized import quantized_path, read_quantized
from recolor_core.weights import save_weights
from training import quantize

from .chain import smooth_images

pytestmark = pytest.mark.slow


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(1)
    generator = Generator(GeneratorConfig(width=64, decoder=(32, 16, 16), attention=1))
    refiner = Refiner(RefinerConfig(width=8, blocks=1))
    torch.nn.init.normal_(refiner.out.weight, std=0.01)
    path = tmp_path / "small.safetensors"
    words = {"license": "none", "training_data": "none", "recipe": "none"}
    save_weights(path, generator, refiner, **words)
    return path


@pytest.fixture
def photographs(tmp_path):
    return smooth_images(tmp_path / "photographs", 96, 64)


def test_quantized_weights_are_used_and_color_like_the_others(monkeypatch, weights, photographs):
    monkeypatch.setattr(quantize.Settings, "size", 64)
    quantize.main([photographs], str(weights), count=3)
    file = read_quantized(quantized_path(weights))
    assert file.about["calibration_images"] == 3
    fast, exact = (Colorizer(weights, "cpu", name) for name in ("auto", "torch"))
    assert fast.runtime.sha256 == file.sha256
    assert exact.record.sha256 == file.weights_sha256
    codes = np.asarray(Image.open(photographs / "0.png").convert("L"))
    for size in (32, 64):
        ours, theirs = (one(codes, size=size).ab_refined for one in (fast, exact))
        assert np.abs(ours - theirs).mean() < 0.1 * np.abs(theirs).mean() + 0.1


@torch.inference_mode()
def test_a_refiner_on_blocks_of_pixels_is_the_same_function():
    torch.manual_seed(0)
    refiner = Refiner(RefinerConfig(width=16, blocks=1)).eval()
    torch.nn.init.normal_(refiner.out.weight)
    torch.nn.init.normal_(refiner.out.bias)
    x, color = torch.rand(2, 1, 24, 32) * 2 - 1, torch.randn(2, 5, 6, 8)
    expected = refiner.residual(x, color)
    assert expected.std() > 0.1
    torch.testing.assert_close(quantize._BlockRefiner(refiner)(x, color), expected)


@torch.inference_mode()
def test_an_exported_generator_has_no_padding_of_its_own_and_takes_every_size(tmp_path):
    torch.manual_seed(0)
    config = GeneratorConfig(width=64, decoder=(16, 8, 8), attention=1)
    generator = fold_batch_norm(Generator(config).eval())
    path = tmp_path / "generator"
    quantize._export(
        quantize._Part(generator, generator.logits), (torch.zeros(1, 1, 64, 96),), path
    )
    assert any(node.op_type == "Pad" for node in onnx.load(str(path)).graph.node)
    model = quantize._prepare(path)
    assert not any(node.op_type == "Pad" for node in model.graph.node)
    program = Program(model.SerializeToString(), 1)
    for size in ((64, 96), (32, 32), (96, 160)):
        x = torch.rand(1, 1, *size) * 2 - 1
        ours, theirs = program(x.numpy()), generator.logits(x).numpy()
        np.testing.assert_allclose(ours, theirs, atol=1e-3 * np.abs(theirs).max())


def test_the_sample_is_the_same_each_time(photographs):
    first, second = (quantize.calibration_lightness([photographs], 2) for _ in range(2))
    assert len(first) == 2
    assert all(map(torch.equal, first, second))
    assert first[0].shape == (1, 1, 224, 336)

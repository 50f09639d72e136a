"""The generator: sizes, the color bins, and what is read from a distribution over them."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from recolor_core.models.bins import color_bins
from recolor_core.models.config import GeneratorConfig
from recolor_core.models.generator import Generator

SMALL = GeneratorConfig(width=64, decoder=(16, 16, 16), attention=1)


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    return Generator(SMALL).eval().requires_grad_(False)


def certain(generator, *colors):
    """Logits (1, Q, 1, n) of distributions that know the color nearest to each given."""
    colors = torch.tensor(colors, dtype=torch.float32)
    nearest = torch.cdist(colors, generator.bins).argmin(1)
    logits = torch.full((1, len(generator.bins), 1, len(colors)), -1e4)
    logits[0, nearest, 0, torch.arange(len(colors))] = 0
    return logits


def gaussian(generator, center, deviation):
    distance = (generator.bins - torch.tensor(center)).square().sum(1)
    return (-distance / (2 * deviation**2))[None, :, None, None]


# Sizes


@pytest.mark.slow
@torch.inference_mode()
def test_reference_size():
    network = Generator().eval()
    logits = network(torch.full((1, 1, 224, 224), 50.0))
    assert logits.shape == (1, 259, 56, 56)
    assert network.mean_color(logits).shape == (1, 2, 56, 56)
    assert network.uncertainty(logits).shape == (1, 1, 56, 56)


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (90, 2), (5, 7), (64, 64), (33, 130)])
@torch.inference_mode()
def test_any_size(generator, size):
    logits = generator(100 * torch.rand(2, 1, *size))
    assert logits.shape == (2, len(generator.bins), -(-size[0] // 4), -(-size[1] // 4))
    assert bool(torch.isfinite(logits).all())


@torch.inference_mode()
def test_images_of_a_batch_do_not_touch(generator):
    lightness = 100 * torch.rand(3, 1, 64, 96, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        generator(lightness)[1:2], generator(lightness[1:2]), rtol=0, atol=1e-3
    )


@torch.inference_mode()
def test_every_part_sees_the_whole_image(generator):
    lightness = torch.full((1, 1, 64, 512), 50.0)
    other = lightness.clone()
    other[..., -8:] = 90
    assert not torch.equal(generator(lightness)[..., 0], generator(other)[..., 0])


def test_every_part_learns():
    torch.manual_seed(0)
    network = Generator(SMALL).train()
    network(100 * torch.rand(2, 1, 64, 64)).square().mean().backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


# The bins


def test_a_grid_of_ten_has_the_cells_of_the_gamut():
    bins = color_bins(10)
    assert bins.shape == (259, 2)
    assert bool((bins % 10 == 0).all())
    assert len(np.unique(bins, axis=0)) == 259
    assert np.abs(bins).max() <= 110


@pytest.mark.slow
@pytest.mark.parametrize("grid", [10, 20])
def test_every_8_bit_color_has_its_bin(grid):
    # The colors of a solid, seen along L*, are those of its surface: the six faces of the cube.
    side = np.arange(0, 256, 5) / 255
    first, second = (x.ravel() for x in np.meshgrid(side, side))
    faces = [
        np.roll(np.stack((np.full_like(first, end), first, second), axis=-1), axis, axis=-1)
        for axis in range(3)
        for end in (0, 1)
    ]
    ab = rgb2lab(np.concatenate(faces))[:, 1:]
    beyond = np.min([np.abs(ab - center).max(1) for center in color_bins(grid)], axis=0)
    # The corner of a cell that the gamut barely touches may be without a bin of its own.
    assert beyond.max() < grid / 2 + 1


# What is read from a distribution


@pytest.mark.parametrize("temperature", [0.1, 0.36, 1.0])
def test_certainty_gives_its_color_and_no_uncertainty(generator, temperature):
    colors = [(0, 0), (60, 40), (-50, 30), (20, -60)]
    logits = certain(generator, *colors)
    expected = torch.tensor(colors, dtype=torch.float32).T[None, :, None]
    torch.testing.assert_close(generator.mean_color(logits, temperature), expected)
    assert generator.uncertainty(logits).max() < 0.01


def test_mean_and_deviation_of_two_colors(generator):
    logits = torch.logaddexp(certain(generator, (30, 0)), certain(generator, (-10, 30)))
    mean = generator.mean_color(logits).flatten()
    torch.testing.assert_close(mean, torch.tensor([10.0, 15.0]))
    # Half the distance between two equally likely colors.
    assert generator.uncertainty(logits).item() == pytest.approx(math.hypot(40, 30) / 2, rel=1e-4)


def test_uncertainty_of_a_gaussian(generator):
    # Two independent axes; the cells of 10 are the coarse part.
    assert generator.uncertainty(gaussian(generator, (0.0, 0.0), 12)).item() == pytest.approx(
        12 * math.sqrt(2), rel=0.01
    )


def test_lower_temperature_moves_to_the_likeliest_color(generator):
    torch.manual_seed(0)
    logits = torch.randn(1, len(generator.bins), 6, 6) * 3
    likeliest = generator.bins[logits.argmax(1)].permute(0, 3, 1, 2)
    torch.testing.assert_close(generator.mean_color(logits, 1e-3), likeliest, rtol=0, atol=0.5)
    # The expected logit never falls as it gets colder.
    expected = [((logits / t).softmax(1) * logits).sum(1) for t in (3.0, 1.0, 0.6, 0.36, 0.1, 0.01)]
    assert all(bool((b >= a - 1e-5).all()) for a, b in pairwise(expected))


def test_a_vivid_color_over_a_pale_background_gets_more_vivid_as_it_gets_colder(generator):
    logits = torch.logaddexp(
        gaussian(generator, (0.0, 0.0), 25) - 1.5, gaussian(generator, (60.0, 40.0), 12)
    )
    chroma = [generator.mean_color(logits, t).norm().item() for t in (1.0, 0.8, 0.6, 0.36)]
    assert chroma == sorted(chroma)
    assert chroma[-1] > chroma[0] + 3


def test_each_image_may_have_its_temperature(generator):
    torch.manual_seed(0)
    logits = torch.randn(2, len(generator.bins), 3, 3)
    both = generator.mean_color(logits, torch.tensor([1.0, 0.5])[:, None, None, None])
    torch.testing.assert_close(both[0], generator.mean_color(logits, 1.0)[0])
    torch.testing.assert_close(both[1], generator.mean_color(logits, 0.5)[1])

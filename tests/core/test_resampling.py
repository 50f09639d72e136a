"""Resizing: as PyTorch does it, for arrays and tensors alike."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from recolor_core.resampling import (
    area_maxima,
    area_means,
    block_means,
    box_means,
    pad_to_multiple,
    resize,
    window_means,
)

SIZES = [(45, 67), (20, 33), (90, 134), (180, 268), (46, 68), (11, 300), (1, 1)]


def image(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_reducing_and_enlarging_are_those_of_pytorch(size):
    x = image(3, 45, 67)
    expected = [
        F.interpolate(torch.from_numpy(x)[None, channel : channel + 1], size=size, **options)[0, 0]
        for channel in range(3)
        for options in ({"mode": "bilinear", "antialias": True}, {"mode": "bicubic"})
    ]
    for ours, theirs in (
        (resize(x, size), expected[::2]),
        (resize(x, size, cubic=True), expected[1::2]),
    ):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, np.stack(theirs), rtol=0, atol=2e-5)


@pytest.mark.parametrize("cubic", [False, True])
def test_tensors_are_resized_like_arrays_and_can_be_differentiated(cubic):
    x = image(2, 3, 9, 11)
    of_tensor = resize(torch.from_numpy(x), (30, 7), cubic=cubic)
    np.testing.assert_allclose(of_tensor, resize(x, (30, 7), cubic=cubic), rtol=0, atol=1e-6)
    wanted = torch.rand(1, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: resize(x, (8, 4), cubic=cubic), wanted)


def test_tensors_are_resized_in_full_precision_while_networks_are_not():
    x = torch.rand(1, 2, 9, 11) * 100
    with torch.autocast("cpu", torch.bfloat16):
        within = resize(x, (36, 44), cubic=True)
    assert within.equal(resize(x, (36, 44), cubic=True))


@pytest.mark.parametrize("size", SIZES)
def test_a_constant_image_stays_constant(size):
    x = np.full((45, 67), 37.5, np.float32)
    np.testing.assert_allclose(resize(x, size), 37.5, rtol=1e-6)
    np.testing.assert_allclose(resize(x, size, cubic=True), 37.5, rtol=1e-6)


@pytest.mark.parametrize("reach", [1, 4, 100])
def test_means_over_boxes_are_those_of_pytorch(reach):
    x = image(2, 3, 20, 31)
    count = F.avg_pool2d(torch.ones(1, 1, 20, 31), 2 * reach + 1, 1, reach, divisor_override=1)
    total = F.avg_pool2d(torch.from_numpy(x), 2 * reach + 1, 1, reach, divisor_override=1)
    np.testing.assert_allclose(box_means(x, reach), total / count, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_means_and_maxima_over_cells_are_those_of_pytorch(size):
    x = image(3, 45, 67)
    means = F.adaptive_avg_pool2d(torch.from_numpy(x), size)
    np.testing.assert_allclose(area_means(x, size), means, rtol=0, atol=1e-6)
    maxima = F.adaptive_max_pool2d(torch.from_numpy(x), size)
    np.testing.assert_array_equal(area_maxima(x, size), maxima)


def test_means_over_cells_of_truth_values_are_parts():
    part = area_means(np.eye(6, dtype=bool), (3, 2))
    assert part.dtype == np.float32
    np.testing.assert_allclose(part, [[1 / 3, 0], [1 / 6, 1 / 6], [0, 1 / 3]])


def test_means_over_windows_are_those_of_pytorch():
    x = image(20, 31)
    expected = F.avg_pool2d(torch.from_numpy(x)[None], 5, 1)[0]
    np.testing.assert_allclose(window_means(x, 5), expected, rtol=0, atol=1e-6)


def test_means_over_blocks():
    x = np.arange(24, dtype=np.float32).reshape(1, 4, 6)
    expected = [[[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]]]
    np.testing.assert_array_equal(block_means(x, 2), expected)
    np.testing.assert_array_equal(block_means(torch.from_numpy(x), 2), expected)


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (32, 33), (5, 64)])
def test_padding_repeats_the_border_and_keeps_the_image(size):
    x = torch.rand(1, 1, *size)
    padded = pad_to_multiple(x, 4)
    assert all(n % 4 == 0 and 0 <= n - m < 4 for n, m in zip(padded.shape[2:], size, strict=True))
    assert torch.equal(padded[..., : size[0], : size[1]], x)
    assert bool((padded[..., size[0] :, : size[1]] == x[..., -1:, :]).all())
    assert bool((padded[..., size[1] :] == padded[..., size[1] - 1 : size[1]]).all())
    assert np.array_equal(pad_to_multiple(x.numpy(), 4), padded)

"""Carrying chroma to the size of the image, guided by its lightness."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from recolor_core.upsample import GuidedUpsampler


def scene(size, full, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ab = 20 * torch.randn(2, *size, generator=generator)
    lightness = 100 * torch.rand(size, generator=generator)
    return ab, lightness, 100 * torch.rand(full, generator=generator)


def whole(ab, lightness, full):
    upsampler = GuidedUpsampler(ab.numpy(), lightness.numpy(), tuple(full.shape))
    return torch.from_numpy(upsampler.rows(0, full.numpy()))


sizes = st.tuples(st.integers(1, 12), st.integers(1, 12))


@settings(max_examples=50)
@given(sizes, st.tuples(st.integers(1, 70), st.integers(1, 70)))
def test_any_size_gives_chroma_of_every_pixel(size, full):
    ab = whole(*scene(size, full))
    assert ab.shape == (2, *full)
    assert ab.dtype == torch.float32
    assert bool(torch.isfinite(ab).all())


@pytest.mark.parametrize("full", [(157, 203), (30, 41), (400, 37)])
@pytest.mark.parametrize("rows", [1, 2, 7, 64])
def test_strips_are_the_whole_to_the_bit(full, rows):
    ab, lightness, guide = scene((40, 51), full)
    upsampler, guide = GuidedUpsampler(ab.numpy(), lightness.numpy(), full), guide.numpy()
    strips = [upsampler.rows(top, guide[top : top + rows]) for top in range(0, full[0], rows)]
    assert np.array_equal(np.concatenate(strips, axis=1), upsampler.rows(0, guide))


@pytest.mark.parametrize("full", [(1, 1), (10, 13), (20, 13), (97, 130)])
def test_one_color_stays_one_color_whatever_the_lightness(full):
    _, lightness, guide = scene((20, 26), full)
    ab = torch.tensor([12.5, -30.0])[:, None, None]
    up = whole(ab.expand(2, 20, 26).contiguous(), lightness, guide)
    torch.testing.assert_close(up, ab.expand(2, *full), rtol=0, atol=1e-3)


def test_where_lightness_says_nothing_it_is_bicubic():
    ab, _, _ = scene((20, 26), (1, 1))
    flat = torch.full((20, 26), 40.0)
    up = whole(ab, flat, torch.full((160, 208), 40.0))
    bicubic, bilinear = (
        F.interpolate(ab[None], scale_factor=8, mode=mode)[0] for mode in ("bicubic", "bilinear")
    )
    # Laid out four times as fine by bicubic, the rest is linear.
    assert (up - bicubic).abs().mean() < 0.2 * (bilinear - bicubic).abs().mean()


def test_an_edge_of_color_follows_the_edge_of_lightness():
    # Two areas whose border lies within a working pixel: between columns 83 and 84 of 160.
    right = (torch.arange(160) >= 84).float()
    guide = (20 + 60 * right).expand(160, 160)
    truth = torch.stack((40 - 80 * right, 10 + 0 * right))[:, None].expand(2, 160, 160)
    small = F.avg_pool2d(guide[None, None], 8)[0, 0]
    ab = F.avg_pool2d(truth[None], 8)[0]
    error = (whole(ab, small, guide) - truth).abs().mean()
    bicubic = F.interpolate(ab[None], scale_factor=8, mode="bicubic")[0]
    assert error < 0.4 * (bicubic - truth).abs().mean()


def test_a_image_smaller_than_the_working_size_gets_the_mean():
    ab, lightness, guide = scene((40, 60), (10, 15))
    up = whole(ab, lightness, guide)
    torch.testing.assert_close(up.mean((1, 2)), ab.mean((1, 2)), rtol=0, atol=1.0)
    assert up.std() < ab.std()

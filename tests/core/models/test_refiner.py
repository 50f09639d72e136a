"""The refiner: sizes, the bicubic start, what reaches how far."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from recolor_core.inference import in_tiles
from recolor_core.models.config import RefinerConfig
from recolor_core.models.processing import finer, upsample
from recolor_core.models.refiner import Refiner

SMALL = RefinerConfig(width=16, blocks=1)


def inputs(height, width, batch=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    grid = (-(-height // 4), -(-width // 4))
    lightness = 100 * torch.rand(batch, 1, height, width, generator=generator)
    ab = 30 * torch.randn(batch, 2, *grid, generator=generator)
    share = (torch.rand(batch, 1, *grid, generator=generator) > 0.9).float()
    hints = torch.cat((share * 40, share * -20, share), dim=1)
    return lightness, ab, hints


def trained(config=None):
    """A refiner whose residual is not zero."""
    torch.manual_seed(0)
    refiner = Refiner(config).eval()
    nn.init.normal_(refiner.out.weight, std=0.05)
    return refiner


@torch.inference_mode()
def test_reference_size():
    lightness, ab, hints = inputs(224, 224)
    assert ab.shape == (1, 2, 56, 56)
    refined = trained()(lightness, ab, hints)
    assert refined.shape == (1, 2, 224, 224)
    assert refined.dtype == torch.float32


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (37, 2), (5, 7), (8, 8), (4, 203)])
@torch.inference_mode()
def test_any_size(size):
    lightness, ab, hints = inputs(*size, batch=2)
    refined = trained(SMALL)(lightness, ab, hints)
    assert refined.shape == (2, 2, *size)
    assert bool(torch.isfinite(refined).all())


@pytest.mark.parametrize("size", [(224, 224), (61, 47)])
@torch.inference_mode()
def test_untrained_it_is_bicubic_upsampling(size):
    lightness, ab, hints = inputs(*size)
    bicubic = F.interpolate(ab, scale_factor=4, mode="bicubic", align_corners=False)
    bicubic = bicubic[..., : size[0], : size[1]]
    refiner = Refiner().eval()
    torch.testing.assert_close(refiner(lightness, ab), bicubic, rtol=0, atol=1e-4)
    assert torch.equal(refiner(lightness, ab, hints), refiner(lightness, ab))


@torch.inference_mode()
def test_no_hints_are_hints_of_nothing():
    lightness, ab, hints = inputs(32, 32)
    refiner = trained(SMALL)
    assert torch.equal(refiner(lightness, ab), refiner(lightness, ab, torch.zeros_like(hints)))
    assert not torch.equal(refiner(lightness, ab), refiner(lightness, ab, hints))


@torch.inference_mode()
def test_images_of_a_batch_do_not_touch():
    lightness, ab, hints = inputs(40, 56, batch=3)
    refiner = trained(SMALL)
    single = refiner(lightness[1:2], ab[1:2], hints[1:2])
    batch = refiner(lightness, ab, hints)[1:2]
    torch.testing.assert_close(batch, single, rtol=0, atol=1e-3)


def test_every_part_learns():
    torch.manual_seed(0)
    refiner = trained(SMALL).train()
    lightness, ab, hints = inputs(32, 32)
    refiner(lightness, ab, hints).square().mean().backward()
    silent = [name for name, p in refiner.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


@pytest.mark.parametrize(("blocks", "detail"), [(0, 0), (2, 8), (2, 5), (13, 3), (20, 1)])
def test_the_halo_is_as_wide_as_what_reaches_a_pixel_and_little_wider(blocks, detail):
    config = RefinerConfig(width=8, blocks=blocks, detail=detail)
    refiner = trained(config).double()
    with torch.no_grad():  # all positive, so that no ReLU and no rounding hides a way
        for parameter in refiner.parameters():
            parameter.abs_().clamp_(min=1e-3)
    middle = -(-config.halo // config.multiple) * config.multiple
    size = 2 * middle + config.multiple
    given = [(x.double().abs() + 1).requires_grad_() for x in inputs(8, size)]
    reach = []
    for column in {middle, middle + config.multiple // 2, middle + config.multiple - 1}:
        output = refiner(*given)[..., column].sum()
        for grad, scale in zip(torch.autograd.grad(output, given), (1, 4, 4), strict=True):
            reached = grad.abs().sum((0, 1, 2)).nonzero()[:, 0] * scale
            reach += [column - int(reached.min()), int(reached.max()) + scale - 1 - column]
    assert max(reach) <= config.halo <= max(reach) + config.multiple + 16


@pytest.mark.slow
@pytest.mark.parametrize(("blocks", "detail"), [(2, 0), (2, 3), (2, 8), (13, 5)])
@torch.inference_mode()
def test_tiles_color_as_the_whole_image_does(blocks, detail):
    config = RefinerConfig(width=8, blocks=blocks, detail=detail)
    refiner = trained(config)
    given = inputs(90, 600)
    whole = refiner(*given)
    sizes = []

    def refine(*part):
        sizes.append(part[0].shape[-1])
        return refiner(*map(torch.from_numpy, part)).numpy()

    tiled = torch.from_numpy(in_tiles(refine, 64, config, *(x.numpy() for x in given)))
    assert len(sizes) > 1
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-3)


def test_upsampling_keeps_a_constant_and_its_place():
    ab = torch.zeros(1, 2, 5, 6)
    ab[0, 0] = 7
    ab[0, 1] = torch.arange(6.0)
    up = upsample(ab, 4)
    assert up.shape == (1, 2, 20, 24)
    torch.testing.assert_close(up[:, 0], torch.full((1, 20, 24), 7.0))
    # Away from the borders a ramp stays one, of pixel centers: half a pixel off would be 0.125.
    ramp = (torch.arange(24.0) + 0.5) / 4 - 0.5
    torch.testing.assert_close(up[0, 1, 0, 8:16], ramp[8:16], rtol=0, atol=0.05)


def test_what_is_finer_than_blocks_has_no_mean_over_them():
    torch.manual_seed(0)
    ab = 10 * torch.randn(1, 2, 3, 3).repeat_interleave(16, 2).repeat_interleave(16, 3)
    detail = torch.randn(1, 2, 48, 48)
    detail = detail - upsample(F.avg_pool2d(detail, 16), 16)
    fine = finer(ab + detail, 16)
    assert F.avg_pool2d(fine, 16).abs().max() < 0.3 * ab.abs().max()
    torch.testing.assert_close(finer(ab + 5, 16), finer(ab, 16), rtol=0, atol=1e-4)
    assert torch.equal(finer(ab, 0), ab)
    assert finer(ab[..., :21, :3], 16).shape == (1, 2, 21, 3)


@torch.inference_mode()
def test_with_a_limit_the_coarse_ab_decides_what_is_coarser():
    lightness, ab, hints = inputs(64, 64)
    shifts = []
    for detail in (0, 4):
        refiner = trained(RefinerConfig(width=16, blocks=1, detail=detail))
        residual = refiner(lightness, ab, hints) - upsample(ab, 4)
        shifts.append(F.avg_pool2d(residual, 16).abs().mean() / residual.abs().mean())
    assert shifts[1] < 0.3 * shifts[0]

"""The refiner: lightness and coarse ab -> ab at the working size, with sharp edges."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recolor_core.lab import AB_LIMIT
from recolor_core.models.config import SCALE, RefinerConfig
from recolor_core.models.encoder import (
    LowLevelEncoder,
    conv_norm_relu,
    network_lightness,
    pad_to_multiple,
)


class Refiner(nn.Module):
    """Adds detail to bicubic upsampling of coarse ab.

    Lightness and color have an encoder each; a body as in EDSR (Lim et al. 2017) joins them. The
    last convolution starts at zero, so that an untrained refiner is bicubic upsampling.

    Parameters
    ----------
    config : RefinerConfig, optional
        Its shape.
    """

    def __init__(self, config: RefinerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RefinerConfig()
        width = config.width
        half, skip, full = width // 2, width // 4, 3 * width // 8
        self.low_level = LowLevelEncoder(depth=1)
        self.encode_lightness = conv_norm_relu(256, width)
        self.encode_color = nn.Sequential(conv_norm_relu(5, width, kernel=3), EDSRBlock(width))
        self.fuse = nn.Conv2d(2 * width, width, 1)
        self.body = nn.Sequential(
            *(EDSRBlock(width) for _ in range(config.blocks)),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.up_half = nn.Conv2d(width, 4 * half, 3, padding=1)
        self.skip_half = nn.Conv2d(64, skip, 1)
        self.up_full = nn.Conv2d(half + skip, 4 * full, 3, padding=1)
        self.full = nn.Conv2d(full + 1, full, 3, padding=1)
        self.out = nn.Conv2d(full, 2, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        assert self.out.bias is not None
        nn.init.zeros_(self.out.bias)

    def forward(self, lightness: Tensor, ab: Tensor, hints: Tensor | None = None) -> Tensor:
        """Refine coarse ab.

        Parameters
        ----------
        lightness : Tensor
            (B, 1, H, W) float32: L* in [0, 100], any size.
        ab : Tensor
            (B, 2, ceil(H / 4), ceil(W / 4)): coarse a* and b*, in Lab units.
        hints : Tensor or None
            (B, 3, ceil(H / 4), ceil(W / 4)): the mean a* and b* of the hints in a cell, in Lab
            units, times the third channel, which is the hinted part of the cell in [0, 1].

        Returns
        -------
        Tensor
            (B, 2, H, W): a* and b*, in Lab units.
        """
        return self.refined(self.residual(*self.inputs(lightness, ab, hints)), lightness, ab)

    @staticmethod
    def inputs(lightness: Tensor, ab: Tensor, hints: Tensor | None) -> tuple[Tensor, Tensor]:
        """Scale what `forward` takes: padded lightness (1 channel), and color and hints (5)."""
        if hints is None:
            hints = ab.new_zeros(len(ab), 3, *ab.shape[-2:])
        color = torch.cat((ab / AB_LIMIT, hints[:, :2] / AB_LIMIT, hints[:, 2:]), dim=1)
        return pad_to_multiple(network_lightness(lightness), SCALE), color

    def refined(self, residual: Tensor, lightness: Tensor, ab: Tensor) -> Tensor:
        """Add the detail of a residual to the upsampled coarse ab."""
        height, width = lightness.shape[-2:]
        refined = upsample(ab, SCALE) + AB_LIMIT * finer(residual, SCALE * self.config.detail)
        return refined[..., :height, :width]

    def residual(self, x: Tensor, color: Tensor) -> Tensor:
        """Residual of `inputs`: everything in `forward` that a compiled runtime replaces."""
        half, quarter = self.low_level(x)
        features = self.fuse(
            torch.cat((self.encode_lightness(quarter), self.encode_color(color)), dim=1)
        )
        features = features + self.body(features)
        features = F.relu(F.pixel_shuffle(self.up_half(features), 2))
        features = torch.cat((features, F.relu(self.skip_half(half))), dim=1)
        features = F.relu(F.pixel_shuffle(self.up_full(features), 2))
        features = F.relu(self.full(torch.cat((features, x), dim=1)))
        residual: Tensor = self.out(features)
        return residual


class EDSRBlock(nn.Module):
    """A residual block without normalization (Lim et al. 2017)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.second(F.relu(self.first(x)))
        return x + residual


def upsample(ab: Tensor, scale: int) -> Tensor:
    """Upsample (B, 2, h, w) by a whole factor, bicubic: the baseline of the refiner."""
    return F.interpolate(ab, scale_factor=scale, mode="bicubic")


def finer(ab: Tensor, block: int) -> Tensor:
    """Subtract what the means over blocks show, and keep the finer detail.

    Parameters
    ----------
    ab : Tensor
        (B, 2, H, W), any unit.
    block : int
        Side of the blocks, in pixels; 0 subtracts nothing.

    Returns
    -------
    Tensor
        (B, 2, H, W)
    """
    if not block:
        return ab
    means = F.avg_pool2d(pad_to_multiple(ab, block), block)
    smooth = F.interpolate(means, scale_factor=block, mode="bicubic")
    return ab - smooth[..., : ab.shape[-2], : ab.shape[-1]]

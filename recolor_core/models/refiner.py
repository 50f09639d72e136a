"""The refiner: lightness and coarse ab -> ab at the working size, with sharp edges."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recolor_core.models.config import RefinerConfig
from recolor_core.models.encoder import LowLevelEncoder, conv_norm_relu
from recolor_core.models.processing import RefinerProcessing


class Refiner(RefinerProcessing, nn.Module):
    """Adds detail to bicubic upsampling of coarse ab.

    Lightness and color have an encoder each; a body as in EDSR (Lim et al. 2017) joins them. The
    last convolution starts at zero, so that an untrained refiner is bicubic upsampling.

    Parameters
    ----------
    config : RefinerConfig, optional
        Its shape.
    """

    def __init__(self, config: RefinerConfig | None = None) -> None:
        nn.Module.__init__(self)
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

    def residual(self, x: Tensor, color: Tensor) -> Tensor:
        """Compute the residual of `inputs`: all that a compiled runtime replaces."""
        features = F.relu(F.pixel_shuffle(self.up_full(self.features(x, color)), 2))
        features = F.relu(self.full(torch.cat((features, x), dim=1)))
        residual: Tensor = self.out(features)
        return residual

    def features(self, x: Tensor, color: Tensor) -> Tensor:
        """Compute the features at half the size of the image, of `inputs`."""
        half, quarter = self.low_level(x)
        features = self.fuse(
            torch.cat((self.encode_lightness(quarter), self.encode_color(color)), dim=1)
        )
        features = features + self.body(features)
        features = F.relu(F.pixel_shuffle(self.up_half(features), 2))
        return torch.cat((features, F.relu(self.skip_half(half))), dim=1)


class EDSRBlock(nn.Module):
    """A residual block without normalization (Lim et al. 2017)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.second(F.relu(self.first(x)))
        return x + residual

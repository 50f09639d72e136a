"""The generator: lightness -> a coarse distribution over color bins."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recolor_core.models.bins import color_bins
from recolor_core.models.config import GeneratorConfig
from recolor_core.models.encoder import LowLevelEncoder, SemanticEncoder, conv_norm_relu
from recolor_core.models.processing import GeneratorProcessing


class Generator(GeneratorProcessing, nn.Module):
    """Predicts a distribution over colors at a quarter of the size.

    It has two paths, the low-level encodings of ResNet-101 (where the edges are) and a semantic
    path (what the image shows). A U-shaped decoder joins them.

    Parameters
    ----------
    config : GeneratorConfig, optional
        Its shape.
    """

    def __init__(self, config: GeneratorConfig | None = None) -> None:
        config = config or GeneratorConfig()
        nn.Module.__init__(self)
        self.grid = config.grid
        self.register_buffer("bins", torch.from_numpy(color_bins(config.grid)), persistent=False)
        self.config = config
        wide, middle, narrow = config.decoder
        self.low_level = LowLevelEncoder(depth=2)
        self.semantic = SemanticEncoder()
        self.neck = conv_norm_relu(352, config.width)
        self.position = nn.Parameter(torch.zeros(1, config.width, 7, 7))
        self.attention = nn.Sequential(
            *(AttentionBlock(config.width) for _ in range(config.attention))
        )
        self.lateral_quarter = conv_norm_relu(256, 64)
        self.lateral_eighth = conv_norm_relu(512, 128)
        self.up_sixteenth = nn.Sequential(
            conv_norm_relu(config.width + 120, wide), ResidualBlock(wide)
        )
        self.up_eighth = nn.Sequential(
            conv_norm_relu(wide + 128, middle, kernel=3), ResidualBlock(middle)
        )
        self.up_quarter = nn.Sequential(
            conv_norm_relu(middle + 64, narrow, kernel=3), ResidualBlock(narrow)
        )
        self.head = nn.Conv2d(narrow, len(self.bins), 1)

    def logits(self, x: Tensor) -> Tensor:
        """Compute the logits of padded lightness: all that a compiled runtime replaces."""
        _, quarter, eighth = self.low_level(x)
        sixteenth, thirtysecond = self.semantic(x)
        x = self.neck(thirtysecond)
        x = x + F.interpolate(self.position, size=x.shape[-2:], mode="bilinear")
        shape = x.shape
        x = self.attention(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(shape)
        x = self.up_sixteenth(_twice(x, sixteenth))
        x = self.up_eighth(_twice(x, self.lateral_eighth(eighth)))
        x = self.up_quarter(_twice(x, self.lateral_quarter(quarter)))
        logits: Tensor = self.head(x)
        return logits


class ResidualBlock(nn.Module):
    """ReLU(x + f(x)); f is two convolutions of 3 x 3 with batch normalization."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv_norm_relu(channels, channels, kernel=3)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


class AttentionBlock(nn.Module):
    """A pre-norm transformer block: each of the (B, N, C) positions sees the whole image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // 64
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        batch, count, width = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(batch, count, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, N, 64)
        y = F.scaled_dot_product_attention(q, k, v)
        x = x + self.projection(y.transpose(1, 2).reshape(batch, count, width))
        residual: Tensor = self.mlp(self.norm_mlp(x))
        return x + residual


def _twice(x: Tensor, beside: Tensor) -> Tensor:
    return torch.cat((F.interpolate(x, scale_factor=2, mode="nearest"), beside), dim=1)

"""The Generator: lightness -> a coarse distribution of colors -> ab and its uncertainty."""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recolor_core.lab import rgb_to_lab
from recolor_core.models.encoder import (
    LowLevelEncoder,
    SemanticEncoder,
    conv_norm_relu,
    network_lightness,
    pad_to_multiple,
)


@dataclass(frozen=True)
class GeneratorConfig:
    """The shape of a `Generator`; stored in its weights file.

    Parameters
    ----------
    grid
        Side of the square ab cells that are the classes, in Lab units.
    width
        Channels of the 1/32 level, a multiple of 64.
    decoder
        Channels of the decoder at 1/16, 1/8 and 1/4.
    attention
        Number of attention blocks at 1/32.
    """

    grid: int = 10
    width: int = 320
    decoder: tuple[int, int, int] = (256, 128, 96)
    attention: int = 2


class Generator(nn.Module):
    """Predicts a distribution over colors at a quarter of the size.

    Two paths, joined in a U-shaped decoder with batch normalization before each ReLU: the
    low-level ResNet-101 encodings (where edges are) and a semantic path (what things are).
    """

    def __init__(self, config: GeneratorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or GeneratorConfig()
        wide, middle, narrow = config.decoder
        self.register_buffer("bins", color_bins(config.grid), persistent=False)
        self.bins: Tensor
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

    def forward(self, lightness: Tensor) -> Tensor:
        """Logits of the color bins.

        Parameters
        ----------
        lightness
            L* in [0, 100], (B, 1, H, W), float32, any size.

        Returns
        -------
        Tensor
            (B, Q, ceil(H / 4), ceil(W / 4)) for the Q `bins`.
        """
        height, width = (-(-size // 4) for size in lightness.shape[-2:])
        x = pad_to_multiple(network_lightness(lightness), 32)
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
        return logits[..., :height, :width]

    def mean_color(self, logits: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
        """The annealed mean of the distribution (Zhang et al. 2016, section 2.3).

        Parameters
        ----------
        logits
            (B, Q, h, w), as `forward` gives them.
        temperature
            Above 0. 1 is the plain mean, the safe guess; towards 0 the most likely color wins.

        Returns
        -------
        Tensor
            a* and b* in Lab units, (B, 2, h, w).
        """
        return _expectation(F.softmax(logits / temperature, dim=1), self.bins)

    def uncertainty(self, logits: Tensor) -> Tensor:
        """Standard deviation of the color, in Lab units, (B, 1, h, w).

        The root of the summed variances of a* and b* under the distribution at temperature 1:
        the root-mean-square CIE 1976 chroma distance by which the plain mean is expected to err.
        """
        share = F.softmax(logits, dim=1)
        mean = _expectation(share, self.bins)
        square = _expectation(share, (self.bins**2).sum(1, keepdim=True))
        return (square - (mean**2).sum(1, keepdim=True)).clamp(min=0).sqrt()

    def tilted(self, logits: Tensor, angle: float) -> Tensor:
        """Logits of a distribution that leans towards a hue wherever it is undecided.

        Exponential tilting, ``p'(ab) ~ p(ab) exp(t)``, where t is the distance of ab from the mean
        along the direction of the angle, in standard deviations of p. It moves the mean by about
        one of these: a lot where many colors are plausible, hardly where one is certain. t is cut
        at +-2, so that colors that are next to impossible stay so.

        Parameters
        ----------
        logits
            (B, Q, h, w).
        angle
            Hue angle in radians: 0 is red (+a*), pi / 2 yellow (+b*).
        """
        share = F.softmax(logits, dim=1)
        along = self.bins @ self.bins.new_tensor([math.cos(angle), math.sin(angle)])
        moments = _expectation(share, torch.stack((along, along**2), dim=1))
        mean, square = moments[:, :1], moments[:, 1:]
        spread = (square - mean**2).clamp(min=1).sqrt()
        return logits + ((along[:, None, None] - mean) / spread).clamp(-2, 2)

    def steered(self, logits: Tensor, colors: Tensor) -> Tensor:
        """Logits of the distribution whose colors are, over the whole image, those given.

        Prior shift (Saerens et al. 2002): every color is weighted by how much more of it there is
        among `colors` than the image has by itself, repeated until they agree.

        Parameters
        ----------
        logits
            (B, Q, h, w).
        colors
            (N, 2): samples of a* and b* in Lab units, of a palette or a reference image.
        """
        # A floor keeps colors possible that the reference lacks, since what it shows may differ.
        distance = torch.cdist(self.bins, colors).square() / (2 * self.config.grid**2)
        wanted = F.softmax(torch.logsumexp(-distance, dim=1), dim=0) + 1e-3 / len(self.bins)
        shift = torch.zeros_like(logits[:, :, :1, :1])
        for _ in range(5):
            present = F.softmax(logits + shift, dim=1).mean((2, 3), keepdim=True)
            shift = shift + (wanted[:, None, None] / present.clamp(min=1e-6)).log() / 2
        return logits + shift


class ResidualBlock(nn.Module):
    """ReLU(x + f(x)), f two convolutions of 3 x 3 with batch normalization."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv_norm_relu(channels, channels, kernel=3)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


class AttentionBlock(nn.Module):
    """A pre-norm transformer block over (B, N, C) positions: every part sees the whole image."""

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


def _expectation(share: Tensor, values: Tensor) -> Tensor:
    """(B, Q, h, w) shares and (Q, C) values -> (B, C, h, w)."""
    mean: Tensor = torch.einsum("bqhw,qc->bchw", share, values)
    return mean


@lru_cache
def _bin_table(grid: int) -> Tensor:
    # 33 steps a channel miss no cell by more than 0.95 Lab units at a grid of 10.
    steps = torch.linspace(0, 1, 33, dtype=torch.float64)
    cube = torch.cartesian_prod(steps, steps, steps).T[:, None]
    cells = (rgb_to_lab(cube)[1:, 0].T / grid).round()
    touched: Tensor = torch.unique(cells, dim=0)
    return (touched * grid).to(torch.float32)


def color_bins(grid: int) -> Tensor:
    """Centers of the ab cells that the sRGB gamut touches: (Q, 2) in Lab units, a then b ascending.

    As Zhang et al. (2016) cut the ab plane; a grid of 10 gives 259 cells.
    """
    return _bin_table(grid).clone()

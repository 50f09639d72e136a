"""The original recipe as a baseline: low-level encodings alone, colors by regression.

What the two paths, the distribution of colors and the transfer learning of a `Generator` are worth
is measured against this network, trained on the same images, augmented in the same way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recolor_core.lab import rgb_to_lab
from recolor_core.models.encoder import LowLevelEncoder, conv_norm_relu
from recolor_core.models.processing import network_lightness
from recolor_core.resampling import pad_to_multiple
from recolor_core.trainer import Recipe, Task, augment, read_checkpoint
from recolor_core.trainer.generator import coarse_color, validate_coarse
from recolor_core.trainer.task import Validation, rng_of

REACH = 110.0
"""Largest |a*| or |b*| that the network can say: no color of sRGB has a larger one."""


class Original(nn.Module):
    """ResNet-101's encodings up to 1/8 of the size, and a small decoder back to 1/4."""

    def __init__(self) -> None:
        super().__init__()
        self.low_level = LowLevelEncoder(depth=2)
        self.neck = conv_norm_relu(512, 256, kernel=3)
        self.lateral = conv_norm_relu(256, 64)
        self.decoder = nn.Sequential(
            conv_norm_relu(256 + 64, 128, kernel=3), conv_norm_relu(128, 64, kernel=3)
        )
        self.head = nn.Conv2d(64, 2, 1)

    def forward(self, lightness: Tensor) -> Tensor:
        """Coarse a* and b*.

        Parameters
        ----------
        lightness
            L* in [0, 100], (B, 1, H, W), float32, any size.

        Returns
        -------
        Tensor
            Lab units, (B, 2, ceil(H / 4), ceil(W / 4)).
        """
        height, width = (-(-size // 4) for size in lightness.shape[-2:])
        x = pad_to_multiple(network_lightness(lightness), 8)
        _, quarter, eighth = self.low_level(x)
        x = F.interpolate(self.neck(eighth), scale_factor=2, mode="nearest")
        x = self.decoder(torch.cat((x, self.lateral(quarter)), dim=1))
        return REACH * torch.tanh(self.head(x))[..., :height, :width]


@dataclass(frozen=True)
class OriginalRecipe(Recipe):
    """How to train the baseline.

    Parameters
    ----------
    zoom, degrade_probability
        As in `GeneratorRecipe`.
    """

    kind: ClassVar[str] = "original"

    zoom: float = 0.6
    degrade_probability: float = 0.3


class OriginalTask(Task):
    """Trains the baseline by the mean absolute error of a* and b*.

    Parameters
    ----------
    recipe
        How to train.
    """

    recipe: OriginalRecipe
    network: Original

    def __init__(self, recipe: OriginalRecipe) -> None:
        super().__init__(recipe, Original)

    def forward(self, batch: Mapping[str, Tensor], step: int, rows: slice) -> dict[str, Tensor]:
        """Loss of one step; `rows` are this device's of the whole batch."""
        recipe, rng = self.recipe, rng_of(self.recipe.seed, step)
        with torch.no_grad(), torch.autocast(batch["rgb"].device.type, enabled=False):
            codes, light = augment.photographs(
                batch["rgb"],
                recipe.size,
                recipe.zoom,
                0.0,
                recipe.degrade_probability,
                rng,
                recipe.batch,
                rows,
            )
            true = coarse_color(codes)
        return {"loss": F.l1_loss(self.network(light).float() / REACH, true / REACH)}

    @torch.no_grad()
    def validate(self, network: nn.Module, batch: Mapping[str, Tensor], first: int) -> Validation:
        """The same measures as of a generator."""
        light = rgb_to_lab(batch["rgb"])[:, :1]
        return validate_coarse(network(light).float(), batch["rgb"])


def load_original(path: Path) -> Original:
    """The averaged network of a checkpoint, in evaluation mode on the CPU.

    Raises
    ------
    TrainingError
        If the file is no checkpoint of a training of the original recipe.
    """
    network = Original()
    network.load_state_dict(read_checkpoint(path, OriginalRecipe.kind)["average"])
    return network.eval().requires_grad_(False)

"""The generator's task: the distribution of colors that a gray picture may have."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recolor_core.generator import Generator
from recolor_core.lab import lab_to_rgb, rgb_to_lab
from recolor_core.losses import (
    chroma_weight,
    color_cross_entropy,
    rebalancing_weights,
    soft_encode,
)
from recolor_core.metrics import coarse_error, colorfulness, psnr
from recolor_core.refiner import SCALE, upsample
from recolor_core.trainer import augment
from recolor_core.trainer.recipe import GeneratorRecipe
from recolor_core.trainer.task import Task, Validation, rng_of

TEMPERATURE = 0.6
"""Of validation: the one at the default vividness."""

KNEE = 20.0
"""Where the Huber loss of the decoded color turns from quadratic to linear, in Lab units."""


class GeneratorTask(Task):
    """Trains a `Generator` as a classifier of colors (Zhang et al. 2016), on random pixels.

    Parameters
    ----------
    recipe
        How.
    """

    recipe: GeneratorRecipe
    network: Generator

    def __init__(self, recipe: GeneratorRecipe) -> None:
        super().__init__(recipe, lambda: Generator(recipe.network))
        bins = len(self.network.bins)
        # How often each color came so far: what the rebalancing at the end goes by.
        self.register_buffer("frequency", torch.ones(bins))
        self.frequency: Tensor

    def forward(self, batch: Mapping[str, Tensor], step: int, rows: slice) -> dict[str, Tensor]:
        """Loss and its parts of one step; `rows` are this device's of the whole batch."""
        recipe, bins = self.recipe, self.network.bins
        with torch.no_grad(), torch.autocast(batch["rgb"].device.type, enabled=False):
            light, true, pixels = self.sample(batch["rgb"], step, rows)
            index, share = soft_encode(true, bins, recipe.neighbors, recipe.sigma)
            weight = chroma_weight(true, recipe.chroma)
            if step < recipe.rebalance_from * recipe.steps:
                self.frequency.scatter_add_(0, index.flatten(), share.flatten())
            elif recipe.rebalance < 1:
                weight = weight * rebalancing_weights(self.frequency, recipe.rebalance)[index[:, 0]]
        logits = self.network(light).flatten(2).transpose(1, 2)  # (B, h w, Q)
        logits = logits.gather(1, pixels[..., None].expand(-1, -1, logits.shape[-1]))
        with torch.autocast(light.device.type, enabled=False):
            logits = logits.flatten(0, 1).float()
            entropy = (weight * color_cross_entropy(logits, index, share)).mean()
            mean = F.softmax(logits, dim=1) @ bins
            regression = F.huber_loss(mean / KNEE, true / KNEE)
        return {
            "loss": entropy + recipe.regression * regression,
            "cross_entropy": entropy.detach(),
            "regression": regression.detach(),
        }

    def sample(self, rgb: Tensor, step: int, rows: slice) -> tuple[Tensor, Tensor, Tensor]:
        """What the network sees, and the colors it is asked for.

        Returns
        -------
        tuple of Tensor
            Lightness (B, 1, S, S); true a* and b* of the chosen coarse pixels, (B n, 2); their
            numbers, (B, n).
        """
        recipe = self.recipe
        rng, count = rng_of(recipe.seed, step), recipe.batch
        codes = rgb.float() / 255
        codes = augment.crop_and_flip(codes, recipe.size, recipe.zoom, rng, count, rows)
        light = augment.degrade(codes, recipe.degrade, rng, count, rows)
        light = augment.tone_curve(light, rng, count, rows)
        true = F.avg_pool2d(rgb_to_lab(codes)[:, 1:], SCALE).flatten(2).transpose(1, 2)
        chosen = recipe.pixels or true.shape[1]
        # Evenly spread numbers from a random one on: as good as random ones, without a sort.
        start = torch.randint(true.shape[1], (count, 1), generator=rng)[rows]
        stride = _coprime_stride(true.shape[1])
        pixels = (start + stride * torch.arange(chosen)) % true.shape[1]
        pixels = pixels.to(rgb.device)
        picked = true.gather(1, pixels[..., None].expand(-1, -1, 2))
        return light, picked.flatten(0, 1), pixels

    @torch.no_grad()
    def validate(self, network: nn.Module, batch: Mapping[str, Tensor], first: int) -> Validation:
        """Coarse error, and PSNR of its bicubic upsampling."""
        lab = rgb_to_lab(batch["rgb"])
        light, true = lab[:, :1], lab[:, 1:]
        assert isinstance(network, Generator)
        ab = network.mean_color(network(light).float(), TEMPERATURE)
        colored = [
            lab_to_rgb(torch.cat((light, chroma), dim=1)).clamp(0, 1)
            for chroma in (torch.zeros_like(true), upsample(ab, SCALE))
        ]
        rgb = batch["rgb"].float() / 255
        ratio = psnr(colored[1], rgb)
        measures = {
            "coarse_error": coarse_error(ab, F.avg_pool2d(true, SCALE)),
            "psnr": ratio,
            "colorfulness": colorfulness(colored[1]),
            "colorfulness_of_truth": colorfulness(rgb),
            "score": ratio,
        }
        return Validation(measures, torch.stack((*colored, rgb), dim=1))


def _coprime_stride(count: int) -> int:
    """About 0.38 of the count (the golden section), sharing no divisor with it."""
    stride = max(1, round(0.381966 * count))
    while torch.gcd(torch.tensor(stride), torch.tensor(count)) != 1:
        stride += 1
    return stride

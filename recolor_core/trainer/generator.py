"""The generator's task: the distribution of colors that a gray image may have."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recolor_core.lab import lab_to_rgb, rgb_to_lab
from recolor_core.losses import (
    chroma_weight,
    color_cross_entropy,
    rebalancing_weights,
    soft_encode,
)
from recolor_core.metrics import coarse_error, colorfulness, psnr
from recolor_core.models.config import SCALE
from recolor_core.models.encoder import InvertedResidual, SemanticEncoder
from recolor_core.models.generator import Generator
from recolor_core.models.processing import upsample
from recolor_core.trainer import augment
from recolor_core.trainer.pretrained import frozen_generator, read_teacher
from recolor_core.trainer.recipe import GeneratorRecipe
from recolor_core.trainer.task import TEMPERATURE, Task, Validation, rng_of

KNEE = 20.0
"""Where the Huber loss of the decoded color turns from quadratic to linear, in Lab units."""


class GeneratorTask(Task):
    """Trains a `Generator` as a classifier of colors (Zhang et al. 2016), on random pixels.

    With an ensemble, it learns besides what frozen generators predict of the undamaged image
    (distillation, Hinton et al. 2015). With a teacher, its semantic path learns to see in the gray
    image what a frozen network of the same shape sees in the color one.

    Parameters
    ----------
    recipe
        How to train.
    """

    recipe: GeneratorRecipe
    network: Generator

    def __init__(self, recipe: GeneratorRecipe) -> None:
        super().__init__(recipe, lambda: Generator(recipe.network))
        bins = len(self.network.bins)
        # How often each color came so far: what the rebalancing at the end goes by.
        self.register_buffer("frequency", torch.ones(bins))
        self.frequency: Tensor
        # In a tuple, hidden from PyTorch: neither trained nor saved.
        self._teacher = (read_teacher(recipe.teacher),) if recipe.teacher else ()
        names = [name.strip() for name in recipe.ensemble.split(",") if name.strip()]
        self._ensemble = tuple(frozen_generator(name)[0] for name in names)
        self._depth = StochasticDepth(self.network.semantic, recipe.drop_path)

    def forward(self, batch: Mapping[str, Tensor], step: int, rows: slice) -> dict[str, Tensor]:
        """Loss and its parts of one step; `rows` are this device's of the whole batch."""
        recipe, bins = self.recipe, self.network.bins
        rng = rng_of(recipe.seed, step)
        with torch.no_grad(), torch.autocast(batch["rgb"].device.type, enabled=False):
            codes, light = augment.photographs(
                batch["rgb"],
                recipe.size,
                recipe.zoom,
                recipe.mount_probability,
                recipe.degrade_probability,
                rng,
                recipe.batch,
                rows,
            )
            true, pixels = self.choose(coarse_color(codes), rng, rows)
            self._depth.draw(rng, recipe.batch, rows, codes.device)
            index, probability = soft_encode(true, bins, recipe.neighbors, recipe.sigma)
            weight = chroma_weight(true, recipe.chroma)
            if step < recipe.rebalance_from * recipe.steps:
                self.frequency.scatter_add_(0, index.flatten(), probability.flatten())
            elif recipe.rebalance < 1:
                weight = weight * rebalancing_weights(self.frequency, recipe.rebalance)[index[:, 0]]
        features: list[Tensor] = []  # of the semantic path, on their way through the network
        with self.network.semantic.register_forward_hook(
            lambda module, given, found: features.extend(found)
        ):
            logits = self.network(light).flatten(2).transpose(1, 2)  # (B, h w, Q)
        logits = logits.gather(1, pixels[..., None].expand(-1, -1, logits.shape[-1]))
        with torch.autocast(light.device.type, enabled=False):
            logits = logits.flatten(0, 1).float()
            entropy = color_cross_entropy(logits, index, probability)
            if self._ensemble:
                taught_by = self.predicted_by_ensemble(codes, pixels)
                entropy = torch.lerp(
                    entropy, -(taught_by * F.log_softmax(logits, 1)).sum(1), recipe.ensemble_weight
                )
                annealed = F.normalize(taught_by ** (1 / TEMPERATURE), p=1, dim=1)
                true = torch.lerp(true, annealed @ bins, recipe.ensemble_weight)
            entropy = (weight * entropy).mean()
            mean = F.softmax(logits / TEMPERATURE, dim=1) @ bins
            regression = F.huber_loss(mean / KNEE, true / KNEE)
        parts = {
            "loss": entropy + recipe.regression * regression,
            "cross_entropy": entropy.detach(),
            "regression": regression.detach(),
        }
        for teacher in self._teacher:
            share = unexplained(features, taught(teacher, codes))
            parts["loss"] = parts["loss"] + recipe.distill * share
            parts["unexplained"] = share.detach()
        return parts

    @torch.no_grad()
    def predicted_by_ensemble(self, codes: Tensor, pixels: Tensor) -> Tensor:
        """The mean distribution that the ensemble predicts, of two views by each generator.

        Parameters
        ----------
        codes
            sRGB codes in [0, 1], (B, 3, H, W).
        pixels
            Numbers of the coarse pixels that are asked for, (B, n).

        Returns
        -------
        Tensor
            (B n, Q), probabilities.
        """
        lightness = rgb_to_lab(codes)[:, :1]
        total = torch.zeros((), device=codes.device)
        for generator in self._ensemble:
            generator.to(codes.device)
            with torch.autocast(codes.device.type, self.dtype, self.dtype != torch.float32):
                views = generator(lightness), generator(lightness.flip(-1)).flip(-1)
            for logits in views:
                total = total + F.softmax(logits.float(), dim=1)
        mean = (total / (2 * len(self._ensemble))).flatten(2).transpose(1, 2)
        return mean.gather(1, pixels[..., None].expand(-1, -1, mean.shape[-1])).flatten(0, 1)

    @property
    def dtype(self) -> torch.dtype:
        """What the recipe computes convolutions in."""
        return torch.bfloat16 if self.recipe.precision.startswith("bf16") else torch.float32

    def choose(self, ab: Tensor, rng: torch.Generator, rows: slice) -> tuple[Tensor, Tensor]:
        """The pixels that the loss of a step looks at.

        Parameters
        ----------
        ab
            Coarse a* and b*, (B, 2, h, w).

        Returns
        -------
        tuple of Tensor
            Colors of the n chosen pixels of each image, (B n, 2); their numbers, (B, n).
        """
        colors = ab.flatten(2).transpose(1, 2)
        there = colors.shape[1]
        # Evenly spread numbers from a random one on: as good as random ones, without a sort.
        start = torch.randint(there, (self.recipe.batch, 1), generator=rng)[rows]
        chosen = torch.arange(min(self.recipe.pixels or there, there))
        pixels = ((start + _coprime_stride(there) * chosen) % there).to(ab.device)
        return colors.gather(1, pixels[..., None].expand(-1, -1, 2)).flatten(0, 1), pixels

    @torch.no_grad()
    def validate(self, network: nn.Module, batch: Mapping[str, Tensor], first: int) -> Validation:
        """Coarse error, and PSNR of its bicubic upsampling."""
        assert isinstance(network, Generator)
        light = rgb_to_lab(batch["rgb"])[:, :1]
        return validate_coarse(
            network.mean_color(network(light).float(), TEMPERATURE), batch["rgb"]
        )


def coarse_color(codes: Tensor) -> Tensor:
    """True a* and b* of sRGB codes (B, 3, H, W), at a quarter of the size: (B, 2, h, w)."""
    return F.avg_pool2d(rgb_to_lab(codes)[:, 1:], SCALE)


def validate_coarse(ab: Tensor, rgb: Tensor) -> Validation:
    """What coarse colors are worth, by themselves and upsampled.

    Parameters
    ----------
    ab
        Predicted a* and b*, (B, 2, H / 4, W / 4), Lab units.
    rgb
        True sRGB codes, (B, 3, H, W) uint8.
    """
    lab, true = rgb_to_lab(rgb), rgb.float() / 255
    gray, colored = (
        lab_to_rgb(torch.cat((lab[:, :1], chroma), dim=1)).clamp(0, 1)
        for chroma in (torch.zeros_like(lab[:, 1:]), upsample(ab, SCALE))
    )
    ratio = psnr(colored, true)
    measures = {
        "coarse_error": coarse_error(ab, coarse_color(rgb)),
        "psnr": ratio,
        "colorfulness": colorfulness(colored),
        "colorfulness_of_truth": colorfulness(true),
        "score": ratio,
    }
    return Validation(measures, torch.stack((gray, colored, true), dim=1))


@torch.no_grad()
def taught(teacher: SemanticEncoder, codes: Tensor) -> list[Tensor]:
    """What a teacher sees in color images: its features at 1/16 and 1/32 of the size.

    Parameters
    ----------
    teacher
        Moved to where the images are.
    codes
        sRGB codes in [0, 1], (B, 3, H, W). EfficientNet-lite takes (255 codes - 127) / 128.
    """
    found: list[Tensor] = teacher.to(codes.device)((255 * codes - 127) / 128)
    return found


def unexplained(features: Sequence[Tensor], of_teacher: Sequence[Tensor]) -> Tensor:
    """Share of the variance of a teacher's features that another network's leave unexplained.

    Mean squared error over the variance within the batch: 0 is agreement, 1 no better than the mean
    of each channel, above 1 worse.

    Parameters
    ----------
    features, of_teacher
        (B, C, h, w) of each level, of which each counts the same.
    """
    shares = [
        F.mse_loss(one.float(), other.float())
        / other.float().var(dim=(0, 2, 3), correction=0).mean().clamp(min=1e-6)
        for one, other in zip(features, of_teacher, strict=True)
    ]
    return torch.stack(shares).mean()


class StochasticDepth:
    """Lets images skip residual blocks of an encoder at random (Huang et al. 2016).

    The probability grows linearly with depth up to the given one, as the paper recommends.

    Parameters
    ----------
    encoder
        Gets hooks; what it computes in evaluation mode stays the same.
    probability
        Probability with which an image skips the last block, in [0, 1).
    """

    def __init__(self, encoder: SemanticEncoder, probability: float) -> None:
        blocks = [m for m in encoder.modules() if isinstance(m, InvertedResidual) and m.skip]
        self.keep = 1 - probability * torch.arange(1.0, len(blocks) + 1) / len(blocks)
        self.weights = torch.empty(0)
        for number, block in enumerate(blocks):
            block.register_forward_hook(partial(self._skip, number))

    def draw(self, rng: torch.Generator, count: int, rows: slice, device: torch.device) -> None:
        """Draw which of the `rows` of a batch of `count` images skip which blocks."""
        drawn = torch.rand(len(self.keep), count, generator=rng)[:, rows]
        keep = self.keep[:, None]
        self.weights = ((drawn < keep) / keep).to(device)[..., None, None, None]

    def _skip(
        self, number: int, block: nn.Module, given: tuple[Tensor], out: Tensor
    ) -> Tensor | None:
        if not block.training:
            return None
        return given[0] + (out - given[0]) * self.weights[number].to(out.dtype)


def _coprime_stride(count: int) -> int:
    """About 0.38 of the count (the golden section), sharing no divisor with it."""
    stride = max(1, round(0.381966 * count))
    while math.gcd(stride, count) != 1:
        stride += 1
    return stride

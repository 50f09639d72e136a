"""The interface between the training loop and a network's task."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recolor_core.trainer.recipe import Recipe

TEMPERATURE = 0.6
"""Of the colors that are validated and refined: the one at vividness 0.5."""


@dataclass(frozen=True)
class Validation:
    """What was measured of some images.

    Parameters
    ----------
    measures
        (B,) each; NaN where an image has no value. ``"score"`` chooses the best weights.
    images
        (B, n, 3, H, W) in [0, 1]: each image n times, from gray to truth.
    """

    measures: Mapping[str, Tensor]
    images: Tensor


class Task(nn.Module, ABC):
    """A network, what it is trained on, and how it is measured.

    The forward pass gives the loss, so that Lightning's strategies can wrap it as one module.

    Parameters
    ----------
    recipe
        How to train.
    network
        Makes the network, its fresh weights by the recipe's seed.
    """

    recipe: Recipe
    network: nn.Module

    def __init__(self, recipe: Recipe, network: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.recipe = recipe
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(recipe.seed)  # fresh weights are part of the recipe
            self.network = network()

    @abstractmethod
    def forward(self, batch: Mapping[str, Tensor], step: int, rows: slice) -> dict[str, Tensor]:
        """``"loss"`` and whatever else is worth logging, scalars."""

    @abstractmethod
    def validate(self, network: nn.Module, batch: Mapping[str, Tensor], first: int) -> Validation:
        """Measure a network (the averaged one) on a batch whose first image has this number."""


def rng_of(*numbers: int) -> torch.Generator:
    """A generator on the CPU that depends on all the numbers and on nothing else."""
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + number + 1) % 2**62
    return torch.Generator().manual_seed(seed)

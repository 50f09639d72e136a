"""Exponential moving average of weights."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


class MovingAverage:
    """Averages a network's weights over the steps, without ever waiting for the device.

    The decay is ramped, ``min(decay, (1 + n) / (10 + n))`` at step n, so that the beginning of a
    short run does not weigh in. Buffers (of batch normalization) are copied.

    Parameters
    ----------
    network
        Whose copy, `network`, is the average.
    decay
        Final decay.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after a step."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averages: list[Tensor] = list(self.network.parameters())
        values: list[Tensor] = list(network.parameters())
        torch._foreach_lerp_(averages, values, 1 - decay)
        for average, value in zip(self.network.buffers(), network.buffers(), strict=True):
            average.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """Of the averaged network."""
        return self.network.state_dict()

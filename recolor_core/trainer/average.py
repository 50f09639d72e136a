"""The exponential moving average of a network's weights."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """Start the exponential moving average of a network's weights.

    The decay is ramped: it is ``min(decay, (1 + n) / (10 + n))`` at step n, so that the fresh
    weights of the beginning do not weigh on a short run. Buffers (of batch normalization) are
    copied.

    Parameters
    ----------
    network : nn.Module
        The network that is trained; the average starts as a copy of it.
    decay : float
        The final decay, in [0, 1).

    Returns
    -------
    AveragedModel
        `module` is the averaged network, in evaluation mode; call `update_parameters` after each
        step.
    """

    @torch.no_grad()
    def update(averages: Sequence[Tensor], values: Sequence[Tensor], count: Tensor | int) -> None:
        # `count` is a tensor on the device: computing with it does not wait for the device.
        ramped = torch.as_tensor(count, dtype=torch.float32)
        weight = 1 - (ramped / (9 + ramped)).clamp(max=decay)
        torch._foreach_lerp_(list(averages), list(values), [weight] * len(averages))

    average = AveragedModel(network, multi_avg_fn=update)
    average.n_averaged.fill_(1)  # at 0 the first update would copy the network's weights
    average.module.eval().requires_grad_(False)
    return average

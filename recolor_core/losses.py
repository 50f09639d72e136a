"""What the trainers minimize."""

import torch
from torch import Tensor
from torch.nn import functional as F


def charbonnier(error: Tensor, knee: float) -> Tensor:
    """``sqrt(e^2 + knee^2) - knee``: quadratic near 0, linear far away (Charbonnier et al. 1994).

    Parameters
    ----------
    error
        Any shape, Lab units.
    knee
        Where it turns from quadratic to linear, in Lab units.
    """
    return (error.square() + knee * knee).sqrt() - knee


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean over images of each one's weighted mean, whatever the others weigh.

    Parameters
    ----------
    values
        (B, C, H, W).
    weights
        Broadcast to the shape of `values`.
    """
    weights = weights.expand_as(values)
    shares = (values * weights).sum(dim=(1, 2, 3)) / weights.sum(dim=(1, 2, 3))
    mean: Tensor = shares.mean()
    return mean


def soft_encode(
    ab: Tensor, bins: Tensor, neighbors: int = 5, sigma: float = 5.0
) -> tuple[Tensor, Tensor]:
    """Colors as shares of their nearest bins (Zhang et al. 2016, section 2.2).

    Parameters
    ----------
    ab
        (N, 2), Lab units.
    bins
        (Q, 2): the centers, Lab units.
    neighbors
        Number of bins that share a color.
    sigma
        Of the Gaussian over their distance, Lab units.

    Returns
    -------
    tuple of Tensor
        Indices (N, neighbors) of the bins and their shares, which sum to 1.
    """
    distance, index = torch.cdist(ab, bins).topk(neighbors, largest=False)
    return index, F.softmax(-distance.square() / (2 * sigma * sigma), dim=1)


def color_cross_entropy(logits: Tensor, index: Tensor, share: Tensor) -> Tensor:
    """Cross entropy of predicted and softly encoded colors.

    Parameters
    ----------
    logits
        (N, Q).
    index, share
        As in `soft_encode`.

    Returns
    -------
    Tensor
        (N,)
    """
    picked = F.log_softmax(logits, dim=1).gather(1, index)
    return -(picked * share).sum(1)


def chroma_weight(ab: Tensor, per_unit: float) -> Tensor:
    """``1 + per_unit * chroma``: colors count more than the gray that most of an image is.

    Parameters
    ----------
    ab
        (N, 2), Lab units.
    per_unit
        Per Lab unit of chroma.

    Returns
    -------
    Tensor
        (N,)
    """
    weight: Tensor = 1 + per_unit * ab.norm(dim=1)
    return weight


def rebalancing_weights(frequency: Tensor, uniform: float) -> Tensor:
    """Weights of the bins that make rare colors count (Zhang et al. 2016, equation 4).

    Parameters
    ----------
    frequency
        (Q,): how often each bin occurs, any positive scale.
    uniform
        Share in [0, 1] of the uniform distribution mixed in; 1 gives equal weights.

    Returns
    -------
    Tensor
        (Q,); their mean over the distribution is 1.
    """
    frequency = frequency / frequency.sum()
    weights = 1 / ((1 - uniform) * frequency + uniform / len(frequency)).clamp(min=1e-12)
    normalized: Tensor = weights / (frequency * weights).sum()
    return normalized

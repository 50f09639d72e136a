"""Loss functions of the trainers."""

import torch
from torch import Tensor
from torch.nn import functional as F


def charbonnier(error: Tensor, knee: float) -> Tensor:
    """Compute ``sqrt(e^2 + knee^2) - knee`` (Charbonnier et al. 1994).

    The function is quadratic near 0 and linear far from it.

    Parameters
    ----------
    error : Tensor
        Errors in Lab units, of any shape.
    knee : float
        The error at which the function changes from quadratic to linear, in Lab units.

    Returns
    -------
    Tensor
        The shape of `error`, Lab units, at least 0.
    """
    return (error.square() + knee * knee).sqrt() - knee


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Compute the weighted mean of each image, and average these means over the images.

    Each image counts the same, even if the sums of the weights differ.

    Parameters
    ----------
    values : Tensor
        (B, C, H, W).
    weights : Tensor
        Weights that can be expanded to the shape of `values`.

    Returns
    -------
    Tensor
        Scalar.
    """
    weights = weights.expand_as(values)
    means = (values * weights).sum(dim=(1, 2, 3)) / weights.sum(dim=(1, 2, 3))
    mean: Tensor = means.mean()
    return mean


def soft_encode(
    ab: Tensor, bins: Tensor, neighbors: int = 5, sigma: float = 5.0
) -> tuple[Tensor, Tensor]:
    """Encode colors as probabilities of their nearest bins (Zhang et al. 2016, section 2.2).

    Parameters
    ----------
    ab : Tensor
        (N, 2): a* and b* in Lab units.
    bins : Tensor
        (Q, 2): the centers of the bins, in Lab units.
    neighbors : int
        Number of bins among which a color is divided.
    sigma : float
        Standard deviation of the Gaussian that weights the bins by distance, in Lab units.

    Returns
    -------
    index : Tensor
        (N, neighbors) int64: the bins of each color.
    probability : Tensor
        (N, neighbors): their probabilities; the sum of each row is 1.
    """
    distance, index = torch.cdist(ab, bins).topk(neighbors, largest=False)
    return index, F.softmax(-distance.square() / (2 * sigma * sigma), dim=1)


def color_cross_entropy(logits: Tensor, index: Tensor, probability: Tensor) -> Tensor:
    """Compute the cross entropy between predicted colors and colors from `soft_encode`.

    Parameters
    ----------
    logits : Tensor
        (N, Q): predicted logits of the bins.
    index, probability : Tensor
        (N, neighbors), as `soft_encode` returns them.

    Returns
    -------
    Tensor
        (N,), in nats, at least 0.
    """
    picked = F.log_softmax(logits, dim=1).gather(1, index)
    return -(picked * probability).sum(1)


def chroma_weight(ab: Tensor, per_unit: float) -> Tensor:
    """Compute the weights ``1 + per_unit * chroma`` of pixels.

    Colorful pixels get more weight because most pixels of a photograph are nearly gray.

    Parameters
    ----------
    ab : Tensor
        (N, 2): a* and b* in Lab units.
    per_unit : float
        Weight for each Lab unit of chroma.

    Returns
    -------
    Tensor
        (N,), at least 1 if `per_unit` is not negative.
    """
    weight: Tensor = 1 + per_unit * ab.norm(dim=1)
    return weight


def rebalancing_weights(frequency: Tensor, uniform: float) -> Tensor:
    """Compute weights of the bins that emphasize rare colors (Zhang et al. 2016, equation 4).

    Parameters
    ----------
    frequency : Tensor
        (Q,): how often each bin occurs, on any positive scale.
    uniform : float
        Fraction of the uniform distribution in the mixture, in [0, 1]; 1 gives equal weights.

    Returns
    -------
    Tensor
        (Q,). The mean of the weights over the distribution `frequency` is 1.
    """
    frequency = frequency / frequency.sum()
    weights = 1 / ((1 - uniform) * frequency + uniform / len(frequency)).clamp(min=1e-12)
    normalized: Tensor = weights / (frequency * weights).sum()
    return normalized

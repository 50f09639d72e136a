import pytest
import torch

from recolor_core.losses import (
    charbonnier,
    chroma_weight,
    color_cross_entropy,
    rebalancing_weights,
    soft_encode,
    weighted_mean,
)
from recolor_core.models.bins import color_bins

BINS = torch.from_numpy(color_bins(10))


def test_charbonnier_is_quadratic_near_zero_and_linear_far_away():
    small, far = torch.tensor([0.01, 0.02]), torch.tensor([1e4, 2e4])
    assert charbonnier(small, 10.0) == pytest.approx(small.square() / 20, rel=0.2)
    assert charbonnier(far, 10.0) == pytest.approx(far - 10, rel=1e-4)
    assert charbonnier(torch.zeros(3), 10.0).tolist() == [0, 0, 0]


def test_charbonnier_has_a_gradient_at_zero():
    error = torch.zeros(2, requires_grad=True)
    charbonnier(error, 1.0).sum().backward()
    assert error.grad is not None
    assert error.grad.tolist() == [0, 0]


def test_a_weighted_mean_counts_what_weighs():
    values = torch.tensor([[[[1.0, 5.0]], [[3.0, 7.0]]]])
    weights = torch.tensor([[[[1.0, 0.0]]]])
    assert weighted_mean(values, weights) == 2
    assert weighted_mean(values, torch.ones(1)) == values.mean()
    both = weighted_mean(torch.cat((values, 2 * values)), torch.cat((weights, 9 * weights)))
    assert both == (2 + 4) / 2  # every image counts the same


def test_soft_encoding_shares_a_color_among_its_nearest_bins():
    ab = torch.tensor([[3.0, -4.0], [41.0, 38.0]])
    index, probability = soft_encode(ab, BINS, 5, 5.0)
    assert index.shape == probability.shape == (2, 5)
    assert probability.sum(1) == pytest.approx(torch.ones(2))
    nearest = torch.cdist(ab, BINS).argsort(1)[:, :5]
    assert index.sort(1).values.equal(nearest.sort(1).values)
    decoded = (probability[..., None] * BINS[index]).sum(1)
    assert (decoded - ab).norm(dim=1).max() < 3
    # the nearest bin of a color that is a bin has the most of it
    index, probability = soft_encode(BINS[100:101], BINS)
    assert index[0, probability.argmax()] == 100


def test_cross_entropy_is_least_for_the_encoded_distribution():
    index, probability = soft_encode(torch.tensor([[12.0, 31.0]]), BINS)
    right = torch.full((1, len(BINS)), -30.0).scatter(1, index, probability.log())
    entropy = -(probability * probability.log()).sum()
    assert color_cross_entropy(right, index, probability)[0] == pytest.approx(
        float(entropy), abs=1e-4
    )
    assert color_cross_entropy(torch.zeros_like(right), index, probability)[0] > entropy
    assert color_cross_entropy(right.roll(7, 1), index, probability)[0] > 10


def test_chroma_weighs():
    assert chroma_weight(torch.tensor([[0.0, 0.0], [30.0, 40.0]]), 0.1).tolist() == [1, 6]


def test_rebalancing_lifts_rare_colors_and_keeps_the_mean():
    frequency = torch.tensor([90.0, 9.0, 1.0, 0.0])
    weights = rebalancing_weights(frequency, 0.5)
    assert weights.diff().min() > 0
    assert (frequency / frequency.sum() * weights).sum() == pytest.approx(1)
    assert rebalancing_weights(frequency, 1.0) == pytest.approx(torch.ones(4))
    assert torch.isfinite(rebalancing_weights(frequency, 0.0)).all()

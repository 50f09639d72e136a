"""The encoders: shapes, names of published weights, folding."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from recolor_core.models.encoder import (
    LowLevelEncoder,
    SameConv2d,
    SemanticEncoder,
    conv_norm_relu,
    fold_batch_norm,
)
from recolor_core.models.processing import network_lightness


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def scramble_norms(network):
    """Statistics as after training; fresh ones would let folding do nothing."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network.eval()


def test_lightness_fills_the_range_of_the_networks():
    assert network_lightness(torch.tensor([0.0, 50, 100])).tolist() == [-1, 0, 1]


@pytest.mark.parametrize("depth", [1, 2])
@torch.inference_mode()
def test_low_level_encodings_are_a_half_a_quarter_and_an_eighth(depth):
    encodings = LowLevelEncoder(depth).eval()(torch.zeros(2, 1, 64, 96))
    expected = [(2, 64, 32, 48), (2, 256, 16, 24), (2, 512, 8, 12)][: depth + 1]
    assert [tuple(e.shape) for e in encodings] == expected


@torch.inference_mode()
def test_semantic_features_are_a_sixteenth_and_a_thirty_second():
    features = SemanticEncoder().eval()(torch.zeros(2, 1, 64, 96))
    assert [tuple(f.shape) for f in features] == [(2, 120, 4, 6), (2, 352, 2, 3)]


def test_names_and_sizes_are_those_of_published_weights():
    # timm's tf_efficientnet_lite2: 6,092,072 with its head of 352 x 1280 (and its norm) and a
    # classifier of 1000 classes.
    semantic = SemanticEncoder()
    assert parameters(semantic) == 6_092_072 - 352 * 1280 - 2 * 1280 - 1280 * 1000 - 1000
    assert semantic.state_dict()["blocks.6.0.conv_pwl.weight"].shape == (352, 1248, 1, 1)
    assert semantic.state_dict()["blocks.0.0.conv_dw.weight"].shape == (32, 1, 3, 3)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 2])
@torch.inference_mode()
def test_the_low_level_path_is_the_beginning_of_torchvisions_resnet_101_to_the_bit(depth):
    import torchvision  # seconds

    torch.manual_seed(0)
    published = scramble_norms(torchvision.models.resnet101())
    low = LowLevelEncoder(depth).eval()
    state = {
        name: tensor
        for name, tensor in published.state_dict().items()
        if name.partition(".")[0] in ("conv1", "bn1", "layer1", "layer2")[: 2 + depth]
    }
    state["conv1.weight"] = state["conv1.weight"].sum(1, keepdim=True)  # of gray, R = G = B
    low.load_state_dict(state)  # every name and shape
    published.conv1 = low.conv1  # the sum rounds; from there on, to the bit
    x = torch.rand(2, 1, 61, 96) * 2 - 1
    half = published.relu(published.bn1(published.conv1(x)))
    quarter = published.layer1(published.maxpool(half))
    expected = [half, quarter, published.layer2(quarter)]
    for ours, theirs in zip(low(x), expected, strict=False):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 14, 15])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_same_padding_is_that_of_tensorflow(size, kernel, stride):
    convolution = SameConv2d(1, 1, kernel, stride, bias=False).double()
    x = torch.randn(1, 1, size, 9, dtype=torch.float64)
    y = convolution(x)
    assert y.shape[-2:] == (-(-size // stride), -(-9 // stride))
    # By definition output i sees input from i * stride - (total padding) // 2 on.
    total = max((y.shape[-2] - 1) * stride + kernel - size, 0)
    beside = max((y.shape[-1] - 1) * stride + kernel - 9, 0)
    padded = F.pad(x, (kernel,) * 4)
    for i, j in [(0, 0), (y.shape[-2] - 1, y.shape[-1] - 1)]:
        top = i * stride - total // 2 + kernel
        left = j * stride - beside // 2 + kernel
        seen = padded[0, 0, top : top + kernel, left : left + kernel]
        torch.testing.assert_close(y[0, 0, i, j], (seen * convolution.weight[0, 0]).sum())


@pytest.mark.slow
@pytest.mark.parametrize(
    "network",
    [lambda: conv_norm_relu(1, 8, 3), lambda: LowLevelEncoder(2), SemanticEncoder],
    ids=["conv", "low level", "semantic"],
)
@torch.inference_mode()
def test_folding_batch_norm_keeps_the_function(network):
    torch.manual_seed(0)
    # In double precision nothing but the algebra can differ.
    network = scramble_norms(network()).double()
    x = torch.rand(1, 1, 64, 64, dtype=torch.float64) * 2 - 1
    before = network(x)
    folded = fold_batch_norm(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    torch.testing.assert_close(folded(x), before, rtol=1e-6, atol=1e-9)

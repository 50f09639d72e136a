"""The encoders: where the edges of a gray image are, and what it shows.

`LowLevelEncoder` is the beginning of ResNet-101 (He et al. 2016), `SemanticEncoder` is
EfficientNet-lite2 (Tan and Le 2019). Their members have the names that torchvision and timm
(`tf_efficientnet_lite2`) give them, so that published ImageNet weights load by name.

The block of ResNet-101 is written out here, and a test compares it with torchvision's to the bit.
Importing torchvision would add 2.0 s of CPU time to the 3.3 s that the command takes for a small
image, because it imports PyTorch's compiler.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


def conv_norm_relu(inputs: int, outputs: int, kernel: int = 1) -> nn.Sequential:
    """A convolution that keeps the size, then batch normalization, then ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Bottleneck(nn.Module):
    """The bottleneck block of ResNet, with batch normalization before each ReLU."""

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        return F.relu(self.bn3(self.conv3(y)).add_(self.downsample(x)), inplace=True)


class LowLevelEncoder(nn.Module):
    """ResNet-101 from conv1 up to `layer1` (depth 1) or `layer2` (depth 2), for one channel.

    It takes L (B, 1, H, W) in [-1, 1] and returns the encodings at 1/2 (64 channels), 1/4 (256)
    and, at depth 2, 1/8 (512) of the size.

    Parameters
    ----------
    depth : int
        1 or 2.
    """

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(Bottleneck(64, 64), Bottleneck(256, 64), Bottleneck(256, 64))
        self.layer2: nn.Module | None = None
        if depth == 2:
            blocks = [Bottleneck(256, 128, stride=2), *(Bottleneck(512, 128) for _ in range(3))]
            self.layer2 = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        half = F.relu(self.bn1(self.conv1(x)), inplace=True)
        encodings = [half, self.layer1(F.max_pool2d(half, 3, stride=2, padding=1))]
        if self.layer2 is not None:
            encodings.append(self.layer2(encodings[-1]))
        return encodings


class SameConv2d(nn.Conv2d):
    """A convolution padded like TensorFlow's: at stride 2 the odd pixel is at the far side."""

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        # Whole numbers, so that an exported network has constant padding, which ONNX Runtime makes
        # a part of the convolution. It is the same for all multiples of the stride.
        sizes = [int(size) for size in x.shape[:1:-1]]
        for size, kernel, stride in zip(sizes, self.kernel_size, self.stride, strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        if pads[0] == pads[1] and pads[2] == pads[3]:
            return F.conv2d(
                x, self.weight, self.bias, self.stride, (pads[2], pads[0]), groups=self.groups
            )
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, groups=self.groups)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)  # TensorFlow's epsilon, which the weights expect


class DepthwiseSeparable(nn.Module):
    """The first block of EfficientNet-lite: a depthwise, then a pointwise convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_dw = SameConv2d(inputs, inputs, 3, groups=inputs, bias=False)
        self.bn1 = _norm(inputs)
        self.conv_pw = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn2(self.conv_pw(F.relu6(self.bn1(self.conv_dw(x)), inplace=True)))
        return y


class InvertedResidual(nn.Module):
    """The block of EfficientNet-lite: expand by 6, convolve depthwise, project."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        width = 6 * inputs
        self.conv_pw = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = _norm(width)
        self.conv_dw = SameConv2d(width, width, kernel, stride, groups=width, bias=False)
        self.bn2 = _norm(width)
        self.conv_pwl = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = _norm(outputs)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = F.relu6(self.bn1(self.conv_pw(x)), inplace=True)
        y = F.relu6(self.bn2(self.conv_dw(y)), inplace=True)
        y = self.bn3(self.conv_pwl(y))
        return y.add_(x) if self.skip else y


class SemanticEncoder(nn.Module):
    """EfficientNet-lite2 without its classifier; all three input channels are the gray image.

    It takes L (B, 1, H, W) in [-1, 1] and returns the features at 1/16 (120 channels) and 1/32
    (352) of the size.
    """

    # (kernel, stride, channels, repeats) of each stage after the first
    STAGES = (
        (3, 2, 24, 3),
        (5, 2, 48, 3),
        (3, 2, 88, 4),
        (5, 1, 120, 4),
        (5, 2, 208, 5),
        (3, 1, 352, 1),
    )

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = SameConv2d(3, 32, 3, stride=2, bias=False)
        self.bn1 = _norm(32)
        stages: list[nn.Module] = [nn.Sequential(DepthwiseSeparable(32, 16))]
        inputs = 16
        for kernel, stride, channels, repeats in self.STAGES:
            blocks = [InvertedResidual(inputs, channels, kernel, stride)]
            blocks += [InvertedResidual(channels, channels, kernel, 1) for _ in range(repeats - 1)]
            stages.append(nn.Sequential(*blocks))
            inputs = channels
        self.blocks = nn.Sequential(*stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = F.relu6(self.bn1(self.conv_stem(x.expand(-1, 3, -1, -1))), inplace=True)
        sixteenth = self.blocks[:5](x)
        return [sixteenth, self.blocks[5:](sixteenth)]


@torch.no_grad()
def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Merge every batch normalization into the convolution defined just before it, in place.

    The network computes the same function up to rounding, with a tenth less work. It can no longer
    be trained.
    """
    for parent in network.modules():
        before: tuple[str, nn.Module] | None = None
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and before and isinstance(before[1], nn.Conv2d):
                setattr(parent, before[0], fuse_conv_bn_eval(before[1], child))
                setattr(parent, name, nn.Identity())
            before = (name, child)
    return network

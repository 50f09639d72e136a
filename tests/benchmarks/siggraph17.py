"""A network of the published shape of SIGGRAPH17, for the comparison of cost alone.

Zhang et al., "Real-Time User-Guided Image Colorization with Learned Deep Priors" (2017), figure 3
and table 4: VGG-style blocks down to 1/8 with dilation, then up to the full size with skip
connections; 34 million parameters. The weights are random.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _block(channels: list[int], dilation: int = 1) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(channels):
        layers.append(nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers, nn.BatchNorm2d(channels[-1]))


class Siggraph17Shape(nn.Module):
    """L, hinted ab and mask (B, 4, H, W) -> ab (B, 2, H, W); sizes are multiples of 8."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _block([4, 64, 64])
        self.conv2 = _block([64, 128, 128])
        self.conv3 = _block([128, 256, 256, 256])
        self.conv4 = _block([256, 512, 512, 512])
        self.conv5 = _block([512, 512, 512, 512], dilation=2)
        self.conv6 = _block([512, 512, 512, 512], dilation=2)
        self.conv7 = _block([512, 512, 512, 512])
        self.up8 = nn.ConvTranspose2d(512, 256, 4, stride=2, padding=1)
        self.skip3 = nn.Conv2d(256, 256, 3, padding=1)
        self.conv8 = _block([256, 256, 256])
        self.up9 = nn.ConvTranspose2d(256, 128, 4, stride=2, padding=1)
        self.skip2 = nn.Conv2d(128, 128, 3, padding=1)
        self.conv9 = _block([128, 128])
        self.up10 = nn.ConvTranspose2d(128, 128, 4, stride=2, padding=1)
        self.skip1 = nn.Conv2d(64, 128, 3, padding=1)
        self.conv10 = nn.Sequential(nn.Conv2d(128, 128, 3, padding=1), nn.LeakyReLU(0.2))
        self.out = nn.Conv2d(128, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv1(x)
        second = self.conv2(first[..., ::2, ::2])
        third = self.conv3(second[..., ::2, ::2])
        x = self.conv7(self.conv6(self.conv5(self.conv4(third[..., ::2, ::2]))))
        x = self.conv8(F.relu(self.up8(x) + self.skip3(third)))
        x = self.conv9(F.relu(self.up9(x) + self.skip2(second)))
        x = self.conv10(F.relu(self.up10(x) + self.skip1(first)))
        return torch.tanh(self.out(x))

"""The color memory: keeps the coarse ab steady over the frames of a stack or film."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recolor_core.lab import AB_LIMIT
from recolor_core.models.config import SCALE, MemoryConfig
from recolor_core.models.processing import network_lightness
from recolor_core.motion import Motion, follow_frame, inside, mismatch, warp

MAX_CARRIED = 0.95
"""Largest part of the color that may come from the previous frame, so that errors fade."""


@dataclass(frozen=True)
class MemoryState:
    """What the color memory keeps of the frames so far. Its size does not grow.

    Parameters
    ----------
    lightness : Tensor
        (B, 1, 2 h, 2 w): L* of the last frame.
    ab : Tensor
        (B, 2, h, w): its steady coarse ab, in Lab units.
    hidden : tuple of Tensor
        (B, width, h, w) each: the state of the two recurrent layers.
    first : Tensor
        (B,) bool: whether the last frame is the first one of its shot.
    """

    lightness: Tensor
    ab: Tensor
    hidden: tuple[Tensor, Tensor]
    first: Tensor

    def to(self, device: torch.device | str) -> "MemoryState":
        """Move it to another device."""
        one, two = (hidden.to(device) for hidden in self.hidden)
        return MemoryState(
            self.lightness.to(device), self.ab.to(device), (one, two), self.first.to(device)
        )


class ColorMemory(nn.Module):
    """Keeps coarse ab steady over time.

    For each frame, the encodings of lightness and coarse ab pass through two convolutional GRU
    layers (Cho et al. 2014; Ballas et al. 2016) with residual connections, on the coarse grid. The
    steady ab and the state of the previous frame are first moved along by the motion of the
    lightness. The layers decide at each place how much of the previous color to keep and what to
    add. The last convolution starts at zero, so that an untrained memory changes no bit of any
    frame. No memory changes the first frame of a shot.

    Parameters
    ----------
    config : MemoryConfig, optional
        Its shape.
    """

    def __init__(self, config: MemoryConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MemoryConfig()
        width = config.width
        self.encode_lightness = nn.Sequential(
            nn.Conv2d(1, width, 8, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.encode_color = nn.Conv2d(7, width, 3, padding=1)
        self.layers = nn.ModuleList(ConvGRU(width) for _ in range(2))
        self.out = nn.Conv2d(width, 3, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        assert self.out.bias is not None
        nn.init.zeros_(self.out.bias)

    def forward(
        self,
        lightness: Tensor,
        ab: Tensor,
        state: MemoryState | None = None,
        motion: Motion | None = None,
    ) -> MemoryState:
        """Take in a frame; the `ab` of the new state is its steady coarse ab.

        Parameters
        ----------
        lightness : Tensor
            (B, 1, H, W): L* in [0, 100].
        ab : Tensor
            (B, 2, h, w): coarse a* and b* of this frame, in Lab units.
        state : MemoryState or None
            State after the previous frame. It is forgotten for each image of the batch that begins
            a new shot.
        motion : Motion or None
            Motion from the previous frame to this one, if it is known already: `follow_frame` of
            their `motion_lightness`.

        Returns
        -------
        MemoryState
        """
        grid = (ab.shape[-2], ab.shape[-1])
        light = motion_lightness(lightness, grid)
        if state is None:
            memories = [ab.new_zeros(len(ab), self.config.width, *grid)] * 2
            moved, known = ab, ab.new_zeros(len(ab), 1, *grid)
            apart, first = torch.zeros_like(known), known.new_ones(len(ab), dtype=torch.bool)
        else:
            motion = motion or follow_frame(state.lightness, light)
            first = motion.cut
            flow = F.avg_pool2d(motion.flow, 2) / 2
            known = inside(flow) * (~first).to(ab.dtype)[:, None, None, None]
            apart = F.avg_pool2d(mismatch(motion.aligned, light), 2) * known
            memories = [warp(hidden, flow) * known for hidden in state.hidden]
            moved = torch.where(known > 0, warp(state.ab, flow), ab)
        color = torch.cat((ab, moved - ab), dim=1) / (AB_LIMIT / 4)
        apart = torch.cat((apart / 5, (moved - ab).norm(dim=1, keepdim=True) / 10, known), dim=1)
        x = F.relu(
            self._encoded(lightness, grid) + self.encode_color(torch.cat((color, apart), dim=1))
        )
        hidden = []
        for layer, memory in zip(self.layers, memories, strict=True):
            memory = layer(x, memory)
            x = x + memory
            hidden.append(memory)
        kept, added = self.out(x).split((1, 2), dim=1)
        kept = kept.clamp(0, MAX_CARRIED)
        steady = ab + kept * (moved - ab) + added * known
        return MemoryState(light, steady, (hidden[0], hidden[1]), first)

    def _encoded(self, lightness: Tensor, grid: tuple[int, int]) -> Tensor:
        bottom = SCALE * grid[0] - lightness.shape[-2]
        right = SCALE * grid[1] - lightness.shape[-1]
        padded = F.pad(lightness, (0, right, 0, bottom), mode="replicate")
        encoded: Tensor = self.encode_lightness(network_lightness(padded))
        return encoded


def motion_lightness(lightness: Tensor, grid: tuple[int, int]) -> Tensor:
    """Lightness at the size at which motion is estimated: twice that of the coarse ab.

    Parameters
    ----------
    lightness : Tensor
        (B, 1, H, W): L* in [0, 100].
    grid : tuple of int
        Height and width (h, w) of the coarse ab.

    Returns
    -------
    Tensor
        (B, 1, 2 h, 2 w)
    """
    return F.adaptive_avg_pool2d(lightness, (2 * grid[0], 2 * grid[1]))


class ConvGRU(nn.Module):
    """A gated recurrent unit with convolutions of 3 x 3 (Ballas et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.candidate = nn.Conv2d(2 * width, width, 3, padding=1)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        gates = torch.sigmoid(self.gates(torch.cat((x, hidden), dim=1)))
        update, reset = gates.chunk(2, dim=1)
        new = torch.tanh(self.candidate(torch.cat((x, reset * hidden), dim=1)))
        return torch.lerp(hidden, new, update)

"""Running the networks: on a device, in tiles, with less at a time if a GPU's memory is full."""

import warnings
from collections.abc import Callable
from math import lcm

import torch
from torch import Tensor, nn

from recolor_core.device import autocast, out_of_memory
from recolor_core.errors import DeviceWarning
from recolor_core.models.config import SCALE, RefinerConfig
from recolor_core.models.memory import MemoryState
from recolor_core.motion import Motion
from recolor_core.weights import Networks

SMALLEST_TILE = 128
"""If the memory of a GPU is full, the refiner's tiles are halved down to this side, in pixels."""


class NetworkRunner:
    """Runs the networks of a weights file with PyTorch.

    Another runtime can take its place: `Colorizer` and the functions for frames use nothing but
    its property and its methods. All tensors that go in or out are float32 and on the CPU.

    Parameters
    ----------
    networks : Networks
        In inference mode.
    device : torch.device
        Where to run them. If its memory is full, a network gets less at a time, and at last runs on
        the CPU, with a `DeviceWarning`.
    """

    def __init__(self, networks: Networks, device: torch.device) -> None:
        self.device = device
        self._networks = networks

    @property
    def has_memory(self) -> bool:
        """Whether there is a color memory, which `remember` needs."""
        return self._networks.memory is not None

    def generate(self, lightness: Tensor) -> tuple[Tensor, str]:
        """Run the generator.

        Parameters
        ----------
        lightness : Tensor
            (B, 1, h, w): L* in [0, 100].

        Returns
        -------
        Tensor
            (B, Q, ceil(h / 4), ceil(w / 4)): logits of the color bins.
        str
            Where it ran.
        """
        generator = self._networks.generator
        try:
            return _run(generator, self.device, lightness), str(self.device)
        except RuntimeError as error:
            where = self._fall_back(error, generator)
            return _run(generator, torch.device("cpu"), lightness), where

    def refine(self, lightness: Tensor, ab: Tensor, hints: Tensor, tile: int) -> tuple[Tensor, str]:
        """Run the refiner.

        Parameters
        ----------
        lightness : Tensor
            (B, 1, h, w): L* in [0, 100].
        ab : Tensor
            (B, 2, ceil(h / 4), ceil(w / 4)): coarse a* and b*, in Lab units.
        hints : Tensor
            (B, 3, ceil(h / 4), ceil(w / 4)), as of `recolor_core.hints.hint_map`.
        tile : int
            Side of the tiles to work in, in pixels.

        Returns
        -------
        Tensor
            (B, 2, h, w): refined a* and b*, in Lab units.
        str
            Where it ran.
        """
        refiner, device, where = self._networks.refiner, self.device, str(self.device)
        tile = min(tile, max(lightness.shape[-2:]))
        while True:
            try:
                refined = in_tiles(
                    lambda *inputs: _run(refiner, device, *inputs),  # noqa: B023 (called at once)
                    tile,
                    refiner.config,
                    lightness,
                    ab,
                    hints,
                )
            except RuntimeError as error:
                if device.type == "cpu":
                    raise
                if out_of_memory(error) and tile >= 2 * SMALLEST_TILE:
                    tile //= 2
                else:
                    where, device = self._fall_back(error, refiner), torch.device("cpu")
            else:
                return refined, where

    @torch.inference_mode()
    def remember(
        self,
        lightness: Tensor,
        ab: Tensor,
        before: MemoryState | None,
        motion: Motion | None = None,
    ) -> MemoryState:
        """Run the color memory on one frame.

        Parameters
        ----------
        lightness : Tensor
            (B, 1, h, w): L* in [0, 100].
        ab : Tensor
            (B, 2, ceil(h / 4), ceil(w / 4)): coarse a* and b* of the frame, in Lab units.
        before : MemoryState or None
            State after the previous frame; None to start anew.
        motion : Motion or None
            Motion from the previous frame to this one, if it is known already.

        Returns
        -------
        MemoryState
            Its `ab` is the steady coarse color.
        """
        memory, device = self._networks.memory, self.device
        assert memory is not None
        memory.to(device)
        state: MemoryState = memory(
            lightness.to(device),
            ab.to(device),
            before and before.to(device),
            motion and motion.to(device),
        )
        return state.to("cpu")

    def _fall_back(self, error: RuntimeError, network: nn.Module) -> str:
        """Warn that a network runs on the CPU because the memory of the GPU is full."""
        if not out_of_memory(error) or self.device.type == "cpu":
            raise error
        name = type(network).__name__.lower()
        warnings.warn(
            f"the memory of {self.device} is full: the {name} runs on the CPU instead",
            DeviceWarning,
            stacklevel=5,
        )
        return f"cpu ({self.device} was out of memory)"


def in_tiles(
    refine: Callable[[Tensor, Tensor, Tensor], Tensor],
    tile: int,
    config: RefinerConfig,
    lightness: Tensor,
    ab: Tensor,
    hints: Tensor,
) -> Tensor:
    """Refine an image tile by tile, with the same result as in one piece.

    Parameters
    ----------
    refine : callable
        Refines (lightness, ab, hints) of one tile.
    tile : int
        Side of a tile, in pixels. It is rounded up to a multiple of 32 and of `config.multiple`.
    config : RefinerConfig
        Says where tiles may begin, and how much of its surroundings each tile has to see.
    lightness, ab, hints : Tensor
        As of `NetworkRunner.refine`.

    Returns
    -------
    Tensor
        (B, 2, h, w): refined a* and b*, in Lab units.
    """
    height, width = lightness.shape[-2:]
    multiple, halo = lcm(32, config.multiple), config.halo
    step = -(-tile // multiple) * multiple
    refined = torch.empty(len(ab), 2, height, width)
    for top in range(0, height, step):
        for left in range(0, width, step):
            y, x = max(top - halo, 0), max(left - halo, 0)
            bottom, right = min(top + step, height), min(left + step, width)
            pixels = (..., slice(y, bottom + halo), slice(x, right + halo))
            cells = (
                ...,
                slice(y // SCALE, -(-(bottom + halo) // SCALE)),
                slice(x // SCALE, -(-(right + halo) // SCALE)),
            )
            part = refine(lightness[pixels], ab[cells], hints[cells])
            refined[..., top:bottom, left:right] = part[
                ..., top - y : bottom - y, left - x : right - x
            ]
    return refined


@torch.inference_mode()
def _run(network: nn.Module, device: torch.device, *inputs: Tensor) -> Tensor:
    """Run a network; if the memory of a GPU is full, on half of the batch at a time."""
    try:
        network.to(device)
        with autocast(device):
            output: Tensor = network(*(x.to(device) for x in inputs))
        return output.float().cpu()
    except RuntimeError as error:
        if not out_of_memory(error) or device.type == "cpu" or len(inputs[0]) == 1:
            raise
    half = len(inputs[0]) // 2
    halves = ([x[:half] for x in inputs], [x[half:] for x in inputs])
    return torch.cat([_run(network, device, *part) for part in halves])

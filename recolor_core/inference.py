"""Running the networks: on a device, in tiles, with less at a time if a GPU's memory is full."""

import warnings
from collections.abc import Callable
from math import lcm
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.device import autocast, out_of_memory
from recolor_core.errors import DeviceWarning
from recolor_core.models.config import SCALE, RefinerConfig
from recolor_core.runtime import Programs
from recolor_core.weights import WeightsFile

if TYPE_CHECKING:
    from torch import Tensor, nn

    from recolor_core.models.memory import MemoryState
    from recolor_core.motion import Motion

SMALLEST_TILE = 128
"""If the memory of a GPU is full, the refiner's tiles are halved down to this side, in pixels."""


class NetworkRunner:
    """Runs the networks of a weights file: with PyTorch, or as compiled programs.

    Arrays that go in or out are float32.

    Parameters
    ----------
    file : WeightsFile
        Its networks are read when PyTorch first has to run one of them.
    device : str
        Where PyTorch runs them. If its memory is full, a network gets less at a time, and at last
        runs on the CPU, with a `DeviceWarning`.
    programs : Programs
        Networks that are compiled, from `recolor_core.runtime.choose_runtime`.
    """

    def __init__(self, file: WeightsFile, device: str, programs: Programs) -> None:
        self.device = device
        self._file = file
        self._programs = programs

    @property
    def has_memory(self) -> bool:
        """Whether there is a color memory, which `remember` needs."""
        return "memory" in self._file.configs

    def generate(self, lightness: NDArray[np.float32]) -> tuple[NDArray[np.float32], str]:
        """Run the generator.

        Parameters
        ----------
        lightness : ndarray
            (B, 1, h, w): L* in [0, 100].

        Returns
        -------
        ndarray
            (B, Q, ceil(h / 4), ceil(w / 4)): logits of the color bins.
        str
            Where it ran.
        """
        try:
            return self._run("generator", self.device, lightness), self.device
        except RuntimeError as error:
            where = self._fall_back(error, "generator")
            return self._run("generator", "cpu", lightness), where

    def refine(
        self,
        lightness: NDArray[np.float32],
        ab: NDArray[np.float32],
        hints: NDArray[np.float32],
        tile: int,
    ) -> tuple[NDArray[np.float32], str]:
        """Run the refiner.

        Parameters
        ----------
        lightness : ndarray
            (B, 1, h, w): L* in [0, 100].
        ab : ndarray
            (B, 2, ceil(h / 4), ceil(w / 4)): coarse a* and b*, in Lab units.
        hints : ndarray
            (B, 3, ceil(h / 4), ceil(w / 4)), as of `recolor_core.hints.hint_map`.
        tile : int
            Side of the tiles to work in, in pixels.

        Returns
        -------
        ndarray
            (B, 2, h, w): refined a* and b*, in Lab units.
        str
            Where it ran.
        """
        device = where = self.device
        config: Any = self._file.configs["refiner"]
        tile = min(tile, max(lightness.shape[-2:]))
        while True:
            try:
                refined = in_tiles(
                    lambda *inputs: self._run("refiner", device, *inputs),  # noqa: B023 (called at once)
                    tile,
                    config,
                    lightness,
                    ab,
                    hints,
                )
            except RuntimeError as error:
                if device == "cpu":
                    raise
                if out_of_memory(error) and tile >= 2 * SMALLEST_TILE:
                    tile //= 2
                else:
                    where, device = self._fall_back(error, "refiner"), "cpu"
            else:
                return refined, where

    def remember(
        self,
        lightness: "Tensor",
        ab: "Tensor",
        before: "MemoryState | None",
        motion: "Motion | None" = None,
    ) -> "MemoryState":
        """Run the color memory on one frame. PyTorch always does this.

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
        import torch

        memory, device = self._file.network("memory"), torch.device(self.device)
        with torch.inference_mode():
            memory.to(device)
            state: MemoryState = memory(
                lightness.to(device),
                ab.to(device),
                before and before.to(device),
                motion and motion.to(device),
            )
            return state.to("cpu")

    def _run(self, name: str, device: str, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run a network."""
        if name in self._programs:
            return self._programs[name](*inputs)
        import torch

        network: nn.Module = self._file.network(name)
        tensors = [torch.from_numpy(np.ascontiguousarray(x)) for x in inputs]
        with torch.inference_mode():
            return _run(network, device, *tensors).numpy()

    def _fall_back(self, error: RuntimeError, network: str) -> str:
        """Warn that a network runs on the CPU because the memory of the GPU is full."""
        if self.device == "cpu" or not out_of_memory(error):
            raise error
        warnings.warn(
            f"the memory of {self.device} is full: the {network} runs on the CPU instead",
            DeviceWarning,
            stacklevel=5,
        )
        return f"cpu ({self.device} was out of memory)"


def in_tiles(
    refine: Callable[..., NDArray[np.float32]],
    tile: int,
    config: RefinerConfig,
    lightness: NDArray[np.float32],
    ab: NDArray[np.float32],
    hints: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Refine an image tile by tile, with the same result as in one piece.

    Parameters
    ----------
    refine : callable
        Refines (lightness, ab, hints) of one tile.
    tile : int
        Side of a tile, in pixels. It is rounded up to a multiple of 32 and of `config.multiple`.
    config : RefinerConfig
        Says where tiles may begin, and how much of its surroundings each tile has to see.
    lightness, ab, hints : ndarray
        As of `NetworkRunner.refine`.

    Returns
    -------
    ndarray
        (B, 2, h, w): refined a* and b*, in Lab units.
    """
    height, width = lightness.shape[-2:]
    multiple, halo = lcm(32, config.multiple), config.halo
    step = -(-tile // multiple) * multiple
    refined = np.empty((len(ab), 2, height, width), np.float32)
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


def _run(network: "nn.Module", device: str, *inputs: "Tensor") -> "Tensor":
    """Run a network; if the memory of a GPU is full, on half of the batch at a time."""
    import torch

    where = torch.device(device)
    try:
        network.to(where)
        with autocast(device):
            output: Tensor = network(*(x.to(where) for x in inputs))
        return output.float().cpu()
    except RuntimeError as error:
        if device == "cpu" or not out_of_memory(error) or len(inputs[0]) == 1:
            raise
    half = len(inputs[0]) // 2
    halves = ([x[:half] for x in inputs], [x[half:] for x in inputs])
    return torch.cat([_run(network, device, *part) for part in halves])

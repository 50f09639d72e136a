"""Collect and describe the outputs of the parts of the networks for an image."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from torch import Tensor, nn

from recolor_core.weights import Networks

PARTS: dict[str, tuple[str, str, str]] = {
    "low-level, 1/2": ("generator", "low_level", "0"),
    "low-level, 1/4": ("generator", "low_level", "1"),
    "low-level, 1/8": ("generator", "low_level", "2"),
    "semantic, 1/16": ("generator", "semantic", "0"),
    "semantic, 1/32": ("generator", "semantic", "1"),
    "decoder, 1/16": ("generator", "up_sixteenth", ""),
    "decoder, 1/8": ("generator", "up_eighth", ""),
    "decoder, 1/4": ("generator", "up_quarter", ""),
    "refiner: lightness": ("refiner", "encode_lightness", ""),
    "refiner: color": ("refiner", "encode_color", ""),
    "refiner: body": ("refiner", "body", ""),
    "refiner: full size": ("refiner", "full", ""),
}
"""Parts in order of execution: network, module, and the output to use if it has several."""


@dataclass(frozen=True)
class Layer:
    """Output of a part of a network.

    Attributes
    ----------
    name : str
        A key of `PARTS`.
    channels : int
    components : ndarray (h, w, 3)
        The first three principal components over all positions, each scaled to [0, 1].
    explained : float
        Fraction of the variance over the positions that the components explain.
    strongest : ndarray (K, h, w)
        Channels with the largest variance.
    numbers : ndarray of int (K,)
        Indices of these channels.
    """

    name: str
    channels: int
    components: NDArray[np.float64]
    explained: float
    strongest: NDArray[np.float32]
    numbers: NDArray[np.int64]


@torch.inference_mode()
def outputs(
    networks: Networks, lightness: NDArray[np.float32], ab: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """Return the outputs of the `PARTS` for one image, (C, h, w) each.

    Parameters
    ----------
    networks
        Networks on the CPU.
    lightness
        (H, W): L* at the working size.
    ab
        (2, h, w): coarse a* and b*, Lab units, for the refiner.
    """
    seen: dict[tuple[str, str], Any] = {}

    def keep(key: tuple[str, str], module: nn.Module, inputs: Any, output: Any) -> None:
        seen[key] = output

    hooks = []
    for kind, module, _ in PARTS.values():
        network: nn.Module = getattr(networks, kind)
        hook = network.get_submodule(module).register_forward_hook(partial(keep, (kind, module)))
        hooks.append(hook)
    light = torch.from_numpy(lightness)[None, None]
    try:
        networks.generator(light)
        networks.refiner(light, torch.from_numpy(ab)[None])
    finally:
        for hook in hooks:
            hook.remove()
    return {name: _output(seen, part) for name, part in PARTS.items()}


def _output(seen: Mapping[tuple[str, str], Any], part: tuple[str, str, str]) -> NDArray[np.float32]:
    kind, module, index = part
    output: Tensor = seen[kind, module][int(index)] if index else seen[kind, module]
    return np.array(output[0].float().numpy())


def describe_layer(name: str, output: NDArray[np.float32], strongest: int = 5) -> Layer:
    """Describe a layer by its principal components and its channels with the largest variance."""
    channels, height, width = output.shape
    places = output.reshape(channels, -1).T
    count = min(3, channels, len(places))
    pca = PCA(count, random_state=0)
    found = np.zeros((len(places), 3))
    found[:, :count] = pca.fit_transform(places)
    low, high = np.quantile(found, (0.02, 0.98), axis=0)
    scaled = ((found - low) / np.maximum(high - low, 1e-9)).clip(0, 1)
    order = np.argsort(-output.var((1, 2)), kind="stable")[:strongest]
    return Layer(
        name,
        channels,
        scaled.reshape(height, width, 3),
        float(np.nan_to_num(pca.explained_variance_ratio_).sum()),
        output[order],
        order,
    )

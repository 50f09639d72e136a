"""What runs the networks: PyTorch on any device, or a compiled runtime on the CPU.

`choose_runtime` gives networks that are used like those of `load_weights`, so callers do not know
which runtime computes inside. `Runtime` says it, for provenance.
"""

import logging
from dataclasses import asdict, dataclass
from typing import Any

import torch

from recolor_core.errors import DeviceError, RuntimeUnavailableError
from recolor_core.weights import Networks

RUNTIMES = ("auto", "torch", "onnxruntime")
"""The names that `choose_runtime` takes."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Runtime:
    """What runs the generator and the refiner. The color memory always runs in PyTorch.

    Parameters
    ----------
    name : str
        ``"torch"`` or ``"onnxruntime"``.
    version : str
        Version of that package.
    precision : str
        ``"float32"``; ``"int8"`` if the networks are quantized; ``"bfloat16"`` is the GPU's choice
        and not recorded here.
    sha256 : str or None
        SHA-256 of the file of quantized networks, hexadecimal; None without one.
    """

    name: str
    version: str
    precision: str = "float32"
    sha256: str | None = None

    def as_record(self) -> dict[str, Any]:
        """JSON types for the provenance of a result."""
        return asdict(self)


def choose_runtime(
    networks: Networks, device: torch.device, runtime: str = "auto"
) -> tuple[Networks, Runtime]:
    """Choose what runs the networks of a weights file.

    Parameters
    ----------
    networks : Networks
        Of `load_weights`.
    device : torch.device
        Where they are to run. Only PyTorch runs on a GPU.
    runtime : str
        ``"torch"``: PyTorch, float32. ``"onnxruntime"``: quantized networks (int8) on the CPU.
        ``"auto"``: the quantized networks if the device is the CPU, ONNX Runtime can be loaded and
        the weights have a quantized form; otherwise PyTorch, and a line at debug level says why.

    Returns
    -------
    Networks
        To be used like `networks`.
    Runtime
        What runs them.

    Raises
    ------
    DeviceError
        If there is no runtime of this name.
    RuntimeUnavailableError
        If ``"onnxruntime"`` was asked for and cannot run these networks here.
    WeightsError
        If the quantized networks are damaged.
    """
    if runtime not in RUNTIMES:
        raise DeviceError(
            f"expected a runtime ({', '.join(RUNTIMES)}), got {runtime!r}; use one of these"
        )
    if runtime != "torch":
        try:
            if device.type != "cpu":
                raise RuntimeUnavailableError(
                    f"ONNX Runtime runs on the CPU, not on {device}; use device 'cpu' or runtime "
                    "'torch'"
                )
            from recolor_core.runtime.compiled import compile_networks

            compiled, version, sha256 = compile_networks(networks)
            return compiled, Runtime("onnxruntime", version, "int8", sha256)
        except RuntimeUnavailableError as error:
            if runtime != "auto":
                raise
            _log.debug("PyTorch runs the networks: %s", error)
    return networks, Runtime("torch", torch.__version__)

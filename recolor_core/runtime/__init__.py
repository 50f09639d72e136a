"""What runs the networks: PyTorch on any device, or a compiled runtime on the CPU.

`choose_runtime` gives the compiled programs that take the place of PyTorch's networks, if any.
`recolor_core.inference.NetworkRunner` runs either. `Runtime` describes the choice for provenance.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from numpy.typing import NDArray

from recolor_core.errors import DeviceError, RuntimeUnavailableError
from recolor_core.weights import WeightsFile

RUNTIMES = ("auto", "torch", "onnxruntime")
"""The names that `choose_runtime` takes."""

Programs = Mapping[str, Callable[..., NDArray[Any]]]
"""Compiled networks by name (``"generator"``, ``"refiner"``). Each takes and returns arrays as the
network of that name takes and returns tensors."""

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
    file: WeightsFile, device: str, runtime: str = "auto"
) -> tuple[Programs, Runtime]:
    """Choose what runs the networks of a weights file.

    Parameters
    ----------
    file : WeightsFile
        From `recolor_core.weights.open_weights`.
    device : str
        Where they are to run. Only PyTorch runs on a GPU.
    runtime : str
        ``"torch"``: PyTorch, float32. ``"onnxruntime"``: quantized networks (int8) on the CPU.
        ``"auto"``: the quantized networks if the device is the CPU, ONNX Runtime can be loaded and
        the weights have a quantized form; otherwise PyTorch, and a line at debug level says why.

    Returns
    -------
    Programs
        The compiled networks; none if PyTorch runs them. PyTorch always runs the color memory.
    Runtime
        What runs them.

    Raises
    ------
    DeviceError
        If there is no runtime of this name.
    RuntimeUnavailableError
        If ``"onnxruntime"`` was asked for and cannot run these networks here.
    WeightsError
        If the networks to run are damaged.
    """
    if runtime not in RUNTIMES:
        raise DeviceError(
            f"expected a runtime ({', '.join(RUNTIMES)}), got {runtime!r}; use one of these"
        )
    if runtime != "torch":
        try:
            if device != "cpu":
                raise RuntimeUnavailableError(
                    f"ONNX Runtime runs on the CPU, not on {device}; use device 'cpu' or runtime "
                    "'torch'"
                )
            from recolor_core.runtime.compiled import compile_networks

            programs, version, sha256 = compile_networks(file)
            return programs, Runtime("onnxruntime", version, "int8", sha256)
        except RuntimeUnavailableError as error:
            if runtime != "auto":
                raise
            _log.debug("PyTorch runs the networks: %s", error)
    import torch

    _ = file.networks  # read now, so that damage is found now
    return {}, Runtime("torch", torch.__version__)

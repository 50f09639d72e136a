"""The file of quantized networks: a safetensors file beside the weights that it was made from.

For each network it holds one tensor of bytes, an ONNX model. Its metadata holds the SHA-256 of the
weights, so that the networks of other weights are never used by mistake. An ONNX model is data:
nothing in the file is executed, and only the operators of ONNX Runtime are run.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from recolor_core.errors import WeightsError
from recolor_core.files import replacing, sha256_of

FORMAT = 1
"""Version of the layout of the file."""

NETWORKS = ("generator", "refiner")
"""The networks that have a quantized form. The color memory is small and stays in PyTorch."""


@dataclass(frozen=True)
class QuantizedFile:
    """The content of a file of quantized networks.

    Parameters
    ----------
    sha256 : str
        Of the file, hexadecimal.
    weights_sha256 : str
        Of the weights file that the networks were made from.
    models : Mapping of str to bytes
        The ONNX models, by the names in `NETWORKS`.
    about : Mapping
        How they were made: versions of the tools, number of calibration images.
    """

    sha256: str
    weights_sha256: str
    models: Mapping[str, bytes]
    about: Mapping[str, Any]


def quantized_path(weights: Path) -> Path:
    """Path of the quantized form of a weights file: ``x.safetensors`` -> ``x.int8.safetensors``."""
    return weights.with_name(f"{weights.stem}.int8.safetensors")


def read_quantized(path: Path) -> QuantizedFile:
    """Read a file of quantized networks.

    Parameters
    ----------
    path : Path
        Of `quantized_path`.

    Raises
    ------
    WeightsError
        If the file is damaged or not of this layout.
    """
    try:
        with safe_open(path, framework="numpy") as tensors:
            about = json.loads((tensors.metadata() or {})["recolor"])
            layout, weights_sha256 = about.pop("format"), str(about.pop("weights_sha256"))
            if layout != FORMAT:
                raise WeightsError(
                    f"{path} has layout {layout}, expected {FORMAT}; use the version of recolor "
                    "that wrote it, or make it again with `python -m training.quantize`"
                )
            models = {name: tensors.get_tensor(name).tobytes() for name in NETWORKS}
    except (SafetensorError, OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(
            f"{path} cannot be read as quantized networks ({error!r}); delete it to use PyTorch, "
            "or make it again with `python -m training.quantize`"
        ) from error
    return QuantizedFile(sha256_of(path), weights_sha256, models, about)


def write_quantized(
    path: Path, models: Mapping[str, bytes], weights_sha256: str, about: Mapping[str, Any]
) -> None:
    """Write a file of quantized networks atomically.

    Parameters
    ----------
    path : Path
        Of `quantized_path`.
    models, weights_sha256, about
        As in `QuantizedFile`; `about` of JSON types.
    """
    tensors = {name: np.frombuffer(model, np.uint8) for name, model in models.items()}
    text = {"format": FORMAT, "weights_sha256": weights_sha256, **about}
    with replacing(path) as part:
        save_file(tensors, part, metadata={"recolor": json.dumps(text, sort_keys=True)})

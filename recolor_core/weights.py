"""Weights files: what is known about each of them, and how they are read, written and fetched.

A weights file is a safetensors file with the tensors of the networks, named ``generator.*``,
``refiner.*`` and, if it has a color memory for stacks and films, ``memory.*``. A JSON text under
``recolor`` in its metadata has the configuration of each network and describes the training.
Nothing in the file is ever executed. No other module opens a weights file. PyTorch is imported when
the tensors of a file are read, not for its description.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from safetensors import SafetensorError, safe_open

from recolor_core.arguments import expect
from recolor_core.errors import WeightsError
from recolor_core.files import replacing, sha256_of
from recolor_core.models.config import (
    GeneratorConfig,
    MemoryConfig,
    NetworkConfig,
    RefinerConfig,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from recolor_core.models.generator import Generator
    from recolor_core.models.memory import ColorMemory
    from recolor_core.models.networks import Network
    from recolor_core.models.refiner import Refiner

FORMAT = 1
"""Version of the layout of a weights file."""

BUNDLED = Path(__file__).parent / "data"
"""The folder of the weights that come with the package."""

RETRIES = 2
"""How many times a download that fails is tried again, after 1 and 2 seconds."""

CONFIGS: dict[str, type[NetworkConfig]] = {
    "generator": GeneratorConfig,
    "refiner": RefinerConfig,
    "memory": MemoryConfig,
}
"""What a weights file holds, by the names that its tensors begin with. The memory is optional."""

_COUNTER = "num_batches_tracked"
"""A buffer of batch normalization that nothing uses; weights files lack it."""


_Network = TypeVar("_Network", bound="nn.Module")


USES: Mapping[str, str] = {
    "any": "any use, commercial use included",
    "research": "research only",
    "unstated": "unknown; ask whoever trained them",
}
"""What weights may be used for, and what that means. "any" needs licenses that allow any use for
every training image and for all initial weights."""


@dataclass(frozen=True)
class WeightsRecord:
    """What is known about one weights file.

    Parameters
    ----------
    name : str
        The name that `load_weights` takes.
    file : str
        File name, or the whole path if the weights were given by path.
    sha256 : str
        SHA-256 of the file, hexadecimal.
    license, training_data, recipe : str
        One sentence or more each. `license` says why `use` is what it is.
    metrics : mapping of str to float
        Measured on the validation split that `training_data` names.
    url
        Address of the file; None if it comes with the package.
    quantized_sha256
        SHA-256 of the quantized form (see `recolor_core.runtime.quantized`), if it comes with the
        package.
    use : str
        One of `USES`: what the licenses of the training images and of the initial weights allow.
    """

    name: str
    file: str
    sha256: str
    license: str
    training_data: str
    recipe: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    url: str | None = None
    quantized_sha256: str | None = None
    use: str = "unstated"

    @property
    def bundled(self) -> bool:
        """Whether the file comes with the package."""
        return self.url is None


RECORDS: tuple[WeightsRecord, ...] = (
    WeightsRecord(
        name="default",
        file="default.safetensors",
        use="research",
        sha256="6d17db5af54e768b4c284fbeafeaf433f4b29917937cf9df4a8fd12bcef45270",
        license="Research use: the training photographs have mixed and partly unstated licenses.",
        training_data=(
            "32,943 photographs of 150 to 256 pixels short side: outdoor, indoor and general "
            "scenes of public repositories; then 49,280 crops of 44,579, most of them the same "
            "ones, 12,505 others of ten ImageNet classes; then 335,104 crops of 7,522, most of "
            "them of these kinds; then 398,336 crops of 62,169, these and sports, clothing, rooms, "
            "events, animals and vehicles; refiner: 41,600 crops of 8,000 of these. Validated on "
            "1,044 others."
        ),
        recipe=(
            "Generator: semantic path from ImageNet weights of EfficientNet-lite2, the rest "
            "from scratch; classification over 259 ab bins weighted by chroma, Huber loss on "
            "their mean; 24 epochs; then three runs on a CPU, on lightness that is in part "
            "damaged, and the mean of weights; then two runs on a GPU that also learn what the "
            "generator before predicted of the undamaged image, and the mean; then 1,556 steps of "
            "256 crops on a GPU. The generator is the mean of one quarter of that before and three "
            "quarters of this. "
            "Refiner: 2,600 steps on the colors of an earlier generator, on a CPU; half of the "
            "residual that it learned. Color memory: 280 steps on clips made of 10,290 "
            "photographs, on a CPU."
        ),
        metrics={
            # docs/model-card.md has the intervals. Coarse: 1,044 photographs at 224 pixels and
            # temperature 0.6, float32; the others: 174 of them as it colors by default, int8.
            "coarse_mse": 0.00162,
            "coarse_psnr_db": 26.23,
            "coarse_colorfulness_ratio": 0.699,
            "psnr_db": 25.49,
            "ciede2000": 8.09,
            "colorfulness_ratio": 0.88,
        },
        quantized_sha256="aedb16fc4346d2995d8eed44d2a84d89b0c5889302d48524640ed545e17a782f",
    ),
)


@dataclass(frozen=True)
class Networks:
    """The networks of a weights file, ready for inference; `memory` is None if it has none."""

    record: WeightsRecord
    generator: "Generator"
    refiner: "Refiner"
    memory: "ColorMemory | None"


@dataclass(frozen=True)
class WeightsFile:
    """A weights file whose description was read.

    Parameters
    ----------
    path : Path
        The file.
    record : WeightsRecord
        What is known about it.
    configs : Mapping of str to NetworkConfig
        The shapes of its networks, by their names in `CONFIGS`.
    """

    path: Path
    record: WeightsRecord
    configs: Mapping[str, NetworkConfig]

    def network(self, kind: str) -> Any:
        """Return a network: on the CPU, in float32 and in inference mode; it is read at first use.

        Parameters
        ----------
        kind : str
            A key of `configs`.

        Returns
        -------
        Generator, Refiner or ColorMemory

        Raises
        ------
        WeightsError
            If the file does not hold the network that its configuration describes.
        """
        if kind not in self._read:
            _, tensors = _read(self.path, "pt", f"{kind}.")
            network = _build(kind, self.configs[kind], tensors, self.path)
            self._read[kind] = for_inference(network)
        return self._read[kind]

    @cached_property
    def _read(self) -> dict[str, Any]:
        return {}

    @property
    def networks(self) -> Networks:
        """All of its networks; see `network`."""
        memory = self.network("memory") if "memory" in self.configs else None
        return Networks(self.record, self.network("generator"), self.network("refiner"), memory)


def list_weights() -> list[WeightsRecord]:
    """List the weights that can be loaded by name."""
    return list(RECORDS)


def open_weights(weights: str | Path = "default") -> WeightsFile:
    """Read the description of a weights file, without its tensors.

    Parameters
    ----------
    weights : str or Path
        A name that `list_weights` gives, or the path of a ``.safetensors`` file.

    Returns
    -------
    WeightsFile

    Raises
    ------
    WeightsError
        If the name is unknown, its file is not fetched yet, is damaged or differs from its record,
        or if the file describes other networks than those of this version.
    """
    expect("weights", weights, (str, os.PathLike), "a name or the path of a file", WeightsError)
    record, path = _locate(weights)
    if record is not None and (found := sha256_of(path)) != record.sha256:
        raise WeightsError(
            f"{path} is not the file of weights {record.name!r}: expected SHA-256 "
            f"{record.sha256}, got {found}; reinstall the package or fetch it again"
        )
    about = _describe(path)
    configs = {
        kind: _config(kind, about, path) for kind in CONFIGS if kind != "memory" or kind in about
    }
    return WeightsFile(path, record or _record_of_file(path, about), configs)


def load_weights(weights: str | Path = "default") -> Networks:
    """Load the networks of a weights file: on the CPU, in float32 and in inference mode.

    Parameters
    ----------
    weights : str or Path
        As in `open_weights`.

    Returns
    -------
    Networks

    Raises
    ------
    WeightsError
        As from `open_weights`, or if the file does not hold the networks that its configuration
        describes.
    """
    return open_weights(weights).networks


def read_network(path: Path, kind: str) -> "Network":
    """Read one network of a weights file, as it was trained: its batch normalization is not folded.

    Parameters
    ----------
    path : Path
        A weights file.
    kind : str
        A key of `CONFIGS`.

    Raises
    ------
    WeightsError
        If the file cannot be read or does not hold the network that its configuration describes.
    """
    config = _config(kind, _describe(path), path)
    return _build(kind, config, read_safetensors(path)[1], path)


def for_inference(network: _Network) -> _Network:
    """Make a network ready for inference, in place: frozen, batch normalization folded."""
    import torch

    from recolor_core.models.encoder import fold_batch_norm

    fold_batch_norm(network.eval().requires_grad_(False))
    network.to(memory_format=torch.channels_last)
    return network


def read_safetensors(path: Path) -> "tuple[dict[str, Any] | None, dict[str, Tensor]]":
    """Read any safetensors file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict or None
        What recolor wrote about its networks; None if the file is not a weights file of recolor.
    dict of str to Tensor
        The tensors by name, in their own dtypes.

    Raises
    ------
    WeightsError
        If the file is damaged or not a safetensors file.
    """
    return _read(path, "pt")


def _read(
    path: Path, framework: str | None, prefix: str = ""
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Read a safetensors file; without a framework, only what recolor wrote about its networks."""
    try:
        with safe_open(path, framework=framework or "numpy") as file:
            text = (file.metadata() or {}).get("recolor")
            about = None if text is None else json.loads(text)
            names = file.keys() if framework else ()
            tensors = {name: file.get_tensor(name) for name in names if name.startswith(prefix)}
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path} cannot be read as a safetensors file ({error}); it is damaged or foreign: "
            "get it again"
        ) from error
    return about if isinstance(about, dict) else None, tensors


def save_weights(
    path: str | Path,
    generator: "Generator",
    refiner: "Refiner",
    memory: "ColorMemory | None" = None,
    *,
    license: str,
    training_data: str,
    recipe: str,
    use: str = "unstated",
    metrics: Mapping[str, float] | None = None,
) -> WeightsRecord:
    """Write the networks into one weights file, in half precision.

    Parameters
    ----------
    path
        Ends in ``.safetensors``. It is written atomically.
    generator, refiner
        Trained networks whose batch normalization is not folded.
    memory
        For stacks and films, if there is one.
    license, training_data, recipe, use, metrics
        As in `WeightsRecord`; they are stored in the file.

    Returns
    -------
    WeightsRecord

    Raises
    ------
    WeightsError
        If a weight is NaN, infinite or too large for half precision, or `use` is not in `USES`.
    """
    import torch
    from safetensors.torch import save_file

    if use not in USES:
        raise WeightsError(f"expected a use of {', '.join(USES)}, got {use!r}")
    path = Path(path)
    networks: dict[str, Network] = {
        "generator": generator,
        "refiner": refiner,
    }
    if memory:
        networks["memory"] = memory
    tensors = {
        f"{prefix}.{name}": tensor.detach().cpu().to(torch.float16).contiguous()
        for prefix, network in networks.items()
        for name, tensor in network.state_dict().items()
        if not name.endswith(_COUNTER)
    }
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(
                f"{name} has values that half precision cannot hold; the training has diverged: "
                "export an earlier checkpoint"
            )
    about = {
        "format": FORMAT,
        **{kind: asdict(network.config) for kind, network in networks.items()},
        "license": license,
        "training_data": training_data,
        "recipe": recipe,
        "use": use,
        "metrics": dict(metrics or {}),
    }
    with replacing(path) as part:
        save_file(tensors, part, metadata={"recolor": json.dumps(about, sort_keys=True)})
    return _record_of_file(path, about)


def fetch_weights(name: str, progress: bool = False) -> Path:
    """Download weights by name into the user's cache and check their SHA-256.

    Nothing is downloaded unless this function is called.

    Parameters
    ----------
    name
        A name that `list_weights` gives.
    progress
        Show a progress bar on standard error.

    Returns
    -------
    Path
        The file. It is returned at once if it is in the cache already.

    Raises
    ------
    WeightsError
        If the name is unknown or the download fails or differs from its record.
    """
    record = _record(name)
    if record.url is None:
        return _locate(name)[1]
    import pooch  # slow to import, and seldom needed

    cache = pooch.create(
        _cache(),
        base_url="",
        registry={record.file: f"sha256:{record.sha256}"},
        urls={record.file: record.url},
        retry_if_failed=RETRIES,
    )
    downloader = pooch.HTTPDownloader(progressbar=_Bar() if progress else False)
    try:
        return Path(cache.fetch(record.file, downloader=downloader))
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"weights {name!r} could not be fetched from {record.url} ({error}); check the "
            f"connection, or put the file into {_cache()} yourself"
        ) from error


def path_of(record: WeightsRecord) -> Path:
    """Where the file of a record lies: in the package, in the cache, or where it was given."""
    if record not in RECORDS:
        return Path(record.file)
    return (BUNDLED if record.bundled else _cache()) / record.file


def _locate(weights: str | Path) -> tuple[WeightsRecord | None, Path]:
    """Find the file, and the record if the weights are known by name."""
    path = Path(weights)
    if isinstance(weights, Path) or path.suffix == ".safetensors" or len(path.parts) > 1:
        if not path.is_file():
            raise WeightsError(f"expected a weights file at {path}, found none; check the path")
        return None, path
    record = _record(weights)
    path = path_of(record)
    if not path.is_file():
        remedy = (
            "reinstall the package"
            if record.bundled
            else f"fetch it with `recolor weights --fetch {record.name}`"
        )
        raise WeightsError(f"the file of weights {record.name!r} is not at {path}; {remedy}")
    return record, path


def _record(name: str) -> WeightsRecord:
    for record in RECORDS:
        if record.name == name:
            return record
    known = ", ".join(repr(record.name) for record in RECORDS)
    raise WeightsError(
        f"expected weights by name ({known}) or the path of a .safetensors file, got {name!r}"
    )


def _record_of_file(path: Path, about: Mapping[str, Any]) -> WeightsRecord:
    return WeightsRecord(
        name=path.stem,
        file=str(path),
        sha256=sha256_of(path),
        license=str(about.get("license", "unknown")),
        training_data=str(about.get("training_data", "unknown")),
        recipe=str(about.get("recipe", "unknown")),
        use=str(about.get("use", "unstated")),
        metrics=about.get("metrics", {}),
    )


def _describe(path: Path) -> dict[str, Any]:
    """Read what recolor wrote about the networks of its own weights file."""
    about, _ = _read(path, None)
    if about is None:
        raise WeightsError(
            f"{path} is a safetensors file of something else: expected networks of recolor; "
            "export them with `python -m training.export`"
        )
    if about.get("format") != FORMAT:
        raise WeightsError(
            f"{path} has layout {about.get('format')}, expected {FORMAT}; use the version of "
            "recolor that wrote it"
        )
    return about


def _config(kind: str, about: Mapping[str, Any], path: Path) -> NetworkConfig:
    try:
        return CONFIGS[kind].from_json(about.get(kind))
    except WeightsError as error:
        raise WeightsError(
            f"{path} describes no networks of this version ({kind}: {error}); use the version of "
            "recolor that wrote it"
        ) from error


def _build(
    kind: str, config: NetworkConfig, tensors: "Mapping[str, Tensor]", path: Path
) -> "Network":
    """Build a network and fill it; its memory is taken only when everything fits."""
    import torch

    from recolor_core.models.networks import NETWORKS

    floating_point = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
    with torch.device("meta"):  # shapes only
        network = NETWORKS[kind](config)
    expected = network.state_dict()
    found = {
        name.removeprefix(f"{kind}."): tensor
        for name, tensor in tensors.items()
        if name.startswith(f"{kind}.")
    }
    for name, tensor in expected.items():
        if name.endswith(_COUNTER):
            found.setdefault(name, torch.zeros((), dtype=tensor.dtype))
    differing = sorted(
        name
        for name in expected.keys() | found.keys()
        if _shape(expected, name) != _shape(found, name)
    )
    if differing:
        name = differing[0]
        raise WeightsError(
            f"{path} does not fit its configuration in {len(differing)} tensors: the {kind} "
            f"expects {_shape(expected, name)}, got {_shape(found, name)}; export it again"
        )
    for name, tensor in found.items():
        if expected[name].is_floating_point() and tensor.dtype not in floating_point:
            raise WeightsError(
                f"{path} has {tensor.dtype} in {kind}.{name}, expected floating point; it is "
                "damaged or foreign: get it again"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(
                f"{path} has NaN or infinity in {kind}.{name}; it is damaged: get it again"
            )
        found[name] = tensor.to(expected[name].dtype, copy=True)
    network.load_state_dict(found, assign=True)
    return network


def _shape(tensors: "Mapping[str, Tensor]", name: str) -> str:
    return f"{name} {tuple(tensors[name].shape)}" if name in tensors else f"no {name}"


class _Bar:
    """A rich progress bar with the interface that pooch expects."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import DownloadColumn, Progress

        columns = (*Progress.get_default_columns(), DownloadColumn())
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._task = self._progress.add_task("Fetching")
        self.total = 0

    def update(self, count: int) -> None:
        self._progress.start()
        self._progress.update(self._task, total=self.total, advance=count)

    def reset(self) -> None:
        self._progress.reset(self._task)

    def close(self) -> None:
        self._progress.stop()


def _cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("recolor")) / "weights"

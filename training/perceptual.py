"""LPIPS and FID, where the networks that they judge by are on this machine.

Both are torchmetrics'. Their backbones come with no package; nothing is downloaded here, and what
is missing is said by `BackboneError`, with the remedy, so that a report can say so too.
"""

import importlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from recolor_core.errors import RecolorError
from recolor_core.files import sha256_of


class BackboneError(RecolorError, RuntimeError):
    """The network that a measure judges by is not on this machine, or is another one."""


@dataclass(frozen=True)
class Backbone:
    """A pretrained network that a measure is defined by.

    Parameters
    ----------
    measure
        What needs it.
    package, module
        What has to be installed and imported to build it.
    url
        Where its weights are published. The name ends with the first digits of their SHA-256, by
        the convention of `torch.hub`.
    """

    measure: str
    package: str
    module: str
    url: str

    @property
    def name(self) -> str:
        """Name of the weights file."""
        return self.url.rsplit("/", 1)[1]

    def find(self, path: Path | None = None) -> Path:
        """The weights file, given or in the cache of `torch.hub`, once all that is needed is there.

        Raises
        ------
        BackboneError
            If the package cannot be imported or the file is missing or another one.
        """
        try:
            importlib.import_module(self.module)
        except ImportError as error:
            raise BackboneError(
                f"{self.measure} needs {self.package}, which cannot be imported ({error}); "
                f"run: pip install {self.package}"
            ) from error
        file = path or Path(torch.hub.get_dir()) / "checkpoints" / self.name
        if not file.is_file():
            raise BackboneError(
                f"{self.measure} needs the weights {self.name}, and there is no {file}; "
                f"fetch {self.url} to there"
            )
        expected = Path(self.name).stem.rsplit("-", 1)[1]
        found = sha256_of(file)
        if not found.startswith(expected):
            raise BackboneError(
                f"{self.measure} needs weights whose SHA-256 starts with {expected}, {file} has "
                f"{found[:8]}; fetch {self.url} anew"
            )
        return file


ALEXNET = Backbone(
    "LPIPS",
    "torchvision",
    "torchvision",
    "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
)
"""AlexNet trained on ImageNet; the layers on top of it come with torchmetrics."""

INCEPTION = Backbone(
    "FID",
    "torch-fidelity",
    "torch_fidelity",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth",
)
"""Inception v3 with the weights that FID was defined with."""


class Lpips:
    """Learned perceptual image patch similarity, version 0.1 over AlexNet (Zhang et al. 2018).

    Parameters
    ----------
    weights
        File with the weights of `ALEXNET`; by default the one in the cache of `torch.hub`.

    Raises
    ------
    BackboneError
        If the backbone is not to be had without a download.
    """

    def __init__(self, weights: Path | None = None) -> None:
        with _in_hub(ALEXNET.find(weights), ALEXNET.name):
            self._metric = LearnedPerceptualImagePatchSimilarity(
                net_type="alex", reduction="none", normalize=True
            )

    def __call__(self, rgb: Tensor, true: Tensor) -> Tensor:
        """Perceptual distance of each image from its truth.

        Parameters
        ----------
        rgb, true
            (B, 3, H, W), codes in [0, 1].

        Returns
        -------
        Tensor
            (B,), at least 0, seldom above 1; 0 is best and means equal.
        """
        with torch.no_grad():
            self._metric.update(rgb, true)
            distance: Tensor = self._metric.compute()
        self._metric.reset()
        return distance.reshape(len(rgb))  # of one image it has no axis


class FidResult(NamedTuple):
    """A Fréchet inception distance, and what it stands on."""

    value: float
    """At least 0; 0 is best."""
    images: int
    """Images of the smaller of both sets."""
    features: int
    """Dimensions of the space in which the distance is taken."""

    @property
    def caveat(self) -> str:
        """Why not to trust the value, in one line, or nothing."""
        if self.images > self.features:
            return ""
        return (
            f"unreliable: {self.images} images do not fix the covariance of {self.features} "
            "features, and the fewer they are the larger the distance, for equal quality; compare "
            "sets of the same size alone"
        )


class Fid:
    """Fréchet distance of two sets of images among Inception's features (Heusel et al. 2017).

    It compares distributions and knows no pairs: shuffled colorings of one set are as good as right
    ones. It takes the sets bit by bit and holds but the sums.

    Parameters
    ----------
    weights
        File with the weights of `INCEPTION`; by default the one in the cache of `torch.hub`.
    features
        Another network instead, from (B, 3, H, W) codes in [0, 1] to (B, d). Then it is no FID, and
        is not to be called so.

    Raises
    ------
    BackboneError
        If the backbone is not to be had without a download.
    """

    def __init__(self, weights: Path | None = None, features: nn.Module | None = None) -> None:
        if features is None:
            file = str(INCEPTION.find(weights))
            self._metric = FrechetInceptionDistance(
                normalize=True, feature_extractor_weights_path=file
            )
        else:
            self._metric = FrechetInceptionDistance(features, normalize=True)

    def add(self, rgb: Tensor, *, real: bool) -> None:
        """Add images, (B, 3, H, W), codes in [0, 1], to the real ones or to the others."""
        with torch.no_grad():
            self._metric.update(rgb, real=real)

    def compute(self) -> FidResult:
        """The distance of the sets so far.

        Raises
        ------
        RecolorError
            If a set has fewer than two images.
        """
        metric = self._metric
        counts = int(metric.real_features_num_samples), int(metric.fake_features_num_samples)
        if min(counts) < 2:
            raise RecolorError(
                f"expected at least two images on either side for FID, got {counts[0]} real and "
                f"{counts[1]} others; add more"
            )
        # Rounding can leave a hair below 0.
        value = max(0.0, float(metric.compute()))
        return FidResult(value, min(counts), len(metric.real_features_sum))


@contextmanager
def _in_hub(file: Path, name: str) -> Iterator[None]:
    """Have torch.hub find a file under a name in its cache, wherever the file lies."""
    before = torch.hub.get_dir()
    if file == Path(before) / "checkpoints" / name:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "checkpoints"
        cache.mkdir()
        shutil.copyfile(file, cache / name)
        torch.hub.set_dir(folder)
        try:
            yield
        finally:
            torch.hub.set_dir(before)

"""LPIPS and FID: said to be missing where they are, and torchmetrics' where they are not.

Their backbones are not here. A stand-in for torchvision has the layers of AlexNet with kernels of
one pixel and random weights, so that the values can be computed a second time.
"""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
import torchmetrics
from scipy.linalg import sqrtm
from torch import nn

from recolor_core.errors import RecolorError
from training import perceptual
from training.perceptual import ALEXNET, INCEPTION, BackboneError, Fid, Lpips

CHANNELS = (64, 192, 384, 256, 256)


def installed(monkeypatch, name, **contents):
    """A module of that name that holds this."""
    module = ModuleType(name)
    vars(module).update(contents)
    monkeypatch.setitem(sys.modules, name, module)


def missing(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of torch.hub."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    cache = tmp_path / "torch/hub/checkpoints"
    cache.mkdir(parents=True)
    return cache


def tiny_features():
    layers = []
    for before, after in zip((3, *CHANNELS), CHANNELS, strict=False):
        layers.append((nn.Conv2d(before, after, 1), nn.ReLU()))
    (c1, r1), (c2, r2), (c3, r3), (c4, r4), (c5, r5) = layers
    pool = nn.MaxPool2d(2)
    return nn.Sequential(c1, r1, pool, c2, r2, pool, c3, r3, c4, r4, c5, r5, pool)


@pytest.fixture
def alexnet(tmp_path, hub, monkeypatch):
    """torchvision with a tiny AlexNet, whose weights file is returned: it lies nowhere special."""
    torch.manual_seed(0)
    saved = nn.ModuleDict({"features": tiny_features()}).state_dict()
    file = tmp_path / "mine.pth"
    torch.save(saved, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    backbone = replace(ALEXNET, url=f"https://example.org/tiny-{digest}.pth")
    monkeypatch.setattr(perceptual, "ALEXNET", backbone)

    def build(weights):
        model = nn.Module()
        model.features = tiny_features()
        model.load_state_dict(torch.hub.load_state_dict_from_url(backbone.url, check_hash=True))
        return model

    models = SimpleNamespace(alexnet=build, AlexNet_Weights=SimpleNamespace(DEFAULT=None))
    installed(monkeypatch, "torchvision", models=models)
    for module in ("torchmetrics.image.lpip", "torchmetrics.functional.image.lpips"):
        monkeypatch.setattr(f"{module}._TORCHVISION_AVAILABLE", True)
    return file


def expected_lpips(file, rgb, true):
    """Zhang et al. 2018, equation 1, over the tiny AlexNet and the published linear layers."""
    features = tiny_features()
    features.load_state_dict(
        {name.removeprefix("features."): x for name, x in torch.load(file).items()}
    )
    folder = Path(torchmetrics.__file__).parent
    linear = torch.load(folder / "functional/image/lpips_models/alex.pth", map_location="cpu")
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(3, 1, 1)
    one, other = (((2 * x - 1) - shift) / scale for x in (rgb, true))
    total = 0
    for layer in range(12):
        one, other = features[layer](one), features[layer](other)
        if layer in (1, 4, 7, 9, 11):
            weights = linear[f"lin{(1, 4, 7, 9, 11).index(layer)}.model.1.weight"]
            unit, other_unit = (x / x.norm(dim=1, keepdim=True) for x in (one, other))
            difference = (unit - other_unit).square() * weights[0]
            total = total + difference.sum(1).mean(dim=(1, 2))
    return total.detach().numpy()


# What is missing


@pytest.mark.parametrize(("measure", "package"), [(Lpips, "torchvision"), (Fid, "torch-fidelity")])
def test_a_missing_package_is_said_with_the_remedy(measure, package, monkeypatch):
    missing(monkeypatch, package.replace("-", "_"))
    with pytest.raises(BackboneError, match=f"needs {package}.*run: pip install {package}") as one:
        measure()
    assert "\n" not in str(one.value)
    assert isinstance(one.value, RecolorError)


@pytest.mark.parametrize(
    ("measure", "module", "backbone"),
    [(Lpips, "torchvision", ALEXNET), (Fid, "torch_fidelity", INCEPTION)],
)
def test_missing_or_foreign_weights_are_said_and_never_downloaded(
    measure, module, backbone, hub, monkeypatch
):
    installed(monkeypatch, module)

    def never(*_, **__):
        raise AssertionError("downloaded")

    monkeypatch.setattr(torch.hub, "download_url_to_file", never)
    with pytest.raises(
        BackboneError, match=f"there is no .*; fetch {backbone.url} to there"
    ) as one:
        measure()
    assert str(hub / backbone.name) in str(one.value)
    assert list(hub.iterdir()) == []
    with pytest.raises(BackboneError, match=r"there is no elsewhere\.pth"):
        measure(Path("elsewhere.pth"))
    (hub / backbone.name).write_bytes(b"half a file")
    with pytest.raises(BackboneError, match=r"starts with [0-9a-f]{8}, .* fetch .* anew"):
        measure()


def test_the_published_names_end_with_a_digest():
    assert (ALEXNET.name, INCEPTION.name) == (
        "alexnet-owt-7be5be79.pth",
        "weights-inception-2015-12-05-6726825d.pth",
    )


# LPIPS


@pytest.mark.parametrize("place", ["given", "cached"])
def test_lpips_is_that_of_the_paper(alexnet, hub, place):
    before = torch.hub.get_dir()
    if place == "cached":
        (hub / perceptual.ALEXNET.name).write_bytes(alexnet.read_bytes())
    lpips = Lpips(alexnet if place == "given" else None)
    rgb, true = torch.rand(2, 3, 3, 16, 16)
    distance = lpips(rgb, true)
    np.testing.assert_allclose(distance, expected_lpips(alexnet, rgb, true), rtol=1e-3)
    assert torch.equal(lpips(rgb, true), distance)  # it carries nothing along
    assert lpips(rgb[:1], true[:1]).shape == (1,)
    assert lpips(true, true).tolist() == [0, 0, 0]
    assert torch.hub.get_dir() == before
    assert len(list(hub.iterdir())) == (place == "cached")


# FID


class Means(nn.Module):
    """Features of an image: mean and spread of its channels."""

    num_features = 6

    def forward(self, rgb):
        return torch.cat((rgb.mean(dim=(2, 3)), rgb.std(dim=(2, 3))), 1)


def test_fid_is_the_distance_of_two_gaussians():
    torch.manual_seed(0)
    real, others = torch.rand(20, 3, 8, 8), torch.rand(25, 3, 8, 8) ** 2
    fid = Fid(features=Means())
    for rgb in real.split(7):
        fid.add(rgb, real=True)
    fid.add(others, real=False)
    result = fid.compute()
    one, other = (Means()(rgb).double().numpy() for rgb in (real, others))
    covariances = np.cov(one.T), np.cov(other.T)
    expected = (
        np.square(one.mean(0) - other.mean(0)).sum()
        + np.trace(covariances[0] + covariances[1])
        - 2 * np.trace(sqrtm(covariances[0] @ covariances[1]).real)
    )
    assert result.value == pytest.approx(expected, rel=1e-4)
    assert (result.images, result.features, result.caveat) == (20, 6, "")


def test_fid_on_fewer_images_than_features_says_so():
    torch.manual_seed(0)
    fid = Fid(features=Means())
    fid.add(torch.rand(6, 3, 8, 8), real=True)
    with pytest.raises(RecolorError, match="got 6 real and 0 others"):
        fid.compute()
    fid.add(torch.rand(9, 3, 8, 8), real=False)
    result = fid.compute()
    assert result.images == 6
    assert "unreliable: 6 images do not fix the covariance of 6 features" in result.caveat


def test_fid_does_not_see_shuffled_pairs():
    # which is why it stands beside measures of pairs
    torch.manual_seed(0)
    true = torch.rand(30, 3, 1, 1) * torch.rand(30, 3, 8, 8)
    fid = Fid(features=Means())
    fid.add(true, real=True)
    fid.add(true.roll(1, 0), real=False)
    assert fid.compute().value == pytest.approx(0, abs=1e-6)
    gray = Fid(features=Means())
    gray.add(true, real=True)
    gray.add(true.mean(1, keepdim=True).expand_as(true), real=False)
    assert gray.compute().value > 0.01

"""Choosing where the networks run."""

import pytest
import torch

from recolor_core import DeviceError, device
from recolor_core.device import available_devices, choose_device, out_of_memory


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_the_cpu_is_always_there(no_gpu):
    assert available_devices() == ["cpu"]
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")


def test_the_fastest_comes_first(two_gpus, monkeypatch):
    assert available_devices() == ["cuda", "cuda:1", "cpu"]
    assert choose_device() == torch.device("cuda")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert available_devices() == ["cuda", "cuda:1", "mps", "cpu"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == torch.device("mps")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "meta", "xpu"])
def test_an_absent_device_is_refused_with_those_that_are_there(no_gpu, name):
    with pytest.raises(DeviceError, match=rf"not have the device '{name}', only cpu.*auto"):
        choose_device(name)


@pytest.mark.parametrize("name", ["", "gpu", "cuda:x", "CPU "])
def test_a_name_that_is_none_is_refused_with_those_that_are(no_gpu, name):
    with pytest.raises(DeviceError, match=r"expected a device \(auto, cpu\)"):
        choose_device(name)


def test_a_gpu_beyond_the_last_is_refused(two_gpus):
    with pytest.raises(DeviceError, match="expected a GPU below 2, got 'cuda:2'"):
        choose_device("cuda:2")


def test_the_cpu_stays_in_single_precision():
    with device.autocast(torch.device("cpu")):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == torch.float32


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("expected scalar type Float"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_a_full_memory_is_told_from_other_errors(error, expected):
    assert out_of_memory(error) is expected

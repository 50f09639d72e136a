"""Choosing where the networks run."""

import os
import sys

import pytest
import torch

from recolor_core import DeviceError, device
from recolor_core.device import available_devices, choose_device, out_of_memory


@pytest.fixture(autouse=True)
def driver(monkeypatch):
    """A machine on which PyTorch is asked for GPUs."""
    monkeypatch.setattr(device, "_may_have_gpu", lambda: True)


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
    assert choose_device("auto") == choose_device("cpu") == "cpu"


def test_the_fastest_comes_first(two_gpus, monkeypatch):
    assert available_devices() == ["cuda", "cuda:1", "cpu"]
    assert choose_device() == "cuda"
    assert choose_device("cuda:1") == "cuda:1"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert available_devices() == ["cuda", "cuda:1", "mps", "cpu"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == "mps"


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps"])
def test_an_absent_device_is_refused_with_those_that_are_there(no_gpu, name):
    with pytest.raises(DeviceError, match=rf"not have the device '{name}', only cpu.*auto"):
        choose_device(name)


@pytest.mark.parametrize("name", ["", "gpu", "cuda:x", "CPU ", "meta", "xpu"])
def test_a_name_that_is_none_is_refused_with_those_that_are(no_gpu, name):
    with pytest.raises(DeviceError, match=r"expected a device \(auto, cpu\)"):
        choose_device(name)


def test_a_gpu_beyond_the_last_is_refused(two_gpus):
    with pytest.raises(DeviceError, match="expected a GPU below 2, got 'cuda:2'"):
        choose_device("cuda:2")


def test_the_cpu_stays_in_single_precision():
    with device.autocast("cpu"):
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


# Threads


@pytest.mark.parametrize(
    ("asked", "limit", "expected"),
    [
        ("3", None, 3),
        ("3,1", None, 3),
        ("", None, 4),
        ("many", None, 4),
        ("0", None, 4),
        ("", "max 100000", 4),
        ("", "150000 100000", 2),
        ("", "50000 100000", 1),
        ("", "900000 100000", 4),
    ],
)
def test_threads_are_those_that_were_asked_for_or_may_run(monkeypatch, asked, limit, expected):
    def read_text(path, *_):
        if limit is None:
            raise FileNotFoundError
        return limit

    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(device.Path, "read_text", read_text)
    assert device.thread_count() == expected


def test_a_number_of_threads_is_that_of_pytorch_too(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    before = torch.get_num_threads()
    try:
        device.set_thread_count(2)
        assert device.thread_count() == torch.get_num_threads() == 2
        assert os.environ["OMP_NUM_THREADS"] == "2"
    finally:
        torch.set_num_threads(before)


def test_without_the_driver_of_a_gpu_pytorch_is_not_asked(monkeypatch):
    monkeypatch.setattr(device, "_may_have_gpu", lambda: False)
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it would fail
    assert available_devices() == ["cpu"]
    assert choose_device("auto") == "cpu"

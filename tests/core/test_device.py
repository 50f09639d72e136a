"""Choosing where the networks run."""

import os
import sys
from math import inf

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
        ("3", inf, 3),
        ("3,1", inf, 3),
        ("", inf, 4),
        ("many", inf, 4),
        ("0", inf, 4),
        ("", 1.5, 2),
        ("", 0.5, 1),
        ("", 9.0, 4),
    ],
)
def test_threads_are_those_that_were_asked_for_or_may_run(monkeypatch, asked, limit, expected):
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)  # asked on macOS and Windows
    monkeypatch.setattr(device, "_processor_limit", lambda: limit)
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


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, inf),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "max 100000\n"}, 0.5),
        ("0::/a/b\n", {"cpu.max": "300000 100000\n", "a/b/cpu.max": "200000 100000\n"}, 2),
        (
            "4:memory:/m\n3:cpu,cpuacct:/a\n0::/\n",
            {
                "cpu,cpuacct/a/cpu.cfs_quota_us": "50000\n",
                "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
        (
            "1:cpu:/docker/of-the-host\n",
            {"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            4,
        ),
        (
            "1:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            inf,
        ),
        ("0::/\n", {}, inf),
        ("0::/\n", {"cpu.max": "what?\n"}, inf),
        (None, {}, inf),
    ],
)
def test_the_limit_of_control_groups_counts_in_both_versions(tmp_path, groups, files, expected):
    if groups is not None:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert device._processor_limit(tmp_path) == expected

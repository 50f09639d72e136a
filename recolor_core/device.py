"""Devices: which ones there are, and what they can do.

PyTorch is imported only where there may be a GPU.
"""

import ctypes
import math
import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from recolor_core.arguments import expect
from recolor_core.errors import DeviceError

if TYPE_CHECKING:
    import torch


def choose_device(name: str = "auto") -> str:
    """Choose a device by its name.

    Parameters
    ----------
    name : str
        ``"auto"`` (CUDA, else MPS, else CPU), ``"cpu"``, ``"mps"``, ``"cuda"`` or ``"cuda:1"``.

    Returns
    -------
    str
        The name of a device that this machine has, never ``"auto"``.

    Raises
    ------
    DeviceError
        If this machine does not have the device.
    """
    expect("device", name, str, "text, such as 'auto' or 'cpu'", DeviceError)
    if name == "cpu":
        return name
    available = available_devices()
    if name == "auto":
        return available[0]
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not index.isdecimal()):
        raise DeviceError(
            f"expected a device ({', '.join(['auto', *available])}), got {name!r}; use one of these"
        )
    if kind not in available:
        raise DeviceError(
            f"this machine does not have the device {name!r}, only {', '.join(available)}; use "
            "one of these, or 'auto'"
        )
    count = sum(device.startswith("cuda") for device in available)
    if kind == "cuda" and int(index or 0) >= count:
        raise DeviceError(f"expected a GPU below {count}, got {name!r}; use a lower number")
    return name


def available_devices() -> list[str]:
    """List the devices of this machine, the fastest first; the last one is always ``"cpu"``."""
    devices = []
    if _may_have_gpu():
        import torch

        if torch.cuda.is_available():
            devices += ["cuda", *(f"cuda:{i}" for i in range(1, torch.cuda.device_count()))]
        if torch.backends.mps.is_available():
            devices.append("mps")
    return [*devices, "cpu"]


@cache
def _may_have_gpu() -> bool:
    """Whether to ask PyTorch for GPUs: macOS, or the driver of a GPU is installed."""
    if sys.platform == "darwin" or Path("/dev/kfd").exists():  # Metal, or AMD's driver
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def thread_count() -> int:
    """Number of threads that one image is computed with, at least 1.

    It is PyTorch's number if PyTorch is loaded. Otherwise it is the environment variable
    ``OMP_NUM_THREADS``, as for PyTorch, or the number of processors that this process may use; a
    limit of its control group (of a container, for example) counts.
    """
    if torch := sys.modules.get("torch"):
        return int(torch.get_num_threads())
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    return _processors()


def set_thread_count(count: int) -> None:
    """Set `thread_count` for this process and for PyTorch, whether it is loaded already or not."""
    os.environ["OMP_NUM_THREADS"] = str(count)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(count)


def _processors() -> int:
    """Number of processors that this process may use."""
    if sys.platform == "linux":
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, math.ceil(min(count, _processor_limit())))


def _processor_limit(root: Path = Path("/")) -> float:
    """Number of processors that the control groups of this process allow; infinity without a limit.

    A limit of a group holds for the groups within it. Both versions of control groups count.

    Parameters
    ----------
    root : Path
        Root of the file system.
    """
    limit = math.inf
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except (OSError, ValueError):  # macOS and Windows
        return limit
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / controllers
        group = mount / name.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(mount):
                limit = min(limit, _group_limit(folder))
    return limit


def _group_limit(folder: Path) -> float:
    """Number of processors that one control group allows."""
    try:
        if (version_2 := folder / "cpu.max").exists():
            quota, period = version_2.read_text("ascii").split()
        else:
            quota, period = (
                (folder / f"cpu.cfs_{name}_us").read_text("ascii") for name in ("quota", "period")
            )
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except (OSError, ValueError):  # not shown in this container, or no limit ("max")
        return math.inf


def autocast(device: str) -> "torch.autocast":
    """Compute in bfloat16 on GPUs that have it, and in float32 on the CPU."""
    import torch

    kind = device.partition(":")[0]
    helps = kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(kind, torch.bfloat16, enabled=helps)


def out_of_memory(error: BaseException) -> bool:
    """Whether a GPU reported that its memory is full."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
    )

"""Devices: which ones there are, and what they can do."""

import torch

from recolor_core.errors import DeviceError


def choose_device(name: str = "auto") -> torch.device:
    """Choose a device by its name.

    Parameters
    ----------
    name
        ``"auto"`` (CUDA, else MPS, else CPU), ``"cpu"``, ``"mps"``, ``"cuda"`` or ``"cuda:1"``.

    Raises
    ------
    DeviceError
        If this machine does not have the device.
    """
    if name == "auto":
        return torch.device(available_devices()[0])
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(
            f"expected a device ({', '.join(['auto', *available_devices()])}), got {name!r}; "
            "use one of these"
        ) from error
    if str(device) not in available_devices() and device.type not in available_devices():
        raise DeviceError(
            f"this machine does not have the device {name!r}, only "
            f"{', '.join(available_devices())}; use one of these, or 'auto'"
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"expected a GPU below {torch.cuda.device_count()}, got {name!r}; use a lower number"
        )
    return device


def available_devices() -> list[str]:
    """List the devices of this machine, the fastest first; the last one is always ``"cpu"``."""
    devices = []
    if torch.cuda.is_available():
        devices += ["cuda", *(f"cuda:{i}" for i in range(1, torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [*devices, "cpu"]


def autocast(device: torch.device) -> torch.autocast:
    """Compute in bfloat16 on GPUs that have it, and in float32 on the CPU."""
    helps = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, torch.bfloat16, enabled=helps)


def out_of_memory(error: BaseException) -> bool:
    """Whether a GPU reported that its memory is full."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
    )

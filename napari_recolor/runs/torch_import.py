"""PyTorch is imported only for what needs it, and without stopping the window."""

import ctypes
import importlib.util
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from recolor_core.errors import DeviceWarning

if TYPE_CHECKING:
    from napari_recolor.runs.options import Options
    from napari_recolor.runs.reading import Request


def needs_torch(options: "Options", request: "Request") -> bool:
    """Return whether a run uses PyTorch."""
    from recolor_core.device import available_devices

    on_gpu = options.device != "cpu" and available_devices() != ["cpu"]
    takes_color = options.wishes.color_from is not None
    return on_gpu or takes_color or options.runtime == "torch" or request.time is not None


def load_torch() -> None:
    """Import torch without stopping the window.

    Python holds its global lock while it loads a library, and loading PyTorch's takes a large part
    of a second. A call through ctypes does not hold it; the import then finds the library there.
    """
    if "torch" in sys.modules:
        return
    # Threads that wait for each other must sleep: beside other programs, such as the viewer,
    # spinning made PyTorch several times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    spec = importlib.util.find_spec("torch")
    if spec is not None and spec.origin is not None and sys.platform != "win32":
        for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
            library = Path(spec.origin).parent / "lib" / name
            if library.exists():
                ctypes.CDLL(None).dlopen(bytes(library), ctypes.c_int(2))  # 2: RTLD_NOW
    import torch  # noqa: F401


def preload() -> None:
    """Import what napari and the panel need later, which takes a large part of a second.

    Call it in a thread, so that the window can answer.
    """
    import pandas  # noqa: F401
    import scipy.spatial.transform  # noqa: F401  # napari's camera, when a view is given back
    from skimage.color import lab2rgb  # noqa: F401  # skimage loads its modules on first use

    from recolor_core.hints import spreading  # noqa: F401


def gpu_name(device: str) -> str:
    """Return the name of a GPU, such as "NVIDIA H100"; empty for other devices."""
    if not device.startswith("cuda"):
        return ""
    import torch

    return torch.cuda.get_device_name(device)


def only_our_warnings() -> None:
    """Of the warnings that napari shows from a thread, let through only those for the user."""
    warnings.simplefilter("ignore")
    warnings.simplefilter("always", DeviceWarning)

"""Recolor: colorize gray images so that their gray stays what it was, bit for bit.

The public names are loaded when they are first used: importing this package does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recolor_core.colorizer import Colorization, Colorizer, Settings, colorize
    from recolor_core.errors import (
        DeviceError,
        DeviceWarning,
        HintsError,
        ImageError,
        OutputExistsError,
        RecolorError,
        WeightsError,
    )
    from recolor_core.frames import colorize_frames
    from recolor_core.hints import Hint
    from recolor_core.lab import lab_to_rgb, rgb_to_lab
    from recolor_core.stack import colorize_stack
    from recolor_core.weights import list_weights

_HOME = {
    "Colorization": "colorizer",
    "Colorizer": "colorizer",
    "DeviceError": "errors",
    "DeviceWarning": "errors",
    "Hint": "hints",
    "HintsError": "errors",
    "ImageError": "errors",
    "OutputExistsError": "errors",
    "RecolorError": "errors",
    "Settings": "colorizer",
    "WeightsError": "errors",
    "colorize": "colorizer",
    "colorize_frames": "frames",
    "colorize_stack": "stack",
    "lab_to_rgb": "lab",
    "list_weights": "weights",
    "rgb_to_lab": "lab",
}

__all__ = [
    "Colorization",
    "Colorizer",
    "DeviceError",
    "DeviceWarning",
    "Hint",
    "HintsError",
    "ImageError",
    "OutputExistsError",
    "RecolorError",
    "Settings",
    "WeightsError",
    "colorize",
    "colorize_frames",
    "colorize_stack",
    "lab_to_rgb",
    "list_weights",
    "rgb_to_lab",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("napari-recolor")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

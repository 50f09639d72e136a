from .colorizer import Colorizer, colorize
from .errors import (
    DeviceError,
    DeviceWarning,
    HintsError,
    ImageError,
    OutputExistsError,
    RecolorError,
    WeightsError,
)
from .frames import colorize_frames
from .gray import read_gray
from .hints import Hint, Mask, Region, Stroke
from .lab import lab_to_rgb, rgb_to_lab
from .reference import Reference
from .result import Colorization
from .settings import Setting, Settings, list_settings
from .stack import colorize_stack
from .weights import list_weights

__all__ = [
    "Colorization",
    "Colorizer",
    "DeviceError",
    "DeviceWarning",
    "Hint",
    "HintsError",
    "ImageError",
    "Mask",
    "OutputExistsError",
    "RecolorError",
    "Reference",
    "Region",
    "Setting",
    "Settings",
    "Stroke",
    "WeightsError",
    "colorize",
    "colorize_frames",
    "colorize_stack",
    "lab_to_rgb",
    "list_settings",
    "list_weights",
    "read_gray",
    "rgb_to_lab",
]
__version__: str

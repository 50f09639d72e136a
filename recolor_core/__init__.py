"""Recolor: colorize gray images so that their gray stays what it was, bit for bit.

The public names are those of `__init__.pyi`. Each is loaded when it is first used, so importing
this package does not import torch.
"""

import lazy_loader

_load, _names, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("napari-recolor")
    return _load(name)


def __dir__() -> list[str]:
    return [*_names(), "__version__"]

"""The extra "formats": libraries that few files need, imported when such a file comes."""

from importlib import import_module
from typing import Any

from recolor_core.images.source import Source


def library(source: Source, module: str, what: str) -> Any:
    """The module that reads a format.

    Parameters
    ----------
    source
        The file, for the message.
    module
        The name of the module.
    what
        The format, in words.

    Raises
    ------
    ImageError
        If the module is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        raise source.error(
            f"this is {what}, and the package that reads it is not installed",
            "pip install 'napari-recolor[formats]'",
        ) from None

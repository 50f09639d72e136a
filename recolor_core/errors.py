"""Exceptions. Their messages say what was expected, what came, and what to do."""


class RecolorError(Exception):
    """Base class of the errors that Recolor raises on purpose. The message is one line."""


class ImageError(RecolorError, ValueError):
    """An image, or an array that stands for one, is not supported."""


class WeightsError(RecolorError, ValueError):
    """A weights file is unknown, damaged, or does not fit the networks."""


class HintsError(RecolorError, ValueError):
    """Color hints cannot be read or do not fit the image."""


class FilmError(RecolorError, ValueError):
    """A film cannot be read, colorized as requested, or written."""


class DeviceError(RecolorError, RuntimeError):
    """The device does not exist on this machine, or cannot do the work."""


class RuntimeUnavailableError(DeviceError):
    """The compiled runtime cannot run these networks on this machine."""


class OutputExistsError(RecolorError, FileExistsError):
    """The output exists already and must not be overwritten."""


class StaleOutputError(OutputExistsError):
    """The output was made from another source or in another way, or it is damaged."""


class OutputBusyError(OutputExistsError):
    """Another call is writing the same output."""


class DeviceWarning(UserWarning):
    """Work continued on another device, such as the CPU when the memory of a GPU was full."""


class ImageWarning(UserWarning):
    """An image was read, but something about it needs a look, such as codes that are all dark."""

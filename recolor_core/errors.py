"""What can go wrong: exceptions that say what was expected, what came and the remedy."""


class RecolorError(Exception):
    """Base of every error that Recolor raises on purpose; its message is one line for people."""


class ImageError(RecolorError, ValueError):
    """An image, or an array given as one, cannot be used."""


class WeightsError(RecolorError, ValueError):
    """A weights file is unknown, damaged, foreign or does not fit the networks."""


class HintsError(RecolorError, ValueError):
    """Color hints cannot be read or do not fit the image."""


class DeviceError(RecolorError, RuntimeError):
    """The device asked for is not there or cannot do the work."""


class RuntimeUnavailableError(DeviceError):
    """The compiled runtime cannot run these networks on this machine."""


class OutputExistsError(RecolorError, FileExistsError):
    """The output is there already and may not be overwritten."""


class StaleOutputError(OutputExistsError):
    """The output was made from another source or in another way, or it is damaged."""


class OutputBusyError(OutputExistsError):
    """Another call is writing the same output."""


class DeviceWarning(UserWarning):
    """Work went on elsewhere than asked for, such as on the CPU when a GPU's memory was full."""


class ImageWarning(UserWarning):
    """An image was read, but something about it needs a look, such as codes that are all dark."""

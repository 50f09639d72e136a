"""The error that all preparation steps raise for problems that the user can fix."""

from recolor_core.errors import RecolorError


class PrepareError(RecolorError, ValueError):
    """Data cannot be fetched, cleaned or packed. The message states the problem and the remedy."""

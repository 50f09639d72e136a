"""The error that every step of the preparation raises for what a person can put right."""

from recolor_core.errors import RecolorError


class PrepareError(RecolorError, ValueError):
    """Data cannot be fetched, cleaned or packed; the message says what came and the remedy."""

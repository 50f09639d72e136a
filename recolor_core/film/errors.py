"""Errors and warnings about films."""

from recolor_core.errors import RecolorError


class FilmError(RecolorError, ValueError):
    """A film cannot be read, colorized as requested, or written."""


class FilmWarning(UserWarning):
    """Something about a film that its owner should know; the work continues."""

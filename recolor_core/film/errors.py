"""What can go wrong with films."""

from recolor_core.errors import RecolorError


class FilmError(RecolorError, ValueError):
    """A film cannot be read, colorized as asked, or written."""


class FilmWarning(UserWarning):
    """Something about a film that its owner should know; the work goes on."""

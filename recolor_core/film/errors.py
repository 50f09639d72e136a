"""Errors and warnings about films."""

from recolor_core.errors import FilmError

__all__ = ["FilmError", "FilmWarning"]


class FilmWarning(UserWarning):
    """Something about a film that its owner should know; the work continues."""

"""How long work tells how far it is."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``, also from other threads; a total of 0 is unknown."""


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""

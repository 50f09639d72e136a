"""The type of progress callbacks."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)`` from any thread. If the total is unknown, it is 0."""


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""

"""Connections to events of napari that end when the panel ends."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any


class Connections:
    """Connects slots to event emitters of napari and disconnects them all at once.

    napari cannot disconnect a method of an object that Qt has deleted; a partial it can. The
    partials keep their objects alive until `close`.
    """

    def __init__(self) -> None:
        self._made: list[tuple[Any, Callable[..., None]]] = []

    def connect(self, emitter: Any, slot: Callable[..., None]) -> None:
        """Call a slot whenever an emitter emits."""
        wrapped = partial(slot)
        emitter.connect(wrapped)
        self._made.append((emitter, wrapped))

    def close(self) -> None:
        """End all connections."""
        while self._made:
            emitter, slot = self._made.pop()
            with suppress(AttributeError):  # when Python ends, emitters have lost their parts
                emitter.disconnect(slot)

"""Warnings of one image, while other threads make other images."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any

_show: ContextVar[Callable[..., None] | None] = ContextVar("_show", default=None)
_lock = Lock()
_outer: "list[warnings.catch_warnings[None]]" = []
_images = [0]
_REPEATED = ("default", "module", "once")


@contextmanager
def warnings_shown_by(show: Callable[[Warning | str], None]) -> Iterator[None]:
    """Give the warnings of this thread to a function, and those of other threads to theirs.

    The threads that `recolor_core.pipeline.in_order` starts inside belong to this one. As Python
    does by default, each warning is given once for each place in the code, but anew for each image.
    Filters that ignore warnings or make errors of them hold.

    Parameters
    ----------
    show : callable
        Takes the message of a warning.
    """
    given: set[tuple[str, ...]] = set()

    def show_once(message: Warning | str, *about: Any, **_: Any) -> None:
        key = (str(message), *map(str, about[:3]))
        if key not in given:
            given.add(key)
            show(message)

    token = _show.set(show_once)
    _begin()
    try:
        yield
    finally:
        _show.reset(token)
        _end()


def _begin() -> None:
    with _lock:
        _images[0] += 1
        if _images[0] > 1:
            return
        _outer.append(warnings.catch_warnings())
        _outer[0].__enter__()
        # What Python has given once it keeps for the process, and not for an image.
        warnings.filters[:] = [  # type: ignore[index]
            ("always" if action in _REPEATED else action, *rest)
            for action, *rest in warnings.filters
        ]
        warnings.simplefilter("always", append=True)
        before = warnings.showwarning

        def dispatch(*about: Any, **more: Any) -> None:
            (_show.get() or before)(*about, **more)

        warnings.showwarning = dispatch


def _end() -> None:
    with _lock:
        _images[0] -= 1
        if not _images[0]:
            _outer.pop().__exit__(None, None, None)

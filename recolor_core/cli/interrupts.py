"""How a call ends that somebody ends."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

DONE, BUG, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end a call as Ctrl-C does: what is half done is removed."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

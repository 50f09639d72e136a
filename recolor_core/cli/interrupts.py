"""Exit codes and signal handling."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

DONE, BUG, BAD_INPUT, UNDECIDED, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 3, 130, 141
"""Exit codes. The last one is what a shell reports of a program that SIGPIPE ended."""


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end a call as Ctrl-C does: what is half done is removed.

    A signal that is ignored stays ignored, as under nohup.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""OpenEXR, by its own library (an extra): linear light in floating point."""

import ctypes
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.images.extras import library
from recolor_core.images.image import LINEAR, Metadata, Stored
from recolor_core.images.source import Source

SIGNATURE = b"\x76\x2f\x31\x01"
_COLORS = (("R", "G", "B"), ("Y",), ("L",))


def read(source: Source) -> list[Stored]:
    """The first part of an OpenEXR file."""
    exr = library(source, "OpenEXR", "OpenEXR")
    with_file = partial(_with_file, source)
    header, channels, parts = with_file(partial(_header, exr))
    names = next((names for names in _COLORS if all(n in channels for n in names)), None)
    if names is None:
        raise source.error(
            f"its channels are {', '.join(sorted(channels))}, R, G and B or Y are expected",
            "save the image that you mean as an OpenEXR of its own",
        )
    (left, top), (right, bottom) = (np.asarray(corner).tolist() for corner in header["dataWindow"])
    height, width = bottom - top + 1, right - left + 1
    has_alpha = "A" in channels
    wanted = (*names, "A") if has_alpha else names
    left_out = sorted(set(channels) - set(wanted))
    notes = ["linear light; pass levels for what is black and white if it exceeds 0 to 1"]
    if parts > 1:
        notes.append("the first of several parts")
    if left_out:
        notes.append(f"channels left out: {', '.join(left_out)[:200]}")
    return [
        Stored(
            height=height,
            width=width,
            model="gray" if len(names) == 1 else "rgb",
            bits=32,
            is_float=True,
            alpha=has_alpha,
            decode=lambda: with_file(partial(_pixels, exr, wanted)),
            space=LINEAR,
            notes=notes,
            metadata=Metadata(premultiplied=has_alpha),
        )
    ]


def _with_file(source: Source, step: Callable[[str], Any]) -> Any:
    """What a step gives for the file, or for a temporary copy of a stream: the library opens it."""
    with _silence:
        if source.path:
            return step(str(source.path))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "image.exr")
            path.write_bytes(source.read())
            return step(str(path))


class _Silence:
    """Keeps what the library prints about damaged files out of standard output and error.

    Both belong to the whole process, so one thread at a time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._saved: list[tuple[int, int]] = []

    def __enter__(self) -> None:
        self._lock.acquire()
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, OSError, ValueError):  # there may be none
                stream.flush()
        self._printed = redirect_stdout(StringIO())  # some of it goes through Python
        self._printed.__enter__()
        nothing = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            with suppress(OSError):
                self._saved.append((number, os.dup(number)))
                os.dup2(nothing, number)
        os.close(nothing)

    def __exit__(self, *_: object) -> None:
        self._printed.__exit__(None, None, None)
        with suppress(OSError, AttributeError, TypeError):  # what the library has in its buffers
            ctypes.CDLL(None).fflush(None)
        for number, saved in self._saved:
            os.dup2(saved, number)
            os.close(saved)
        self._saved.clear()
        self._lock.release()


_silence = _Silence()


def _header(exr: Any, name: str) -> tuple[dict[str, Any], set[str], int]:
    file = exr.File(name, separate_channels=True, header_only=True)
    header = file.header()
    return header, {channel.name for channel in header["channels"]}, len(file.parts)


def _pixels(exr: Any, names: tuple[str, ...], name: str) -> NDArray[Any]:
    channels = exr.File(name, separate_channels=True).channels()
    return np.dstack([channels[channel].pixels.astype(np.float32) for channel in names])

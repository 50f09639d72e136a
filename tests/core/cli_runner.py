"""Runs the command inside the tests' own process: importing torch costs seconds."""

import os
import sys
from dataclasses import dataclass
from functools import cache
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import BinaryIO
from unittest.mock import patch

import numpy as np
import tifffile
from PIL import Image

from recolor_core.cli import main
from recolor_core.colorizer import Colorizer
from recolor_core.lab import gray_codes
from recolor_core.result import Colorization
from recolor_core.weights import open_weights

FAST = ("--size", "32")
_open_once = cache(open_weights)


@dataclass
class Call:
    code: int
    out: bytes
    err: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("recolor: ")]


def recolor(*words: object, stdin: bytes = b"", stdout: BinaryIO | None = None) -> Call:
    """What ``recolor WORDS...`` does; the weights are read once, and a batch works in here too."""
    out, err = stdout or BytesIO(), BytesIO()
    streams = {
        "stdin": TextIOWrapper(BytesIO(stdin)),
        "stdout": TextIOWrapper(out, encoding="utf-8", write_through=True),
        "stderr": TextIOWrapper(err, encoding="utf-8", write_through=True),
    }
    code = 0
    with (
        patch.multiple(sys, argv=["recolor", *map(str, words)], **streams),
        patch.dict(os.environ),
        patch("recolor_core.colorizer.open_weights", _open_once),
        patch("recolor_core.cli.batch.ONE_PROCESS", "serial"),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        for stream in streams.values():
            stream.detach()
    printed = out.getvalue() if isinstance(out, BytesIO) else b""
    return Call(code, printed, err.getvalue().decode())


def by_library(codes: np.ndarray, **settings: object) -> Colorization:
    """What `recolor_core` makes of an array."""
    with patch("recolor_core.colorizer.open_weights", _open_once):
        return Colorizer()(codes, **settings)


def pixels(path: Path) -> np.ndarray:
    """The codes of a file, read by other software than recolor."""
    if path.suffix == ".tif":
        return tifffile.imread(path)
    with Image.open(path) as image:
        return np.asarray(image)


def gray_of(rgb: np.ndarray) -> np.ndarray:
    return gray_codes(rgb)


def photo(height: int = 40, width: int = 56, dtype: type = np.uint8) -> np.ndarray:
    """Something to look at: a bright sky over dark waves, every code of it different."""
    y, x = np.mgrid[:height, :width]
    waves = 0.25 + 0.2 * np.sin(x / 5 + y / 3) * (y > height / 2) + 0.6 * (y < height / 2)
    noise = np.random.default_rng(7).normal(0, 0.02, (height, width))
    unit = np.clip(waves + noise, 0, 1)
    return (
        unit.astype(dtype)
        if np.dtype(dtype).kind == "f"
        else np.rint(unit * np.iinfo(dtype).max).astype(dtype)
    )


def files(folder: Path) -> list[str]:
    """Everything below a folder, hidden files too."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())

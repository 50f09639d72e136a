"""What the frozen generator predicts, kept on disk: the refiner's trainer need not ask it again."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from recolor_core.errors import RecolorError
from recolor_core.files import write_file
from recolor_core.lab import rgb_to_lab
from recolor_core.models.config import SCALE
from recolor_core.models.generator import Generator


class CacheError(RecolorError, ValueError):
    """A folder of predictions cannot be used."""


@dataclass(frozen=True)
class PredictionCache:
    """Photographs and the color distributions that a generator predicts for them.

    Both lie memory-mapped in a folder, so that many loader processes share them.

    Parameters
    ----------
    rgb
        (N, 3, S, S) uint8: sRGB codes.
    logits
        (N, Q, S / 4, S / 4) float16: of the color bins.
    generator
        Identifies the generator that predicted them.
    """

    rgb: NDArray[np.uint8]
    logits: NDArray[np.float16]
    generator: str

    def __len__(self) -> int:
        return len(self.rgb)

    @classmethod
    def open(cls, folder: str | Path, generator: str) -> "PredictionCache":
        """The predictions of a folder; those that are there already, where it is still written.

        Raises
        ------
        CacheError
            If there is no cache, or another generator predicted it.
        """
        folder = Path(folder)
        try:
            about = json.loads((folder / "cache.json").read_text(encoding="utf-8"))
            done, found = int(about["done"]), str(about["generator"])
            rgb = np.load(folder / "rgb.npy", mmap_mode="r")[:done]
            logits = np.load(folder / "logits.npy", mmap_mode="r")[:done]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CacheError(
                f"{folder} holds no readable cache of predictions ({error}); remove it and have "
                "it written again"
            ) from error
        if found != generator:
            raise CacheError(
                f"{folder} holds predictions of the generator {found}, expected those of "
                f"{generator}; give another folder for the cache"
            )
        return cls(rgb, logits, found)


@torch.inference_mode()
def write_predictions(
    folder: str | Path,
    generator: Generator,
    name: str,
    photographs: "Dataset[Tensor]",
    order: Sequence[int],
    *,
    device: torch.device | str = "cpu",
    precision: torch.dtype = torch.float32,
    batch: int = 8,
) -> Iterator[int]:
    """Predict photographs into a folder, going on where an earlier run stopped.

    Parameters
    ----------
    folder
        Made where it is not there.
    generator
        In inference mode.
    name
        Identifies the generator, such as by the SHA-256 of its weights.
    photographs
        Each a square (3, S, S) uint8 of sRGB codes, S a multiple of 32.
    order
        Which of them, in which order.
    device, precision
        Where and how the generator computes; `torch.bfloat16` is half the time where it is known.
    batch
        Photographs at a time.

    Yields
    ------
    int
        How many are done, after each batch.

    Raises
    ------
    CacheError
        If the folder holds predictions of something else.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    side = photographs[int(order[0])].shape[-1]
    digest = hashlib.sha256(np.asarray(order, np.int64).tobytes())
    for number in (order[0], order[-1]):  # stand for all: whether the images are the same ones
        digest.update(photographs[int(number)].numpy().tobytes())
    about = {"generator": name, "photographs": digest.hexdigest()}
    state = folder / "cache.json"
    coarse = (len(order), len(generator.bins), side // SCALE, side // SCALE)
    if state.exists():
        known = json.loads(state.read_text(encoding="utf-8"))
        done = int(known.pop("done"))
        if known != about:
            raise CacheError(f"{folder} holds predictions of something else; give another folder")
        rgb = np.load(folder / "rgb.npy", mmap_mode="r+")
        logits = np.load(folder / "logits.npy", mmap_mode="r+")
    else:
        done = 0
        shape = (len(order), 3, side, side)
        rgb = np.lib.format.open_memmap(folder / "rgb.npy", "w+", np.uint8, shape)
        logits = np.lib.format.open_memmap(folder / "logits.npy", "w+", np.float16, coarse)
    generator.to(device)
    while done < len(order):
        rows = [int(i) for i in order[done : done + batch]]
        codes = torch.stack([photographs[i] for i in rows])
        lightness = rgb_to_lab(codes.to(device))[:, :1]
        with torch.autocast(torch.device(device).type, precision, precision != torch.float32):
            predicted = generator(lightness)
        rgb[done : done + len(rows)] = codes.numpy()
        logits[done : done + len(rows)] = predicted.to(torch.float16).cpu().numpy()
        done += len(rows)
        write_file(state, json.dumps({**about, "done": done}))
        yield done

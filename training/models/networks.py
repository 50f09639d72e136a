"""The shipped networks, run the same way as for a user's image, and the original recipe."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from recolor_core.colorizer import Colorizer
from recolor_core.files import sha256_of
from recolor_core.gray import read_gray
from recolor_core.hints import Hint
from recolor_core.result import Coarse, Colorization
from recolor_core.settings import Settings
from training.models.interface import Model, Prediction, enlarge, lightness_of


class Chain:
    """A `Colorizer` that remembers the last image, so that models can share work.

    Seconds are processor time on a CPU and wall time on other devices.

    Parameters
    ----------
    weights, device, runtime
        As in `Colorizer`.
    settings
        Settings of the colorizer.
    """

    def __init__(self, weights: str, device: str, runtime: str, settings: Settings) -> None:
        self.colorizer = Colorizer(weights, device, runtime)
        self.settings = settings
        on_cpu = self.colorizer.device == "cpu"
        self.clock = time.process_time if on_cpu else time.perf_counter
        self._coarse: tuple[bytes, Coarse, float] | None = None
        self._result: tuple[tuple[Any, ...], Colorization, float] | None = None

    def generate(self, gray: NDArray[np.uint8]) -> tuple[Coarse, float]:
        """Return the generator's output for the image, and the seconds it took."""
        codes = gray.tobytes()
        if self._coarse is None or self._coarse[0] != codes:
            started = self.clock()
            coarse = self.colorizer.generate(read_gray(gray), self.settings)
            self._coarse = (codes, coarse, self.clock() - started)
        return self._coarse[1:]

    def refine(
        self, gray: NDArray[np.uint8], hints: Sequence[Hint], alternatives: int
    ) -> tuple[Colorization, float]:
        """Return the colorized image, and the seconds it took without the generator."""
        coarse, _ = self.generate(gray)
        key = (gray.tobytes(), tuple(hints), alternatives)
        if self._result is None or self._result[0] != key:
            started = self.clock()
            settings = replace(self.settings, alternatives=alternatives)
            result = self.colorizer.refine(coarse, settings, hints)
            self._result = (key, result, self.clock() - started)
        return self._result[1:]


class Network(Model):
    """The shipped networks as a model.

    Parameters
    ----------
    chain
        Shared by models with the same weights.
    refined
        If true, use the refiner; otherwise upsample the generator's prediction bicubically.
    hints
        Number of hints.
    alternatives
        Number of additional colorings.
    """

    def __init__(self, chain: Chain, refined: bool, hints: int = 0, alternatives: int = 0) -> None:
        name, title = (
            ("refined", "refined") if refined else ("coarse", "coarse, bicubic upsampling")
        )
        if hints:
            name, title = f"{name}-hints-{hints}", f"{title}, {hints} hint{'s' * (hints > 1)}"
        if alternatives:
            name = f"{name}-best-of-{alternatives}"
            title = f"{title}, best of it and {alternatives} alternatives"
        super().__init__(name, title)
        self.chain, self.refined = chain, refined
        self.hints, self.alternatives = hints, alternatives

    @property
    def settings(self) -> dict[str, Any]:
        """See `Model.settings`."""
        return {
            **asdict(self.chain.settings),
            "weights": self.chain.colorizer.record.sha256,
            "runtime": self.chain.colorizer.runtime.as_record(),
            "alternatives": self.alternatives,
        }

    def predict(self, gray: NDArray[np.uint8], hints: Sequence[Hint] = ()) -> Prediction:
        """Predict colors as described in `Model.predict`.

        Without the refiner, the time includes only the generator and the upsampling.
        """
        _, generator = self.chain.generate(gray)
        result, refiner = self.chain.refine(gray, hints, self.alternatives)
        started = self.chain.clock()
        ab = enlarge(result.ab_refined if self.refined else result.ab_coarse, gray.shape)
        upsampling = self.chain.clock() - started
        return Prediction(
            ab,
            None if self.refined else result.ab_coarse,
            result.uncertainty,
            tuple(enlarge(other, gray.shape) for other in result.ab_alternatives),
            result,
            generator + (refiner if self.refined else upsampling),
        )


class Original(Model):
    """The original recipe: low-level ResNet-101 encodings, a small decoder, L1.

    Parameters
    ----------
    path
        Checkpoint of `training.original`.
    """

    def __init__(self, path: Path) -> None:
        from training.original import load_original

        super().__init__("original", "original recipe: low-level encodings, L1")
        self.network: nn.Module = load_original(path).eval()
        self.sha256 = sha256_of(path)

    @property
    def settings(self) -> dict[str, Any]:
        """See `Model.settings`."""
        return {"checkpoint": self.sha256}

    @torch.inference_mode()
    def predict(self, gray: NDArray[np.uint8], hints: Sequence[Hint] = ()) -> Prediction:
        """See `Model.predict`."""
        light = torch.from_numpy(lightness_of(gray))[None, None]
        coarse = self.network(light)[0].float().numpy()
        return Prediction(enlarge(coarse, gray.shape), coarse)

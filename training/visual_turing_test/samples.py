"""The samples that a two-sample test compares: features of photographs and of other images."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track

from recolor_core.lab import gray_codes
from training.visual_turing_test.classifiers import Array
from training.visual_turing_test.features import grouped_statistics, planes
from training.visual_turing_test.pairs import Pairs, read_image


@dataclass(frozen=True)
class Seen:
    """Features of images, in the same order for all kinds.

    Parameters
    ----------
    names, groups
        Name and group of each of the K statistics; see `grouped_statistics`.
    statistics
        (N, K) float32 for each kind of image: ``"real"``, ``"gray"``, and ``"colored: NAME"``.
    planes
        (N, 3, 64, 64) float16 for each kind of image.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    statistics: Mapping[str, Array]
    planes: Mapping[str, Array]


def see(pairs: Pairs) -> Seen:
    """Return the features of all images of the pairs and of the grayscale photographs."""
    statistics: dict[str, list[Array]] = {}
    small: dict[str, list[Array]] = {}
    columns: list[tuple[str, str]] = []
    for pair in track(pairs.pairs, "Features", console=Console(stderr=True)):
        real = read_image(pairs.folder / pair.real)
        gray = gray_codes(real)
        kinds = {"real": real, "gray": np.repeat(gray[..., None], 3, axis=2)}
        for name, file in pair.colored.items():
            kinds[colored(name)] = read_image(pairs.folder / file)
        for kind, rgb in kinds.items():
            measured = {
                (name, group): value
                for group, values in grouped_statistics(rgb).items()
                for name, value in values.items()
            }
            columns = [*measured]
            statistics.setdefault(kind, []).append(np.array([*measured.values()], np.float32))
            small.setdefault(kind, []).append(planes(rgb))
    return Seen(
        tuple(name for name, _ in columns),
        tuple(group for _, group in columns),
        {kind: np.stack(values) for kind, values in statistics.items()},
        {kind: np.stack(values) for kind, values in small.items()},
    )


def samples(features: Mapping[str, Array], other: str, control: bool) -> tuple[Array, Array]:
    """Return both samples of a comparison; photographs are compared in random halves."""
    real = features["real"]
    if control and other == "real":
        half = len(real) // 2  # the order is already random
        return real[:half], real[half : 2 * half]
    return real, features[other if control else colored(other)]


def colored(weights: str) -> str:
    """Return the kind of the images that were colorized with weights of this name."""
    return f"colored: {weights}"

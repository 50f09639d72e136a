"""Recipes: everything that decides what a training gives, in one TOML file each."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self

from recolor_core.errors import RecolorError
from recolor_core.models.config import GeneratorConfig, MemoryConfig, RefinerConfig


class TrainingError(RecolorError, RuntimeError):
    """A training cannot start or go on; what was saved last is kept."""


@dataclass(frozen=True)
class Recipe:
    """What both trainings have in common.

    Parameters
    ----------
    steps
        Number of optimizer steps.
    batch
        Number of photographs per step, over all devices together.
    size
        Side of the squares that are trained on, in pixels, a multiple of 32.
    seed
        Random seed of the training.
    learning_rate
        Peak learning rate of AdamW.
    path_rates
        Factor on the learning rate by the beginning of a parameter's name; 0 freezes, batch
        normalization included.
    warm_up
        Steps of linear increase of the learning rate, before its cosine decrease to 0.
    weight_decay
        Weight decay of AdamW; biases and normalization have none.
    max_grad_norm
        Maximum norm of the gradient; longer gradients are scaled down to it.
    ema_decay
        Final decay of the exponential moving average of the weights, which is validated and
        exported. It is ramped up, so that the first steps do not weigh on a short run.
    precision
        Lightning's precision: ``"bf16-mixed"``, ``"32-true"``, ...
    pretrained
        Weights to begin with, as `load_pretrained` takes them, such as ``"torchvision"``; ``""``
        trains from scratch.
    log_every, validate_every, checkpoint_every
        Interval in steps.
    patience
        Number of validations without improvement after which training stops; 0 never stops
        early.
    """

    kind: ClassVar[str]

    steps: int = 10_000
    batch: int = 64
    size: int = 224
    seed: int = 0
    learning_rate: float = 3e-4
    path_rates: Mapping[str, float] = field(default_factory=dict)
    warm_up: int = 200
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    ema_decay: float = 0.999
    precision: str = "bf16-mixed"
    pretrained: str = ""
    log_every: int = 20
    validate_every: int = 500
    checkpoint_every: int = 500
    patience: int = 0

    def __post_init__(self) -> None:
        positive = (
            "steps",
            "batch",
            "learning_rate",
            "max_grad_norm",
            "log_every",
            "validate_every",
        )
        for name in (*positive, "checkpoint_every"):
            if not getattr(self, name) > 0:
                raise TrainingError(f"expected {name} above 0, got {getattr(self, name)}")
        if self.size % 32 or self.size <= 0:
            raise TrainingError(f"expected size to be a multiple of 32, got {self.size}")

    @classmethod
    def read(cls, path: Path | None, overrides: Mapping[str, Any] | None = None) -> Self:
        """The recipe of a TOML file, with some of its values replaced.

        Parameters
        ----------
        path
            None for the default values.
        overrides
            Values by name; text is read as TOML.

        Raises
        ------
        TrainingError
            If the file cannot be read, or a name or a type is wrong.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8")) if path else {}
        except (OSError, ValueError) as error:
            raise TrainingError(f"{path} cannot be read as a recipe: {error}") from error
        for name, value in (overrides or {}).items():
            values[name] = _toml_value(value) if isinstance(value, str) else value
        return cls.of(values)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Make a recipe of values by name, as `dataclasses.asdict` gives them."""
        defaults = {f.name: getattr(cls(), f.name) for f in fields(cls)}
        for name, value in values.items():
            if name not in defaults:
                raise TrainingError(
                    f"a recipe for the {cls.kind} has no {name!r}; it has {', '.join(defaults)}"
                )
            default = defaults[name]
            number = isinstance(default, float) and type(value) in (int, float)
            if type(value) is not type(default) and not number and not _is_list(value, default):
                raise TrainingError(
                    f"expected {name} to be a {type(default).__name__} such as {default!r}, got "
                    f"{value!r}"
                )
        fitting: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**fitting)


@dataclass(frozen=True)
class GeneratorRecipe(Recipe):
    """How to train a generator.

    Parameters
    ----------
    grid, width, decoder, attention
        As in `GeneratorConfig`.
    neighbors, sigma
        Number of bins and standard deviation, in Lab units, of the soft encoding of colors.
    pixels
        Number of coarse pixels per image in the loss, drawn anew at each step; 0 uses all.
    chroma
        Additional weight per Lab unit of chroma.
    regression
        Weight of the Huber loss on the decoded color, at the temperature that is validated.
    rebalance
        Fraction of the uniform distribution in the class rebalancing, in [0, 1]; 1 turns it off.
    rebalance_from
        Fraction of the steps after which rebalancing begins.
    zoom
        Smallest side of a crop as a fraction of the image's.
    mount_probability
        Probability with which a photograph lies within a neutral border.
    degrade_probability
        Probability with which the lightness of an image is made to look old.
    drop_path
        Probability with which a residual block of the semantic path is skipped in training
        (stochastic depth, Huang et al. 2016), against memorizing.
    ensemble
        Names or paths of weights, separated by commas, whose generators together teach this one:
        the mean of the distributions that they predict of the image as it was before damage, and
        of its mirror image. ``""`` turns it off.
    ensemble_weight
        With an ensemble, how much of what is learned is its prediction rather than the truth, in
        [0, 1].
    teacher
        Weights of a semantic path that sees color, in a form that `pretrained` takes: the
        semantic path of the generator learns to see the same in gray. ``""`` turns it off.
    distill
        With a teacher, weight of the share of what it sees that is not seen in gray.
    """

    kind: ClassVar[str] = "generator"

    grid: int = 10
    width: int = 320
    decoder: tuple[int, int, int] = (256, 128, 96)
    attention: int = 2
    neighbors: int = 5
    sigma: float = 5.0
    pixels: int = 784
    chroma: float = 0.05
    regression: float = 1.0
    rebalance: float = 0.9
    rebalance_from: float = 0.7
    zoom: float = 0.6
    mount_probability: float = 0.0
    degrade_probability: float = 0.3
    drop_path: float = 0.0
    ensemble: str = ""
    ensemble_weight: float = 0.5
    teacher: str = ""
    distill: float = 2.0

    @property
    def network(self) -> GeneratorConfig:
        """The shape of the network."""
        return GeneratorConfig(self.grid, self.width, self.decoder, self.attention)


@dataclass(frozen=True)
class RefinerRecipe(Recipe):
    """How to train a refiner.

    Parameters
    ----------
    width, blocks, detail
        As in `RefinerConfig`.
    generator
        Name or path of the weights whose generator is to be refined.
    crop
        Side of the crops that are trained on, in pixels, a multiple of 4.
    temperature
        Range of the temperatures of the coarse ab.
    hint_probability
        Probability with which an image has hints.
    max_hints
        Maximum number of hints in an image; small numbers are as frequent as large ones.
    soften_probability
        Probability with which the coarse ab of an image is the true one in other colors, blurred.
    knee
        Of the Charbonnier loss, Lab units.
    edges
        Additional weight of the pixels at color edges.
    """

    kind: ClassVar[str] = "refiner"

    width: int = 32
    blocks: int = 2
    detail: int = 4
    generator: str = "default"
    crop: int = 128
    temperature: tuple[float, float] = (0.36, 1.0)
    hint_probability: float = 0.4
    max_hints: int = 50
    soften_probability: float = 0.2
    knee: float = 10.0
    edges: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop % 4 or not 0 < self.crop <= self.size:
            raise TrainingError(
                f"expected crop to be a multiple of 4 up to size {self.size}, got {self.crop}"
            )

    @property
    def network(self) -> RefinerConfig:
        """The shape of the network."""
        return RefinerConfig(self.width, self.blocks, self.detail)


@dataclass(frozen=True)
class MemoryRecipe(Recipe):
    """How to train a color memory.

    Parameters
    ----------
    width
        As in `MemoryConfig`.
    generator
        Name or path of the weights whose generator colors the frames.
    crop
        Side of the frames that are trained on, in pixels, a multiple of 32.
    frames
        Number of frames of a clip.
    knee
        Of the Charbonnier loss on the true color, Lab units.
    consistency
        Weight of what differs from the frame before, beyond what the true colors do.
    transitions
        Probability with which a clip has a fade, a dissolve or leader.
    """

    kind: ClassVar[str] = "memory"

    width: int = 32
    generator: str = "default"
    crop: int = 128
    frames: int = 8
    knee: float = 2.0
    consistency: float = 3.0
    transitions: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.transitions <= 1:
            raise TrainingError(f"expected transitions from 0 to 1, got {self.transitions}")
        if self.crop % 32 or not 0 < self.crop <= self.size:
            raise TrainingError(
                f"expected crop to be a multiple of 32 up to size {self.size}, got {self.crop}"
            )
        if self.frames < 2:
            raise TrainingError(f"expected clips of 2 frames or more, got frames = {self.frames}")

    @property
    def network(self) -> MemoryConfig:
        """The shape of the network."""
        return MemoryConfig(self.width)


def _is_list(value: Any, default: Any) -> bool:
    return isinstance(default, tuple) and isinstance(value, list) and len(value) == len(default)


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # a string without quotes

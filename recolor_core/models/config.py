"""The shapes of the networks, as a weights file stores them, and what follows from the shapes."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Self, get_type_hints

from recolor_core.errors import WeightsError

SCALE = 4
"""How many times finer than the coarse ab the refined one is, along each axis."""


@dataclass(frozen=True)
class Whole:
    """The whole numbers that a field of a configuration may have.

    Parameters
    ----------
    low, high : int
        The smallest and the largest.
    multiple : int
        They are multiples of this number.
    """

    low: int
    high: int
    multiple: int = 1

    def __contains__(self, value: object) -> bool:
        return type(value) is int and self.low <= value <= self.high and value % self.multiple == 0

    def __str__(self) -> str:
        number = f"a multiple of {self.multiple}" if self.multiple > 1 else "a whole number"
        return f"{number} from {self.low} to {self.high}"


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of a network. Each field is annotated with the numbers that it may have.

    The upper limits keep a damaged or hostile weights file from asking for all of the memory.

    Raises
    ------
    WeightsError
        If a field has another value.
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self), include_extras=True)
        for field in fields(self):
            value, (allowed,) = getattr(self, field.name), hints[field.name].__metadata__
            length = len(field.default) if isinstance(field.default, tuple) else None
            numbers = value if length and isinstance(value, tuple) else (value,)
            if len(numbers) != (length or 1) or not all(n in allowed for n in numbers):
                wanted = f"{length} numbers, each {allowed}" if length else str(allowed)
                raise WeightsError(f"expected {field.name} as {wanted}, got {value!r}")

    @classmethod
    def from_json(cls, values: object) -> Self:
        """The configuration that `dataclasses.asdict` and JSON made of one.

        Parameters
        ----------
        values : object
            A mapping from the names of the fields to whole numbers or lists of them. Fields that
            are missing have their defaults.

        Raises
        ------
        WeightsError
            If it is not a configuration of this network.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(values, Mapping) or not known.issuperset(values):
            raise WeightsError(f"expected a mapping of {', '.join(sorted(known))}, got {values!r}")
        lists_as_tuples: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**lists_as_tuples)


@dataclass(frozen=True)
class GeneratorConfig(NetworkConfig):
    """The shape of a `Generator`.

    Parameters
    ----------
    grid : int
        Side of the square ab cells that are the classes, in Lab units.
    width : int
        Channels of the 1/32 level; the attention has a head for every 64 of them.
    decoder : tuple of int
        Channels of the decoder at 1/16, 1/8 and 1/4 of the working size.
    attention : int
        Number of attention blocks at 1/32.
    """

    grid: Annotated[int, Whole(5, 50)] = 10
    width: Annotated[int, Whole(64, 1024, multiple=64)] = 320
    decoder: Annotated[tuple[int, int, int], Whole(1, 1024)] = (256, 128, 96)
    attention: Annotated[int, Whole(0, 16)] = 2

    @property
    def multiple(self) -> int:
        """The network pads its input to a multiple of this number of pixels."""
        return 32


@dataclass(frozen=True)
class RefinerConfig(NetworkConfig):
    """The shape of a `Refiner`.

    Parameters
    ----------
    width : int
        Channels of the body; the finer levels have fewer in proportion.
    blocks : int
        Number of residual blocks of the body.
    detail : int
        0, or the side of square blocks of cells of the coarse ab. The means over these blocks are
        left to the coarse ab: the refiner adds only what is finer. Otherwise a refiner would fade
        colors that the generator is unsure of, and wash out hints.
    """

    width: Annotated[int, Whole(8, 512)] = 32
    blocks: Annotated[int, Whole(0, 64)] = 2
    detail: Annotated[int, Whole(0, 64)] = 0

    @property
    def multiple(self) -> int:
        """Tiles have to begin at multiples of this number of pixels."""
        return SCALE * max(self.detail, 1)

    @property
    def halo(self) -> int:
        """How far around a pixel its color may depend on the image, in pixels.

        A multiple of `multiple`. A tile that sees this much of its surroundings gets the same
        colors as the whole image.
        """
        # In cells of the coarse ab: two for each block, and the other convolutions. Then bicubic
        # interpolation between the means of blocks of `detail` cells, which reaches 2.5 of them.
        cells = 2 * self.blocks + 9 + 3 * self.detail
        return -(-SCALE * cells // self.multiple) * self.multiple


@dataclass(frozen=True)
class MemoryConfig(NetworkConfig):
    """The shape of a `ColorMemory`.

    Parameters
    ----------
    width : int
        Channels of the encodings and of the state of each layer.
    """

    width: Annotated[int, Whole(1, 256)] = 32

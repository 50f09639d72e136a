"""The table of the networks that a weights file holds."""

from collections.abc import Callable
from typing import Any

from recolor_core.models.generator import Generator
from recolor_core.models.memory import ColorMemory
from recolor_core.models.refiner import Refiner

Network = Generator | Refiner | ColorMemory

NETWORKS: dict[str, Callable[[Any], Network]] = {
    "generator": Generator,
    "refiner": Refiner,
    "memory": ColorMemory,
}
"""What builds each network from its configuration; see `recolor_core.weights.CONFIGS`."""

"""The trainers of the networks: a `Recipe`, a `Task` made from it, and `fit`.

They need the extra ``train``: ``pip install "napari-recolor[train]"``. Nothing else in
`recolor_core` imports them.
"""

from importlib.util import find_spec

if find_spec("lightning") is None:
    raise ImportError(
        "recolor_core.trainer needs packages that are not installed (lightning); run "
        'pip install "napari-recolor[train]"'
    )

from recolor_core.trainer.cache import CacheError, PredictionCache, write_predictions
from recolor_core.trainer.data import CachedPhotographs, OneBatch, Photographs
from recolor_core.trainer.generator import GeneratorTask
from recolor_core.trainer.loop import Machine, Outcome, fit, read_checkpoint
from recolor_core.trainer.memory import MemoryTask
from recolor_core.trainer.pretrained import frozen_generator, load_pretrained
from recolor_core.trainer.recipe import (
    GeneratorRecipe,
    MemoryRecipe,
    Recipe,
    RefinerRecipe,
    TrainingError,
)
from recolor_core.trainer.refiner import RefinerTask
from recolor_core.trainer.task import Task

__all__ = [
    "CacheError",
    "CachedPhotographs",
    "GeneratorRecipe",
    "GeneratorTask",
    "Machine",
    "MemoryRecipe",
    "MemoryTask",
    "OneBatch",
    "Outcome",
    "Photographs",
    "PredictionCache",
    "Recipe",
    "RefinerRecipe",
    "RefinerTask",
    "Task",
    "TrainingError",
    "fit",
    "frozen_generator",
    "load_pretrained",
    "read_checkpoint",
    "write_predictions",
]

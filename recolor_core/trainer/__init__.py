"""The trainers of the networks: a `Recipe`, a `Task` of it, and `fit`."""

from recolor_core.trainer.cache import CacheError, PredictionCache, write_predictions
from recolor_core.trainer.data import CachedPhotographs, OneBatch, Photographs
from recolor_core.trainer.generator import GeneratorTask
from recolor_core.trainer.loop import Machine, Outcome, fit, read_checkpoint
from recolor_core.trainer.memory import MemoryTask
from recolor_core.trainer.pretrained import frozen_generator, start_from
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
    "read_checkpoint",
    "start_from",
    "write_predictions",
]

"""The trainers of both networks: a `Recipe`, a `Task` of it, and `fit`."""

from recolor_core.trainer.cache import CacheError, PredictionCache, write_predictions
from recolor_core.trainer.data import CachedPhotographs, Photographs
from recolor_core.trainer.loop import Machine, Outcome, fit, read_checkpoint
from recolor_core.trainer.recipe import GeneratorRecipe, Recipe, RefinerRecipe, TrainingError
from recolor_core.trainer.refine import RefinerTask
from recolor_core.trainer.start import frozen_generator, start_from

__all__ = [
    "CacheError",
    "CachedPhotographs",
    "GeneratorRecipe",
    "Machine",
    "Outcome",
    "Photographs",
    "PredictionCache",
    "Recipe",
    "RefinerRecipe",
    "RefinerTask",
    "TrainingError",
    "fit",
    "frozen_generator",
    "read_checkpoint",
    "start_from",
    "write_predictions",
]

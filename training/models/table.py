"""The table of models: name -> how to make it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from recolor_core.errors import RecolorError
from recolor_core.settings import Settings
from training.models.interface import Model
from training.models.networks import Chain, Network, Original
from training.models.pixels import Forest, XGBoost
from training.models.simple import Average, Gray, Nearest


class ModelError(RecolorError, ValueError):
    """A model cannot be made as asked for."""


@dataclass(frozen=True)
class Plan:
    """Which models to make, and of what.

    Parameters
    ----------
    names
        Of `NAMES`.
    weights, device
        Of `recolor_core.Colorizer`.
    settings
        How the networks colorize.
    original
        Checkpoint of the original recipe.
    hints
        Numbers of hints with which the networks are measured too.
    alternatives
        Number of alternatives of which the best counts; 0 leaves that row out.
    workers
        Threads to fit with.
    """

    names: tuple[str, ...]
    weights: str = "default"
    device: str = "cpu"
    settings: Settings = field(default_factory=Settings)
    original: Path | None = None
    hints: tuple[int, ...] = ()
    alternatives: int = 0
    workers: int = 1


_chain = lru_cache(maxsize=1)(Chain)  # the networks of a plan share it


def _networks(plan: Plan, refined: bool) -> list[Model]:
    chain = _chain(plan.weights, plan.device, plan.settings)
    models: list[Model] = [Network(chain, refined, hints) for hints in (0, *plan.hints)]
    if refined and plan.alternatives:
        models.append(Network(chain, refined, alternatives=plan.alternatives))
    return models


def _original(plan: Plan) -> list[Model]:
    if plan.original is None:
        raise ModelError(
            "the model 'original' needs a checkpoint: train one by `python -m training.train "
            "original` and give it by --original, or leave the model out"
        )
    return [Original(plan.original)]


_BUILDERS: dict[str, Callable[[Plan], list[Model]]] = {
    "gray": lambda plan: [Gray()],
    "average": lambda plan: [Average()],
    "nearest": lambda plan: [Nearest()],
    "forest": lambda plan: [Forest(plan.workers)],
    "xgboost": lambda plan: [XGBoost(plan.workers)],
    "original": _original,
    "coarse": lambda plan: _networks(plan, refined=False),
    "refined": lambda plan: _networks(plan, refined=True),
}

NAMES = tuple(_BUILDERS)
"""Names that can be asked for, from the simplest to what ships."""

FITTED = ("average", "nearest", "forest", "xgboost")
"""Those that learn from the training images of an evaluation."""


def build(plan: Plan) -> list[Model]:
    """The models of a plan, in the order of `NAMES`, not fitted yet.

    Raises
    ------
    ModelError
        Where a name is unknown, or a model lacks what it is made of.
    """
    if unknown := sorted(set(plan.names) - set(NAMES)):
        raise ModelError(f"expected models among {', '.join(NAMES)}, got {', '.join(unknown)}")
    models = [model for name in NAMES if name in plan.names for model in _BUILDERS[name](plan)]
    # An image's coarse and refined coloring with the same hints are made in one go.
    return sorted(models, key=lambda model: (isinstance(model, Network), model.hints))

"""The table of models: each name and how to make the model."""

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
    """A requested model cannot be made."""


@dataclass(frozen=True)
class ModelRequest:
    """The models to make and what they need.

    Parameters
    ----------
    names
        Names from `NAMES`.
    weights, device, runtime
        As in `recolor_core.Colorizer`.
    settings
        Settings of the networks.
    original
        Checkpoint of the original recipe.
    hints
        Numbers of hints for additional models with hints.
    alternatives
        Number of alternatives for the best-of model. If it is 0, that model is left out.
    workers
        Number of threads for fitting.
    """

    names: tuple[str, ...]
    weights: str = "default"
    device: str = "cpu"
    runtime: str = "auto"
    settings: Settings = field(default_factory=Settings)
    original: Path | None = None
    hints: tuple[int, ...] = ()
    alternatives: int = 0
    workers: int = 1


_chain = lru_cache(maxsize=1)(Chain)  # the networks of a request share one chain


def _networks(request: ModelRequest, refined: bool) -> list[Model]:
    chain = _chain(request.weights, request.device, request.runtime, request.settings)
    models: list[Model] = [Network(chain, refined, hints) for hints in (0, *request.hints)]
    if refined and request.alternatives:
        models.append(Network(chain, refined, alternatives=request.alternatives))
    return models


def _original(request: ModelRequest) -> list[Model]:
    if request.original is None:
        raise ModelError(
            "the model 'original' needs a checkpoint: train one by `python -m training.train "
            "original` and give it by --original, or leave the model out"
        )
    return [Original(request.original)]


_BUILDERS: dict[str, Callable[[ModelRequest], list[Model]]] = {
    "gray": lambda request: [Gray()],
    "average": lambda request: [Average()],
    "nearest": lambda request: [Nearest()],
    "forest": lambda request: [Forest(request.workers)],
    "xgboost": lambda request: [XGBoost(request.workers)],
    "original": _original,
    "coarse": lambda request: _networks(request, refined=False),
    "refined": lambda request: _networks(request, refined=True),
}

NAMES = tuple(_BUILDERS)
"""Available names, from the simplest model to the shipped one."""

FITTED = ("average", "nearest", "forest", "xgboost")
"""Names of models that learn from the training images of an evaluation."""


def build(request: ModelRequest) -> list[Model]:
    """Make the models of a request, in the order of `NAMES`, without fitting them.

    Raises
    ------
    ModelError
        If a name is unknown, or a model lacks something that it needs.
    """
    if unknown := sorted(set(request.names) - set(NAMES)):
        raise ModelError(f"expected models among {', '.join(NAMES)}, got {', '.join(unknown)}")
    models = [
        model for name in NAMES if name in request.names for model in _BUILDERS[name](request)
    ]
    # The coarse and refined colorings of an image with the same hints are computed together.
    return sorted(models, key=lambda model: (isinstance(model, Network), model.hints))

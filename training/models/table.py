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
class ModelRequest:
    """Which models to make, and of what.

    Parameters
    ----------
    names
        As in `NAMES`.
    weights, device
        As in `recolor_core.Colorizer`.
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


_chain = lru_cache(maxsize=1)(Chain)  # the networks of a request share it


def _networks(request: ModelRequest, refined: bool) -> list[Model]:
    chain = _chain(request.weights, request.device, request.settings)
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
"""Names that can be asked for, from the simplest to what ships."""

FITTED = ("average", "nearest", "forest", "xgboost")
"""Those that learn from the training images of an evaluation."""


def build(request: ModelRequest) -> list[Model]:
    """The models of a request, in the order of `NAMES`, not fitted yet.

    Raises
    ------
    ModelError
        If a name is unknown, or a model lacks what it is made of.
    """
    if unknown := sorted(set(request.names) - set(NAMES)):
        raise ModelError(f"expected models among {', '.join(NAMES)}, got {', '.join(unknown)}")
    models = [
        model for name in NAMES if name in request.names for model in _BUILDERS[name](request)
    ]
    # An image's coarse and refined coloring with the same hints are made in one go.
    return sorted(models, key=lambda model: (isinstance(model, Network), model.hints))

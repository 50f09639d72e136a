"""Store fits on disk, identified by what they were made from."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from recolor_core.files import replacing
from training.models.interface import Fitted, Model, Photographs

VERSION = 2
"""Version of the models' code. Increase it if the same settings and images give other results."""


def fingerprint(model: Model, images: Iterable[str]) -> str:
    """Identify a model by its name, its settings and, if it is fitted, its training images.

    Parameters
    ----------
    model
        Any model, whether it needs a fit or not.
    images
        Fingerprints of the training images.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    about = {"version": VERSION, "name": model.name, "hints": model.hints, **model.settings}
    if isinstance(model, Fitted):
        about["images"] = list(images)
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def fit(model: Fitted, photographs: Photographs, known_as: str, folder: Path) -> bool:
    """Fit a model, or load its fit if the folder contains it.

    Parameters
    ----------
    model
        Changed in place.
    photographs
        Photographs to learn from.
    known_as
        The model's `fingerprint`.
    folder
        Folder of the fits. It is created if it does not exist.

    Returns
    -------
    bool
        Whether the model was fitted in this call.
    """
    path = folder / f"{model.name}-{known_as}{model.suffix}"
    if path.exists():
        model.load(path)
        return False
    model.fit(photographs)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        model.save(part)
    return True

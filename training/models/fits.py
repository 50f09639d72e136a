"""Fits kept on disk, by what they were made of."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from recolor_core.files import replacing
from training.models.interface import Fitted, Model, Photographs

VERSION = 1
"""Of the models' code: raise it where the same settings and images give something else."""


def fingerprint(model: Model, images: Iterable[str]) -> str:
    """What tells a model from all others: its name, its settings and, if fitted, its images.

    Parameters
    ----------
    model
        Fitted or not.
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
    """Fit a model, or take over its fit where the folder has it.

    Parameters
    ----------
    model
        Changed in place.
    photographs
        To learn from.
    known_as
        Its `fingerprint`.
    folder
        Where the fits lie; made where it is not there.

    Returns
    -------
    bool
        Whether it had to be fitted.
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

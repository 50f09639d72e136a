"""FID of models: how far their images, as a set, are from the true ones."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from recolor_core.files import write_file
from training.measures import Truth
from training.models import Model
from training.perceptual import Fid
from training.photographs import square
from training.prepare.images import SourceImage


def frechet(
    images: Mapping[str, SourceImage],
    models: Mapping[str, Model],
    size: int,
    kept: Path,
    wear: str = "",
) -> dict[str, dict[str, Any]]:
    """The Fréchet inception distance of each model's images from the true ones.

    It is of a set, not of images: it goes through all of them once more, and has no interval.

    Parameters
    ----------
    images
        By their fingerprints.
    models
        By their fingerprints; those that the truth tells something are left out.
    size
        Side of the squares.
    kept
        JSON file with what was computed before.
    wear
        As in `Truth`.

    Returns
    -------
    dict
        Name of the model -> ``value``, ``images`` and ``caveat``, see `training.perceptual.Fid`.

    Raises
    ------
    BackboneError
        If Inception is not to be had without a download.
    """
    known = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    of_set = hashlib.sha256("".join(images).encode()).hexdigest()[:16]
    of_set += f"-{wear}" if wear else ""
    fair = {key: m for key, m in models.items() if not m.hints and "-best-of-" not in m.name}
    missing = {key: (m, Fid()) for key, m in fair.items() if f"{of_set} {key}" not in known}
    shown = track(images.values(), "FID", console=Console(stderr=True)) if missing else ()
    for image in shown:
        truth = Truth(square(image, size), wear)
        for model, fid in missing.values():
            ab = torch.from_numpy(model.predict(truth.gray).ab)[None]
            fid.add(truth.rgb, real=True)
            fid.add(truth.colored(ab), real=False)
    for key, (_, fid) in missing.items():
        result = fid.compute()
        known[f"{of_set} {key}"] = {
            "value": result.value,
            "images": result.images,
            "caveat": result.caveat,
        }
    write_file(kept, json.dumps(known))
    return {model.name: known[f"{of_set} {key}"] for key, model in fair.items()}

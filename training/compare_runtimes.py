"""Measure what quantization costs.

``python -m training.compare_runtimes PHOTOGRAPHS... --out FILE`` colors the same photographs with
the same networks in float32 (PyTorch) and in int8 (ONNX Runtime), without and with hints. Clips
with known motion, made of photographs as in `training.temporal_consistency`, are colored with the
color memory. All differences are of pairs, int8 over float32.

It writes a JSON file:

``weights``
    Their name and SHA-256, and ``quantized``, the SHA-256 of the quantized form.
``images``, ``clips``, ``frames``
    How many were measured; frames of each clip.
``photographs``
    By model (``coarse``, ``refined``, ``refined-hints-10``): ``squared_error``, the ratio of the
    mean squared errors of the coarse ab; ``psnr``, the mean difference in dB; ``apart``, the mean
    absolute difference of ab in Lab units; ``uncertainty``, the ratio of the mean uncertainties.
``film``
    ``warped_error``, the ratio of the means, and ``psnr``, the mean difference in dB.

Each value is [mean, low, high], with a 95 % bootstrap interval over images or clips.
"""

import json
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import track
from torch.nn import functional as F

from recolor_core.colorizer import Colorizer
from recolor_core.errors import RecolorError
from recolor_core.files import write_file
from recolor_core.metrics import bootstrap_interval, coarse_error, psnr, ratio_of_means
from recolor_core.models.config import SCALE
from recolor_core.settings import Settings
from training import temporal_consistency as film
from training.command import run_command
from training.evaluate import SIZE
from training.measures import Truth
from training.models import ModelRequest, build
from training.photographs import DataError, list_photographs, square

RUNTIMES = ("onnxruntime", "torch")
"""Each measure is of the first one over the second one."""

LIMITS = {"squared_error": 1.01, "psnr": -0.02}
"""What quantized networks may cost: a ratio, and a difference in dB."""

_PROGRESS = Console(stderr=True)


def compare_photographs(
    photographs: list[Any], weights: str, hints: tuple[int, ...]
) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Compare the colors of photographs.

    Parameters
    ----------
    photographs : list of SourceImage
        As of `list_photographs`.
    weights : str
        Name or path of a weights file.
    hints : tuple of int
        Numbers of hints of further models.

    Returns
    -------
    dict
        Model -> measure -> mean, low and high end of the interval.
    """
    models = [
        build(ModelRequest(("coarse", "refined"), weights, runtime=name, hints=hints))
        for name in RUNTIMES
    ]
    rows: defaultdict[str, list[list[float]]] = defaultdict(list)
    for image in track(photographs, "Photographs", console=_PROGRESS):
        truth = Truth(square(image, SIZE))
        for pair in zip(*models, strict=True):
            colored = [model.predict(truth.gray, truth.hints(model.hints)) for model in pair]
            ours, theirs = (torch.from_numpy(one.ab)[None] for one in colored)
            row = [
                float(coarse_error(F.avg_pool2d(ab, SCALE), truth.coarse)) for ab in (ours, theirs)
            ]
            row += [float(psnr(truth.colored(ab), truth.rgb)) for ab in (ours, theirs)]
            row.append(float((ours - theirs).abs().mean()))
            row += [
                float(np.mean(one.uncertainty)) for one in colored if one.uncertainty is not None
            ]
            rows[pair[0].name].append(row)
    found: dict[str, dict[str, tuple[float, float, float]]] = {}
    for name, values in rows.items():
        table = np.array(values)
        found[name] = {
            "squared_error": bootstrap_interval(table[:, :2], ratio_of_means),
            "psnr": bootstrap_interval(table[:, 2] - table[:, 3]),
            "apart": bootstrap_interval(table[:, 4]),
            "uncertainty": bootstrap_interval(table[:, 5:7], ratio_of_means),
        }
    return found


def compare_clips(
    photographs: list[Any], weights: str, frames: int
) -> dict[str, tuple[float, float, float]]:
    """Compare the colors of clips that are made of photographs, with the color memory.

    Parameters
    ----------
    photographs : list of SourceImage
        One more than there are clips.
    weights : str
        Name or path of a weights file.
    frames : int
        Number of frames of a clip.
    """
    colorizers = [Colorizer(weights, "cpu", name) for name in RUNTIMES]
    side = round(film.SIZE * film.MARGIN)
    codes = [torch.from_numpy(square(image, side)).permute(2, 0, 1) for image in photographs]
    rows = []
    clips = film.made_clips(codes, frames, seed=0)
    for clip in track(clips, "Clips", total=len(codes) - 1, console=_PROGRESS):
        guides = film.shot_guides(clip)
        ours, theirs = (
            film.measure_film(clip, film.remembered(colorizer, clip, Settings(), guides))
            for colorizer in colorizers
        )
        rows.append([one[name] for name in ("warped_error", "psnr") for one in (ours, theirs)])
    table = np.array(rows)
    return {
        "warped_error": bootstrap_interval(table[:, :2], ratio_of_means),
        "psnr": bootstrap_interval(table[:, 2] - table[:, 3]),
    }


def main(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Folders, tars or zips of photographs that no network was trained on."),
    ],
    out: Annotated[Path, typer.Option(help="The JSON file to write.")],
    weights: Annotated[str, typer.Option(help="Name or path of a weights file.")] = "default",
    every: Annotated[int, typer.Option(min=1, help="Take every n-th photograph.")] = 1,
    hints: Annotated[int, typer.Option(min=0, help="Hints of a further model; 0: none.")] = 10,
    clips: Annotated[int, typer.Option(min=0, help="Clips to make of the photographs.")] = 4,
    frames: Annotated[int, typer.Option(min=5, help="Frames of a clip.")] = 12,
) -> None:
    """Compare the quantized networks with those in float32, in photographs and over time.

    The exit code is 2 if the quantized networks are worse than they may be.
    """
    photographs = list_photographs(sources)[::every]
    if len(photographs) <= clips:
        raise DataError(
            f"expected more than {clips} photographs for {clips} clips, got {len(photographs)}"
        )
    colorizer = Colorizer(weights, "cpu", RUNTIMES[0])
    report: dict[str, Any] = {
        "weights": {
            "name": colorizer.record.name,
            "sha256": colorizer.record.sha256,
            "quantized": asdict(colorizer.runtime)["sha256"],
        },
        "images": len(photographs),
        "clips": clips,
        "frames": frames,
        "photographs": compare_photographs(photographs, weights, (hints,) if hints else ()),
        "film": compare_clips(photographs[: clips + 1], weights, frames) if clips else {},
    }
    write_file(out, json.dumps(report, indent=1) + "\n")
    for name, measures in (*report["photographs"].items(), ("film", report["film"])):
        values = (f"{key} {v[0]:.4f} [{v[1]:.4f}, {v[2]:.4f}]" for key, v in measures.items())
        print(f"{name}: {', '.join(values)}")
    refined = report["photographs"]["refined"]
    if refined["squared_error"][0] > LIMITS["squared_error"] or refined["psnr"][0] < LIMITS["psnr"]:
        raise RecolorError(
            f"expected a squared error of at most {LIMITS['squared_error']} times that of float32 "
            f"and at most {-LIMITS['psnr']} dB less; keep more layers in float32 "
            "(training.quantize.FLOAT)"
        )


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    run_command(app)

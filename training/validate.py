"""Measure a weights file on photographs: ``python -m training.validate TARS_OR_FOLDERS``.

Every picture is scaled and cut to a center square and goes the way that a user's picture goes,
`Colorizer.generate` and `Colorizer.refine`. PSNR, SSIM, CIEDE2000 and colorfulness are of the RGB
made of the true lightness and the predicted chroma, clipped to the gamut.
"""

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.progress import track
from skimage.color import deltaE_ciede2000
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from recolor_core.colorizer import Colorizer, Settings
from recolor_core.errors import RecolorError
from recolor_core.hints import Hint
from recolor_core.intake import read_gray
from recolor_core.lab import lab_to_rgb, rgb_to_lab
from recolor_core.metrics import bootstrap_interval, coarse_error, colorfulness, edge_error, psnr
from recolor_core.refiner import SCALE, upsample
from training.photographs import list_photographs, square
from training.prepare.pictures import Picture

SIZE = 224
"""Side of the squares, in pixels."""

Row = dict[str, float | str]


class Truth:
    """The true colors of a picture, and what a coloring of it is worth."""

    def __init__(self, rgb: NDArray[np.uint8]) -> None:
        codes = torch.from_numpy(rgb).permute(2, 0, 1)[None]
        self.rgb = codes.float() / 255
        lab = rgb_to_lab(codes)
        self.lightness, self.ab = lab[:, :1], lab[:, 1:]
        self.coarse = torch.nn.functional.avg_pool2d(self.ab, SCALE)
        self._lab = lab[0].permute(1, 2, 0).double().numpy()

    def measure(self, ab: Tensor, brief: bool = False) -> dict[str, float]:
        """Measures of a chroma, (1, 2, H, W) in Lab units; a brief one leaves out the slow ones."""
        rgb = lab_to_rgb(torch.cat((self.lightness, ab), dim=1)).clamp(0, 1)
        coarse = torch.nn.functional.avg_pool2d(ab, SCALE)
        measures = {
            "mse": float(coarse_error(coarse, self.coarse)),
            "psnr": float(psnr(rgb, self.rgb)),
            "colorfulness": float(colorfulness(rgb)),
            "edge_error": float(edge_error(ab, self.ab)),
        }
        if brief:
            return measures
        lab = rgb_to_lab(rgb)[0].permute(1, 2, 0).double().numpy()
        similarity = structural_similarity_index_measure(rgb, self.rgb, data_range=1.0)
        assert isinstance(similarity, Tensor)
        measures["ssim"] = float(similarity)
        measures["ciede2000"] = float(deltaE_ciede2000(self._lab, lab).mean())
        return measures


def random_hints(rgb: NDArray[np.uint8], count: int, rng: np.random.Generator) -> list[Hint]:
    """Points anywhere in a picture, each with the true color of its one pixel."""
    rows, columns = (rng.integers(0, n, count) for n in rgb.shape[:2])
    return [
        Hint(float(x), float(y), f"#{bytes(rgb[y, x]).hex()}")
        for y, x in zip(rows, columns, strict=True)
    ]


def measure_picture(
    colorizer: Colorizer,
    rgb: NDArray[np.uint8],
    settings: Settings,
    hint_counts: Sequence[int],
    mean_ab: tuple[float, float],
    seed: int,
) -> dict[str, dict[str, float]]:
    """Measures of one picture for each way to color it.

    Returns
    -------
    dict
        ``"truth"``, ``"gray"``, ``"mean color"``, ``"coarse"`` (bicubic upsampling of the
        generator's), ``"refined"``, and the last two with hints, ``"refined, 10 hints"``.
        The ``mse`` of ``"coarse"`` is of the generator's ab itself.
    """
    truth = Truth(rgb)
    constant = torch.tensor(mean_ab)[None, :, None, None].expand_as(truth.ab)
    measured = {
        "truth": {"colorfulness": float(colorfulness(truth.rgb))},
        "gray": truth.measure(torch.zeros_like(truth.ab)),
        "mean color": truth.measure(constant),
    }
    coarse = colorizer.generate(read_gray(rgb), SIZE)
    rng = np.random.default_rng(seed)
    for count in (0, *hint_counts):
        result = colorizer.refine(coarse, settings, random_hints(rgb, count, rng))
        name = f", {count} hints" if count else ""
        ab = torch.from_numpy(result.ab_coarse)[None]
        brief = count > 0
        measured[f"coarse{name}"] = truth.measure(upsample(ab, SCALE), brief)
        measured[f"coarse{name}"]["mse"] = float(coarse_error(ab, truth.coarse))
        refined = torch.from_numpy(result.ab_refined)[None]
        measured[f"refined{name}"] = truth.measure(refined, brief)
    return measured


def summarize(measured: Sequence[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Means over pictures with their 95 % bootstrap intervals, [mean, low, high].

    ``colorfulness_ratio`` is mean predicted over mean true colorfulness; ``psnr_over_bicubic`` and
    ``edge_error_over_bicubic`` (relative) compare refined with coarse, ``psnr_over_no_hints``
    hinted with unhinted, picture by picture.
    """

    def column(way: str, name: str) -> NDArray[np.floating]:
        return np.array([picture[way][name] for picture in measured])

    def ratio(pairs: NDArray[np.floating]) -> NDArray[np.floating]:
        return np.asarray(pairs[..., 0].mean(-1) / pairs[..., 1].mean(-1))

    summary: dict[str, Any] = {"pictures": len(measured)}
    true_colorfulness = column("truth", "colorfulness")
    summary["truth"] = {"colorfulness": bootstrap_interval(true_colorfulness)}
    for way in measured[0]:
        if way == "truth":
            continue
        summary[way] = {name: bootstrap_interval(column(way, name)) for name in measured[0][way]}
        pairs = np.stack((column(way, "colorfulness"), true_colorfulness), axis=1)
        summary[way]["colorfulness_ratio"] = bootstrap_interval(pairs, ratio)
        if way.startswith("refined"):
            bicubic = way.replace("refined", "coarse")
            gain = column(way, "psnr") - column(bicubic, "psnr")
            summary[way]["psnr_over_bicubic"] = bootstrap_interval(gain)
            edges = np.stack((column(way, "edge_error"), column(bicubic, "edge_error")), axis=1)
            relative = bootstrap_interval(edges, ratio)
            summary[way]["edge_error_over_bicubic"] = tuple(value - 1 for value in relative)
        plain = way.split(",")[0]
        if way != plain:
            gain = column(way, "psnr") - column(plain, "psnr")
            summary[way]["psnr_over_no_hints"] = bootstrap_interval(gain)
    return summary


def mean_color(pictures: Sequence[Picture]) -> tuple[float, float]:
    """Mean a* and b* of the pictures: the best that a constant color can do on them."""
    means = []
    for picture in track(pictures, "Mean color"):
        codes = torch.from_numpy(square(picture, SIZE // SCALE)).permute(2, 0, 1)
        means.append(rgb_to_lab(codes)[1:].mean(dim=(1, 2)))
    a, b = torch.stack(means).mean(0).tolist()
    return a, b


def categories(pictures: Sequence[Picture], manifest: Path | None) -> list[str]:
    """The category of each picture by a table with the columns key and category, else ""."""
    if manifest is None:
        return [""] * len(pictures)
    with manifest.open(newline="", encoding="utf-8") as file:
        known = {row["key"]: row["category"] for row in csv.DictReader(file)}
    return [next((known[key] for key in picture.keys if key in known), "") for picture in pictures]


def validate(
    sources: Annotated[list[Path], typer.Argument(help="Folders, tars or zips of photographs.")],
    weights: Annotated[str, typer.Option(help="Name or path of a weights file.")] = "default",
    vividness: Annotated[float, typer.Option(help="From 0 to 1.")] = Settings.vividness,
    saturation: Annotated[float, typer.Option(help="Factor on the chroma.")] = Settings.saturation,
    hints: Annotated[str, typer.Option(help="Numbers of random hints, or none.")] = "1,10,50",
    every: Annotated[int, typer.Option(help="Measure every n-th picture only.")] = 1,
    manifest: Annotated[
        Path | None, typer.Option(help="CSV with key and category, to measure categories apart.")
    ] = None,
    device: Annotated[str, typer.Option(help="As of Colorizer.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Write the numbers as JSON.")] = None,
) -> None:
    """Measure a weights file on photographs, as a table and as JSON."""
    try:
        pictures = list_photographs(sources)[::every]
        groups = categories(pictures, manifest)
        colorizer = Colorizer(weights, device)
        settings = Settings(vividness=vividness, saturation=saturation, size=SIZE)
        mean_ab = mean_color(pictures)
        counts = [int(count) for count in hints.split(",")] if hints else []
        measured = [
            measure_picture(colorizer, square(picture, SIZE), settings, counts, mean_ab, seed)
            for seed, picture in enumerate(track(pictures, "Measuring"))
        ]
    except (RecolorError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    report = {
        "weights": {"name": colorizer.record.name, "sha256": colorizer.record.sha256},
        "settings": asdict(settings),
        "all": summarize(measured),
    }
    for group in sorted(set(groups) - {""}):
        report[group] = summarize(
            [one for one, of in zip(measured, groups, strict=True) if of == group]
        )
    if out is not None:
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for group, summary in report.items():
        if group not in ("weights", "settings"):
            print_table(group, summary)


def print_table(group: str, summary: dict[str, Any]) -> None:
    """One line per way to color, means only."""
    print(f"{group} ({summary['pictures']} pictures)")
    names = ("mse", "psnr", "ssim", "ciede2000", "colorfulness_ratio", "edge_error")
    print(f"{'':22}" + "".join(f"{name[:12]:>13}" for name in names))
    for way, values in summary.items():
        if way not in ("pictures", "truth"):
            cells = [f"{values[name][0]:13.4g}" if name in values else f"{'':13}" for name in names]
            print(f"{way:22}" + "".join(cells))


if __name__ == "__main__":
    typer.run(validate)

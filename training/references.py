"""Measure what a reference image brings: ``python -m training.references PHOTOGRAPHS...``.

Every photograph is colorized from its gray codes, with a reference and without. From photographs,
references are made: ``again`` is another cut of the same photograph, mirrored, smaller and of
another exposure; ``other`` is the next photograph, which has nothing to do with it. From films
(``--film``), ``1s`` and ``4s`` are the frames 1 and 4 seconds later.

The table has, for each kind of pair, the gain in PSNR over no reference (dB) of the reference, of
its colors as a palette, and of transferring them by statistics of the lightness (Welsh et al. 2002:
each pixel takes the ab of the sampled pixel of the reference with the most similar lightness and
deviation of the lightness around it, after the lightness is remapped), and the fraction of the
image that was matched.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch.nn import functional as F

from recolor_core.colorizer import Colorizer
from recolor_core.gray import read_gray
from recolor_core.lab import lab_to_rgb, rgb_to_lab
from recolor_core.metrics import psnr
from recolor_core.palette import palette_of_image
from recolor_core.reference import Reference
from training.command import run_command
from training.models import gray_of
from training.photographs import DataError, list_photographs, square

SIZE = 224
SAMPLES = 256
RGB = NDArray[np.uint8]


def again(rgb: RGB) -> RGB:
    """Cut three quarters of a photograph, mirror them, and change their exposure."""
    cut = rgb[SIZE // 8 : -SIZE // 8, : 3 * SIZE // 4, :][:, ::-1]
    darker = (cut / 255.0) ** 1.25
    return np.ascontiguousarray((255 * darker).round().astype(np.uint8))


def film_pairs(path: Path) -> Iterator[tuple[str, RGB, RGB]]:
    """Pair frames of a film with those 1 and 4 seconds later."""
    import av

    with av.open(str(path)) as container:
        rate = float(container.streams.video[0].average_rate or 25)
        frames = [
            np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            for frame in container.decode(video=0)
        ]
    for seconds in (1, 4):
        step = round(seconds * rate)
        starts = range(0, len(frames) - step, max(1, (len(frames) - step) // 4))
        for start in list(starts)[:4]:
            yield f"{seconds}s", frames[start], frames[start + step]


def welsh(rgb: RGB, reference: RGB) -> NDArray[np.float32]:
    """Compute the ab that Welsh et al. (2002) give an image, (2, H, W) in Lab units."""
    own, other = (
        torch.from_numpy(rgb_to_lab(x)).permute(2, 0, 1).float() for x in (rgb, reference)
    )

    def statistics(light: torch.Tensor) -> torch.Tensor:
        around = [
            F.avg_pool2d(x[None], 5, 1, 2, count_include_pad=False)[0]
            for x in (light[None], light[None] ** 2)
        ]
        deviation = (around[1] - around[0] ** 2).clamp(min=0).sqrt()
        return torch.cat((light[None], deviation)).flatten(1).T

    light = (own[0] - own[0].mean()) / (own[0].std() + 1e-6) * other[0].std() + other[0].mean()
    chosen = torch.linspace(0, other[0].numel() - 1, SAMPLES).long()
    nearest = torch.cdist(statistics(light), statistics(other[0])[chosen]).argmin(1)
    ab = other[1:].flatten(1)[:, chosen[nearest]]
    return np.asarray(ab.reshape(2, *rgb.shape[:2]))


def measure(colorizer: Colorizer, rgb: RGB, other: RGB) -> dict[str, float]:
    """Measure the gains over no reference, in dB, and the fraction matched."""
    coarse = colorizer.generate(read_gray(gray_of(rgb)))
    true = torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255
    light = torch.from_numpy(rgb_to_lab(rgb)[..., 0])[None, None].float()

    def quality(ab: NDArray[np.float32]) -> float:
        fine = F.interpolate(
            torch.from_numpy(ab)[None], size=rgb.shape[:2], mode="bilinear", antialias=True
        )
        colored = lab_to_rgb(torch.cat((light, fine), dim=1)).clamp(0, 1)
        return float(psnr(colored, true))

    none = quality(colorizer.refine(coarse).ab_refined)
    seen = colorizer.look(Reference(other))
    result = colorizer.refine(coarse, references=[seen])
    palette = colorizer.refine(coarse, palette=palette_of_image(other))
    return {
        "reference": quality(result.ab_refined) - none,
        "palette": quality(palette.ab_refined) - none,
        "welsh": quality(welsh(rgb, other)) - none,
        "matched": result.matches[0].matched,
    }


def main(
    photographs: Annotated[list[Path], typer.Argument(help="Folders, tars or zips.")],
    film: Annotated[list[Path] | None, typer.Option(help="A film; repeatable.")] = None,
    images: Annotated[int, typer.Option(min=2, help="How many photographs at most.")] = 40,
    weights: Annotated[str, typer.Option(help="A name or a file.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="CSV file for the rows.")] = None,
) -> None:
    """Measure the gain of a reference image."""
    listed = list_photographs(photographs)
    listed = listed[:: max(1, len(listed) // images)][:images]
    if len(listed) < 2:
        raise DataError("expected two photographs or more, got one; name a larger folder")
    squares = [square(image, SIZE) for image in listed]
    pairs = [("again", rgb, again(rgb)) for rgb in squares]
    pairs += [("other", rgb, squares[i - 1]) for i, rgb in enumerate(squares)]
    pairs += [pair for path in film or () for pair in film_pairs(path)]
    colorizer = Colorizer(weights, device)
    rows = [
        {"pair": kind, **measure(colorizer, rgb, other)}
        for kind, rgb, other in track(pairs, "Measuring", console=Console(stderr=True))
    ]
    table = pd.DataFrame(rows)
    if out:
        table.to_csv(out, index=False)
    summary = table.groupby("pair").mean()
    summary["worst reference"] = table.groupby("pair").reference.min()
    summary["pairs"] = table.groupby("pair").size()
    print(summary.to_string(float_format=lambda value: f"{value:.2f}"))


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    run_command(app)

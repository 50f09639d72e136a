"""What a coloring of one photograph is worth, in every measure of `recolor_core.metrics`."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from recolor_core.hints import Hint
from recolor_core.lab import lab_to_rgb, lightness, rgb_to_lab
from recolor_core.metrics import (
    THINGS,
    ab_rmse,
    black_chroma,
    bleeding,
    blotches,
    cast,
    channel_psnr,
    channel_ssim,
    coarse_error,
    colorfulness,
    edge_error,
    lightness_fidelity,
    mean_ciede2000,
    named_errors,
    psnr,
    white_chroma,
)
from recolor_core.models.config import SCALE
from recolor_core.trainer.augment import degrade
from training.models import Prediction, gray_of
from training.scans import Scan, faded, mounted

VERSION = 4
"""Of what is measured: raise it where a value of the same name becomes another."""

MEASURES = (
    *("mse", "rmse", "psnr", "psnr_r", "psnr_g", "psnr_b", "ssim", "ssim_r", "ssim_g", "ssim_b"),
    *("ciede2000", "colorfulness", "true_colorfulness", "edge_error"),
    *("lightness_max", "lightness_mean", "gray_exact", "uncertainty_mean", "mse_of_alternatives"),
    *("blotches", "cast", "black_chroma", "white_chroma", "bleeding"),
    *(f"{thing}_{error}" for thing in THINGS for error in ("hue", "chroma")),
)
"""Names of what `Truth.measure` may give; `training.evaluate` says what they mean."""

WEAR = ("damaged", "faded", "mounted")
"""What may have happened to a print: damage as in training
(`recolor_core.trainer.augment.degrade`), lost contrast, and a mount or other borders
(`training.scans`)."""

Perceptual = Callable[[Tensor, Tensor], Tensor]
"""A distance that a network sees between (B, 3, H, W) codes in [0, 1] and the true ones: (B,)."""


class Truth:
    """The true colors of a photograph.

    Parameters
    ----------
    rgb
        (S, S, 3) sRGB codes, S a multiple of 4.
    wear : str
        What happened to the print whose gray codes a model sees, of `WEAR`, joined by "+"; "" for
        an intact photograph. The truth stays that of the photograph.
    """

    def __init__(self, rgb: NDArray[np.uint8], wear: str = "") -> None:
        self.codes = torch.from_numpy(rgb).permute(2, 0, 1)
        self.rgb = self.codes[None].float() / 255
        self.lab = rgb_to_lab(self.codes[None])
        self.ab = self.lab[:, 1:]
        self.coarse = F.avg_pool2d(self.ab, SCALE)
        scan = self._worn(gray_of(rgb), set(wear.split("+")))
        self.gray, self.top, self.left = scan.gray, scan.top, scan.left
        self.colorfulness = float(colorfulness(self.rgb))

    def _worn(self, gray: NDArray[np.uint8], wear: set[str]) -> Scan:
        if "damaged" in wear:
            gray = self._damaged()
        if "faded" in wear:
            gray = faded(gray, np.random.default_rng(self.seed))
        if "mounted" in wear:
            return mounted(gray, np.random.default_rng(self.seed))
        return Scan(gray, 0, 0)

    def _damaged(self) -> NDArray[np.uint8]:
        rng = torch.Generator().manual_seed(self.seed)
        light = degrade(self.rgb, 1.0, rng, 1, slice(0, 1))[0]
        gray = lab_to_rgb(torch.cat((light, torch.zeros_like(light).expand(2, -1, -1))))[0]
        return (255 * gray.clamp(0, 1)).round().to(torch.uint8).numpy()

    @cached_property
    def seed(self) -> int:
        """Of what is drawn at random for this image, the same wherever it lies."""
        return int(self.codes.sum(dtype=torch.int64))

    def hints(self, count: int) -> list[Hint]:
        """Points anywhere in the image, each with the true color of its one pixel."""
        rng = np.random.default_rng([self.seed, count])
        rows, columns = (rng.integers(0, n, count) for n in self.codes.shape[1:])
        colors = self.codes[:, rows, columns].T.numpy()
        return [
            Hint(float(x + self.left), float(y + self.top), f"#{bytes(color).hex()}")
            for y, x, color in zip(rows, columns, colors, strict=True)
        ]

    def measure(
        self, prediction: Prediction, perceptual: Perceptual | None = None
    ) -> dict[str, float]:
        """The measures of a prediction.

        Of alternatives the one with the least ``mse`` counts. PSNR, SSIM, CIEDE2000 and
        colorfulness are of the RGB made of the true L* and the predicted ab, clipped to the gamut;
        the lightness is that of the image as it is written, in 8 bit.
        """
        whole = torch.from_numpy(prediction.ab)[None]
        coarse = self._coarse(prediction)
        measures = {"mse": float(coarse_error(coarse, self.coarse))}
        if prediction.alternatives:
            others = torch.from_numpy(np.stack(prediction.alternatives))
            errors = coarse_error(F.avg_pool2d(self._inside(others), SCALE), self.coarse)
            measures["mse_of_alternatives"] = float(
                (measures["mse"] + errors.sum()) / (1 + len(errors))
            )
            if float(errors.min()) < measures["mse"]:
                best = int(errors.argmin())
                whole, measures["mse"] = others[best : best + 1], float(errors[best])
        ab = self._inside(whole)
        rgb = self.colored(ab)
        lab = rgb_to_lab(rgb)
        similarity = channel_ssim(rgb, self.rgb)[0]
        written = self._written(prediction, whole)
        fidelity = lightness_fidelity(written, torch.from_numpy(self.gray))
        measures |= {
            "rmse": float(ab_rmse(ab, self.ab)),
            "psnr": float(psnr(rgb, self.rgb)),
            "ssim": float(similarity.mean()),
            "ciede2000": float(mean_ciede2000(lab, self.lab)),
            "colorfulness": float(colorfulness(rgb)),
            "true_colorfulness": self.colorfulness,
            "edge_error": float(edge_error(ab, self.ab)),
            "lightness_max": fidelity.max_error,
            "lightness_mean": fidelity.mean_error,
            "gray_exact": fidelity.exact_fraction,
            "blotches": float(blotches(ab, self.ab)),
            "cast": float(cast(ab, self.ab)),
            "black_chroma": float(black_chroma(lab, self.lab)),
            "white_chroma": float(white_chroma(lab, self.lab)),
            "bleeding": float(bleeding(ab, self.ab)),
        }
        measures |= {name: float(error) for name, error in named_errors(ab, self.lab).items()}
        for letter, ratio, one in zip(
            "rgb", channel_psnr(rgb, self.rgb)[0], similarity, strict=True
        ):
            measures |= {f"psnr_{letter}": float(ratio), f"ssim_{letter}": float(one)}
        if prediction.uncertainty is not None:
            measures["uncertainty_mean"] = float(prediction.uncertainty.mean())
        if perceptual is not None:
            measures["lpips"] = float(perceptual(rgb, self.rgb))
        return measures

    def colored(self, ab: Tensor) -> Tensor:
        """The true L* with a chroma (1, 2, S, S): (1, 3, S, S) codes, clipped to [0, 1]."""
        return lab_to_rgb(torch.cat((self.lab[:, :1], ab), dim=1)).clamp(0, 1)

    def doubts(self, prediction: Prediction, every: int = 8) -> list[tuple[float, float]]:
        """Stated uncertainty and error of every n-th cell, across and down, in Lab units."""
        if prediction.uncertainty is None or prediction.uncertainty.shape != self.coarse.shape[2:]:
            return []  # a mount around the photograph has cells, too
        error = (self._coarse(prediction) - self.coarse).norm(dim=1)[0].numpy()
        cells = np.stack((prediction.uncertainty, error), axis=-1)[::every, ::every]
        return [(round(float(u), 2), round(float(e), 2)) for u, e in cells.reshape(-1, 2)]

    def _coarse(self, prediction: Prediction) -> Tensor:
        """The predicted chroma on the grid on which ``mse`` is taken, its own where it has one."""
        if prediction.coarse is not None and prediction.coarse.shape == self.coarse.shape[1:]:
            return torch.from_numpy(prediction.coarse)[None]
        return F.avg_pool2d(self._inside(torch.from_numpy(prediction.ab)[None]), SCALE)

    def _inside(self, ab: Tensor) -> Tensor:
        """The part of (B, 2, H, W) that is the photograph, (B, 2, S, S)."""
        height, width = self.codes.shape[1:]
        return ab[..., self.top : self.top + height, self.left : self.left + width]

    def _written(self, prediction: Prediction, ab: Tensor) -> Tensor:
        """(3, S, S) codes of the image as it would be written, of its gray codes' own L*."""
        if prediction.colorization is None:
            light = torch.from_numpy(lightness(self.gray))[None]
            rgb = lab_to_rgb(torch.cat((light, ab[0]))).clamp(0, 1)
            return (255 * rgb).round().to(torch.uint8)
        strips = list(prediction.colorization.strips(ab[0].numpy()))
        return torch.from_numpy(np.concatenate(strips)).permute(2, 0, 1)

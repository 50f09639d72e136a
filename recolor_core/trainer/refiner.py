"""The refiner's task: the coarse ab that a frozen generator predicts, with its edges."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recolor_core.hints import spread_hints
from recolor_core.lab import lab_to_rgb, rgb_to_lab
from recolor_core.losses import charbonnier, weighted_mean
from recolor_core.metrics import colorfulness, edge_band, edge_error, psnr
from recolor_core.models.config import SCALE
from recolor_core.models.generator import Generator
from recolor_core.models.processing import finer, upsample
from recolor_core.models.refiner import Refiner
from recolor_core.trainer.recipe import RefinerRecipe
from recolor_core.trainer.task import TEMPERATURE, Task, Validation, rng_of

VALIDATION_HINTS = 10


class RefinerTask(Task):
    """Trains a `Refiner` on what a `Generator` predicts.

    Parameters
    ----------
    recipe
        How to train.
    generator
        Frozen, in inference mode. Not asked where a batch brings ``"logits"`` along.
    """

    recipe: RefinerRecipe
    network: Refiner

    def __init__(self, recipe: RefinerRecipe, generator: Generator) -> None:
        super().__init__(recipe, lambda: Refiner(recipe.network))
        self._generator = [generator.eval().requires_grad_(False)]  # hidden: not trained or saved

    @property
    def generator(self) -> Generator:
        """The frozen generator."""
        return self._generator[0]

    def forward(self, batch: Mapping[str, Tensor], step: int, rows: slice) -> dict[str, Tensor]:
        """Loss and its parts of one step; `rows` are this device's of the whole batch."""
        with torch.no_grad(), torch.autocast(batch["rgb"].device.type, enabled=False):
            light, coarse, hints, true = self.sample(batch, step, rows)
        refined = self.network(light, coarse, hints).float()
        weight = 1 + self.recipe.edges * edge_band(true).float()
        target = self.target(coarse, true)
        loss, loss_of_bicubic = (
            weighted_mean(charbonnier(ab - target, self.recipe.knee), weight)
            for ab in (refined, upsample(coarse, SCALE))
        )
        return {"loss": loss, "loss_of_bicubic": loss_of_bicubic}

    def target(self, coarse: Tensor, true: Tensor) -> Tensor:
        """What is asked for, (B, 2, 4 h, 4 w), given coarse ab (B, 2, h, w) and the true one.

        Notes
        -----
        Which colors things have is the generator's and the user's to say. Where a generator errs,
        it errs over whole things: asked for the true color of those, a refiner cannot learn
        anything but to pale them, and the edges are lost in the noise of such a target. So it is
        asked only for what is finer than `RefinerConfig.detail` cells, which is what it can give.
        """
        bicubic = upsample(coarse, SCALE)
        return bicubic + finer(true - bicubic, SCALE * self.recipe.detail)

    def sample(
        self, batch: Mapping[str, Tensor], step: int, rows: slice
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Crops to train on.

        Returns
        -------
        tuple of Tensor
            Lightness (B, 1, c, c), coarse ab (B, 2, c / 4, c / 4), hints (B, 3, c / 4, c / 4) and
            true ab (B, 2, c, c). Some coarse ab is predicted, some predicted and hinted; some is
            the true one in other colors and blurred, and the true ab has these colors too.
        """
        recipe = self.recipe
        rgb, device = batch["rgb"], batch["rgb"].device
        logits = batch.get("logits")
        if logits is None:
            logits = self._predict(rgb_to_lab(rgb)[:, :1])
        cells, crop = logits.shape[-1], recipe.crop // SCALE
        # What is drawn for an image does not depend on how many devices share the batch.
        rng = rng_of(recipe.seed, step)
        count = recipe.batch
        low, high = recipe.temperature
        temperature = low * (high / low) ** torch.rand(count, generator=rng)[rows]
        kind = torch.rand(count, generator=rng)[rows]
        corner = torch.randint(0, cells - crop + 1, (count, 2), generator=rng)[rows]
        flip = (torch.rand(count, generator=rng) < 0.5)[rows]
        seeds = torch.randint(2**62, (count,), generator=rng)[rows]
        samples = []
        for i in range(len(rgb)):
            y, x = corner[i].tolist()
            fine = (slice(None), *(slice(SCALE * s, SCALE * (s + crop)) for s in (y, x)))
            cell = (slice(None), slice(y, y + crop), slice(x, x + crop))
            lab, hints = rgb_to_lab(rgb[i][fine]), torch.zeros(3, crop, crop, device=device)
            light, true = lab[:1], lab[1:]
            own = torch.Generator().manual_seed(int(seeds[i]))
            if kind[i] < recipe.hint_probability:
                whole = rgb_to_lab(rgb[i])  # a hint reaches beyond the crop
                hinted = _random_hints(whole[1:], recipe.max_hints, own)
                spread = self._hinted(whole[:1], logits[i : i + 1].float(), hinted)
                coarse, hints = spread[cell], hinted[cell]
            elif kind[i] < recipe.hint_probability + recipe.soften_probability:
                true = _other_colors(true, own)
                coarse = _softened(F.avg_pool2d(true, SCALE), own)
            else:
                seen = logits[i][cell][None].float()
                coarse = self.generator.mean_color(seen, float(temperature[i]))[0]
            one = (light, coarse, hints, true)
            samples.append(tuple(t.flip(-1) for t in one) if flip[i] else one)
        stacked = [torch.stack(tensors) for tensors in zip(*samples, strict=True)]
        return stacked[0], stacked[1], stacked[2], stacked[3]

    def _predict(self, light: Tensor) -> Tensor:
        generator = self.generator.to(light.device)
        helps = light.device.type == "cuda"
        with torch.autocast(light.device.type, torch.bfloat16, enabled=helps):
            logits: Tensor = generator(light)
        return logits.float()

    def _hinted(self, light: Tensor, logits: Tensor, hints: Tensor) -> Tensor:
        """Coarse ab at the default temperature, hints spread as `Colorizer.refine` does."""
        generator = self.generator.to(logits.device)
        ab = generator.mean_color(logits, TEMPERATURE)[0]
        # Kriging solves small systems, which a CPU does sooner than a GPU.
        inputs = (ab, hints, logits[0], generator.uncertainty(logits)[0, 0], light[0])
        spread = spread_hints(*(t.detach().cpu().numpy() for t in inputs))
        return torch.from_numpy(spread).to(logits.device)

    @torch.no_grad()
    def validate(self, network: nn.Module, batch: Mapping[str, Tensor], first: int) -> Validation:
        """Refined against bicubic, without hints and with a few."""
        lab = rgb_to_lab(batch["rgb"])
        light, true = lab[:, :1], lab[:, 1:]
        rgb = batch["rgb"].float() / 255
        logits = batch["logits"].float() if "logits" in batch else self._predict(light)
        measures: dict[str, Tensor] = {}
        rows: list[Tensor] = []
        for name, count in (("", 0), ("_hinted", VALIDATION_HINTS)):
            coarse = self.generator.mean_color(logits, TEMPERATURE)
            hints = coarse.new_zeros(len(coarse), 3, *coarse.shape[-2:])
            if count:
                for i in range(len(coarse)):
                    own = torch.Generator().manual_seed(first + i)
                    hints[i] = _random_hints(true[i], count, own, exactly=True)
                    coarse[i] = self._hinted(light[i], logits[i : i + 1], hints[i])
            bicubic, refined = upsample(coarse, SCALE), network(light, coarse, hints).float()
            before, after = (_rgb(light, ab) for ab in (bicubic, refined))
            rows += [before, after]
            measures |= {
                f"psnr{name}": psnr(after, rgb),
                f"psnr_gain{name}": psnr(after, rgb) - psnr(before, rgb),
                f"edge_error{name}": edge_error(refined, true),
                f"edge_error_of_bicubic{name}": edge_error(bicubic, true),
                f"colorfulness{name}": colorfulness(after),
                f"colorfulness_of_bicubic{name}": colorfulness(before),
            }
        measures["score"] = measures["psnr_gain"] + measures["psnr_gain_hinted"]
        gray = _rgb(light, torch.zeros_like(true))
        return Validation(measures, torch.stack((gray, *rows, rgb), dim=1))


def _rgb(light: Tensor, ab: Tensor) -> Tensor:
    return lab_to_rgb(torch.cat((light, ab), dim=1)).clamp(0, 1)


def _random_hints(
    true: Tensor, maximum: int, rng: torch.Generator, *, exactly: bool = False
) -> Tensor:
    """Disks of true colors as `hint_map` makes them, (3, h, w): half of them are single cells.

    A disk has the color of the one pixel at its center, as a person picks it.
    """
    height, width = (size // SCALE for size in true.shape[-2:])
    drawn = math.exp(math.log(maximum + 1) * float(torch.rand((), generator=rng)))
    count = maximum if exactly else max(1, int(drawn))
    row = torch.randint(0, true.shape[-2], (count,), generator=rng)
    column = torch.randint(0, true.shape[-1], (count,), generator=rng)
    radius = 4 * torch.rand(count, generator=rng) ** 2
    if exactly:
        radius.zero_()
    colors = true[:, row, column].cpu()
    cell_row, cell_column = row // SCALE, column // SCALE
    y, x = torch.arange(height)[:, None], torch.arange(width)
    apart = (y - cell_row[:, None, None]) ** 2 + (x - cell_column[:, None, None]) ** 2
    inside = (apart <= radius[:, None, None] ** 2).float()
    total = torch.einsum("cn,nhw->chw", torch.cat((colors, torch.ones(1, count))), inside)
    return (total / total[2].clamp(min=1)).to(true.device)


def _other_colors(ab: Tensor, rng: torch.Generator) -> Tensor:
    """The same edges between other colors: ab turned, paled or deepened, and drifting slowly."""
    turn, depth = torch.rand(2, generator=rng).tolist()
    angle = 1.2 * (turn - 0.5)
    scale = 0.4 + 0.9 * depth
    matrix = scale * torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    drift = 8 * torch.rand((), generator=rng) * torch.randn(1, 2, 5, 5, generator=rng)
    drift = F.interpolate(drift, size=ab.shape[-2:], mode="bicubic")[0]
    return torch.einsum("ij,jhw->ihw", matrix.to(ab.device), ab) + drift.to(ab.device)


def _softened(ab: Tensor, rng: torch.Generator) -> Tensor:
    """Blurred as predictions are, by a Gaussian of up to 0.8 cells."""
    sigma = 0.01 + 0.8 * float(torch.rand((), generator=rng))
    x = torch.arange(-4.0, 5.0, device=ab.device)
    kernel = torch.exp(-x.square() / (2 * sigma * sigma))
    kernel = (kernel / kernel.sum()).expand(1, 1, 1, -1)
    padded = F.pad(ab[:, None], (4, 4, 4, 4), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel), kernel.transpose(-1, -2))[:, 0]

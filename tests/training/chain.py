"""What the tests of the training chain share: small weights, images, commands."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from PIL import Image

from recolor_core.models.config import GeneratorConfig, RefinerConfig
from recolor_core.models.generator import Generator
from recolor_core.models.refiner import Refiner
from recolor_core.weights import save_weights
from training.command import run_command


def command(app: typer.Typer, *words: object) -> Any:
    """Exit code of a command with these words."""
    try:
        run_command(app, [str(word) for word in words])
    except SystemExit as end:
        return end.code or 0
    return 0


def small_weights(path: Path, seed: int = 0, width: int = 64, refines: bool = False) -> Path:
    """Write a weights file with small networks that were never trained.

    The refiner only upsamples, as an untrained one does, unless it `refines`.
    """
    torch.manual_seed(seed)
    generator = Generator(GeneratorConfig(width=width, decoder=(16, 16, 16), attention=1))
    refiner = Refiner(RefinerConfig(width=8, blocks=1))
    if refines:
        torch.nn.init.normal_(refiner.out.weight, std=0.01)
    facts = {"license": "none", "training_data": "none", "recipe": "random"}
    save_weights(path, generator, refiner, **facts)
    return path


def smooth_images(folder: Path, width: int, height: int) -> Path:
    """Write three color images without any edge, made of random numbers."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(3):
        coarse = Image.fromarray(random.integers(0, 256, (5, 7, 3), np.uint8))
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder

"""Small networks with a color memory, and films to try them on."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from recolor_core import Colorizer
from recolor_core.models.config import GeneratorConfig, RefinerConfig
from recolor_core.models.generator import Generator
from recolor_core.models.memory import ColorMemory
from recolor_core.models.refiner import Refiner
from recolor_core.weights import save_weights

SIZE = 32
"""Short side that the networks see: quick."""


def memory(kept=0.0, **options):
    """A color memory that keeps this share of the color before, everywhere."""
    network = ColorMemory(**options)
    with torch.no_grad():
        network.out.bias[0] = kept
    return network.eval()


def change_memory(monkeypatch, colorizer, network):
    """Give a colorizer another color memory, or None, for the time of a test."""
    runner = colorizer.runner
    file = runner._file
    configs = {kind: config for kind, config in file.configs.items() if kind != "memory"}
    changed = replace(file, configs=configs | ({"memory": network.config} if network else {}))
    changed._read.update(file._read, memory=network)
    monkeypatch.setattr(runner, "_file", changed)


def small_colorizer(folder, kept=0.7):
    """A Colorizer with networks that were never trained, but tell images apart."""
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(width=64, decoder=(16, 16, 16), attention=1))
    refiner = Refiner(RefinerConfig(width=8, blocks=1))
    nn.init.normal_(refiner.out.weight, std=0.01)
    path = folder / "small.safetensors"
    facts = {"license": "CC0-1.0", "training_data": "None.", "recipe": "Never trained."}
    save_weights(path, generator.eval(), refiner.eval(), memory(kept), **facts)
    return Colorizer(path, device="cpu")


def scene(height=60, width=400, seed=0):
    """Something with details of several sizes, (height, width) uint8."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width))
    for cell in (4, 8, 24):
        noise = rng.random((-(-height // cell), -(-width // cell)))
        total += np.kron(noise, np.ones((cell, cell)))[:height, :width]
    return (total * 255 / 3).astype(np.uint8)


def pan(count, step=3, shape=(48, 64), seed=0):
    """A window that moves to the right over a scene, (count, *shape)."""
    wide = scene(shape[0], shape[1] + step * count, seed)
    return np.stack([wide[:, step * i : step * i + shape[1]] for i in range(count)])

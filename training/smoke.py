"""The whole chain on bundled images: clean, pack, train each network, export, colorize.

``python -m training.smoke`` shows that every step understands what the one before it wrote. A few
optimizer steps teach nothing: what the images look like is no matter here.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

from recolor_core import Colorizer, RecolorError
from recolor_core.lab import gray_codes

SIDE = 256
STEPS = 4


def write_photographs(folder: Path) -> None:
    """Squares cut from the photographs that come with scikit-image."""
    folder.mkdir(parents=True)
    left = skimage.data.stereo_motorcycle()[0]
    photographs = {
        "astronaut": skimage.data.astronaut(),
        "cat": skimage.data.chelsea(),
        "coffee": skimage.data.coffee(),
        "motorcycle": left,
        "rocket": skimage.data.rocket(),
    }
    for name, pixels in photographs.items():
        height, width = pixels.shape[:2]
        for top in {0, height - SIDE}:
            for left_edge in {0, width - SIDE}:
                square = pixels[top : top + SIDE, left_edge : left_edge + SIDE]
                Image.fromarray(square).save(folder / f"{name}-{top}-{left_edge}.png")


def run_module(*words: str | Path) -> None:
    """Run one of the project's commands as a person would."""
    command = [sys.executable, "-m", *map(str, words)]
    print("$", " ".join(command[1:]), flush=True)
    subprocess.run(command, check=True)


def chain(folder: Path) -> None:
    """Run the chain in a folder that is not there yet."""
    photographs, cleaned, shards = folder / "photographs", folder / "cleaned", folder / "shards"
    write_photographs(photographs)
    # Neighboring cuts of one photograph are near-duplicates, and these are all there are.
    run_module("training.prepare", "clean", photographs, "--into", cleaned, "--val", "0.2")
    run_module("training.prepare", "pack", cleaned, "--into", shards)
    training, held_out = sorted(shards.glob("train-*.tar")), sorted(shards.glob("val-*.tar"))
    data = [word for path in training for word in ("--data", path)]
    check = [word for path in held_out or training for word in ("--validation", path)]
    quick = ["--set", f"steps={STEPS}", "--set", "batch=4", "--set", "precision=32-true"]
    quick += ["--set", "size=64", "--set", "log_every=1", "--set", "pretrained=", "--no-progress"]
    quick += ["--accelerator", "cpu", "--devices", "1", "--workers", "1"]

    def train(network: str, *more: str | Path) -> Path:
        config = Path(__file__).parent / "configs" / f"{network}.toml"
        words = ["--config", config, "--out", folder / network, *quick, *more]
        run_module("training.train", network, *data, *check, *words)
        return folder / network / "last.ckpt"

    train("original")
    generator = train("generator")
    # The others are trained on what a whole weights file's generator predicts.
    half = folder / "half.safetensors"
    run_module("training.export", half, "--generator", generator)
    cropped = ["--set", f"generator={half}", "--set", "crop=32"]
    refiner = train("refiner", *cropped, "--cache", folder / "cache")
    memory = train("memory", *cropped, "--set", "frames=3")
    weights = folder / "smoke.safetensors"
    run_module(
        *("training.export", weights, "--card", folder / "card.md"),
        *("--generator", generator),
        *("--refiner", refiner),
        *("--memory", memory),
    )
    gray = skimage.data.camera()
    rgb = Colorizer(weights, "cpu")(gray).rgb
    Image.fromarray(rgb).save(folder / "colorized.png")
    if not np.array_equal(gray_codes(rgb), gray):
        raise RecolorError("the gray of the colorized image is not the gray that came in")


def main() -> None:
    """Run the chain in a temporary folder and say how long it took."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        chain(Path(folder) / "smoke")
    print(f"the whole chain in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()

"""Many files: small images and scans through the command, and its start.

Printed are ``images_per_second``; with the start ``times_torch``, its time by that of importing
torch in the same run; with scans in two processes ``times_one_process``; with scans in one process,
which works on two at a time, ``times_one_by_one``, by the sum of calls with one scan each; with
scans in a warm process the seconds of each stage alone for one scan, ``of_slowest``, the throughput
by that of the slowest stage alone, and ``busy_processors``. The environment variables
``RECOLOR_BENCH_IMAGES`` and ``RECOLOR_BENCH_SCANS`` set how many there are.
"""

import os
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import tifffile
from PIL import Image

from recolor_core import Colorizer
from recolor_core.batch.image import try_image
from recolor_core.batch.request import Request
from recolor_core.batch.tasks import IMAGES_AT_A_TIME
from recolor_core.images import ImageWriter, open_image
from recolor_core.pipeline import in_order

_RUN = "from recolor_core.cli import main; main()"
_IMAGES = int(os.environ.get("RECOLOR_BENCH_IMAGES", "24"))
_SCANS = int(os.environ.get("RECOLOR_BENCH_SCANS", "3"))


def recolor(*words):
    command = [sys.executable, "-c", _RUN, *map(str, words)]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(_IMAGES):
        codes = Image.fromarray(random.integers(0, 256, (12, 16), np.uint8))
        codes.resize((320, 240), Image.Resampling.BICUBIC).save(folder / f"{index:03}.png")
    return folder


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(_SCANS):
        codes = random.integers(0, 256, (40, 60), np.uint8)
        codes = np.asarray(Image.fromarray(codes).resize((6000, 4000), Image.Resampling.BICUBIC))
        tifffile.imwrite(folder / f"{index}.tif", codes, compression="adobe_deflate")
    return folder


@pytest.mark.benchmark(group="small images, the whole command")
@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_small_images(benchmark, images, tmp_path, runtime):
    out = tmp_path / "out"
    words = (images, "-o", out, "--overwrite", "--runtime", runtime)
    benchmark.pedantic(recolor, words, rounds=1)
    benchmark.extra_info["images_per_second"] = round(_IMAGES / benchmark.stats.stats.min, 2)


@pytest.mark.benchmark(group="a folder of scans of 24 megapixels")
def test_scans(benchmark, scans, tmp_path):
    begun = time.perf_counter()
    recolor("batch", scans, tmp_path / "one", "--jobs", 1)
    one = time.perf_counter() - begun
    benchmark.pedantic(recolor, ("batch", scans, tmp_path / "two", "--jobs", 2), rounds=1)
    benchmark.extra_info["times_one_process"] = round(benchmark.stats.stats.mean / one, 2)


@pytest.mark.benchmark(group="a folder of scans of 24 megapixels")
def test_scans_in_one_process(benchmark, scans, tmp_path):
    begun = time.perf_counter()
    for scan in sorted(scans.iterdir()):
        recolor(scan, "-o", tmp_path / "alone.tif", "--overwrite")
    alone = time.perf_counter() - begun
    benchmark.pedantic(recolor, (scans, "-o", tmp_path / "out"), rounds=1)
    benchmark.extra_info["times_one_by_one"] = round(benchmark.stats.stats.mean / alone, 2)


@pytest.mark.benchmark(group="a folder of scans of 24 megapixels")
@pytest.mark.parametrize("compression", ["plain", "deflate"])
def test_scans_against_their_slowest_stage(benchmark, scans, tmp_path, compression):
    """Each stage alone over all scans, then all of it, in one warm process with all its threads."""
    paths = sorted(scans.iterdir())
    if compression == "plain":
        for path in paths:
            tifffile.imwrite(path, tifffile.imread(path))
    colorizer = Colorizer(device="cpu")
    colorizer(tifffile.imread(paths[0]))  # warm
    results = []

    def read(path):
        with open_image(path) as file:
            for page in file:
                np.ascontiguousarray(
                    page.codes
                ).sum()  # an uncompressed page is read when it is used

    def networks(path):
        results.append(colorizer(tifffile.imread(path)))

    def full_resolution(index):
        for _ in results[index].strips():
            pass

    def write(index):
        rgb = np.repeat(results[index].gray.codes[..., None], 3, axis=2)
        strips = (rgb[top : top + 64] for top in range(0, len(rgb), 64))
        target = tmp_path / "alone.tif"
        with (
            open_image(paths[index]) as file,
            ImageWriter(target, like=file, overwrite=True) as writer,
        ):
            writer.write(next(iter(file)), strips)

    seconds = {}
    everything = range(len(paths))
    for stage, items in (
        *((read, paths), (networks, paths)),
        *((full_resolution, everything), (write, everything)),
    ):
        begun = time.perf_counter()
        for item in items:
            stage(item)
        seconds[stage.__name__] = time.perf_counter() - begun
    out = tmp_path / "out"
    out.mkdir()
    calls = [
        partial(try_image, colorizer, path, lambda name, path=path: out / path.name, Request())
        for path in paths
    ]

    def all_of_it():
        for outcome in in_order(iter(calls), IMAGES_AT_A_TIME):
            assert outcome.status == "done", outcome.message

    begun = time.process_time()
    benchmark.pedantic(all_of_it, rounds=1)
    wall, cpu = benchmark.stats.stats.mean, time.process_time() - begun
    benchmark.extra_info |= {name: round(s / len(paths), 2) for name, s in seconds.items()}
    benchmark.extra_info["of_slowest"] = round(max(seconds.values()) / wall, 2)
    benchmark.extra_info["cpu_seconds"] = round(cpu / len(paths), 2)
    benchmark.extra_info["busy_processors"] = round(cpu / wall, 2)


@pytest.mark.benchmark(group="start")
def test_start(benchmark, images, tmp_path):
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    torch = time.perf_counter() - begun
    words = (images / "000.png", "-o", tmp_path / "a.png", "--overwrite")
    benchmark.pedantic(recolor, words, rounds=3)
    benchmark.extra_info["times_torch"] = round(benchmark.stats.stats.median / torch, 2)


@pytest.mark.benchmark(group="start")
def test_help(benchmark):
    benchmark.pedantic(recolor, ("--help",), rounds=5)

"""A batch of scans of 6 megapixels: against reading and writing, a plain loop, more processes.

Printed are ratios of one run, each the median of its rounds (``times_floor``, ``times_loop``,
``times_one_process``), the processor's seconds for each scan (``cpu_seconds``), and the peak memory
of the largest process against the number of files (``peak_mib``). RECOLOR_BENCH_SCANS sets the
number of scans.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import tifffile
from PIL import Image

SCANS = int(os.environ.get("RECOLOR_BENCH_SCANS", "24"))
ROUNDS = 3
_RUN = "from recolor_core.cli import main; main()"
_FLOOR = """
import sys
from pathlib import Path
import numpy as np
from recolor_core.images import ImageWriter, open_image
for source in sorted(Path(sys.argv[1]).iterdir()):
    with open_image(source) as file, ImageWriter(Path(sys.argv[2], source.name), like=file) as out:
        for page in file:
            tops = range(0, len(page.codes), 64)
            out.write(page, (np.repeat(page.codes[t : t + 64, :, None], 3, 2) for t in tops))
"""
_LOOP = """
import sys
from pathlib import Path
import tifffile
from recolor_core import Colorizer
colorize = Colorizer(device="cpu")
for source in sorted(Path(sys.argv[1]).iterdir()):
    rgb = colorize(tifffile.imread(source)).rgb
    tifffile.imwrite(Path(sys.argv[2], source.name), rgb, compression="adobe_deflate")
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses the Unix resource module")


def scans(folder: Path, count: int, height: int, width: int) -> Path:
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(count):
        codes = random.integers(0, 256, (height // 100 + 2, width // 100 + 2), np.uint8)
        image = Image.fromarray(codes).resize((width, height), Image.Resampling.BICUBIC)
        noise = random.integers(0, 4, (height, width), np.uint8)
        tifffile.imwrite(
            folder / f"{index:04}.tif", np.asarray(image) // 2 + noise, compression="adobe_deflate"
        )
    return folder


def timed(*words: object) -> tuple[float, float]:
    """Seconds that a Python process takes, and those of the processor."""
    import resource  # Windows has none

    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *map(str, words)], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, cpu


def batch(source: Path, out: Path, *words: object) -> tuple[float, float]:
    return timed("-c", _RUN, "batch", source, out, "--no-report", "--quiet", *words)


@pytest.mark.benchmark(group="a batch of scans of 6 megapixels")
def test_throughput(benchmark, tmp_path):
    source = scans(tmp_path / "in", SCANS, 2000, 3000)
    floors, loops, cpu = [], [], []

    def once(number):
        one, two, three = (tmp_path / f"{name}{number}" for name in ("floor", "loop", "batch"))
        for folder in (one, two):
            folder.mkdir()
        floor, _ = timed("-c", _FLOOR, source, one)
        loop, _ = timed("-c", _LOOP, source, two)
        seconds, used = batch(source, three)
        floors.append(seconds / floor)
        loops.append(seconds / loop)
        cpu.append(used / SCANS)

    numbers = iter(range(ROUNDS))
    benchmark.pedantic(lambda: once(next(numbers)), rounds=ROUNDS)
    benchmark.extra_info["times_floor"] = round(median(floors), 2)
    benchmark.extra_info["times_loop"] = round(median(loops), 2)
    benchmark.extra_info["cpu_seconds"] = round(median(cpu), 2)


@pytest.mark.benchmark(group="a batch in several processes")
@pytest.mark.parametrize("size", [(2000, 3000), (120, 160)], ids=["scans", "tiny"])
@pytest.mark.parametrize("where", ["serial", "local:2", "local:4"])
def test_scaling(benchmark, tmp_path, where, size):
    source = scans(tmp_path / "in", SCANS if size[0] > 1000 else 4 * SCANS, *size)
    ratios = []

    def once(number):
        one, _ = batch(source, tmp_path / f"one{number}")
        more, _ = batch(source, tmp_path / f"more{number}", "--scheduler", where)
        ratios.append(more / one)

    numbers = iter(range(ROUNDS))
    benchmark.pedantic(lambda: once(next(numbers)), rounds=ROUNDS)
    benchmark.extra_info["times_one_process"] = round(median(ratios), 2)


_PEAK = """
import resource, subprocess, sys
subprocess.run([sys.executable, *sys.argv[1:]], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.benchmark(group="memory against the number of files")
@pytest.mark.parametrize("count", [10, 100, 1000])
def test_memory(benchmark, tmp_path, count):
    source = scans(tmp_path / "in", count, 120, 160)
    words = ["-c", _RUN, "batch", source, tmp_path / "out", "--no-report", "--quiet"]
    peak = []

    def once():
        command = [sys.executable, "-c", _PEAK, *map(str, words)]
        peak.append(int(subprocess.run(command, check=True, capture_output=True).stdout))

    benchmark.pedantic(once, rounds=1)
    unit = 1 if sys.platform == "darwin" else 1024
    benchmark.extra_info["peak_mib"] = peak[0] * unit >> 20

"""A 24-megapixel scan from file to file: every stage, and the floor of reading and writing alone.

The ratio to the floor is printed with each end-to-end run (``times_floor``), its peak memory in
MiB as ``peak_mib``.
"""

import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile

from recolor_core import Colorizer, Settings, full_resolution
from recolor_core.gray import read_gray
from recolor_core.images import ImageWriter, open_image

HEIGHT, WIDTH = 4000, 6000
COMPRESSIONS = {"plain": None, "lzw": "lzw", "deflate": "adobe_deflate"}


@pytest.fixture(scope="module", params=[8, 16], ids=["8bit", "16bit"])
def codes(request):
    """Something like a photograph: smooth areas, edges and grain."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j].astype(np.float32)
    image = 0.5 + 0.3 * np.sin(9 * x + 4 * y) * np.cos(7 * y) + 0.1 * (np.sin(40 * x * y) > 0)
    image += random.normal(0, 0.01, image.shape).astype(np.float32)
    dtype = {8: np.uint8, 16: np.uint16}[request.param]
    return (np.clip(image, 0, 1) * np.iinfo(dtype).max).astype(dtype)


@pytest.fixture(params=COMPRESSIONS)
def scan(request, codes, tmp_path):
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, codes, compression=COMPRESSIONS[request.param], predictor=False)
    return path


@pytest.fixture(scope="module")
def colorizer():
    return Colorizer(device="cpu")


@pytest.fixture(scope="module")
def result(codes, colorizer):
    return colorizer(codes)


def _read_and_write(scan, target):
    """The floor: the same file in, three equal channels out, nothing in between."""
    with open_image(scan) as file, ImageWriter(target, like=file, overwrite=True) as writer:
        for page in file:
            rows = 64
            strips = (
                np.repeat(page.codes[top : top + rows, :, None], 3, axis=2)
                for top in range(0, HEIGHT, rows)
            )
            writer.write(page, strips)


def _colorize(colorizer, scan, target):
    with open_image(scan) as file, ImageWriter(target, like=file, overwrite=True) as writer:
        for page in file:
            coarse = colorizer.generate(read_gray(page.codes, page.space))
            result = colorizer.refine(coarse, Settings())
            writer.write(page, result.strips(), result.provenance)


@pytest.mark.benchmark(group="24-megapixel scan, file to file")
class TestFileToFile:
    def test_floor(self, benchmark, scan, tmp_path):
        benchmark.pedantic(_read_and_write, [scan, tmp_path / "out.tif"], rounds=3)

    def test_colorize(self, benchmark, scan, tmp_path, colorizer):
        target = tmp_path / "out.tif"
        ratios = []
        for _ in range(3):  # pairwise, since machines drift
            start = time.perf_counter()
            _read_and_write(scan, target)
            middle = time.perf_counter()
            _colorize(colorizer, scan, target)
            ratios.append((time.perf_counter() - middle) / (middle - start))
        benchmark.extra_info["times_floor"] = round(sorted(ratios)[1], 2)
        benchmark.pedantic(_colorize, [colorizer, scan, target], rounds=3)


@pytest.mark.benchmark(group="24-megapixel scan, stage by stage")
class TestStages:
    def test_lightness_at_working_size(self, benchmark, codes):
        gray = read_gray(codes)
        benchmark.pedantic(gray.lightness, [(224, 336)], rounds=3, warmup_rounds=1)

    def test_generator(self, benchmark, codes, colorizer):
        gray = read_gray(codes)
        benchmark.pedantic(colorizer.generate, [gray], rounds=3, warmup_rounds=1)

    def test_refiner(self, benchmark, codes, colorizer):
        coarse = colorizer.generate(read_gray(codes))
        benchmark.pedantic(colorizer.refine, [coarse], rounds=3, warmup_rounds=1)

    @pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "numpy"])
    def test_full_resolution(self, benchmark, monkeypatch, result, kernel):
        if not kernel:
            monkeypatch.setattr(full_resolution, "load_kernel", lambda: None)

        def strips():
            for _ in result.strips():
                pass

        benchmark.pedantic(strips, rounds=3, warmup_rounds=1)


@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is asked of the Unix kernel")
@pytest.mark.benchmark(group="24-megapixel scan, the whole command")
def test_command(benchmark, codes, tmp_path):
    import resource

    scan, target = tmp_path / "scan.tif", tmp_path / "out.tif"
    tifffile.imwrite(scan, codes)
    run = "from recolor_core.cli import main; main()"
    command = [sys.executable, "-c", run, scan, "-o", target, "--overwrite"]
    benchmark.pedantic(subprocess.run, [command], {"check": True, "capture_output": True}, rounds=2)
    kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    benchmark.extra_info["peak_mib"] = kilobytes // (1 if sys.platform == "linux" else 1024) // 1024

"""Films: frames per second against coloring frame by frame, and memory over ten times the frames.

``times_frame_by_frame`` is printed with the whole way of a film (reading, coloring steadily, coding
and joining): its time by that of `Colorizer` on the same frames, in the same run. The goal is 1.15.
Memory is ``peak_mib`` of two films, one ten times as long; RECOLOR_LONG_FILM=10000 in the
environment makes the long one so long.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from recolor_core import Colorizer
from recolor_core.film import FilmJob, colorize_film
from tests.core.films import make_film, scene

FRAMES, SIZE = 48, (640, 360)
LONG = int(os.environ.get("RECOLOR_LONG_FILM", "640"))

_RUN = """
import sys
from recolor_core import Colorizer
from recolor_core.settings import Settings
from recolor_core.film import FilmJob, colorize_film
*_, last = colorize_film(
    Colorizer(device="cpu"),
    sys.argv[1],
    sys.argv[2],
    FilmJob(settings=Settings(size=32), overwrite=True),
)
# Not what getrusage says: that begins with the memory of the process that started this one.
with open("/proc/self/status") as status:
    (peak,) = (line.split()[1] for line in status if line.startswith("VmHWM"))
print(last.result.frames, peak)
"""


@pytest.mark.benchmark(group="a film")
@pytest.mark.parametrize("passes", [1, 2])
def test_film_against_frame_by_frame(benchmark, tmp_path, passes):
    units = [scene(index, SIZE) for index in range(FRAMES)]
    make_film(tmp_path / "a.mkv", units, codec="libx264", size=SIZE)
    colorizer = Colorizer(device="cpu")
    frames = [np.rint(unit * 255).astype(np.uint8) for unit in units]
    _ = colorizer(frames[0]).rgb  # warm
    begun = time.perf_counter()
    for frame in frames:
        _ = colorizer(frame).rgb
    floor = time.perf_counter() - begun

    def film():
        order = FilmJob(passes=passes, overwrite=True)
        *_, last = colorize_film(colorizer, str(tmp_path / "a.mkv"), str(tmp_path / "b.mp4"), order)
        return last.result

    result = benchmark.pedantic(film, rounds=1)
    assert result.frames == FRAMES
    benchmark.extra_info["frames_per_second"] = FRAMES / benchmark.stats.stats.mean
    benchmark.extra_info["times_frame_by_frame"] = benchmark.stats.stats.mean / floor


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is asked of the Linux kernel")
@pytest.mark.benchmark(group="memory of a film")
@pytest.mark.parametrize("frames", [LONG // 10, LONG])
def test_memory(benchmark, tmp_path, frames):
    make_film(tmp_path / "a.mkv", frames, codec="libx264", size=(64, 64))

    def film():
        return _peak(tmp_path / "a.mkv", tmp_path / "b.mp4")

    done, kibibytes = benchmark.pedantic(film, rounds=1)
    assert done == frames
    benchmark.extra_info["peak_mib"] = kibibytes // 1024


def _peak(source: Path, target: Path) -> tuple[int, int]:
    words = [sys.executable, "-c", _RUN, str(source), str(target)]
    printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    done, peak = printed.split()
    return int(done), int(peak)

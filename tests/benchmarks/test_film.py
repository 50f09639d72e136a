"""Films: frames per second against coloring frame by frame and against FFmpeg, and memory.

``times_ffmpeg`` is printed with films of three sizes: the time of the whole way (reading, coloring,
coding and joining) by that of decoding and coding the same film with FFmpeg's own encoder and the
same options, in the same run. ``times_ffmpeg_cpu`` is the same of the processor's time, which other
work on the machine does not change. The goals are 6 at 480 rows and 3 at 1080.
``times_frame_by_frame`` is printed with the whole way of a film (reading, coloring steadily, coding
and joining): its time by that of `Colorizer` on the same frames, in the same run. The goal is 1.15.
Memory is ``peak_mib`` of two films, one ten times as long; RECOLOR_LONG_FILM=10000 in the
environment makes the long one so long.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import skimage.data
import skimage.transform

from recolor_core import Colorizer
from recolor_core.film import FilmJob, colorize_film, open_film
from recolor_core.film.encoding import choose_coding
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


@pytest.mark.benchmark(group="a film against FFmpeg")
@pytest.mark.parametrize(
    "size", [(640, 360), (854, 480), (1920, 1080)], ids=lambda size: f"{size[1]}p"
)
def test_film_against_ffmpeg(benchmark, tmp_path, size):
    frames = FRAMES // 2
    source, target = tmp_path / "a.mkv", tmp_path / "b.mp4"
    make_film(source, _photographed(frames, size), codec="libx264", size=size)
    colorizer = Colorizer(device="cpu")
    _ = colorizer(np.zeros((size[1], size[0]), np.uint8)).rgb  # warm
    wall, cpu = _clocked(lambda: _recode(source, tmp_path / "c.mp4"))
    took: list[tuple[float, float]] = []

    def film():
        events = colorize_film(colorizer, str(source), str(target), FilmJob(overwrite=True))
        took.append(_clocked(lambda: list(events)))

    benchmark.pedantic(film, rounds=1)
    ((film_wall, film_cpu),) = took
    benchmark.extra_info["frames_per_second"] = frames / film_wall
    benchmark.extra_info["cpu_ms_per_frame"] = 1000 * film_cpu / frames
    benchmark.extra_info["times_ffmpeg"] = film_wall / wall
    benchmark.extra_info["times_ffmpeg_cpu"] = film_cpu / cpu


def _photographed(frames: int, size: tuple[int, int]) -> list[np.ndarray]:
    """A pan over a photograph with grain, luminance in [0, 1]."""
    width, height = size
    photograph = skimage.data.astronaut().mean(axis=2) / 255
    image = skimage.transform.resize(photograph, (height + 2 * frames, width + 3 * frames))
    rng = np.random.default_rng(0)
    views = (image[2 * i :, 3 * i :][:height, :width] for i in range(frames))
    return [np.clip(view + rng.normal(0, 0.02, view.shape), 0, 1) for view in views]


def _clocked(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the clock and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def _recode(source: Path, target: Path) -> None:
    """Decode and code a film as `recolor film` does, without coloring it."""
    with av.open(str(source)) as film, av.open(str(target), "w") as output:
        video = film.streams.video[0]
        coding = choose_coding(target, open_film(str(source)).facts, lossless=False, crf=16)
        coded = output.add_stream(coding.codec, rate=video.average_rate, options=coding.options)
        coded.width, coded.height, coded.pix_fmt = video.width, video.height, coding.pixels
        for frame in film.decode(video):
            output.mux(coded.encode(frame))
        output.mux(coded.encode(None))


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

"""What the answer to a hint costs: ``make bench ARGS="-k hint -s"``.

The processor time of the whole process from a hint that is added or moved to its colors on the
screen, and which part of it the GUI thread takes, and the threads that draw in the place of a GPU.
"""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Points
from qtpy.QtWidgets import QAbstractButton

from napari_recolor.runs.run import Run
from recolor_core import Colorizer, Hint, Settings
from recolor_core.gray import read_gray

from .test_window import SIZES, preferences_of_this_test

__all__ = ["preferences_of_this_test"]

ROUNDS = 9


def photograph(size: tuple[int, int]) -> np.ndarray[Any, Any]:
    y, x = np.mgrid[: size[0], : size[1]]
    return (127 + 60 * np.sin(x / 90) + 50 * np.cos(y / 140)).astype(np.uint8)


def drawing_seconds() -> float:
    """Processor time of the threads of the software that takes the place of a GPU; Linux only."""
    total = 0.0
    for stat in Path("/proc/self/task").glob("*/stat"):
        name, _, rest = stat.read_text().rpartition(")")
        if "llvmpipe" in name:
            total += sum(map(int, rest.split()[11:13])) / os.sysconf("SC_CLK_TCK")
    return total


def noting(real: Callable[..., None], calls: list[str], name: str) -> Callable[..., None]:
    def call(*arguments: Any) -> None:
        real(*arguments)
        calls.append(name)

    return call


@pytest.mark.parametrize("size", SIZES)
def test_hint_in_the_window(
    size: str,
    make_napari_viewer: Any,
    qtbot: Any,
    benchmark: Any,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Add hints, move one, and tell what each answer costs."""
    if not size.startswith(os.environ.get("RECOLOR_BENCH_SIZE", "")):
        pytest.skip("another size is asked for by RECOLOR_BENCH_SIZE")
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    viewer.add_image(photograph(SIZES[size]), name="photo")
    _, panel = viewer.window.add_plugin_dock_widget("napari-recolor", "Colorize")
    found: dict[str, list[tuple[float, float, float]]] = {}
    shown: list[str] = []  # a preview, or the colors themselves
    for name in ("show_preview", "show_colors"):
        monkeypatch.setattr(Run, name, noting(getattr(Run, name), shown, name))

    def wait(condition: Callable[[], bool]) -> None:
        qtbot.waitUntil(condition, timeout=300_000)

    def button(name: str) -> QAbstractButton:
        return panel.findChild(QAbstractButton, f"recolor.{name}")

    def answer(name: str, act: Callable[[], None]) -> None:
        shown.clear()
        before = (time.process_time(), time.thread_time(), drawing_seconds())
        act()
        wait(lambda: bool(shown))
        qtbot.wait(50)  # the canvas is drawn
        after = (time.process_time(), time.thread_time(), drawing_seconds())
        spent = [b - a for a, b in zip(before, after, strict=True)]
        found.setdefault(name, []).append((spent[0], spent[1], spent[2]))
        wait(lambda: not panel._live.busy)
        qtbot.wait(500)

    def measure() -> None:
        wait(lambda: button("run") is not None and button("run").isEnabled())
        button("run").click()
        wait(lambda: not panel.busy and bool(panel._runner.last.finished))
        qtbot.wait(1000)
        button("hints").click()
        qtbot.wait(1000)
        points = next(layer for layer in viewer.layers if isinstance(layer, Points))
        for number in range(ROUNDS):
            name = "another hint" if number else "first hint"
            answer(name, lambda at=number: points.add([100 + 60 * at, 300]))

        def move(number: int) -> None:
            points.data = np.vstack((points.data[:-1], [[400, 100 + 60 * number]]))

        for number in range(ROUNDS):
            answer("a hint moved", lambda at=number: move(at))

    benchmark.pedantic(measure, rounds=1)
    with capsys.disabled():
        print(f"\n{size:16}   processor time   GUI thread   drawing   the rest, in ms")
        for name, times in found.items():
            whole, window, drawing = (
                1000 * statistics.median(part) for part in zip(*times, strict=True)
            )
            rest = whole - window - drawing
            print(f"{name:16} {whole:16.0f} {window:12.0f} {drawing:9.0f} {rest:10.0f}")
            benchmark.extra_info[name] = (whole, window, drawing)


def test_hint_of_a_prediction(benchmark: Any, capsys: Any) -> None:
    """Colors of an image of 2 megapixels with hints, over those without any."""
    recolor = Colorizer(device="cpu")
    coarse = recolor.generate(read_gray(photograph(SIZES["2 megapixels"])), Settings())
    others = [Hint(150 * i, 900, color, 8) for i, color in enumerate(["#a04030", "#3050a0"] * 4, 1)]
    found: dict[str, list[float]] = {}

    def timed(name: str, hints: list[Hint]) -> None:
        start = time.process_time()
        recolor.refine(coarse, Settings(), hints)
        found.setdefault(name, []).append(time.process_time() - start)

    def measure() -> None:
        for number in range(ROUNDS):
            moved = Hint(100 + 50 * number, 300, "#806040", 5)
            timed("none", [])
            timed("one that moves", [moved])
            timed("eight, and one that moves", [*others, moved])

    benchmark.pedantic(measure, rounds=1)
    none = statistics.median(found["none"])
    with capsys.disabled():
        print("\nprocessor time of the colors with hints, over those without")
        for name, times in found.items():
            benchmark.extra_info[name] = statistics.median(times) / none
            print(f"{name:26} {statistics.median(times) / none:.2f}")

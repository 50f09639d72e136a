"""Runs a Colorizer off the GUI thread: a generator of steps that knows no layer and no widget.

PyTorch is imported in here alone, by the thread that runs these functions: opening the widget does
not wait for it.
"""

import ctypes
import importlib.util
import sys
import tempfile
import traceback
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_recolor.reading import Index, Plan
from recolor_core.errors import DeviceWarning, RecolorError

if TYPE_CHECKING:
    from recolor_core.colorizer import Coarse, Colorization, Colorizer

HintValue = tuple[float, float, str, float]
"""x, y, color and radius of a `recolor_core.Hint`."""

IN_MEMORY = 2**32
"""Results of more bytes than this lie in a temporary file, which napari reads as it needs it."""

REMEMBERED = 4
"""What the generator saw in so many pictures is kept, for hints."""


@dataclass(frozen=True)
class Options:
    """How to colorize: the parameters of `recolor_core.Colorizer` and its `Settings`."""

    weights: str = "default"
    device: str = "auto"
    vividness: float = 0.5
    saturation: float = 1.0
    size: int = 224
    alternatives: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        """The fields of `recolor_core.Settings`."""
        fields = asdict(self)
        del fields["weights"], fields["device"]
        return fields


@dataclass(eq=False)
class Stages:
    """The results of a run, filled picture by picture; empty until the first one is ready.

    Parameters
    ----------
    arrays
        By role, each with the leading axes of the plan: ``rgb`` (..., H, W, 3), ``alternative 1``
        and so on alike; ``a_coarse``, ``b_coarse``, ``uncertainty`` (..., h, w); ``a_refined``,
        ``b_refined``, ``change`` (..., h', w'), Lab units. `change` is the distance in the ab plane
        that the refiner moved a color by.
    provenance
        How each picture came to be: that of `recolor_core`, with its levels. JSON types alone.
    """

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    provenance: dict[Index, dict[str, Any]] = field(default_factory=dict)

    def slot(self, role: str, plan: Plan, index: Index, like: NDArray[Any]) -> NDArray[Any]:
        """The part of an array that a picture fills; the array is made for the first one."""
        if role not in self.arrays:
            self.arrays[role] = _zeros((*plan.leading, *like.shape), like.dtype)
        part: NDArray[Any] = self.arrays[role][plan.slot(index)]
        return part


@dataclass(frozen=True)
class Step:
    """What was done last: `done` of `total` steps of picture number `picture` (from 0)."""

    picture: int
    pictures: int
    done: int
    total: int
    stage: str
    finished: Index | None = None


@dataclass(frozen=True)
class Failure:
    """Why a run ended early.

    Parameters
    ----------
    message
        What to say, with the remedy.
    error
        Where it is none that was to be expected.
    """

    message: str
    error: Exception | None = None


class Engine:
    """What is kept from run to run: the networks, and what they saw last.

    To be used by one thread at a time.
    """

    def __init__(self) -> None:
        self._key: tuple[str, str] | None = None
        self._colorizer: Colorizer | None = None
        self._seen: OrderedDict[Any, Coarse] = OrderedDict()

    def colorizer(self, options: Options) -> "Colorizer":
        """The networks of the weights and on the device."""
        if self._key != (options.weights, options.device):
            from recolor_core import Colorizer

            self._colorizer = None  # makes room for the next ones
            self._colorizer = Colorizer(options.weights, options.device)
            self._key = (options.weights, options.device)
        assert self._colorizer is not None
        return self._colorizer

    def see(
        self, plan: Plan, index: Index, levels: tuple[float, float] | None, options: Options
    ) -> "Coarse":
        """What the generator sees in a picture."""
        from recolor_core.intake import read_gray

        colorizer = self.colorizer(options)
        gray = read_gray(plan.load(index), levels=levels)
        coarse = colorizer.generate(gray, options.size)
        self._seen[self._name(plan, index, options)] = coarse
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return coarse

    def seen(self, plan: Plan, index: Index, options: Options) -> "Coarse | None":
        """What the generator saw in a picture, if that is still known."""
        return self._seen.get(self._name(plan, index, options))

    def _name(self, plan: Plan, index: Index, options: Options) -> Any:
        return plan, index, options.weights, options.device, options.size


def colorize(
    engine: Engine,
    plan: Plan,
    options: Options,
    stages: Stages,
    hints: Sequence[HintValue] = (),
) -> Iterator[Step | Failure]:
    """Colorize the pictures of a plan, a step at a time; stop iterating to cancel.

    Parameters
    ----------
    engine
        Kept from run to run.
    plan
        What to colorize.
    options
        How.
    stages
        Is filled. A picture is complete when its step says that it is `finished`.
    hints
        For all pictures of the plan.

    Yields
    ------
    Step or Failure
        Every error ends as a Failure, the last one yielded. (An error that left the generator
        would reach the thread's own handling, which loses some of them: a RuntimeError, of which
        PyTorch raises many, would end the thread without a word.)
    """
    try:
        _only_our_warnings()
        yield Step(0, len(plan.indices), 0, 1, "starting")
        _load_torch()
        yield Step(0, len(plan.indices), 0, 1, "loading the weights")
        engine.colorizer(options)
        yield Step(0, len(plan.indices), 0, 1, "measuring black and white")
        stack_levels = plan.stack_levels() if plan.rule.per == "stack" else None
        if plan.rule.mode == "contrast":
            stack_levels = plan.stack_levels()
        for number, index in enumerate(plan.indices):
            levels = stack_levels
            if plan.rule.per == "slice" and plan.rule.mode != "contrast":
                levels = plan.levels(plan.load(index), None)
            for step in _picture(engine, plan, index, levels, options, stages, hints):
                yield Step(number, len(plan.indices), *step)
            yield Step(number, len(plan.indices), 1, 1, "done", finished=index)
    except Exception as error:
        yield _failure(error)


def recolor(
    engine: Engine,
    plan: Plan,
    index: Index,
    options: Options,
    stages: Stages,
    hints: Sequence[HintValue],
) -> Iterator[Step | Failure]:
    """Color one picture of a finished run again, with other hints: the refiner's work alone.

    The parameters and what is yielded are those of `colorize`.
    """
    try:
        _only_our_warnings()
        levels = stages.provenance[index]["levels"]
        for step in _picture(engine, plan, index, levels, options, stages, hints, again=True):
            yield Step(0, 1, *step)
        yield Step(0, 1, 1, 1, "done", finished=index)
    except Exception as error:
        yield _failure(error)


def _picture(
    engine: Engine,
    plan: Plan,
    index: Index,
    levels: tuple[float, float] | None,
    options: Options,
    stages: Stages,
    hints: Sequence[HintValue],
    again: bool = False,
) -> Iterator[tuple[int, int, str]]:
    """Steps (done, total, stage); the arrays are filled when it ends."""
    from recolor_core import Hint, Settings

    total = 100  # until the number of strips is known
    yield 0, total, "finding colors"
    coarse = engine.seen(plan, index, options) if again else None
    coarse = coarse or engine.see(plan, index, levels, options)
    yield 1, total, "refining"
    settings = Settings(**options.settings)
    result = engine.colorizer(options).refine(coarse, settings, [Hint(*hint) for hint in hints])
    colorings = {"rgb": result.ab_refined}
    colorings |= {f"alternative {i}": ab for i, ab in enumerate(result.ab_alternatives, 1)}
    total = 2 + result.strip_count * len(colorings)
    done = 2
    yield done, total, "coloring"
    for role, ab in colorings.items():
        top, target = 0, None
        for strip in result.strips(ab):
            if target is None:
                target = stages.slot(role, plan, index, np.broadcast_to(strip[:1], (*result.shape, 3)))
            target[top : top + len(strip)] = strip
            top += len(strip)
            done += 1
            yield done, total, "coloring"
    for role, values in _looked_at(result).items():
        stages.slot(role, plan, index, values)[...] = values
    levels_known = None if levels is None else list(levels)
    stages.provenance[index] = {**result.provenance, "levels": levels_known}


def _looked_at(result: "Colorization") -> dict[str, NDArray[Any]]:
    import torch

    from recolor_core.refiner import SCALE, upsample

    (a, b), (a_refined, b_refined) = result.ab_coarse, result.ab_refined
    height, width = result.ab_refined.shape[1:]
    start = upsample(torch.from_numpy(result.ab_coarse)[None], SCALE)[0, :, :height, :width]
    change = np.hypot(*(result.ab_refined - start.numpy()))
    return {
        "a_coarse": a,
        "b_coarse": b,
        "a_refined": a_refined,
        "b_refined": b_refined,
        "change": change,
        "uncertainty": result.uncertainty,
    }


def choices() -> Iterator[tuple[list[str], list[str]] | Failure]:
    """The devices of this machine and the names of the weights, for menus."""
    try:
        _only_our_warnings()
        _load_torch()
        from recolor_core import list_weights
        from recolor_core.device import available_devices

        yield available_devices(), [record.name for record in list_weights()]
    except Exception as error:
        yield _failure(error)


def _load_torch() -> None:
    """Import torch without stopping the window.

    Python holds its global lock while it loads a library, and loading PyTorch's takes a large part
    of a second. A call through ctypes does not hold it; the import then finds the library there.
    """
    if "torch" in sys.modules:
        return
    spec = importlib.util.find_spec("torch")
    if spec is not None and spec.origin is not None and sys.platform != "win32":
        for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
            library = Path(spec.origin).parent / "lib" / name
            if library.exists():
                ctypes.CDLL(None).dlopen(bytes(library), ctypes.c_int(2))  # 2: RTLD_NOW
    import torch  # noqa: F401


def _only_our_warnings() -> None:
    """Of the warnings that napari shows from a thread, let only those through that tell a user."""
    warnings.simplefilter("ignore")
    warnings.simplefilter("always", DeviceWarning)


def _failure(error: Exception) -> Failure:
    text = str(error)
    if isinstance(error, RecolorError):
        return Failure(text)
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return Failure(
            "There is not enough memory for this run. Colorize the visible region or the current "
            "slice, ask for fewer alternatives, or close other layers."
        )
    if isinstance(error, ImportError | OSError) and _from_torch(error):
        return Failure(
            f"PyTorch could not be loaded ({text}). Start napari anew and colorize before other "
            "plugins run; if that does not help, reinstall PyTorch (https://pytorch.org)."
        )
    return Failure(f"{type(error).__name__}: {text}", error)


def _from_torch(error: Exception) -> bool:
    return any("torch" in frame.filename for frame in traceback.extract_tb(error.__traceback__)) or (
        "torch" in str(error)
    )


def _zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    if prod(shape) * dtype.itemsize <= IN_MEMORY:
        return np.zeros(shape, dtype)
    # The file is gone as soon as nothing holds the array any more.
    return np.memmap(tempfile.TemporaryFile(prefix="recolor-"), dtype, shape=shape)

import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile

import recolor_core
from napari_recolor.runs import stages as stages_module
from napari_recolor.runs import worker
from napari_recolor.runs.engine import Engine
from napari_recolor.runs.events import Step, failure_of
from napari_recolor.runs.options import Options
from napari_recolor.runs.reading import LevelRule, Request, Source
from napari_recolor.runs.source_file import file_of
from napari_recolor.runs.stages import Stages
from napari_recolor.runs.torch_import import gpu_name
from napari_recolor.runs.worker import colorize, recolor
from recolor_core import Colorizer, DeviceWarning, Hint

SMALL = Options(size=64)


class Lazy:
    """A stack that is read image by image; reading it as a whole is an error."""

    def __init__(self, stack):
        self._stack, self.shape, self.dtype, self.ndim = stack, stack.shape, stack.dtype, 3
        self.read = []

    def __getitem__(self, key):
        assert isinstance(key[0], int), f"{key} reads more than one image"
        self.read.append(key[0])
        return self._stack[key]

    def __array__(self, *arguments, **more):
        raise AssertionError("the whole stack was read")


def source_of(data, rgb=False, path=None):
    axes = ("stack",) * (data.ndim - 2 - rgb) + ("Y", "X")
    return Source("photo", data, rgb, axes, (0, 1), path)


def request_of(data, rgb=False, rule=None, region=None, path=None):
    source = source_of(data, rgb, path)
    indices = tuple(np.ndindex(*source.leading))
    return Request(source, "stack", indices, region or source.whole, rule or LevelRule())


def run(engine, request, options=SMALL, hints=None):
    stages = Stages(request)
    with warnings.catch_warnings():  # as napari's thread does
        steps = list(colorize(engine, options, stages, hints))
    return stages, steps


def failure(engine, photo, options=SMALL):
    with warnings.catch_warnings(), pytest.raises(Exception) as caught:  # noqa: PT011
        list(colorize(engine, options, Stages(request_of(photo))))
    return failure_of(caught.value)


def direct(engine, image, **options):
    colorizer = engine.colorizer(SMALL)
    return colorizer(image, size=64, **options)


def test_gives_what_the_library_gives(engine, photo):
    stages, _ = run(engine, request_of(photo), Options(size=64, alternatives=2))
    expected = direct(engine, photo, alternatives=2)
    np.testing.assert_array_equal(stages.arrays["rgb"], expected.rgb)
    np.testing.assert_array_equal(stages.arrays["alternative 2"], expected.alternatives[1])
    np.testing.assert_array_equal(stages.arrays["a coarse"], expected.ab_coarse[0])
    np.testing.assert_array_equal(stages.arrays["b refined"], expected.ab_refined[1])
    np.testing.assert_array_equal(stages.arrays["uncertainty"], expected.uncertainty)
    assert stages.arrays["change"].shape == expected.ab_refined.shape[1:]
    assert (stages.arrays["change"] >= 0).all()


@pytest.mark.parametrize("name", ["find_photograph", "correct_tones", "views", "size"])
def test_every_setting_of_the_generator_reaches_it(engine, photo, monkeypatch, name):
    asked = []
    generate = Colorizer.generate

    def noted(self, gray, settings=None, **changes):
        asked.append(settings)
        return generate(self, gray, settings, **changes)

    monkeypatch.setattr(Colorizer, "generate", noted)
    value = {"views": 2, "size": 96}.get(name, False)
    run(engine, request_of(photo), Options(**{"size": 64, name: value}))
    assert [getattr(settings, name) for settings in asked] == [value]


@pytest.mark.parametrize(
    ("image", "rgb", "dtype"),
    [
        (np.full((7, 5), 99, np.uint8), False, np.uint8),
        (np.full((1, 1), 40000, np.uint16), False, np.uint16),
        (np.zeros((3, 50), np.int16), False, np.uint16),
        (np.arange(77, dtype=np.uint32).reshape(7, 11), False, np.uint16),
        (np.linspace(-1, 9, 77, dtype=np.float32).reshape(7, 11), False, np.float32),
        (np.where(np.eye(9) > 0, np.nan, 0.5), False, np.float64),
        (np.full((9, 9), np.nan, np.float32), False, np.float32),
        (np.eye(9) > 0, False, np.uint8),
        (np.arange(9 * 8 * 3, dtype=np.uint8).reshape(9, 8, 3), True, np.uint8),
        (np.arange(9 * 8 * 4, dtype=np.uint16).reshape(9, 8, 4), True, np.uint16),
        (np.arange(77, dtype=">u2").reshape(7, 11), False, np.uint16),
    ],
)
def test_takes_odd_sizes_and_every_kind_of_value(engine, image, rgb, dtype):
    stages, _ = run(engine, request_of(image, rgb))
    result = stages.arrays["rgb"]
    assert result.dtype == dtype
    assert result.shape == (*image.shape[:2], 3)
    assert np.isfinite(stages.arrays["change"]).all()


def test_of_a_stack_only_what_is_colorized_is_read(engine, photo):
    lazy = Lazy(np.stack([photo, photo[::-1], photo.T[:96, :96].repeat(2, 1)[:, :128]]))
    stages, _ = run(engine, request_of(lazy))
    assert lazy.read == [0, 1, 2]
    np.testing.assert_array_equal(stages.arrays["rgb"][1], direct(engine, photo[::-1]).rgb)


def test_of_dask_only_the_chunks_in_view_are_computed(engine, photo):
    computed = []

    def chunk(block_info=None):
        computed.append(block_info[None]["chunk-location"])
        return np.broadcast_to(photo[:64, :64], (1, 64, 64))

    stack = da.map_blocks(
        chunk, dtype=np.uint8, chunks=((1,) * 50, (64,) * 4, (64,) * 4), meta=np.empty((0, 0, 0))
    )
    source = source_of(stack)
    request = Request(source, "region", ((7,),), (slice(64, 128), slice(0, 64)))
    stages, _ = run(engine, request)
    assert set(computed) == {(7, 1, 0)}
    assert stages.arrays["rgb"].shape == (1, 64, 64, 3)


def test_every_strip_is_a_step_and_each_image_is_told_when_finished(engine, photo, monkeypatch):
    monkeypatch.setattr("recolor_core.full_resolution.STRIP", 128 * 10)
    _, steps = run(engine, request_of(np.stack([photo, photo])))
    assert all(isinstance(step, Step) for step in steps)
    assert [step.finished for step in steps if step.finished is not None] == [(0,), (1,)]
    for number in (0, 1):
        done = [s.done for s in steps if s.image == number and s.stage == "coloring"]
        assert done == list(range(1, 11))  # 96 rows, 10 a strip
    assert {step.images for step in steps} == {2}


def test_what_a_canceled_run_has_finished_is_whole(engine, photo):
    stages = Stages(request_of(np.stack([photo, photo])))
    with warnings.catch_warnings():
        for step in colorize(engine, SMALL, stages):
            if step.image == 1 and step.stage == "refining":
                break
    np.testing.assert_array_equal(stages.arrays["rgb"][0], direct(engine, photo).rgb)
    assert not stages.arrays["rgb"][1].any()
    assert set(stages.provenance) == {(0,)}


def test_hints_go_to_their_image_only(engine, photo):
    hint = Hint(20.0, 30.0, "#ff0000", 12.0)
    stages, _ = run(engine, request_of(np.stack([photo, photo])), hints={(1,): [hint]})
    plain = direct(engine, photo).rgb
    np.testing.assert_array_equal(stages.arrays["rgb"][0], plain)
    assert (stages.arrays["rgb"][1] != plain).any()
    assert stages.provenance[(1,)]["hints"][0]["color"] == "#ff0000"


def test_levels_are_kept_for_repeating(engine):
    values = np.linspace(-5, 20, 600).reshape(20, 30).astype(np.float32)
    stages, _ = run(engine, request_of(values))
    low, high = stages.provenance[()]["levels"]
    expected = direct(engine, values, levels=(low, high))
    np.testing.assert_array_equal(stages.arrays["rgb"], expected.rgb)


def test_levels_per_slice_and_per_stack(engine):
    dark = np.arange(600).reshape(20, 30).astype(np.int16)
    stack = np.stack([dark, dark * 10])
    each, _ = run(engine, request_of(stack, rule=LevelRule(per="slice")))
    whole, _ = run(engine, request_of(stack, rule=LevelRule(per="stack")))
    assert each.arrays["rgb"][0].max() == each.arrays["rgb"][1].max()
    assert whole.arrays["rgb"][0].max() < whole.arrays["rgb"][1].max() / 3


def test_changing_the_source_meanwhile_cannot_corrupt_a_result(engine, photo):
    data = photo.copy()
    stages = Stages(request_of(data))
    with warnings.catch_warnings():
        for step in colorize(engine, SMALL, stages):
            if step.stage == "finding colors":
                data[:] = 255
    np.testing.assert_array_equal(stages.arrays["rgb"], direct(engine, photo).rgb)


@pytest.mark.parametrize(
    ("error", "message", "unexpected"),
    [
        (RuntimeError("surprise"), "RuntimeError: surprise", True),
        (MemoryError(), "not enough memory", False),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "not enough memory", False),
    ],
)
def test_errors_become_a_failure_that_says_what_to_do(
    photo, monkeypatch, error, message, unexpected
):
    engine = Engine()

    def fail(options):
        raise error

    monkeypatch.setattr(engine, "colorizer", fail)
    told = failure(engine, photo)
    assert message in told.message
    assert (told.error is error) == unexpected


def test_weights_that_are_exported_again_are_loaded_again(tmp_path):
    weights = tmp_path / "mine.safetensors"
    shipped = Path(recolor_core.__file__).parent / "data" / "default.safetensors"
    shutil.copy(shipped, weights)
    engine, options = Engine(), Options(weights=str(weights))
    first = engine.colorizer(options)
    assert engine.colorizer(options) is first
    replacement = tmp_path / "again.safetensors"
    replacement.write_bytes(shipped.read_bytes())
    replacement.replace(weights)
    assert engine.colorizer(options) is not first


def test_the_runtime_that_was_chosen_runs_the_networks(engine, photo):
    exact = Options(size=64, runtime="torch")
    stages, _ = run(engine, request_of(photo), exact)
    assert stages.provenance[()]["runtime"]["name"] == "torch"
    expected = Colorizer(runtime="torch")(photo, size=64)
    np.testing.assert_array_equal(stages.arrays["rgb"], expected.rgb)
    run(engine, request_of(photo))  # what later tests take for granted


def test_the_name_of_a_gpu_is_told(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"board of {device}")
    assert gpu_name("cuda:1") == "board of cuda:1"
    assert gpu_name("cpu") == ""


def test_unknown_weights_and_devices_are_told_as_the_core_tells_them(photo):
    for options in (Options(weights="nothing"), Options(device="tpu9")):
        told = failure(Engine(), photo, options)
        assert told.error is None
        assert "expected" in told.message


def test_torch_that_cannot_be_loaded_is_told_with_a_remedy(photo, monkeypatch):
    def fail():
        raise ImportError("DLL load failed while importing torch")

    monkeypatch.setattr(worker, "load_torch", fail)
    told = failure(Engine(), photo, Options(size=64, runtime="torch"))
    assert "PyTorch could not be loaded" in told.message
    assert "reinstall" in told.message


@pytest.mark.slow
def test_a_run_on_a_cpu_settings_hints_and_alternatives_load_no_torch():
    code = """
import sys
import numpy as np
from napari_recolor.runs.layers import chroma_colormap
from napari_recolor.runs.reading import LevelRule, Request, Source
from napari_recolor.runs.engine import Engine
from napari_recolor.runs.options import Options
from napari_recolor.runs.stages import Stages
from napari_recolor.runs.wishes import Draw
from napari_recolor.runs.worker import alternatives, choices, colorize, likely, recolor
from recolor_core.hints import Hint, Region

source = Source("photo", np.eye(64, dtype=np.uint8) * 99, False, ("Y", "X"), (0, 1))
request = Request(source, "slice", ((),), source.whole, LevelRule())
engine, stages, options = Engine(), Stages(request), Options(size=64, device="cpu")
hints = [Hint(5, 9, "#805030"), Region(((20, 20), (50, 20), (50, 60)), "#3060a0")]
list(colorize(engine, options, stages, {(): hints}))
list(recolor(engine, Options(size=64, device="cpu", saturation=2), stages, (), hints))
list(alternatives(engine, options, stages, (), hints, Draw(2), hints[1]))
list(likely(engine, options, stages, (), (5, 9)))
chroma_colormap("a")
sys.exit("torch" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True)
    assert result.returncode == 0, result.stderr.decode()


def test_only_warnings_for_the_user_leave_the_thread(engine, photo, monkeypatch):
    def noisy(self, *arguments, **options):
        warnings.warn("for developers", FutureWarning, stacklevel=1)
        warnings.warn("the memory of cuda is full", DeviceWarning, stacklevel=1)
        return generate(self, *arguments, **options)

    generate = Colorizer.generate
    monkeypatch.setattr(Colorizer, "generate", noisy)
    with warnings.catch_warnings(record=True) as caught:
        for _ in colorize(engine, SMALL, Stages(request_of(photo))):
            pass
    assert [str(warning.message) for warning in caught] == ["the memory of cuda is full"]


def test_large_results_lie_in_a_file_that_is_gone_with_them(engine, photo, monkeypatch):
    monkeypatch.setattr(stages_module, "IN_MEMORY", 1000)
    stages, _ = run(engine, request_of(photo))
    assert isinstance(stages.arrays["rgb"], np.memmap)
    np.testing.assert_array_equal(stages.arrays["rgb"], direct(engine, photo).rgb)


def test_what_the_generator_saw_is_kept_for_hints_and_found_again(engine, photo):
    request = request_of(np.stack([photo] * 6))
    stages, _ = run(engine, request)
    assert engine.seen(request, (5,)) is not None
    assert engine.seen(request, (0,)) is None  # only the last few are kept
    with warnings.catch_warnings():
        *_, last, _ = recolor(engine, SMALL, stages, (0,), [])
    assert engine.seen(request, (0,)) is not None
    np.testing.assert_array_equal(last.rgb, stages.arrays["rgb"][0])


def test_recoloring_is_what_the_library_makes_with_these_hints(engine, photo):
    stages, _ = run(engine, request_of(np.stack([photo, photo])))
    before, hint = stages.arrays["rgb"].copy(), Hint(20.0, 30.0, "#ff0000", 12.0)
    with warnings.catch_warnings():
        *early, last, looked = recolor(engine, SMALL, stages, (1,), [hint])
    assert set(early) == {None}
    np.testing.assert_array_equal(stages.arrays["rgb"], before)  # not the worker's to change
    stages.replace(last)
    expected = direct(engine, photo, hints=[hint])
    np.testing.assert_array_equal(stages.arrays["rgb"][1], expected.rgb)
    np.testing.assert_array_equal(stages.arrays["rgb"][0], before[0])
    stages.look(looked)
    np.testing.assert_array_equal(stages.arrays["a refined"][1], expected.ab_refined[0])
    assert stages.provenance[(1,)]["hints"] == expected.provenance["hints"]


def test_the_file_of_a_layer_is_known_by_its_codes(tmp_path, photo):
    path = tmp_path / "photo.tif"
    tifffile.imwrite(path, photo)
    facts, space = file_of(source_of(photo, path=str(path)))
    assert facts["path"] == str(path)
    assert facts["pages"] == 1
    assert len(facts["sha256"]) == 64
    assert space.name == "sRGB"
    other, _ = file_of(source_of(photo + 1, path=str(path)))
    assert other is None
    missing, _ = file_of(source_of(photo, path=str(tmp_path / "gone.tif")))
    assert missing is None

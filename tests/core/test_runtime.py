"""The compiled runtime: what it computes, and what happens where it cannot."""

import json
import logging
import os
import pickle
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from recolor_core import Colorizer, DeviceError, Hint, Settings, WeightsError
from recolor_core import weights as weights_module
from recolor_core.errors import RuntimeUnavailableError
from recolor_core.hints import Mask, Region, Stroke, write_hints
from recolor_core.models.generator import Generator, GeneratorConfig
from recolor_core.models.refiner import Refiner, RefinerConfig
from recolor_core.runtime import compiled
from recolor_core.runtime.quantized import quantized_path, read_quantized, write_quantized
from recolor_core.weights import path_of, save_weights

SAMPLES = Path(weights_module.__file__).parent / "data" / "samples"


@pytest.fixture(scope="module")
def fast():
    return Colorizer(device="cpu", runtime="onnxruntime")


@pytest.fixture(scope="module")
def exact():
    return Colorizer(device="cpu", runtime="torch")


@pytest.fixture(scope="module")
def photograph():
    with Image.open(SAMPLES / "colorado.png") as image:
        return np.asarray(image)


@pytest.fixture
def unquantized(tmp_path):
    """Weights that have no quantized form."""
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(width=64, decoder=(16, 8, 8), attention=1))
    path = tmp_path / "small.safetensors"
    words = {"license": "none", "training_data": "none", "recipe": "none"}
    save_weights(path, generator, Refiner(RefinerConfig(width=8, blocks=1)), **words)
    return path


def run(code, *arguments, **environment):
    """What a new process prints."""
    env = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"} | environment
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


# What it computes


@pytest.mark.slow
@pytest.mark.parametrize("views", [1, 2])
def test_colors_are_those_of_pytorch_but_for_quantization(fast, exact, photograph, views):
    ours, theirs = (one(photograph, views=views) for one in (fast, exact))
    for name, mean, most in (
        ("ab_coarse", 1.0, 12),
        ("ab_refined", 1.0, 15),
        ("uncertainty", 0.5, 5),
    ):
        apart = np.abs(getattr(ours, name) - getattr(theirs, name))
        assert apart.mean() < mean, name
        assert np.quantile(apart, 0.999) < most, name
        assert ours.ab_coarse.shape == theirs.ab_coarse.shape


@pytest.mark.slow
def test_hints_have_the_effect_that_they_have_in_pytorch(fast, exact, photograph):
    hints = [Hint(300, 60, "#d08040", 20.0), Hint(100, 400, "#30a050", 10.0)]
    moved = [
        one(photograph, hints=hints).ab_refined - one(photograph).ab_refined
        for one in (fast, exact)
    ]
    assert np.abs(moved[1]).max() > 20
    assert np.abs(moved[0] - moved[1]).mean() < 0.5
    assert np.corrcoef(moved[0].ravel(), moved[1].ravel())[0, 1] > 0.98


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (37, 1), (33, 65), (4096, 3), (150, 131)])
def test_any_shape_is_colorized(fast, shape):
    codes = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    result = fast(codes, size=32)
    assert result.rgb.shape == (*shape, 3)
    assert np.isfinite(result.ab_refined).all()


@pytest.mark.slow
def test_another_call_and_another_process_give_the_same_to_the_byte(fast, photograph, tmp_path):
    np.save(tmp_path / "in.npy", photograph)
    once, twice = fast(photograph, size=64).rgb, fast(photograph, size=64).rgb
    run(
        "import sys, numpy as np; from recolor_core import Colorizer;"
        "c = Colorizer(device='cpu', runtime='onnxruntime');"
        "np.save(sys.argv[2], c(np.load(sys.argv[1]), size=64).rgb)",
        *(tmp_path / "in.npy", tmp_path / "out.npy"),
    )
    assert np.array_equal(once, twice)
    assert np.array_equal(once, np.load(tmp_path / "out.npy"))


def test_threads_share_it(fast, photograph):
    expected = [fast(photograph, size=size).ab_refined for size in (48, 64, 80)]
    found = {}

    def work(index, size):
        found[index] = fast(photograph, size=size).ab_refined

    threads = [threading.Thread(target=work, args=(i, s)) for i, s in enumerate((48, 64, 80))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[i], expected[i]) for i in range(3))


def test_a_copy_in_another_process_is_the_same(fast, photograph):
    copy = pickle.loads(pickle.dumps(fast.runner))
    light = fast(photograph, size=64).working_lightness[None, None]
    ours, theirs = (runner.generate(light)[0] for runner in (fast.runner, copy))
    assert np.array_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_process_that_forks_after_use_works():
    # In a process of its own: forking one that has threads is not for the process of the tests.
    printed = run(
        "import os, sys, warnings, numpy as np\n"
        "warnings.simplefilter('ignore')\n"
        "from recolor_core import Colorizer\n"
        "c = Colorizer(device='cpu', runtime='onnxruntime')\n"
        "x = np.arange(4000).reshape(50, 80).astype(np.uint8)\n"
        "a = c(x, size=64).ab_refined\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if np.array_equal(c(x, size=64).ab_refined, a) else 3)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    assert printed.strip() == "0"


def loaded_by_the_command(*words):
    """Which of PyTorch and SciPy the command loads with these arguments, on the CPU."""
    printed = run(
        "import sys\n"
        "from recolor_core.cli import main\n"
        "sys.argv = ['recolor', *sys.argv[1:], '--device', 'cpu']\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print(*{'torch', 'scipy'} & sys.modules.keys())\n",
        *words,
    )
    return set(printed.split())


@pytest.mark.slow
@pytest.mark.parametrize("file", ["colorado.png", "saratoga.jpg", "chinatown.tif"])
def test_the_default_command_does_not_load_pytorch(tmp_path, file):
    out = tmp_path / f"out{Path(file).suffix}"
    assert loaded_by_the_command(SAMPLES / file, "-o", out, "--sidecar") == set()
    assert out.is_file()


@pytest.mark.slow
def test_hints_references_and_alternatives_do_not_load_pytorch(tmp_path):
    pixels = np.zeros((452, 588), bool)
    pixels[300:400, 100:200] = True
    write_hints(
        tmp_path / "hints.json",
        [
            Hint(300, 60, "#d08040", 20),
            Hint(100, 50, "#406080"),
            Hint(500, 400, kind="keep"),
            Stroke(((50, 200), (150, 220)), kind="gray", radius=4, reach=0.2),
            Region(((300, 200), (400, 200), (400, 300)), "#308040"),
            Mask(pixels, "#806030"),
        ],
    )
    tinted = np.asarray(Image.open(SAMPLES / "colorado.png"))[..., None] * np.array([1, 0.8, 0.5])
    Image.fromarray(tinted.astype(np.uint8)).save(tmp_path / "reference.png")
    words = (
        *(SAMPLES / "colorado.png", "--hints", tmp_path / "hints.json"),
        *("--reference", tmp_path / "reference.png", "--alternatives", 2),
    )
    assert "torch" not in loaded_by_the_command(*words, "-o", tmp_path / "out.png")
    assert len(list(tmp_path.glob("out*.png"))) == 3


@pytest.mark.slow
def test_without_pytorch_installed_the_library_colorizes_with_palettes_and_hints():
    printed = run(
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from recolor_core import Colorizer, Hint\n"
        "from recolor_core.lab import gray_codes\n"
        "x = np.linspace(0, 1, 4000, dtype=np.float32).reshape(50, 80)\n"
        "palette = np.array([[20, 30], [-10, 5]], np.float32)\n"
        "hints = [Hint(20, 20, '#a06030')]\n"
        "rgb = Colorizer(device='cpu')(x, palette=palette, hints=hints, size=64, views=2).rgb\n"
        "print(np.array_equal(gray_codes(rgb), x), np.ptp(rgb, axis=2).max() > 0.05)\n"
    )
    assert printed.split() == ["True", "True"]


# What it says


def test_provenance_says_what_ran(fast, exact, photograph):
    quantized = read_quantized(quantized_path(path_of(fast.record)))
    assert fast(photograph, size=32).provenance["runtime"] == {
        "name": "onnxruntime",
        "version": version("onnxruntime"),
        "precision": "int8",
        "sha256": quantized.sha256,
    }
    assert exact(photograph, size=32).provenance["runtime"] == {
        "name": "torch",
        "version": torch.__version__,
        "precision": "float32",
        "sha256": None,
    }
    json.dumps(fast.runtime.as_record())


def test_the_file_that_comes_with_the_package_is_that_of_its_record(fast):
    quantized = read_quantized(quantized_path(path_of(fast.record)))
    assert quantized.sha256 == fast.record.quantized_sha256
    assert quantized.weights_sha256 == fast.record.sha256


def test_auto_takes_it_on_the_cpu():
    assert Colorizer(device="cpu").runtime.name == "onnxruntime"


@pytest.mark.slow
def test_nothing_is_written_home_and_no_telemetry_starts(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    printed = run(
        "import os, numpy as np; from recolor_core import Colorizer;"
        "c = Colorizer(device='cpu', runtime='onnxruntime');"
        "c(np.zeros((40, 40), np.uint8), size=32).rgb;"
        "print('ORT_DISABLE_TELEMETRY' in os.environ)",
        HOME=str(home),
        XDG_CACHE_HOME=str(home / "cache"),
        LOCALAPPDATA=str(home / "local"),
    )
    assert printed.strip() == "False"
    assert list(home.iterdir()) == []


# Where it cannot run


def test_an_unknown_runtime_is_refused():
    with pytest.raises(DeviceError, match=r"expected a runtime \(auto, torch, onnxruntime\)"):
        Colorizer(runtime="openvino")


@pytest.fixture
def broken(monkeypatch):
    """An installation without ONNX Runtime."""

    def without(module):
        monkeypatch.setitem(sys.modules, "onnxruntime", module)
        compiled.import_onnxruntime.cache_clear()

    yield without
    monkeypatch.undo()
    compiled.import_onnxruntime.cache_clear()


class Old:
    __version__ = "1.9.0"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "words"), [(None, "cannot be loaded"), (Old, "1.9.0 is too old, expected 1.20")]
)
def test_pytorch_runs_where_onnxruntime_is_missing_or_old(broken, caplog, module, words):
    broken(module)
    with caplog.at_level(logging.DEBUG, "recolor_core.runtime"):
        assert Colorizer(device="cpu").runtime.name == "torch"
    (line,) = [r for r in caplog.records if r.name == "recolor_core.runtime"]
    assert line.levelno == logging.DEBUG
    assert words in line.getMessage()
    with pytest.raises(RuntimeUnavailableError, match=words):
        Colorizer(device="cpu", runtime="onnxruntime")


@pytest.mark.slow
def test_weights_without_a_quantized_form_run_in_pytorch(unquantized):
    assert Colorizer(unquantized, device="cpu").runtime.name == "torch"
    with pytest.raises(
        RuntimeUnavailableError, match=r"make one with `python -m training\.quantize"
    ):
        Colorizer(unquantized, device="cpu", runtime="onnxruntime")


def test_the_quantized_form_of_other_weights_is_not_used(unquantized):
    write_quantized(quantized_path(unquantized), {"generator": b"", "refiner": b""}, "0" * 64, {})
    assert Colorizer(unquantized, device="cpu").runtime.name == "torch"
    with pytest.raises(RuntimeUnavailableError, match="made from other weights"):
        Colorizer(unquantized, device="cpu", runtime="onnxruntime")


@pytest.mark.slow
def test_models_that_this_version_cannot_run_leave_the_work_to_pytorch(unquantized):
    sha256 = Colorizer(unquantized, runtime="torch").record.sha256
    write_quantized(
        quantized_path(unquantized), dict.fromkeys(("generator", "refiner"), b"?"), sha256, {}
    )
    assert Colorizer(unquantized, device="cpu").runtime.name == "torch"
    with pytest.raises(RuntimeUnavailableError, match="cannot run"):
        Colorizer(unquantized, device="cpu", runtime="onnxruntime")


def test_a_damaged_file_is_an_error_that_says_what_to_do(unquantized):
    quantized_path(unquantized).write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="delete it to use PyTorch"):
        Colorizer(unquantized, device="cpu")


@pytest.mark.slow
def test_a_gpu_is_for_pytorch(monkeypatch):
    monkeypatch.setattr("recolor_core.colorizer.choose_device", lambda _: "mps")
    with pytest.raises(RuntimeUnavailableError, match="runs on the CPU, not on mps"):
        Colorizer(runtime="onnxruntime")
    assert Colorizer().runtime.name == "torch"


def test_settings_reach_it(fast, photograph):
    strong, weak = (fast(photograph, Settings(saturation=x, size=64)) for x in (1.5, 0.5))
    assert np.abs(strong.ab_refined).mean() > 1.2 * np.abs(weak.ab_refined).mean()

"""What `import recolor_core` gives, and what it costs."""

import inspect
import json
import subprocess
import sys

import pytest

import recolor_core

ERRORS = ["ImageError", "WeightsError", "HintsError", "DeviceError", "OutputExistsError"]


def loaded_after(statement):
    code = f"{statement}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_every_public_name_is_there_and_explained():
    assert sorted(recolor_core.__all__) == list(recolor_core.__all__)
    for name in recolor_core.__all__:
        thing = getattr(recolor_core, name)
        assert inspect.getdoc(thing)
        assert thing.__module__.startswith("recolor_core.")
    assert set(dir(recolor_core)) == {*recolor_core.__all__, "__version__"}


@pytest.mark.parametrize(
    "name",
    [
        *("colorize", "Colorizer", "Colorization", "Settings", "list_settings", "list_weights"),
        *("rgb_to_lab", "lab_to_rgb", *ERRORS),
    ],
)
def test_the_promised_names_are_public(name):
    assert name in recolor_core.__all__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="attribute colourize"):
        _ = recolor_core.colourize


def test_every_error_is_a_recolor_error_and_a_standard_one():
    kinds = [getattr(recolor_core, name) for name in ERRORS]
    assert all(issubclass(kind, recolor_core.RecolorError) for kind in kinds)
    standard = [ValueError, ValueError, ValueError, RuntimeError, FileExistsError]
    assert all(issubclass(kind, base) for kind, base in zip(kinds, standard, strict=True))
    assert not issubclass(recolor_core.DeviceWarning, recolor_core.RecolorError)


def test_importing_loads_nothing_but_the_package():
    heavy = ("torch", "numpy", "PIL", "tifffile", "napari", "qtpy", "PyQt6", "PySide6", "pooch")
    loaded = {name.partition(".")[0] for name in loaded_after("import recolor_core")}
    assert loaded.isdisjoint(heavy)


def test_errors_can_be_caught_without_loading_torch():
    loaded = loaded_after("from recolor_core import ImageError, RecolorError, WeightsError")
    assert "torch" not in loaded


@pytest.mark.slow
def test_the_whole_library_loads_no_gui_and_no_recipe():
    loaded = loaded_after("from recolor_core import *")
    assert {"torch", "recolor_core.colorizer"} <= loaded
    tops = {name.partition(".")[0] for name in loaded}
    assert tops.isdisjoint({"napari", "qtpy", "PyQt6", "PySide6", "napari_recolor", "training"})

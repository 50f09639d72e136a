"""Every public function refuses arguments of the wrong type, in words, before any work."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from recolor_core import (
    Colorizer,
    Hint,
    RecolorError,
    Reference,
    Settings,
    colorize,
    colorize_frames,
    colorize_stack,
    lab_to_rgb,
    list_settings,
    read_gray,
    rgb_to_lab,
)
from recolor_core.arguments import described, expect_all, is_whole
from recolor_core.errors import ImageWarning
from recolor_core.film import FilmJob
from recolor_core.settings import FilmSettings, changed

from .films import colorizer

GRAY = np.tile(np.arange(48, dtype=np.uint8), (40, 1))
FRAMES = np.stack([GRAY] * 2)
HINT = Hint(3, 3, "#c04040")


@dataclass
class Thing:
    """An object of a type that no function takes."""


def frames(images: Any = (GRAY, GRAY), made_by: Any = None, **options: Any) -> list[Any]:
    options = {"size": 32} | options
    return list(colorize_frames(made_by or colorizer(), images, **options))


def stack(**options: Any) -> Any:
    return colorize_stack(FRAMES, **{"size": 32, "colorizer": colorizer()} | options)


def image(**options: Any) -> Any:
    return colorizer()(GRAY, **{"size": 32} | options)


# What is wrong for an image, for frames and for a stack alike.
SHARED = [
    ({"settings": "vivid"}, "expected settings as Settings, got 'vivid'; make them with"),
    ({"settings": {"size": 32}}, "expected settings as Settings, got an object of type dict"),
    ({"find_photograph": "yes"}, "expected find_photograph as True or False, got 'yes'"),
    ({"correct_tones": 1}, "expected correct_tones as True or False, got 1"),
    ({"correct_tones": None}, "expected correct_tones as True or False, got None"),
    ({"vividness": True}, "expected vividness from 0 to 1, got True"),
    ({"vividness": "0.5"}, "expected vividness from 0 to 1, got '0.5'"),
    ({"size": 32.5}, "expected size as a whole number, got 32.5"),
    ({"palette": "red"}, "expected palette as an array (N, 2) of a* and b*, got 'red'; make one"),
    ({"palette": np.zeros((3, 3))}, "expected palette as an array (N, 2) of a* and b*, got shape"),
    ({"palette": np.zeros((0, 2))}, "expected a palette of at least one color"),
    ({"references": "a.png"}, "expected references as a list of Reference, got 'a.png'; make one"),
    ({"references": [GRAY]}, "expected each of references as Reference, got an object of type nda"),
    ({"references": None}, "expected references as a list of Reference, got None"),
    (
        {"space": "sRGB"},
        "expected space as a ColorSpace, such as recolor_core.lab.SRGB, got 'sRGB'",
    ),
    ({"levels": 3}, "expected levels"),
]

TABLE: list[tuple[Callable[[], Any], str]] = [
    *(
        (lambda call=call, wrong=wrong: call(**wrong), words)
        for wrong, words in SHARED
        for call in (image, frames, stack)
    ),
    (lambda: image(hints=HINT), "expected hints as a list of Hint, Stroke, Region or Mask, got an"),
    (
        lambda: image(hints="red"),
        "expected hints as a list of Hint, Stroke, Region or Mask, got 'r",
    ),
    (
        lambda: image(hints=["red"]),
        "expected each of hints as Hint, Stroke, Region or Mask, got 'r",
    ),
    (lambda: image(hints={0: [HINT]}), "expected hints as a list of Hint, Stroke, Region or Mask"),
    (lambda: image(seed="x"), "expected seed as a whole number, got 'x'"),
    (
        lambda: frames(made_by="default"),
        "expected colorizer as a Colorizer, got 'default'; make on",
    ),
    (lambda: frames(None), "expected frames as images in order, got None"),
    (lambda: frames(passes=True), "expected 1 or 2 passes, got True"),
    (lambda: frames(passes=1.0), "expected 1 or 2 passes, got 1.0"),
    (lambda: frames(state="x"), "expected state as the FrameState of a Frame, or None, got 'x'"),
    (lambda: frames(guides=[1]), "expected guides as FrameGuides by the numbers of frames, got an"),
    (lambda: frames(hints=[HINT]), "expected hints as lists of hints by the number of their frame"),
    (
        lambda: frames(hints={0: HINT}),
        "expected hints[0] as a list of Hint, Stroke, Region or Mask",
    ),
    (lambda: frames(hints={"0": [HINT]}), "expected the numbers of frames of hints from 0 on, got"),
    (
        lambda: frames(hints={-1: [HINT]}),
        "expected the numbers of frames of hints from 0 on, got -",
    ),
    (lambda: stack(clean="yes"), "expected clean as True or False, got 'yes'"),
    (lambda: stack(stages=1), "expected stages as True or False, got 1"),
    (
        lambda: stack(colorizer="default"),
        "expected colorizer as a Colorizer, got 'default'; a name",
    ),
    (lambda: stack(time_axis=True), "expected time_axis from 0 to 0"),
    (lambda: stack(time_axis="t"), "expected time_axis from 0 to 0"),
    (
        lambda: stack(hints={0: "red"}),
        "expected hints at (0,) as a list of Hint, Stroke, Region or",
    ),
    (lambda: stack(hints={7: [HINT]}), "expected hints at positions within (2,), got hints at 7"),
    (lambda: stack(color_from="a.png"), "expected"),
    (lambda: Colorizer(3), "expected weights as a name or the path of a file, got 3"),
    (lambda: Colorizer(None), "expected weights as a name or the path of a file, got None"),
    (lambda: Colorizer(device=3), "expected device as text, such as 'auto' or 'cpu', got 3"),
    (lambda: Colorizer(device="cpu", runtime=3), "expected a runtime"),
    (lambda: colorize(GRAY, weights=3), "expected weights as a name or the path of a file, got 3"),
    (lambda: list_settings(Settings()), "expected kind as a class with settings, such as Settings"),
    (lambda: list_settings("Settings"), "expected kind as a class with settings, such as Settings"),
    (lambda: list_settings(dict), "expected kind as a class with settings, such as Settings"),
    (lambda: rgb_to_lab([0, 0, 0]), "expected rgb as a NumPy array or a tensor of PyTorch, got an"),
    (
        lambda: lab_to_rgb("white"),
        "expected lab as a NumPy array or a tensor of PyTorch, got 'whit",
    ),
    (lambda: rgb_to_lab(np.zeros(3), "sRGB"), "expected space as a ColorSpace"),
    (lambda: lab_to_rgb(np.zeros(3), None), "expected space as a ColorSpace"),
    (lambda: read_gray("a.png"), "expected"),
    (lambda: read_gray(Thing()), "expected"),
    (lambda: Reference("a.png"), "expected a reference image as (H, W, 3)"),
    (lambda: FilmJob(clean="yes"), "expected clean as True or False, got 'yes'"),
    (lambda: FilmJob(start=3), "expected start as text, got 3"),
    (lambda: FilmSettings(lossless=None), "expected lossless as True or False, got None"),
]


@pytest.mark.parametrize(("call", "words"), TABLE)
def test_a_wrong_argument_is_named_with_what_was_expected(
    call: Callable[[], Any], words: str
) -> None:
    with pytest.raises(RecolorError, match=f"^{re.escape(words)}"):
        call()


@pytest.mark.parametrize("call", [image, frames, stack])
def test_an_unknown_setting_is_a_type_error_that_lists_those_there_are(call: Any) -> None:
    with pytest.raises(TypeError, match=r"one of vividness, saturation, .*; got 'vivid'"):
        call(vivid=1)


def test_hints_after_the_last_frame_are_told() -> None:
    with pytest.warns(ImageWarning, match="within the 2 frames, got some for frame 5, which have"):
        done = frames(hints={0: [HINT], 5: [HINT], 9: []})
    assert len(done) == 2
    frames(hints={1: [HINT], 9: []})  # without a warning


def test_right_arguments_of_all_kinds_are_taken() -> None:
    assert changed(None) == Settings()
    assert changed(
        Settings(size=32), vividness=np.float32(0.5), find_photograph=np.bool_(False)
    ) == (Settings(size=32, vividness=0.5, find_photograph=False))
    assert type(Settings(find_photograph=np.bool_(False)).find_photograph) is bool
    assert is_whole(np.int64(3))
    assert not is_whole(np.True_)
    expect_all("hints", (HINT,), Hint, "a list of Hint")
    assert described("a" * 80) == "an object of type str"

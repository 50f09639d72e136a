"""Settings, declared once: what is derived from their declaration."""

from dataclasses import dataclass, fields
from typing import Annotated

import numpy as np
import pytest

from recolor_core import ImageError, Setting, Settings, list_settings
from recolor_core.settings import convert_settings, documented

SETTINGS = list_settings(Settings)


def setting(name):
    return next(setting for setting in SETTINGS if setting.name == name)


def test_every_field_is_listed_with_its_default_and_words():
    assert [s.name for s in SETTINGS] == [field.name for field in fields(Settings)]
    for listed, field in zip(SETTINGS, fields(Settings), strict=True):
        assert listed.default == field.default
        assert type(listed.default) is listed.type
        if listed.type is not bool:
            assert listed.low <= listed.default <= listed.high
            assert 0 < listed.step <= listed.high - listed.low
        assert listed.label[0].isupper()
        assert listed.help.endswith(".")
        assert f"{listed.name} : {listed.type.__name__}, default {listed.default}" in (
            Settings.__doc__
        )


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("vividness", 0, 1),
        ("saturation", 0, 4),
        ("size", 32, 4096),
        ("alternatives", 0, 16),
        ("tile", 32, 4096),
        ("views", 1, 2),
    ],
)
def test_settings_have_bounds(name, low, high):
    assert (setting(name).low, setting(name).high) == (low, high)
    assert getattr(Settings(**{name: low}), name) == low
    assert getattr(Settings(**{name: high}), name) == high
    for value in (low - 1, high + 1, float("nan"), float("inf")):
        with pytest.raises(ImageError, match=f"expected {name} from {low} to {high}, got"):
            Settings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alternatives", 1.5),
        ("size", 224.5),
        ("tile", "64"),
        ("vividness", "1"),
        ("vividness", None),
        ("size", np.array([64, 64])),
    ],
)
def test_settings_of_another_type_are_refused(name, value):
    with pytest.raises(ImageError, match=f"expected {name}"):
        Settings(**{name: value})


def test_settings_of_numpy_become_plain_numbers():
    settings = Settings(vividness=np.float32(0.5), size=np.int64(64))
    assert (type(settings.vividness), type(settings.size)) == (float, int)


def test_another_dataclass_declares_its_settings_in_the_same_way():
    @documented
    @dataclass(frozen=True)
    class Sound:
        """The settings of a loudspeaker."""

        volume: Annotated[int, Setting("Volume", "How loud it is.", 0, 11, 1, "notches")]
        mute: Annotated[bool, Setting("Mute", "No sound.")] = False
        name: str = "sound"

        def __post_init__(self):
            convert_settings(self)

    volume, mute = list_settings(Sound)
    assert (volume.name, volume.type, volume.range) == ("volume", int, "0 to 11 notches")
    assert (mute.name, mute.type, mute.default, mute.range) == ("mute", bool, False, "")
    assert Sound(11).mute is False
    with pytest.raises(ImageError, match="expected volume from 0 to 11, got 12"):
        Sound(12)
    assert "How loud it is. Range: 0 to 11 notches." in Sound.__doc__
    assert "No sound." in Sound.__doc__

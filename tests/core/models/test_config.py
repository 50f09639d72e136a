"""Configurations: what they allow, and that JSON keeps them."""

import json
from dataclasses import asdict, fields, replace

import pytest

from recolor_core import WeightsError
from recolor_core.models.config import GeneratorConfig, MemoryConfig, RefinerConfig

CONFIGS = [
    GeneratorConfig(),
    GeneratorConfig(grid=20, width=64, decoder=(16, 8, 4), attention=0),
    RefinerConfig(),
    RefinerConfig(width=64, blocks=13, detail=7),
    MemoryConfig(),
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_configuration_comes_back_from_json(config):
    assert type(config).from_json(json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize("kind", [GeneratorConfig, RefinerConfig, MemoryConfig])
def test_what_is_missing_has_its_default(kind):
    assert kind.from_json({}) == kind()


@pytest.mark.parametrize("kind", [GeneratorConfig, RefinerConfig, MemoryConfig])
@pytest.mark.parametrize("values", [None, 3, [], "wide", {"widht": 3}])
def test_what_is_no_configuration_is_refused(kind, values):
    with pytest.raises(WeightsError, match="expected a mapping of"):
        kind.from_json(values)


@pytest.mark.parametrize("config", CONFIGS[:1] + CONFIGS[2:3] + CONFIGS[4:], ids=str)
@pytest.mark.parametrize("value", [-1, 10**5, 64.0, True, "64", None, [64], (64, 64)])
def test_numbers_out_of_range_and_other_types_are_refused(config, value):
    for field in fields(config):
        with pytest.raises(WeightsError, match=rf"expected {field.name} as .*, got "):
            replace(config, **{field.name: value})


@pytest.mark.parametrize("value", [64, (64, 64), (64, 64, 64, 64), (64, 64, 0), (64, 64, 2.5)])
def test_the_decoder_has_three_widths(value):
    with pytest.raises(WeightsError, match="expected decoder as 3 numbers, each a whole number"):
        GeneratorConfig(decoder=value)


def test_attention_has_heads_of_64_channels():
    with pytest.raises(WeightsError, match="width as a multiple of 64 from 64 to 1024, got 100"):
        GeneratorConfig(width=100)

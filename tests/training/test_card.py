import numpy as np
import pandas as pd
import pytest
import skimage.data
from PIL import Image

from training import card
from training.command import run_command
from training.measures import MEASURES

from .chain import small_weights

COUNT = 12


def table(psnr):
    """Measures of COUNT photographs, half of them outdoors; no photograph shows snow."""
    rng = np.random.default_rng(0)
    values = {name: rng.uniform(1, 2, COUNT) for name in MEASURES}
    values |= {"psnr": psnr + np.arange(COUNT), "mse": np.full(COUNT, 10 ** (-psnr / 10))}
    values["snow_hue"] = values["snow_chroma"] = np.full(COUNT, np.nan)
    return pd.DataFrame(values | {"category": ["outdoor", ""] * (COUNT // 2)})


@pytest.fixture
def measured():
    return {
        title: table(20 + number) for number, title in enumerate({**card.LINES, **card.UNLISTED})
    }


@pytest.fixture
def doubts():
    rng = np.random.default_rng(1)
    return [rng.uniform(5, 10, (20, 2)) for _ in range(COUNT)]


def test_every_title_names_what_is_measured():
    for condition, model in {**card.LINES, **card.UNLISTED}.values():
        wanted = card.CONDITIONS[condition]
        names = {f"{one}{hint}" for one in wanted.models for hint in ("", *_hints(wanted))}
        assert model in names | {f"refined-best-of-{wanted.alternatives}"}
    titles = card.LINES.keys() | card.UNLISTED.keys()
    assert {title for pair in card.COMPARISONS.values() for title in pair} <= titles


def _hints(condition):
    return [f"-hints-{count}" for count in condition.hints]


@pytest.mark.slow
def test_tables_have_a_line_for_each_measurement(measured, doubts):
    tables = card.tables(measured, doubts)
    assert [*tables][:2] == ["All, 12 photographs", "outdoor, 6 photographs"]
    lines = tables["All, 12 photographs"].splitlines()[2:]
    assert [line.split("|")[1].strip() for line in lines] == [*card.LINES]
    assert "| 25.50 (" in lines[0]  # the mean of 20 to 31
    assert "| 25.00 (" in tables["outdoor, 6 photographs"].splitlines()[2]


@pytest.mark.slow
def test_comparisons_are_paired(measured, doubts):
    lines = card.tables(measured, doubts)["Image by image"].splitlines()[2:]
    assert len(lines) == len(card.COMPARISONS)
    gain = [*card.LINES].index("refined, 2 views") - [*card.LINES].index("**refined**, as shipped")
    line = next(line for line in lines if line.startswith("| 2 views, over 1"))
    assert f"{gain:+.3f} ({gain:+.3f} to {gain:+.3f})" in line  # no spread: image by image
    assert f"{100 * (10 ** (-gain / 10) - 1):+.1f}" in line


@pytest.mark.slow
def test_things_that_no_photograph_shows_are_counted_as_0(measured, doubts):
    lines = card.tables(measured, doubts)["Named things at the default"].splitlines()
    assert "| snow | 0 |  |  |" in lines
    assert any(line.startswith("| sky | 12 | 1.") for line in lines)


@pytest.mark.slow
def test_lines_that_were_not_measured_are_left_out(measured, doubts):
    quantized = [title for title in measured if "int8" in title]
    assert quantized
    for title in quantized:
        del measured[title]
    text = "".join(card.tables(measured, doubts).values())
    assert "int8" not in text
    assert "2 views, over 1" in text


@pytest.mark.slow
def test_all_conditions_can_be_measured_with_the_quantized_networks(monkeypatch, tmp_path):
    measured = []

    def measure_all(images, ready, store, workers, wear):
        measured.append(ready.request.runtime)
        return []

    monkeypatch.setattr(card, "measure_all", measure_all)
    monkeypatch.setattr(card, "tabulate", lambda *_: pd.DataFrame({"model": []}))
    monkeypatch.setattr(card.ReadyModels, "fitted", lambda request, *_: _Ready(request))
    card.measure({}, (), "default", tmp_path)
    assert set(measured) == {"torch", "onnxruntime"}
    assert len(measured) == len(card.CONDITIONS)
    measured.clear()
    card.measure({}, (), "default", tmp_path, runtime="onnxruntime")
    assert set(measured) == {"onnxruntime"}
    twice = [name for name in card.CONDITIONS if name.startswith("int8")]
    assert len(measured) == len(card.CONDITIONS) - len(twice)


class _Ready:
    known_as = ()

    def __init__(self, request):
        self.request = request


@pytest.mark.slow
def test_command_writes_and_resumes_the_card(tmp_path, monkeypatch, capsys):
    kept = ("safe", "coarse", "default", "2 views", "faded", "int8")
    monkeypatch.setattr(card, "CONDITIONS", {name: card.CONDITIONS[name] for name in kept})
    weights = small_weights(tmp_path / "small.safetensors")
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for number, rgb in enumerate((skimage.data.coffee(), skimage.data.astronaut())):
        Image.fromarray(rgb[:256, :256]).save(photographs / f"{number}.png")
    out = tmp_path / "card"
    words = [str(photographs), "--out", str(out), "--weights", str(weights)]
    run_command_ok(words)
    text = (out / "card.md").read_text()
    assert "All, 2 photographs" in text
    assert "| refined, 50 random hints |" in text
    assert "int8" not in text  # these weights have no quantized form
    rows = (out / "rows.jsonl").read_text()
    run_command_ok(words)
    assert (out / "rows.jsonl").read_text() == rows
    assert (out / "card.md").read_text() == text
    capsys.readouterr()


def run_command_ok(words):
    with pytest.raises(SystemExit) as end:
        run_command(card.app, words)
    assert end.value.code == 0

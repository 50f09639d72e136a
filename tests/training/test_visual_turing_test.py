import dataclasses
import io
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from recolor_core.colorizer import Colorizer
from recolor_core.lab import gray_codes
from recolor_core.metrics import wilson_interval
from recolor_core.models.config import GeneratorConfig, RefinerConfig
from recolor_core.models.generator import Generator
from recolor_core.models.refiner import Refiner
from recolor_core.weights import save_weights
from training.photographs import DataError
from training.visual_turing_test import terminal
from training.visual_turing_test.__main__ import main
from training.visual_turing_test.answers import Reason, Side, read_answers
from training.visual_turing_test.pairs import Pair, _name, make_pairs, read_image
from training.visual_turing_test.session import Questionnaire, Session, Trial
from training.visual_turing_test.summary import count_answers

ROOT = Path(__file__).parents[2]
NAMES = {"one": "1" * 64, "two": "2" * 64}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Five photographs; of one there is a copy, and one is gray."""
    folder = tmp_path_factory.mktemp("photographs")
    coffee, astronaut = skimage.data.coffee(), skimage.data.astronaut()
    for number in range(5):
        cut = (coffee, astronaut)[number % 2][50 * number :][:200, :240]
        Image.fromarray(cut).save(folder / f"{number}.png")
    Image.fromarray(coffee[:200, :240]).save(folder / "copy.png")
    Image.fromarray(skimage.data.camera()).save(folder / "gray.png")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Two weights files with small networks."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(width=64, decoder=(16, 16, 16), attention=1))
    refiner = Refiner(RefinerConfig(width=8, blocks=1))
    for name in NAMES:
        for parameter in refiner.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
        facts = {"license": "none", "training_data": "none", "recipe": "random"}
        save_weights(folder / f"{name}.safetensors", generator, refiner, **facts)
    return [str(folder / f"{name}.safetensors") for name in NAMES]


@pytest.fixture(scope="module")
def made(photographs, weights, tmp_path_factory):
    """Four photographs with twins by both."""
    folder = tmp_path_factory.mktemp("made")
    return make_pairs([photographs], folder, weights, 4, size=64, device="cpu")


def prepared(folder, trials=60, names=NAMES, seed=0):
    """A test whose photographs are red and whose twins are blue."""
    images = folder / "images"
    images.mkdir(parents=True)
    pairs = []
    for number in range(trials):
        real = np.full((4, 4, 3), (200, number, 30), np.uint8)
        twin = np.full((4, 4, 3), (30, number, 200), np.uint8)
        files = {name: _name(real, name) for name in names}
        Image.fromarray(real).save(images / _name(real))
        for file in files.values():
            Image.fromarray(twin).save(images / file)
        pairs.append(Pair(f"photos/{number}.png", _name(real), files))
    Questionnaire(seed, 4, {name: NAMES[name] for name in names}, {}, tuple(pairs)).write(folder)
    return folder


def truth(trial):
    """What somebody answers who knows reds from blues."""
    return Side.LEFT if trial.left[0, 0, 0] == 200 else Side.RIGHT


def take(session, how, count=None):
    """Answer trials; the sides on which the photographs were."""
    sides = []
    while session.trial is not None and len(sides) != count:
        sides.append(truth(session.trial))
        session.answer(how(session.trial))
    return sides


@pytest.fixture
def no_disk(monkeypatch):
    """Leave the disk's own cache alone: a hundred answers are quick then."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


# --- images ---------------------------------------------------------------------------------


def test_twins_are_what_the_colorizer_makes_of_the_same_square(made, weights):
    assert made.weights.keys() == set(NAMES)
    pair = made.pairs[0]
    real, one, two = (read_image(made.folder / n) for n in (pair.real, *pair.colored.values()))
    assert real.shape == (64, 64, 3)
    assert np.array_equal(one, Colorizer(weights[0], "cpu")(real).rgb)
    assert not np.array_equal(one, two)
    assert np.array_equal(gray(one), gray(real))
    assert np.array_equal(gray(two), gray(real))


def gray(rgb):
    return gray_codes(rgb)


def test_files_do_not_tell_which_is_which(made):
    files = sorted(made.folder.iterdir())
    assert len(files) == 4 * 3
    for file in files:
        assert re.fullmatch(r"[0-9a-f]{32}\.png", file.name)
        with Image.open(file) as image:
            assert (image.size, image.mode, image.info) == ((64, 64), "RGB", {})
        assert chunks(file.read_bytes()) == {b"IHDR", b"IDAT", b"IEND"}
    assert {file.name for file in files} == {
        name for pair in made.pairs for name in (pair.real, *pair.colored.values())
    }


def chunks(png):
    kinds, at = set(), 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kinds.add(png[at + 4 : at + 8])
        at += length + 12
    return kinds


def test_copies_and_gray_photographs_are_passed_over(photographs, tmp_path):
    made = make_pairs([photographs], tmp_path, [], 5, size=64)
    assert len({pair.real for pair in made.pairs}) == 5
    assert not any(pair.label.endswith("gray.png") for pair in made.pairs)
    with pytest.raises(DataError, match="expected 6 different photographs with color, found 5"):
        make_pairs([photographs], tmp_path, [], 6, size=64)


def test_the_seed_draws_the_photographs(photographs, tmp_path):
    drawn = [
        [pair.real for pair in make_pairs([photographs], tmp_path, [], 4, size=64, seed=s).pairs]
        for s in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.slow
def test_one_weights_twice_is_refused(photographs, weights, tmp_path):
    with pytest.raises(DataError, match="two weights are named 'one'"):
        make_pairs([photographs], tmp_path, [weights[0]] * 2, 1, size=64, device="cpu")


# --- trials -----------------------------------------------------------------------------------


def test_a_trial_holds_nothing_that_tells():
    assert {field.name for field in dataclasses.fields(Trial)} == {
        *("number", "total", "left", "right")
    }


def test_every_photograph_is_shown_once_and_sides_are_balanced(tmp_path, no_disk):
    session = Session(prepared(tmp_path, 30), "ada")
    take(session, truth)
    answers = session.answers
    assert len({answer.photograph for answer in answers}) == 30
    assert [answer.number for answer in answers] == list(range(1, 31))
    for name in NAMES:
        sides = [answer.real for answer in answers if answer.weights == name]
        assert len(sides) == 15
        assert abs(sides.count(Side.LEFT) - sides.count(Side.RIGHT)) == 1


@pytest.mark.slow
def test_names_do_not_tell_the_side(tmp_path, no_disk):
    session = Session(prepared(tmp_path), "ada")
    take(session, truth)
    first = [(a.photograph < a.twin) == (a.real == Side.LEFT) for a in session.answers]
    _, low, high = wilson_interval(sum(first), len(first), 0.999)
    assert low < 0.5 < high


def test_order_is_drawn_for_each_observer_by_the_seed(tmp_path):
    def order(folder, observer, seed):
        drawn = Session(prepared(tmp_path / folder, 12, seed=seed), observer)._due
        return [(one.pair.real, one.weights, one.real) for one in drawn]

    ada = order("a", "ada", 0)
    assert order("b", "ada", 0) == ada
    for other in (order("c", "bob", 0), order("d", "ada", 1)):
        assert other != ada
        assert {real for real, *_ in other} == {real for real, *_ in ada}


def test_weights_are_interleaved(tmp_path, no_disk):
    session = Session(prepared(tmp_path, 40), "ada")
    take(session, truth)
    order = [answer.weights for answer in session.answers]
    assert sum(a != b for a, b in pairwise(order)) > 10


# --- observers --------------------------------------------------------------------------------


def test_who_knows_is_never_fooled(tmp_path, no_disk):
    session = Session(prepared(tmp_path, 40), "ada")
    take(session, truth)
    assert session.result.fooled == 0
    assert (session.result.share, session.result.low) == (0, 0)


@pytest.mark.slow
def test_who_guesses_is_fooled_in_half_of_the_trials(tmp_path, no_disk):
    session = Session(prepared(tmp_path), "ada")
    rng = np.random.default_rng(0)
    take(session, lambda _: list(Side)[rng.integers(2)])
    assert session.result.low < 0.5 < session.result.high
    assert 0.3 < session.result.share < 0.7


@pytest.mark.parametrize("side", Side)
def test_who_always_says_one_side_is_fooled_in_exactly_half(tmp_path, no_disk, side):
    session = Session(prepared(tmp_path, 20), "ada")
    take(session, lambda _: side)
    assert session.result.share == 0.5


# --- answers ----------------------------------------------------------------------------------


def test_every_answer_is_on_the_disk_before_the_next_trial(tmp_path, monkeypatch):
    synced = []

    def fsync(number):
        status = os.fstat(number)
        synced.append((status.st_ino, status.st_size))

    monkeypatch.setattr(os, "fsync", fsync)
    answers = tmp_path / "answers.jsonl"
    session = Session(prepared(tmp_path, 3), "ada")
    for number in range(1, 4):
        session.answer(truth(session.trial), [Reason.GRAY, Reason.OTHER])
        file = answers.stat()
        assert (file.st_ino, file.st_size) in synced
        assert len(read_answers(answers)) == number
        summary = json.loads((tmp_path / "summary.json").read_text())
        row = summary["rows"][0]
        expected = wilson_interval(0, number)
        assert (row["share"], row["low"], row["high"]) == pytest.approx(expected)
    assert read_answers(tmp_path / "answers.jsonl")[0].reasons == (Reason.GRAY, Reason.OTHER)
    with pytest.raises(DataError, match="at most 3 answers of ada"):
        session.answer(Side.LEFT)


def test_a_crash_loses_nothing(tmp_path, monkeypatch, no_disk):
    folder = prepared(tmp_path, 10)
    take(Session(folder, "ada"), truth, 3)
    path = folder / "answers.jsonl"
    # The machine stops in the middle of writing the fourth.
    path.write_bytes(path.read_bytes() + b'{"observer": "ada", "num')
    session = Session(folder, "ada")
    assert session.trial.number == 4
    # Later, after the answer and before the summary.
    side = truth(session.trial)
    with monkeypatch.context() as patch:
        patch.setattr("training.visual_turing_test.session.write_summary", interrupt)
        with pytest.raises(KeyboardInterrupt):
            session.answer(side)
    session = Session(folder, "ada")
    assert session.trial.number == 5
    take(session, truth)
    answers = read_answers(path)
    assert len({answer.photograph for answer in answers}) == len(answers) == 10
    assert session.result.fooled == 0


def interrupt(_):
    raise KeyboardInterrupt


def test_an_answer_that_cannot_be_written_is_still_due(tmp_path, monkeypatch):
    session = Session(prepared(tmp_path, 3), "ada")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        session.answer(Side.LEFT)
    assert session.trial.number == 1
    assert (tmp_path / "answers.jsonl").read_bytes() == b""


def test_a_line_that_is_no_answer_is_named(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text('{"observer": "ada"}\n')
    with pytest.raises(DataError, match=r"answers\.jsonl, line 1: expected an answer"):
        read_answers(path)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
def test_a_killed_process_has_lost_nothing(tmp_path):
    folder = prepared(tmp_path / "test", 100)
    code = (
        "import sys; from pathlib import Path; from training.visual_turing_test.session import *\n"
        "session = Session(Path(sys.argv[1]), 'ada')\n"
        "while session.trial: session.answer(Side.LEFT); print(session._due and 1, flush=True)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, folder], cwd=ROOT, stdout=subprocess.PIPE
    )
    with process:
        for _ in range(20):
            process.stdout.readline()
        process.kill()
    done = len(read_answers(folder / "answers.jsonl"))
    assert 20 <= done < 100
    session = Session(folder, "ada")
    assert session.trial.number == done + 1
    take(session, lambda _: Side.LEFT)
    assert session.result.fooled == 50
    assert len({answer.photograph for answer in session.answers}) == 100


# --- the summary ------------------------------------------------------------------------------


def test_rows_are_of_observers_and_weights(tmp_path, no_disk):
    folder = prepared(tmp_path, 12)
    take(Session(folder, "ada"), truth)
    take(Session(folder, "bob"), lambda _: Side.LEFT)
    answers = read_answers(folder / "answers.jsonl")
    rows = {(row.observer, row.weights): row for row in count_answers(answers)}
    assert len(rows) == 9
    assert (rows[None, None].fooled, rows[None, None].trials) == (6, 24)
    assert (rows["ada", None].fooled, rows["bob", None].fooled) == (0, 6)
    assert (rows["bob", "one"].fooled, rows["bob", "one"].trials) == (3, 6)
    for row in rows.values():
        assert (row.share, row.low, row.high) == wilson_interval(row.fooled, row.trials)


def test_what_gave_images_away_counts_where_they_were_told(tmp_path, no_disk, capsys):
    folder = prepared(tmp_path, 1, ["one"])
    for observer, right in (("ada", True), ("bob", True), ("cyd", False)):
        session = Session(folder, observer)
        real = truth(session.trial)
        side = real if right else next(one for one in Side if one != real)
        session.answer(side, [Reason.BLOTCHES] if right else [Reason.WRONG])
    (given,) = json.loads((folder / "summary.json").read_text())["images"]
    assert (given["trials"], given["told"]) == (3, 2)
    assert {name: n for name, n in given["reasons"].items() if n} == {"blotches": 2}
    assert "image,weights,photograph,twin,trials,told,color bleeding" in (
        (folder / "images.csv").read_text()
    )
    assert (folder / "summary.csv").read_text().count("\n") == 5
    with pytest.raises(SystemExit) as end:
        main(["summary", str(folder)])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert "blotches (2)" in printed
    assert "33.3%" in printed


# --- the terminal -----------------------------------------------------------------------------


class Recorder:
    """Shows nothing and remembers the images."""

    def __init__(self):
        self.shown = []
        self.closed = False

    def show(self, path):
        with Image.open(path) as image:
            assert image.info == {}
            self.shown.append(np.array(image))

    def close(self):
        self.closed = True


def test_terminal_shows_asks_and_tells_the_result(tmp_path, no_disk):
    session, viewer, said = Session(prepared(tmp_path, 4), "ada"), Recorder(), []

    def look(_):
        image = viewer.shown[-1]
        assert image.shape == (2 * 4, 2 * (4 + 4 + terminal.GAP), 3)
        left, right = image[4, 2], image[4, -3]
        assert {left[0], right[0]} == {200, 30}
        return "L 13" if left[0] == 200 else "r"

    terminal.show(session, viewer, ask=look, say=said.append)
    assert len(viewer.shown) == 4
    assert viewer.closed
    assert said[-1].startswith("Fooled in 0 of 4 trials: 0 %")
    reasons = {answer.answered: answer.reasons for answer in session.answers}
    assert reasons == {Side.LEFT: (Reason.BLEEDING, Reason.WRONG), Side.RIGHT: ()}


def test_terminal_stops_and_goes_on(tmp_path, no_disk):
    folder, said = prepared(tmp_path, 4), []
    replies = iter(["x", "r9", "", "l", "q"])
    terminal.show(Session(folder, "ada"), Recorder(), ask=lambda _: next(replies), say=said.append)
    assert sum(line.startswith("Expected l or r") for line in said) == 3
    assert said[-1].startswith("Stopped after 1 of 4")

    def end_of_input(question):
        assert question == "2 of 4: "
        raise EOFError

    terminal.show(Session(folder, "ada"), Recorder(), ask=end_of_input, say=said.append)
    assert len(read_answers(folder / "answers.jsonl")) == 1


def test_default_viewer_is_the_systems(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("typer.launch", lambda path: opened.append(path) or 0)
    terminal.ImageViewer().show(tmp_path / "a.png")
    assert opened == [str(tmp_path / "a.png")]
    monkeypatch.setattr("typer.launch", lambda path: 127)
    with pytest.raises(DataError, match="name one with --viewer"):
        terminal.ImageViewer().show(tmp_path / "a.png")


def test_named_viewer_is_closed_before_the_next_image(tmp_path):
    code = tmp_path / "viewer.py"
    code.write_text("import sys, time; open(sys.argv[1] + '.seen', 'w').close(); time.sleep(600)")
    viewer = terminal.ImageViewer(f"'{sys.executable}' '{code}'")
    viewer.show(tmp_path / "a.png")
    first = viewer._process
    while not (tmp_path / "a.png.seen").exists():
        assert first.poll() is None
        time.sleep(0.01)
    viewer.show(tmp_path / "b.png")
    assert first.poll() is not None
    viewer.close()
    with pytest.raises(DataError, match="no-such-program cannot be started"):
        terminal.ImageViewer("no-such-program").show(tmp_path / "a.png")


# --- the command ------------------------------------------------------------------------------


def command(*words):
    with pytest.raises(SystemExit) as end:
        main([*map(str, words)])
    return end.value.code


@pytest.mark.slow
def test_the_command_prepares_shows_and_sums_up(made, photographs, weights, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(made.folder, out / "images")
    monkeypatch.setattr(Colorizer, "__call__", None)  # what is there is not made again
    words = ["prepare", photographs, "--out", out, "--weights", weights[0], "--weights", weights[1]]
    words += ["--size", 64, "--device", "cpu", "--trials", 4]
    assert command(*words) == 0
    assert Questionnaire.read(out).weights == made.weights
    assert Questionnaire.read(out).how == made.how
    assert made.how["settings"]["size"] == 224
    monkeypatch.setattr("typer.launch", lambda path: 0)
    monkeypatch.setattr("sys.stdin", io.StringIO("l\n" * 4))
    assert command("show", "terminal", out, "--observer", "ada") == 0
    rows = json.loads((out / "summary.json").read_text())["rows"]
    assert rows[0]["fooled"] == 2
    assert command("summary", out) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "terminal", "{}", "--observer", "ada"], "holds no visual Turing test"),
        (["summary", "{}"], "holds no visual Turing test"),
        (["prepare", "{}", "--out", "{}/out"], "holds no image"),
        (["prepare", "{}/missing", "--out", "{}/out"], "does not exist"),
    ],
)
def test_what_goes_wrong_is_told_in_one_line(tmp_path, capsys, words, said):
    assert command(*(word.format(tmp_path) for word in words)) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert said in line


def test_a_test_with_answers_is_not_replaced(tmp_path, no_disk):
    folder = prepared(tmp_path, 4)
    questionnaire = Questionnaire.read(folder)
    other = dataclasses.replace(questionnaire, seed=1)
    other.write(folder)
    take(Session(folder, "ada"), truth, 1)
    other.write(folder)
    with pytest.raises(DataError, match="another test, and answers to it"):
        questionnaire.write(folder)
    assert Questionnaire.read(folder) == other


def test_observers_have_names(tmp_path):
    with pytest.raises(DataError, match="--observer NAME"):
        Session(prepared(tmp_path, 1), " ")

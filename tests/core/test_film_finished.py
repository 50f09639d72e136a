"""A call whose result is there already, and what is known of a film that is there."""

import json
from unittest.mock import patch

import pytest
from PIL import Image

from recolor_core.errors import OutputExistsError
from recolor_core.film import FilmWarning, Shot, read_shots

from .cli_runner import recolor
from .films import FULL, codes, colorize, make_film, scene

FAST = ("--size", "32", "--device", "cpu")


def test_a_second_call_has_nothing_to_do(tmp_path):
    make_film(tmp_path / "a.mkv", 3)
    colorize(tmp_path / "a.mkv", tmp_path / "b.mp4")
    made = (tmp_path / "b.mp4").read_bytes()
    with patch("recolor_core.film.coloring.see_frames", side_effect=AssertionError):
        again = colorize(tmp_path / "a.mkv", tmp_path / "b.mp4", shots=tmp_path / "shots.json")
    assert (again.status, again.frames, again.resumed) == ("skipped", 3, 3)
    assert (tmp_path / "b.mp4").read_bytes() == made
    assert read_shots(tmp_path / "shots.json").shots == (Shot(0, 2),)  # was asked for, too


def test_a_second_call_for_images_has_nothing_to_do(tmp_path):
    make_film(tmp_path / "a.mkv", 3)
    target = f"{tmp_path}/p/"
    colorize(tmp_path / "a.mkv", target)
    assert colorize(tmp_path / "a.mkv", target).status == "skipped"
    (tmp_path / "p/frame_000001.tif").unlink()
    with pytest.raises(OutputExistsError, match="with 2 of 3 images"):
        colorize(tmp_path / "a.mkv", target)
    assert colorize(tmp_path / "a.mkv", target, overwrite=True).status == "done"


def test_a_second_command_ends_well_and_says_why(tmp_path):
    make_film(tmp_path / "a.mkv", 2)
    words = ("film", tmp_path / "a.mkv", tmp_path / "b.mkv", *FAST)
    assert recolor(*words).code == 0
    again = recolor(*words, "--json")
    assert again.code == 0
    assert "skipped" in again.err
    assert "is there already, complete and made in the same way" in again.err
    assert json.loads(again.out)["status"] == "skipped"
    other = recolor(*words, "--crf", "20")
    assert other.code == 2
    assert "another coding or quality" in other.err
    assert "--overwrite renews it, or name another OUT" in other.err
    assert recolor(*words, "--crf", "20", "--overwrite").code == 0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"passes": 2}, "another number of passes"),
        ({"clean": True}, "cleaning"),
        ({"end": "1f"}, "another start or end"),
        ({"codec": "ffv1"}, "another coding"),
    ],
)
def test_another_request_is_refused_in_words(tmp_path, change, expected):
    make_film(tmp_path / "a.mkv", 2)
    colorize(tmp_path / "a.mkv", tmp_path / "b.mkv")
    with pytest.raises(OutputExistsError, match=expected):
        colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", **change)


def test_another_source_other_shots_and_altered_results_are_refused(tmp_path):
    make_film(tmp_path / "a.mkv", 2)
    make_film(tmp_path / "other.mkv", 3)
    colorize(tmp_path / "a.mkv", tmp_path / "b.mkv")
    with pytest.raises(OutputExistsError, match="made from another film"):
        colorize(tmp_path / "other.mkv", tmp_path / "b.mkv")
    shots = tmp_path / "shots.json"
    shots.write_text('{"shots": [{"first": 0, "last": 0}, {"first": 1, "last": 1}]}')
    with pytest.raises(OutputExistsError, match="other shots"):
        colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", shots=shots)
    with (tmp_path / "b.mkv").open("ab") as file:
        file.write(b"more")
    with pytest.raises(OutputExistsError, match="incomplete or altered"):
        colorize(tmp_path / "a.mkv", tmp_path / "b.mkv")
    (tmp_path / "b.mkv.json").unlink()
    with pytest.raises(OutputExistsError, match="not a result of recolor"):
        colorize(tmp_path / "a.mkv", tmp_path / "b.mkv")


def test_info_says_how_a_film_was_made(tmp_path):
    make_film(tmp_path / "a.mkv", 3)
    colorize(tmp_path / "a.mkv", tmp_path / "b.mkv")
    call = recolor("info", tmp_path / "b.mkv", "--json")
    assert call.code == 0
    facts = json.loads(call.out)
    assert (facts["width"], facts["height"], facts["frames"]) == (64, 48, 3)
    assert facts["frames_per_second"] == 25
    assert facts["recolor"]["tool"].startswith("recolor ")
    assert facts["recolor"]["frames"] == {"first": 0, "count": 3, "cut_codes": 0}
    assert facts["recolor"]["coding"]["codec"] == "libx264"
    lines = recolor("info", tmp_path / "b.mkv").out.decode()
    assert lines.startswith(f"{tmp_path / 'b.mkv'}: colored by recolor ")
    assert "film, 3 frames, 25 a second" in lines
    assert "tool: recolor" in lines
    assert "source: a.mkv" in lines
    # Without the file beside it, the comment inside says that the colors are made up.
    (tmp_path / "b.mkv.json").unlink()
    lines = recolor("info", tmp_path / "b.mkv").out.decode()
    assert lines.startswith(f"{tmp_path / 'b.mkv'}: colored by recolor, as its comment says")
    assert "comment: Colors made up by recolor" in lines
    source = recolor("info", tmp_path / "a.mkv")
    assert source.code == 0
    assert source.out.decode().startswith(f"{tmp_path / 'a.mkv'}: not colored by recolor\n")
    assert "ffv1, yuv420p" in source.out.decode()


@pytest.mark.parametrize("output", ["b.mkv", "p/f_%06d.png", "p/f_%06d.dpx"])
def test_a_result_is_colorized_again_with_a_word_as_images_are(tmp_path, output):
    make_film(tmp_path / "a.mkv", 2, pixels="gray")
    colorize(tmp_path / "a.mkv", tmp_path / output)
    said = "this is a result of recolor(, made from a.mkv)?; its gray is colorized again"
    with pytest.warns(FilmWarning, match=said):
        colorize(tmp_path / output, tmp_path / "c.mkv", fps="25" if "%" in output else "")


@pytest.mark.slow
def test_a_source_beside_its_result_is_no_result(tmp_path):
    make_film(tmp_path / "a.mkv", 2, pixels="gray")
    gray = scene(0)
    for number in range(2):
        Image.fromarray(codes(gray, 8, FULL)).save(tmp_path / f"s_{number:04d}.png")
    colorize(tmp_path / "s_%04d.png", tmp_path / "c_%04d.png", fps="25")
    colorize(tmp_path / "s_%04d.png", tmp_path / "d.mkv", fps="25")  # without a warning


def test_info_of_the_images_of_a_film(tmp_path):
    make_film(tmp_path / "a.mkv", 2)
    colorize(tmp_path / "a.mkv", f"{tmp_path}/p/")
    facts = json.loads(recolor("info", tmp_path / "p", "--json").out)
    assert facts["frames"] == 2
    assert facts["recolor"]["coding"] == {"images": "frame_%06d.tif"}


def test_info_of_a_broken_film_is_an_error(tmp_path):
    (tmp_path / "a.mkv").write_bytes(b"no film")
    call = recolor("info", tmp_path / "a.mkv")
    assert call.code == 2
    assert "cannot be opened as a film" in call.err

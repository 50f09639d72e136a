"""Colorized films: each alteration is caught and named, and the gray film comes back."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import numpy as np
import pytest
import tifffile

from recolor_core.batch.films import restore_film, verify_film
from recolor_core.errors import ImageError
from recolor_core.film import FilmWarning, open_film
from recolor_core.film.decoding import FilmFrame, Movie
from tests.core.cli_runner import recolor
from tests.core.films import FULL, LIMITED, colorize, make_film, scene

FRAMES = 3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film and its colorings: lossless, lossy, of a lossless codec for luma, and as images."""
    folder = tmp_path_factory.mktemp("films")
    # Gray in FFV1: codes from black to white, as no codec has clipped them.
    make_film(folder / "reel.mkv", FRAMES, pixels="gray", color_range=FULL, audio=True)
    make_film(folder / "other.mkv", FRAMES, pixels="gray", color_range=FULL, rate=24)
    colorize(folder / "reel.mkv", folder / "exact.mkv", lossless=True)
    colorize(folder / "reel.mkv", folder / "lossy.mp4", crf=30)
    colorize(folder / "reel.mkv", folder / "luma.mp4", crf=0)
    colorize(folder / "reel.mkv", folder / "frames" / "f_%06d.tif")
    return folder


def kinds(output: Path, source: Path | None = None) -> set[str]:
    found = verify_film(output, str(source) if source else None)
    return {finding.kind for finding in found.findings}


def with_sidecar(output: Path, target: Path) -> Path:
    shutil.copy(output, target)
    shutil.copy(f"{output}.json", f"{target}.json")
    return target


def change_frame(path: Path, number: int, *, drop: bool = False) -> None:
    """Change one value of a frame of an FFV1 film, or leave the frame out."""
    with av.open(str(path)) as film:
        frames = list(film.decode(video=0))
        base = film.streams.video[0].time_base
    with av.open(str(path), "w", format="matroska") as film:
        video: Any = film.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = frames[0].width, frames[0].height, "bgr0"
        video.codec_context.time_base = video.time_base = base
        for index, frame in enumerate(frames):
            if index == number:
                if drop:
                    continue
                codes = frame.to_ndarray(format="rgb24")
                codes[5, 6] ^= 2
                changed = av.VideoFrame.from_ndarray(codes, "rgb24").reformat(format="bgr0")
                changed.pts, changed.time_base = frame.pts, frame.time_base
                frame = changed
            film.mux(video.encode(frame))
        film.mux(video.encode(None))


def test_what_was_not_altered(made: Path) -> None:
    for output in (made / "exact.mkv", made / "luma.mp4", made / "frames" / "f_%06d.tif"):
        for source in (None, made / "reel.mkv"):
            found = verify_film(output, str(source) if source else None)
            assert found.unaltered, found.line()
            assert found.exact_pages == found.pages == FRAMES
            assert "3 frames; its gray is exact" in found.line()
        assert found.difference == 0


def test_a_lossy_film_says_how_near_it_is(made: Path) -> None:
    found = verify_film(made / "lossy.mp4", str(made / "reel.mkv"))
    assert found.unaltered
    assert found.exact_pages == 0
    assert 0 < (found.mean_difference or 0) < (found.difference or 0) < 0.5
    assert "% of white, on average" in found.line()


@pytest.mark.parametrize("drop", [False, True])
def test_altered_frames(made: Path, tmp_path: Path, drop: bool) -> None:
    film = with_sidecar(made / "exact.mkv", tmp_path / "film.mkv")
    change_frame(film, 1, drop=drop)
    kind = "pages" if drop else "gray"
    assert {"bytes", kind} <= kinds(film)
    assert {"bytes", kind} <= kinds(film, made / "reel.mkv")
    if not drop:
        assert "1 of 3 frames is not that of the source, the first is frame 1" in (
            verify_film(film, str(made / "reel.mkv")).line()
        )
    with pytest.raises(ImageError, match="restore it from an unaltered copy"):
        restore_film(film, tmp_path / "back.mkv")
    assert not (tmp_path / "back.mkv").exists()


@pytest.mark.parametrize("name", ["exact.mkv", "lossy.mp4"])
def test_films_that_are_cut_foreign_or_of_another_source(
    made: Path, tmp_path: Path, name: str
) -> None:
    film = with_sidecar(made / name, tmp_path / name)
    assert "other source" in kinds(film, made / "other.mkv")
    data = film.read_bytes()
    film.write_bytes(data[: len(data) // 2])
    assert "bytes" in kinds(film)
    film.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert "bytes" in kinds(film)
    film.unlink()
    assert kinds(film) == {"missing"}
    film.write_bytes(data)
    Path(f"{film}.json").write_text("{}")
    assert kinds(film) == {"no mark"}
    assert kinds(film, made / "reel.mkv") == {"no mark"}


def test_images_of_a_film_that_were_altered(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "frames", tmp_path / "frames")
    image = tmp_path / "frames" / "f_000001.tif"
    codes = tifffile.imread(image)
    codes[3, 4] ^= 2
    tifffile.imwrite(image, codes)
    pattern = tmp_path / "frames" / "f_%06d.tif"
    assert kinds(pattern) == kinds(pattern, made / "reel.mkv") == {"gray"}
    image.unlink()
    with pytest.warns(UserWarning, match="images are missing"):
        assert "pages" in kinds(pattern)


def test_the_command(made: Path) -> None:
    call = recolor("verify", made / "exact.mkv", made / "reel.mkv", "--json")
    facts = json.loads(call.out)
    assert (call.code, facts["unaltered"], facts["exact_pages"]) == (0, True, FRAMES)
    assert recolor("verify", made / "frames", made / "reel.mkv").code == 0
    call = recolor("verify", made / "exact.mkv", made / "other.mkv")
    assert call.code == 2
    assert call.out.decode().startswith(f"{made / 'exact.mkv'}: ALTERED: ")
    call = recolor("verify", made, "--json")  # a folder with films in it
    names = {Path(json.loads(line)["output"]).name for line in call.out.splitlines()}
    assert names == {"exact.mkv", "lossy.mp4", "luma.mp4"}
    assert call.code == 0


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of H.264 whose errors FFmpeg conceals, and a lossless coloring of it."""
    folder = tmp_path_factory.mktemp("damaged")
    random = np.random.default_rng(0)
    grainy = [np.clip(scene(n) + random.normal(0, 0.05, (48, 64)), 0, 1) for n in range(6)]
    make_film(folder / "whole.mp4", grainy, codec="libx264")
    content = bytearray((folder / "whole.mp4").read_bytes())
    with av.open(str(folder / "whole.mp4")) as film:
        packet = bytes([packet for packet in film.demux(video=0) if packet.size][2])
    end = content.find(packet) + len(packet)
    content[end - len(packet) // 2 : end] = bytes(len(packet) // 2)
    (folder / "reel.mp4").write_bytes(content)
    with pytest.warns(FilmWarning, match="damaged"):
        colorize(folder / "reel.mp4", folder / "color.mkv", lossless=True)
    colorize(folder / "whole.mp4", folder / "intact.mkv", lossless=True)
    return folder


@contextmanager
def decoding_otherwise(path: Path) -> Iterator[None]:
    """Let a film decode to other codes, as another version of FFmpeg may conceal errors."""
    read = Movie.frames

    def frames(movie: Movie) -> Iterator[FilmFrame]:
        for frame in read(movie):
            if movie.path == path and frame.number == 3:
                frame = replace(frame, image=frame.image ^ np.uint8(4))
            yield frame

    with patch.object(Movie, "frames", frames):
        yield


@pytest.mark.filterwarnings("always")
def test_a_damaged_film_is_verified_like_any_other(damaged: Path, tmp_path: Path) -> None:
    call = recolor("verify", damaged / "color.mkv", damaged / "reel.mp4")
    assert call.code == 0
    assert b"6 frames; its gray is exact" in call.out
    (line,) = call.err.splitlines()  # and no warning in the words of Python
    assert line.startswith(f"recolor: {damaged / 'reel.mp4'}: ")
    assert "damaged, and decoded as far as possible" in line
    film = with_sidecar(damaged / "color.mkv", tmp_path / "color.mkv")
    change_frame(film, 1)
    call = recolor("verify", film, damaged / "reel.mp4")
    assert call.code == 2
    assert b"ALTERED" in call.out


@pytest.mark.filterwarnings("always")
def test_a_damaged_source_that_decodes_otherwise_decides_nothing(
    damaged: Path, tmp_path: Path
) -> None:
    with decoding_otherwise(damaged / "reel.mp4"):
        call = recolor("verify", damaged / "color.mkv", damaged / "reel.mp4", "--json")
        assert call.code == 3
        record = json.loads(call.out)
        assert not record["unaltered"]
        assert not record["altered"]
        assert [finding["kind"] for finding in record["findings"]] == ["damaged source"]
        call = recolor("verify", damaged / "color.mkv", damaged / "reel.mp4")
        assert b"color.mkv: CANNOT BE VERIFIED: the source does not decode the same" in call.out
        assert b"the gray of 1 of 6 frames, the first is frame 3, is what was written" in call.out
        report = tmp_path / "report.json"
        call = recolor("verify", damaged, damaged, "--report", report)
        assert call.code == 3
        assert b"2 results verified" in call.out
        assert b"none altered, 1 that cannot be verified" in call.out
        facts = json.loads(report.read_text())
        assert (facts["unaltered"], facts["altered"]) == (1, [])
        assert len(facts["cannot_be_verified"]) == 1
        # What was altered is still found.
        film = with_sidecar(damaged / "color.mkv", tmp_path / "color.mkv")
        change_frame(film, 1)
        assert recolor("verify", film, damaged / "reel.mp4").code == 2
    with decoding_otherwise(damaged / "whole.mp4"):  # of a film that is intact, it is a finding
        call = recolor("verify", damaged / "intact.mkv", damaged / "whole.mp4")
        assert call.code == 2
        assert b"ALTERED: the gray of 1 of 6 frames is not that of the source" in call.out


def luma_of(path: Path) -> list[np.ndarray]:
    frames = open_film(str(path)).frames()
    return [frame.image if frame.luma is None else frame.luma for frame in frames]


@pytest.mark.parametrize(
    ("pixels", "color_range", "order"),
    [
        ("gray", FULL, {"lossless": True}),
        ("gray", FULL, {"crf": 0}),
        ("yuv420p", LIMITED, {"crf": 0}),
        ("gray10le", LIMITED, {"lossless": True}),
        ("gray16le", FULL, {"lossless": True}),
    ],
)
def test_the_codes_of_the_source_come_back(
    tmp_path: Path, pixels: str, color_range: int, order: dict[str, Any]
) -> None:
    source, output = tmp_path / "reel.mkv", tmp_path / "color.mkv"
    make_film(source, FRAMES, pixels=pixels, color_range=color_range, audio=True)
    colorize(source, output, **order)
    back = restore_film(output)
    assert back.target == str(tmp_path / "color.restored.mkv")
    assert (back.pages, back.exact, back.notes) == (FRAMES, True, ())
    for one, other in zip(luma_of(source), luma_of(Path(back.target)), strict=True):
        np.testing.assert_array_equal(one, other)
    with av.open(back.target) as film:
        assert [stream.type for stream in film.streams] == ["video", "audio"]
        said = " ".join(film.metadata.values())
    assert "restored" in said
    assert "Colors made up" not in said
    before, after = open_film(str(source)).facts, open_film(back.target).facts
    assert before.luma == after.luma
    assert list(before.times) == list(after.times)


def test_what_does_not_come_back_is_told(made: Path, tmp_path: Path) -> None:
    make_film(tmp_path / "wide.mkv", 1, pixels="yuv420p")  # with codes beyond black and white
    colorize(tmp_path / "wide.mkv", tmp_path / "rgb.mkv", lossless=True)
    back = restore_film(tmp_path / "rgb.mkv")
    assert not back.exact
    assert "codes beyond black or white cut off" in back.notes[0]
    make_film(tmp_path / "deep.mkv", 1, pixels="gray12le", size=(96, 80))
    colorize(tmp_path / "deep.mkv", tmp_path / "deep.mp4", crf=0)
    assert "rounded to 10 bits" in " ".join(restore_film(tmp_path / "deep.mp4").notes)
    call = recolor("restore", made / "lossy.mp4", "-o", tmp_path / "gray.mkv")
    assert call.code == 0
    assert "not exact; the codec changed the gray of 3 frames" in call.err


@pytest.mark.parametrize("ending", ["tif", "png", "dpx"])
def test_images_come_back(made: Path, tmp_path: Path, ending: str) -> None:
    colorize(made / "reel.mkv", tmp_path / "frames" / f"f_%06d.{ending}")
    call = recolor("restore", tmp_path / "frames", "-o", f"{tmp_path}/gray/")
    assert call.code == 0, call.err
    assert "the source's gray, exactly" in call.err
    pattern = f"{tmp_path}/gray/f_%06d.restored.{ending}"
    for one, other in zip(luma_of(made / "reel.mkv"), open_film(pattern).frames(), strict=True):
        gray = other.image if other.image.ndim == 2 else other.image[..., 1]
        np.testing.assert_array_equal(one, gray)
    call = recolor("restore", tmp_path / "frames", "-o", f"{tmp_path}/gray/")
    assert (call.code, len(call.errors)) == (2, 1)
    assert "--overwrite" in call.err


def test_what_cannot_be_restored(made: Path, tmp_path: Path) -> None:
    for words, said in (
        ((made / "reel.mkv",), "expected a film that recolor made"),
        ((made / "exact.mkv", "-o", tmp_path / "a.mp4"), "ends in .mkv"),
        ((made / "frames", "-o", tmp_path / "a.mkv"), "images"),
    ):
        call = recolor("restore", *words)
        assert (call.code, len(call.errors)) == (2, 1)
        assert said in call.err

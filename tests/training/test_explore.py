import json
import re
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

from recolor_core.lab import lab_to_rgb, rgb_to_lab
from training import explore
from training.analysis import spatial, temporal
from training.analysis.page import Figures, for_page
from training.analysis.preparation import prepare
from training.photographs import DataError, list_photographs
from training.prepare.clean import clean
from training.smoke import write_photographs

from .chain import command

pytestmark = pytest.mark.slow  # a whole chain, run once, is what all of it looks at

FRAMES = 48


def codes_of(lab: np.ndarray) -> np.ndarray:
    return (lab_to_rgb(lab).clip(0, 1) * 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collection") / "photographs"
    write_photographs(folder)
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8 no more than this")
    gray = Image.open(folder / "coffee-0-0.png").convert("L")
    gray.save(folder / "gray.png")
    return folder


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """Frames whose b* swings with a period of 6 over a slow rise of a*."""
    folder = tmp_path_factory.mktemp("stack") / "frames"
    folder.mkdir()
    y, x = np.mgrid[:64, :64] / 64
    noise = np.random.default_rng(0)
    for frame in range(FRAMES):
        a = 30 * x - 10 + 0.3 * frame + noise.normal(0, 0.5)
        b = 20 * y + 8 * np.sin(2 * np.pi * frame / 6) + noise.normal(0, 0.5)
        lab = np.stack((50 + 20 * x, a, b), axis=-1)
        Image.fromarray(codes_of(lab)).save(folder / f"{frame:03d}.png")
    return folder


@pytest.fixture(scope="module")
def explored(photographs, stack, tmp_path_factory):
    out = tmp_path_factory.mktemp("explored") / "page"
    figures = explore.explore([photographs], out, stack=stack, notebooks=False)
    return out, figures


# --- the page ---------------------------------------------------------------------------------


def test_a_page_has_every_figure_and_its_files(explored):
    out, figures = explored
    html = (out / "index.html").read_text(encoding="utf-8")
    assert len(figures.drawn) == 16
    for name in figures.drawn:
        assert f'<figure id="{name}">' in html
        for suffix in ("png", "svg", "csv"):
            assert (out / "figures" / f"{name}.{suffix}").stat().st_size > 0
        assert len(pd.read_csv(out / "figures" / f"{name}.csv")) > 0
    assert not list(out.rglob("*.part"))


def test_a_page_is_complete_in_itself(explored):
    out, _ = explored
    html = (out / "index.html").read_text(encoding="utf-8")
    loaded = re.findall(r"""(?:src|href|data|poster)\s*=\s*["']([^"']*)|url\(([^)]*)\)""", html)
    for target in (a or b for a, b in loaded):
        assert target.startswith(("data:", "#", "figures/")), target[:80]
        if target.startswith("figures/"):
            assert (out / target).is_file()
    assert not re.search(r"<script|<link|<iframe|@import", html)


def test_ink_of_a_drawing_follows_the_page():
    svg = '<?xml version="1.0"?>\n<svg width="9pt" height="9pt" viewBox="0 0 9 9">'
    svg += '<metadata>x</metadata><g id="figure_1" style="fill: #1b1c1f"/></svg>'
    shown = for_page(svg, 'a "quoted" <caption>')
    assert "currentColor" in shown
    assert "figure_1" not in shown
    assert "metadata" not in shown
    assert re.match(r'<svg role="img" aria-label="[^"<>]*" viewBox=', shown)


def test_a_second_run_draws_only_what_has_changed(photographs, stack, explored, tmp_path):
    first, _ = explored
    out, frames = tmp_path / "page", tmp_path / "frames"
    shutil.copytree(first, out)
    again = explore.explore([photographs], out, stack=stack, notebooks=False)
    assert again.drawn == []
    assert (out / "index.html").read_bytes() == (first / "index.html").read_bytes()
    shutil.copytree(stack, frames)
    Image.new("RGB", (64, 64), "green").save(frames / "000.png")
    changed = explore.explore([photographs], out, stack=frames, notebooks=False)
    assert changed.drawn == ["stack", "decomposition", "modes", "lags", "autoregression"]
    without = explore.explore([photographs], out, notebooks=False)
    assert without.drawn == []
    assert "No stack was given" in (out / "index.html").read_text(encoding="utf-8")
    assert not list((out / "figures").glob("modes.*"))
    (out / "figures" / "groups.svg").unlink()
    assert explore.explore([photographs], out, notebooks=False).drawn == ["groups"]


def test_notebooks_are_executed_and_show_the_charts(photographs, stack, explored, tmp_path):
    out = tmp_path / "page"
    shutil.copytree(explored[0], out)
    explore.explore([photographs], out, stack=stack)
    for name, charts in (("spatial", 8), ("temporal", 5)):
        path = out / f"{name}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert all(cell.execution_count for cell in cells)
        images = [o for c in cells for o in c.outputs if "image/png" in o.get("data", {})]
        assert len(images) == charts
    before = path.stat().st_mtime_ns
    explore.explore([photographs], out, stack=stack)
    assert path.stat().st_mtime_ns == before


# --- bad input --------------------------------------------------------------------------------


def test_bad_input_ends_with_one_line_and_code_2(photographs, tmp_path, capsys):
    few, gray, file = tmp_path / "few", tmp_path / "gray", tmp_path / "file"
    few.mkdir()
    shutil.copy(photographs / "cat-0-0.png", few)
    gray.mkdir()
    for frame in range(12):
        Image.new("L", (8, 8), frame).save(gray / f"{frame}.png")
    file.write_text("in the way")
    here = [photographs, "--out", tmp_path / "out"]
    for words, says in (
        ([tmp_path / "nowhere", "--out", tmp_path / "out"], "does not exist"),
        ([few, "--out", tmp_path / "out"], "keeps 1 of 1"),
        ([photographs, "--out", file], "a file is in the way"),
        ([*here, "--every", 0], "--every"),
        ([*here, "--set", "colour=3"], "min_chroma"),
        ([*here, "--stack", few], "1 frames, expected at least 12"),
        ([*here, "--stack", gray], "is gray"),
        ([*here, "--stack", file], "cannot be read as a stack"),
        ([*here, "--stack", tmp_path / "nowhere"], "cannot be read as a stack"),
    ):
        assert command(explore.app, *words, "--no-notebooks") == 2, words
        error = capsys.readouterr().err.strip().splitlines()
        assert says in error[-1], error
        assert not (tmp_path / "out" / "index.html").exists()


def test_a_broken_index_means_drawing_anew(tmp_path):
    (tmp_path / "figures").mkdir()
    for text in ("{", "[]", '{"a": 1}'):
        (tmp_path / "figures" / "index.json").write_text(text)
        assert Figures(tmp_path).drawn == []


# --- preparation ------------------------------------------------------------------------------


def test_the_page_keeps_what_cleaning_keeps(photographs, tmp_path):
    images = list_photographs([photographs])
    found = prepare(images, tmp_path / "measures.sqlite")
    report = clean([photographs], tmp_path / "cleaned")
    assert len(found.kept) == sum(report.kept.values())
    table = found.thrown_out().set_index("rule")["images"]
    assert table["corrupt"] == report.rejected["corrupt"] == 1
    assert table["near-monochrome"] == report.rejected["monochrome"] == 1
    assert found.worst("corrupt", 3)[0].name == "damaged.jpg"
    assert len(found.measured()) == len(images) - 1
    usable = found.usable()
    assert (usable["least"] <= usable["median"]).all()
    assert len(found.histograms) == len(found.kept)


# --- over the place ---------------------------------------------------------------------------


def test_maps_find_the_sky_above_and_the_grass_below():
    lab = np.zeros((5, 8, 8, 3))
    lab[:, :4] = (70, 0, -30)
    lab[:, 4:] = (40, -35, 30)
    lab[1] = (50, 0, 0)
    maps = spatial.position_maps(codes_of(lab))
    np.testing.assert_allclose(maps.mean[:4, :, 2], -24, atol=0.5)
    np.testing.assert_allclose(maps.shares["blue"][:4], 0.8)
    np.testing.assert_allclose(maps.shares["green"][4:], 0.8)
    np.testing.assert_allclose(maps.shares["gray"], 0.2)
    np.testing.assert_allclose(sum(maps.shares.values()), 1)
    np.testing.assert_allclose(maps.spread[:4, :, 2], 12, atol=0.5)


def test_correlations_are_pearsons():
    rng = np.random.default_rng(0)
    codes = rng.integers(60, 200, (6, 16, 16, 3), dtype=np.uint8)
    lab = np.asarray(rgb_to_lab(codes), np.float64)
    found = spatial.lightness_correlation(codes)
    a, light = lab[..., 1], lab[..., 0]
    assert found.overall["a*"][0] == pytest.approx(stats.pearsonr(light.ravel(), a.ravel())[0])
    assert found.overall["a*"][1] < found.overall["a*"][0] < found.overall["a*"][2]
    one = stats.pearsonr(light[2].ravel(), a[2].ravel())[0]
    assert found.per_image[2, 0] == pytest.approx(one)
    window = stats.pearsonr(light[0, :8, 8:].ravel(), a[0, :8, 8:].ravel())[0]
    assert found.per_window[1, 0] == pytest.approx(window)
    place = stats.pearsonr(light[:, 3, 4], a[:, 3, 4])[0]
    assert found.by_place[3, 4, 0] == pytest.approx(place)


def test_lightness_that_tells_color_is_found_and_gray_has_no_correlation():
    ramp = np.broadcast_to(np.linspace(20, 80, 16), (4, 16, 16))
    lab = np.stack((ramp, 0.3 * ramp, 20 - 0.4 * ramp), axis=-1)
    found = spatial.lightness_correlation(codes_of(lab))
    assert found.overall["a*"][0] > 0.99
    assert found.overall["b*"][0] < -0.99
    nothing = spatial.lightness_correlation(np.full((3, 16, 16, 3), 90, np.uint8))
    assert np.isnan(nothing.overall["a*"][0])
    assert np.isnan(nothing.per_image).all()


def test_a_distribution_sums_to_one_and_knows_gray():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    codes[:2] = 128
    found = spatial.color_distribution(codes)
    assert found.share.sum() == pytest.approx(1)
    assert found.share[55, 55] >= 0.4
    assert found.gray[0] >= 0.4
    assert 0 < found.bits < np.log2(found.share.size)


def test_images_of_the_same_colors_are_in_one_group():
    rng = np.random.default_rng(2)
    centers = np.zeros((3, 484))
    for i, cells in enumerate((slice(0, 20), slice(200, 230), slice(400, 420))):
        centers[i, cells] = 1
    member = np.repeat([0, 1, 2], [9, 6, 4])
    shares = centers[member] + rng.random((19, 484)) * 0.01
    shares /= shares.sum(1, keepdims=True)
    found = spatial.palettes(shares)
    assert found.group.tolist() == member.tolist()  # the largest is 0
    assert (np.diff(found.explained) <= 1e-9).all()
    assert spatial.palettes(np.repeat(shares[:1], 5, axis=0)).group.tolist() == [0] * 5


# --- over time --------------------------------------------------------------------------------


def test_frames_come_from_folders_pages_and_films(stack, tmp_path):
    folder = temporal.read_stack(stack)
    assert folder.codes.shape == (FRAMES, 56, 56, 3)
    pages = [Image.open(path) for path in sorted(stack.iterdir())]
    pages[0].save(tmp_path / "s.tif", save_all=True, append_images=pages[1:])
    assert np.array_equal(temporal.read_stack(tmp_path / "s.tif").codes, folder.codes)
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "s.mkv"), "w") as film:
        stream = film.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "bgr0"
        for page in pages:
            film.mux(stream.encode(av.VideoFrame.from_image(page)))
        film.mux(stream.encode())
    shown = temporal.read_stack(tmp_path / "s.mkv")
    assert shown.rate == 10
    assert np.abs(shown.codes.astype(int) - folder.codes).max() <= 1


def test_a_series_is_the_sum_of_its_parts_and_its_period_is_found(stack):
    means = temporal.read_stack(stack).means()
    parts = temporal.decompose(means)
    np.testing.assert_allclose(parts.trend + parts.periodic + parts.residual, means)
    assert parts.period[2] == 6
    assert parts.period[1] == 0
    assert (parts.periodic[:, 1] == 0).all()
    np.testing.assert_allclose(parts.shares().sum(0), 1)
    assert parts.shares()[1, 2] > 0.5 > parts.shares()[0, 2]
    assert parts.shares()[0, 1] > 0.8


def test_noise_has_hardly_ever_a_period():
    noise = np.random.default_rng(3).normal(size=(60, 300))
    found = temporal.decompose(noise).period > 0
    assert found.mean() < 0.04


def test_modes_rebuild_the_frames(stack):
    frames = temporal.read_stack(stack)
    found = temporal.modes(frames, number=FRAMES - 1)
    ab = frames.ab().reshape(FRAMES, -1)
    rebuilt = found.courses @ found.maps.reshape(FRAMES - 1, -1) + ab.mean(0)
    np.testing.assert_allclose(rebuilt, ab, atol=0.01)
    np.testing.assert_allclose((found.maps**2).sum(-1).mean((1, 2)), 1, rtol=1e-5)


def test_color_that_follows_lightness_is_found_at_its_lag():
    light = np.random.default_rng(4).normal(50, 10, 80)
    lab = np.zeros((80, 56, 56, 3))
    lab[..., 0] = light[:, None, None]
    lab[..., 1] = np.roll(light, 3)[:, None, None] - 50
    found = temporal.lagged_correlation(temporal.Stack("made", codes_of(lab)))
    assert found.cross_lags[np.nanargmax(found.cross[:, 0])] == 3
    assert found.auto[0] == pytest.approx(1)
    assert found.place[0] == pytest.approx(1)
    assert abs(found.place[3, 1]) < 3 * found.bound


def test_an_autoregression_beats_persistence_where_the_past_tells_the_future():
    rng = np.random.default_rng(5)
    series = np.zeros(200)
    for t in range(2, 200):
        series[t] = 1.6 * series[t - 1] - 0.8 * series[t - 2] + rng.normal()
    found = temporal.autoregress(series, "a*")
    assert found.order >= 2
    assert found.coefficients[:2] == pytest.approx([1.6, -0.8], abs=0.15)
    assert found.error < 0.8 * found.persistence < found.constant
    constant = temporal.autoregress(np.ones(12), "a*")
    assert constant.error == pytest.approx(0, abs=1e-9)


def test_too_few_frames_are_refused(tmp_path):
    for frame in range(temporal.MIN_FRAMES - 1):
        Image.new("RGB", (8, 8), (frame, 90, 30)).save(tmp_path / f"{frame:02d}.png")
    with pytest.raises(DataError, match="11 frames, expected at least 12"):
        temporal.read_stack(tmp_path)


def test_the_index_is_json(explored):
    known = json.loads((explored[0] / "figures" / "index.json").read_text(encoding="utf-8"))
    assert set(known) == set(explored[1].drawn)
    assert all(Path(name).name == name and entry["caption"] for name, entry in known.items())

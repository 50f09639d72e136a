"""Reference images: colors go where they show the same thing."""

import numpy as np
import pytest
import skimage.data

from recolor_core import Colorizer, HintsError, Reference, Settings
from recolor_core.reference import Seen, match, matched_colors
from recolor_core.resampling import resize


def features(seed=0, grid=(28, 42)):
    """Logits that differ from place to place but change slowly, and a lightness."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((40, grid[0] // 2, grid[1] // 2), np.float32)
    light = rng.random((1, grid[0] // 2, grid[1] // 2), np.float32) * 60 + 20
    return resize(light, (4 * grid[0], 4 * grid[1])), resize(noise, grid)


COLORFUL = np.random.default_rng(0).integers(0, 256, (112, 168, 3), np.uint8)


def test_an_image_matches_itself_everywhere():
    light, logits = features()
    found = match(light, logits, (224, 336), Seen(Reference(COLORFUL), light, logits))
    assert found.matched > 0.95
    assert np.abs(found.image / 2 - found.places).max() < 1
    assert found.similarity.min() > 0.99
    assert found.note == ""


def test_what_is_mirrored_is_found_where_it_went():
    light, logits = features()
    seen = Seen(Reference(COLORFUL), light[..., ::-1], logits[..., ::-1])
    found = match(light, logits, (112, 168), seen)
    assert found.matched > 0.8
    assert np.median(np.abs(167 - found.image[:, 0] - found.places[:, 0])) < 1


def test_from_something_else_nothing_is_taken():
    seen = Seen(Reference(COLORFUL), *features(1))
    found = match(*features(0), (112, 168), seen)
    assert (found.matched, found.note, len(found.image)) == (0, "unrelated", 0)
    assert matched_colors([found], (112, 168), (28, 42)) is None
    assert "does not clearly show" in found.words


@pytest.mark.parametrize("kind", ["gray", "toned"])
def test_from_an_image_without_colors_nothing_is_taken(kind):
    gray = skimage.data.camera()[:112, :168]
    tone = np.array([1.0, 0.85, 0.6]) if kind == "toned" else np.ones(3)
    reference = Reference((gray[..., None] * tone).astype(np.uint8))
    light, logits = features()
    found = match(light, logits, (112, 168), Seen(reference, light, logits))
    assert (found.matched, found.note) == (0, kind)


def test_the_colors_of_matches_are_those_of_the_reference():
    flat = np.zeros((112, 168, 3), np.uint8)
    flat[:, :84], flat[:, 84:] = (200, 60, 60), (60, 60, 200)
    light, logits = features()
    found = match(light, logits, (112, 168), Seen(Reference(flat), light, logits))
    hinted = matched_colors([found], (112, 168), (28, 42))
    there = hinted[2] > 0
    assert there.mean() > 0.9
    assert (hinted[0, :, :19][there[:, :19]] > 40).all()  # a* of the red half
    assert (hinted[1, :, 23:][there[:, 23:]] < -50).all()  # b* of the blue half


def test_a_reference_is_known_by_its_content():
    assert len(Reference(COLORFUL).sha256) == 64
    assert Reference(COLORFUL).sha256 != Reference(COLORFUL[::-1]).sha256
    assert Reference(COLORFUL, sha256="abc").sha256 == "abc"


def test_from_a_gray_array_nothing_is_taken_and_it_says_so():
    reference = Reference(skimage.data.camera()[:112, :168])
    assert reference.without_color == "gray"
    light, logits = features()
    found = match(light, logits, (112, 168), Seen(reference, light, logits))
    assert (found.note, found.words) == ("gray", "it has no color")


@pytest.mark.parametrize("shape", [(5,), (5, 5, 2), (0, 5), (0, 5, 3), (2, 5, 5, 3)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(HintsError, match="expected a reference image as"):
        Reference(np.zeros(shape, np.uint8))


def test_nan_is_refused():
    with pytest.raises(HintsError, match="got NaN or infinity"):
        Reference(np.full((5, 5, 3), np.nan, np.float32))


@pytest.fixture(scope="module")
def recolor():
    return Colorizer(device="cpu")


def test_a_reference_is_looked_at_once(recolor):
    reference = Reference(COLORFUL)
    first = recolor.look(reference, Settings(size=32))
    assert recolor.look(reference, Settings(size=32, vividness=0.1)) is first
    assert recolor.look(reference, Settings(size=64)) is not first


@pytest.mark.slow
def test_a_photograph_takes_the_colors_of_another_cut_of_it(recolor):
    rgb = skimage.data.astronaut()
    other = np.ascontiguousarray(rgb[:, 60:][:, ::-1])
    plain = recolor(rgb, size=128)
    near = recolor(rgb, size=128, references=[Reference(other, "other.jpg")])
    (found,) = near.matches
    assert near.provenance["references"] == [found.record()]
    assert near.provenance["references"][0]["name"] == "other.jpg"
    assert found.matched > 0.05

    def error(result):
        return np.sqrt(((result.rgb / 255 - rgb / 255) ** 2).mean())

    assert error(near) < error(plain)
    assert np.array_equal(near.L, plain.L)

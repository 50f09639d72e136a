"""What the generator is shown: photographs within borders, and faded tones corrected."""

import numpy as np
import pytest
import skimage.data
from skimage.color import rgb2gray
from skimage.transform import resize, rotate

from recolor_core import Colorizer, Hint
from recolor_core.gray import read_gray
from recolor_core.view import FULL_RANGE, WHOLE, Box, faded_tone, find_photograph, look


def photograph(name="astronaut", side=224):
    return (255 * resize(rgb2gray(getattr(skimage.data, name)()), (side, side))).astype(np.uint8)


def framed(image, margins, tone, seed=0):
    """An image on paper of a tone, with a little grain; margins top, left, bottom, right."""
    top, left, bottom, right = margins
    height, width = image.shape
    shape = (height + top + bottom, width + left + right)
    paper = tone + np.random.default_rng(seed).normal(0, 1.5, shape)
    paper = np.rint(paper.clip(0, 255)).astype(np.uint8)
    paper[top : top + height, left : left + width] = image
    return paper


def lightness(image):
    return read_gray(image).lightness(image.shape)


def found(image):
    """Edges of the photograph that is found, in pixels: top, left, bottom, right."""
    box, (height, width) = find_photograph(lightness(image)), image.shape
    return box.top * height, box.left * width, box.bottom * height, box.right * width


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
@pytest.mark.parametrize(
    ("margins", "tone"),
    [((40, 30, 60, 35), 200), ((25, 70, 25, 60), 90), ((9, 9, 9, 9), 245), ((12, 8, 14, 10), 6)],
)
def test_a_photograph_is_found_within_a_mount_a_rim_and_film(name, margins, tone):
    top, left, *_ = margins
    edges = found(framed(photograph(name), margins, tone))
    assert edges == pytest.approx((top, left, top + 224, left + 224), abs=4)


def perforated(image, tone, hole, holes=7):
    """An image on film with regular holes above and below it."""
    edge, height = 36, image.shape[0]
    film = framed(image, (edge, 6, edge, 6), tone)
    pitch = film.shape[1] / holes
    for number in range(holes + 1):
        left = max(0, round((number - 0.3) * pitch))
        for top in (10, height + edge + 10):
            film[top : top + 16, left : round((number + 0.1) * pitch)] = hole
    return film


@pytest.mark.parametrize("name", ["astronaut", "coffee"])
@pytest.mark.parametrize(("tone", "hole"), [(5, 255), (25, 240), (45, 215)])
def test_a_photograph_is_found_on_perforated_film(name, tone, hole):
    film = perforated(photograph(name), tone, hole)
    assert found(film) == pytest.approx((36, 6, 260, 230), abs=4)
    upright = np.ascontiguousarray(film.T)  # the holes at the left and the right
    assert found(upright) == pytest.approx((6, 36, 230, 260), abs=4)


def test_lit_windows_and_irregular_spots_are_no_perforation():
    film = perforated(photograph(), 25, 240)[:, 6:-6]
    assert found(film) == pytest.approx((36, 0, 260, 224), abs=4)
    assert find_photograph(lightness(film[:-36])) == WHOLE  # on one side only
    spots = framed(photograph(), (36, 0, 36, 0), 25)
    rng = np.random.default_rng(5)
    for left in rng.integers(0, 214, 10):
        for top in (10, 270):
            spots[top : top + 16, left : left + int(rng.integers(4, 20))] = 240
    assert find_photograph(lightness(spots)) == WHOLE


def test_borders_within_borders_are_found():
    image = framed(photograph(), (10,) * 4, 240)  # the white rim
    image = framed(image, (50, 40, 60, 45), 120)  # the mount
    image = framed(image, (8, 12, 9, 11), 2)  # the scanner
    assert found(image) == pytest.approx((68, 62, 292, 286), abs=5)


def test_a_mount_with_a_caption_a_printed_line_and_a_turned_photograph():
    image = framed(photograph("coffee"), (60, 50, 70, 55), 190)
    image[20, 15:-15] = image[-20, 15:-15] = image[20:-20, 15] = image[20:-20, -15] = 120
    letters = np.random.default_rng(3).random((6, 70)) < 0.4
    image[-45:-39, 80:150][letters] = 90
    turned = (255 * rotate(image, 0.5, mode="edge")).astype(np.uint8)
    for scan in (image, turned):
        assert found(scan) == pytest.approx((60, 50, 284, 274), abs=7)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket", "camera", "moon"])
def test_a_photograph_without_borders_is_seen_as_it_is(name):
    image = skimage.data.camera() if name == "camera" else None
    image = skimage.data.moon() if name == "moon" else image
    assert find_photograph(lightness(photograph(name) if image is None else image)) == WHOLE


def test_sky_sea_and_night_are_no_borders():
    rng = np.random.default_rng(1)
    ground = 60 + 40 * rng.random((120, 200))
    sky = np.full((80, 200), 230.0)
    rows = np.arange(120)[:, None]
    ridge = 20 * np.sin(np.arange(200) / 25) + 25 < rows
    for scene in (
        np.concatenate((sky, ground)),  # a straight horizon
        np.concatenate((sky, np.where(ridge, ground, 230))),
        np.concatenate((sky, ground, np.full((40, 200), 90.0))),  # and a dark floor
        np.full((200, 200), 128.0),
        np.linspace(0, 255, 200)[:, None] + np.zeros((200, 200)),
    ):
        assert find_photograph(lightness(scene.astype(np.uint8))) == WHOLE


@pytest.mark.parametrize(
    ("margins", "tone"),
    [
        *[((0, 20, 0, 0), tone) for tone in (60, 250)],
        *[((0, 0, 14, 18), tone) for tone in (60, 250)],
        *[((25, 0, 0, 12), tone) for tone in (60, 250)],
        ((0, 0, 30, 0), 250),
    ],
)
def test_paper_on_one_side_or_around_one_corner_is_found(margins, tone):
    top, left, *_ = margins
    image = framed(photograph("coffee"), margins, tone)
    assert found(image) == pytest.approx((top, left, top + 224, left + 224), abs=4)
    turned = (255 * rotate(image, 0.4, mode="edge")).astype(np.uint8)
    assert found(turned) == pytest.approx((top, left, top + 224, left + 224), abs=6)


def test_an_even_top_is_a_sky_a_dark_bottom_ground_and_an_uneven_side_a_wall():
    image = photograph("coffee")
    assert find_photograph(lightness(framed(image, (30, 0, 0, 0), 250))) == WHOLE
    assert find_photograph(lightness(framed(image, (0, 0, 30, 0), 60))) == WHOLE
    wall = framed(image, (0, 30, 0, 0), 140).astype(float)
    wall[:, :30] += np.linspace(-12, 12, len(wall))[:, None]
    assert find_photograph(lightness(wall.astype(np.uint8))) == WHOLE


def test_what_is_left_is_never_a_sliver():
    image = framed(np.full((8, 8), 200, np.uint8), (100,) * 4, 60)
    assert find_photograph(lightness(image)) == WHOLE


# --- tones ------------------------------------------------------------------------------------


def test_a_faded_print_gets_its_contrast_back_and_others_are_left_alone():
    faded = 100 + 0.25 * photograph().astype(float)
    light = lightness(faded.astype(np.uint8))
    tone = faded_tone(light)
    assert tone.strength == 1
    corrected = tone(light)
    assert np.quantile(corrected, 0.005) == pytest.approx(FULL_RANGE[0], abs=0.5)
    assert np.quantile(corrected, 0.995) == pytest.approx(FULL_RANGE[1], abs=0.5)
    order = light.ravel().argsort()
    assert (np.diff(corrected.ravel()[order]) >= 0).all()
    for other in (photograph(), np.full((64, 64), 128, np.uint8), 126 + photograph() // 64):
        assert faded_tone(lightness(other)) is None


@pytest.mark.slow
def test_the_correction_fades_in():
    """No step between images that are corrected and those that are not."""
    strengths = []
    for white in np.linspace(130, 250, 30):
        image = 60 + (white - 60) * photograph() / 255
        tone = faded_tone(lightness(image.astype(np.uint8)))
        strengths.append(tone.strength if tone else 0.0)
    assert strengths[0] == 1
    assert strengths[-1] == 0
    assert max(np.abs(np.diff(strengths))) < 0.4
    assert sorted(strengths, reverse=True) == strengths


# --- what the colorizer makes of it -----------------------------------------------------------


@pytest.fixture(scope="module")
def colorizer():
    return Colorizer(device="cpu")


def test_the_photograph_is_shown_at_the_size_it_would_have_alone():
    image = photograph(side=448)
    view = look(read_gray(framed(image, (80, 60, 100, 64), 200)), 224)
    height, width = view.shown().shape[1:]
    assert (height, width) == pytest.approx((224, 224), abs=8)
    assert view.lightness.shape == pytest.approx((314, 286), abs=8)
    assert all(edge % 4 == 0 for edge in view.place)
    larger = view.shown(10 / 7).shape[1:]
    assert larger == pytest.approx((10 / 7 * height, 10 / 7 * width), abs=2)


@pytest.mark.slow
@pytest.mark.parametrize("views", [1, 2])
def test_a_mount_stays_gray_and_the_photograph_is_colored_as_if_alone(colorizer, views):
    image, margins = photograph("coffee"), (40, 60, 80, 48)
    scan = framed(image, margins, 200)
    result = colorizer(scan, views=views)
    alone = colorizer(image, views=views)
    shown, whole = colorizer(scan, views=views, find_photograph=False), scan.shape
    inside = (slice(None), slice(52, 252), slice(72, 272))
    gray = result.L
    assert np.array_equal(gray, shown.L)  # the gray is the input's in any case

    def ab(of):
        """a* and b* of the written colors, as a cheap opponent pair."""
        rgb = of.rgb.astype(float).transpose(2, 0, 1)
        return np.stack((rgb[0] - rgb[1], rgb[1] - rgb[2]))

    ours, others, expected = ab(result), ab(shown), ab(alone)[:, 12:212, 12:212]
    assert ours.shape[1:] == whole
    error = np.abs(ours[inside] - expected).mean()
    assert error < 0.75 * np.abs(others[inside] - expected).mean()
    mount = np.abs(ours)
    mount[:, 34:270, 54:290] = 0
    assert mount.max() < 3
    edges = np.array(result.provenance["view"]["photograph"])
    assert edges * [*whole, *whole] == pytest.approx((40, 60, 264, 284), abs=5)
    assert shown.provenance["view"] == {"photograph": None, "tone": None}
    assert shown.provenance["settings"]["find_photograph"] is False
    assert (result.uncertainty[:5] < 0.1).all()


@pytest.mark.slow
def test_a_faded_print_is_colored_like_the_print_and_keeps_its_gray(colorizer):
    image = photograph("coffee")
    faded = (90 + 0.3 * image).astype(np.uint8)
    colors = {
        name: colorizer(gray, **changes).ab_coarse
        for name, gray, changes in (
            ("print", image, {}),
            ("corrected", faded, {}),
            ("faded", faded, {"correct_tones": False}),
        )
    }
    apart = {name: np.hypot(*(ab - colors["print"])).mean() for name, ab in colors.items()}
    assert apart["corrected"] < 0.7 * apart["faded"]
    result = colorizer(faded)
    assert np.array_equal(result.L, colorizer(faded, correct_tones=False).L)
    assert result.provenance["view"]["tone"]["strength"] == 1


@pytest.mark.slow
def test_a_hint_on_the_mount_colors_the_mount(colorizer):
    scan = framed(photograph("coffee"), (60,) * 4, 190)
    result = colorizer(scan, hints=[Hint(20, 20, "#c8a878", radius=4)])
    assert np.hypot(*result.ab_coarse[:, 5, 5]) > 8


@pytest.mark.slow
def test_borders_do_not_count_among_the_colors_of_a_palette(colorizer):
    image = photograph("coffee")
    palette = np.array([[40.0, 30.0], [10.0, 40.0]], np.float32)
    mounted = colorizer(framed(image, (60,) * 4, 190), palette=palette).ab_coarse
    alone = colorizer(image, palette=palette).ab_coarse
    inside = mounted[:, 15:-15, 15:-15]
    assert np.hypot(*inside).mean() == pytest.approx(np.hypot(*alone).mean(), rel=0.15)
    assert np.hypot(*mounted[:, :10]).max() < 1


@pytest.mark.slow
def test_a_batch_may_hold_images_of_one_size_and_different_borders(colorizer):
    image = photograph("coffee", 160)
    scans = [
        framed(image, (32,) * 4, 190),
        framed(image, (16, 48, 48, 16), 190),
        photograph("chelsea"),
    ]
    for one, result in zip(scans, colorizer.map(scans, batch=3), strict=True):
        assert np.array_equal(result.ab_coarse, colorizer(one).ab_coarse)


def test_a_small_working_size_shows_the_whole():
    scan = read_gray(framed(photograph(), (40,) * 4, 200))
    assert look(scan, 64).whole
    assert not look(scan, 224).whole
    assert look(scan, 224, find=False).whole
    assert Box() == WHOLE
    assert np.array_equal(look(scan, 64).shown()[0], scan.lightness((64, 64)))

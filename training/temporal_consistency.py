"""Measure how steady colors are over time.

``python -m training.temporal_consistency PHOTOS... --out DIR``

Clips with known motion are made of photographs that the networks were not trained on, worn like old
film, and colored in several ways; a second set of them has fades, dissolves and leader, a third
each (``--transitions``). Real color films (``--film``) are colored from their gray; their motion
is estimated from it by another method than the product's. A film of many cuts shows whether any
color is carried across one.

It writes into the folder:

``temporal_consistency.json``
    ``format``; ``weights`` (name, sha256); ``clips`` (count, frames, transitions); ``sources``:
    source -> way -> metric -> [mean, low, high], the source being ``made clips``, ``clips with
    fades``, ``clips with dissolves`` or ``clips with leader`` (intervals over clips) or the name of
    a film (no interval); ``over frame by frame``: source -> way -> ``warped_error`` and ``chroma``
    (relative changes) and ``psnr`` (dB); ``cuts``: how
    many there were, were found, were missed and were seen where there was none, and ``carried``:
    the largest difference in Lab units between the first frame of a shot in the film and the same
    frame by itself.
``clips.csv``
    Each clip and way.
``color_over_time.csv``
    source, way, point, frame, a, b at a few points of the first clip and of each film.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer
from numpy.typing import NDArray
from rich.progress import track
from skimage.registration import optical_flow_ilk
from skimage.transform import resize
from torch import Tensor

from recolor_core.colorizer import Colorizer
from recolor_core.film import find_shots
from recolor_core.frames import FrameGuide, colorize_frames
from recolor_core.guides.cleaning import with_eyes
from recolor_core.lab import lab_to_rgb, rgb_to_lab
from recolor_core.metrics import (
    bootstrap_interval,
    cdc,
    color_over_time,
    flicker_spectrum,
    psnr,
    ratio_of_means,
    warped_error,
)
from recolor_core.motion import warp
from recolor_core.settings import Settings
from recolor_core.trainer import TrainingError
from recolor_core.trainer.clips import (
    DISSOLVE,
    FADE,
    LEADER,
    add_transitions,
    make_clips,
    old_film,
)
from training.command import run_command
from training.photographs import DataError, list_photographs, square

SIZE = 224
"""Short side of what is measured, in pixels."""

MARGIN = 8 / 7
"""Side of the photographs that the clips are made from: the camera has some way to go."""

SMOOTHING = 0.3
"""Weight of a new frame in the simple smoothing over time."""

SHOT = 4
"""Frames of a shot in the film of many cuts."""

METRICS = ("warped_error", "psnr", "cdc", "flicker", "chroma", "leader_chroma")

FRAME_BY_FRAME = "frame by frame"

TRANSITIONS = {
    FADE: "clips with fades",
    DISSOLVE: "clips with dissolves",
    LEADER: "clips with leader",
}
"""The names of the clips with a transition, by its kind."""


@dataclass(frozen=True)
class Film:
    """Frames to color, and what is known of them.

    Parameters
    ----------
    name
        Of the source.
    gray
        T arrays (H, W), uint8.
    rgb
        (T, 3, H, W): true codes in [0, 1].
    flow, visible
        (T - 1, 2, H, W) in pixels and (T - 1, H, W), bool, as of `warped_error`.
    whole, empty
        (T,), bool: whether a frame shows one image, fully visible; whether it is leader.
    """

    name: str
    gray: list[NDArray[np.uint8]]
    rgb: Tensor
    flow: Tensor
    visible: Tensor
    whole: Tensor
    empty: Tensor


def made_clips(
    photographs: Sequence[Tensor], frames: int, seed: int, transitions: Sequence[int] = ()
) -> Iterator[Film]:
    """A worn clip of each photograph but the last, occluders cut from the one after it.

    Parameters
    ----------
    photographs
        (3, S, S) uint8 each, S at least `SIZE`.
    frames
        Of a clip.
    seed
        Of the camera's way and the wear.
    transitions
        Kinds of transitions that the clips have in turn; none if it is empty. A dissolve is into
        the next photograph.
    """
    for number, pair in enumerate(pairwise(photographs)):
        rng = torch.Generator().manual_seed(seed + number)
        codes = torch.stack(pair).float() / 255
        clip = make_clips(codes, frames, SIZE, rng, 2, slice(None))
        name = "made clips"
        if transitions:
            kind = transitions[number % len(transitions)]
            clip = add_transitions(clip, 1.0, rng, 2, slice(None), (kind,))
            name = TRANSITIONS[kind]
        gray = _codes(old_film(clip, rng, 2, slice(None))[0, :, 0])
        known = (clip.flow[0], clip.visible[0, :, 0], clip.whole[0], clip.empty[0])
        yield Film(name, gray, clip.rgb[0], *known)


def read_film(path: Path, most: int) -> Film:
    """The first frames of a color film at short side `SIZE`, with motion estimated from its gray.

    By iterative Lucas-Kanade of scikit-image, there and back: a pixel counts where both agree
    within a pixel.

    Raises
    ------
    DataError
        If the film cannot be read or has too few frames.
    """
    import av

    frames: list[NDArray[Any]] = []
    try:
        with av.open(path) as container:
            for frame in container.decode(video=0):
                frames.append(frame.to_ndarray(format="rgb24"))
                if len(frames) == most:
                    break
    except (OSError, IndexError, av.FFmpegError) as error:
        raise DataError(f"{path} cannot be read as a film: {error}") from error
    if len(frames) < 8:
        raise DataError(f"expected a film of at least 8 frames, got {len(frames)} in {path}")
    scale = SIZE / min(frames[0].shape[:2])
    shape = [round(scale * n) for n in frames[0].shape[:2]]
    small = [resize(frame, shape, anti_aliasing=True).astype(np.float32) for frame in frames]
    rgb = torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2)
    light = rgb_to_lab(rgb)[:, 0]
    flows, seen = [], []
    for before, now in zip(light[:-1].numpy(), light[1:].numpy(), strict=True):
        back, forth = (_motion(a, b) for a, b in ((now, before), (before, now)))
        there = _at(torch.from_numpy(forth), torch.from_numpy(back))
        flows.append(torch.from_numpy(back))
        seen.append((flows[-1] + there).norm(dim=0) < 1)
    whole = torch.ones(len(rgb), dtype=torch.bool)
    return Film(path.name, _codes(light), rgb, torch.stack(flows), torch.stack(seen), whole, ~whole)


def many_cuts(photographs: Sequence[Tensor], seed: int) -> list[NDArray[np.uint8]]:
    """A worn film of shots of `SHOT` frames each, one of each photograph."""
    rng = torch.Generator().manual_seed(seed)
    codes = torch.stack(list(photographs)).float() / 255
    clips = make_clips(codes, SHOT, SIZE, rng, len(codes), slice(None))
    light = old_film(clips, rng, len(codes), slice(None))
    return _codes(light[:, :, 0].flatten(0, 1))


def color(colorizer: Colorizer, film: Film, settings: Settings) -> dict[str, Tensor]:
    """The ab of a film by each way to color it, (T, 2, H, W) in Lab units.

    ``"persistence"`` keeps the colors of the first frame where they are, ``"smoothing"`` is an
    exponential mean over time of the frame-by-frame colors. ``"memory"`` is the product, which
    finds the shots of a film first; ``"memory, cleaned copy"`` also shows the networks a copy of
    it without flicker, dust, scratches and grain.
    """
    single = torch.stack([_ab(colorizer(gray, settings).ab_refined) for gray in film.gray])
    smooth = [single[0]]
    for ab in single[1:]:
        smooth.append(torch.lerp(smooth[-1], ab, SMOOTHING))
    ways = {
        FRAME_BY_FRAME: single,
        "persistence": single[:1].expand_as(single),
        "smoothing": torch.stack(smooth),
    }
    known = shot_guides(film)
    frames = ((number, film.gray[number], guide) for number, guide in known.items())
    cleaned = dict(with_eyes(frames, settings.size))
    for passes, guides, name in (
        (1, known, "memory"),
        (2, known, "memory, two passes"),
        (1, cleaned, "memory, cleaned copy"),
    ):
        ways[name] = remembered(colorizer, film, settings, guides, passes)
    return ways


def shot_guides(film: Film) -> dict[int, FrameGuide]:
    """Find the shots of a film, and what the color memory is told about each frame."""
    *_, shots = find_shots(enumerate(film.gray))
    assert shots is not None
    return {number: shots.guide(number) for number in range(len(film.gray))}


def remembered(
    colorizer: Colorizer,
    film: Film,
    settings: Settings,
    guides: Mapping[int, FrameGuide],
    passes: int = 1,
) -> Tensor:
    """Color a film with the color memory: (T, 2, H, W), Lab units."""
    colored = colorize_frames(colorizer, film.gray, settings, passes=passes, guides=guides)
    return torch.stack([_ab(frame.result.ab_refined) for frame in colored])


def measure_film(film: Film, ab: Tensor) -> dict[str, float]:
    """What a coloring is worth, in time and frame by frame.

    ``warped_error`` in Lab units; ``psnr`` in dB, the mean over frames of RGB made of the true
    lightness; ``cdc``; ``flicker``, squared Lab units: power of the change of color in place above
    half of the highest frequency; ``chroma`` and ``leader_chroma``: the mean chroma, in Lab units,
    of the frames that show one image fully, and of leader; NaN if there are none. The first frame,
    which all ways share, counts only in these two.
    """
    light = rgb_to_lab(film.rgb)[:, :1]
    rgb = lab_to_rgb(torch.cat((light, ab), dim=1)).clamp(0, 1)
    points = [(y, x) for y in range(8, SIZE, 16) for x in range(8, SIZE, 16)]
    spectrum = flicker_spectrum(color_over_time(ab, points))
    fast = spectrum.frequency > 0.25
    chroma = ab.norm(dim=1).mean((1, 2))
    return {
        "warped_error": float(warped_error(ab, film.flow, film.visible).nanmean()),
        "psnr": float(psnr(rgb[1:], film.rgb[1:]).mean()),
        "cdc": cdc(rgb),
        "flicker": float(spectrum.power[fast].sum()),
        "chroma": float(chroma[film.whole].mean()),
        "leader_chroma": float(chroma[film.empty].mean()),
    }


def check_cuts(
    colorizer: Colorizer, frames: Sequence[NDArray[np.uint8]], settings: Settings
) -> dict[str, float]:
    """Whether color is carried across the cuts of a film of shots of `SHOT` frames."""
    found, carried = [], 0.0
    for number, frame in enumerate(colorize_frames(colorizer, frames, settings)):
        if number and frame.first:
            found.append(number)
        if number % SHOT == 0:
            alone = colorizer(frames[number], settings).ab_refined
            carried = max(carried, float(np.abs(frame.result.ab_refined - alone).max()))
    true = set(range(SHOT, len(frames), SHOT))
    return {
        "cuts": len(true),
        "found": len(true & set(found)),
        "missed": len(true - set(found)),
        "seen where there was none": len(set(found) - true),
        "carried": carried,
    }


def summarize_ways(rows: pd.DataFrame) -> dict[str, Any]:
    """Means with their intervals, and what each way changes against frame by frame."""
    sources: dict[str, Any] = {}
    over: dict[str, Any] = {}
    for source, of_source in rows.groupby("source", sort=False):
        plain = of_source[of_source.way == FRAME_BY_FRAME]
        sources[str(source)], over[str(source)] = {}, {}
        for way, own in of_source.groupby("way", sort=False):
            sources[str(source)][str(way)] = {
                name: bootstrap_interval(own[name].to_numpy())
                for name in METRICS
                if own[name].notna().any()
            }
            over[str(source)][str(way)] = {
                name: _relative(own[name].to_numpy(), plain[name].to_numpy())
                for name in ("warped_error", "chroma")
                if own[name].notna().any()
            }
            psnr_change = own.psnr.to_numpy() - plain.psnr.to_numpy()
            over[str(source)][str(way)]["psnr"] = bootstrap_interval(psnr_change)
    return {"sources": sources, "over frame by frame": over}


def _relative(values: NDArray[Any], plain: NDArray[Any]) -> tuple[float, ...]:
    """By which part of the plain mean the mean is larger, with its interval."""
    pairs = np.stack((values, plain), axis=1)
    return tuple(value - 1 for value in bootstrap_interval(pairs, ratio_of_means))


def main(
    photos: Annotated[list[Path], typer.Argument(help="Folders, tars or zips of photographs.")],
    out: Annotated[Path, typer.Option(help="Folder to write into.")],
    film: Annotated[list[Path] | None, typer.Option(help="A color film; repeatable.")] = None,
    clips: Annotated[int, typer.Option(help="Number of clips to make.")] = 24,
    frames: Annotated[
        int, typer.Option(help="Number of frames of a clip, and the maximum of a film.")
    ] = 24,
    cuts: Annotated[int, typer.Option(help="Number of cuts in the film that tests them.")] = 50,
    weights: Annotated[str, typer.Option(help="Name or path of a weights file.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, mps, cuda, cuda:1, ...")] = "auto",
    seed: Annotated[int, typer.Option(help="Random seed of the clips.")] = 0,
    transitions: Annotated[
        int, typer.Option(help="Number of clips that have a fade, a dissolve or leader, in turn.")
    ] = 12,
) -> None:
    """Measure how steady the colors of a weights file are over time."""
    images = list_photographs(photos)
    wanted = max(clips, cuts, transitions) + 1
    if len(images) < wanted:
        raise DataError(
            f"expected at least {wanted} photographs for {clips} clips and {cuts} cuts, got "
            f"{len(images)}; give more, or fewer --clips and --cuts"
        )
    if frames < 8:
        raise TrainingError(f"expected clips of 8 frames or more, got {frames}")
    colorizer = Colorizer(weights, device)
    # The whole frame as it is, as films are seen.
    settings = Settings(size=SIZE, find_photograph=False, correct_tones=False)
    chosen = images[:: len(images) // wanted][:wanted]
    large = [torch.from_numpy(square(p, int(SIZE * MARGIN))).permute(2, 0, 1) for p in chosen]
    films = [*(read_film(path, frames) for path in film or [])]
    rows: list[dict[str, Any]] = []
    colors: list[dict[str, Any]] = []
    made = made_clips(large[: clips + 1], frames, seed)
    edited = made_clips(large[: transitions + 1], frames, seed, tuple(TRANSITIONS))
    for one in track([*films, *made, *edited], "Coloring"):
        first = all(row["source"] != one.name for row in rows)
        for way, ab in color(colorizer, one, settings).items():
            rows.append({"source": one.name, "way": way, **measure_film(one, ab)})
            if first:
                colors += _over_time(one, way, ab)
    table = pd.DataFrame(rows)
    report = {
        "format": 1,
        "weights": {"name": colorizer.record.name, "sha256": colorizer.record.sha256},
        "clips": {"count": clips, "frames": frames, "transitions": transitions},
        **summarize_ways(table),
        "cuts": check_cuts(colorizer, many_cuts(large[: cuts + 1], seed), settings),
    }
    out.mkdir(parents=True, exist_ok=True)
    table.to_csv(out / "clips.csv", index=False)
    pd.DataFrame(colors).to_csv(out / "color_over_time.csv", index=False)
    (out / "temporal_consistency.json").write_text(
        json.dumps(report, indent=1) + "\n", encoding="utf-8"
    )
    print_report(report)


def print_report(report: dict[str, Any]) -> None:
    """Means, one line per way."""
    for source, ways in report["sources"].items():
        names = [name for name in METRICS if name in ways[FRAME_BY_FRAME]]
        changes = report["over frame by frame"][source]
        compared = {name: f"{name}, change" for name in changes[FRAME_BY_FRAME]}
        heads = (*names, *compared.values())
        print(f"{source:28}" + "".join(f"{head:>22}" for head in heads))
        for way, values in ways.items():
            cells = [*(values[name][0] for name in names)]
            cells += [changes[way][name][0] for name in compared]
            print(f"  {way:26}" + "".join(f"{cell:22.4g}" for cell in cells))
    print(", ".join(f"{name}: {value:g}" for name, value in report["cuts"].items()))


def _over_time(film: Film, way: str, ab: Tensor) -> list[dict[str, Any]]:
    height, width = ab.shape[-2:]
    points = [(height * y // 4, width * x // 4) for y, x in ((1, 1), (2, 2), (3, 3))]
    return [
        {"source": film.name, "way": way, "point": point, "frame": frame, "a": a, "b": b}
        for frame, colors in enumerate(color_over_time(ab, points).tolist())
        for point, (a, b) in enumerate(colors)
    ]


def _codes(light: Tensor) -> list[NDArray[np.uint8]]:
    """L* (T, H, W) as gray codes."""
    neutral = torch.zeros_like(light)
    gray = lab_to_rgb(torch.stack((light, neutral, neutral), dim=1))[:, 0]
    return list((255 * gray.clamp(0, 1)).round().to(torch.uint8).numpy())


def _motion(now: NDArray[np.float32], before: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = optical_flow_ilk(now, before, radius=9)
    return np.stack((columns, rows)).astype(np.float32)


def _at(field: Tensor, flow: Tensor) -> Tensor:
    """(2, H, W) at the places that a flow points to."""
    return warp(field[None], flow[None])[0]


def _ab(ab: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(ab)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    run_command(app)

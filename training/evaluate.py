"""Measure models on photographs: ``python -m training.evaluate FOLDER... --out DIR``.

Every image is cut to a center square of 224 pixels, and its gray codes are all that a model sees
of it. The networks go the way of a user's image, `Colorizer.generate` and `Colorizer.refine`.
Models that learn (`training.models`) are fitted on the images of ``--train``.

It writes into the folder:

``evaluation.json``
    ``format``; ``created``; ``weights`` (name, sha256); ``settings`` of the networks; ``wear``:
    what was done to the gray codes first, of damaged, faded and mounted; ``sources`` and
    ``train`` (the paths given);
    ``images`` (how many in all and in each category); ``models`` (name, title,
    fitted_on: a number of images or null, seconds_per_image);
    ``groups``: group -> model -> metric -> [mean, low, high], of ``all`` and of each category;
    ``comparisons``: group -> "one over another" -> ``psnr`` (dB gained) and ``edge_error``
    (relative change); ``calibration``: model -> ``area``, ``skill`` and ``sigma_ratio`` of
    `recolor_core.metrics`; ``fid``: model -> ``value``, ``images`` and ``caveat``, where its
    network is there; ``unavailable``: what could not be measured -> why. Intervals are 95 %
    bootstrap intervals over images. What has no value is null.
``images.csv``, ``images.parquet``
    One row per image and model: ``image`` (source::name), ``key`` (as a manifest calls it),
    ``fingerprint`` of its content, ``category``, ``model`` and, in Lab units where nothing else is
    said, ``mse`` (of ab / 255 on a grid of 56 x 56), ``rmse`` (of ab), ``psnr`` (dB), ``ssim``,
    both also by channel (``psnr_r``), ``ciede2000``, ``colorfulness`` and ``true_colorfulness``,
    ``edge_error``, ``lightness_max`` and ``lightness_mean`` (|dL*| of the 8-bit image),
    ``gray_exact`` (share of its pixels whose gray is the source's), ``uncertainty_mean``,
    ``blotches`` (fraction of the pixels), ``cast``, ``black_chroma``, ``white_chroma`` and
    ``bleeding`` of `recolor_core.metrics.flaws`, ``sky_hue`` (degrees) and ``sky_chroma`` and so on
    of `recolor_core.metrics.named`, ``mse_of_alternatives`` (mean over all of them, where the best
    is the row's), ``lpips`` where its network is there, and ``seconds`` from gray codes to ab at
    full size: of processor time on a CPU, which other work on the machine hardly changes, of wall
    time on a GPU.
``risk_coverage.csv``
    model, coverage, risk, low, high, ideal: the mean error of the cells that are kept when the most
    uncertain ones are left out.
``table.md``
    The groups as Markdown tables.
``figures/quality_time``
    As SVG, PNG and CSV: quality against seconds per image.
``directed.csv``
    With ``--directed``, in place of all others: see `training.directed`.
``rows.jsonl``, ``fid.json``, ``fits/``
    What was measured and fitted so far. A further run into the same folder takes it from there and
    does only what is missing; what was measured of other images or models is kept.
"""

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from time import process_time
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from recolor_core.files import write_file
from recolor_core.settings import Settings
from recolor_core.weights import load_weights
from training.analysis.charts.evaluation import quality_time
from training.command import run_command
from training.directed import directed_table, measure_folders
from training.evaluation_data import (
    FORMAT,
    Evaluation,
    plain_table,
    read_evaluation,
)
from training.frechet import frechet
from training.measures import MEASURES, VERSION, WEAR, Truth
from training.models import FITTED, NAMES, Fitted, Model, ModelRequest, build, fingerprint, fit
from training.perceptual import BackboneError, Lpips
from training.photographs import DataError, list_photographs, square
from training.prepare.images import SourceImage
from training.prepare.parallel import unordered
from training.summary import calibration, compare, plain, summarize

SIZE = 224
"""Side of the squares, in pixels."""

ERRORS = Console(stderr=True)


class Squares(Sequence[NDArray[np.uint8]]):
    """Photographs as (`SIZE`, `SIZE`, 3) squares, read when asked for, with a progress bar."""

    def __init__(self, images: Sequence[SourceImage], what: str) -> None:
        self.images = images
        self.what = what

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        return square(self.images[index], SIZE)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        for image in track(self.images, self.what, console=ERRORS):
            yield square(image, SIZE)


def content(image: SourceImage) -> str:
    """Fingerprint of an image's bytes, 16 hexadecimal digits.

    Raises
    ------
    DataError
        If they cannot be read.
    """
    try:
        return hashlib.sha256(image.read()).hexdigest()[:16]
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{image.label} cannot be read ({error}); remove it") from error


def by_content(sources: list[Path], every: int = 1) -> dict[str, SourceImage]:
    """Every n-th image of the sources by its fingerprint; copies count once."""
    listed = list_photographs(sources)[::every]
    return {content(image): image for image in track(listed, "Reading", console=ERRORS)}


@dataclass(frozen=True)
class Training:
    """The images that models are fitted on.

    Parameters
    ----------
    images, fingerprints
        As many of one as of the other.
    """

    images: tuple[SourceImage, ...] = ()
    fingerprints: tuple[str, ...] = ()

    @classmethod
    def of(cls, sources: list[Path], count: int, measured: set[str]) -> "Training":
        """A random sample of the sources without the images that are measured.

        Parameters
        ----------
        sources
            Folders, tars or zips.
        count
            How many; 0 is all. A smaller sample is the beginning of a larger one.
        measured
            Fingerprints of the images to leave out: they would be known by heart.
        """
        if not sources:
            return cls()
        found = list_photographs(sources)
        order = np.random.default_rng(0).permutation(len(found))
        chosen: dict[str, SourceImage] = {}
        for index in order:
            if count and len(chosen) == count:
                break
            known_as = content(found[index])
            if known_as not in measured:
                chosen.setdefault(known_as, found[index])
        if not chosen:
            raise DataError(
                "all training images are among those to measure; give others by --train"
            )
        return cls(tuple(chosen.values()), tuple(chosen))

    def first(self, count: int) -> "Training":
        """The first of them."""
        return Training(self.images[:count], self.fingerprints[:count])


@dataclass(frozen=True)
class ReadyModels:
    """Models that are ready to predict, in whichever process.

    Parameters
    ----------
    request
        Of what they are made.
    fits
        Folder of their fits.
    known_as
        (name, fingerprint) of each.
    """

    request: ModelRequest
    fits: Path
    known_as: tuple[tuple[str, str], ...]

    @classmethod
    def fitted(cls, request: ModelRequest, training: Training, fits: Path) -> "ReadyModels":
        """Fit the models of a request, or take over the fits that are there."""
        known_as = []
        for model in build(request):
            known_as.append((model.name, fingerprint(model, training.fingerprints)))
            if isinstance(model, Fitted):
                fit(
                    model,
                    Squares(training.images, f"Fitting {model.name}"),
                    known_as[-1][1],
                    fits,
                )
        return cls(request, fits, tuple(known_as))

    def models(self) -> list[Model]:
        """The models, loaded."""
        if self.request.workers > 1:
            torch.set_num_threads(1)  # the processes share the cores
        models = build(self.request)
        for model in models:
            if isinstance(model, Fitted):
                fit(model, (), dict(self.known_as)[model.name], self.fits)
        return models


@dataclass(frozen=True)
class Job:
    """One image to measure.

    Parameters
    ----------
    image, fingerprint
        Which.
    wear
        As in `Truth`.
    ready
        The models; those of `names` are asked.
    """

    image: SourceImage
    fingerprint: str
    wear: str
    ready: ReadyModels
    names: tuple[str, ...]


Row = dict[str, Any]
"""``image`` and ``model`` (fingerprints), ``wear``, ``measures`` and ``doubts``, for JSON."""

_models = lru_cache(maxsize=1)(ReadyModels.models)  # loaded once in each process


@lru_cache(maxsize=1)
def _perceptual() -> tuple[Lpips | None, str]:
    """LPIPS if it is available, or the reason why it is not."""
    try:
        return Lpips(), ""
    except BackboneError as error:
        return None, str(error)


def measure_image(job: Job) -> list[Row]:
    """Have every model color an image, and measure what comes."""
    truth = Truth(square(job.image, SIZE), job.wear)
    ready = dict(job.ready.known_as)
    rows = []
    for model in _models(job.ready):
        if model.name not in job.names:
            continue
        hints = truth.hints(model.hints)
        started = process_time()
        prediction = model.predict(truth.gray, hints)
        seconds = process_time() - started
        measures = truth.measure(prediction, _perceptual()[0])
        measures["seconds"] = prediction.seconds or seconds
        calibrated = not model.hints and not prediction.alternatives
        rows.append(
            {
                "image": job.fingerprint,
                "model": ready[model.name],
                "wear": job.wear,
                "version": VERSION,
                "measures": measures,
                "doubts": truth.doubts(prediction) if calibrated else [],
            }
        )
    return rows


class Store:
    """Rows in a file, each of which is on disk as soon as it is there.

    Parameters
    ----------
    path
        JSON lines; made where it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[tuple[str, str, str], Row] = {}
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for line in text.splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue  # the process was killed while it wrote this line
            if row["version"] == VERSION:
                self._keep(row)
        if text and not text.endswith("\n"):
            self._append("\n")

    def add(self, rows: Sequence[Row]) -> None:
        """Keep rows, in memory and on disk."""
        self._append("".join(json.dumps(row) + "\n" for row in rows))
        for row in rows:
            self._keep(row)

    def _keep(self, row: Row) -> None:
        row["doubts"] = np.array(row["doubts"], np.float32).reshape(-1, 2)
        self.rows[row["image"], row["model"], row["wear"]] = row

    def _append(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)


def measure_all(
    images: Mapping[str, SourceImage],
    ready: ReadyModels,
    store: Store,
    workers: int,
    wear: str = "",
) -> list[list[Row]]:
    """Measure what the store lacks.

    Parameters
    ----------
    images
        By their fingerprints.
    ready
        The models.
    store
        Where the rows go.
    workers
        Number of processes.
    wear
        As in `Truth`.

    Returns
    -------
    list
        For each image the rows of all models, in order.
    """
    jobs = []
    for known_as, image in images.items():
        missing = tuple(name for name, m in ready.known_as if (known_as, m, wear) not in store.rows)
        if missing:
            jobs.append(Job(image, known_as, wear, ready, missing))
    for rows in track(
        unordered(measure_image, jobs, workers), "Measuring", len(jobs), console=ERRORS
    ):
        store.add(rows)
    return [[store.rows[known_as, m, wear] for _, m in ready.known_as] for known_as in images]


def categories(images: Sequence[SourceImage], manifest: Path | None) -> list[str]:
    """The category of each image by a table with the columns key and category, else ""."""
    if manifest is None:
        return [""] * len(images)
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            known = {row["key"]: row["category"] for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{manifest} cannot be read as a CSV with the columns key and category ({error})"
        ) from error
    return [next((known[key] for key in image.keys if key in known), "") for image in images]


def tabulate(
    images: Mapping[str, SourceImage],
    groups: Sequence[str],
    ready: ReadyModels,
    rows: list[list[Row]],
) -> pd.DataFrame:
    """One row per image and model, as ``images.csv`` has them."""
    records = []
    for (known_as, image), group, own in zip(images.items(), groups, rows, strict=True):
        about = {
            "image": f"{Path(image.source).name}::{image.name}",
            "key": image.keys[0],
            "fingerprint": known_as,
            "category": group,
        }
        for (name, _), row in zip(ready.known_as, own, strict=True):
            records.append({**about, "model": name, **row["measures"]})
    columns = ["image", "key", "fingerprint", "category", "model", *MEASURES, "seconds"]
    return pd.DataFrame(records).reindex(columns=columns)


def main(
    sources: Annotated[list[Path], typer.Argument(help="Folders, tars or zips of photographs.")],
    out: Annotated[
        Path, typer.Option(help="Folder of the evaluation; an existing evaluation is resumed.")
    ],
    train: Annotated[
        list[Path] | None, typer.Option(help="Photographs to fit models on; repeatable.")
    ] = None,
    train_count: Annotated[
        int, typer.Option(help="Number of photographs to fit on; 0 uses all.")
    ] = 2000,
    models: Annotated[
        str, typer.Option(help=f"Models to measure, of {', '.join(NAMES)}; all by default.")
    ] = "",
    weights: Annotated[str, typer.Option(help="Name or path of a weights file.")] = "default",
    original: Annotated[
        Path | None, typer.Option(help="Checkpoint of `training.train original`.")
    ] = None,
    vividness: Annotated[float, typer.Option(help="Vividness, 0 to 1.")] = Settings.vividness,
    views: Annotated[
        int, typer.Option(help="Views that the generator averages over, 1 or 2.")
    ] = Settings.views,
    saturation: Annotated[float, typer.Option(help="Factor on the chroma.")] = Settings.saturation,
    hints: Annotated[
        str, typer.Option(help="Numbers of random hints to measure with, or empty.")
    ] = "1,10,50",
    alternatives: Annotated[
        int, typer.Option(help="Also measure the best of this many alternatives; 0 skips it.")
    ] = 4,
    every: Annotated[int, typer.Option(min=1, help="Measure only every n-th image.")] = 1,
    damaged: Annotated[
        bool, typer.Option("--damaged", help="Damage the lightness first, as old prints are.")
    ] = False,
    faded: Annotated[
        bool, typer.Option("--faded", help="Take contrast from each image first.")
    ] = False,
    mounted: Annotated[
        bool, typer.Option("--mounted", help="Put each image into a mount or other borders first.")
    ] = False,
    find_photograph: Annotated[
        bool, typer.Option(help="Let the networks look for the photograph within borders.")
    ] = Settings.find_photograph,
    correct_tones: Annotated[
        bool, typer.Option(help="Show the networks faded prints with full contrast.")
    ] = Settings.correct_tones,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns key and category; measures each category separately."
        ),
    ] = None,
    directed: Annotated[
        bool,
        typer.Option(
            "--directed",
            help="Measure whether a hint colors the thing it is on, and nothing else: the folders "
            "have outlines (see training.directed), or are that of BSDS500.",
        ),
    ] = False,
    split: Annotated[str, typer.Option(help="With --directed: split of BSDS500.")] = "val",
    agreement: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="With --directed: smallest overlap with what others outlined."
        ),
    ] = 0.0,
    regions: Annotated[
        int, typer.Option(min=1, help="With --directed: largest number of regions of an image.")
    ] = 4,
    workers: Annotated[int, typer.Option("-n", min=1, help="Number of processes.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, mps, cuda, cuda:1, ...")] = "auto",
    runtime: Annotated[
        str, typer.Option(help="What runs the networks: auto, torch or onnxruntime (int8).")
    ] = "auto",
) -> None:
    """Measure models on photographs, with intervals, as tables and a figure."""
    names, unavailable = _chosen(models, train, original)
    counts = _counts(hints)
    settings = Settings(
        vividness=vividness,
        saturation=saturation,
        size=SIZE,
        views=views,
        find_photograph=find_photograph,
        correct_tones=correct_tones,
    )
    chosen = zip(WEAR, (damaged, faded, mounted), strict=True)
    wear = "+".join(name for name, done in chosen if done)
    if directed:
        rows = measure_folders(
            sources,
            out,
            weights=weights,
            device=device,
            settings=settings,
            split=split,
            agreement=agreement,
            regions=regions,
            every=every,
        )
        print(f"{len(rows)} regions of {rows.image.nunique()} images")
        print(directed_table(rows).to_string(float_format=lambda value: f"{value:.3f}"))
        return
    record = load_weights(weights).record
    images = by_content(sources, every)
    groups = categories(list(images.values()), manifest)
    training = Training.of(train or [], train_count, set(images))
    request = ModelRequest(
        names, weights, device, runtime, settings, original, counts, alternatives, workers
    )
    out.mkdir(parents=True, exist_ok=True)
    ready = ReadyModels.fitted(request, training, out / "fits")
    rows = measure_all(images, ready, Store(out / "rows.jsonl"), workers, wear)
    if reason := _perceptual()[1]:
        unavailable["lpips"] = reason
    fid: dict[str, Any] = {}
    try:
        by_key = {key: m for m, (_, key) in zip(_models(ready), ready.known_as, strict=True)}
        fid = frechet(images, by_key, SIZE, out / "fid.json", wear)
    except BackboneError as error:
        unavailable["fid"] = str(error)
    table = tabulate(images, groups, ready, rows)
    about = {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "weights": {"name": record.name, "sha256": record.sha256},
        "settings": {**asdict(settings), "hints": counts, "alternatives": alternatives},
        "wear": wear,
        "sources": [str(path) for path in sources],
        "train": [str(path) for path in train or []],
        "device": device,
        "runtime": runtime,
        "processes": workers,
        "fid": fid,
        "unavailable": unavailable,
    }
    evaluation = write(out, about, table, rows, _models(ready), len(training.images))
    for group, summary in evaluation.groups.items():
        print(f"{group} ({evaluation.about['images'][group]} images)\n{plain_table(summary)}")
    for what, why in unavailable.items():
        print(f"not measured: {what}: {why}")


def write(
    out: Path,
    about: dict[str, Any],
    table: pd.DataFrame,
    rows: list[list[Row]],
    models: Sequence[Model],
    trained_on: int,
) -> Evaluation:
    """Summarize the rows and write every file of the format."""
    parts = {"all": table}
    parts |= {name: part for name, part in table.groupby("category") if name}
    groups, comparisons = {}, {}
    measures = [*MEASURES, "seconds"]
    names = [model.name for model in models]
    for name, part in track(parts.items(), "Summarizing", console=ERRORS):
        groups[name] = summarize(part, measures)
        comparisons[name] = compare(part, names)
    doubts = {
        model.name: [row[i]["doubts"] for row in rows]
        for i, model in enumerate(models)
        if any(len(row[i]["doubts"]) for row in rows)
    }
    curves, calibrated = calibration(doubts)
    about = about | {
        "images": {name: part["fingerprint"].nunique() for name, part in parts.items()},
        "models": [
            {
                "name": model.name,
                "title": model.title,
                "fitted_on": trained_on if isinstance(model, Fitted) else None,
                "seconds_per_image": groups["all"][model.name]["seconds"][0],
            }
            for model in models
        ],
        "groups": groups,
        "comparisons": comparisons,
        "calibration": calibrated,
    }
    write_file(out / "images.csv", table.to_csv(index=False).encode())
    write_file(out / "images.parquet", table.to_parquet(index=False))
    write_file(out / "risk_coverage.csv", curves.to_csv(index=False).encode())
    write_file(out / "evaluation.json", (json.dumps(plain(about), indent=1) + "\n").encode())
    evaluation = read_evaluation(out)
    write_file(out / "table.md", (evaluation.markdown() + "\n").encode())
    figures = out / "figures"
    figures.mkdir(exist_ok=True)
    quality_time(evaluation).save(figures, "quality_time")
    return evaluation


def _chosen(
    models: str, train: list[Path] | None, original: Path | None
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The models to measure, and why those left out are."""
    if models:
        names = tuple(name.strip() for name in models.split(","))
        if not train and (fitted := [name for name in names if name in FITTED]):
            raise DataError(f"{', '.join(fitted)} have to be fitted; give photographs by --train")
        return names, {}
    left_out = {}
    if not train:
        left_out = dict.fromkeys(FITTED, "no images to fit it on; give some by --train")
    if original is None:
        left_out["original"] = "no checkpoint; give one by --original"
    return tuple(name for name in NAMES if name not in left_out), left_out


def _counts(hints: str) -> tuple[int, ...]:
    try:
        return tuple(int(count) for count in hints.split(",") if count.strip())
    except ValueError:
        raise DataError(f"expected numbers of hints such as 1,10,50, got {hints!r}") from None


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    run_command(app)

"""Apply outlier rules to a collection and write a manifest and a report. Nothing is deleted."""

import csv
import html
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from recolor_core.files import replacing
from training.prepare.contact_sheet import Cell, thumbnail, write_page, write_sheet
from training.prepare.errors import PrepareError
from training.prepare.files import make_folder
from training.prepare.images import SourceImage, find_images
from training.prepare.measures import inspect_image
from training.prepare.parallel import unordered
from training.prepare.progress import Progress, silent
from training.prepare.rules import RULES, TITLES, Thresholds, Verdicts, color_surprise, judge
from training.prepare.splits import SPLITS, assign_splits
from training.prepare.store import MeasureStore, Table

FACTS = ("source", "category", "origin", "license")
"""Columns that a table of facts may have. `clean` and `pack` copy them to their manifests."""

MANIFEST = "manifest.csv"

_MEASURES = (
    "error",
    "format",
    "mode",
    "width",
    "height",
    "transparent",
    "chroma",
    "tone_residual",
    "sharpness",
    "color_entropy",
    "flat",
    "pixel_sha256",
    "phash",
)
_COMMIT_SECONDS = 5.0


@dataclass(frozen=True)
class CleaningReport:
    """Counts of found, measured, rejected and kept images.

    Attributes
    ----------
    images : int
        Number of images found.
    measured : int
        Number of images measured in this run.
    rejected : dict of str to int
        Number of rejected images for each rule. Several rules may reject the same image.
    kept : dict of str to int
        Number of kept images in each split.
    """

    images: int
    measured: int
    rejected: dict[str, int]
    kept: dict[str, int]


def clean(
    inputs: Sequence[Path],
    into: Path,
    *,
    thresholds: Thresholds | None = None,
    val: float = 0.05,
    test: float = 0.0,
    hold_out: Sequence[Path] = (),
    facts: Path | None = None,
    workers: int = 1,
    sheet: int = 120,
    progress: Progress = silent,
) -> CleaningReport:
    """Measure images, apply the outlier rules and write the report.

    Parameters
    ----------
    inputs : sequence of Path
        Folders of images (and archives), tars or zips.
    into : Path
        Folder for ``manifest.csv`` (one row for each image: its location, its measures, the
        verdict of each rule, its split), ``report.json``, ``index.html`` with a contact sheet for
        each rule, and ``measures.sqlite``, which lets a later run measure only
        new or changed images.
    thresholds : Thresholds, optional
    val, test : float
        Fractions of the images for validation and testing; see `assign_splits`.
    hold_out : sequence of Path
        Like `inputs`. These images and their near-duplicates are used only for validation.
    facts : Path, optional
        CSV file with a column ``key`` (see `SourceImage.keys`) and any of ``source, category,
        origin, license``.
    workers : int
        Number of processes.
    sheet : int
        Maximum number of images on a contact sheet. A third as many barely kept images are added.
    progress : callable, optional

    Raises
    ------
    PrepareError
        If no image is found, no image can be decoded, or a file cannot be read or written.
    """
    make_folder(into)
    known = _read_facts(facts)
    held = set(find_images(list(hold_out))) if hold_out else set()
    images = sorted(held | set(find_images(list(inputs)))) if inputs else sorted(held)
    with MeasureStore(into / "measures.sqlite") as store:
        missing = store.missing(images)
        _measure(store, missing, workers, progress)
        table = store.table(images)
    if (table["error"] != "").all():
        raise PrepareError(
            f"none of the {len(images)} images can be decoded; the first: "
            f"{images[0].label}: {table['error'][0]}."
        )

    held_out = np.array([image in held for image in images])
    verdicts = judge(table, thresholds or Thresholds(), held_out)
    splits = assign_splits(table["pixel_sha256"].tolist(), verdicts.cluster, val, test, held_out)
    with replacing(into / MANIFEST) as path:
        _write_manifest(path, table, verdicts, splits, known)

    kept = verdicts.kept
    report = CleaningReport(
        len(images),
        len(missing),
        {rule: int(verdicts.rejected(rule).sum()) for rule in TITLES},
        {name: int((kept & (np.array(splits) == name)).sum()) for name in SPLITS},
    )
    _write_sheets(into, table, verdicts, report, workers, sheet, progress)
    with replacing(into / "report.json") as path:
        facts_of_run = asdict(report) | {"thresholds": asdict(thresholds or Thresholds())}
        path.write_text(json.dumps(facts_of_run, indent=2) + "\n", encoding="utf-8")
    return report


def _measure(
    store: MeasureStore, missing: list[SourceImage], workers: int, progress: Progress
) -> None:
    # All workers together read a tar from front to back: this is the order of `missing`.
    batch, since = [], time.monotonic()
    try:
        for done, measured in enumerate(unordered(inspect_image, missing, workers), 1):
            batch.append(measured)
            if time.monotonic() - since > _COMMIT_SECONDS:
                store.add(batch)
                batch, since = [], time.monotonic()
            progress("measure", done, len(missing))
    finally:
        store.add(batch)  # an interrupted run keeps the measures that it has finished


def _read_facts(path: Path | None) -> dict[str, dict[str, str]]:
    if path is None:
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PrepareError(f"{path} cannot be read as a CSV table of facts ({error}).") from error
    if not rows or "key" not in rows[0]:
        raise PrepareError(f"{path} has no column 'key': expected key,{','.join(FACTS)}.")
    return {row["key"]: {fact: row.get(fact) or "" for fact in FACTS} for row in rows}


def _write_manifest(
    path: Path,
    table: Table,
    verdicts: Verdicts,
    splits: list[str],
    known: dict[str, dict[str, str]],
) -> None:
    surprise = color_surprise(table)
    size = np.bincount(verdicts.cluster, minlength=len(table))[verdicts.cluster]
    nothing: dict[str, str] = {}
    with path.open("w", newline="", encoding="utf-8") as file:
        columns = ["path", "name", "split", "kept", *TITLES, "duplicate_of", "cluster"]
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*columns, *_MEASURES, "color_surprise", *FACTS])
        rejected = {rule: verdicts.rejected(rule) for rule in TITLES}
        kept = verdicts.kept
        for i, image in enumerate(table.images):
            other = verdicts.duplicate_of[i]
            facts = next((known[key] for key in image.keys if key in known), nothing)
            writer.writerow(
                [
                    image.source,
                    image.name,
                    splits[i],
                    int(kept[i]),
                    *(int(rejected[rule][i]) for rule in TITLES),
                    table.images[other].label if other >= 0 else "",
                    table["pixel_sha256"][verdicts.cluster[i]][:16] if size[i] > 1 else "",
                    *(_written(name, table[name][i]) for name in _MEASURES),
                    _written("color_surprise", surprise[i]),
                    *(facts.get(fact, "") for fact in FACTS),
                ]
            )


def _written(name: str, value: object) -> str:
    if name == "phash":
        return f"{int(value):016x}"  # type: ignore[call-overload]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _write_sheets(
    into: Path,
    table: Table,
    verdicts: Verdicts,
    report: CleaningReport,
    workers: int,
    count: int,
    progress: Progress,
) -> None:
    surprise = color_surprise(table)
    measures_of = {rule.name: rule.measures for rule in RULES} | {"corrupt": ("error",)}

    def cell(rule: str, i: int) -> Cell:
        texts = []
        for name in measures_of.get(rule, ()):
            value = surprise[i] if name == "color_surprise" else table[name][i]
            texts.append(str(value) if name == "error" else f"{name} {_written(name, value)}")
        other = verdicts.duplicate_of[i] if "duplicate" in rule else -1
        if other < 0:
            return Cell(table.images[i], ", ".join(texts))
        return Cell(table.images[i], f"= {table.images[other].label}", table.images[other])

    sheets: dict[str, tuple[list[Cell], list[Cell]]] = {}
    for rule in TITLES:
        badness = verdicts.badness[rule]
        order = np.argsort(-badness, kind="stable")
        out = order[badness[order] > 1][:count]
        # Images that another rule rejects do not help to set the threshold of this rule.
        near = order[(badness[order] <= 1) & (badness[order] > 0) & verdicts.kept[order]]
        sheets[rule] = (
            [cell(rule, i) for i in out.tolist()],
            [cell(rule, i) for i in near[: count // 3].tolist()] if rule in measures_of else [],
        )
    shown = {
        image
        for cells in sheets.values()
        for one in (*cells[0], *cells[1])
        for image in (one.image, one.beside)
        if image
    }
    thumbnails: dict[SourceImage, bytes] = {}
    for image, jpeg in unordered(thumbnail, sorted(shown), workers):
        thumbnails[image] = jpeg
        progress("contact sheets", len(thumbnails), len(shown))
    for rule, (out_cells, near_cells) in sheets.items():
        heading = f"{TITLES[rule]}: {report.rejected[rule]} of {report.images} thrown out"
        write_sheet(into, rule, heading, out_cells, near_cells, thumbnails)
    _write_index(into, report)


def _write_index(into: Path, report: CleaningReport) -> None:
    rows = "".join(
        f'<tr><td><a href="{rule}.html">{html.escape(title)}</a></td>'
        f"<td>{report.rejected[rule]}</td></tr>"
        for rule, title in TITLES.items()
    )
    kept = ", ".join(f"{number} {split}" for split, number in report.kept.items())
    write_page(
        into / "index.html",
        "Outliers",
        f"<h1>{report.images} images</h1><p>kept: {kept}</p>"
        f"<table><tr><th>rule</th><th>thrown out</th></tr>{rows}</table>"
        f'<p>Row by row: <a href="{MANIFEST}">{MANIFEST}</a>; '
        'with the thresholds: <a href="report.json">report.json</a></p>',
    )

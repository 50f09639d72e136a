"""Explore photographs: ``python -m training.explore FOLDER... --out DIR``.

``DIR/index.html`` tells what cleaning throws out, where in the image which colors live, what
lightness tells of them, how images group by color and, of a stack, how color changes over time.
It is complete in itself; ``DIR/figures`` holds each figure as PNG, SVG and CSV, and
``DIR/spatial.ipynb`` and ``DIR/temporal.ipynb`` are notebooks of the same, executed. Run again,
only what has changed is measured and drawn.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from recolor_core.files import replacing
from training.analysis import spatial, temporal
from training.analysis.charts import Chart
from training.analysis.charts import preparation as preparation_charts
from training.analysis.charts import spatial as spatial_charts
from training.analysis.charts import temporal as temporal_charts
from training.analysis.dataset import read_grids
from training.analysis.notebooks import SPATIAL, TEMPORAL, write_notebook
from training.analysis.page import Cell, Figures, Section, Shown, Table, digest, write_page
from training.analysis.preparation import Preparation, prepare
from training.command import run_command
from training.photographs import DataError, list_photographs
from training.prepare.rules import Thresholds

LEAST = 4
"""Kept images below which there is nothing to compare."""


class Bars:
    """Progress bars on standard error, one for each thing that takes long."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self.bars = Progress(*columns, console=Console(stderr=True))
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """As `training.prepare.progress.Progress`."""
        if what not in self._tasks:
            self._tasks[what] = self.bars.add_task(what)
        self.bars.update(self._tasks[what], completed=done, total=total or None)


class Photographs:
    """The kept photographs of a collection and what is computed of them, each when asked for.

    Parameters
    ----------
    preparation
        What cleaning keeps.
    folder
        Where ``sample.npz`` is kept, from which the notebook starts and the next run goes on.
    workers, progress
        Of the reading.
    """

    def __init__(self, preparation: Preparation, folder: Path, workers: int, progress: Bars):
        self.preparation, self.path = preparation, folder / "sample.npz"
        self._workers, self._progress = workers, progress
        table = preparation.table
        every = zip(table["pixel_sha256"].tolist(), table["error"].tolist(), strict=True)
        names = [image.label for image in table.images]
        self.collection = digest(list(every), names, vars(preparation.thresholds))
        self.kept = digest(
            table["pixel_sha256"][preparation.verdicts.kept].tolist(),
            [image.label for image in preparation.kept],
        )

    def load(self) -> None:
        """Have ``sample.npz`` there, where the figures did not ask for it."""
        assert len(self.codes)

    @cached_property
    def codes(self) -> NDArray[np.uint8]:
        """(N, 56, 56, 3) sRGB codes."""
        saved = _load(self.path, self.kept)
        if saved is not None:
            return saved["codes"]
        kept = self.preparation.kept
        codes = read_grids(kept, self._workers, self._progress)
        _save(
            self.path,
            key=self.kept,
            codes=codes,
            histograms=self.preparation.histograms,
            names=np.array([image.label for image in kept]),
        )
        return codes

    @cached_property
    def maps(self) -> spatial.PositionMaps:
        """Color over the place."""
        return spatial.position_maps(self.codes)

    @cached_property
    def correlation(self) -> spatial.LightnessCorrelation:
        """Correlation of lightness and color."""
        return spatial.lightness_correlation(self.codes)

    @cached_property
    def palettes(self) -> spatial.Palettes:
        """Components and groups."""
        return spatial.palettes(self.preparation.histograms)


def _load(path: Path, key: str) -> dict[str, NDArray[Any]] | None:
    """Arrays that were saved under a key, or None."""
    try:
        with np.load(path) as file:
            return dict(file) if str(file["key"]) == key else None
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _save(path: Path, **arrays: Any) -> None:
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)


def preparation_section(figures: Figures, photographs: Photographs) -> Section:
    """Charts of what cleaning throws out, and of the range of data that it leaves."""
    preparation, key = photographs.preparation, photographs.collection
    section = Section(
        "Preparation",
        "What the rules of cleaning would throw out before training, and the range of what they "
        "leave. All later sections look at the kept photographs alone.",
    )
    for name, draw in (
        ("thrown-out", preparation_charts.thrown_out),
        ("ranges", preparation_charts.ranges),
        ("thrown-out-examples", preparation_charts.examples),
    ):
        section.items.append(figures.show(name, key, partial(draw, preparation)))
    usable = preparation.usable()
    figures.write_table("usable", usable)
    rows = [
        [Cell(name), *(Cell(f"{value:.3g}".replace("-", "−")) for value in values)]
        for name, *values in usable.to_numpy().tolist()
    ]
    caption = (
        f"The range of what is measured over the {len(preparation.kept):,} kept photographs: what "
        "a network trained on them has seen."
    )
    section.items.append(Table(caption, list(usable.columns), rows, "usable"))
    return section


def spatial_sections(figures: Figures, photographs: Photographs) -> list[Section]:
    """Place, lightness, distribution and groups."""
    p, charts = photographs, spatial_charts
    names = [image.label for image in p.preparation.kept]

    def show(name: str, draw: Callable[[], Chart]) -> Shown:
        return figures.show(name, p.kept, draw)

    return [
        Section(
            "Where in the image colors live",
            "What could be known from the place alone, without looking at the image.",
            [
                show("position-means", lambda: charts.position_means(p.maps)),
                show("position-hues", lambda: charts.position_hues(p.maps)),
            ],
        ),
        Section(
            "What lightness tells of color",
            "Were the correlation strong on some scale, a curve would do there instead of a "
            "network.",
            [
                show("lightness-color", lambda: charts.lightness_levels(p.correlation)),
                show("lightness-places", lambda: charts.lightness_places(p.correlation)),
            ],
        ),
        Section(
            "Which colors there are",
            "The distribution that a colorizer should end up with over many images.",
            [
                show(
                    "ab-distribution",
                    lambda: charts.ab_distribution(spatial.color_distribution(p.codes)),
                )
            ],
        ),
        Section(
            "How images group by color",
            "Images compared by their color distributions alone.",
            [
                show("components", lambda: charts.components(p.palettes)),
                show("images", lambda: charts.scatter(p.palettes)),
                show("groups", lambda: charts.groups(p.palettes, p.codes, names)),
            ],
        ),
    ]


class Frames:
    """A stack, kept in ``stack.npz``, from which the notebook starts and the next run goes on."""

    def __init__(self, path: Path, folder: Path, progress: Bars) -> None:
        self.key, kept = temporal.digest_stack(path), folder / "stack.npz"
        saved = _load(kept, self.key)
        if saved is not None:
            rate = float(saved["rate"]) or None
            self.stack = temporal.Stack(str(saved["name"]), saved["codes"], rate)
            return
        self.stack = stack = temporal.read_stack(path, progress)
        _save(kept, key=self.key, codes=stack.codes, name=stack.name, rate=stack.rate or 0.0)

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """Mean L*, a*, b* of each frame."""
        return self.stack.means()


def temporal_section(figures: Figures, frames: Frames | None) -> Section:
    """Color over the frames of a stack; without one, what to pass."""
    section = Section(
        "Color over time",
        "How the color of a stack changes, how long it remembers, and what foretells it.",
    )
    if frames is None:
        section.missing.append(
            "No stack was given. Pass --stack with a folder of frames, an image of many pages or "
            "a film, and color over time is taken apart here."
        )
        return section
    charts = temporal_charts
    section.items = [
        figures.show(name, frames.key, draw)
        for name, draw in (
            ("stack", lambda: charts.strip(frames.stack)),
            (
                "decomposition",
                lambda: charts.decomposition(temporal.decompose(frames.means)),
            ),
            ("modes", lambda: charts.modes(temporal.modes(frames.stack))),
            (
                "lags",
                lambda: charts.lags(temporal.lagged_correlation(frames.stack), len(frames.means)),
            ),
            ("autoregression", lambda: charts.autoregression(frames.means, _foretell(frames))),
        )
    ]
    return section


def _foretell(frames: Frames) -> list[temporal.Autoregression]:
    return [
        temporal.autoregress(frames.means[:, channel], name)
        for channel, name in enumerate(temporal.CHANNELS)
        if channel
    ]


def explore(
    folders: list[Path],
    out: Path,
    *,
    stack: Path | None = None,
    every: int = 1,
    thresholds: Thresholds | None = None,
    workers: int = 1,
    notebooks: bool = True,
) -> Figures:
    """Write the page, its figures and the notebooks.

    Parameters
    ----------
    folders
        Folders, tars or zips of photographs.
    out
        Folder to write to.
    stack
        Frames in color, see `training.analysis.temporal.read_stack`.
    every
        Look at only every n-th image.
    thresholds
        Of cleaning.
    workers
        Processes that read images.
    notebooks
        Whether to write them too; executing them takes seconds.

    Returns
    -------
    Figures
        `drawn` names those that were not there already.

    Raises
    ------
    RecolorError
        If there are too few photographs, or something cannot be read or written.
    """
    if every < 1:
        raise DataError(f"expected --every of 1 or more, got {every}")
    images = list_photographs(folders)[::every]
    progress = Bars()
    figures = Figures(out)
    with progress.bars:
        frames = Frames(stack, out, progress) if stack else None
        store = out / "measures.sqlite"
        preparation = prepare(images, store, thresholds, workers, progress)
        if len(preparation.kept) < LEAST:
            raise DataError(
                f"cleaning keeps {len(preparation.kept)} of {len(images)} photographs, expected "
                f"at least {LEAST}; give more, or see why with `python -m training.prepare clean`"
            )
        photographs = Photographs(preparation, out, workers, progress)
        sections = [
            preparation_section(figures, photographs),
            *spatial_sections(figures, photographs),
            temporal_section(figures, frames),
        ]
        figures.forget_others()
        if notebooks:
            photographs.load()
            write_notebook(out / "spatial.ipynb", SPATIAL, photographs.kept)
            if frames:
                write_notebook(out / "temporal.ipynb", TEMPORAL, frames.key)
    facts = [
        ("photographs", ", ".join(path.name or str(path) for path in folders)),
        ("looked at", f"{len(images):,}" + (f", one of every {every}" if every > 1 else "")),
        ("kept by cleaning", f"{len(preparation.kept):,}"),
        ("stack", f"{frames.stack.name}, {len(frames.means)} frames" if frames else "none"),
    ]
    write_page(
        out / "index.html",
        "Exploration of a collection",
        "What a collection of color photographs holds, before a network is trained on it or "
        "measured with it.",
        facts,
        sections,
    )
    return figures


def main(
    folders: Annotated[list[Path], typer.Argument(help="Folders, tars or zips of photographs.")],
    out: Annotated[Path, typer.Option(help="Folder for the page, its figures and notebooks.")],
    stack: Annotated[
        Path | None,
        typer.Option(help="Frames in color: a folder, an image of many pages, or a film."),
    ] = None,
    every: Annotated[int, typer.Option(help="Look at only every n-th image.")] = 1,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A threshold of cleaning: --set min_short_side=150."),
    ] = None,
    workers: Annotated[
        int, typer.Option("-n", min=1, help="Number of processes that read images.")
    ] = 1,
    notebooks: Annotated[bool, typer.Option(help="Write and execute the notebooks.")] = True,
) -> None:
    """Explore photographs: preparation, place, lightness, groups of color, and time."""
    figures = explore(
        folders,
        out,
        stack=stack,
        every=every,
        thresholds=_thresholds(set_ or []),
        workers=workers,
        notebooks=notebooks,
    )
    typer.echo(f"{len(figures.drawn)} figures drawn; look at {out / 'index.html'}")


def _thresholds(overrides: Sequence[str]) -> Thresholds:
    known = {field.name: field.type for field in fields(Thresholds)}
    values: dict[str, Any] = {}
    for text in overrides:
        name, _, value = text.partition("=")
        try:
            values[name] = (int if known[name] is int else float)(value)
        except (KeyError, ValueError) as error:
            raise DataError(
                f"expected --set threshold=number with one of {', '.join(known)}; got {text!r}"
            ) from error
    return Thresholds(**values)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    run_command(app)

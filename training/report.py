"""Report how good models are: ``python -m training.report EVALUATION_OR_PHOTOGRAPHS``.

Of a folder that `training.evaluate` wrote, or of photographs, which are then evaluated first into
``DIR/evaluation``, it makes ``DIR/index.html`` (``recolor-report`` by default), complete in itself,
and in ``DIR/figures`` each figure as PNG, SVG and CSV. More is shown where it is given: learning
curves of trainings (``--run``), test loss against the number of training inputs (``--scaling``, of
`training.scaling`), color over time (``--film-metrics``, of `training.temporal_consistency`), and
what people and machines take for real (``--turing``, of `training.visual_turing_test`). What is
missing is said. A second run draws only the figures whose inputs have changed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Annotated, Any

import typer

from recolor_core.errors import RecolorError
from recolor_core.settings import Settings
from recolor_core.weights import load_weights
from training import evaluate
from training.analysis.charts import Chart
from training.analysis.charts import evaluation as charts
from training.analysis.charts.style import count
from training.analysis.curves import (
    read_log,
    read_scaling,
    read_steadiness,
    read_turing,
)
from training.analysis.examples import RULES, Colors, Example, Painter, choose, colors_of, true_ab
from training.analysis.layers import PARTS, describe_layer, outputs
from training.analysis.page import Cell, Figures, Section, Shown, Table, digest, write_page
from training.command import run_command
from training.evaluation_data import COLUMNS, Evaluation, Group, Interval, read_evaluation
from training.photographs import DataError, list_photographs, square
from training.prepare.images import SourceImage
from training.visual_turing_test.answers import Reason

ROWS = 4
"""Images shown by each rule."""

SAMPLE = 96
"""Images whose colors are compared with the training set's, and of that five times as many."""


@dataclass(frozen=True)
class Given:
    """What a report is made of, beside the evaluation.

    Parameters
    ----------
    runs
        Folders of trainings.
    scaling, film_metrics, turing
        Folders of `training.scaling`, `training.temporal_consistency` and
        `training.visual_turing_test`, or None.
    weights
        Where the weights lie that were measured; their name by default.
    device
        As in `recolor_core.Colorizer`.
    seed
        Random seed for the choice of images.
    """

    runs: tuple[Path, ...] = ()
    scaling: Path | None = None
    film_metrics: Path | None = None
    turing: Path | None = None
    weights: str = ""
    device: str = "auto"
    seed: int = 0


class Report:
    """The sections of a report.

    Parameters
    ----------
    evaluation
        What was measured.
    given
        What else there is.
    figures
        Where figures go.
    """

    def __init__(self, evaluation: Evaluation, given: Given, figures: Figures) -> None:
        self.evaluation, self.given, self.figures = evaluation, given, figures
        self.about = evaluation.about
        self.main = "refined" if "refined" in evaluation.models else evaluation.models[-1]
        names = {field.name for field in fields(Settings)}
        settings = {name: v for name, v in self.about["settings"].items() if name in names}
        self.settings = Settings(**{**settings, "alternatives": 0})
        # All is read before anything is drawn, so that what is no use is told at once.
        self.logs = [read_log(folder) for folder in given.runs]
        self.study = read_scaling(given.scaling) if given.scaling else None
        self.steadiness = read_steadiness(given.film_metrics) if given.film_metrics else None
        self.answers = read_turing(given.turing) if given.turing else None
        self.wear = str(self.about.get("wear", ""))
        self._colored_by = [self.about["weights"]["sha256"], settings, self.wear]
        # An image may be among the random and the worst ones, and be the one looked into.
        self._example = lru_cache(4 * ROWS)(self._paint)

    @cached_property
    def painter(self) -> Painter:
        """Colors the measured images again."""
        weights = self.about["weights"]
        return Painter(
            [Path(source) for source in self.about["sources"]],
            self.given.weights or weights["name"],
            weights["sha256"],
            self.settings,
            self.given.device,
            self.wear,
        )

    def show(self, name: str, inputs: Any, draw: Callable[[], Chart]) -> Shown:
        """A figure, drawn where its inputs have changed."""
        return self.figures.show(name, digest(inputs), draw)

    def sections(self) -> list[Section]:
        """All of them, in their order."""
        return [
            self.table(),
            self.losses(),
            self.time(),
            self.groups(),
            self.examples(),
            self.uncertainty(),
            self.colors(),
            self.layers(),
            self.learning(),
            self.scaling(),
            self.film(),
            self.turing(),
        ]

    def table(self) -> Section:
        """The models with their intervals, all and by scene type."""
        section = Section(
            "The models",
            "From no color at all to what ships, on the same photographs.",
        )
        for name, group in self.evaluation.groups.items():
            number = self.about["images"][name]
            what = "all photographs" if name == "all" else f"scene type “{name}”"
            folded = "" if name == "all" else f"Scene type “{name}”, {count(number, 'image')}"
            caption = (
                f"{what.capitalize()}, {number:,}: mean and, below it, 95 % bootstrap interval "
                "over the images. MSE is of ab / 255 on a grid of 56 × 56; colorfulness is the "
                "mean over that of the truth, its error that of single images."
            )
            section.items.append(_table(caption, group, self.evaluation.titles, folded))
        for what, why in self.about["unavailable"].items():
            section.missing.append(f"Not measured: {what}. {_sentence(why)}")
        if fid := self._fid():
            section.items.append(fid)
        return section

    def _fid(self) -> Table | None:
        found = self.about.get("fid") or {}
        if not found:
            return None
        rows = [
            [Cell(self.evaluation.titles.get(name, name)), Cell(f"{one['value']:.1f}")]
            for name, one in found.items()
        ]
        caveat = " ".join(dict.fromkeys(filter(None, (one["caveat"] for one in found.values()))))
        caption = f"Fréchet inception distance of the sets of images; it has no interval. {caveat}"
        return Table(caption.strip(), ["", "FID"], rows)

    def losses(self) -> Section:
        """Every model by every metric, and how errors are spread."""
        metrics = charts.shown_metrics(self.evaluation.groups["all"])
        inputs = [self.evaluation.groups["all"], self.about["models"], self.about["images"]]
        section = Section("Losses compared")
        section.items = [
            self.show("losses", inputs, lambda: charts.losses(self.evaluation, metrics)),
            self.show("errors", self._rows(), lambda: charts.errors(self.evaluation)),
        ]
        pairs = self.about["comparisons"]["all"]
        rows = [
            [
                Cell(name),
                _interval(values["psnr"], "{:+.2f}"),
                _interval(values["edge_error"], "{:+.1f}", 100),
            ]
            for name, values in pairs.items()
        ]
        if rows:
            caption = (
                "Pairs compared image by image: what the first gains over the second, with 95 "
                "% bootstrap intervals. Pairing is finer than comparing two intervals of the table."
            )
            columns = ["", "PSNR gained, dB", "change of the error at edges, %"]
            section.items.append(Table(caption, columns, rows))
        return section

    def _rows(self) -> str:
        """Digest of what was measured of every image; times differ from run to run."""
        table = self.evaluation.images.drop(columns="seconds")
        return digest(table.to_csv(index=False, float_format="%.6g"))

    def time(self) -> Section:
        """Quality against time."""
        inputs = [self.evaluation.groups["all"], self.about["models"]]
        draw = partial(charts.quality_time, self.evaluation)
        return Section("Quality against time", items=[self.show("quality-time", inputs, draw)])

    def groups(self) -> Section:
        """Scene types apart."""
        section = Section("By scene type")
        if len(self.evaluation.groups) < 2:
            section.missing.append(
                "The evaluation knows no scene types. Give it --manifest, a CSV with the columns "
                "key and category."
            )
            return section
        inputs = [self.evaluation.groups, self.about["models"]]
        draw = partial(charts.groups, self.evaluation)
        section.items.append(self.show("scene-types", inputs, draw))
        return section

    def examples(self) -> Section:
        """Predictions against the truth, chosen by rule."""
        section = Section(
            "Predictions and truth",
            "Chosen by rule, never by hand: random ones show what to expect, the worst what fails, "
            "the most uncertain whether the network knows.",
        )
        rows = self.evaluation.of(self.main)
        chosen = choose(rows, ROWS, self.given.seed)

        def draw(rule: str) -> Chart:
            measured = [row for _, row in chosen[rule].iterrows()]
            shown = [(self._example(row["image"]), row) for row in measured]
            return charts.examples(shown, RULES[rule], len(rows))

        with _instead(section):
            for rule, of_rule in chosen.items():
                inputs = [
                    self._colored_by,
                    len(rows),
                    of_rule[["fingerprint", "image", "ciede2000", "psnr"]].to_csv(),
                ]
                name = f"examples-{rule.replace(' ', '-')}"
                section.items.append(self.show(name, inputs, partial(draw, rule)))
        return section

    def _paint(self, name: str) -> Example:
        self._unchanged(name)
        return self.painter.example(name)

    def _unchanged(self, name: str) -> SourceImage:
        """A measured image, if it still is what was measured."""
        image = self.painter.image(name)
        fingerprint = self.evaluation.of(self.main).set_index("image")["fingerprint"][name]
        if evaluate.content(image) != fingerprint:
            raise DataError(f"{name} has changed since it was measured; evaluate again")
        return image

    def uncertainty(self) -> Section:
        """Risk and coverage."""
        section = Section("Does it know where it is wrong?")
        table = self.evaluation.risk_coverage
        if table.empty:
            section.missing.append("No model that was measured states an uncertainty.")
            return section
        inputs = [table.to_csv(float_format="%.6g"), self.about["calibration"]]
        draw = partial(charts.risk_coverage, self.evaluation)
        section.items.append(self.show("risk-coverage", inputs, draw))
        return section

    def colors(self) -> Section:
        """The training set's colors beside the predictions'."""
        section = Section(
            "Colors of training and of predictions",
            "A colorizer that errs on the safe side leaves the middle of the plane less often than "
            "photographs do.",
        )
        train = [Path(source) for source in self.about["train"]]
        if not train:
            section.missing.append(
                "The evaluation had no training images, so only the truth of the measured ones "
                "stands beside the predictions. Give it --train."
            )
        rows = self.evaluation.of(self.main)
        sample = rows.iloc[:: max(1, len(rows) // SAMPLE)][:SAMPLE]
        inputs = [self._colored_by, sample["fingerprint"].tolist(), [str(path) for path in train]]

        def draw() -> Chart:
            images = [self._unchanged(name) for name in sample["image"]]
            sets: dict[str, Colors] = {}
            size = self.settings.size
            if train:
                listed = list_photographs(train)
                sets["training"] = colors_of(
                    true_ab(listed[:: max(1, len(listed) // (5 * SAMPLE))], size)
                )
            sets["truth"] = colors_of(true_ab(images, size))
            colored = (self.painter.color(square(image, size)) for image in images)
            sets["predictions"] = colors_of(one.ab_coarse for one in colored)
            return charts.colors(sets)

        with _instead(section):
            section.items.append(self.show("colors", inputs, draw))
        return section

    def layers(self) -> Section:
        """The networks' intermediate layers for one image."""
        section = Section("Inside the networks")
        row = choose(self.evaluation.of(self.main), 1, self.given.seed)["random"].iloc[0]

        def draw() -> Chart:
            example = self._example(row["image"])
            networks = load_weights(self.painter.weights)
            result = example.result
            found = outputs(networks, result.working_lightness, result.ab_coarse)
            return charts.layers([describe_layer(name, found[name]) for name in PARTS], example)

        with _instead(section):
            inputs = [self._colored_by, row["fingerprint"]]
            section.items.append(self.show("layers", inputs, draw))
        return section

    def learning(self) -> Section:
        """Learning curves."""
        section = Section("Learning curves")
        if not self.logs:
            section.missing.append(
                "No training was given. Pass --run with the folder of one, and again for each."
            )
        for number, log in enumerate(self.logs, 1):
            inputs = [log.name, log.table.to_csv(float_format="%.6g")]
            name = f"learning-{number}"
            section.items.append(self.show(name, inputs, partial(charts.learning, log)))
        return section

    def scaling(self) -> Section:
        """Test loss against the number of training inputs."""
        section = Section("How much more data would help")
        if self.study is None:
            section.missing.append(
                "No study was given. Pass --scaling with a folder of “python -m training.scaling”."
            )
            return section
        table, measured = self.study
        inputs = [table.to_csv(float_format="%.6g"), measured]
        draw = partial(charts.scaling, table, measured)
        section.items.append(self.show("scaling", inputs, draw))
        return section

    def film(self) -> Section:
        """Color over time."""
        section = Section("Color over time")
        if self.steadiness is None:
            section.missing.append(
                "No film was measured. Pass --film-metrics with a folder of "
                "“python -m training.temporal_consistency”."
            )
            return section
        found = self.steadiness
        inputs = [found.about, found.colors.to_csv(float_format="%.6g")]
        section.items = [
            self.show("steadiness", inputs, lambda: charts.steadiness(found)),
            self.show("color-over-time", inputs, lambda: charts.color_over_time(found)),
        ]
        cuts = found.about["cuts"]
        section.text = (
            f"Of {count(cuts['cuts'], 'cut')} between shots {cuts['found']} found, "
            f"{cuts['missed']} missed, {cuts['seen where there was none']} seen where there was "
            f"none. Across a cut color changed by {cuts['carried']:.2f} Lab units at most against "
            "the same frame colored by itself."
        )
        return section

    def turing(self) -> Section:
        """The visual Turing test."""
        section = Section("Taken for real")
        if self.answers is None:
            section.missing.append(
                "No visual Turing test was given. Pass --turing with a folder of "
                "“python -m training.visual_turing_test”."
            )
            return section
        found = self.answers
        if not found.rows:
            section.missing.append("Nobody has answered yet: these are classifiers alone.")
        if found.machine is None:
            section.missing.append(
                "No classifier was asked: run “python -m training.visual_turing_test machine”."
            )
        inputs = [[vars(row) for row in found.rows], found.machine]
        section.items.append(self.show("turing", inputs, lambda: charts.turing(found)))
        if len(found.images):
            self.figures.write_table("given-away", found.images)
            reasons = [r.value for r in Reason if found.images[r.value].any()]
            shown = found.images[found.images["told"] > 0].head(12)
            rows = [
                [Cell(row["image"]), Cell(f"{row['told']} of {row['trials']}")]
                + [Cell(str(row[reason] or "")) for reason in reasons]
                for _, row in shown.iterrows()
            ]
            caption = (
                "Colorized images that were told from photographs, those told most often first, "
                "by how many who saw them, and what these say gave them away."
            )
            columns = ["image", "told", *reasons]
            section.items.append(Table(caption, columns, rows, "given-away"))
        return section


class _instead:
    """Say in a section what a figure lacks, where it lacks something that is no longer there."""

    def __init__(self, section: Section) -> None:
        self.section = section

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, RecolorError | OSError):
            return False
        self.section.missing.append(_sentence(f"Not shown: {error}"))
        return True


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(".") else ".")


def _table(caption: str, group: Group, titles: Mapping[str, str], folded: str) -> Table:
    shown = [name for name in COLUMNS if any(name in values for values in group.values())]
    rows = [
        [
            Cell(titles.get(model, model)),
            *(_interval(values.get(name), COLUMNS[name][2], COLUMNS[name][1]) for name in shown),
        ]
        for model, values in group.items()
    ]
    headings = [COLUMNS[name][0].replace(" x ", " × ") for name in shown]
    return Table(caption, ["", *headings], rows, folded=folded)


def _interval(interval: Interval | None, style: str, factor: float = 1) -> Cell:
    if interval is None or any(value is None for value in interval):
        return Cell("–")
    mean, low, high = (_number(style, factor * value) for value in interval)
    signed = "−" in low + high or "+" in low + high
    return Cell(mean, f"{low} to {high}" if signed else f"{low}–{high}")


def _number(style: str, value: float) -> str:
    text = style.format(value)
    return (text if float(text) else style.format(0)).replace("-", "−")  # no -0.0


def report(source: Evaluation, out: Path, given: Given | None = None) -> Figures:
    """Write the page and its figures.

    Parameters
    ----------
    source
        As in `read_evaluation`.
    out
        Folder to write to.
    given
        What else there is.

    Returns
    -------
    Figures
        `drawn` names those that were not there already.

    Raises
    ------
    RecolorError
        If something that was given cannot be read, or the folder cannot be written.
    """
    given = given or Given()
    figures = Figures(out)
    made = Report(source, given, figures)
    sections = made.sections()
    figures.forget_others()
    about = source.about
    weights, settings = about["weights"], made.settings
    facts = [
        ("weights", f"{weights['name']}, SHA-256 {weights['sha256'][:16]}…"),
        (
            "photographs",
            ", ".join(Path(path).name for path in about["sources"])
            + f", {about['images']['all']:,} images"
            + (
                f", as scans of prints that are {made.wear.replace('+', ' and ')}"
                if made.wear
                else ""
            ),
        ),
        ("models fitted on", ", ".join(Path(path).name for path in about["train"]) or "nothing"),
        (
            "settings",
            f"vividness {settings.vividness:g}, saturation {settings.saturation:g}, "
            f"short side {settings.size} pixels",
        ),
        ("measured", f"{about['created'][:10]} on “{about['device']}”"),
    ]
    write_page(
        out / "index.html",
        "How good the colors are",
        "Colors of photographs, predicted from their gray and compared with the truth: means with "
        "intervals, simple models beside them, and images chosen by rule.",
        facts,
        sections,
    )
    return figures


def main(
    source: Annotated[
        list[Path],
        typer.Argument(help="A folder of `training.evaluate`, or photographs to evaluate first."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the page and its figures.")] = Path(
        "recolor-report"
    ),
    runs: Annotated[
        list[Path] | None,
        typer.Option("--run", help="Folder of a training; repeatable."),
    ] = None,
    scaling: Annotated[Path | None, typer.Option(help="Folder of `training.scaling`.")] = None,
    film_metrics: Annotated[
        Path | None, typer.Option(help="Folder of `training.temporal_consistency`.")
    ] = None,
    turing: Annotated[
        Path | None, typer.Option(help="Folder of `training.visual_turing_test`.")
    ] = None,
    train: Annotated[
        list[Path] | None, typer.Option(help="Evaluation: photographs to fit on; repeat.")
    ] = None,
    train_count: Annotated[int, typer.Option(help="Evaluation: number of photographs.")] = 2000,
    models: Annotated[str, typer.Option(help="Evaluation: models; all by default.")] = "",
    original: Annotated[Path | None, typer.Option(help="Evaluation: a checkpoint.")] = None,
    hints: Annotated[str, typer.Option(help="Evaluation: numbers of hints.")] = "1,10,50",
    alternatives: Annotated[int, typer.Option(help="Evaluation: their number.")] = 4,
    manifest: Annotated[Path | None, typer.Option(help="Evaluation: scene types.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Evaluation: every Nth image.")] = 1,
    weights: Annotated[str, typer.Option(help="Name or path of the weights file.")] = "",
    workers: Annotated[
        int, typer.Option("-n", min=1, help="Number of processes that evaluate.")
    ] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, mps, cuda, cuda:1, ...")] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Random seed for the choice of images.")] = 0,
) -> None:
    """Report how good models are, as a page of figures with intervals and examples."""
    if len(source) == 1 and (source[0] / "evaluation.json").is_file():
        folder = source[0]
    else:
        folder = out / "evaluation"
        evaluate.main(
            source,
            folder,
            train=train,
            train_count=train_count,
            models=models,
            weights=weights or "default",
            original=original,
            hints=hints,
            alternatives=alternatives,
            every=every,
            manifest=manifest,
            workers=workers,
            device=device,
        )
    given = Given(tuple(runs or ()), scaling, film_metrics, turing, weights, device, seed)
    figures = report(read_evaluation(folder), out, given)
    typer.echo(f"{len(figures.drawn)} figures drawn; look at {out / 'index.html'}")


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    run_command(app)

"""A classifier two-sample test, the automatic counterpart of the visual Turing test.

A classifier learns from some pairs to distinguish real photographs from their colorized twins. It
is then tested on other pairs (Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample tests").
If half of its answers are right, it has found no difference, so an accuracy of 50 % is perfect. The
test has two controls: photographs against other photographs, where no difference exists, and
photographs against their own gray, which every classifier should detect.

``machine.json`` is an object with ``format`` (2), ``seed``, ``folds``, ``size`` (side of the
squares in pixels), ``pairs`` (their number), ``weights`` (name to SHA-256), ``how`` (``version`` of
the package and ``settings`` of the colorizer), ``rows`` (objects with the fields of `Row`) and
``explanations``: for each name of weights, an object with the fields of `Explanation`; empty if no
explanation was asked for. ``machine.csv`` has the rows as a table. ``machine-images.csv`` has the
classifiers' output for each pair: the probabilities, in [0, 1], that the photograph and that its
twin is real.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from scipy.stats import binomtest

from recolor_core.files import replacing
from recolor_core.metrics import bootstrap_interval, wilson_interval
from training.photographs import DataError
from training.visual_turing_test.classifiers import (
    Array,
    Classifier,
    cross_validate,
    network,
    trees,
)
from training.visual_turing_test.explanation import Explanation, explain
from training.visual_turing_test.pairs import Pairs, read_image
from training.visual_turing_test.samples import samples, see
from training.visual_turing_test.summary import write_table

FORMAT = 2
RESULT = "machine.json"

CLASSIFIERS: Mapping[str, Classifier] = {"trees": trees, "network": network}
"""The trees learn from color statistics; the network learns from small copies of the images."""


@dataclass(frozen=True)
class Row:
    """How well one classifier distinguishes photographs from other images.

    Parameters
    ----------
    other
        Name of the weights that colorized the other images, or ``"real"`` or ``"gray"``.
    control
        Whether this row is a control.
    classifier
        A key of `CLASSIFIERS`.
    pairs
        Number of pairs. Each pair is judged by a classifier that was not trained on it.
    accuracy, accuracy_low, accuracy_high
        Fraction of the images, judged one by one, that are classified correctly, and its 95 %
        bootstrap interval over pairs.
    told, told_low, told_high
        Fraction of the pairs in which the photograph has the higher probability of being real,
        which is the question that observers answer; and its 95 % interval (Wilson 1927). Ties are
        broken at random.
    p
        Upper bound of the p-value of `told` if there is no difference: twice the median of the
        exact binomial p-values of the folds, which is valid however the folds depend on each other
        (DiCiccio, DiCiccio and Romano 2020). The intervals assume independent pairs, although the
        classifiers of different folds learn from mostly the same pairs. If there is no difference,
        this matters little: with the trees and 60 pairs of photographs, the fraction had a standard
        deviation of 6.6 % over 40 random halvings; independent pairs have 6.5 %.
    """

    other: str
    control: bool
    classifier: str
    pairs: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    told: float
    told_low: float
    told_high: float
    p: float


def judge(said: Sequence[Array], other: str, control: bool, classifier: str, seed: int) -> Row:
    """Summarize the probabilities, (M, 2) for each fold from `cross_validate`, as a `Row`."""
    rng = np.random.default_rng(seed)
    right = np.concatenate([(fold > 0.5) == [True, False] for fold in said])
    told = [
        np.where(fold[:, 0] == fold[:, 1], rng.random(len(fold)) < 0.5, fold[:, 0] > fold[:, 1])
        for fold in said
    ]
    chances = [binomtest(int(one.sum()), len(one), alternative="greater").pvalue for one in told]
    return Row(
        other,
        control,
        classifier,
        len(right),
        *bootstrap_interval(right.mean(axis=1), seed=seed),
        *wilson_interval(sum(int(one.sum()) for one in told), len(right)),
        min(1.0, 2 * float(np.median(chances))),
    )


def two_sample_tests(
    pairs: Pairs, folder: Path, *, folds: int = 5, seed: int = 0, explained: bool = False
) -> tuple[list[Row], dict[str, Explanation]]:
    """Test all weights and both controls with every classifier, and write the result.

    Parameters
    ----------
    pairs
        As returned by `training.visual_turing_test.pairs.make_pairs`.
    folder
        Folder for ``machine.json``, ``machine.csv`` and ``machine-images.csv``.
    folds
        Number of folds of the cross-validation.
    seed
        Seed of all random numbers.
    explained
        Whether to find out what the trees distinguish the images by. It trains them about 25 times
        as often.

    Returns
    -------
    rows
        One row for each comparison and classifier.
    explanations
        The explanation for each name of weights; empty unless `explained`.

    Raises
    ------
    DataError
        If there are fewer than four pairs for each fold.
    """
    if len(pairs.pairs) < 4 * folds:  # the control with photographs has half as many
        raise DataError(
            f"expected at least {4 * folds} pairs for {folds} folds, got {len(pairs.pairs)}; give "
            "more images or ask for fewer folds"
        )
    seen = see(pairs)
    features = {"trees": seen.statistics, "network": seen.planes}
    comparisons = [*((name, False) for name in pairs.weights), ("real", True), ("gray", True)]
    rows: list[Row] = []
    of_images: list[dict[str, Any]] = []
    with Progress(console=Console(stderr=True)) as bars:
        bar = bars.add_task("Classifiers", total=len(comparisons) * len(CLASSIFIERS) * folds)
        for (other, control), (name, classify) in product(comparisons, CLASSIFIERS.items()):
            two = samples(features[name], other, control)
            answered = []
            for fold in cross_validate(*two, classify, folds=folds, seed=seed):
                answered.append(fold)
                bars.advance(bar)
            rows.append(judge([said for _, said in answered], other, control, name, seed))
            if not control:
                of_images += _of_images(pairs, answered, other, name)
    explanations = {}
    for name in pairs.weights if explained else ():
        both = samples(seen.statistics, name, control=False)
        explanations[name] = explain(*both, seen.names, seen.groups, folds=folds, seed=seed)
    result: dict[str, Any] = {
        "format": FORMAT,
        "seed": seed,
        "folds": folds,
        "size": len(read_image(pairs.folder / pairs.pairs[0].real)),
        "pairs": len(pairs.pairs),
        "weights": dict(pairs.weights),
        "how": dict(pairs.how),
        "rows": [asdict(row) for row in rows],
        "explanations": {name: asdict(one) for name, one in explanations.items()},
    }
    write_table(folder / "machine-images.csv", of_images)
    write_table(folder / "machine.csv", result["rows"])
    with replacing(folder / RESULT) as part:
        part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return rows, explanations


def _of_images(
    pairs: Pairs, answered: Sequence[tuple[NDArray[np.intp], Array]], weights: str, classifier: str
) -> Iterator[dict[str, Any]]:
    for numbers, said in answered:
        for number, (real, twin) in zip(numbers, said, strict=True):
            pair = pairs.pairs[number]
            yield {
                "image": pair.label,
                "weights": weights,
                "photograph": pair.real,
                "twin": pair.colored[weights],
                "classifier": classifier,
                "of photograph": round(float(real), 4),
                "of twin": round(float(twin), 4),
            }

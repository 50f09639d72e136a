"""What the trees distinguish photographs from colorized images by.

A feature importance alone misleads, because the statistics are correlated: if one is taken away,
the trees use another. Therefore the trees are also trained on each group of statistics alone, and
on all statistics except one group.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.visual_turing_test.classifiers import Array, cross_validate, fit_trees, trees

COUNT = 12
"""Number of the statistics with the largest gain that are described."""


@dataclass(frozen=True)
class Group:
    """How well the trees distinguish images by one group of statistics.

    Parameters
    ----------
    name
        Name of the group.
    statistics
        Number of statistics in it.
    told_by
        Fraction of the pairs in which the photograph has the higher probability of being real if
        the trees see only this group. Ties count half; 0.5 is perfect.
    told_without
        The same if the trees see all other groups.
    """

    name: str
    statistics: int
    told_by: float
    told_without: float


@dataclass(frozen=True)
class Statistic:
    """One statistic that the trees use.

    Parameters
    ----------
    name
        Name of the statistic.
    gain
        Fraction of the gain of the trees that are trained on all pairs.
    told_by
        As in `Group`, for this statistic alone.
    photograph, twin
        Median of the photographs and of the colorized images.
    larger
        Fraction of the pairs in which the photograph has the larger value. Ties count half.
    """

    name: str
    gain: float
    told_by: float
    photograph: float
    twin: float
    larger: float


@dataclass(frozen=True)
class Explanation:
    """What the trees distinguish photographs from colorized images by.

    Parameters
    ----------
    groups
        All groups, in the order of the statistics.
    statistics
        The `COUNT` statistics with the largest gain, largest first.
    """

    groups: tuple[Group, ...]
    statistics: tuple[Statistic, ...]


def explain(
    real: Array, other: Array, names: Sequence[str], groups: Sequence[str], *, folds: int, seed: int
) -> Explanation:
    """Explain what the trees go by.

    Parameters
    ----------
    real, other
        (N, K): statistics of photographs and of colorized images; ``real[i]`` and ``other[i]`` are
        a pair.
    names, groups
        Name and group of each of the K statistics.
    folds, seed
        As in `training.visual_turing_test.classifiers.cross_validate`.
    """
    group_of = np.array(groups)

    def told_by(columns: NDArray[np.bool_] | list[int]) -> float:
        answered = cross_validate(
            real[:, columns], other[:, columns], trees, folds=folds, seed=seed
        )
        said = np.concatenate([fold for _, fold in answered])
        return _larger(said[:, 0], said[:, 1])

    gains = fit_trees(real, other, seed).feature_importances_
    best = np.argsort(-gains, kind="stable")[:COUNT]
    return Explanation(
        tuple(
            Group(
                name,
                groups.count(name),
                told_by(group_of == name),
                told_by(group_of != name),
            )
            for name in dict.fromkeys(groups)
        ),
        tuple(
            Statistic(
                names[i],
                float(gains[i]),
                told_by([i]),
                float(np.median(real[:, i])),
                float(np.median(other[:, i])),
                _larger(real[:, i], other[:, i]),
            )
            for i in best
        ),
    )


def _larger(one: Array, two: Array) -> float:
    """Return the fraction in which the first value is larger. Ties count half."""
    return float(((one > two) + 0.5 * (one == two)).mean())

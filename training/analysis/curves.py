"""Read the results of trainings, data studies, films and visual tests as tables."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from training.photographs import DataError
from training.visual_turing_test.answers import FILE as ANSWERS
from training.visual_turing_test.answers import read_answers
from training.visual_turing_test.machine import FORMAT as MACHINE_FORMAT
from training.visual_turing_test.machine import RESULT as MACHINE
from training.visual_turing_test.summary import Row, count_answers, given_away


@dataclass(frozen=True)
class TrainingLog:
    """The log of a training.

    Attributes
    ----------
    name : str
        Name of the training's folder.
    table : pandas.DataFrame
        Columns ``train/…`` and ``validation/…``, indexed by step. NaN if a step has no value.
    """

    name: str
    table: pd.DataFrame

    def values(self, column: str) -> pd.Series:
        """Return the values of a column by step; empty if the column does not exist."""
        return self.table.get(column, pd.Series(dtype=float)).dropna()


def read_log(folder: Path) -> TrainingLog:
    """Read the log of a training. Parts from resumed runs are joined.

    Parameters
    ----------
    folder
        Folder given to ``training.train --out``.

    Raises
    ------
    DataError
        If the folder contains no log.
    """
    paths = sorted(folder.glob("log/from_*/metrics.csv"))
    if not paths:
        raise DataError(
            f"{folder} holds no log of a training (log/from_*/metrics.csv); give the --out folder "
            "of `python -m training.train`"
        )
    table = pd.DataFrame()
    for path in paths:
        try:
            part = pd.read_csv(path).groupby("step").first()
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path} cannot be read as a log of a training ({error})") from error
        # A resumed run repeats the steps after its checkpoint, so the earlier values are dropped.
        table = pd.concat([table[table.index < part.index.min()], part])
    return TrainingLog(folder.resolve().name, table.sort_index())


def read_json(path: Path, format: int, remedy: str) -> dict[str, Any]:
    """Read a JSON object and check the version of its format.

    Raises
    ------
    DataError
        If it cannot be read or has another format.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        version = found["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read ({error}); {remedy}") from error
    if version != format:
        raise DataError(f"expected format {format} in {path}, got {version}; {remedy}")
    return dict(found)


def read_scaling(folder: Path) -> tuple[pd.DataFrame, int]:
    """Read the table of ``training.scaling`` and the number of measured images.

    Raises
    ------
    DataError
        If the folder contains no such table.
    """
    about = read_json(folder / "scaling.json", 1, "give a folder of `python -m training.scaling`")
    return pd.DataFrame(about["rows"]), int(about["measured"])


@dataclass(frozen=True)
class Steadiness:
    """Results of ``training.temporal_consistency``.

    Attributes
    ----------
    about : mapping
        Content of ``temporal_consistency.json``.
    colors : pandas.DataFrame
        Content of ``color_over_time.csv``: source, way, point, frame, a, b.
    """

    about: Mapping[str, Any]
    colors: pd.DataFrame


def read_steadiness(folder: Path) -> Steadiness:
    """Read the results that ``training.temporal_consistency`` wrote to a folder.

    Raises
    ------
    DataError
        If they do not exist or cannot be read.
    """
    remedy = "give a folder of `python -m training.temporal_consistency`"
    about = read_json(folder / "temporal_consistency.json", 1, remedy)
    try:
        colors = pd.read_csv(folder / "color_over_time.csv")
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder / 'color_over_time.csv'} cannot be read ({error}); {remedy}"
        ) from error
    return Steadiness(about, colors)


@dataclass(frozen=True)
class Turing:
    """Results of people and classifiers in the visual Turing test.

    Attributes
    ----------
    rows : list of Row
        Results of observers; empty if there are no answers.
    images : pandas.DataFrame
        What gave each image away.
    machine : mapping or None
        Content of ``machine.json``.
    """

    rows: list[Row]
    images: pd.DataFrame
    machine: Mapping[str, Any] | None


def read_turing(folder: Path) -> Turing:
    """Read the answers and the classifiers' test in a folder of ``training.visual_turing_test``.

    Raises
    ------
    DataError
        If the folder contains neither, or a file cannot be read.
    """
    answers = read_answers(folder / ANSWERS)
    machine = None
    if (folder / MACHINE).exists():
        machine = read_json(
            folder / MACHINE,
            MACHINE_FORMAT,
            "run `python -m training.visual_turing_test machine` again",
        )
    if not answers and machine is None:
        raise DataError(
            f"{folder} holds neither answers ({ANSWERS}) nor a machine's test ({MACHINE}); give a "
            "folder of `python -m training.visual_turing_test`"
        )
    given = [{**asdict(one), **one.reasons} for one in given_away(answers)]
    rows = [row for row in count_answers(answers) if row.trials] if answers else []
    return Turing(rows, pd.DataFrame(given).drop(columns="reasons", errors="ignore"), machine)

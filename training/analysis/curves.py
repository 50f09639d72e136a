"""What trainings, studies of data, films and observers left behind, as tables."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from training.photographs import DataError
from training.visual_turing_test.answers import FILE as ANSWERS
from training.visual_turing_test.answers import read_answers
from training.visual_turing_test.machine import RESULT as MACHINE
from training.visual_turing_test.summary import Row, count_answers, given_away


@dataclass(frozen=True)
class TrainingLog:
    """The log of a training.

    Attributes
    ----------
    name : str
        Of its folder.
    table : pandas.DataFrame
        By step: columns ``train/…`` and ``validation/…``, NaN where a step has no value.
    """

    name: str
    table: pd.DataFrame

    def values(self, column: str) -> pd.Series:
        """The values of a column by step; empty where there is none."""
        return self.table.get(column, pd.Series(dtype=float)).dropna()


def read_log(folder: Path) -> TrainingLog:
    """The log of a training, put together where it was resumed.

    Parameters
    ----------
    folder
        That ``training.train --out`` was given.

    Raises
    ------
    DataError
        If there is no log in it.
    """
    paths = sorted(folder.glob("log/from_*/metrics.csv"))
    if not paths:
        raise DataError(
            f"{folder} holds no log of a training (log/from_*/metrics.csv); give the folder that "
            "`python -m training.train` was given by --out"
        )
    table = pd.DataFrame()
    for path in paths:
        try:
            part = pd.read_csv(path).groupby("step").first()
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path} cannot be read as a log of a training ({error})") from error
        # What a run had logged beyond the checkpoint that another resumed from was done again.
        table = pd.concat([table[table.index < part.index.min()], part])
    return TrainingLog(folder.resolve().name, table.sort_index())


def read_json(path: Path, format: int, remedy: str) -> dict[str, Any]:
    """A JSON object of a version of its layout.

    Raises
    ------
    DataError
        If it cannot be read or has another layout.
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
    """The table of ``training.scaling``, and how many images were measured.

    Raises
    ------
    DataError
        If the folder holds none.
    """
    about = read_json(folder / "scaling.json", 1, "give a folder of `python -m training.scaling`")
    return pd.DataFrame(about["rows"]), int(about["measured"])


@dataclass(frozen=True)
class Steadiness:
    """What ``training.temporal_consistency`` found.

    Attributes
    ----------
    about : mapping
        ``temporal_consistency.json``.
    colors : pandas.DataFrame
        ``color_over_time.csv``: source, way, point, frame, a, b.
    """

    about: Mapping[str, Any]
    colors: pd.DataFrame


def read_steadiness(folder: Path) -> Steadiness:
    """What ``training.temporal_consistency`` wrote into a folder.

    Raises
    ------
    DataError
        If it is not there.
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
    """What people and machines made of the visual Turing test.

    Attributes
    ----------
    rows : list of Row
        Of observers; empty where nobody has answered.
    images : pandas.DataFrame
        What gave each image away.
    machine : mapping or None
        ``machine.json``.
    """

    rows: list[Row]
    images: pd.DataFrame
    machine: Mapping[str, Any] | None


def read_turing(folder: Path) -> Turing:
    """The answers and the machine's test in a folder of ``training.visual_turing_test``.

    Raises
    ------
    DataError
        If there is neither, or it cannot be read.
    """
    answers = read_answers(folder / ANSWERS)
    machine = None
    if (folder / MACHINE).exists():
        machine = read_json(
            folder / MACHINE, 1, "run `python -m training.visual_turing_test machine` again"
        )
    if not answers and machine is None:
        raise DataError(
            f"{folder} holds neither answers ({ANSWERS}) nor a machine's test ({MACHINE}); give a "
            "folder of `python -m training.visual_turing_test`"
        )
    given = [{**asdict(one), **one.reasons} for one in given_away(answers)]
    rows = [row for row in count_answers(answers) if row.trials] if answers else []
    return Turing(rows, pd.DataFrame(given).drop(columns="reasons", errors="ignore"), machine)

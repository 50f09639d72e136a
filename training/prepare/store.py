"""Measures kept in one SQLite file, so that a second run measures only what is new or changed."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.prepare.errors import PrepareError
from training.prepare.measures import AB_CELLS, THUMBNAIL, VERSION, Measured, Measures
from training.prepare.pictures import Picture


@dataclass(frozen=True)
class Table:
    """The measures of many pictures as columns, in the order of `pictures`.

    Attributes
    ----------
    pictures : list of Picture
    columns : dict of str to ndarray
        One array of length ``n`` per field of `Measures`; the perceptual hashes are uint64.
    thumbnails : ndarray of uint8, shape (n, 16, 16, 3)
    ab_histograms : ndarray of float16, shape (n, 484)
    """

    pictures: list[Picture]
    columns: dict[str, NDArray[np.generic]]
    thumbnails: NDArray[np.uint8]
    ab_histograms: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, name: str) -> NDArray[np.generic]:
        return self.columns[name]


class MeasureStore:
    """A SQLite file with the measures of pictures, kept by where they lie and when they changed.

    Parameters
    ----------
    path : Path
        Created where it does not exist.

    Raises
    ------
    PrepareError
        The file cannot be opened or is no SQLite file.
    """

    def __init__(self, path: Path) -> None:
        database = None
        try:
            database = sqlite3.connect(path)
            database.execute(
                "CREATE TABLE IF NOT EXISTS measured (source TEXT, name TEXT, fingerprint TEXT,"
                " measures TEXT, thumbnail BLOB, ab_histogram BLOB, PRIMARY KEY (source, name))"
                " WITHOUT ROWID"
            )
        except sqlite3.DatabaseError as error:
            if database:
                database.close()
            raise PrepareError(
                f"{path} cannot be used ({error}): remove it, and the pictures are measured anew."
            ) from error
        self._database = database

    def __enter__(self) -> "MeasureStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def missing(self, pictures: Iterable[Picture]) -> list[Picture]:
        """Return those pictures that were never measured or have changed since."""
        known = {
            (source, name): fingerprint
            for source, name, fingerprint in self._database.execute(
                "SELECT source, name, fingerprint FROM measured"
            )
        }
        return [p for p in pictures if known.get((p.source, p.name)) != _fingerprint(p)]

    def add(self, measured: Iterable[Measured]) -> None:
        """Keep these measures; on the disk when the call returns."""
        with self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO measured VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (
                        m.picture.source,
                        m.picture.name,
                        _fingerprint(m.picture),
                        json.dumps(m.measures.as_dict()),
                        m.thumbnail.tobytes(),
                        m.ab_histogram.tobytes(),
                    )
                    for m in measured
                ),
            )

    def table(self, pictures: list[Picture]) -> Table:
        """Return the measures of these pictures, all of which must have been measured."""
        n = len(pictures)
        thumbnails = np.zeros((n, THUMBNAIL, THUMBNAIL, 3), np.uint8)
        ab_histograms = np.zeros((n, AB_CELLS), np.float16)
        rows: list[dict[str, object]] = []
        for i, picture in enumerate(pictures):
            measures, thumbnail, histogram = self._database.execute(
                "SELECT measures, thumbnail, ab_histogram FROM measured"
                " WHERE source = ? AND name = ?",
                (picture.source, picture.name),
            ).fetchone()
            rows.append(json.loads(measures))
            thumbnails[i].flat = np.frombuffer(thumbnail, np.uint8)
            ab_histograms[i] = np.frombuffer(histogram, np.float16)
        columns = {
            field.name: np.array(
                [row[field.name] for row in rows],
                dtype=np.uint64 if field.name.startswith("phash") else None,
            )
            for field in fields(Measures)
        }
        return Table(pictures, columns, thumbnails, ab_histograms)


def _fingerprint(picture: Picture) -> str:
    return f"{VERSION} {picture.size} {picture.stamp} {picture.offset}"

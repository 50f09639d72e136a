"""Store measures in one SQLite file, so that a later run measures only new or changed images."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.prepare.errors import PrepareError
from training.prepare.images import SourceImage
from training.prepare.measures import AB_CELLS, THUMBNAIL, VERSION, Measured, Measures


@dataclass(frozen=True)
class Table:
    """Measures of many images as columns, in the order of `images`.

    Attributes
    ----------
    images : list of SourceImage
    columns : dict of str to ndarray
        One array of length ``n`` for each field of `Measures`; perceptual hashes are uint64.
    thumbnails : ndarray of uint8, shape (n, 16, 16, 3)
    ab_histograms : ndarray of float16, shape (n, 484)
    """

    images: list[SourceImage]
    columns: dict[str, NDArray[np.generic]]
    thumbnails: NDArray[np.uint8]
    ab_histograms: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, name: str) -> NDArray[np.generic]:
        return self.columns[name]


class MeasureStore:
    """A SQLite file with measures of images, keyed by their location and modification time.

    Parameters
    ----------
    path : Path
        Created if it does not exist.

    Raises
    ------
    PrepareError
        If the file cannot be opened or is not a SQLite file.
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
                f"{path} cannot be used ({error}): remove it, and the images are measured again."
            ) from error
        self._database = database

    def __enter__(self) -> "MeasureStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def missing(self, images: Iterable[SourceImage]) -> list[SourceImage]:
        """Return the images that were never measured or have changed since."""
        known = {
            (source, name): fingerprint
            for source, name, fingerprint in self._database.execute(
                "SELECT source, name, fingerprint FROM measured"
            )
        }
        return [p for p in images if known.get((p.source, p.name)) != _fingerprint(p)]

    def add(self, measured: Iterable[Measured]) -> None:
        """Store these measures. They are on the disk when the call returns."""
        with self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO measured VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (
                        m.image.source,
                        m.image.name,
                        _fingerprint(m.image),
                        json.dumps(m.measures.as_dict()),
                        m.thumbnail.tobytes(),
                        m.ab_histogram.tobytes(),
                    )
                    for m in measured
                ),
            )

    def table(self, images: list[SourceImage]) -> Table:
        """Return the measures of these images. All of them must have been measured."""
        n = len(images)
        thumbnails = np.zeros((n, THUMBNAIL, THUMBNAIL, 3), np.uint8)
        ab_histograms = np.zeros((n, AB_CELLS), np.float16)
        rows: list[dict[str, object]] = []
        for i, image in enumerate(images):
            measures, thumbnail, histogram = self._database.execute(
                "SELECT measures, thumbnail, ab_histogram FROM measured"
                " WHERE source = ? AND name = ?",
                (image.source, image.name),
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
        return Table(images, columns, thumbnails, ab_histograms)


def _fingerprint(image: SourceImage) -> str:
    return f"{VERSION} {image.size} {image.stamp} {image.offset}"

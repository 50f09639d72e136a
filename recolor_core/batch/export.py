"""The manifest as a table for other programs: CSV or Parquet."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from recolor_core.batch.manifest import Manifest
from recolor_core.errors import ImageError, RecolorError
from recolor_core.files import AtomicFile, explained

_ROWS = 10_000  # that are written together

# Column and kind; files have one row per page, and one if no page is known.
_COLUMNS: tuple[tuple[str, type], ...] = (
    ("path", str),
    ("page", int),
    ("status", str),
    ("message", str),
    ("output", str),
    ("width", int),
    ("height", int),
    ("dtype", str),
    ("reading", str),
    ("page_uncertainty", float),
    ("uncertainty", float),
    ("exact_gray", bool),
    ("gray_sha256", str),
    ("source_sha256", str),
    ("output_sha256", str),
    ("size", int),
    ("modified_ns", int),
    ("output_size", int),
    ("output_modified_ns", int),
    ("pages", int),
    ("megapixels", float),
    ("seconds", float),
    ("attempts", int),
    ("weights", str),
    ("weights_sha256", str),
    ("parameters", str),
    ("version", str),
    ("device", str),
    ("warnings", str),
    ("finished", str),
)


def export_manifest(folder: Path, target: Path, *, overwrite: bool = False) -> int:
    """Write the manifest of an output folder as a table, one row per file and page.

    Parameters
    ----------
    folder : Path
        The output folder of a batch, which may be running.
    target : Path
        A file that ends in .csv or .parquet.
    overwrite : bool
        Whether a file that is there may be replaced.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    RecolorError
        If the ending is another one, or Parquet is asked for and pyarrow is not installed.
    """
    writers = {".csv": _write_csv, ".parquet": _write_parquet}
    write = writers.get(target.suffix.lower())
    if write is None:
        raise ImageError(
            f"{target}: expected a name that ends in .csv or .parquet, got {target.suffix!r}"
        )
    with (
        Manifest(folder) as manifest,
        AtomicFile(target, overwrite=overwrite) as output,
        explained(str(target)),
    ):
        return write(output, manifest.pages())


def _write_csv(output: AtomicFile, rows: Iterable[Mapping[str, Any]]) -> int:
    text = io.TextIOWrapper(output.file, "utf-8", "backslashreplace", newline="")
    writer = csv.DictWriter(text, [name for name, _ in _COLUMNS], extrasaction="ignore")
    writer.writeheader()
    count = 0
    for row in rows:
        writer.writerow(row)
        count += 1
    text.flush()
    text.detach()
    return count


def _write_parquet(output: AtomicFile, rows: Iterator[Mapping[str, Any]]) -> int:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise RecolorError(
            f"Parquet needs pyarrow, which cannot be imported ({error}); "
            'pip install "napari-recolor[parquet]", or name a .csv file'
        ) from error
    kinds: dict[type, Any] = {
        str: pyarrow.string(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        bool: pyarrow.bool_(),
    }
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in _COLUMNS])
    count = 0
    with parquet.ParquetWriter(output.file, schema, compression="zstd") as writer:
        while chunk := [_typed(row) for row in islice(rows, _ROWS)]:
            writer.write_table(pyarrow.Table.from_pylist(chunk, schema))
            count += len(chunk)
    return count


def _typed(row: Mapping[str, Any]) -> dict[str, Any]:
    def value(name: str, kind: type) -> Any:
        found = row[name]
        if found is None:
            return None
        if kind is str:  # a file's name need not be Unicode
            return found.encode("utf-8", "backslashreplace").decode()
        return kind(found)

    return {name: value(name, kind) for name, kind in _COLUMNS}

"""What a result says of how it was made, to go on from there; and which image comes next."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recolor_core.batch.tree import OWN, is_image_name
from recolor_core.hints import Mark


@dataclass(frozen=True)
class Recalled:
    """How a result was made.

    Parameters
    ----------
    result : Path
        The file.
    source : Path or None
        The image that it was made from; None if it is not known or not there any more.
    settings : dict
        By name, as `recolor_core.Settings` has them.
    palette : str
        Its colors, as the panel writes them.
    hints : list of Mark
        Of its first page.
    """

    result: Path
    source: Path | None
    settings: dict[str, Any]
    palette: str
    hints: list[Mark]

    def words(self) -> str:
        """Describe in a sentence what can come back."""
        count = len(self.hints)
        hints = f"{count} hint{'' if count == 1 else 's'}"
        return f"{self.result.name} was made with {hints}."


def find_result(path: Path) -> Path | None:
    """The result that belongs to an image file: itself, or one that lies beside it."""
    if OWN in path.name:
        return path
    for ending in (".tif", path.suffix, ".png"):
        beside = path.with_name(f"{path.stem}{OWN.rstrip('.')}{ending}")
        if beside.is_file():
            return beside
    return None


def find_next(path: Path) -> Path | None:
    """The image file that follows in the folder, by name; results of recolor are left out."""
    names = sorted(
        one.name for one in path.parent.iterdir() if is_image_name(one.name) and OWN not in one.name
    )
    return next((path.with_name(name) for name in names if name > path.name), None)


def recall(engine: object, result: Path) -> Iterator[Recalled | None]:
    """Read how a result was made.

    Parameters
    ----------
    engine : object
        Is not used: the queue of jobs gives it to each.
    result : Path
        The file.

    Yields
    ------
    Recalled or None
        None if Recolor did not make the file.
    """
    from recolor_core.batch.result import read_records
    from recolor_core.hints.files import read_mark

    records = read_records(result)
    if not records:
        yield None
        return
    record = records[0]
    yield Recalled(
        result,
        _source(record, result),
        dict(record.get("settings", {})),
        ",".join(record.get("palette_colors", ())),
        [read_mark(entry) for entry in record.get("hints", ())],
    )


def _source(record: Mapping[str, Any], result: Path) -> Path | None:
    about = record.get("source")
    told = about.get("path") if isinstance(about, Mapping) else None
    if told and Path(told).is_file():
        return Path(told)
    stem = result.name.partition(OWN)[0]
    beside = (
        one
        for one in sorted(result.parent.glob(f"{stem}.*"))
        if is_image_name(one.name) and OWN not in one.name
    )
    return next(beside, None)

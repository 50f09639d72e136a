"""What a result says of how it was made, to go on from there; and which image comes next."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_recolor.runs.wishes import ColorImage, Draw, Part, Wishes
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
    wishes : Wishes
        Its references, the image that it took its color from, and its alternatives.
    missing : tuple of str
        The names of those images that are not found any more.
    """

    result: Path
    source: Path | None
    settings: dict[str, Any]
    palette: str
    hints: list[Mark]
    wishes: Wishes = field(default_factory=Wishes)
    missing: tuple[str, ...] = ()

    def words(self) -> str:
        """Describe in sentences what can come back, and what cannot."""
        wishes = self.wishes
        told = [_counted(len(self.hints), "hint")]
        if wishes.references:
            told.append(_counted(len(wishes.references), "reference"))
        if wishes.color_from is not None:
            told.append(f"the color of {wishes.color_from.name}")
        if wishes.draw.number:
            told.append(f"alternative {wishes.draw.number}")
        if wishes.parts:
            told.append(_counted(len(wishes.parts), "region") + " of other alternatives")
        *rest, last = told
        listed = f"{', '.join(rest)} and {last}" if rest else last
        lost = f" Not found any more: {', '.join(self.missing)}." if self.missing else ""
        return f"{self.result.name} was made with {listed}.{lost}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


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
    record, source = records[0], _source(records[0], result)
    folders = [result.parent, *([source.parent] if source else [])]
    wishes, missing = read_wishes(record, folders)
    settings = dict(record.get("settings", {}))
    if wishes.draw.number or wishes.parts:
        settings.pop("alternatives", None)  # they were drawn to choose from
    yield Recalled(
        result,
        source,
        settings,
        ",".join(record.get("palette_colors", ())),
        [read_mark(entry) for entry in record.get("hints", ())],
        wishes,
        tuple(missing),
    )


def read_wishes(record: Mapping[str, Any], folders: Sequence[Path]) -> tuple[Wishes, list[str]]:
    """Read which images a result took colors from, and which alternatives.

    Parameters
    ----------
    record : mapping
        How the result was made. It names images, and has the SHA-256 of each.
    folders : sequence of Path
        Where the images are looked for.

    Returns
    -------
    Wishes
        Without the images that are not found.
    list of str
        The names of these images, such as those of layers, which are in no file.
    """
    told = record.get("wishes") or _told_by_command(record)
    missing: list[str] = []

    def find(image: Mapping[str, Any]) -> list[ColorImage]:
        places = (folder / Path(image["name"]).name for folder in folders)
        found = next((place for place in places if _holds(place, image.get("sha256"))), None)
        if found is None:
            missing.append(image["name"])
            return []
        return [ColorImage(found.name, str(found))]

    references = [one for image in told.get("references", ()) for one in find(image)]
    color_from = find(told["color_from"]) if "color_from" in told else []
    wishes = Wishes(
        tuple(references),
        color_from[0] if color_from else None,
        Draw(**told.get("draw", {})),
        tuple(map(_part, told.get("parts", ()))),
    )
    return wishes, missing


def _holds(place: Path, sha256: str | None) -> bool:
    """Whether a place is the file that has this SHA-256, if it is known."""
    from recolor_core.files import sha256_of

    return place.is_file() and (not sha256 or sha256_of(place) == sha256)


def _told_by_command(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the record of the command tells, as `Wishes.record` does."""
    told: dict[str, Any] = {"references": record.get("references") or ()}
    sources = (record.get("color_from") or {}).get("sources")
    if sources:
        told["color_from"] = sources[0]
    if record.get("alternative"):
        told["draw"] = {
            "count": record["settings"]["alternatives"],
            "seed": record.get("seed", 0),
            "number": record["alternative"],
        }
    return told


def _part(entry: Mapping[str, Any]) -> Part:
    from recolor_core.hints.files import read_mark

    region: Any = read_mark({**entry["region"], "kind": "keep"})
    draw = Draw(**{name: entry[name] for name in ("count", "seed", "number")})
    return Part(region, draw, entry["limited"])


def _source(record: Mapping[str, Any], result: Path) -> Path | None:
    name = record.get("source")
    if isinstance(name, str) and name and (result.parent / Path(name).name).is_file():
        return result.parent / Path(name).name
    stem = result.name.partition(OWN)[0]
    beside = (
        one
        for one in sorted(result.parent.glob(f"{stem}.*"))
        if is_image_name(one.name) and OWN not in one.name
    )
    return next(beside, None)

"""The command ``recolor weights``."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from recolor_core.cli.app import make_app

if TYPE_CHECKING:
    from recolor_core.weights import WeightsRecord

QUALITY = {
    "psnr_db": "PSNR {:.2f} dB",
    "ciede2000": "CIEDE2000 {:.2f}",
    "colorfulness_ratio": "{:.2f} of the colorfulness of photographs",
}
"""The metrics of a record that the list shows, and the words for each."""


def show_weights(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show everything known about these.")
    ] = None,
    fetch: Annotated[
        str | None, typer.Option(metavar="NAME", help="Download these and check their SHA-256.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the weights that have a name: what each may be used for, and how good it is."""
    from recolor_core.weights import USES, fetch_weights, list_weights, load_weights

    if fetch:
        print(fetch_weights(fetch, progress=sys.stderr.isatty()))
        return
    known = list_weights()
    records = [record for record in known if name in (None, record.name)]
    if name and not records:
        records = [load_weights(name).record]  # a file; or the error that says what there is
    if as_json:
        print(json.dumps([asdict(record) for record in records], indent=2))
    elif name:
        for key, value in asdict(records[0]).items():
            if isinstance(value, dict):
                value = ", ".join(f"{k} {v:g}" for k, v in value.items())
            if key == "use":
                value = f"{value}: {USES.get(value, value)}"
            print(f"{key.replace('_', ' '):16} {value or '-'}")
        if records[0] in known[1:]:
            print(f"{'quality':16} {_quality(records[0], known[0])}")
    else:
        for record in records:
            where = "installed" if record.bundled else f"`recolor weights --fetch {record.name}`"
            print(f"{record.name}  {where}  use: {record.use} ({USES[record.use]})")
            print(f"  {record.license}")
            print(f"  {_quality(record, known[0])}")


def _quality(record: "WeightsRecord", reference: "WeightsRecord") -> str:
    """Say how good weights are, and how much better or worse than the reference."""
    found = []
    for name, words in QUALITY.items():
        if name not in record.metrics:
            continue
        text = words.format(record.metrics[name])
        if record.name != reference.name and name in reference.metrics:
            change = record.metrics[name] - reference.metrics[name]
            text += f" ({change:+.2f} against {reference.name})"
        found.append(text)
    return ", ".join(found) or "not measured"


app = make_app(show_weights)

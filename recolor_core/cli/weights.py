"""The command ``recolor weights``."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from recolor_core.cli.app import make_app


def show_weights(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show everything known about these.")
    ] = None,
    fetch: Annotated[
        str | None, typer.Option(metavar="NAME", help="Download these and check their SHA-256.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the weights that have a name, and what each may be used for."""
    from recolor_core.weights import fetch_weights, list_weights, load_weights

    if fetch:
        print(fetch_weights(fetch, progress=sys.stderr.isatty()))
        return
    records = [record for record in list_weights() if name in (None, record.name)]
    if name and not records:
        records = [load_weights(name).record]  # a file; or the error that says what there is
    if as_json:
        print(json.dumps([asdict(record) for record in records], indent=2))
    elif name:
        for key, value in asdict(records[0]).items():
            if isinstance(value, dict):
                value = ", ".join(f"{k} {v:g}" for k, v in value.items())
            print(f"{key.replace('_', ' '):16} {value or '-'}")
    else:
        width = max(len(record.name) for record in records)
        for record in records:
            where = "installed" if record.bundled else f"`recolor weights --fetch {record.name}`"
            print(f"{record.name:{width}}  {where}  use: {record.use}  {record.license}")


app = make_app(show_weights)

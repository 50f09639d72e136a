"""Makes a command of a function."""

from collections.abc import Callable
from typing import Any

import typer


def make_app(function: Callable[..., Any]) -> typer.Typer:
    """The command whose options are the parameters of a function."""
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command()(function)
    return app

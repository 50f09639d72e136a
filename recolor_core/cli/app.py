"""Makes a command of a function."""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

from recolor_core.errors import RecolorError

# Typer has click's exceptions, either click's own or a copy of them, depending on its version.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class _Command(TyperCommand):
    """A command that reports errors of usage on one line, as all other errors."""

    def make_context(self, info_name: str | None, *args: Any, **kwargs: Any) -> Any:
        """Parse the words of a call.

        Raises
        ------
        RecolorError
            If the words are not a call of the command.
        """
        try:
            return super().make_context(info_name, *args, **kwargs)
        except _UsageError as error:
            message = error.format_message().rstrip(".")  # type: ignore[attr-defined]
            raise RecolorError(f"{message}; see {info_name} -h") from error


def make_app(function: Callable[..., Any]) -> typer.Typer:
    """The command whose options are the parameters of a function."""
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command(cls=_Command)(function)
    return app

"""Makes a command of a function."""

from collections.abc import Callable, Sequence
from typing import Any

import typer
from typer.core import TyperCommand

from recolor_core.errors import RecolorError

# Typer has click's exceptions, either click's own or a copy of them, depending on its version.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class _Command(TyperCommand):
    """A command that reports errors of usage on one line, as all other errors."""

    def make_context(
        self, info_name: str | None, args: list[str], *others: Any, **kwargs: Any
    ) -> Any:
        """Parse the words of a call.

        Raises
        ------
        RecolorError
            If the words are not a call of the command, or one of them is empty.
        """
        _refuse_empty(args)
        try:
            return super().make_context(info_name, args, *others, **kwargs)
        except _UsageError as error:
            message = error.format_message().rstrip(".")  # type: ignore[attr-defined]
            raise RecolorError(f"{message}; see {info_name} -h") from error


def _refuse_empty(words: Sequence[str]) -> None:
    """Refuse empty words: they come from variables that are not set, and would have no effect."""
    for before, word in zip(["", *words], words, strict=False):
        option = before if word == "" else word.removesuffix("=")
        if word and not (word.startswith("--") and word.endswith("=")):
            continue
        if option.startswith("-") and option != "-":
            raise RecolorError(
                f"expected a value for {option}, got an empty one; give one, or leave {option} out"
            )
        raise RecolorError("expected the name of a file, got an empty one; give one")


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

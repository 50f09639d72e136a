"""Checks of the types of arguments, so that a wrong one is named where it is passed."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from recolor_core.errors import ImageError, RecolorError

_SHORT = 40  # characters of a value that an error quotes


def expect(
    name: str,
    value: object,
    kind: Any,
    words: str,
    error: type[RecolorError] = ImageError,
) -> None:
    """Refuse an argument of the wrong type.

    Parameters
    ----------
    name : str
        The name of the parameter.
    value : object
        The argument.
    kind : type, tuple of type or union
        What it may be an instance of.
    words : str
        What is expected and, after a semicolon, the remedy if it is not obvious.
    error : type
        The error to raise.

    Raises
    ------
    RecolorError
        If the argument is not an instance of `kind`.
    """
    if not isinstance(value, kind):
        expected, _, remedy = words.partition("; ")
        got = f"expected {name} as {expected}, got {described(value)}"
        raise error(f"{got}; {remedy}" if remedy else got)


def expect_all(
    name: str,
    values: object,
    kind: Any,
    words: str,
    error: type[RecolorError] = ImageError,
) -> None:
    """Refuse an argument that is not a sequence, or that has an item of the wrong type.

    The parameters and errors are those of `expect`; `kind` is the type of the items.
    """
    expect(name, values, Sequence, words, error)
    assert isinstance(values, Sequence)
    if isinstance(values, str):
        expect(name, values, (), words, error)
    for value in values:
        expect(f"each of {name}", value, kind, words.removeprefix("a list of "), error)


def is_whole(value: object) -> bool:
    """Whether a value is a whole number of any kind, and not True or False."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def described(value: Any) -> str:
    """A value in an error: short ones as they are, others by their type."""
    text = repr(value)
    plain = value is None or isinstance(value, str | int | float | bool)
    return text if plain and len(text) <= _SHORT else f"an object of type {type(value).__name__}"

"""What became of a result that was turned back into gray."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Restoration:
    """What became of a result that was turned back.

    Parameters
    ----------
    output, target : str
        The result, and the gray image or film that was made of it.
    pages : int
        Number of pages or frames.
    exact : bool
        Whether the gray codes are those of the source, at every pixel.
    notes : tuple of str
        In what the gray image or film differs from the source.
    """

    output: str
    target: str
    pages: int
    exact: bool
    notes: tuple[str, ...]

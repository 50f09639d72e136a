"""Words of messages."""


def counted(number: int, noun: str) -> str:
    """Write a number and a noun, which is singular only after 1.

    Parameters
    ----------
    number : int
        How many.
    noun : str
        In the singular; its plural has an "s".

    Returns
    -------
    str
        Such as "1 frame" or "1,200 frames".
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

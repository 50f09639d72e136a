"""Messages of the library in the words of the command."""

import re

from recolor_core.batch.outcome import one_line
from recolor_core.settings import FilmSettings, Settings, list_settings

# The library names its parameters; who reads the command's messages knows its options.
_WORDS = (
    *(
        # As `Setting.convert` begins its errors.
        (rf"\bexpected {setting.name} (from|as)\b", rf"expected --{setting.option} \1")
        for kind in (Settings, FilmSettings)
        for setting in list_settings(kind)
    ),
    (r"\bexpected a (runtime|device) \(([^)]*)\)", r"expected --\1 as one of \2"),
    (r"\bexpected a GPU below", "expected --device as a GPU below"),
    (r"(?<=; )use one of these, or 'auto'", "use one of these, or auto, as --device"),
    (r"pass overwrite=True to (renew|replace) it", r"--overwrite \1s it"),
    (r"name another output", "name another with -o"),
    (r"name (the output|it) yourself, shorter", "name it yourself with -o, shorter"),
    (r"name the output yourself", "name it yourself with -o"),
    (r"expected color_from or alternatives", "expected --color-from, or --alternatives or --take"),
    (r"ask for alternatives=6", "add --alternatives 6"),
    (r"\bmax_pixels\b(?!=)", "--max-pixels"),
    (r'(pass )?levels=\(low, high\), or levels="auto"', "--levels LOW,HIGH, or --levels auto"),
    (r"with levels=\(low, high\)", "with --levels LOW,HIGH"),
    (r"(pass )?levels=\(low, high\)", "--levels LOW,HIGH"),
    (r"levels=\((\d+), (\d+)\)", r"--levels \1,\2"),
    (r'levels="auto"', "--levels auto"),
    (r"extract its frames as images( first)?", "colorize it with: recolor film IN OUT"),
    (r"recolor_core\.list_weights(\(\))?", "recolor weights"),
)


def in_words_of_command(message: object) -> str:
    """A message on one line that names options instead of parameters.

    Parameters
    ----------
    message : object
        An error or its text.
    """
    text = one_line(message)
    for pattern, words in _WORDS:
        text = re.sub(pattern, words, text)
    return text


def in_words_of_film(message: object) -> str:
    """The same for ``recolor film``, whose output is an argument and not an option.

    Parameters
    ----------
    message : object
        An error or its text.
    """
    text = in_words_of_command(message)
    return text.replace("name another with -o", "name another OUT").replace(
        "name it yourself with -o", "name OUT yourself"
    )


def in_words_of_batch(message: object) -> str:
    """The same for ``recolor batch``, which has no --overwrite.

    Parameters
    ----------
    message : object
        An error or its text.
    """
    text = in_words_of_command(message)
    text = text.replace(
        "--overwrite renews it, or name another with -o", "--on-changed redo renews it"
    )
    return text.replace("--overwrite replaces it, or name another with -o", "move it away")

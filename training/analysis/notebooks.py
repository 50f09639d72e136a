"""Notebooks that show the way from images to charts, executed where they are written."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

from recolor_core.files import replacing
from training.analysis.page import digest, digest_code
from training.photographs import DataError

_ROOT = Path(__file__).parents[2]
_SECONDS = 600  # in which a cell has to be done

Cells = Sequence[tuple[str, str]]
"""Text in Markdown and the code below it; either may be empty."""

SPATIAL: Cells = (
    (
        "# Color over the place in the image\n\n"
        "Every kept photograph, averaged to a grid of 56 × 56 cells. The functions are those of "
        "the report; open this notebook from a checkout of Recolor to run it again.",
        "import numpy as np\n\n"
        "from training.analysis import spatial\n"
        "from training.analysis.charts import spatial as charts\n\n"
        'sample = np.load("sample.npz")\n'
        'codes, histograms, names = sample["codes"], sample["histograms"], sample["names"]\n'
        "codes.shape",
    ),
    (
        "## Where in the image\n\nLand lies below, sky above: what a network may learn from "
        "the place alone.",
        "maps = spatial.position_maps(codes)\ncharts.position_means(maps)",
    ),
    ("", "charts.position_hues(maps)"),
    (
        "## What lightness tells of color\n\nIf it told all, a curve would do instead of a "
        "network.",
        "correlation = spatial.lightness_correlation(codes)\ncharts.lightness_levels(correlation)",
    ),
    ("", "charts.lightness_places(correlation)"),
    (
        "## Which colors there are",
        "distribution = spatial.color_distribution(codes)\ncharts.ab_distribution(distribution)",
    ),
    (
        "## How images group by color",
        "palettes = spatial.palettes(histograms)\ncharts.components(palettes)",
    ),
    ("", "charts.scatter(palettes)"),
    ("", "charts.groups(palettes, codes, names)"),
)

TEMPORAL: Cells = (
    (
        "# Color over the frames of a stack\n\n"
        "Every frame, averaged to a grid of 56 × 56 cells. The functions are those of the report; "
        "open this notebook from a checkout of Recolor to run it again.",
        "import numpy as np\n\n"
        "from training.analysis import temporal\n"
        "from training.analysis.charts import temporal as charts\n\n"
        'saved = np.load("stack.npz")\n'
        'stack = temporal.Stack(str(saved["name"]), saved["codes"])\n'
        "charts.strip(stack)",
    ),
    (
        "## Trend, period, rest",
        "means = stack.means()\ncharts.decomposition(temporal.decompose(means))",
    ),
    ("## What moves together", "charts.modes(temporal.modes(stack))"),
    (
        "## How long color remembers",
        "charts.lags(temporal.lagged_correlation(stack), len(means))",
    ),
    (
        "## What the last frames tell of the next\n\nAn autoregression has to beat persistence "
        "to be worth anything.",
        "found = [temporal.autoregress(means[:, i], name) for i, name in ((1, 'a*'), (2, 'b*'))]\n"
        "charts.autoregression(means, found)",
    ),
)


def write_notebook(path: Path, cells: Cells, inputs: str) -> bool:
    """Write a notebook and execute it, in its folder and with this interpreter.

    Parameters
    ----------
    path, cells
        Where, and what.
    inputs
        Digest of what it reads: where neither that nor the code has changed, it is left alone.

    Returns
    -------
    bool
        Whether it was executed.

    Raises
    ------
    DataError
        If a cell fails; nothing is written then.
    """
    key = digest(digest_code(), cells, inputs)
    if _key(path) == key:
        return False
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["recolor"] = {"key": key}
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    for number, (text, code) in enumerate(cells):
        # Names that stay what they are from run to run: a diff shows what changed.
        if text:
            notebook.cells.append(nbformat.v4.new_markdown_cell(text, id=f"text-{number}"))
        if code:
            notebook.cells.append(nbformat.v4.new_code_cell(code, id=f"code-{number}"))
    resources = {"metadata": {"path": str(path.parent)}}
    # Encrypted, since other users of this machine could listen to its TCP ports.
    config = Config({"KernelManager": {"transport_encryption": "auto"}})
    client = NotebookClient(
        notebook,
        config=config,
        kernel_name="python3",
        timeout=_SECONDS,
        startup_timeout=_SECONDS,
        resources=resources,
    )
    search = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH", "")])]
    try:
        client.execute(env={**os.environ, "PYTHONPATH": os.pathsep.join(search)})
    except CellExecutionError as error:
        raise DataError(
            f"{path.name} could not be executed ({error.ename}: {error.evalue}); run it in Jupyter "
            f"with {sys.executable} to see where"
        ) from error
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day
    with replacing(path) as part:
        nbformat.write(notebook, part)
    return True


def _key(path: Path) -> str | None:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["metadata"]["recolor"]["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None

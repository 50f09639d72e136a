"""Write and execute notebooks that lead from images to charts."""

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
_SECONDS = 600  # time limit for a cell

Cells = Sequence[tuple[str, str]]
"""Pairs of Markdown text and the code below it. Either may be empty."""

SPATIAL: Cells = (
    (
        "# Color by position in the image\n\n"
        "Each kept photograph is averaged to a grid of 56 × 56 cells. The functions are the same "
        "as in the report. To run this notebook again, open it from a checkout of Recolor.",
        "import numpy as np\n\n"
        "from training.analysis import spatial\n"
        "from training.analysis.charts import spatial as charts\n\n"
        'sample = np.load("sample.npz")\n'
        'codes, histograms, names = sample["codes"], sample["histograms"], sample["names"]\n'
        "codes.shape",
    ),
    (
        "## Position in the image\n\nLand is below and sky is above: a network can learn this "
        "from position alone.",
        "maps = spatial.position_maps(codes)\ncharts.position_means(maps)",
    ),
    ("", "charts.position_hues(maps)"),
    (
        "## Lightness and color\n\nIf lightness determined color, a curve could replace the "
        "network.",
        "correlation = spatial.lightness_correlation(codes)\ncharts.lightness_levels(correlation)",
    ),
    ("", "charts.lightness_places(correlation)"),
    (
        "## Distribution of colors",
        "distribution = spatial.color_distribution(codes)\ncharts.ab_distribution(distribution)",
    ),
    (
        "## Groups of images by color",
        "palettes = spatial.palettes(histograms)\ncharts.components(palettes)",
    ),
    ("", "charts.scatter(palettes)"),
    ("", "charts.groups(palettes, codes, names)"),
)

TEMPORAL: Cells = (
    (
        "# Color over the frames of a stack\n\n"
        "Each frame is averaged to a grid of 56 × 56 cells. The functions are the same as in the "
        "report. To run this notebook again, open it from a checkout of Recolor.",
        "import numpy as np\n\n"
        "from training.analysis import temporal\n"
        "from training.analysis.charts import temporal as charts\n\n"
        'saved = np.load("stack.npz")\n'
        'stack = temporal.Stack(str(saved["name"]), saved["codes"])\n'
        "charts.strip(stack)",
    ),
    (
        "## Trend, period and residual",
        "means = stack.means()\ncharts.decomposition(temporal.decompose(means))",
    ),
    ("## Regions that change together", "charts.modes(temporal.modes(stack))"),
    (
        "## Correlation over time",
        "charts.lags(temporal.lagged_correlation(stack), len(means))",
    ),
    (
        "## Prediction from the last frames\n\nAn autoregression is useful only if its error is "
        "below that of persistence.",
        "found = [temporal.autoregress(means[:, i], name) for i, name in ((1, 'a*'), (2, 'b*'))]\n"
        "charts.autoregression(means, found)",
    ),
)


def write_notebook(path: Path, cells: Cells, inputs: str) -> bool:
    """Write a notebook and execute it in its folder with this interpreter.

    Parameters
    ----------
    path, cells
        Path and content of the notebook.
    inputs
        Digest of the input data. If neither it nor the code has changed, the notebook is kept.

    Returns
    -------
    bool
        Whether the notebook was executed.

    Raises
    ------
    DataError
        If a cell fails. Nothing is written then.
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
        # Stable cell names keep diffs between runs small.
        if text:
            notebook.cells.append(nbformat.v4.new_markdown_cell(text, id=f"text-{number}"))
        if code:
            notebook.cells.append(nbformat.v4.new_code_cell(code, id=f"code-{number}"))
    resources = {"metadata": {"path": str(path.parent)}}
    # Use encryption, because other users of this machine could listen to the TCP ports.
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
        cell.metadata.pop("execution", None)  # contains times of day
    with replacing(path) as part:
        nbformat.write(notebook, part)
    return True


def _key(path: Path) -> str | None:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["metadata"]["recolor"]["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None

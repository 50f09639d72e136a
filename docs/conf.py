"""Configuration of the documentation site; `make docs` builds it with warnings as errors."""

import os
import subprocess
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from sphinx.application import Sphinx

from recolor_core.cli import COMMANDS
from recolor_core.cli.batch import COMMANDS as BATCH_COMMANDS

project = "Recolor"
author = "The Recolor developers"
copyright = "The Recolor developers"
release = version = installed_version("napari-recolor")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery", "reference/generated/options.md"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
root_doc = "index"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's Parameters sections name the types
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "show_memory": False,
    "download_all_examples": False,
    "remove_config_comments": True,
    "min_reported_time": 10,
}

html_theme = "pydata_sphinx_theme"
html_title = "Recolor"
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["recolor.css"]
html_theme_options = {
    "navbar_align": "left",
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 7,
    "pygments_light_style": "tango",
}
html_show_sourcelink = False
# The build needs no network: the theme's fonts and scripts come with its package.
suppress_warnings = ["config.cache"]


def write_options(app: Sphinx) -> None:
    """Write what each ``--help`` prints, so that the reference cannot fall behind the command."""
    env = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    program = [sys.executable, "-c", "from recolor_core.cli import main; main()"]
    sections = []
    names = [*COMMANDS, *(f"batch {name}" for name in BATCH_COMMANDS)]
    for name in sorted(names):
        result = subprocess.run(
            [*program, *name.split(), "--help"],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=env,
            check=True,
        )
        lines = [line.rstrip() for line in result.stdout.strip().splitlines()]
        sections.append("\n".join([f"## `{f'recolor {name}'.strip()}`", "```text", *lines, "```"]))
    path = Path(__file__).parent / "reference" / "generated" / "options.md"
    path.parent.mkdir(exist_ok=True)
    text = "\n\n".join(sections) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def write_directing(app: Sphinx) -> None:
    """Make the images of directing.md, so that its five steps work as the page shows them."""
    docs = Path(__file__).parent
    command = [sys.executable, str(docs.parent / "tools" / "directing.py"), str(docs / "directing")]
    subprocess.run(command, check=True)


def setup(app: Sphinx) -> None:
    """Register what this file adds to the build."""
    app.connect("builder-inited", write_directing)
    app.connect("builder-inited", write_options)

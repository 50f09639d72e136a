"""Configuration of the documentation site; `make docs` builds it with warnings as errors."""

import os
import subprocess
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent

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
exclude_patterns = ["_build", "gallery"]
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


def write_command_help(app: Sphinx) -> None:
    """Write what each ``--help`` prints, so that the reference cannot fall behind the command."""
    folder = HERE / "reference" / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    env = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    for name, words in COMMANDS.items():
        result = subprocess.run(
            [sys.executable, "-c", "from recolor_core.cli import main; main()", *words, "--help"],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=env,
            check=True,
        )
        text = "\n".join(line.rstrip() for line in result.stdout.splitlines()).strip()
        path = folder / f"{name}.txt"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


COMMANDS = {"recolor": [], "film": ["film"], "info": ["info"], "weights": ["weights"]}


def setup(app: Sphinx) -> None:
    """Register what this file adds to the build."""
    app.connect("builder-inited", write_command_help)

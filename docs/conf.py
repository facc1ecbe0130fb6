"""The documentation's settings: ``python -m sphinx -W -n -b html docs docs/_build/html``."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import mnist
import tables

import mlpx
from mlpx.bench.gpu.page import write_gpu
from mlpx.bench.page import write_page
from mlpx.bench.results import load_folder

# another folder by MLPX_DOCS_RESULTS, for looking at results before they are committed
RESULTS = os.environ.get("MLPX_DOCS_RESULTS", Path(__file__).parents[1] / "benchmarks" / "results")

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "mlpx"
author = "The mlpx developers"
copyright = "The mlpx developers"
version = release = mlpx.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
    "source_beside",
]
exclude_patterns = ["_build", "_extensions", "_measurements", "examples"]
myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["config.cache"]

# A docstring's `name` is a link where mlpx documents it, else it is set as code.
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [
    ("py:obj", r"(?!mlpx\.).*"),  # arguments and words; a name written mlpx.… must be documented
    ("(std:)?term", ".*"),  # of scikit-learn's glossary, in what estimators inherit
]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types, shapes and units
autodoc_class_signature = "mixed"
autosummary_generate = False
numpydoc_class_members_toctree = False
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "min_reported_time": 1,
    "remove_config_comments": True,
    "show_signature": False,
    "write_computation_times": False,
    "matplotlib_animations": False,
    "image_srcset": ["2x"],
}

html_theme = "pydata_sphinx_theme"
html_title = "mlpx"
html_static_path = ["_static"]
html_css_files = ["mlpx.css"]
html_show_sourcelink = False
# pages without a section of their own have nothing to show at the left
html_sidebars = {
    page: []
    for page in (
        "quickstart",
        "worked-example",
        "differences",
        "random-numbers",
        "measurements",
        "tables-measured",
        "limitations",
    )
}
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
if "MLPX_DOCS_MATHJAX" in os.environ:  # a local copy, for looking at the pages without a network
    mathjax_path = os.environ["MLPX_DOCS_MATHJAX"]


def fill_measurements(app, docname, source):
    """Put tables and pictures of the committed results where the page asks for them."""
    if docname == "measurements":
        folder = Path(app.srcdir) / "_measurements"
        text = write_page(load_folder(RESULTS), folder, "_measurements")
        source[0] = source[0].replace("<!-- results -->", text)
        source[0] = source[0].replace("<!-- GPU results -->", write_gpu(Path(RESULTS) / "gpu"))
        source[0] = source[0].replace("<!-- MNIST results -->", mnist.table(Path(RESULTS) / "accuracy" / "mnist.json"))
    if docname == "tables-measured":
        source[0] = source[0].replace("<!-- tables results -->", tables.page(Path(RESULTS) / "tables"))


def always_read_measurements(app, env, added, changed, removed):
    """Let new results be seen where the page itself has not changed."""
    return ["measurements", "tables-measured"]


def setup(app):
    """Connect the page "Measurements" with the results."""
    app.connect("source-read", fill_measurements)
    app.connect("env-get-outdated", always_read_measurements)

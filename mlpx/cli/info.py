"""``mlpx info``: the backends of this machine, or what is in a model file."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import numpy as np

import mlpx
from mlpx.cli import models
from mlpx.cli.console import listed, say, say_fields, say_table
from mlpx.tables import CategoryColumn, NumberColumn, Preprocessing

if TYPE_CHECKING:
    import argparse


def run(options: argparse.Namespace) -> None:
    """Write what is installed, or what a file holds."""
    if options.model is None:
        say_backends()
    else:
        say_model(options.model)


def say_backends() -> None:
    """Write versions, and the table of backends with the one in use marked."""
    say(f"mlpx {mlpx.__version__}, Python {platform.python_version()}, NumPy {np.__version__}")
    say()
    current = mlpx.get_backend().name
    backends = mlpx.available_backends()
    say_table(
        [
            ("  backend", "version", "device"),
            *(
                (f"{'*' if item.name == current else ' '} {item.name}", item.version or "-", item.device or "-")
                for item in backends
            ),
        ]
    )
    missing = [item for item in backends if not item.available]
    say()
    say("* in use; another with `--backend`, or MLPX_BACKEND in the environment")
    if missing:
        say()
        say_fields((item.name, f"{item.reason}: {item.install}") for item in missing)


def say_model(path: str) -> None:
    """Write what is in a model file."""
    net, preprocessing = models.load(path, None, None)
    say_fields(
        [
            ("model", path),
            ("network", models.describe(net)),
            ("classes", listed(list(net.classes)) if net.classes is not None else ""),
            *(describe_columns(preprocessing) if preprocessing else [("columns", "no description is stored")]),
        ]
    )


def describe_columns(preprocessing: Preprocessing) -> list[tuple[str, str]]:
    """Tell the columns that the model reads and the one that it predicts."""
    numbers = [column.name for column in preprocessing.columns if isinstance(column, NumberColumn)]
    categories = [column.name for column in preprocessing.columns if isinstance(column, CategoryColumn)]
    return [
        ("target", f"{preprocessing.target.name} ({preprocessing.task})"),
        ("numbers", f"{len(numbers)}: {listed(numbers)}" if numbers else ""),
        ("categories", f"{len(categories)}: {listed(categories)}" if categories else ""),
        ("left out", listed([f"{column.name} ({column.reason})" for column in preprocessing.left_out])),
    ]

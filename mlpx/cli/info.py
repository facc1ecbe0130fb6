"""``mlpx info``: the backends of this machine, or what is in a model file."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING

import numpy as np

import mlpx
from mlpx.cli import describe, models
from mlpx.cli.console import listed, say, say_fields, say_table, say_wrapped

if TYPE_CHECKING:
    import argparse


def run(options: argparse.Namespace) -> None:
    """Write what is installed, or what a file holds."""
    if options.model is None:
        say_backends()
    else:
        say_model(options.model)


def say_backends() -> None:
    """Write versions, and the table of backends with the one in use marked; then what is wrong with the choice."""
    say_wrapped(f"mlpx {mlpx.__version__}, Python {platform.python_version()}, NumPy {np.__version__}")
    say()
    current, refusal = _current()
    backends = mlpx.available_backends()
    rows = [("  backend", "available", "version", "device")]
    for item in backends:
        mark, there = "*" if item.name == current else " ", "yes" if item.available else "no"
        rows.append((f"{mark} {item.name}", there, item.version or "", item.device or ""))
    say_table(rows, numbers=False)
    missing = [item for item in backends if not item.available]
    say()
    say_wrapped("* in use; another by `--backend` or the environment variable MLPX_BACKEND")
    if missing:
        say()
        say_fields((i.name, f"{i.reason}: {i.install}" if i.install else str(i.reason)) for i in missing)
    if refusal is not None:
        sys.stdout.flush()  # the table comes first
        raise refusal


def _current() -> tuple[str | None, Exception | None]:
    """Return the name of the backend in use, or why there is none."""
    try:
        return mlpx.get_backend().name, None
    except (ImportError, ValueError) as error:
        return None, error


def say_model(path: str) -> None:
    """Write what is in a model file."""
    net, preprocessing = models.look(path)
    say_fields(
        [
            ("model", path),
            ("network", describe.network(net, place=False)),
            ("classes", listed([str(label) for label in net.classes or ()])),
            ("data", describe.data(preprocessing) if preprocessing else ""),
            *(describe.columns(preprocessing) if preprocessing else [("columns", "no description is stored")]),
        ]
    )

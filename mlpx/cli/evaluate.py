"""``mlpx evaluate``: how well a model does on a table that has the target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlpx.cli import measure, models
from mlpx.cli.console import note
from mlpx.cli.data import drop_unlabelled, load_table, rows_to_measure

if TYPE_CHECKING:
    import argparse


def run(options: argparse.Namespace) -> None:
    """Measure, and write a small table."""
    net, preprocessing = models.load(options.model, options.backend, options.device, options.dtype)
    if preprocessing is None:
        msg = f"`{options.model}` holds no description of columns, so no target is known; `mlpx train` stores one"
        raise ValueError(msg)
    table = load_table(options.data)
    frame, source = rows_to_measure(table, preprocessing.split)
    if source:
        note(f"measuring {source}")
    elif table.source == preprocessing.source:
        note(f"`{options.data}` looks like the table that the model was trained on; rows seen in training flatter it")
    frame = drop_unlabelled(frame, preprocessing.target.name)
    measure.report(net, preprocessing, frame, Path(options.data).name)

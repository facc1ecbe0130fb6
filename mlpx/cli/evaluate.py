"""``mlpx evaluate``: how well a model does on a table that has the target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import mlpx
from mlpx.cli import measure, models
from mlpx.cli.console import note
from mlpx.cli.data import drop_unlabelled, load_table, rows_to_measure

if TYPE_CHECKING:
    import argparse


def run(options: argparse.Namespace) -> None:
    """Measure, and write the scores beside those of what needs no network."""
    net, preprocessing = models.load(options.model, options.backend, options.device, options.dtype)
    if preprocessing is None:
        msg = f"`{options.model}` holds no description of columns, so no target is known; `mlpx train` stores one"
        raise ValueError(msg)
    measure.check_report(options.report)
    table = load_table(options.data)
    frame, source = rows_to_measure(table, preprocessing.split)
    if source:
        note(f"measuring {source}")
    elif table.source == preprocessing.source:
        note(f"`{options.data}` looks like the table that the model was trained on; rows seen in training flatter it")
    frame = drop_unlabelled(frame, preprocessing.target.name)
    wanted = None if options.report and not options.no_importance else False
    report = mlpx.TabularModel.from_network(net).report(frame, importance=wanted, note=note)
    measure.say_report(report, Path(options.data).name)
    measure.write_report(report, options.report)

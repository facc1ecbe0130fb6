"""``mlpx replay``: the step in which training diverged, made again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import mlpx
from mlpx.cli.console import listed, say, say_fields, say_table, say_wrapped

if TYPE_CHECKING:
    import argparse


def run(options: argparse.Namespace) -> None:
    """Write every quantity of the step, and the first that is not finite."""
    if not Path(options.file).is_file():
        msg = f"the file `{options.file}` does not exist; give the path that the error named"
        raise FileNotFoundError(msg)
    found = mlpx.replay(options.file, options.backend, options.device)
    where = {name: value for name, value in found.where.items() if value is not None and name != "rows"}
    rows = [str(row) for row in found.where.get("rows") or ()]
    place = ", ".join(f"{name} {value}" for name, value in where.items())
    say_fields([("step", place), ("rows", f"{listed(rows)}, counted from 0 among the training rows" if rows else "")])
    say()
    say_table(found.table)
    say()
    say_wrapped(found.sentence)

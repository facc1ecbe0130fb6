"""The rows that a command works on: which table, which target, which rows to measure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlpx.cli.console import note
from mlpx.datasets import TARGETS, load_dataset
from mlpx.tables import Table, read_table
from mlpx.tables.inferred import unlabelled
from mlpx.tables.preprocessing import check_columns, labelled_rows
from mlpx.tables.requirements import named, suggestion
from mlpx.tables.splits import parts_of

if TYPE_CHECKING:
    import pandas as pd


def load_table(source: str) -> Table:
    """Read a file, or load the shipped data set of that name; a file of the very name comes first."""
    if not Path(source).suffix and not Path(source).is_file():
        return load_dataset(source) if source in TARGETS else _refuse_name(source)
    return read_table(source, note=note)


def _refuse_name(source: str) -> Table:
    names = f"a file or one of the data sets {', '.join(TARGETS)}"
    msg = f"`{source}` is no file and no data set{suggestion(source, TARGETS)}; give {names}"
    raise ValueError(msg)


def choose_target(table: Table, target: str | None) -> str:
    """Give the target that was asked for, or that the source names; check that it is there."""
    chosen = target or table.target
    if chosen is None:
        columns = f"the columns are {named(table.frame.columns, most=30)}"
        msg = f"`--target COLUMN` must say which column is to be predicted; {columns}"
        raise ValueError(msg)
    check_columns(table.frame, [chosen])
    return chosen


def drop_unlabelled(frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """Leave out the rows whose target is missing, and say how many."""
    kept = labelled_rows(frame, target)
    lost = unlabelled(len(frame) - len(kept), target)
    if lost:
        note(lost)
    return kept


def dropped_columns(parts: list[str], table: Table) -> list[str]:
    """Read ``--drop a,b --drop c``; a name that holds a comma may stand alone."""
    names = [name for part in parts for name in ([part] if part in table.frame.columns else part.split(","))]
    names = [name.strip() for name in names if name.strip()]
    check_columns(table.frame, names)
    return names


def rows_to_measure(table: Table, split: str | None) -> tuple[pd.DataFrame, str]:
    """Give the rows to measure a model on: the part kept for testing where the table has one, else all of it."""
    if table.test is not None:
        return table.test, "the test rows of the file"
    if split is not None and split in table.frame.columns:
        parts = parts_of(table.frame[split])
        if {"train", "test"} <= set(parts) and "" not in parts:
            return table.frame[parts == "test"], f"the rows that `{split}` calls test"
    return table.frame, ""

"""The rows that a command works on: which table, which rows of it train and which test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlpx.cli.console import note
from mlpx.datasets import TARGETS, load_dataset
from mlpx.tables import Table, read_table
from mlpx.tables.preprocessing import check_columns, labelled_rows
from mlpx.tables.requirements import named, plural, suggestion

if TYPE_CHECKING:
    import pandas as pd

#: Fewer training rows than this are too few to give up some of them for validation.
FEWEST_FOR_VALIDATION = 20
PARTS = ("train", "test")


@dataclass(frozen=True)
class Rows:
    """Training and test rows, and in words where the test rows come from."""

    train: pd.DataFrame
    test: pd.DataFrame | None
    source: str


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
    if len(kept) < len(frame):
        note(f"left out {plural(len(frame) - len(kept), 'row')} whose target `{target}` is missing")
    return kept


def split_by_column(frame: pd.DataFrame, column: str) -> Rows:
    """Divide the rows by a column that holds ``train`` and ``test`` and nothing else."""
    check_columns(frame, [column])
    words = _words(frame, column)
    others = words[~words.isin(PARTS)]
    if len(others):
        row, word = others.index[0] + 1, others.iloc[0]
        msg = (
            f"the column `{column}` of `--split` must say train or test in every row; data row {row} says {word[:60]!r}"
        )
        raise ValueError(msg)
    test = frame[words == "test"]
    return Rows(frame[words == "train"], test if len(test) else None, f"column {column}")


def _words(frame: pd.DataFrame, column: str) -> pd.Series:
    return frame[column].astype(str).str.strip().str.lower()


def split_by_fraction(frame: pd.DataFrame, target: str, fraction: float, seed: int, *, by_class: bool) -> Rows:
    """Draw test rows, from each class the same share where the target has classes."""
    generator = np.random.default_rng(seed)
    groups = frame.groupby(frame[target].astype(str)).indices.values() if by_class else [np.arange(len(frame))]
    chosen = np.zeros(len(frame), dtype=bool)
    for rows in groups:
        count = round(fraction * len(rows))
        chosen[generator.permutation(rows)[:count]] = True
    if not chosen.any():
        return Rows(frame, None, "")
    return Rows(frame[~chosen], frame[chosen], f"{fraction:.0%} drawn" + (" from each class" if by_class else ""))


def check_rows(rows: Rows) -> Rows:
    """Refuse to train on nearly nothing."""
    if len(rows.train) < 2:
        msg = f"training needs at least two rows; {plural(len(rows.train), 'row')} came"
        raise ValueError(msg)
    return rows


def rows_to_measure(table: Table, split: str | None) -> tuple[pd.DataFrame, str]:
    """Give the rows to measure a model on: the part kept for testing where the table has one, else all of it."""
    if table.test is not None:
        return table.test, "the test rows of the file"
    if split is not None and split in table.frame.columns:
        words = _words(table.frame, split)
        if set(words) == set(PARTS):
            return table.frame[words == "test"], f"the rows that `{split}` calls test"
    return table.frame, ""

"""`CSVLogger`: the history as a table that grows while training goes on."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from mlpx.callbacks.rows import RowLogger

__all__ = ["CSVLogger"]


class CSVLogger(RowLogger):
    """Write a row of a CSV file after each epoch.

    The columns are those of the history, behind ``epoch``; with a stack each member has its own, such as ``loss[0]``.
    A row is in the file as soon as its epoch is over. A run that is resumed from a checkpoint goes on with the file:
    it ends with the same rows as one that was never interrupted.

    Parameters
    ----------
    path : path-like
        The file; what is in it is written over.
    append : bool
        Whether to keep what is in it, which must have the same columns; epochs count from 1 again.

    Raises
    ------
    ValueError, TypeError
        For an argument that does not fit; in ``fit``, for a file with other columns.
    OSError
        In ``fit``, where the file cannot be written.

    Examples
    --------
    >>> import mlpx, pathlib
    >>> net = mlpx.MLP([1, 1], output="linear")
    >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=3, callbacks=mlpx.CSVLogger("training.csv"))
    >>> [line.split(",")[0] for line in pathlib.Path("training.csv").read_text().splitlines()]
    ['epoch', '1', '2', '3']
    """

    def __init__(self, path: str | os.PathLike[str], *, append: bool = False) -> None:
        super().__init__(path, append=append)
        self._columns: list[str] | None = None

    def _head(self, empty: bool) -> None:
        """Take the columns from the file, where it has any."""
        self._columns = None
        if not empty:
            with self.path.open(encoding="utf-8", newline="") as file:
                self._columns = next(csv.reader(file))

    def _row(self, file: TextIO, epoch: int, row: Mapping[str, Any]) -> None:
        cells = {"epoch": epoch, **dict(_cells(row))}
        writer = csv.writer(file, lineterminator="\n")
        if self._columns is None:
            self._columns = list(cells)
            writer.writerow(self._columns)
        if self._columns != list(cells):
            msg = (
                f"`path` must name a file with the columns {', '.join(cells)} where rows are appended; {self.path} has "
                f"{', '.join(self._columns)}. Take another file, or `append=False`."
            )
            raise ValueError(msg)
        writer.writerow(cells.values())


def _cells(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the numbers of an epoch, those of a stack member by member."""
    for name, value in row.items():
        if isinstance(value, list):
            yield from ((f"{name}[{member}]", number) for member, number in enumerate(value))
        else:
            yield name, value

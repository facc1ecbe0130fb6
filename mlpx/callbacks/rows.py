"""Files with one row an epoch, which a resumed run goes on with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from mlpx._checks import check_flag
from mlpx.callbacks.base import Callback

__all__ = ["RowLogger", "naming"]


class RowLogger(Callback):
    """A file with one row an epoch; a subclass says how a row is written.

    What a run wrote before it was resumed is written again, from the history: no row is doubled or lost, whatever
    happened to the file between a checkpoint and the end.

    Parameters
    ----------
    path : path-like
        The file.
    append : bool
        Whether to keep what is in it.
    """

    def __init__(self, path: str | os.PathLike[str], *, append: bool = False) -> None:
        self.path, self.append = Path(path), check_flag("append", append)
        self._file: TextIO | None = None
        self._from = 0

    def start(self, run: Any) -> None:
        """Refuse a place that cannot be written to, before anything is computed."""
        if not self.path.parent.is_dir():
            msg = f"`path` must be in a folder that is there; {str(self.path.parent)!r} is not; make it first."
            raise FileNotFoundError(msg)
        with self.path.open("ab") as file:
            self._from = file.tell() if self.append else 0

    def begin(self, run: Any) -> None:
        """Open the file, and write the epochs that are done."""
        if self._file is not None:
            return
        with naming(self.path):
            self._from = min(self._from, self.path.stat().st_size)
            os.truncate(self.path, self._from)
            self._file = self.path.open("a", encoding="utf-8", newline="")
            self._head(self._from == 0)
            for epoch in range(run.history.epochs):
                self._row(self._file, epoch + 1, {name: column[epoch] for name, column in run.history.items()})
            self._file.flush()

    def epoch(self, run: Any) -> None:
        """Write a row."""
        assert self._file is not None  # it was opened before the epoch
        with naming(self.path):
            self._row(self._file, run.epoch, run.row)
            self._file.flush()

    def end(self, run: Any) -> None:
        """Close the file."""
        if self._file is not None:
            with suppress(OSError):  # all rows were flushed; what could not be written has been told
                self._file.close()
        self._file = None

    def state(self) -> dict[str, Any]:
        """Return where in the file this run's rows begin, where that may not be its start."""
        return {"from": self._from} if self.append else {}

    def restore(self, state: dict[str, Any]) -> None:
        """Begin there again."""
        self._from = state["from"]

    def _head(self, empty: bool) -> None:
        """Prepare for the first row; of a file that is empty or not."""

    def _row(self, file: TextIO, epoch: int, row: Mapping[str, Any]) -> None:
        """Write the numbers of an epoch."""
        raise NotImplementedError


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system name the file, such as that of a full disk, which names none."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error

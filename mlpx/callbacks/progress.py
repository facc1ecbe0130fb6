"""`Progress`: how far training is, as lines of text."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from mlpx._checks import check_number
from mlpx.callbacks.base import Callback
from mlpx.progress import mean_left

__all__ = ["Progress"]


class Progress(Callback):
    """Write a line from time to time: how far training is, how long it will take, and the numbers of the last epoch.

    It is for what runs where nobody watches: a job whose output goes into a file. The bar of ``fit(progress=True)``,
    which needs a terminal, is silent there.

    Parameters
    ----------
    every_seconds : float
        How long it is silent between two lines. There is also a line after the first epoch, and one at the end.
    columns : sequence of str, optional
        The columns of the history to show, such as ``["loss", "validation_loss"]``; by default all.
    stream : file, optional
        Where to write; by default standard error.

    Raises
    ------
    ValueError, TypeError
        For an argument that does not fit.

    Notes
    -----
    The time that is left is that of the epochs that are left, at the pace of those since training began in this
    process. Numbers of a stack are means over the members that are left.

    Examples
    --------
    >>> import io, mlpx
    >>> log = io.StringIO()
    >>> net = mlpx.MLP([1, 1], output="linear")
    >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=3, callbacks=mlpx.Progress(60, stream=log))
    >>> print(log.getvalue())  # doctest: +ELLIPSIS
    20...  epoch 1/3, 33.3 %, 0:00:00 gone, 0:00:00 left, loss ..., learning_rate 0.001
    20...  ended after epoch 3 (epochs), 0:00:00 gone, loss ..., learning_rate 0.001
    <BLANKLINE>
    """

    every = None

    def __init__(
        self, every_seconds: float = 30.0, *, columns: Sequence[str] | None = None, stream: Any = None
    ) -> None:
        self.every_seconds = check_number("every_seconds", every_seconds, least=0)
        if isinstance(columns, str):
            msg = f"`columns` must be a sequence of names, got {columns!r}; write [{columns!r}]."
            raise TypeError(msg)
        self.columns = None if columns is None else tuple(columns)
        self.stream = stream
        self._started: float | None = None

    def start(self, run: Any) -> None:
        """Begin anew."""
        self._started = None

    def begin(self, run: Any) -> None:
        """Note where the epoch begins."""
        self._first_step = run.step
        if self._started is None:
            self._started = self._said = time.monotonic()
            self._first_epoch = run.epoch

    def batch(self, run: Any) -> None:
        """Write a line where it is time."""
        if self._is_time():
            steps = run.steps_asked  # None: the source does not know its rows
            share = (run.step - self._first_step) * run.epochs / max(steps, 1) if steps is not None else 0.0
            self._tell(run, run.epoch + 1, run.epoch + min(share, 1.0))

    def epoch(self, run: Any) -> None:
        """Write a line where it is time, and after the first epoch."""
        if run.epoch < run.epochs and (run.epoch == self._first_epoch + 1 or self._is_time()):
            self._tell(run, run.epoch, run.epoch)

    def end(self, run: Any) -> None:
        """Write the last line."""
        gone = 0.0 if self._started is None else time.monotonic() - self._started
        self._write(f"ended after epoch {run.epoch} ({run.history.stopped})", f"{_span(gone)} gone", *self._row(run))

    def _is_time(self) -> bool:
        return time.monotonic() - self._said >= self.every_seconds

    def _tell(self, run: Any, epoch: int, done: float) -> None:
        """Write a line in or after an epoch, where so many epochs are done."""
        self._said = time.monotonic()
        gone = self._said - (self._started or 0.0)
        left = gone * (run.epochs - done) / max(done - self._first_epoch, 1e-9)
        percent = f"{100 * done / run.epochs:.1f} %"
        spans = (f"{_span(gone)} gone", f"{_span(left)} left")
        self._write(f"epoch {epoch}/{run.epochs}", percent, *spans, *self._row(run))

    def _row(self, run: Any) -> list[str]:
        """Return the numbers of the last epoch."""
        columns = run.row if self.columns is None else [name for name in self.columns if name in run.row]
        return [f"{name} {mean_left(run.row[name]):.4g}" for name in columns]

    def _write(self, *parts: str) -> None:
        stream = sys.stderr if self.stream is None else self.stream
        stream.write(f"{datetime.now().isoformat(' ', 'seconds')}  {', '.join(parts)}\n")
        stream.flush()


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))

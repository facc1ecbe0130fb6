"""`TimeLimit`: training that ends in time."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from mlpx._checks import check_count, check_number
from mlpx.callbacks.base import Callback

__all__ = ["TimeLimit"]


class TimeLimit(Callback):
    """End training after a time, or at a time of day, with the weights that it has reached.

    Parameters
    ----------
    seconds, minutes, hours : float
        How long training may take; they add up.
    until : datetime, optional
        When it must end, whatever comes first; without a time zone, local time.
    every : int, optional
        How many steps lie between two looks at the clock. By default it is looked at whenever the device has been
        handed a run of steps, some tenths of a second of work, which costs nothing.

    Attributes
    ----------
    reached : bool
        Whether it ended training.

    Raises
    ------
    ValueError, TypeError
        For an argument that does not fit, and without any limit.

    Notes
    -----
    The time is that of this process: a run that is resumed from a checkpoint has the whole of it again, as each job of
    a queue has; it goes on where the limit ended it. The epoch under way when time was over has no row in the history,
    and no validation: the weights that stay are those of the best epoch, where ``fit`` keeps the best, else the present
    ones.

    Examples
    --------
    >>> import mlpx
    >>> limit = mlpx.TimeLimit(minutes=0.001)
    >>> net = mlpx.MLP([1, 8, 1], output="linear")
    >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=10**6, callbacks=limit)
    >>> limit.reached, history.epochs < 10**6
    (True, True)
    """

    def __init__(
        self,
        *,
        seconds: float = 0.0,
        minutes: float = 0.0,
        hours: float = 0.0,
        until: datetime | None = None,
        every: int | None = None,
    ) -> None:
        given = {"seconds": (seconds, 1), "minutes": (minutes, 60), "hours": (hours, 3600)}
        self.seconds = sum(check_number(name, value, least=0) * unit for name, (value, unit) in given.items())
        if until is not None and not isinstance(until, datetime):
            msg = f"`until` must be a datetime.datetime, got {until!r}."
            raise TypeError(msg)
        if not self.seconds and until is None:
            msg = "`seconds`, `minutes`, `hours` or `until` must say when training ends, got none of them."
            raise ValueError(msg)
        self.until = until
        self.every = None if every is None else check_count("every", every)
        self.reached = False

    def start(self, run: Any) -> None:
        """Note the time."""
        self._started, self.reached = time.monotonic(), False

    def batch(self, run: Any) -> None:
        """Stop where the time is over."""
        if self._over():
            self.reached = True
            run.stop(again=True)

    def epoch(self, run: Any) -> None:
        """Stop where the time is over; validation takes time too."""
        self.batch(run)

    def _over(self) -> bool:
        if self.seconds and time.monotonic() - self._started >= self.seconds:
            return True
        return self.until is not None and datetime.now(self.until.tzinfo) >= self.until

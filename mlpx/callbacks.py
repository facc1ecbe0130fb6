"""Callbacks: what is called while training goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["Callback", "FunctionCallback", "get"]


class Callback:
    """The protocol: override what you need.

    `run` has the fields ``net`` (with the present weights at the end of each epoch), ``epoch`` (from 1), ``epochs``,
    ``history`` and ``row``: the numbers of the epoch that just ended, by name, with a stack as lists with one number a
    member. ``run.stop()`` ends training after the epoch.

    Examples
    --------
    >>> import mlpx
    >>> class Target(mlpx.Callback):
    ...     def epoch(self, run):
    ...         if run.row["loss"] < 0.1:
    ...             run.stop()
    """

    def start(self, run: Any) -> None:
        """Before the first epoch.

        Parameters
        ----------
        run : mlpx.training.Run
            The training, with the fields above.
        """

    def begin(self, run: Any) -> None:
        """Before each epoch; ``run.epoch`` is the number of those that are done.

        Parameters
        ----------
        run : mlpx.training.Run
            The training, with the fields above.
        """

    def epoch(self, run: Any) -> None:
        """After each epoch.

        Parameters
        ----------
        run : mlpx.training.Run
            The training, with the fields above.
        """

    def end(self, run: Any) -> None:
        """After the last epoch, with the final weights in place; also after an error.

        Parameters
        ----------
        run : mlpx.training.Run
            The training, with the fields above.
        """


class FunctionCallback(Callback):
    """A function that is called after each epoch.

    Parameters
    ----------
    function : callable
        ``function(run)``.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def epoch(self, run: Any) -> None:
        """Call the function."""
        self.function(run)


def get(callbacks: Any) -> tuple[Callback, ...]:
    """Return callbacks; a bare function is called after each epoch."""
    if not (isinstance(callbacks, (Callback, Iterable)) or callable(callbacks)):
        msg = f"`callbacks` must be a Callback, a function of one argument or a sequence of these, got {callbacks!r}."
        raise TypeError(msg)
    several = [callbacks] if isinstance(callbacks, Callback) or callable(callbacks) else list(callbacks)
    found = []
    for i, callback in enumerate(several):
        if isinstance(callback, type) and issubclass(callback, Callback):
            msg = f"`callbacks[{i}]` must be an object, not a class: give {callback.__name__}(...)."
            raise TypeError(msg)
        if not isinstance(callback, Callback) and not callable(callback):
            msg = f"`callbacks[{i}]` must be a Callback or a function of one argument, got {callback!r}."
            raise TypeError(msg)
        found.append(callback if isinstance(callback, Callback) else FunctionCallback(callback))
    return tuple(found)

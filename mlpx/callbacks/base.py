"""The protocol of callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mlpx._checks import check_count

__all__ = ["Callback", "FunctionCallback", "get"]


class Callback:
    """The protocol: override what you need.

    `run` has the fields ``net`` (with the present weights at the end of each epoch), ``epoch`` (from 1), ``epochs``,
    ``step`` (steps made), ``parameters`` (the present ones, as a vector of the backend), ``history`` and ``row``: the
    numbers of the epoch that just ended, by name, with a stack as lists with one number a member. ``run.stop()`` ends
    training after the epoch, or at once where `batch` asks for it. An exception ends training with the weights that
    it has reached in the network, and is raised again when every callback has had its `end`.

    Attributes
    ----------
    every : int or None
        How many steps lie between two calls of `batch`: 1 for each of them; None for whenever the device has been
        handed a run of steps, which costs nothing. A class that does not override `batch` is not called.
    last : bool
        Whether it is called after those that are not: it sees what they have settled.

    Examples
    --------
    >>> import mlpx
    >>> class Target(mlpx.Callback):
    ...     def epoch(self, run):
    ...         if run.row["loss"] < 0.1:
    ...             run.stop()
    """

    every: int | None = 1
    last = False

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

    def batch(self, run: Any) -> None:
        """After a batch: each one, or as `every` says.

        Parameters
        ----------
        run : mlpx.training.Run
            The training, with the fields above. ``run.parameters`` may be written over by the next step: copy what
            shall stay.
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

    def state(self) -> dict[str, Any]:
        """Return what a later run needs to go on as this one would have, by name; kept in checkpoints.

        Returns
        -------
        dict
            NumPy arrays, and what JSON can hold.
        """
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave; called after `start`, where a run is resumed.

        Parameters
        ----------
        state : dict
            As `state` gave it, with lists in place of tuples.
        """


class FunctionCallback(Callback):
    """A function that is called after each epoch.

    Parameters
    ----------
    function : callable
        ``function(run)``.

    Examples
    --------
    >>> import mlpx
    >>> lines = []
    >>> log = mlpx.callbacks.FunctionCallback(lambda run: lines.append(run.epoch))
    >>> history = mlpx.MLP([1, 1], output="linear").fit([[0.0]], [0.0], epochs=3, callbacks=log)
    >>> lines
    [1, 2, 3]
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def epoch(self, run: Any) -> None:
        """Call the function."""
        self.function(run)


def get(callbacks: Any) -> tuple[Callback, ...]:
    """Return callbacks; a bare function is called after each epoch.

    Parameters
    ----------
    callbacks : Callback, callable or sequence of these
        What was given to ``fit``.

    Returns
    -------
    tuple of Callback

    Raises
    ------
    TypeError, ValueError
        For what is no callback, and for an `every` that is no number of steps.

    Examples
    --------
    >>> import mlpx
    >>> [type(callback).__name__ for callback in mlpx.callbacks.get([print, mlpx.TimeLimit(hours=1)])]
    ['FunctionCallback', 'TimeLimit']
    """
    one = isinstance(callbacks, Callback) or callable(callbacks)
    if not one and (not isinstance(callbacks, Iterable) or getattr(callbacks, "ndim", None) == 0):
        msg = f"`callbacks` must be a Callback, a function of one argument or a sequence of these, got {callbacks!r}."
        raise TypeError(msg)
    several = [callbacks] if one else list(callbacks)
    found = []
    for i, callback in enumerate(several):
        if isinstance(callback, type) and issubclass(callback, Callback):
            msg = f"`callbacks[{i}]` must be an object, not a class: give {callback.__name__}(...)."
            raise TypeError(msg)
        if not isinstance(callback, Callback) and not callable(callback):
            msg = f"`callbacks[{i}]` must be a Callback or a function of one argument, got {callback!r}."
            raise TypeError(msg)
        found.append(callback if isinstance(callback, Callback) else FunctionCallback(callback))
        if found[-1].every is not None:
            check_count(f"callbacks[{i}].every", found[-1].every)
    return tuple(found)

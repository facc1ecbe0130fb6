"""Calls of a user's function on arrays that are differentiated: what is asked of it, and what to say where it fails."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from mlpx._typing import Namespace

__all__ = ["ADVICE", "called", "check_function", "check_signature"]

ADVICE = "Write xp.sin(z) for np.sin(z) and xp.where for a decision by values"


def check_function(function: Any, form: str) -> None:
    """Refuse what cannot be called at all."""
    if not callable(function):
        msg = f"`function` must be a function of {form}, got {function!r}."
        raise TypeError(msg)


def check_signature(argument: str, function: Callable[..., Any], form: str, count: int) -> None:
    """Refuse a function that does not take so many arguments.

    Parameters
    ----------
    argument : str
        The name of the argument, for messages.
    function : callable
        Where it tells nothing of its arguments, it passes.
    form : str
        What it takes, such as ``"(z, xp)"``.
    count : int
        How many these are.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*range(count))
    except TypeError:
        name = getattr(function, "__name__", repr(function))
        msg = f"`{argument}` must be a function of {form}, xp the namespace to compute with; got {name}{signature}."
        raise TypeError(msg) from None


def called(function: Callable[..., Any], form: str, inputs: Sequence[Any], xp: Namespace) -> Any:
    """Return what a function gives for its arrays and the namespace.

    Parameters
    ----------
    function : callable
        ``function(*inputs, xp)``.
    form : str
        What it takes, for messages.
    inputs : sequence of array
        Those that are differentiated, and others.
    xp : namespace
        The functions to compute with.

    Raises
    ------
    TypeError
        Where it takes other arguments, or leaves the functions of the namespace.
    """
    try:
        return function(*inputs, xp)
    except TypeError as error:
        check_signature("function", function, form, len(inputs) + 1)
        text = str(error)
        if text.startswith("`") or "differentiated" in text:  # which say themselves what to do
            raise
        msg = (
            f"`function` must be a function of {form} written in functions of `xp`, the Array API standard's, so that "
            f"it can be differentiated; it failed with TypeError: {text.rstrip('.')}. {ADVICE}."
        )
        raise TypeError(msg) from error

"""Functions that a user hands to a network: an element-wise activation, a loss of each sample. Checked before use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlpx._typing import Array, Formula, Namespace
from mlpx.backends import get_backend
from mlpx.differentiation import calling
from mlpx.differentiation.forward import Forward, value_and_derivative
from mlpx.differentiation.reverse import Reverse, Taped
from mlpx.differentiation.tracing import constant

__all__ = ["check_elementwise", "check_rowwise", "check_signature", "rowwise"]

_PROBE = [[-1.5, -0.5, 0.25], [0.5, 1.0, 2.5]]
_REMEDIES = {
    "activation": "or give the derivative too, mlpx.activations.custom(f, derivative)",
    "loss": "or write a class with its gradient, see mlpx.losses.Loss",
}


def check_elementwise(argument: str, function: Formula) -> None:
    """Refuse what is no element-wise function of ``(z, xp)`` that can be differentiated.

    Parameters
    ----------
    argument : str
        The name of the argument, for messages.
    function : callable
        It is called with two rows of three numbers.
    """
    _check_signature(argument, function, "(z, xp)", 2)
    ops = get_backend("numpy")
    with ops.context():
        z = ops.xp.asarray(_PROBE)
        _checked(argument, "(z, xp)", lambda: _check_probe(argument, function, z, ops.xp))


def _check_probe(argument: str, function: Formula, z: Array, xp: Namespace) -> None:
    """Refuse a function that gives a number another value among others than alone."""
    both = value_and_derivative(function)
    y, _ = both(z, xp)
    level = Forward(xp)
    if not level.owns(function(level.dual(z, 1.0), level.xp)):
        msg = f"`{argument}` must depend on z by functions that have a derivative, or nothing can be learned."
        raise ValueError(msg)
    for i, row in enumerate(_PROBE):
        for j, number in enumerate(row):
            alone, _ = both(z[i : i + 1, j : j + 1], xp)
            if not _equal(y[i : i + 1, j : j + 1], alone, xp):
                msg = (
                    f"`{argument}` must work element by element, but f({number}) depends on the numbers around it. "
                    "An activation that mixes units is a class with its own backward(dy, z, y, xp)."
                )
                raise ValueError(msg)


def _equal(x: Array, y: Array, xp: Namespace) -> bool:
    x, y = (xp.astype(value, xp.float64) for value in (x, y))
    return bool(xp.all((x == y) | (abs(x - y) <= 1e-9 * abs(x)) | (xp.isnan(x) & xp.isnan(y))))


def check_signature(argument: str, function: Formula) -> None:
    """Refuse what is no function of ``(y_hat, y, xp)``."""
    _check_signature(argument, function, "(y_hat, y, xp)", 3)


def check_rowwise(argument: str, function: Formula, units: int) -> None:
    """Refuse a function of ``(y_hat, y, xp)`` that gives not one number a row, mixes rows or cannot be differentiated.

    Parameters
    ----------
    argument : str
        The name of the argument, for messages.
    function : callable
        It is called with two rows.
    units : int
        The numbers in each row.
    """
    ops = get_backend("numpy")
    with ops.context():
        y_hat, y = (ops.xp.asarray(rows) * ops.xp.ones((2, units)) for rows in ([[0.6], [0.3]], [[0.4], [0.2]]))
        _checked(argument, "(y_hat, y, xp)", lambda: _check_rows(argument, function, y_hat, y, ops.xp))


def _check_rows(argument: str, function: Formula, y_hat: Array, y: Array, xp: Namespace) -> None:
    together = rowwise(argument, function, y_hat, y, xp)
    for i in range(2):
        alone = rowwise(argument, function, y_hat[i : i + 1, :], y[i : i + 1, :], xp)
        if not all(_equal(many[i : i + 1, ...], one, xp) for many, one in zip(together, alone, strict=True)):
            msg = f"`{argument}` must give each sample a number that depends on its own row alone; it mixes rows."
            raise ValueError(msg)


def rowwise(argument: str, function: Formula, x: Array, y: Array, xp: Namespace) -> tuple[Array, Array]:
    """Return the value of every row and its derivative by `x`.

    Parameters
    ----------
    argument : str
        The name of the argument, for messages.
    function : callable
        ``function(x, y, xp)`` returns one number a row.
    x, y : array of shape (..., N, K)
        Outputs and targets.
    xp : namespace
        The functions to compute with.

    Returns
    -------
    value : array of shape (..., N)
    gradient : array of shape (..., N, K)
    """
    level = Reverse(xp)
    z = Taped(x, level)
    result = function(z, constant(y, level.xp), level.xp)
    value = level.below(result)
    shape, wanted = tuple(getattr(value, "shape", ())), tuple(x.shape[:-1])
    if shape != wanted:
        msg = (
            f"`{argument}` must return one number a sample: outputs of shape {tuple(x.shape)} ask for {wanted}, "
            f"got {shape}. Add up over the outputs with xp.sum(..., axis=-1), not over the samples."
        )
        raise ValueError(msg)
    found = level.derivatives(result, xp.ones_like(value))
    slope = found.get(z.position)
    gradient = xp.zeros_like(x) if slope is None else slope
    return xp.astype(value, x.dtype, copy=False), gradient


def _check_signature(argument: str, function: Formula, form: str, count: int) -> None:
    if not callable(function):
        msg = f"`{argument}` must be a function of {form}, got {function!r}."
        raise TypeError(msg)
    calling.check_signature(argument, function, form, count)


def _checked(argument: str, form: str, run: Callable[[], Any]) -> None:
    """Run a check; say of what goes wrong to which argument it belongs and what to do."""
    try:
        run()
    except Exception as error:
        first = error.__cause__ if str(error).startswith("`function` must be a function of") else None
        error = first if isinstance(first, Exception) else error
        text = str(error).replace("`function`", f"`{argument}`")
        if not text.startswith(f"`{argument}`"):
            text = (
                f"`{argument}` must be a function of {form} written in functions of `xp`, the Array API standard's, so "
                f"that it can be differentiated; it failed with {type(error).__name__}: {text.rstrip('.')}. "
                f"{calling.ADVICE}, {_REMEDIES[argument]}."
            )
        raise (ValueError if isinstance(error, ValueError) else TypeError)(text) from error

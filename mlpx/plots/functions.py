"""An activation and its derivative as one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from mlpx import activations
from mlpx._checks import check_count, check_flag, check_number
from mlpx.activations import Activation
from mlpx.plots import style

__all__ = ["activation", "interval"]

_Values = np.ndarray[Any, Any]


def activation(
    activation: str | Activation,
    *,
    derivative: bool = True,
    limits: Sequence[float] = (-4.0, 4.0),
    points: int = 801,
    ax: Any = None,
) -> Any:
    """Draw an activation f(z) and its derivative f'(z).

    Parameters
    ----------
    activation : str or Activation
        A name or an object of `mlpx.activations`.
    derivative : bool
        Whether to draw f' too; a function that has none, such as ``"step"``, is drawn alone.
    limits : (float, float)
        The least and the greatest net input.
    points : int
        How many net inputs are computed.
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib Axes
        With one line a function; at a jump the line is broken by NaN.

    Raises
    ------
    ValueError
        For an unknown name, for softmax (whose value depends on all units), or for limits that are not in order.

    Examples
    --------
    >>> from mlpx import plots
    >>> ax = plots.activation("relu", limits=(-1, 1), points=5)
    >>> ax.get_lines()[0].get_ydata()
    array([0. , 0. , 0. , 0.5, 1. ])
    """
    f = activations.get(activation)
    if f.name == "softmax":
        msg = "`activation` must act on one unit at a time; 'softmax' depends on all of them."
        raise ValueError(msg)
    low, high = interval("limits", limits)
    z = np.linspace(low, high, check_count("points", points, least=2))
    style.check_axes(ax)
    both = check_flag("derivative", derivative) and f.differentiable
    ax = style.panel(ax)
    _line(ax, lambda v: f(v, np), z, color=style.color(0), label="f")
    if both:
        _line(ax, lambda v: _derivative(f, v), z, color=style.color(1), linestyle="--", label="f'")
    ax.set_title(_title(f))
    style.frame(ax, "net input z", "f(z), f'(z)" if both else "f(z)")
    style.legend(ax)
    return ax


def interval(name: str, limits: Any) -> tuple[float, float]:
    """Return the two ends of an axis, checked."""
    if isinstance(limits, str) or not hasattr(limits, "__len__") or len(limits) != 2:
        msg = f"`{name}` must be two numbers, the least and the greatest; got {limits!r}."
        raise ValueError(msg)
    low, high = (check_number(f"{name}[{i}]", value) for i, value in enumerate(limits))
    if low >= high:
        msg = f"`{name}` must be in order, the least first; got {limits!r}."
        raise ValueError(msg)
    return low, high


def _title(f: Activation) -> str:
    """Return the name, with parameters that are not the usual ones."""
    usual = is_dataclass(f) and all(getattr(f, field.name) == field.default for field in fields(f))
    return f.name if usual or len(repr(f)) > 40 else repr(f)


def _derivative(f: Activation, z: _Values) -> _Values:
    return np.asarray(f.derivative(z if f.uses == "z" else f(z, np), np))


def _line(ax: Any, function: Callable[[_Values], _Values], z: _Values, **look: Any) -> None:
    with np.errstate(all="ignore"):  # where it is not finite there is a gap to see
        after = np.flatnonzero(_jumps(function, z)) + 1
        values = function(z)
    ax.plot(np.insert(z, after, z[after]), np.insert(values, after, np.nan), linewidth=1.8, **look)


def _jumps(function: Callable[[_Values], _Values], z: _Values) -> _Values:
    """Return for each gap between two points whether the function jumps there: halving does not make it smaller."""
    left, right = z[:-1], z[1:]
    for _ in range(40):
        middle = (left + right) / 2
        first = np.abs(function(middle) - function(left)) > np.abs(function(right) - function(middle))
        left, right = np.where(first, left, middle), np.where(first, middle, right)
    return np.asarray(np.abs(function(right) - function(left)) > 1e-6)

"""A formula as a short program: operations of the Array API standard, one after another, over any namespace.

A program is plain data, no code: a tuple of steps, each an operation of `OPERATIONS` on variables, numbers and the
results of earlier steps. Running it costs a few microseconds of Python, and nothing where a plan has recorded it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from mlpx._typing import Array, Namespace
from mlpx.special import erf, indicator, sigmoid, softplus

__all__ = ["OPERATIONS", "Constant", "Program", "Step", "bracketed", "written"]


class Constant(NamedTuple):
    """A number, and how the formula writes it."""

    value: float
    text: str


Operand: TypeAlias = int | Constant
"""The position of an array among variables and results, or a number."""


class Step(NamedTuple):
    """One operation."""

    name: str
    operands: tuple[Operand, ...]


def _picked(u: Array, p: Any, q: Any, tie: Array, xp: Namespace) -> Array:
    one = xp.ones_like(u)
    return xp.where(u > 0, p * one, xp.where(u < 0, q * one, tie))


def _pick_lower(u: Array, p: Any, q: Any, xp: Namespace) -> Array:
    one = xp.ones_like(u)
    return _picked(u, p, q, xp.minimum(p * one, q * one), xp)


def _pick_higher(u: Array, p: Any, q: Any, xp: Namespace) -> Array:
    one = xp.ones_like(u)
    return _picked(u, p, q, xp.maximum(p * one, q * one), xp)


OPERATIONS: dict[str, Callable[..., Array]] = {
    "add": lambda a, b, xp: a + b,
    "subtract": lambda a, b, xp: a - b,
    "multiply": lambda a, b, xp: a * b,
    "divide": lambda a, b, xp: a / b,
    "power": lambda a, b, xp: a**b,
    "negative": lambda a, xp: -a,
    "maximum": lambda a, b, xp: xp.maximum(a, b),
    "minimum": lambda a, b, xp: xp.minimum(a, b),
    "absolute": lambda a, xp: xp.abs(a),
    "sign": lambda a, xp: xp.sign(a),
    "sigmoid": sigmoid,
    "softplus": softplus,
    "erf": erf,
    "step": lambda a, xp: indicator(a >= 0, a, xp),
    "above_zero": lambda a, xp: indicator(a > 0, a, xp),
    "below_zero": lambda a, xp: indicator(a < 0, a, xp),
    "pick_lower": _pick_lower,
    "pick_higher": _pick_higher,
    **{
        name: (lambda a, xp, name=name: getattr(xp, name)(a))
        for name in ("tanh", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "atan")
    },
}
"""Each operation over a namespace.

``above_zero`` and ``below_zero`` are 1 there, else 0. ``pick_lower(u, p, q)`` is p where u > 0, q where u < 0, and the
smaller of them where u = 0; ``pick_higher`` takes the larger there.
"""

_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**"}


@dataclass(frozen=True)
class Program:
    """A formula that runs.

    Parameters
    ----------
    variables : tuple of str
        Names of the arrays that come in.
    steps : tuple of Step
        Operations; positions count the variables first, then the results.
    result : int or Constant
        What is returned.

    Examples
    --------
    >>> import numpy as np
    >>> square = Program(("x",), (Step("multiply", (0, 0)),), 1)
    >>> square(np.asarray([1.0, 3.0]), xp=np)
    array([1., 9.])
    """

    variables: tuple[str, ...]
    steps: tuple[Step, ...]
    result: Operand

    def __call__(self, *arrays: Array, xp: Namespace) -> Array:
        """Return the value, of the shape and type of the arrays."""
        values = list(arrays)
        for name, operands in self.steps:
            values.append(OPERATIONS[name](*(values[o] if isinstance(o, int) else o.value for o in operands), xp=xp))
        if isinstance(self.result, Constant):
            return self.result.value * xp.ones_like(arrays[0])
        return values[self.result]

    def code(self, name: str) -> str:
        """Return the program as text to read."""
        names = [*self.variables, *(f"t{i + 1}" for i in range(len(self.steps)))]
        lines = [f"{name}({', '.join(self.variables)}):"]
        for i, step in enumerate(self.steps):
            texts = [names[o] if isinstance(o, int) else bracketed(o.text) for o in step.operands]
            lines.append(f"    {names[len(self.variables) + i]} = {written(step.name, texts)}")
        result = self.result.text if isinstance(self.result, Constant) else names[self.result]
        return "\n".join([*lines, f"    return {result}"])


def bracketed(text: str) -> str:
    """Return the text of a constant as a part of another."""
    return f"({text})" if " " in text else text


def written(name: str, operands: list[str]) -> str:
    """Return an operation as text."""
    if name in _SIGNS:
        return f"{operands[0]} {_SIGNS[name]} {operands[1]}"
    return f"-{operands[0]}" if name == "negative" else f"{name}({', '.join(operands)})"

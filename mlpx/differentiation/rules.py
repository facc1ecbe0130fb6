"""Local derivatives of element-wise functions: one table, from which forward and reverse mode both read.

Each function has one partial derivative an input: a number where it is constant, else a function of the inputs, the
value ``y`` and the namespace. Partial derivatives are written in functions that have rules themselves, so that they can
be differentiated again.

Where a function has a kink there is a derivative from the left and one from the right. Reverse mode takes their mean,
which is right wherever kinks cancel, as in ``maximum(z, 0) + log(1 + exp(-abs(z)))`` at 0. Forward mode follows both
sides (`Kink`), so that it can tell a kink that is left in the end; see `mlpx.differentiation.forward`. On the edges of
`clip` the derivative is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from mlpx._typing import Array, Namespace
from mlpx.special import indicator

__all__ = ["CONSTANT", "KINKS", "RULES", "Rule", "product"]

Partial: TypeAlias = float | Callable[..., Any]


class Rule(NamedTuple):
    """The partial derivatives of an element-wise function.

    Attributes
    ----------
    partials : tuple
        One an input: a number, or a function ``(*inputs, y, xp)``.
    singular : bool
        Whether a partial derivative can be infinite where the inputs are finite.
    """

    partials: tuple[Partial, ...]
    singular: bool = False


def product(d: Any, p: Any, xp: Namespace) -> Any:
    """Return ``d * p``, where 0 times an infinity or a NaN is 0.

    So a branch that `where` did not take, or a kink that stopped a change, contributes nothing, however steep the
    function is beyond it. Where the plain product is a number, that is returned, and it can be differentiated again.
    """
    plain = xp.multiply(d, p)
    stopped = (plain != plain) & ((d == 0) | (p == 0))
    return xp.where(stopped, xp.zeros_like(plain), plain)


def _share(a: Any, b: Any, y: Any, xp: Namespace) -> Array:
    """Return 1 where a won, 1/2 at a tie, else 0."""
    return 0.5 * (indicator(y == a, y, xp) + 1 - indicator(y == b, y, xp))


def _power_by_base(a: Any, b: Any, y: Any, xp: Namespace) -> Any:
    if isinstance(b, (int, float)):
        return b * a ** (b - 1) if b not in (0, 1, 2) else b * (a if b == 2 else 1)
    lowered = xp.subtract(b, indicator(b != 0, b, xp))  # at b = 0 the factor b is 0, whatever the power
    return xp.multiply(b, xp.pow(a, lowered))


def _power_by_exponent(a: Any, b: Any, y: Any, xp: Namespace) -> Any:
    if isinstance(a, (int, float)):
        return y * (math.log(a) if a > 0 else 0.0 if a == 0 else math.nan)
    return xp.multiply(y, xp.log(xp.where(a == 0, xp.ones_like(y), a)))


def _nonzero(x: Any, xp: Namespace) -> Any:
    return xp.where(x == 0, xp.ones_like(x), x)


def _squares(a: Any, b: Any, xp: Namespace) -> Any:
    return _nonzero(xp.add(a * a, b * b), xp)


RULES: dict[str, Rule] = {
    # arithmetic
    "add": Rule((1, 1)),
    "subtract": Rule((1, -1)),
    "multiply": Rule((lambda a, b, y, xp: b, lambda a, b, y, xp: a)),
    "divide": Rule((lambda a, b, y, xp: 1 / b, lambda a, b, y, xp: -xp.divide(y, b)), singular=True),
    "remainder": Rule((1, lambda a, b, y, xp: -xp.floor(xp.divide(a, b)))),
    "pow": Rule((_power_by_base, _power_by_exponent), singular=True),
    "negative": Rule((-1,)),
    "positive": Rule((1,)),
    "reciprocal": Rule((lambda a, y, xp: -y * y,), singular=True),
    "square": Rule((lambda a, y, xp: 2 * a,)),
    "sqrt": Rule((lambda a, y, xp: 0.5 / y,), singular=True),
    "hypot": Rule((
        lambda a, b, y, xp: xp.divide(a, _nonzero(y, xp)),
        lambda a, b, y, xp: xp.divide(b, _nonzero(y, xp)),
    )),
    # exponentials and logarithms
    "exp": Rule((lambda a, y, xp: y,)),
    "expm1": Rule((lambda a, y, xp: y + 1,)),
    "log": Rule((lambda a, y, xp: 1 / a,), singular=True),
    "log1p": Rule((lambda a, y, xp: 1 / (1 + a),), singular=True),
    "log2": Rule((lambda a, y, xp: 1 / (a * math.log(2)),), singular=True),
    "log10": Rule((lambda a, y, xp: 1 / (a * math.log(10)),), singular=True),
    "logaddexp": Rule((
        lambda a, b, y, xp: xp.exp(xp.subtract(a, y)),
        lambda a, b, y, xp: xp.exp(xp.subtract(b, y)),
    )),
    "erf": Rule((lambda a, y, xp: 2 / math.sqrt(math.pi) * xp.exp(-a * a),)),
    # circular and hyperbolic functions
    "sin": Rule((lambda a, y, xp: xp.cos(a),)),
    "cos": Rule((lambda a, y, xp: -xp.sin(a),)),
    "tan": Rule((lambda a, y, xp: 1 + y * y,)),
    "asin": Rule((lambda a, y, xp: 1 / xp.sqrt((1 - a) * (1 + a)),), singular=True),
    "acos": Rule((lambda a, y, xp: -1 / xp.sqrt((1 - a) * (1 + a)),), singular=True),
    "atan": Rule((lambda a, y, xp: 1 / (1 + a * a),)),
    "atan2": Rule((
        lambda a, b, y, xp: xp.divide(b, _squares(a, b, xp)),
        lambda a, b, y, xp: -xp.divide(a, _squares(a, b, xp)),
    )),
    "sinh": Rule((lambda a, y, xp: xp.cosh(a),)),
    "cosh": Rule((lambda a, y, xp: xp.sinh(a),)),
    "tanh": Rule((lambda a, y, xp: 1 - y * y,)),
    "asinh": Rule((lambda a, y, xp: 1 / xp.sqrt(a * a + 1),)),
    "acosh": Rule((lambda a, y, xp: 1 / xp.sqrt((a - 1) * (a + 1)),), singular=True),
    "atanh": Rule((lambda a, y, xp: 1 / ((1 - a) * (1 + a)),), singular=True),
    # kinks
    "abs": Rule((lambda a, y, xp: xp.sign(a),)),
    "copysign": Rule((lambda a, b, y, xp: xp.sign(y) * xp.sign(a), 0)),
    "maximum": Rule((_share, lambda a, b, y, xp: _share(b, a, y, xp))),
    "minimum": Rule((_share, lambda a, b, y, xp: _share(b, a, y, xp))),
    "clip": Rule((
        lambda a, low, high, y, xp: indicator((a > low) & (a < high), y, xp),
        lambda a, low, high, y, xp: indicator(a <= low, y, xp),
        lambda a, low, high, y, xp: indicator((a >= high) & (a > low), y, xp),
    )),
}  # fmt: skip
"""The element-wise functions that have a derivative."""


def _side_of_abs(side: int, a: Any, da: Any, xp: Namespace) -> Any:
    return da * xp.sign(a) + side * abs(da) * indicator(a == 0, a, xp)


def _side_of_extreme(side: int, a: Any, b: Any, da: Any, db: Any, xp: Namespace) -> Any:
    """Return the change of the larger of a and b; where they are equal, of the one that is larger on that side."""
    like = b if isinstance(a, (int, float)) else a
    numbers = isinstance(da, (int, float)) and isinstance(db, (int, float))
    tied = (max if side > 0 else min)(da, db) if numbers else (xp.maximum if side > 0 else xp.minimum)(da, db)
    parts = ((da, a > b), (db, b > a), (tied, a == b))
    terms = [d * indicator(where, like, xp) for d, where in parts if not (isinstance(d, (int, float)) and d == 0)]
    return sum(terms[1:], terms[0]) if terms else 0.0


KINKS: dict[str, Callable[..., Any]] = {
    "abs": lambda side, a, y, da, xp: _side_of_abs(side, a, da, xp),
    "maximum": lambda side, a, b, y, da, db, xp: _side_of_extreme(side, a, b, da, db, xp),
    "minimum": lambda side, a, b, y, da, db, xp: -_side_of_extreme(side, -a, -b, -da, -db, xp),
}
"""Changes to the left (``side = -1``: ``f(z - h) = f(z) - h change``) and to the right of functions with a kink."""

CONSTANT = frozenset({
    "sign", "signbit", "floor", "ceil", "round", "trunc", "floor_divide",
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
    "isnan", "isinf", "isfinite", "logical_and", "logical_or", "logical_xor", "logical_not",
    "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_invert",
    "argmax", "argmin", "argsort", "searchsorted", "nonzero", "count_nonzero", "all", "any",
    "zeros_like", "ones_like", "full_like", "empty_like",
})  # fmt: skip
"""The functions whose value does not change with small changes of the inputs: their derivative is 0."""

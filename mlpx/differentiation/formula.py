"""Formulas as text: a walk over Python's syntax tree that lets arithmetic and a list of functions through, no more.

No text is ever evaluated. It is cut into tokens first, so that what is no number, name, operator, bracket or comma is
refused before Python's parser sees it; the tree that the parser returns is then walked node by node, and what is not
listed here is refused. Numbers are computed with as they are met, in bounds.

=========  =====================================================================
what       bound
=========  =====================================================================
text       1000 characters
size       200 numbers, names, operators and calls
depth      50 levels
numbers    up to 1e30 in size, also those that come out on the way
exponents  numbers up to 64; of nested powers their product
=========  =====================================================================
"""

from __future__ import annotations

import ast
import keyword
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from mlpx._checks import check_number

__all__ = ["ALIASES", "CONSTANTS", "FUNCTIONS", "Algebra", "check_parameters", "walk"]

_MOST_CHARACTERS = 1000
_MOST_PARTS = 200
_MOST_NESTED = 50
_MOST_EXPONENT = 64
_MOST_PARAMETERS = 20
_LARGEST = 1e30

CONSTANTS = {"pi": math.pi}

ALIASES = {"z": "x"}
"""Other names of variables."""

FUNCTIONS = {
    "sigmoid": "sigmoid", "logistic": "sigmoid", "expit": "sigmoid", "tanh": "tanh", "softplus": "softplus",
    "relu": "relu", "exp": "exp", "expm1": "expm1", "log": "log", "ln": "log", "log1p": "log1p", "sqrt": "sqrt",
    "sin": "sin", "cos": "cos", "tan": "tan", "sinh": "sinh", "cosh": "cosh", "atan": "atan", "arctan": "atan",
    "erf": "erf", "abs": "absolute", "Abs": "absolute", "absolute": "absolute", "sign": "sign", "step": "step",
    "heaviside": "step", "Heaviside": "step", "max": "maximum", "Max": "maximum", "maximum": "maximum",
    "min": "minimum", "Min": "minimum", "minimum": "minimum",
}  # fmt: skip
"""The functions that a formula may call, by all their spellings."""

_TOKEN = re.compile(
    r"[ \t\n]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.])|[A-Za-z_][A-Za-z_0-9]*|[-+*/(),]"
)
_NAME = re.compile(r"[A-Za-z][A-Za-z_0-9]{0,30}")
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class Algebra(NamedTuple):
    """What a formula is made of.

    Attributes
    ----------
    names : mapping
        The value of each variable and parameter.
    functions : mapping
        Each function of `FUNCTIONS` by its first name, of one argument; ``maximum`` and ``minimum`` of two.
    number : callable
        From a float to a value.
    power : callable
        From a value and its exponent to a value.
    """

    names: Mapping[str, Any]
    functions: Mapping[str, Callable[..., Any]]
    number: Callable[[float], Any]
    power: Callable[[Any, Any], Any] = operator.pow


def check_parameters(parameters: Any, variables: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """Return parameters, sorted by name, as pairs of a name that is free and a finite number."""
    try:
        pairs = sorted(dict(parameters).items())
    except (TypeError, ValueError) as error:
        msg = f"`parameters` must be names with their numbers, got {parameters!r}."
        raise TypeError(msg) from error
    if len(pairs) > _MOST_PARAMETERS:
        msg = f"`parameters` must be at most {_MOST_PARAMETERS}, got {len(pairs)}."
        raise ValueError(msg)
    taken = {*variables, *(alias for alias, name in ALIASES.items() if name in variables), *FUNCTIONS, *CONSTANTS}
    for name, _ in pairs:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or keyword.iskeyword(name) or name in taken:
            msg = f"`parameters` must have names of letters, digits and _ that are not taken, got {name!r}."
            raise ValueError(msg)
    return tuple((name, check_number(name, value, least=-_LARGEST, most=_LARGEST)) for name, value in pairs)


def walk(text: str, algebra: Algebra) -> Any:
    """Return the value of a formula.

    Parameters
    ----------
    text : str
        Such as ``"x * sigmoid(beta*x)"``.
    algebra : Algebra
        The values that it is made of.

    Returns
    -------
    object
        A value of the algebra, or a float where the formula holds no name.

    Raises
    ------
    ValueError
        For anything but numbers, known names, ``+ - * / **``, brackets, and calls of `FUNCTIONS`; and beyond the
        bounds above.

    Examples
    --------
    >>> import math
    >>> walk("3*x + tanh(0)", Algebra({"x": 2.0}, {"tanh": math.tanh}, float))
    6.0
    """
    return _Walk(algebra).visit(_parse(text), 0, 1.0)


def _parse(text: str) -> ast.expr:
    if not isinstance(text, str):
        msg = f"`text` must be a text such as 'x * sigmoid(x)', got {type(text).__name__}."
        raise TypeError(msg)
    if len(text) > _MOST_CHARACTERS:
        msg = f"`text` must have at most {_MOST_CHARACTERS} characters, got {len(text)}."
        raise ValueError(msg)
    end = 0
    while end < len(text):
        token = _TOKEN.match(text, end)
        if token is None:
            hint = " Powers are written x**2." if text[end] == "^" else ""
            msg = f"`text` must hold numbers, names and + - * / ** ( ) alone, got {text[end : end + 10]!r}.{hint}"
            raise ValueError(msg)
        end = token.end()
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        msg = f"`text` must be a formula such as 'x * sigmoid(x)', got {_short(text)}."
        raise ValueError(msg) from error


class _Walk:
    """A walk over a tree; it counts what it meets."""

    def __init__(self, algebra: Algebra) -> None:
        self.algebra = algebra
        self.parts = 0

    def visit(self, node: ast.expr, depth: int, power: float) -> Any:
        """Return the value of a node that stands under powers with this product of exponents."""
        self.parts += 1
        if self.parts > _MOST_PARTS or depth > _MOST_NESTED:
            msg = f"`text` must have at most {_MOST_PARTS} parts, nested {_MOST_NESTED} deep."
            raise ValueError(msg)
        match node:
            case ast.Constant(value=value) if type(value) in (int, float):
                return _checked(value)
            case ast.Name(id=name):
                return self._name(name)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
                value = self.visit(operand, depth + 1, power)
                return -value if isinstance(sign, ast.USub) else value
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self._power(left, right, depth + 1, power)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                values = [self.visit(part, depth + 1, power) for part in (left, right)]
                return self._combined(_OPERATORS[type(op)], *values)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(name, arguments, depth + 1, power)
        msg = f"`text` must hold numbers, names, + - * / ** and functions alone, got {_short(ast.unparse(node))}."
        raise ValueError(msg)

    def _name(self, name: str) -> Any:
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name not in self.algebra.names:
            known = ", ".join(sorted(self.algebra.names))
            msg = f"`text` holds the name {_short(name)}, which is none of {known}; give a parameter its value by name."
            raise ValueError(msg)
        return self.algebra.names[name]

    def _power(self, left: ast.expr, right: ast.expr, depth: int, power: float) -> Any:
        exponent = self.visit(right, depth, power)
        if isinstance(exponent, float):
            power *= max(1.0, abs(exponent))
            if power > _MOST_EXPONENT:
                msg = f"`text` must have exponents up to {_MOST_EXPONENT}, for nested powers their product."
                raise ValueError(msg)
        return self._combined(self.algebra.power, self.visit(left, depth, power), exponent)

    def _combined(self, function: Callable[..., Any], *values: Any) -> Any:
        if all(isinstance(value, float) for value in values):
            try:
                return _checked((operator.pow if function is self.algebra.power else function)(*values))
            except ArithmeticError as error:
                msg = f"`text` must hold numbers up to {_LARGEST:g}; {error}."
                raise ValueError(msg) from error
        return function(*(self.algebra.number(v) if isinstance(v, float) else v for v in values))

    def _call(self, name: str, arguments: list[ast.expr], depth: int, power: float) -> Any:
        first = FUNCTIONS.get(name)
        if first is None:
            msg = f"`text` may call {', '.join(sorted(set(FUNCTIONS.values())))}; got {_short(name)}."
            raise ValueError(msg)
        several = first in ("maximum", "minimum")
        if (len(arguments) < 2) if several else (len(arguments) != 1):
            msg = f"`text` must call {name} with {'two or more arguments' if several else 'one argument'}."
            raise ValueError(msg)
        function = self.algebra.functions[first]
        values = [self.visit(argument, depth, power) for argument in arguments]
        values = [self.algebra.number(value) if isinstance(value, float) else value for value in values]
        result = values[0] if several else function(values[0])
        for value in values[1:]:
            result = function(result, value)
        return result


def _checked(value: Any) -> float:
    """Return a number as a float; refuse one that is complex, not finite or too large."""
    try:
        number = float(value)
    except (TypeError, OverflowError):
        number = math.nan
    if not abs(number) <= _LARGEST:
        msg = f"`text` must hold real numbers up to {_LARGEST:g}, got {_short(str(value))}."
        raise ValueError(msg)
    return number


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")

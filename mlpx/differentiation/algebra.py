"""SymPy behind the whitelist: formulas as its expressions, with functions that stay stable as numbers."""

from __future__ import annotations

from functools import cache
from typing import Any

from mlpx._optional import require
from mlpx.differentiation.formula import ALIASES, CONSTANTS, FUNCTIONS, Algebra, walk

__all__ = ["expression", "function", "printed", "sympy_module", "variable"]


def sympy_module() -> Any:
    """Return SymPy, or say how it is installed."""
    return require("sympy", "A formula as a text", 'pip install "mlpx[symbolic]"')


def variable(name: str) -> Any:
    """Return a variable as a symbol."""
    return sympy_module().Symbol(name, real=True)


def parameter(name: str, value: float) -> Any:
    """Return a parameter as a symbol that knows its sign."""
    return sympy_module().Symbol(name, real=True, positive=value > 0, negative=value < 0, zero=value == 0)


def expression(text: str, parameters: tuple[tuple[str, float], ...], variables: tuple[str, ...]) -> Any:
    """Return a formula as an expression of SymPy, in its stable form.

    Raises
    ------
    ValueError
        For anything that `mlpx.differentiation.formula.walk` refuses, and for a parameter that does not occur.
    """
    sympy = sympy_module()
    names = {name: parameter(name, value) for name, value in parameters}
    symbols = {name: variable(name) for name in variables}
    symbols |= {alias: symbols[name] for alias, name in ALIASES.items() if name in symbols}
    functions = {name: function(name) for name in set(FUNCTIONS.values())}
    functions["sqrt"] = lambda u: _power(u, sympy.S.Half)
    parsed = sympy.sympify(walk(text, Algebra({**symbols, **names}, functions, _number, _power)))
    unused = [name for name, symbol in names.items() if symbol not in parsed.free_symbols]
    if unused:
        msg = f"`parameters` must occur in the formula {text!r}, got {', '.join(unused)}, which do not matter there."
        raise ValueError(msg)
    return _stable(sympy, parsed)


def _number(value: float) -> Any:
    sympy = sympy_module()
    known = {number: getattr(sympy, name) for name, number in CONSTANTS.items()}
    if value in known:
        return known[value]
    # whole numbers and halves stay exact, so that powers stay powers
    return sympy.Rational(value) if (2 * value).is_integer() and abs(value) <= 2**20 else sympy.Float(value)


def _power(base: Any, exponent: Any) -> Any:
    """Return a power, one of our own where SymPy's would not do.

    Its derivative of ``u**a`` is ``a u**a / u``, no number at 0, unless a is a number. And it asks for the signs of
    everything below a root, which takes long below several.
    """
    roots = [root for root in base.atoms(sympy_module().Pow) if not root.exp.is_Integer]
    named = not (base.is_number or exponent.is_Number)
    if named or (not exponent.is_Integer and len(roots) > 2):
        return function("power")(base, exponent)
    return base**exponent


def _stable(sympy: Any, parsed: Any) -> Any:
    """Return an expression with sigmoid and softplus where they are written by exponentials."""
    sigmoid, softplus = function("sigmoid"), function("softplus")

    def exponent(e: Any) -> Any:
        """Return u where `e` is ``1 + exp(u)``."""
        if e.is_Add and len(e.args) == 2 and sympy.S.One in e.args:
            other = next(a for a in e.args if a != 1)
            return other.args[0] if isinstance(other, sympy.exp) else None
        return None

    def product(e: Any) -> Any:
        """Return a product in which ``exp(u) sigmoid(-u)`` is ``sigmoid(u)``."""
        for a in e.args:
            partner = sigmoid(-a.args[0]) if isinstance(a, sympy.exp) else None
            if partner in e.args:
                return sympy.Mul(sigmoid(a.args[0]), *(f for f in e.args if f not in (a, partner)))
        return e

    parsed = parsed.replace(
        lambda e: isinstance(e, function("log")) and exponent(e.args[0]) is not None,
        lambda e: softplus(exponent(e.args[0])),
    )
    parsed = parsed.replace(
        lambda e: e.is_Pow and e.exp.is_Integer and e.exp < 0 and exponent(e.base) is not None,
        lambda e: sigmoid(-exponent(e.base)) ** -e.exp,
    )
    return parsed.replace(lambda e: e.is_Mul, product)


@cache
def function(name: str) -> Any:
    """Return a function of formulas as one of SymPy's, or one of our own with its derivative."""
    sympy = sympy_module()
    if name == "relu":
        return lambda u: function("maximum")(sympy.S.Zero, u)
    slope = _slopes(sympy).get(name)
    if slope is not None:
        return _class(name, 1, fdiff=lambda self, argindex=1: slope(self.args[0]))
    if name in ("maximum", "minimum"):
        return _class(name, 2, _eval_derivative=_slope_of_larger if name == "maximum" else _slope_of_smaller)
    if name == "power":
        return _class(name, 2, _eval_derivative=_slope_of_power)
    if name in ("pick_lower", "pick_higher"):
        return _class(name, 3)
    return getattr(sympy, name)


def _slopes(sympy: Any) -> dict[str, Any]:
    """Return the derivatives of functions of our own.

    SymPy's own of these names look for what is special about their argument, which takes long where it is long:
    ``sin(atan(u))`` holds u twice, and nested ten deep a thousand times.
    """
    return {
        "sigmoid": lambda u: function("sigmoid")(u) * (1 - function("sigmoid")(u)),
        "softplus": lambda u: function("sigmoid")(u),
        "expm1": sympy.exp,
        "log": lambda u: 1 / u,
        "log1p": lambda u: 1 / (1 + u),
        "sin": lambda u: function("cos")(u),
        "cos": lambda u: -function("sin")(u),
        "tan": lambda u: 1 + function("tan")(u) ** 2,
        "sinh": lambda u: function("cosh")(u),
        "cosh": lambda u: function("sinh")(u),
        "tanh": lambda u: 1 - function("tanh")(u) ** 2,
        "atan": lambda u: 1 / (1 + u**2),
        "erf": lambda u: 2 * sympy.exp(-(u**2)) / sympy.sqrt(sympy.pi),
        "absolute": lambda u: function("sign")(u),
        "sign": lambda u: sympy.S.Zero,
        "step": lambda u: sympy.S.Zero,
    }


def _class(name: str, count: int, **methods: Any) -> Any:
    """Return a function of `count` real numbers, which SymPy keeps as it is written."""
    return type(name, (sympy_module().Function,), {"nargs": count, "_eval_is_real": lambda self: True, **methods})


def _slope_of_power(power: Any, s: Any) -> Any:
    base, exponent = power.args
    return exponent * _power(base, exponent - 1) * base.diff(s) + power * function("log")(base) * exponent.diff(s)


def _slope_of_larger(larger: Any, s: Any) -> Any:
    a, b = larger.args
    return _pick("pick_lower", a - b, a.diff(s), b.diff(s))


def _slope_of_smaller(smaller: Any, s: Any) -> Any:
    a, b = smaller.args
    return _pick("pick_higher", b - a, a.diff(s), b.diff(s))


def _pick(name: str, u: Any, p: Any, q: Any) -> Any:
    """Return p where u > 0 and q where u < 0, with no minus before u."""
    if p == q:
        return p
    return function(name)(-u, q, p) if u.could_extract_minus_sign() else function(name)(u, p, q)


def printed(given: Any) -> str:
    """Return an expression of SymPy as a text that says every digit; the walk then judges it."""
    sympy = sympy_module()
    if not isinstance(given, sympy.Expr):
        msg = f"`text` must be a formula as a text, or an expression of SymPy, got {given!r}."
        raise TypeError(msg)
    printer = type("Digits", (sympy.printing.str.StrPrinter,), {"_print_Float": lambda self, e: repr(float(e))})
    text: str = printer().doprint(given)
    return text

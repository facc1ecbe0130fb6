"""From an expression of SymPy to a program: every common part once, in operations of the Array API standard."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mlpx.backends.host import xp
from mlpx.differentiation.algebra import parameter, sympy_module, variable
from mlpx.differentiation.program import OPERATIONS, Constant, Operand, Program, Step, bracketed, written

__all__ = ["lowered"]

_LARGEST = 1e30  # a constant beyond it would overflow in float32
_MOST_STEPS = 2000
_NAMES = {"Abs": "absolute"}


def lowered(expression: Any, variables: Sequence[str], parameters: dict[str, float]) -> Program:
    """Return an expression as a program.

    Raises
    ------
    ValueError
        For a function that is not among `mlpx.differentiation.program.OPERATIONS`, and for a constant part that is not
        a finite real number.
    """
    sympy = sympy_module()
    emitter = _Emitter(sympy, variables, parameters)
    # names that nobody can write, so that they meet no variable
    common, (reduced,) = sympy.cse([expression], symbols=sympy.numbered_symbols("_", cls=sympy.Dummy, real=True))
    for symbol, part in common:
        emitter.known[symbol] = emitter.operand(part)
    result = emitter.operand(reduced)
    return Program(tuple(variables), tuple(emitter.steps), result)


class _Emitter:
    """Emits steps; what has been emitted is known."""

    def __init__(self, sympy: Any, variables: Sequence[str], parameters: dict[str, float]) -> None:
        self.sympy = sympy
        self.first = len(variables)
        self.steps: list[Step] = []
        self.known: dict[Any, Operand] = {variable(name): i for i, name in enumerate(variables)}
        self.known |= {parameter(name, value): Constant(value, name) for name, value in parameters.items()}
        self.emitted: dict[Step, Operand] = {}

    def operand(self, e: Any) -> Operand:
        """Return where the value of an expression is."""
        if e not in self.known:
            self.known[e] = self._emit(e)
        return self.known[e]

    def step(self, name: str, *operands: Operand) -> Operand:
        """Emit an operation; on numbers alone it is carried out."""
        if all(isinstance(o, Constant) for o in operands):
            return _folded(name, operands)  # type: ignore[arg-type]
        # libraries want the array first where either may be
        if name in ("maximum", "minimum") and isinstance(operands[0], Constant):
            operands = operands[::-1]
        step = Step(name, operands)
        if step not in self.emitted:
            if len(self.steps) >= _MOST_STEPS:
                msg = f"`text` must have a derivative of at most {_MOST_STEPS} operations."
                raise ValueError(msg)
            self.steps.append(step)
            self.emitted[step] = self.first + len(self.steps) - 1
        return self.emitted[step]

    def _emit(self, e: Any) -> Operand:
        if e.is_Number or e.is_NumberSymbol:
            return self._number(e)
        if e.is_Add:
            return self._sum(e)
        if e.is_Mul:
            return self._product(e)
        if e.is_Pow:
            return self._power(e.base, e.exp)
        name = type(e).__name__
        if name in ("pick_lower", "pick_higher"):
            return self._pick(name, *e.args)
        name = _NAMES.get(name, name)
        if name not in OPERATIONS:
            msg = f"`text` must be real and made of the functions of formulas, got {name} in it or in its derivative."
            raise ValueError(msg)
        return self.step(name, *(self.operand(part) for part in e.args))

    def _number(self, e: Any) -> Constant:
        return _constant(float(e) if e.is_finite else math.nan, str(e) if e.is_Integer or e.is_NumberSymbol else "")

    def _sum(self, e: Any) -> Operand:
        pairs = [(part.could_extract_minus_sign(), part) for part in e.args]
        pairs.sort(key=lambda pair: pair[0])  # what is added comes first
        total: Operand | None = None
        for negative, part in pairs:
            if total is None:
                total = self.operand(part)
            else:
                total = self.step("subtract" if negative else "add", total, self.operand(-part if negative else part))
        assert total is not None
        return total

    def _product(self, e: Any) -> Operand:
        if e.could_extract_minus_sign() and e.args[0].is_Number:
            return self.step("negative", self.operand(-e))
        above, below = [], []
        for factor in e.args:
            if factor.is_Pow and factor.exp.is_Number and factor.exp < 0:
                below.append(self.sympy.Pow(factor.base, -factor.exp))
            elif factor.is_Rational and not factor.is_Integer and factor.p == 1:
                below.append(self.sympy.Integer(factor.q))
            else:
                above.append(factor)
        if not above:
            return self.step("divide", Constant(1.0, "1"), self._times(below))
        value = self._times(above)
        return self.step("divide", value, self._times(below)) if below else value

    def _times(self, factors: Sequence[Any]) -> Operand:
        # constants meet each other first, and are computed once
        operands = sorted((self.operand(factor) for factor in factors), key=lambda o: not isinstance(o, Constant))
        value = operands[0]
        for operand in operands[1:]:
            value = self.step("multiply", value, operand)
        return value

    def _power(self, base: Any, exponent: Any) -> Operand:
        if exponent.is_Number and exponent < 0:
            return self.step("divide", Constant(1.0, "1"), self.operand(self.sympy.Pow(base, -exponent)))
        if exponent == self.sympy.S.Half:
            return self.step("sqrt", self.operand(base))
        if exponent.is_Integer:
            return self._repeated(self.operand(base), int(exponent))
        b, n = self.operand(base), self.operand(exponent)
        if isinstance(b, Constant) and not isinstance(n, Constant):
            return self.step("exp", self.step("multiply", self.step("log", b), n))
        return self.step("power", b, n)

    def _repeated(self, base: Operand, exponent: int) -> Operand:
        """Return a whole power by squaring."""
        if exponent == 1:
            return base
        half = self._repeated(base, exponent // 2)
        square = self.step("multiply", half, half)
        return self.step("multiply", square, base) if exponent % 2 else square

    def _pick(self, name: str, u: Any, p: Any, q: Any) -> Operand:
        """Return p where u > 0, q where u < 0: of two numbers by one comparison, which is faster than a choice."""
        at, high, low = self.operand(u), self.operand(p), self.operand(q)
        if isinstance(at, Constant) or not (isinstance(high, Constant) and isinstance(low, Constant)):
            return self.step(name, at, high, low)
        tie = (min if name == "pick_lower" else max)(high, low, key=lambda constant: constant.value)
        mask, other = ("above_zero", high) if tie == low else ("below_zero", low)
        difference = _folded("subtract", (other, tie))
        value = self.step(mask, at)
        if difference.value != 1:
            value = self.step("multiply", difference, value)
        return self.step("add", tie, value) if tie.value else value


def _folded(name: str, operands: Sequence[Constant]) -> Constant:
    """Return an operation on numbers, carried out."""
    with xp.errstate(all="ignore"):
        value = OPERATIONS[name](*(xp.asarray(o.value) for o in operands), xp=xp)
    return _constant(float(value), written(name, [bracketed(o.text) for o in operands]))


def _constant(value: float, text: str) -> Constant:
    if not abs(value) <= _LARGEST:
        msg = f"`text` must hold real constants up to {_LARGEST:g}, got {(text or repr(value))[:60]}."
        raise ValueError(msg)
    return Constant(value, text or repr(value))

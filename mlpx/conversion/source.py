"""Traced formulas as lines of NumPy."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mlpx._typing import Formula
from mlpx.conversion.tracing import OPERATORS, Traced, TracingBackend, TracingNamespace, source

__all__ = ["function_lines"]

# what NumPy before 2.0 called otherwise; all else has one name
_NAMES = {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atanh": "arctanh",
}  # fmt: skip
_REFUSED = {"broadcast_to", "column", "columns", "concat", "take"}
# how strongly Python's operators bind
_STRENGTH = {
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), 1), "|": 2, "&": 3, "+": 4, "-": 4, "*": 5, "/": 5, "@": 5,
}  # fmt: skip
_POWER, _SIGN, _ATOM = 8, 7, 9
_LONGEST = 80


def function_lines(name: str, formula: Formula, comment: str, dtype: Any) -> list[str]:
    """Return a function of one array as Python.

    Parameters
    ----------
    name : str
        What it is called there.
    formula : callable
        ``formula(z, xp)``.
    comment : str
        Its docstring.
    dtype : dtype
        The type that is computed in.

    Returns
    -------
    list of str
        Lines of code; a function ``erf`` is taken for granted where it is called.

    Raises
    ------
    ValueError
        Where the formula cannot be traced.

    Examples
    --------
    >>> import mlpx
    >>> function_lines("relu", mlpx.activations.relu(), "The rectifier.", "float32")[::2]
    ['def relu(z):', '    return np.maximum(z, 0.0)']
    """
    y = TracingBackend(TracingNamespace(("erf",))).evaluate(formula, source("z", dtype, 2))
    writer = _Writer(y)
    result = writer.text(y, 0)
    return [
        f"def {name}(z):",
        f'    """{comment}"""',
        *(f"    {line}" for line in writer.lines),
        f"    return {result}",
    ]


class _Writer:
    """Expressions of a graph, with a name for each that is used twice or long."""

    def __init__(self, result: Any) -> None:
        self.lines: list[str] = []
        self.uses: Counter[int] = Counter()
        self.names: dict[int, str] = {}
        self._count(result)

    def _count(self, x: Any) -> None:
        if isinstance(x, Traced):
            self.uses[id(x)] += 1
            if self.uses[id(x)] == 1:
                for operand in x.operands:
                    self._count(operand)

    def text(self, x: Any, least: int) -> str:
        """Return an expression, in brackets where it binds less than `least`."""
        if not isinstance(x, Traced):
            return self._number(x)
        if id(x) in self.names:
            return self.names[id(x)]
        if x.operation == "input":
            return str(x.options["name"])
        written, strength = self._written(x)
        if self.uses[id(x)] > 1 or (len(written) > _LONGEST and least):
            self.names[id(x)] = name = f"t{len(self.names) + 1}"
            self.lines.append(f"{name} = {written}")
            return name
        return f"({written})" if strength < least else written

    def _number(self, x: Any) -> str:
        if getattr(x, "ndim", 0):
            msg = "`net` has a function with an array in it, which cannot be written as NumPy; use numbers alone."
            raise ValueError(msg)
        number = float(x)
        return repr(int(number) if isinstance(x, int) else number) if number >= 0 else f"({number!r})"

    def _written(self, x: Traced) -> tuple[str, int]:
        """Return an expression and how strongly it binds."""
        if x.operation == "pow":
            left, right = (self.text(o, _ATOM) for o in x.operands)
            return f"{left}**{right}", _POWER
        if x.operation in OPERATORS:
            sign = OPERATORS[x.operation]
            strength = _STRENGTH[sign]
            left, right = x.operands
            # 0 < z < 1 would mean something else
            first = self.text(left, strength + (strength == _STRENGTH["<"]))
            return f"{first} {sign} {self.text(right, strength + 1)}", strength
        if x.operation == "negative":
            return f"-{self.text(x.operands[0], _SIGN)}", _SIGN
        return self._called(x), _ATOM

    def _called(self, x: Traced) -> str:
        """Return a call of a function."""
        if x.operation in _REFUSED:
            msg = "`net` has a function that mixes units, which cannot be written as NumPy; export it to ONNX."
            raise ValueError(msg)
        if x.operation == "astype":
            return f'{self.text(x.operands[0], _ATOM)}.astype("{x.dtype}")'
        if x.operation == "expand_dims":
            return f"np.expand_dims({self.text(x.operands[0], 0)}, {tuple(x.options['axes'])})"
        arguments = [self.text(o, 1) for o in x.operands] + [f"{name}={value}" for name, value in x.options.items()]
        function = "erf" if x.operation == "erf" else f"np.{_NAMES.get(x.operation, x.operation)}"
        return f"{function}({', '.join(arguments)})"

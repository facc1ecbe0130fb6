"""CUDA C++ for the calls of a recorded step: one expression each, in the type in which the call computes.

Numbers of 16 bits are computed with as float32 and rounded where they are kept.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mlpx.backends.notes import NotRecordable

__all__ = ["computed", "converted", "expression", "literal", "loaded", "stored", "type_name"]

_TYPES = {
    "bool": "bool",
    "int8": "signed char",
    "int16": "short",
    "int32": "int",
    "int64": "long long",
    "uint8": "unsigned char",
    "uint16": "unsigned short",
    "uint32": "unsigned int",
    "uint64": "unsigned long long",
    "float16": "__half",
    "bfloat16": "__nv_bfloat16",
    "float32": "float",
    "float64": "double",
}
_LOADS = {"float16": "__half2float", "bfloat16": "__bfloat162float"}
_STORES = {"float16": "__float2half_rn", "bfloat16": "__float2bfloat16_rn"}

_OPERATORS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "greater": ">", "greater_equal": ">=", "less": "<",
    "less_equal": "<=", "equal": "==", "not_equal": "!=", "logical_and": "&&", "logical_or": "||", "bitwise_and": "&",
    "bitwise_or": "|", "bitwise_xor": "^", "logical_xor": "!=",
}  # fmt: skip
_FUNCTIONS = {
    "power": "pow", "exp": "exp", "exp2": "exp2", "expm1": "expm1", "log": "log", "log1p": "log1p", "log2": "log2",
    "log10": "log10", "sqrt": "sqrt", "cbrt": "cbrt", "sin": "sin", "cos": "cos", "tan": "tan", "sinh": "sinh",
    "cosh": "cosh", "tanh": "tanh", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh",
    "arccosh": "acosh", "arctanh": "atanh", "arctan2": "atan2", "hypot": "hypot", "copysign": "copysign",
    "floor": "floor", "ceil": "ceil", "trunc": "trunc", "rint": "rint",
}  # fmt: skip
_TEMPLATES = {"remainder": "remainder_of", "logaddexp": "log_of_sum"}
_FORMULAS = {
    "maximum": "larger({0}, {1})",
    "minimum": "smaller({0}, {1})",
    "negative": "(-{0})",
    "positive": "({0})",
    "absolute": "({0} < 0 ? -{0} : {0} + 0)",
    "square": "({0} * {0})",
    "reciprocal": "(1 / {0})",
    "sign": "sign_of({0})",
    "logical_not": "(!{0})",
    "isfinite": "({0} - {0} == 0)",
    "isnan": "({0} != {0})",
    "isinf": "({0} == {0} && {0} - {0} != 0)",
    "signbit": "(signbit({0}) != 0)",
    "where": "({0} ? {1} : {2})",
    "cast": "({0})",
    "copy": "({0})",
}


def type_name(dtype: np.dtype[Any]) -> str:
    """Return what CUDA C++ calls the type of an array."""
    try:
        return _TYPES[dtype.name]
    except KeyError:
        msg = f"arrays of {dtype}"
        raise NotRecordable(msg) from None


def computed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which numbers of a type are computed with."""
    return np.dtype(np.float32) if dtype.name in _LOADS else dtype


def loaded(dtype: np.dtype[Any], place: str) -> str:
    """Return a number from memory, in the type in which it is computed with."""
    return f"{_LOADS.get(dtype.name, '')}({place})" if dtype.name in _LOADS else place


def stored(dtype: np.dtype[Any], value: str) -> str:
    """Return a number as it is kept in memory."""
    return f"{_STORES[dtype.name]}({value})" if dtype.name in _STORES else value


def converted(value: str, old: np.dtype[Any], new: np.dtype[Any]) -> str:
    """Return a number in another type."""
    old, new = computed(old), computed(new)
    if old == new:
        return value
    return f"({value} != 0)" if new == np.bool_ else f"({type_name(new)})({value})"


def literal(number: Any, dtype: np.dtype[Any]) -> str:
    """Return a constant."""
    dtype = computed(dtype)
    if dtype == np.bool_:
        return "true" if number else "false"
    if dtype.kind in "iu":
        return _integer(int(number), dtype)
    value = float(np.asarray(number).astype(dtype))
    suffix = "f" if dtype == np.float32 else ""
    if not math.isfinite(value):
        bits = np.asarray(value, dtype).view(f"u{dtype.itemsize}")
        return f"__int_as_float(0x{bits:x})" if suffix else f"__longlong_as_double(0x{bits:x}LL)"
    return f"({value!r}{suffix})" if math.copysign(1, value) < 0 else f"{value!r}{suffix}"


def _integer(number: int, dtype: np.dtype[Any]) -> str:
    if dtype == np.uint64:
        return f"{number}ULL"
    if number == np.iinfo(np.int64).min:
        return f"({number + 1}LL - 1)"  # the number itself, without its sign, is no number of the type
    text = f"{number}LL" if number >= 0 else f"({number}LL)"
    return text if dtype == np.int64 else f"({type_name(dtype)})({text})"


def expression(name: str, inputs: list[tuple[str, np.dtype[Any]]], output: np.dtype[Any]) -> str:
    """Return an element-wise call.

    Parameters
    ----------
    name : str
        NumPy's name of the function, or ``where``, ``cast`` and ``copy``.
    inputs : list of (str, dtype)
        Expressions without side effects, and their types.
    output : dtype
        The type of what is returned.

    Raises
    ------
    NotRecordable
        For a function that is not known here.
    """
    types = [dtype for _, dtype in inputs]
    if name == "where":
        values = [inputs[0][0], *(converted(v, t, output) for v, t in inputs[1:])]
        return _FORMULAS[name].format(*values)
    if name in ("cast", "copy"):
        return converted(inputs[0][0], types[0], output)
    if name.startswith("logical"):
        inner = np.dtype(np.bool_)
    else:
        inner = computed(np.result_type(*types) if output == np.bool_ else output)
    values = [converted(v, t, inner) for v, t in inputs]
    if name in _OPERATORS:
        return f"({values[0]} {_OPERATORS[name]} {values[1]})"
    if name == "invert":
        return f"(!{values[0]})" if output == np.bool_ else f"(~{values[0]})"
    if name in _FORMULAS:
        return _FORMULAS[name].format(*values)
    if name in _TEMPLATES and inner.kind == "f":
        return f"{_TEMPLATES[name]}({', '.join(values)})"
    if name in _FUNCTIONS and inner.kind == "f":
        return f"{_FUNCTIONS[name]}{'f' if inner == np.float32 else ''}({', '.join(values)})"
    msg = f"{name} on {', '.join(map(str, types))}"
    raise NotRecordable(msg)

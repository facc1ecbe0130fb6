"""Formulas written down as they are computed: arrays without numbers that remember which functions made them.

A formula of mlpx is a function of arrays and a namespace. Given `Traced` arrays and a `TracingNamespace` it gives a
graph instead of numbers, which is then written as ONNX nodes (`mlpx.conversion.onnx_nodes`) or as lines of NumPy
(`mlpx.conversion.source`). So there is no second copy of any activation or layer.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import Any, TypeAlias, cast

from mlpx._typing import Array, DType, Formula
from mlpx.backends.host import xp as hxp

__all__ = [
    "OPERATORS",
    "UNARY",
    "Traced",
    "TracingBackend",
    "TracingNamespace",
    "broadcast",
    "refuse_formula",
    "source",
]

Shape: TypeAlias = tuple[int | None, ...]

OPERATORS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "pow": "**", "greater": ">", "greater_equal": ">=",
    "less": "<", "less_equal": "<=", "equal": "==", "not_equal": "!=", "logical_and": "&", "logical_or": "|",
}  # fmt: skip
"""Functions of two arrays that have an operator."""

_COMPARISONS = {"greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "isnan", "isfinite"}
UNARY = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "exp", "expm1", "floor",
    "isfinite", "isnan", "log", "log10", "log1p", "log2", "logical_not", "negative", "ones_like", "reciprocal", "round",
    "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh", "zeros_like",
)  # fmt: skip
_BINARY = (*OPERATORS, "maximum", "minimum", "matmul")
_REDUCTIONS = ("max", "mean", "min", "prod", "sum")


class Traced:
    """An array of which only the type, the shape and the making are known.

    Parameters
    ----------
    operation : str
        Name of the function in the Array API standard, or ``"input"``.
    operands : tuple of Traced, array or number
        What it was called with.
    options : dict
        Its keyword arguments.
    dtype : dtype
        Type of the result.
    shape : tuple of int or None
        Shape of the result, with None for the number of rows.
    """

    __slots__ = ("dtype", "operands", "operation", "options", "shape")
    __hash__ = object.__hash__  # which a class with == must say
    __array_ufunc__ = None  # NumPy's arrays leave operators between the two to this class

    def __init__(
        self, operation: str, operands: tuple[Any, ...], options: dict[str, Any], dtype: Any, shape: Shape
    ) -> None:
        self.operation, self.operands, self.options = operation, operands, options
        self.dtype, self.shape = hxp.dtype(dtype), shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, index: Any) -> Traced:
        """Return the array with new axes, or some of its columns; nothing else is taken."""
        parts = index if isinstance(index, tuple) else (index,)
        *front, last = parts
        if front == [Ellipsis] and (isinstance(last, int) or (isinstance(last, slice) and last != slice(None))):
            return self._columns(last)
        if any(part is not None and part is not Ellipsis and part != slice(None) for part in parts):
            msg = "it picks single rows"
            raise TypeError(msg)
        at = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
        axes = [i for i, part in enumerate(parts[:at]) if part is None]
        axes += [i - len(parts) for i, part in enumerate(parts) if part is None and i > at]
        shape, count = list(self.shape), self.ndim + len(axes)
        for axis in sorted(axis % count for axis in axes):
            shape.insert(axis, 1)
        return Traced("expand_dims", (self,), {"axes": axes}, self.dtype, tuple(shape))

    def _columns(self, columns: Any) -> Traced:
        """Return one column without its axis, or several that lie side by side."""
        width = cast("int", self.shape[-1])
        if isinstance(columns, int):
            return Traced("column", (self,), {"index": columns % width}, self.dtype, self.shape[:-1])
        start, stop, step = columns.indices(width)
        if step != 1:
            msg = "it picks columns that do not lie side by side"
            raise TypeError(msg)
        return Traced("columns", (self,), {"start": start, "stop": stop}, self.dtype, (*self.shape[:-1], stop - start))

    def __bool__(self) -> bool:
        """Refuse: there are no numbers yet."""
        msg = "it asks for a truth value of numbers that are not known yet"
        raise TypeError(msg)

    def __neg__(self) -> Traced:
        return cast("Traced", call("negative", self))

    def __abs__(self) -> Traced:
        return cast("Traced", call("abs", self))

    def __invert__(self) -> Traced:
        return cast("Traced", call("logical_not", self))


def call(name: str, *operands: Any) -> Any:
    """Return the result of a function; where no array is traced, its value."""
    if not any(isinstance(operand, Traced) for operand in operands):
        return getattr(hxp, name)(*operands)
    types = [o.dtype if hasattr(o, "dtype") else o for o in operands]
    dtype = "bool" if name in _COMPARISONS else hxp.result_type(*(types[1:] if name == "where" else types))
    shapes = [tuple(getattr(o, "shape", ())) for o in operands]
    return Traced(name, operands, {}, dtype, _product_shape(*shapes) if name == "matmul" else broadcast(*shapes))


def _product_shape(a: Shape, b: Shape) -> Shape:
    return (*broadcast(a[:-2], b[:-2]), a[-2], b[-1])


def broadcast(*shapes: Shape) -> Shape:
    """Return the shape that arrays have together.

    Examples
    --------
    >>> broadcast((None, 3), (2, 1, 1), ())
    (2, None, 3)
    """
    columns = zip_longest(*(shape[::-1] for shape in shapes), fillvalue=1)
    return tuple(next((n for n in sizes if n != 1), 1) for sizes in columns)[::-1]


def _operator(name: str, *, swapped: bool = False) -> Callable[[Traced, Any], Any]:
    def operate(self: Traced, other: Any) -> Any:
        return cast("Traced", call(name, other, self) if swapped else call(name, self, other))

    return operate


for _name, _method in (
    ("add", "add"), ("subtract", "sub"), ("multiply", "mul"), ("divide", "truediv"), ("pow", "pow"),
    ("matmul", "matmul"), ("logical_and", "and"), ("logical_or", "or"),
):  # fmt: skip
    setattr(Traced, f"__{_method}__", _operator(_name))
    setattr(Traced, f"__r{_method}__", _operator(_name, swapped=True))
for _name, _method in (
    ("greater", "gt"), ("greater_equal", "ge"), ("less", "lt"), ("less_equal", "le"), ("equal", "eq"),
    ("not_equal", "ne"),
):  # fmt: skip
    setattr(Traced, f"__{_method}__", _operator(_name))


class TracingNamespace:
    """Functions of the Array API standard over traced arrays; of arrays with numbers they give numbers.

    Parameters
    ----------
    functions : tuple of str
        Functions of one array beyond the standard that what the graph is written in has, such as ``"erf"``.
    """

    def __init__(self, functions: tuple[str, ...] = ()) -> None:
        for name in (*UNARY, *_BINARY, *functions):
            setattr(self, name, lambda *operands, name=name, **_: call(name, *operands))
        for name in _REDUCTIONS:
            setattr(self, name, lambda x, name=name, **options: _reduced(name, x, **options))
        for name in ("bool", "float32", "float64", "int32", "int64"):
            setattr(self, name, hxp.dtype(name))

    def __getattr__(self, name: str) -> Any:
        """Give numbers such as ``pi``, and functions of arrays with numbers."""
        value = getattr(hxp, name)  # an AttributeError where the standard has no such name either
        if not callable(value):
            return value

        def known(*operands: Any, **options: Any) -> Any:
            if any(isinstance(operand, Traced) for operand in operands):
                msg = f"it calls xp.{name}"
                raise TypeError(msg)
            return value(*operands, **options)

        return known

    def astype(self, x: Any, dtype: DType, /, *, copy: bool = True) -> Any:
        """Return an array in another type."""
        if not isinstance(x, Traced):
            return hxp.astype(x, dtype, copy=copy)
        return x if x.dtype == dtype else Traced("astype", (x,), {}, dtype, x.shape)

    def where(self, condition: Any, a: Any, b: Any, /) -> Any:
        """Return `a` where the condition holds, else `b`."""
        return call("where", condition, a, b)

    def clip(self, x: Any, /, min: Any = None, max: Any = None) -> Any:
        """Return the numbers with bounds."""
        low = x if min is None else call("maximum", x, min)
        return low if max is None else call("minimum", low, max)

    def broadcast_to(self, x: Any, shape: Any, /) -> Any:
        """Return an array in a larger shape."""
        return Traced("broadcast_to", (x,), {}, x.dtype, tuple(shape))

    def concat(self, arrays: Any, /, *, axis: int = 0) -> Any:
        """Return arrays side by side, along the last axis."""
        if not any(isinstance(x, Traced) for x in arrays):
            return hxp.concat(arrays, axis=axis)
        if axis not in (-1, arrays[0].ndim - 1):
            msg = "it joins rows"
            raise TypeError(msg)
        shape = (*broadcast(*(x.shape[:-1] for x in arrays)), sum(x.shape[-1] for x in arrays))
        return Traced("concat", tuple(arrays), {"axis": -1}, hxp.result_type(*(x.dtype for x in arrays)), shape)


def _reduced(name: str, x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    if not isinstance(x, Traced):
        return getattr(hxp, name)(x, axis=axis, keepdims=keepdims)
    if axis is None:
        msg = f"it calls xp.{name} over all rows"
        raise TypeError(msg)
    gone = {a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))}
    shape = [1 if i in gone else n for i, n in enumerate(x.shape) if keepdims or i not in gone]
    return Traced(name, (x,), {"axis": axis, "keepdims": keepdims}, x.dtype, tuple(shape))


class TracingBackend:
    """What layers ask of a backend in prediction, over traced arrays.

    Parameters
    ----------
    xp : TracingNamespace
        The functions.
    """

    def __init__(self, xp: TracingNamespace) -> None:
        self.xp = xp

    def net_input(self, x: Any, weights: Array, bias: Array | None) -> Any:
        """Return ``X W + b``."""
        z = self.xp.matmul(x, weights)
        return z if bias is None else z + bias[..., None, :]

    def product(self, x: Any, weights: Any) -> Any:
        """Return ``X W``."""
        return self.xp.matmul(x, weights)

    def take_rows(self, x: Array, index: Any) -> Any:
        """Return the rows of a table at an index."""
        return Traced("take", (x, index), {"axis": 0}, x.dtype, (*index.shape, x.shape[-1]))

    def take_member_rows(self, x: Array, index: Any) -> Any:
        """Return the rows of every member's table at an index."""
        return Traced("take", (x, index), {"axis": 1}, x.dtype, (x.shape[0], *index.shape, x.shape[-1]))

    def concat(self, arrays: Any, axis: int) -> Any:
        """Return arrays side by side."""
        return self.xp.concat(arrays, axis=axis)

    def evaluate(self, formula: Formula, *arrays: Any) -> Any:
        """Return the formula's graph."""
        try:
            return formula(*arrays, self.xp)
        except (AttributeError, TypeError, ValueError, IndexError) as error:
            refuse_formula(formula, error)


def refuse_formula(formula: Any, error: Exception) -> Any:
    """Say why a formula cannot be written down."""
    name = getattr(formula, "label", getattr(formula, "__name__", repr(formula)))
    msg = (
        f"`net` has the function {name!r}, which cannot be exported: {error}. What is exported is computed element by "
        "element with functions of `xp`; write it so, or take a function of mlpx.activations."
    )
    raise ValueError(msg) from error


def source(name: str, dtype: Any, width: int) -> Traced:
    """Return an array of rows that comes in from outside."""
    return Traced("input", (), {"name": name}, dtype, (None, width))

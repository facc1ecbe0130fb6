"""The functions of the standard that can be differentiated, on arrays of `mlpx.differentiation.tracing`."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from mlpx._typing import Array, DType, Namespace
from mlpx.differentiation.operations import Concat, Elementwise, Extreme, Linear, Matmul, Where
from mlpx.differentiation.rules import RULES
from mlpx.differentiation.tracing import Tracer, apply, stripped

__all__ = ["FUNCTIONS"]


def _elementwise(name: str) -> Callable[..., Any]:
    operation = Elementwise(name)

    def call(xp: Namespace, *inputs: Any) -> Any:
        return apply(operation, xp, *inputs)

    return call


def _astype(xp: Namespace, x: Any, dtype: DType, /, *, copy: bool = True, device: Any = None) -> Any:
    if x.dtype == dtype:
        return x
    if not xp.isdtype(dtype, "real floating"):
        return xp.astype(stripped(x), dtype)
    return apply(Linear("astype", (dtype,)), xp, x)


def _where(xp: Namespace, condition: Any, a: Any, b: Any, /) -> Any:
    return apply(Where(stripped(condition)), xp, a, b)


def _clip(xp: Namespace, x: Any, /, min: Any = None, max: Any = None) -> Any:
    low, high = -math.inf if min is None else min, math.inf if max is None else max
    return apply(Elementwise("clip"), xp, x, low, high)


def _matmul(xp: Namespace, a: Any, b: Any, /) -> Any:
    rows, columns = a.ndim > 1, b.ndim > 1
    y = apply(Matmul(), xp, a if rows else a[None, :], b if columns else b[:, None])
    y = y if columns else y[..., 0]
    return y if rows else (y[..., 0, :] if columns else y[..., 0])


def _vecdot(xp: Namespace, a: Any, b: Any, /, *, axis: int = -1) -> Any:
    return xp.sum(xp.multiply(a, b), axis=axis)


def _sum(xp: Namespace, x: Any, /, *, axis: Any = None, dtype: DType = None, keepdims: bool = False) -> Any:
    x = x if dtype is None else xp.astype(x, dtype)
    return apply(Linear("sum", (), {"axis": axis, "keepdims": keepdims}), xp, x)


def _axes(x: Any, axis: Any) -> list[int]:
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    return [a % x.ndim for a in axes]


def _mean(xp: Namespace, x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    count = math.prod(x.shape[a] for a in _axes(x, axis))
    return xp.sum(x, axis=axis, keepdims=keepdims) / count


def _var(xp: Namespace, x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    count = math.prod(x.shape[a] for a in _axes(x, axis))
    r = x - xp.mean(x, axis=axis, keepdims=True)
    return xp.sum(r * r, axis=axis, keepdims=keepdims) / (count - correction)


def _std(xp: Namespace, x: Any, /, **options: Any) -> Any:
    return xp.sqrt(_var(xp, x, **options))


def _extreme(name: str) -> Callable[..., Any]:
    def call(xp: Namespace, x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        return apply(Extreme(name, axis, keepdims), xp, x)

    return call


def _prod(xp: Namespace, x: Any, /, *, axis: Any = None, dtype: DType = None, keepdims: bool = False) -> Any:
    # halves times halves: unlike y / x it is exact where an entry is 0
    x, axes = (x if dtype is None else xp.astype(x, dtype)), _axes(x, axis)
    for a in axes:
        while x.shape[a] > 1:
            half = x.shape[a] // 2
            first, second, rest = (_cut(x, a, *ends) for ends in ((0, half), (half, 2 * half), (2 * half, x.shape[a])))
            x = first * second if not rest.shape[a] else xp.concat([first * second, rest], axis=a)
    return x if keepdims else xp.reshape(x, tuple(n for a, n in enumerate(x.shape) if a not in axes))


def _cut(x: Any, axis: int, start: int, stop: int) -> Any:
    return x[(*[slice(None)] * axis, slice(start, stop), ...)]


def _concat(xp: Namespace, arrays: Sequence[Any], /, *, axis: int | None = 0) -> Any:
    if axis is None:
        arrays, axis = [xp.reshape(x, (-1,)) for x in arrays], 0
    return apply(Concat(axis), xp, *arrays)


def _stack(xp: Namespace, arrays: Sequence[Any], /, *, axis: int = 0) -> Any:
    return xp.concat([xp.expand_dims(x, axis=axis) for x in arrays], axis=axis)


def _reshape(xp: Namespace, x: Any, /, shape: int | tuple[int, ...], *, copy: bool | None = None) -> Any:
    return apply(Linear("reshape", ((shape,) if isinstance(shape, int) else tuple(shape),)), xp, x)


def _expand(xp: Namespace, x: Any, /, *, axis: int = 0) -> Any:
    return apply(Linear("expand_dims", (), {"axis": axis}), xp, x)


def _squeeze(xp: Namespace, x: Any, /, axis: int | tuple[int, ...]) -> Any:
    return apply(Linear("squeeze", (), {"axis": axis}), xp, x)


def _broadcast_to(xp: Namespace, x: Any, /, shape: tuple[int, ...]) -> Any:
    return apply(Linear("broadcast_to", (tuple(shape),)), xp, x)


def _permute(xp: Namespace, x: Any, /, axes: tuple[int, ...]) -> Any:
    return apply(Linear("permute_dims", (tuple(axes),)), xp, x)


def _matrix_transpose(xp: Namespace, x: Any, /) -> Any:
    return xp.permute_dims(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _take(xp: Namespace, x: Any, index: Array, /, *, axis: int | None = None) -> Any:
    return apply(Linear("take", (stripped(index),), {"axis": 0 if axis is None else axis}), xp, x)


def _getitem(xp: Namespace, x: Any, index: Any) -> Any:
    parts = [_whole(part) for part in (index if isinstance(index, tuple) else (index,))]
    if not all(part is None or part is Ellipsis or type(part) in (int, slice) for part in parts):
        msg = "An array that is differentiated is indexed by whole numbers, slices, None and ...; else use xp.take."
        raise TypeError(msg)
    missing = x.ndim - sum(isinstance(part, (int, slice)) for part in parts)
    at = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
    full = (*parts[:at], *[slice(None)] * missing, *parts[at + 1 :])
    return apply(Linear("getitem", (full,)), xp, x)


def _whole(part: Any) -> Any:
    """Return a library's whole number, such as one of ``numpy.arange(3)``, as one of Python's."""
    number = getattr(part, "shape", None) == () and hasattr(part, "__index__") and not isinstance(part, Tracer)
    return operator.index(part) if number else part


def _cumulative_sum(xp: Namespace, x: Any, /, *, axis: int | None = None, dtype: DType = None) -> Any:
    x = x if dtype is None else xp.astype(x, dtype)
    return apply(Linear("cumulative_sum", (), {"axis": 0 if axis is None else axis}), xp, x)


def _linear(name: str) -> Callable[..., Any]:
    def call(xp: Namespace, x: Any, /, *arguments: Any, **options: Any) -> Any:
        return apply(Linear(name, arguments, options), xp, x)

    return call


def _asarray(xp: Namespace, x: Any, /, **options: Any) -> Any:
    """Return an array as it is, in another type where one is named."""
    if not isinstance(x, Tracer):
        return xp.stack(x)
    return x if options.get("dtype") is None else xp.astype(x, options["dtype"])


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: _elementwise(name) for name in RULES},
    "asarray": _asarray,
    "astype": _astype,
    "broadcast_to": _broadcast_to,
    "clip": _clip,
    "concat": _concat,
    "cumulative_sum": _cumulative_sum,
    "expand_dims": _expand,
    "flip": _linear("flip"),
    "getitem": _getitem,
    "matmul": _matmul,
    "matrix_transpose": _matrix_transpose,
    "max": _extreme("max"),
    "mean": _mean,
    "min": _extreme("min"),
    "permute_dims": _permute,
    "prod": _prod,
    "reshape": _reshape,
    "roll": _linear("roll"),
    "squeeze": _squeeze,
    "stack": _stack,
    "std": _std,
    "sum": _sum,
    "take": _take,
    "tril": _linear("tril"),
    "triu": _linear("triu"),
    "var": _var,
    "vecdot": _vecdot,
    "where": _where,
}
"""By name; each takes the namespace first."""

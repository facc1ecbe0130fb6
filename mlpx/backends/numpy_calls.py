"""The calls of a program in NumPy: for each operation the fastest way to have it written into a buffer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import array_api_compat.numpy as standard
import numpy as np

from mlpx._typing import Array
from mlpx.backends.layout import Calls
from mlpx.backends.notes import Call, Filled, Kind, NotRecordable

__all__ = ["NumPyCalls", "aligned"]

_BLOCK = 131072
_LINE = 64
_SHORT_SUM, _SHORT_MAXIMUM = 2**14, 64
"""Lengths of the last axis up to which NumPy's own reduction over it is the slower way."""

_REDUCTIONS: dict[str, np.ufunc] = {"sum": np.add, "max": np.maximum, "min": np.minimum, "all": np.logical_and}
_Bound = list[Callable[[], Any]]


class NumPyCalls(Calls):
    """Calls of NumPy's functions."""

    xp = standard

    def __init__(self) -> None:
        self.block = _BLOCK

    def kind(self, x: Array) -> Kind:
        """Return the shape and type of an array."""
        return Kind(x.shape, x.dtype)

    def place(self, x: Array) -> tuple[Any, ...]:
        """Return where an array lies and what it looks like."""
        return x.__array_interface__["data"][0], x.shape, x.dtype, x.strides

    def raw(self, nbytes: int) -> Array:
        """Return a buffer of bytes that begins with a cache line."""
        return aligned(nbytes)

    def typed(self, raw: Array, kind: Kind) -> Array:
        """Return the first bytes of a buffer as an array."""
        size = int(np.prod(kind.shape, dtype=np.int64)) * kind.dtype.itemsize
        return raw[:size].view(kind.dtype).reshape(kind.shape)

    def constant(self, value: Array) -> Array:
        """Return a constant."""
        return value

    def filled(self, value: Filled, shape: tuple[int, ...]) -> Array:
        """Return a whole array, for functions that are two to three times faster with one; else the number."""
        return np.full(shape, value.number, dtype=value.dtype)

    def copy(self, out: Array, x: Array) -> Callable[[], Any]:
        """Return the call that copies `x` to `out`."""
        return partial(np.copyto, out, x)

    def bind(self, call: Call, inputs: Sequence[Array], out: Array) -> _Bound:
        """Return an operation as calls ready to be made."""
        if call.name in _BINDINGS:
            return _BINDINGS[call.name](*inputs, out, *call.parameters)
        function = getattr(np, call.name, None)
        if not isinstance(function, np.ufunc):
            raise NotRecordable(call.name)
        if function in (np.maximum, np.minimum):  # which deprecate a third position
            return [partial(function, *inputs, out=out)]
        return [partial(function, *inputs, out)]


def aligned(nbytes: int) -> Array:
    """Return bytes that begin with a cache line: large element-wise calls are a fifth to a third faster for it."""
    whole = np.empty(nbytes + _LINE, dtype=np.uint8)
    start = -whole.__array_interface__["data"][0] % _LINE
    return whole[start : start + nbytes]


def _cast(x: Array, out: Array) -> _Bound:
    return [partial(np.copyto, out, x, "unsafe")]


def _where(condition: Array, yes: Array, no: Array, out: Array) -> _Bound:
    return [partial(np.copyto, out, no), partial(np.copyto, out, yes, "same_kind", condition)]


def _one_hot(classes: Array, out: Array) -> _Bound:
    # rows of the identity are gathered three times as fast as classes are compared
    count = out.shape[-1]
    identity = np.eye(count + 1, count, dtype=out.dtype)  # a last row of zeros for what is no class of these
    return [partial(identity.take, classes.reshape(-1), 0, out.reshape(-1, count), "clip")]


def _take(x: Array, index: Array, out: Array, axis: int) -> _Bound:
    return [partial(x.take, index, axis, out, "clip")]


def _matmul(a: Array, b: Array, out: Array) -> _Bound:
    if out.dtype == np.float16:  # for which there is no BLAS
        left, right, product = (np.empty(x.shape, dtype=np.float32) for x in (a, b, out))
        copies = [partial(np.copyto, left, a), partial(np.copyto, right, b)]
        return [*copies, *_matmul(left, right, product), partial(np.copyto, out, product, "unsafe")]
    # of one matrix, dot is half a microsecond faster than matmul
    plain = a.ndim == b.ndim == 2 and a.dtype == b.dtype == out.dtype and out.flags.c_contiguous
    return [partial(np.dot if plain else np.matmul, a, b, out)]


def _argmax(x: Array, out: Array, axis: int, keepdims: bool) -> _Bound:
    return [partial(np.argmax, x, axis, out, keepdims=keepdims)]


def _reduction(name: str) -> Callable[..., _Bound]:
    function = _REDUCTIONS[name]
    reduce: Callable[..., Any] = function.reduce

    def bind(x: Array, out: Array, axis: int, keepdims: bool) -> _Bound:
        length = x.shape[axis]
        if _is_plain(x, out, axis) and name == "sum" and length <= _SHORT_SUM:
            rows = x.reshape(-1, length) if x.ndim > 1 else x
            return [partial(np.dot, rows, np.ones(length, dtype=x.dtype), out.reshape(rows.shape[:-1]))]
        if _is_plain(x, out, axis) and name in ("max", "min") and x.ndim > 1 and length <= _SHORT_MAXIMUM:
            columns = np.empty((length, x.size // length), dtype=x.dtype)
            by_column = x.reshape(-1, length).T
            return [partial(np.copyto, columns, by_column), partial(reduce, columns, 0, None, out.reshape(-1))]
        return [partial(reduce, x, axis, None, out, keepdims)]

    return bind


def _is_plain(x: Array, out: Array, axis: int) -> bool:
    """Say whether a reduction is over the last axis of floating-point numbers that lie side by side."""
    same = x.dtype == out.dtype and x.dtype.kind == "f"
    return bool(same and axis == x.ndim - 1 and x.flags.c_contiguous and out.flags.c_contiguous)


_BINDINGS: dict[str, Callable[..., _Bound]] = {
    "argmax": _argmax,
    "cast": _cast,
    "matmul": _matmul,
    "one_hot": _one_hot,
    "take": _take,
    "where": _where,
    **{name: _reduction(name) for name in _REDUCTIONS},
}

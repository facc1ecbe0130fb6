"""Recording: what a pure function does to arrays is noted down as a list of calls, without making them.

The function gets `Recorded` arrays and a backend whose namespace is a `RecordingNamespace`. Each call gives an empty
array of the right shape and type and a note of the call (`Operation`); where the result is a view it is one, with a
note of the way to it. `mlpx.backends.layout` turns the notes into a program.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import array_api_compat.numpy as standard
import numpy as np

from mlpx._typing import Array, DType
from mlpx.backends import trees
from mlpx.backends.base import Backend
from mlpx.backends.notes import (
    Call,
    Concat,
    Filled,
    NotRecordable,
    Operation,
    Recording,
    Variable,
    Way,
    blank,
    can_be_reshaped,
    is_one_number,
    reshaped,
)  # fmt: skip

__all__ = ["record"]


_NUMBERS = (bool, int, float)  # exactly these: NumPy's own scalars have a type that counts
_READS_ARRAYS = (np.maximum, np.minimum, np.greater, np.greater_equal, np.less, np.less_equal)


class Recorder:
    """Notes what is done to recorded arrays."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._known: dict[Any, Recorded] = {}
        self._calls: dict[Variable, Call | Concat] = {}
        self._compared: dict[Variable, Recorded] = {}
        self._widened: dict[Variable, Recorded] = {}

    def input(self, value: Array) -> Recorded:
        """Return an argument of the function as a recorded array."""
        return Recorded(self, Variable(value))

    def view(self, x: Recorded, way: Way) -> Recorded:
        """Note a view."""
        value = way(standard, x.variable.value)
        if value.size and not np.may_share_memory(value, x.variable.value):
            msg = "a view that NumPy can only make by copying"
            raise NotRecordable(msg)
        return Recorded(self, Variable(value, base=x.variable, way=way))

    def reshape(self, x: Recorded, shape: tuple[int, ...]) -> Recorded:
        """Note a view of another shape, of a copy where the array itself has none."""
        if not can_be_reshaped(x.variable.value, shape):
            x = self.call(Call("cast"), x, rowwise=True, value=blank(x.shape, x.dtype))
        return self.view(x, lambda _, a: reshaped(a, shape))

    def call(
        self,
        call: Call | Concat,
        *inputs: Any,
        value: Array,
        rowwise: bool = False,
        elementwise: bool = False,
        broadcasts: bool = False,
    ) -> Recorded:
        """Note a call whose result looks like `value`; equal calls are made once."""
        noted = tuple(_noted(x) for x in inputs)
        key = (call, value.dtype, *(id(v) if isinstance(v, Variable) else _constant_key(v) for v in noted))
        if key not in self._known:
            output = Variable(value)
            self.operations.append(Operation(call, noted, output, rowwise, elementwise, broadcasts or elementwise))
            self._known[key] = Recorded(self, output)
            self._calls[output] = call
        return self._known[key]

    def ufunc(self, function: np.ufunc, *inputs: Any) -> Recorded:
        """Note an element-wise call; Python numbers take the type of the arrays, as NumPy says."""
        values = [_value(x) for x in inputs]
        types = function.resolve_dtypes(
            (*(type(v) if type(v) in _NUMBERS else v.dtype for v in values), *(None,) * function.nout)
        )
        value = blank(np.broadcast_shapes(*(np.shape(v) for v in values)), types[-1])
        typed = [_typed(x, t, function) for x, t in zip(inputs, types, strict=False)]
        result = self.call(Call(function.__name__), *typed, rowwise=True, elementwise=True, value=value)
        if function is np.equal and self._is_class(inputs[0]) and _are_all_classes(inputs[1]):
            self._compared[result.variable] = inputs[0]
        return result

    def _is_class(self, x: Any) -> bool:
        """Say whether an array holds classes, gathered from the targets; such are not negative."""
        integers = isinstance(x, Recorded) and x.dtype.kind == "i" and x.shape[-1:] == (1,)
        return integers and self._calls.get(x.variable.root) == Call("take", (0,))

    def cast(self, x: Recorded, dtype: Any) -> Recorded:
        """Note a change of type."""
        if x.variable.value.dtype == dtype:
            return x
        classes = self._compared.get(x.variable)
        if classes is not None:
            return self.call(Call("one_hot"), classes, rowwise=True, value=blank(x.shape, dtype))
        narrow = self._widened.get(x.variable)
        if narrow is not None and narrow.dtype == dtype:
            return narrow
        result = self.call(Call("cast"), x, rowwise=True, value=blank(x.shape, dtype))
        if "float16" in x.dtype.name:  # the way back is exact
            self._widened[result.variable] = x
        return result


def _noted(x: Any) -> Any:
    if isinstance(x, Recorded):
        return x.variable
    return x if isinstance(x, Filled) else np.asarray(x)


def _typed(x: Any, dtype: np.dtype[Any], function: np.ufunc) -> Any:
    """Return a number in the type in which the call computes; arrays as they are."""
    if type(x) not in _NUMBERS:
        return x
    return Filled(x, dtype, math.copysign(1.0, x) < 0) if function in _READS_ARRAYS else np.asarray(x, dtype=dtype)


def _constant_key(value: Any) -> Any:
    """Return what tells one constant from another: the number itself, for small ones."""
    if isinstance(value, np.ndarray) and is_one_number(value):
        return value.shape, value.dtype, value.flat[0].tobytes()
    return value if isinstance(value, Filled) else id(value)


def _are_all_classes(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.ndim == 1 and x.dtype.kind == "i" and np.array_equal(x, np.arange(x.size))


class Recorded:
    """An array whose calls are noted."""

    __array_priority__ = 1000.0

    def __init__(self, recorder: Recorder, variable: Variable) -> None:
        self.recorder = recorder
        self.variable = variable

    shape = property(lambda self: self.variable.value.shape)
    dtype = property(lambda self: self.variable.value.dtype)
    ndim = property(lambda self: self.variable.value.ndim)
    size = property(lambda self: self.variable.value.size)
    device = "cpu"
    mT = property(lambda self: self.recorder.view(self, lambda xp, a: xp.matrix_transpose(a)))  # noqa: N815
    T = property(lambda self: self.recorder.view(self, lambda xp, a: xp.permute_dims(a, tuple(range(a.ndim))[::-1])))

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return RecordingNamespace(self.recorder)

    def __array_ufunc__(self, function: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            msg = f"{function.__name__}.{method}"
            raise NotRecordable(msg)
        return self.recorder.ufunc(function, *inputs)

    def __getitem__(self, index: Any) -> Recorded:
        parts = index if isinstance(index, tuple) else (index,)
        if not all(part is None or part is Ellipsis or isinstance(part, (int, slice)) for part in parts):
            msg = "indexing by arrays"
            raise NotRecordable(msg)
        return self.recorder.view(self, lambda _, a: a[index])

    def __bool__(self) -> bool:
        msg = "a decision by the values of an array"
        raise NotRecordable(msg)

    __float__ = __int__ = __index__ = __array__ = __iter__ = __bool__


def _operator(function: np.ufunc, *, swapped: bool = False) -> Callable[..., Any]:
    if function.nin == 1:
        return lambda self: self.recorder.ufunc(function, self)

    def call(self: Recorded, other: Any) -> Any:
        if getattr(other, "__array_ufunc__", self) is None:  # its own operators come first, as with NumPy's arrays
            return NotImplemented
        return self.recorder.ufunc(function, *((other, self) if swapped else (self, other)))

    return call


_TWO_SIDED: dict[str, np.ufunc] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide, "pow": np.power,
    "floordiv": np.floor_divide, "mod": np.remainder, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
}  # fmt: skip
_OTHERS: dict[str, np.ufunc] = {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal,
    "neg": np.negative, "abs": np.absolute, "invert": np.invert,
}  # fmt: skip
for _name, _function in _TWO_SIDED.items():
    setattr(Recorded, f"__{_name}__", _operator(_function))
    setattr(Recorded, f"__r{_name}__", _operator(_function, swapped=True))
for _name, _function in _OTHERS.items():
    setattr(Recorded, f"__{_name}__", _operator(_function))
Recorded.__hash__ = object.__hash__  # type: ignore[method-assign]


class RecordingNamespace:
    """The functions of the standard on recorded arrays; on other arrays they are NumPy's own."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def __getattr__(self, name: str) -> Any:
        found = getattr(standard, name)
        special = _SPECIAL.get(name)
        ufunc = getattr(np, name, None)
        if special is None and not isinstance(ufunc, np.ufunc):
            return found if isinstance(found, (type, float)) or not callable(found) else _Plain(name, found)
        recorder = self._recorder

        def call(*inputs: Any, **options: Any) -> Any:
            if not any(_is_recorded(x) for x in inputs):
                return found(*inputs, **options)
            if special is not None:
                return special(recorder, *inputs, **options)
            return recorder.ufunc(ufunc, *inputs)  # type: ignore[arg-type]

        return call


class _Plain:
    """A function that takes no recorded array."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name, self._function = name, function

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        if any(_is_recorded(x) for x in inputs):
            raise NotRecordable(self._name)
        return self._function(*inputs, **options)


def _is_recorded(x: Any) -> bool:
    return isinstance(x, Recorded) or (isinstance(x, (list, tuple)) and any(isinstance(i, Recorded) for i in x))


def _clip(recorder: Recorder, x: Recorded, /, min: Any = None, max: Any = None) -> Recorded:
    x = x if min is None else recorder.ufunc(np.maximum, x, min)
    return x if max is None else recorder.ufunc(np.minimum, x, max)


def _where(recorder: Recorder, condition: Any, yes: Any, no: Any) -> Recorded:
    shape = np.broadcast_shapes(*(np.shape(_value(x)) for x in (condition, yes, no)))
    value = blank(shape, np.result_type(_value(yes), _value(no)))
    return recorder.call(Call("where"), condition, yes, no, rowwise=True, broadcasts=True, value=value)


def _matmul(recorder: Recorder, a: Any, b: Any) -> Recorded:
    left, right = _value(a), _value(b)
    stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    value = blank((*stack, left.shape[-2], right.shape[-1]), np.result_type(left, right))
    return recorder.call(Call("matmul"), a, b, value=value)


def _reduction(name: str, function: np.ufunc) -> Callable[..., Recorded]:
    def reduce(
        recorder: Recorder, x: Recorded, *, axis: int | None = None, keepdims: bool = False, dtype: Any = None
    ) -> Recorded:
        if axis is None or isinstance(axis, tuple) or dtype is not None:
            msg = "a reduction over several axes"
            raise NotRecordable(msg)
        axis = axis % x.ndim
        if function is np.add and axis == x.ndim - 2 and x.dtype.kind == "f":
            return _column_sums(recorder, x, keepdims=keepdims)
        value = blank(_reduced(x.shape, axis, keepdims), _type_of_reduction(function, x.dtype))
        return recorder.call(Call(name, (axis, keepdims)), x, rowwise=axis > 0, value=value)

    return reduce


def _reduced(shape: tuple[int, ...], axis: int, keepdims: bool) -> tuple[int, ...]:
    return (*shape[:axis], *((1,) if keepdims else ()), *shape[axis + 1 :])


def _type_of_reduction(function: np.ufunc, dtype: np.dtype[Any]) -> np.dtype[Any]:
    return function.reduce(np.ones(1, dtype)).dtype  # type: ignore[no-any-return]


def _column_sums(recorder: Recorder, x: Recorded, *, keepdims: bool) -> Recorded:
    """Sum over rows as a product with ones, which is faster than NumPy's own reduction."""
    total = _matmul(recorder, np.ones((1, x.shape[-2]), dtype=x.dtype), x)
    return total if keepdims else total[..., 0, :]


def _mean(recorder: Recorder, x: Recorded, *, axis: int, keepdims: bool = False) -> Recorded:
    total = _reduction("sum", np.add)(recorder, x, axis=axis, keepdims=keepdims)
    return recorder.ufunc(np.true_divide, total, float(x.shape[axis]))


def _argmax(recorder: Recorder, x: Recorded, *, axis: int, keepdims: bool = False) -> Recorded:
    axis = axis % x.ndim
    value = blank(_reduced(x.shape, axis, keepdims), np.int64)
    return recorder.call(Call("argmax", (axis, keepdims)), x, rowwise=axis > 0, value=value)


def _all(recorder: Recorder, x: Recorded, *, axis: int, keepdims: bool = False) -> Recorded:
    return _reduction("all", np.logical_and)(recorder, x, axis=axis, keepdims=keepdims)


def _take(recorder: Recorder, x: Any, index: Any, *, axis: int) -> Recorded:
    source, positions = _value(x), _value(index)
    axis = axis % source.ndim
    if not isinstance(index, Recorded) and np.any(positions < 0):
        msg = "taking from the end"
        raise NotRecordable(msg)
    shape = (*source.shape[:axis], *positions.shape, *source.shape[axis + 1 :])
    return recorder.call(Call("take", (axis,)), x, index, value=blank(shape, source.dtype))


def _value(x: Any) -> Any:
    return x.variable.value if isinstance(x, Recorded) else x


def _concat(recorder: Recorder, arrays: Any, *, axis: int = 0) -> Recorded:
    values = [_value(a) for a in arrays]
    stops = tuple(np.cumsum([v.shape[axis] for v in values]).tolist())
    shape = list(values[0].shape)
    shape[axis] = stops[-1]
    return recorder.call(Concat(axis, stops), *arrays, value=blank(shape, np.result_type(*values)))


def _constant(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda recorder, x, *rest, **options: function(x.variable.value, *rest, **options)


_SPECIAL: dict[str, Callable[..., Any]] = {
    "all": _all,
    "argmax": _argmax,
    "astype": lambda recorder, x, dtype, *, copy=True: recorder.cast(x, np.dtype(dtype)),
    "broadcast_to": lambda recorder, x, shape: recorder.view(x, lambda xp, a: xp.broadcast_to(a, shape)),
    "clip": _clip,
    "concat": _concat,
    "expand_dims": lambda recorder, x, *, axis=0: _expand(x, axis),
    "matmul": _matmul,
    "matrix_transpose": lambda recorder, x: x.mT,
    "max": _reduction("max", np.maximum),
    "mean": _mean,
    "min": _reduction("min", np.minimum),
    "ones_like": _constant(np.ones_like),
    "permute_dims": lambda recorder, x, axes: recorder.view(x, lambda xp, a: xp.permute_dims(a, axes)),
    "reshape": lambda recorder, x, shape: recorder.reshape(x, shape),
    "round": lambda recorder, x: recorder.ufunc(np.rint, x),
    "squeeze": lambda recorder, x, axis: recorder.view(x, lambda xp, a: xp.squeeze(a, axis=axis)),
    "stack": lambda recorder, arrays, *, axis=0: _concat(recorder, [_expand(a, axis) for a in arrays], axis=axis),
    "sum": _reduction("sum", np.add),
    "take": _take,
    "where": _where,
    "zeros_like": _constant(np.zeros_like),
}


def _expand(x: Any, axis: int) -> Any:
    if not isinstance(x, Recorded):
        return np.expand_dims(x, axis)
    return x.recorder.view(x, lambda xp, a: xp.expand_dims(a, axis=axis))


class RecordingBackend(Backend):
    """The reference primitives over a recording namespace."""

    name = "numpy"

    def __init__(self, recorder: Recorder) -> None:
        self.xp = RecordingNamespace(recorder)
        self.device = "cpu"
        self.device_name = "cpu"
        self.version = np.__version__

    def dropout_factors(self, draw: Array, shape: tuple[int, ...], dtype: DType) -> Array:
        """Note how factors are made from words: the bits of all elements, then the factors."""
        if draw.dtype != np.uint64:
            return draw
        stack, recorder = draw.shape[:-1], draw.recorder
        groups = -(-math.prod(shape) // 16)
        bits = recorder.call(Call("dropout_bits"), draw, value=blank((*stack, groups), np.uint16))
        return recorder.call(Call("dropout", tuple(shape)), bits, draw, value=blank((*stack, *shape), dtype))


@lru_cache(maxsize=128)
def record(step: Any, arguments: tuple[Any, Any, Any]) -> Recording | None:
    """Return what a step does for arguments of some kinds; None where it cannot be recorded.

    Parameters
    ----------
    step : callable
        As for `mlpx.backends.Backend.fold`.
    arguments : tuple
        ``(fixed, state, batch)`` with a `Kind` for each array.
    """
    recorder = Recorder()
    fixed, state, batch = trees.mapped(lambda kind: recorder.input(blank(kind.shape, kind.dtype)), arguments)
    try:
        result = replace(step, backend=RecordingBackend(recorder))(*fixed, state, batch)
        outputs = [_variable(x) for x in trees.leaves(result)]
    except Exception:
        # what this file does not know; if it is a mistake of the step, that raises again where it runs as it stands
        return None
    inputs = tuple([x.variable for x in trees.leaves(tree)] for tree in (fixed, state, batch))
    return Recording(recorder.operations, inputs, outputs)


def _variable(x: Any) -> Variable:
    if not isinstance(x, Recorded):
        msg = "a result that depends on no argument"
        raise NotRecordable(msg)
    return x.variable

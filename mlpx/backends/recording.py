"""Recording: what a pure function does to arrays is noted down as a list of calls, without making them.

The function gets `Recorded` arrays and a backend whose namespace is a `RecordingNamespace`. Each call gives an empty
array of the right shape and type and a note of the call (`Operation`); where the result is a view it is one, with a
note of the way to it. `mlpx.backends.layout` turns the notes into a program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import array_api_compat.numpy as standard
import numpy as np

from mlpx._typing import Array
from mlpx.backends.base import Backend

__all__ = [
    "Bound",
    "Concat",
    "Filled",
    "NotRecordable",
    "Operation",
    "Recorded",
    "Recorder",
    "RecordingBackend",
    "Variable",
]


class NotRecordable(Exception):  # noqa: N818
    """The function does something that cannot be replayed; it is then run as it stands."""


@dataclass(eq=False)
class Variable:
    """An array of the program.

    Attributes
    ----------
    value : array
        Has its shape and type, and for views the strides; arguments and constants alone have values.
    base : Variable, optional
        For views, what they are a view of.
    way : callable, optional
        For views, the function from the base's array to the view.
    """

    value: Any
    base: Variable | None = None
    way: Callable[[Array], Array] | None = None

    @property
    def root(self) -> Variable:
        """The variable whose memory this one uses."""
        return self if self.base is None else self.base.root


@dataclass(frozen=True)
class Filled:
    """A number that is read from a whole array, which is two to three times faster in some calls."""

    number: float
    dtype: np.dtype[Any]


class Bound:
    """A call with its own way of taking arguments: ``bind(*inputs, out)`` returns calls ready to be made."""

    def __init__(self, bind: Callable[..., Sequence[Callable[[], Any]]]) -> None:
        self.bind = bind


@dataclass(eq=False)
class Operation:
    """One call: ``function(*inputs, out=output)``.

    Attributes
    ----------
    function : callable
        A NumPy ufunc, a function with the signature ``(*inputs, out)``, or `Bound`.
    inputs : tuple
        Variables and constants (arrays or `Filled`).
    output : Variable
        What it makes.
    rowwise : bool
        Whether a row (first axis) of the output depends on that row of the inputs alone.
    elementwise : bool
        Whether the output may be written over an input of the same shape.
    broadcasts : bool
        Whether inputs are stretched to the shape of the output; else their first axis is that of the output.
    """

    function: Callable[..., Any] | Bound
    inputs: tuple[Any, ...]
    output: Variable
    rowwise: bool
    elementwise: bool
    broadcasts: bool


_NUMBERS = (bool, int, float)  # exactly these: NumPy's own scalars have a type that counts
_READS_ARRAYS = (np.maximum, np.minimum, np.greater, np.greater_equal, np.less, np.less_equal)


class Recorder:
    """Notes what is done to recorded arrays."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._known: dict[Any, Recorded] = {}
        self._compared: dict[Variable, Recorded] = {}

    def input(self, value: Array) -> Recorded:
        """Return an argument of the function as a recorded array."""
        return Recorded(self, Variable(value))

    def view(self, x: Recorded, way: Callable[[Array], Array]) -> Recorded:
        """Note a view."""
        value = way(x.variable.value)
        if value.size and not np.may_share_memory(value, x.variable.value):
            msg = "a view that NumPy can only make by copying"
            raise NotRecordable(msg)
        return Recorded(self, Variable(value, base=x.variable, way=way))

    def call(
        self,
        function: Callable[..., Any] | Bound,
        *inputs: Any,
        rowwise: bool = False,
        elementwise: bool = False,
        broadcasts: bool = False,
        value: Array,
        key: Any = None,
    ) -> Recorded:
        """Note a call whose result looks like `value`; equal calls (by `key`) are made once."""
        noted = tuple(_noted(x) for x in inputs)
        key = (key or function, *(id(v) if isinstance(v, Variable) else _constant_key(v) for v in noted))
        if key in self._known:
            return self._known[key]
        output = Variable(value)
        self.operations.append(Operation(function, noted, output, rowwise, elementwise, broadcasts or elementwise))
        self._known[key] = Recorded(self, output)
        return self._known[key]

    def ufunc(self, function: np.ufunc, *inputs: Any) -> Recorded:
        """Note an element-wise call; Python numbers take the type of the arrays, as NumPy says."""
        values = [_value(x) for x in inputs]
        types = function.resolve_dtypes(
            (*(type(v) if type(v) in _NUMBERS else v.dtype for v in values), *(None,) * function.nout)
        )
        value = np.empty(np.broadcast_shapes(*(np.shape(v) for v in values)), dtype=types[-1])
        typed = [_typed(x, t, function) for x, t in zip(inputs, types, strict=False)]
        result = self.call(function, *typed, rowwise=True, elementwise=True, value=value)
        if function is np.equal and _is_class(inputs[0]) and _are_all_classes(inputs[1]):
            self._compared[result.variable] = inputs[0]
        return result

    def cast(self, x: Recorded, dtype: Any) -> Recorded:
        """Note a change of type."""
        if x.variable.value.dtype == dtype:
            return x
        classes = self._compared.get(x.variable)
        if classes is not None:
            return self.call(_one_hot, classes, rowwise=True, value=np.empty(x.shape, dtype), key=(_one_hot, dtype))
        return self.call(copy_cast, x, rowwise=True, value=np.empty(x.shape, dtype), key=(copy_cast, dtype))


def _noted(x: Any) -> Any:
    if isinstance(x, Recorded):
        return x.variable
    return x if isinstance(x, Filled) else np.asarray(x)


def _typed(x: Any, dtype: np.dtype[Any], function: np.ufunc) -> Any:
    """Return a number in the type in which the call computes; arrays as they are."""
    if type(x) not in _NUMBERS:
        return x
    return Filled(x, dtype) if function in _READS_ARRAYS else np.asarray(x, dtype=dtype)


def _constant_key(value: Any) -> Any:
    """Return what tells one constant from another: the number itself, for small ones."""
    if isinstance(value, np.ndarray) and value.size and (value.ndim == 0 or np.all(value == value.flat[0])):
        return value.shape, value.dtype, value.flat[0]
    return value if isinstance(value, Filled) else id(value)


copy_cast = Bound(lambda x, out: [partial(np.copyto, out, x, "unsafe")])


def _is_class(x: Any) -> bool:
    return isinstance(x, Recorded) and x.dtype.kind == "i" and x.shape[-1:] == (1,)


def _are_all_classes(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.ndim == 1 and x.dtype.kind == "i" and np.array_equal(x, np.arange(x.size))


def _bind_one_hot(classes: Array, out: Array) -> list[Callable[[], Any]]:
    # rows of the identity are gathered three times as fast as classes are compared
    identity = np.eye(out.shape[-1], dtype=out.dtype)
    return [partial(identity.take, classes.reshape(-1), 0, out.reshape(-1, out.shape[-1]), "clip")]


_one_hot = Bound(_bind_one_hot)


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
    mT = property(lambda self: self.recorder.view(self, np.matrix_transpose))  # noqa: N815
    T = property(lambda self: self.recorder.view(self, np.transpose))

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
        return self.recorder.view(self, lambda x: x[index])

    def __bool__(self) -> bool:
        msg = "a decision by the values of an array"
        raise NotRecordable(msg)

    __float__ = __int__ = __index__ = __array__ = __iter__ = __bool__


def _operator(function: np.ufunc, *, swapped: bool = False) -> Callable[..., Any]:
    if function.nin == 1:
        return lambda self: self.recorder.ufunc(function, self)
    if swapped:
        return lambda self, other: self.recorder.ufunc(function, other, self)
    return lambda self, other: self.recorder.ufunc(function, self, other)


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


def _clip(recorder: Recorder, x: Recorded, low: Any = None, high: Any = None) -> Recorded:
    x = x if low is None else recorder.ufunc(np.maximum, x, low)
    return x if high is None else recorder.ufunc(np.minimum, x, high)


def _where(recorder: Recorder, condition: Any, yes: Any, no: Any) -> Recorded:
    shape = np.broadcast_shapes(*(np.shape(_value(x)) for x in (condition, yes, no)))
    value = np.empty(shape, np.result_type(_value(yes), _value(no)))
    return recorder.call(_choose, condition, yes, no, rowwise=True, broadcasts=True, value=value)


_choose = Bound(
    lambda condition, yes, no, out: [partial(np.copyto, out, no), partial(np.copyto, out, yes, "same_kind", condition)]
)


def _matmul(recorder: Recorder, a: Any, b: Any) -> Recorded:
    left, right = _value(a), _value(b)
    stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    value = np.empty((*stack, left.shape[-2], right.shape[-1]), np.result_type(left, right))
    return recorder.call(_product, a, b, value=value)


def _bind_product(a: Array, b: Array, out: Array) -> list[Callable[[], Any]]:
    # of one matrix, dot is half a microsecond faster than matmul
    plain = a.ndim == b.ndim == 2 and a.dtype == b.dtype == out.dtype and out.flags.c_contiguous
    return [partial(np.dot if plain else np.matmul, a, b, out)]


_product = Bound(_bind_product)


def _reduction(function: np.ufunc) -> Callable[..., Recorded]:
    def reduce(
        recorder: Recorder, x: Recorded, *, axis: int | None = None, keepdims: bool = False, dtype: Any = None
    ) -> Recorded:
        if axis is None or isinstance(axis, tuple) or dtype is not None:
            msg = "a reduction over several axes"
            raise NotRecordable(msg)
        axis = axis % x.ndim
        if function is np.add and axis == x.ndim - 2 and x.dtype.kind == "f":
            return _column_sums(recorder, x, keepdims=keepdims)
        value = np.empty(_reduced(x.shape, axis, keepdims), _type_of_reduction(function, x.dtype))
        call = Bound(partial(_bind_reduction, function, axis, keepdims))
        return recorder.call(call, x, rowwise=axis > 0, value=value, key=(function, axis, keepdims))

    return reduce


def _reduced(shape: tuple[int, ...], axis: int, keepdims: bool) -> tuple[int, ...]:
    return (*shape[:axis], *((1,) if keepdims else ()), *shape[axis + 1 :])


def _type_of_reduction(function: np.ufunc, dtype: np.dtype[Any]) -> np.dtype[Any]:
    return function.reduce(np.ones(1, dtype)).dtype  # type: ignore[no-any-return]


_SHORT_SUM, _SHORT_MAXIMUM = 1024, 64
"""Lengths of the last axis up to which NumPy's own reduction over it is the slower way."""


def _bind_reduction(
    function: np.ufunc,
    axis: int,
    keepdims: bool,
    x: Array,
    out: Array,
) -> list[Callable[[], Any]]:
    last, length = axis == x.ndim - 1, x.shape[axis]
    plain = last and x.dtype == out.dtype and x.dtype.kind == "f" and x.flags.c_contiguous and out.flags.c_contiguous
    if plain and function is np.add and length <= _SHORT_SUM:
        rows = x.reshape(-1, length) if x.ndim > 1 else x
        return [partial(np.dot, rows, np.ones(length, dtype=x.dtype), out.reshape(rows.shape[:-1]))]
    reduce: Callable[..., Any] = function.reduce
    if plain and function in (np.maximum, np.minimum) and x.ndim > 1 and length <= _SHORT_MAXIMUM:
        columns = np.empty((length, x.size // length), dtype=x.dtype)
        by_column = x.reshape(-1, length).T
        return [partial(np.copyto, columns, by_column), partial(reduce, columns, 0, None, out.reshape(-1))]
    return [partial(reduce, x, axis, None, out, keepdims)]


def _column_sums(recorder: Recorder, x: Recorded, *, keepdims: bool) -> Recorded:
    """Sum over rows as a product with ones, which is faster than NumPy's own reduction."""
    total = _matmul(recorder, np.ones((1, x.shape[-2]), dtype=x.dtype), x)
    return total if keepdims else total[..., 0, :]


def _mean(recorder: Recorder, x: Recorded, *, axis: int, keepdims: bool = False) -> Recorded:
    total = _reduction(np.add)(recorder, x, axis=axis, keepdims=keepdims)
    return recorder.ufunc(np.true_divide, total, float(x.shape[axis]))


def _argmax(recorder: Recorder, x: Recorded, *, axis: int, keepdims: bool = False) -> Recorded:
    value = np.empty(_reduced(x.shape, axis % x.ndim, keepdims), np.intp)
    call = Bound(lambda a, out: [partial(np.argmax, a, axis, out, keepdims=keepdims)])
    return recorder.call(call, x, rowwise=axis % x.ndim > 0, value=value, key=(np.argmax, axis, keepdims))


def _all(recorder: Recorder, x: Recorded, *, axis: int, keepdims: bool = False) -> Recorded:
    return _reduction(np.logical_and)(recorder, x, axis=axis, keepdims=keepdims)


def _take(recorder: Recorder, x: Any, index: Any, *, axis: int) -> Recorded:
    call = Bound(lambda a, i, out: [partial(a.take, i, axis, out, "clip")])
    source, positions = _value(x), _value(index)
    shape = (*source.shape[:axis], *positions.shape, *source.shape[axis + 1 :])
    return recorder.call(call, x, index, value=np.empty(shape, source.dtype))


def _value(x: Any) -> Any:
    return x.variable.value if isinstance(x, Recorded) else x


def _concat(recorder: Recorder, arrays: Any, *, axis: int = 0) -> Recorded:
    values = [_value(a) for a in arrays]
    sizes = [v.shape[axis] for v in values]
    shape = list(values[0].shape)
    shape[axis] = sum(sizes)
    return recorder.call(Concat(axis, sizes), *arrays, value=np.empty(shape, np.result_type(*values)))


class Concat:
    """Copies arrays into the parts of one; parts that are made for it alone are made there at once."""

    def __init__(self, axis: int, sizes: list[int]) -> None:
        self.axis = axis
        self.stops = np.cumsum(sizes).tolist()

    def part(self, out: Array, i: int) -> Array:
        """Return the i-th part of the output."""
        window = [slice(None)] * out.ndim
        window[self.axis] = slice(self.stops[i - 1] if i else 0, self.stops[i])
        return out[tuple(window)]

    def __call__(self, *arrays: Array, out: Array) -> None:
        """Copy arrays into the parts of `out`."""
        for i, array in enumerate(arrays):
            np.copyto(self.part(out, i), array)


def _constant(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda recorder, x, *rest, **options: function(x.variable.value, *rest, **options)


_SPECIAL: dict[str, Callable[..., Any]] = {
    "all": _all,
    "argmax": _argmax,
    "astype": lambda recorder, x, dtype, *, copy=True: recorder.cast(x, np.dtype(dtype)),
    "broadcast_to": lambda recorder, x, shape: recorder.view(x, lambda a: np.broadcast_to(a, shape)),
    "clip": _clip,
    "concat": _concat,
    "matmul": _matmul,
    "matrix_transpose": lambda recorder, x: x.mT,
    "max": _reduction(np.maximum),
    "mean": _mean,
    "min": _reduction(np.minimum),
    "ones_like": _constant(np.ones_like),
    "reshape": lambda recorder, x, shape: recorder.view(x, lambda a: np.reshape(a, shape)),
    "stack": lambda recorder, arrays, *, axis=0: _concat(recorder, [_expand(a, axis) for a in arrays], axis=axis),
    "sum": _reduction(np.add),
    "take": _take,
    "where": _where,
    "zeros_like": _constant(np.zeros_like),
}


def _expand(x: Any, axis: int) -> Any:
    if not isinstance(x, Recorded):
        return np.expand_dims(x, axis)
    return x.recorder.view(x, lambda a: np.expand_dims(a, axis))


class RecordingBackend(Backend):
    """The reference primitives over a recording namespace."""

    name = "numpy"

    def __init__(self, recorder: Recorder) -> None:
        self.xp = RecordingNamespace(recorder)
        self.device = "cpu"
        self.device_name = "cpu"
        self.version = np.__version__

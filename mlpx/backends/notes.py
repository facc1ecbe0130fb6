"""The notes of a recorded step: arrays that are not there, and the operations that make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpx._typing import Array, Namespace

__all__ = [
    "Call", "Concat", "Filled", "Kind", "NotRecordable", "Operation", "Recording", "Variable", "address", "blank",
    "can_be_reshaped", "fits_in_place", "is_one_number", "needed", "reshaped",
]  # fmt: skip


class NotRecordable(Exception):  # noqa: N818
    """The function does something that cannot be replayed; it is then run as it stands."""


Way = Callable[[Namespace, Array], Array]
"""From an array to a view of it, by the functions of the standard."""


def reshaped(x: Array, shape: tuple[int, ...]) -> Array:
    """Return a view of another shape; raise `NotRecordable` where only a copy has it."""
    try:
        return np.reshape(x, shape, copy=False) if isinstance(x, np.ndarray) else x.view(shape)
    except (RuntimeError, ValueError):
        msg = "a view that can only be made by copying"
        raise NotRecordable(msg) from None


def can_be_reshaped(x: Array, shape: tuple[int, ...]) -> bool:
    """Say whether a NumPy array has a view of another shape."""
    try:
        reshaped(x, shape)
    except NotRecordable:
        return False
    return True


def is_one_number(x: Array) -> bool:
    """Say whether all elements of a NumPy array are the same number, -0.0 and 0.0 being two."""
    if not x.size:
        return False
    same = x.ndim == 0 or bool(np.all(x == x.flat[0]))
    return same and (x.dtype.kind != "f" or bool(x.flat[0]) or len(np.unique(np.signbit(x))) == 1)


@dataclass(eq=False)
class Variable:
    """An array of the program.

    Attributes
    ----------
    value : array
        Has its shape and type, and for views the strides; its numbers mean nothing.
    base : Variable, optional
        For views, what they are a view of.
    way : callable, optional
        For views, the function from the base's array to the view.
    """

    value: Array
    base: Variable | None = None
    way: Way | None = None

    @property
    def root(self) -> Variable:
        """The variable whose memory this one uses."""
        return self if self.base is None else self.base.root


@dataclass(frozen=True)
class Filled:
    """A number that stands for an array of any shape."""

    number: float
    dtype: np.dtype[Any]
    negative: bool
    """Its sign, by which -0.0 differs from 0.0."""


@dataclass(frozen=True)
class Call:
    """What an operation does: the name of an element-wise function, or of one of those below with its parameters.

    ``matmul``; ``cast``; ``where``; ``one_hot``: rows of the identity, and of zeros for what is no class; ``take``
    (axis); ``argmax`` and the reductions ``sum``, ``max``, ``min``, ``all`` (axis, keepdims); ``dropout_bits`` of words
    and ``dropout`` (rows, units) of bits and words, as in `mlpx.backends.host`, where the device draws.
    """

    name: str
    parameters: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Concat:
    """Arrays side by side; those that are made for it alone are made in their part at once.

    Attributes
    ----------
    axis : int
        Along which.
    stops : tuple of int
        Where each part ends.
    """

    axis: int
    stops: tuple[int, ...]

    def part(self, out: Array, i: int) -> Array:
        """Return the i-th part of the output."""
        window = [slice(None)] * out.ndim
        window[self.axis] = slice(self.stops[i - 1] if i else 0, self.stops[i])
        return out[tuple(window)]


@dataclass(eq=False)
class Operation:
    """One call that makes an array.

    Attributes
    ----------
    call : Call or Concat
        What it does.
    inputs : tuple
        Variables and constants (NumPy arrays or `Filled`).
    output : Variable
        What it makes.
    rowwise : bool
        Whether a row (first axis) of the output depends on that row of the inputs alone.
    elementwise : bool
        Whether the output may be written over an input of the same shape.
    broadcasts : bool
        Whether inputs are stretched to the shape of the output; else their first axis is that of the output.
    """

    call: Call | Concat
    inputs: tuple[Any, ...]
    output: Variable
    rowwise: bool
    elementwise: bool
    broadcasts: bool


@dataclass(frozen=True)
class Kind:
    """What is known of an argument while recording."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, eq=False)
class Recording:
    """The notes of a step.

    Attributes
    ----------
    operations : list of Operation
        In the order in which they were asked for.
    inputs : tuple of list of Variable
        The leaves of each argument: what is fixed, the state, the batch.
    outputs : list of Variable
        The leaves of the new state.
    """

    operations: list[Operation]
    inputs: tuple[list[Variable], ...]
    outputs: list[Variable]


def blank(shape: Sequence[int], dtype: Any) -> Array:
    """Return an array that has a shape, a type and strides, but no memory behind them: nobody may read or write it."""
    dtype = np.dtype(dtype)
    strides = np.cumprod([dtype.itemsize, *shape[:0:-1]])[::-1] if shape else ()
    return np.lib.stride_tricks.as_strided(np.empty((), dtype), tuple(shape), tuple(map(int, strides)))


def address(x: Array) -> int:
    """Return where a NumPy array begins."""
    start: int = x.__array_interface__["data"][0]
    return start


def needed(operations: list[Operation], outputs: list[Variable]) -> list[Operation]:
    """Return the operations without those whose result nobody needs."""
    wanted = {v.root for v in outputs}
    kept = []
    for op in reversed(operations):
        if op.output in wanted:
            kept.append(op)
            wanted |= {v.root for v in op.inputs if isinstance(v, Variable)}
    return kept[::-1]


def fits_in_place(op: Operation, i: int, part: Variable) -> bool:
    """Say whether a part of a concatenation can be made in its place: all of it, in its own shape and order."""
    value, root = part.value, part.root.value
    assert isinstance(op.call, Concat)
    place = op.call.part(op.output.value, i)
    return (
        value.size == root.size
        and value.dtype == op.output.value.dtype
        and value.flags.c_contiguous
        and address(value) == address(root)
        and can_be_reshaped(place, root.shape)
    )

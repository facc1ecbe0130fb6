"""The calls of a program in PyTorch: its functions with ``out=``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import array_api_compat.torch as standard
import numpy as np
import torch

from mlpx._typing import Array, Device
from mlpx.backends.layout import Calls
from mlpx.backends.notes import Call, Filled, Kind, NotRecordable

__all__ = ["TorchCalls"]

_Bound = list[Callable[[], Any]]

_FUNCTIONS = {
    "equal": torch.eq,
    "invert": torch.bitwise_not,
    "left_shift": torch.bitwise_left_shift,
    "power": torch.pow,
    "right_shift": torch.bitwise_right_shift,
}
"""NumPy's names of element-wise functions that PyTorch calls by another."""


class TorchCalls(Calls):
    """Calls of PyTorch's functions on a device."""

    xp = standard
    block = None  # PyTorch divides large arrays among its threads

    def __init__(self, device: Device) -> None:
        self._device = device
        self._half = torch.float16

    def kind(self, x: Array) -> Kind:
        """Return the shape of a tensor and NumPy's name for its type; float16 stands for the step's half precision."""
        if x.dtype == torch.bfloat16:
            self._half = x.dtype  # which NumPy does not have; no step has both
            return Kind(tuple(x.shape), np.dtype(np.float16))
        return Kind(tuple(x.shape), np.dtype(str(x.dtype).removeprefix("torch.")))

    def _type(self, dtype: np.dtype[Any]) -> Any:
        return self._half if dtype == np.float16 else getattr(torch, dtype.name)

    def place(self, x: Array) -> tuple[Any, ...]:
        """Return where a tensor lies and what it looks like."""
        return x.data_ptr(), x.shape, x.dtype, x.stride()

    def raw(self, nbytes: int) -> Array:
        """Return a buffer of bytes."""
        return torch.empty(nbytes, dtype=torch.uint8, device=self._device)

    def typed(self, raw: Array, kind: Kind) -> Array:
        """Return the first bytes of a buffer as a tensor."""
        size = int(np.prod(kind.shape, dtype=np.int64)) * kind.dtype.itemsize
        return raw[:size].view(self._type(kind.dtype)).reshape(kind.shape)

    def constant(self, value: Array) -> Array:
        """Return a NumPy array as a tensor."""
        return torch.asarray(value.copy(), dtype=self._type(value.dtype), device=self._device)

    def filled(self, value: Filled, shape: tuple[int, ...]) -> Array:
        """Return the number."""
        return torch.asarray(value.number, dtype=self._type(value.dtype), device=self._device)

    def copy(self, out: Array, x: Array) -> Callable[[], Any]:
        """Return the call that copies `x` to `out`."""
        return partial(out.copy_, x)

    def bind(self, call: Call, inputs: Sequence[Array], out: Array) -> _Bound:
        """Return an operation as calls ready to be made."""
        if call.name in _BINDINGS:
            return _BINDINGS[call.name](*inputs, out, *call.parameters)
        function: Any = _FUNCTIONS.get(call.name) or getattr(torch, call.name, None)
        if not _writes(function, inputs, out):
            raise NotRecordable(call.name)
        return [partial(function, *inputs, out=out)]


def _writes(function: Any, inputs: Sequence[Array], out: Array) -> bool:
    """Say whether there is such a function, and whether it writes its result into a given tensor."""
    try:
        function(*(torch.ones((), dtype=x.dtype) for x in inputs), out=torch.empty((), dtype=out.dtype))
    except (RuntimeError, TypeError):
        return False
    return True


def _one_hot(classes: Array, out: Array) -> _Bound:
    count = out.shape[-1]
    identity = torch.eye(count + 1, count, dtype=out.dtype, device=out.device)
    classes = classes.reshape(-1)
    known = torch.empty_like(classes)
    return [
        partial(torch.clamp, classes, max=count, out=known),
        partial(torch.index_select, identity, 0, known, out=out.view(-1, count)),
    ]


def _take(x: Array, index: Array, out: Array, axis: int) -> _Bound:
    return [partial(torch.index_select, x, axis, index, out=out)]


def _matmul(a: Array, b: Array, out: Array) -> _Bound:
    return [partial(torch.mm if a.ndim == b.ndim == 2 else torch.matmul, a, b, out=out)]


def _reduction(function: Any) -> Callable[..., _Bound]:
    def bind(x: Array, out: Array, axis: int, keepdims: bool) -> _Bound:
        return [partial(function, x, axis, keepdims, out=out)]

    return bind


_BINDINGS: dict[str, Callable[..., _Bound]] = {
    "all": _reduction(torch.all),
    "argmax": _reduction(torch.argmax),
    "cast": lambda x, out: [partial(out.copy_, x)],
    "matmul": _matmul,
    "max": _reduction(torch.amax),
    "min": _reduction(torch.amin),
    "one_hot": _one_hot,
    "sum": _reduction(torch.sum),
    "take": _take,
    "where": lambda condition, yes, no, out: [partial(torch.where, condition, yes, no, out=out)],
}

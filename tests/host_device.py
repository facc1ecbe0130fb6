"""A device for CUDA programs that is the host: kernels are compiled by its C++ compiler, products run on raw memory.

What is captured is kept as plain launches with the values that they had, so a replay shows what a CUDA graph would:
what was read on the host while capturing stays as it was, memory that was allocated meanwhile is an error.
"""

import ctypes
import functools
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

import cuda_host
import nvrtc
from mlpx.backends import host
from mlpx.backends.cuda.captured import Captured
from mlpx.backends.cuda.products import TYPES, mapped
from mlpx.backends.numpy import NumPyBackend


class HostDevice:
    """The host as a device; `launched` counts launches by the name of the kernel, "product" and "copy"."""

    def __init__(self) -> None:
        self.launched: dict[str, int] = {}
        self.allocated = 0
        self.graphs = 0
        self._captured: list[Callable[[], None]] | None = None

    def running(self) -> Any:
        return nullcontext()

    def in_rows(self, x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(x)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        assert self._captured is None, "an allocation while capturing"
        self.allocated += 1
        room = np.zeros(math.prod(shape) * np.dtype(dtype).itemsize + 64, np.uint8)
        start = -room.ctypes.data % 64
        return np.ndarray(shape, dtype, buffer=room, offset=start)

    def view(self, block: np.ndarray, start: int, like: np.ndarray) -> np.ndarray:
        flat = block.reshape(-1).view(np.uint8)
        return np.ndarray(like.shape, like.dtype, buffer=flat, offset=start, strides=like.strides)

    def address(self, x: np.ndarray) -> int:
        return x.ctypes.data

    def kernel(self, text: str, name: str) -> tuple[cuda_host.Module, str]:
        compiles_for_cards(text)
        return cuda_host.compile(text), name

    def launch(self, kernel: Any, grid: tuple[int, ...], block: int, arguments: Sequence[Any]) -> None:
        module, name = kernel
        arguments = tuple(arguments)
        self._do(name, lambda: module.launch(name, grid, block, arguments))

    def product(self, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
        assert a.dtype == b.dtype == out.dtype, "cuBLAS takes one type"
        assert a.dtype.name in TYPES
        self._do("product", lambda: column_major_product(a, b, out))

    def copy(self, out: np.ndarray, x: np.ndarray) -> None:
        def copied() -> None:
            out[...] = x

        self._do("copy", copied)

    def upload(self, parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        assert self._captured is None, "a transfer while capturing"
        for room, x in parts:
            assert room.dtype == x.dtype
            assert room.shape == x.shape
            room[...] = x

    def capture(self, launches: Callable[[], None]) -> "HostGraph":
        assert self._captured is None
        self._captured = []
        try:
            launches()
            self.graphs += 1
            return HostGraph(self._captured)
        finally:
            self._captured = None

    def _do(self, name: str, call: Callable[[], None]) -> None:
        self.launched[name] = self.launched.get(name, 0) + 1
        if self._captured is None:
            call()
        else:
            self._captured.append(call)


@functools.lru_cache(maxsize=64)
def compiles_for_cards(text: str) -> None:
    """Let NVRTC, where it is installed, compile a module for the oldest and the newest card that we name."""
    for arch in ("sm_80", "sm_90") if nvrtc.available() else ():
        assert nvrtc.compile(text, arch, ("-std=c++17",))


class HostGraph:
    """Launches that are made again as they were captured."""

    def __init__(self, calls: list[Callable[[], None]]) -> None:
        self.calls = calls

    def launch(self) -> None:
        for call in self.calls:
            call()

    def text(self) -> str:
        return f"{len(self.calls)} calls"


def column_major_product(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Make a product as cuBLAS does, from addresses, leading dimensions and the strides of stacks alone."""
    call = mapped(a, b, out)
    for i in range(call.count):
        left = _columns(b, i * call.stride_a, call.m, call.k, call.lda, call.transa)
        right = _columns(a, i * call.stride_b, call.k, call.n, call.ldb, call.transb)
        target = _columns(out, i * call.stride_c, call.m, call.n, call.ldc, 0)
        high = np.float32 if out.dtype.itemsize == 2 else out.dtype
        target[...] = (left.astype(high) @ right.astype(high)).astype(out.dtype)


def _columns(x: np.ndarray, start: int, rows: int, columns: int, leading: int, transposed: int) -> np.ndarray:
    """Return op(X) of a column-major matrix in memory."""
    if transposed:
        return _columns(x, start, columns, rows, leading, 0).T
    moved = np.ndarray((1,), x.dtype, buffer=_memory(x, start))
    return np.lib.stride_tricks.as_strided(moved, (rows, columns), (x.itemsize, leading * x.itemsize))


def _memory(x: np.ndarray, start: int) -> Any:
    """Return the memory from some element of an array on."""
    return (ctypes.c_char * x.itemsize).from_address(x.ctypes.data + start * x.itemsize)


class HostBackend(NumPyBackend):
    """NumPy, except that training steps run as they would on CUDA, with this host as the device."""

    draws_in_step = True

    def __init__(self) -> None:
        super().__init__()
        self.captured: list[Captured] = []
        self.host_device = HostDevice()

    def fold(self, step: Any, steps: int | None = None) -> Captured:
        self.captured.append(Captured(step, self.host_device))
        return self.captured[-1]

    def dropout_draws(
        self, keys: Any, layer: int, steps: Any, shape: Any, thresholds: Any, scales: Any, dtype: Any
    ) -> np.ndarray:
        return host.dropout_words(keys, layer, steps, thresholds, scales)

    def dropout_factors(self, draw: np.ndarray, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        if draw.dtype != np.uint64:
            return draw
        bits = host.dropout_bits(draw, -(-math.prod(shape) // 16))
        return host.dropout_factors(bits, draw, shape, dtype, np)

"""A CUDA device for programs, through CuPy: memory, kernels, products, transfers and graphs on a stream of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import cupy
import numpy as np

from mlpx._typing import Array
from mlpx.backends.cuda.products import Products

__all__ = ["CudaDevice", "CudaGraph"]


class CudaDevice:
    """The present CUDA device.

    Everything is launched on one stream of its own, since neither graphs nor the products' handle can use the default
    one; `running` puts that in order with the stream of the caller, and lets one thread in at a time.

    Parameters
    ----------
    tf32 : bool
        Whether products of float32 may round their factors to TF32.
    """

    def __init__(self, *, tf32: bool = False) -> None:
        self.stream = cupy.cuda.Stream(non_blocking=True)
        self._products = Products(self.stream, tf32=tf32)
        self._pinned = [_Pinned(), _Pinned()]
        self._lock = threading.RLock()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Return a context in which this device's stream is the current one, after and before what the caller does."""
        outer = cupy.cuda.get_current_stream()
        with self._lock, self.stream:
            self.stream.wait_event(outer.record())
            try:
                yield
            finally:
                outer.wait_event(self.stream.record())

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an array of zeros."""
        return cupy.zeros(shape, dtype)

    def in_rows(self, x: Array) -> Array:
        """Return an array that lies in rows, without a copy where `x` does."""
        return cupy.ascontiguousarray(x)

    def view(self, block: Array, start: int, like: Array) -> Array:
        """Return an array in a block of bytes, with the type, shape and strides of another."""
        return cupy.ndarray(like.shape, like.dtype, block.data + start, like.strides)

    def address(self, x: Array) -> int:
        """Return where an array begins."""
        place: int = x.data.ptr
        return place

    def kernel(self, text: str, name: str) -> Any:
        """Return a kernel of a module, which is compiled once."""
        return _module(text, cupy.cuda.Device().id).get_function(name)

    def launch(self, kernel: Any, grid: tuple[int, ...], block: int, arguments: Sequence[Any]) -> None:
        """Launch a kernel."""
        kernel(grid, (block,), tuple(arguments))

    def product(self, a: Array, b: Array, out: Array) -> None:
        """Make a matrix product."""
        self._products(a, b, out)

    def copy(self, out: Array, x: Array) -> None:
        """Copy an array to one of the same shape and type."""
        if isinstance(x, np.ndarray):
            out.set(x)
        elif x.flags.c_contiguous and out.flags.c_contiguous:
            out.data.copy_from_device_async(x.data, x.nbytes, cupy.cuda.get_current_stream())
        else:
            cupy.copyto(out, x)

    def upload(self, parts: Sequence[tuple[Array, Array]]) -> None:
        """Copy arrays of the host by way of page-locked memory, and others on the device."""
        host = [(room, x) for room, x in parts if isinstance(x, np.ndarray)]
        self._pinned.reverse()
        self._pinned[0].upload(host, self.stream)
        for room, x in parts:
            if not isinstance(x, np.ndarray):
                self.copy(room, x)

    def capture(self, launches: Callable[[], None]) -> CudaGraph:
        """Return what a function launches, as a graph."""
        try:
            self.stream.begin_capture()
            launches()
            graph = self.stream.end_capture()
        except BaseException:
            with suppress(Exception):  # what was captured is lost, but the stream stays usable
                self.stream.end_capture()
            raise
        graph.upload(self.stream)
        return CudaGraph(graph, self.stream)


class CudaGraph:
    """A captured graph, launched on one stream."""

    def __init__(self, graph: Any, stream: Any) -> None:
        self._graph, self._stream = graph, stream

    def launch(self) -> None:
        """Launch it."""
        self._graph.launch(self._stream)

    def text(self) -> str:
        """Return its nodes as CUDA prints them, in the language of Graphviz."""
        return str(self._graph.debug_dot_str())


class _Pinned:
    """Page-locked memory from which copies to the device do not hold up the host."""

    def __init__(self) -> None:
        self._memory: Any = None
        self._bytes = np.empty(0, np.uint8)
        self._copied: Any = None

    def upload(self, parts: Sequence[tuple[Array, Array]], stream: Any) -> None:
        """Copy arrays to others of their shape and type on the device."""
        if self._copied is not None:
            self._copied.synchronize()  # the copies of the run before the last one
        self._reserve(sum(_room(x.nbytes) for _, x in parts))
        start = 0
        for room, x in parts:
            here = np.ndarray(x.shape, x.dtype, buffer=self._bytes, offset=start)
            here[...] = x
            room.data.copy_from_host_async(int(here.ctypes.data), x.nbytes, stream)
            start += _room(x.nbytes)
        self._copied = stream.record()

    def _reserve(self, nbytes: int) -> None:
        if self._bytes.nbytes < nbytes:
            self._memory = cupy.cuda.alloc_pinned_memory(nbytes)
            self._bytes = np.frombuffer(self._memory, np.uint8, nbytes)


def _room(nbytes: int) -> int:
    return -(-nbytes // 64) * 64


@lru_cache(maxsize=256)
def _module(text: str, device: int) -> Any:
    """Return a compiled module; CuPy keeps the compiled code on the disk as well."""
    return cupy.RawModule(code=text, options=("-std=c++17",))

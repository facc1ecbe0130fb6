"""CuPy's events, mlpx's products on CuPy's arrays, and copies."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from importlib import import_module, metadata
from typing import Any

import cupy

from mlpx._typing import Array
from mlpx.bench.gpu.products import Calls, Product
from mlpx.bench.gpu.steps import Steps

#: Where mlpx's own handle of cuBLAS stands.
HANDLE = "mlpx.backends.cuda.products"


class Events:
    """A span between two of CUDA's events on CuPy's current stream.

    Parameters
    ----------
    device : str
        Such as ``"cuda:0"``.
    """

    def __init__(self, device: str) -> None:
        self._device = cupy.cuda.Device(int(device.partition(":")[2] or 0))
        with self._device:
            self._begin, self._end = cupy.cuda.Event(), cupy.cuda.Event()

    def start(self) -> None:
        """Record the first event."""
        with self._device:
            self._begin.record(cupy.cuda.get_current_stream())

    def stop(self) -> None:
        """Record the second event."""
        with self._device:
            self._end.record(cupy.cuda.get_current_stream())

    def seconds(self) -> float:
        """Wait for the second event."""
        self._end.synchronize()
        return float(cupy.cuda.get_elapsed_time(self._begin, self._end)) / 1e3


def products(product: Product, device: str) -> Steps:
    """Return mlpx's own product into a buffer."""
    cupy.cuda.Device(int(device.partition(":")[2] or 0)).use()
    a, b, out = matrices(product)
    stream = cupy.cuda.get_current_stream()
    multiply = handle(stream, tf32=product.precision == "tf32")
    return Calls(partial(multiply, a, b, out), stream.synchronize, partial(Events, device))


def handle(stream: Any, *, tf32: bool) -> Any:
    """Return mlpx's products on a stream: ``multiply(a, b, out)``."""
    return import_module(HANDLE).Products(stream, tf32=tf32)


def matrices(product: Product) -> tuple[Array, Array, Array]:
    """Return random matrices, transposed where they are read so, and a place for the result."""
    a, b, out = product.shapes
    dtype = element_type(product.precision)
    first, second = (
        matrix.swapaxes(-1, -2) if transposed else matrix
        for matrix, transposed in zip((random(a, dtype, 0), random(b, dtype, 1)), product.transposed, strict=True)
    )
    return first, second, cupy.empty(out, dtype)


def random(shape: tuple[int, ...], dtype: Any, seed: int) -> Array:
    """Return standard normal numbers."""
    wide = cupy.float64 if dtype == cupy.float64 else cupy.float32
    return cupy.random.default_rng(seed).standard_normal(shape, dtype=wide).astype(dtype)


def element_type(precision: str) -> Any:
    """Return the type of numbers in memory."""
    if precision == "bfloat16":
        return cupy.dtype(import_module("ml_dtypes").bfloat16)
    return cupy.dtype({"tf32": "float32"}.get(precision, precision))


def copies(size: int, device: str) -> Steps:
    """Return a copy that reads half of `size` bytes and writes as many."""
    cupy.cuda.Device(int(device.partition(":")[2] or 0)).use()
    source = random((size // 8,), cupy.dtype("float32"), 0)
    target = cupy.empty_like(source)
    wait = cupy.cuda.get_current_stream().synchronize
    return Calls(partial(cupy.copyto, target, source), wait, partial(Events, device))


def release() -> None:
    """Give back the memory that no array holds."""
    if cupy.is_available():
        cupy.get_default_memory_pool().free_all_blocks()


def describe() -> dict[str, str]:
    """Return versions and the device, as CuPy tells them; what cannot be told is left out."""
    runtime, found = cupy.cuda.runtime, {"cupy": cupy.__version__}
    asked: dict[str, Callable[[], object]] = {"ml_dtypes": lambda: metadata.version("ml_dtypes")}
    if cupy.is_available():
        asked |= {
            "device": lambda: runtime.getDeviceProperties(0)["name"].decode(),
            "CUDA driver": runtime.driverGetVersion,
            "CUDA runtime": runtime.runtimeGetVersion,
            "cuBLAS": lambda: cupy.cuda.cublas.getVersion(cupy.cuda.device.get_cublas_handle()),
        }
    for name, ask in asked.items():
        with contextlib.suppress(Exception):
            found[name] = str(ask())
    return found

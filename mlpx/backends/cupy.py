"""CuPy: NVIDIA GPUs through CUDA."""

import math
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import array_api_compat
import array_api_compat.cupy as xp
import cupy
import numpy as np

from mlpx._typing import Array, DType
from mlpx.backends import host
from mlpx.backends.base import Backend
from mlpx.backends.cuda import installation, philox
from mlpx.backends.cuda.captured import Captured
from mlpx.backends.cuda.device import CudaDevice
from mlpx.backends.cuda.products import NotMapped, Products, check_library, with_one_stack
from mlpx.backends.host import Key
from mlpx.backends.staging import Transfers

_SHARE = 0.75
"""Of the free memory: how much a data set may take while it is taken in."""


class CuPyBackend(Backend):
    """CuPy arrays on one CUDA device.

    CuPy's creation functions ignore ``device=``, so every public call makes this backend's device the current one.
    """

    name = "cupy"
    draws_in_step = True
    flops = 2e13

    def __init__(self, device: str | None = None) -> None:
        count = installation.count_devices()
        installation.check_compiler()
        check_library()
        self.device = cupy.cuda.Device(installation.device_number(device, count))
        self.xp = xp
        self.device_name = f"cuda:{self.device.id}"
        self.version = cupy.__version__
        self._handle = threading.local()

    @staticmethod
    def check_device() -> None:
        """Raise `BackendUnavailableError` where CUDA has no device."""
        installation.count_devices()

    @staticmethod
    def owns(x: Any) -> bool:
        """Say whether `x` is an array of this library."""
        return array_api_compat.is_cupy_array(x)

    @staticmethod
    def to_numpy(x: Array) -> Array:
        """Return an array as a NumPy array."""
        if x.dtype.name == "bfloat16":
            x = x.astype(cupy.float32)  # NumPy has no such type
        return cupy.asnumpy(x)

    def asarray(self, x: Any, dtype: DType | None = None) -> Array:
        """Return `x` as an array on this device."""
        with self.device:
            array = cupy.asarray(x, dtype=dtype)
            return array if array.device == self.device else array.copy()

    def dtype(self, name: str) -> DType:
        """Return CuPy's object for a type; bfloat16 is that of the library ml_dtypes."""
        return host.bfloat16() if name == "bfloat16" else super().dtype(name)

    def array_device(self, x: Array) -> str:
        """Return the device of an array in words."""
        return f"cuda:{x.device.id}"

    def fits(self, nbytes: int) -> bool:
        """Say whether so many bytes are at most three quarters of what is free on the card, or kept for reuse."""
        with self.context():
            free, _ = cupy.cuda.runtime.memGetInfo()
            return bool(nbytes <= _SHARE * (free + cupy.get_default_memory_pool().free_bytes()))

    def transfers(self) -> Transfers:
        """Return page-locked buffers and a stream of copies."""
        from mlpx.backends.cuda.staging import CudaTransfers

        return CudaTransfers(self)

    def context(self) -> AbstractContextManager[Any]:
        """Return this device as the current one."""
        current: AbstractContextManager[Any] = cupy.cuda.Device(self.device.id)
        return current

    def fold(self, step: Any, steps: int | None = None) -> Callable[..., Any]:
        """Return the steps as launches of a captured graph."""
        return Captured(step, self._launcher)

    @cached_property
    def _launcher(self) -> CudaDevice:
        with self.device:
            return CudaDevice(tf32=self.precision == "tf32")

    def synchronize(self, *arrays: Array) -> None:
        """Wait until the device has done all that was asked of it."""
        self.device.synchronize()

    def product(self, a: Array, b: Array) -> Array:
        """Return the matrix product through a handle of our own, which takes views and halves as they are."""
        shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
        out = cupy.empty(shape, dtype=a.dtype)
        products = self._products(cupy.cuda.get_current_stream())
        try:
            for each in with_one_stack(a, b, out):
                products(*each)
        except NotMapped:
            for each in with_one_stack(cupy.ascontiguousarray(a), cupy.ascontiguousarray(b), out):
                products(*each)
        return out

    def _products(self, stream: Any) -> Products:
        """Return the products on a stream; a handle serves one thread."""
        if getattr(self._handle, "stream", None) != stream.ptr:
            self._handle.stream = stream.ptr
            self._handle.products = Products(stream, tf32=self.precision == "tf32")
        return self._handle.products  # type: ignore[no-any-return]

    def dropout_draws(
        self,
        keys: Sequence[Key],
        layer: int,
        steps: Sequence[int] | Array,
        shape: tuple[int, ...],
        thresholds: Sequence[int],
        scales: Sequence[float],
        dtype: DType,
    ) -> Array:
        """Return the words that name what is drawn, still on the host, shape ``(..., S, 6)``."""
        return host.dropout_words(keys, layer, steps, thresholds, scales)

    def dropout_factors(self, draw: Array, shape: tuple[int, ...], dtype: DType) -> Array:
        """Return the factors, drawn here from words; factors are taken as they are."""
        if draw.dtype != np.uint64:
            return draw
        words = self.asarray(draw)
        members, groups = math.prod(words.shape[:-1]), -(-math.prod(shape) // 16)
        bits = cupy.empty((*words.shape[:-1], groups), dtype=cupy.uint16)
        sizes = np.int64(groups), np.int64(members)
        no_step = np.uintp(0), np.int64(0), np.int32(0)
        _dropout_bits((philox.grid(groups, members),), (philox.THREADS,), (words, bits, *sizes, *no_step))
        return host.dropout_factors(bits, words, shape, dtype, xp)


_dropout_bits = cupy.RawKernel(philox.BITS, "dropout_bits")
"""Compiled when it is first called."""

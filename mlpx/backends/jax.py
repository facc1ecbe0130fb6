"""JAX: steps are compiled by XLA from the one source."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Any, cast

import array_api_compat
import jax
import jax.numpy as xp
import numpy as np

from mlpx._typing import Array, DType
from mlpx.backends import trees
from mlpx.backends.base import Backend, F


class JAXBackend(Backend):
    """JAX arrays; every public call enters JAX's 64-bit mode, so that float64 stays float64."""

    name = "jax"

    def __init__(self, device: str | None = None) -> None:
        self.device = _find_device(device)
        self.device_name = _device_name(self.device)
        self.xp = xp
        self.version = jax.__version__
        self.flops = self.flops if self.device.platform == "cpu" else 2e13

    @staticmethod
    def owns(x: Any) -> bool:
        """Say whether `x` is an array of this library."""
        return array_api_compat.is_jax_array(x)

    @staticmethod
    def to_numpy(x: Array) -> Array:
        """Return an array as a NumPy array."""
        if x.dtype == xp.bfloat16:
            x = x.astype(xp.float32)  # NumPy has no such type
        return np.asarray(x)

    def asarray(self, x: Any, dtype: DType | None = None) -> Array:
        """Return `x` as an array on this device."""
        return jax.device_put(xp.asarray(x, dtype=dtype), self.device)

    def array_device(self, x: Array) -> str:
        """Return the device of an array in words."""
        return _device_name(next(iter(x.devices())))

    def context(self) -> AbstractContextManager[Any]:
        """Return JAX's 64-bit mode; on a GPU with products as `precision` says: TF32 would be JAX's own choice."""
        mode: AbstractContextManager[Any] = jax.enable_x64(True)
        return mode if self.device.platform == "cpu" else self._with_products(mode)

    @contextmanager
    def _with_products(self, mode: AbstractContextManager[Any]) -> Iterator[None]:
        with mode, jax.default_matmul_precision("tensorfloat32" if self.precision else "highest"):
            yield

    def compile(self, function: F) -> F:
        """Return `function` under `jax.jit`."""
        return cast("F", _jit(function))

    def copy(self, x: Array, out: Array | None = None) -> Array:
        """Return `x`, which nobody can change."""
        return x

    def concat(self, arrays: Sequence[Array], axis: int) -> Array:
        """Return arrays side by side, written one after the other: in a loop XLA's own concatenation is slow."""
        shape = list(arrays[0].shape)
        shape[axis] = sum(array.shape[axis] for array in arrays)
        whole, start = xp.zeros(shape, arrays[0].dtype), 0
        for array in arrays:
            whole = jax.lax.dynamic_update_slice_in_dim(whole, array, start, axis)
            start += array.shape[axis]
        return whole

    def take_rows(self, x: Array, index: Array) -> Array:
        """Gather rows, whose numbers are known to exist."""
        return x.at[index].get(mode="promise_in_bounds")

    def fold(self, step: Any, steps: int | None = None) -> Callable[..., Any]:
        """Return the steps as one compiled loop."""
        loop = _loop(step)

        def run(fixed: tuple[Any, ...], state: Any, batches: Any, members: int | None = None) -> Any:
            n = trees.length(batches)
            padded = trees.mapped(lambda leaf: _padded(leaf, n), batches)
            return loop(fixed, state, padded, n)

        return run

    def synchronize(self, *arrays: Array) -> None:
        """Wait until the device has computed these arrays."""
        jax.block_until_ready(arrays)


_jit = lru_cache(maxsize=64)(jax.jit)
"""One compiled form for equal descriptions, so that a second fit does not compile again."""


@lru_cache(maxsize=64)
def _loop(step: Any) -> Callable[..., Any]:
    """Return the compiled loop over batches, whose number is no part of what is compiled."""

    def loop(fixed: tuple[Any, ...], state: Any, batches: Any, n: Array) -> Any:
        def body(i: Array, state: Any) -> Any:
            return step(*fixed, state, jax.tree.map(lambda leaf: leaf[i], batches))

        return jax.lax.fori_loop(0, n, body, state)

    return cast("Callable[..., Any]", jax.jit(loop))


def _padded(leaf: Array, n: int) -> Array:
    """Return batches filled up to a power of two, so that few numbers of steps are compiled for."""
    missing = (1 << (n - 1).bit_length()) - n
    if not missing:
        return leaf
    library = np if isinstance(leaf, np.ndarray) else xp
    return library.concatenate([leaf, library.zeros((missing, *leaf.shape[1:]), leaf.dtype)])


def _device_name(device: Any) -> str:
    platform = "cuda" if device.platform == "gpu" else device.platform
    return "cpu" if platform == "cpu" and device.id == 0 else f"{platform}:{device.id}"


def _find_device(name: str | None) -> Any:
    if name is None:
        return jax.devices()[0]
    platform, _, number = str(name).partition(":")
    try:
        return jax.devices({"cuda": "gpu"}.get(platform, platform))[int(number or 0)]
    except (RuntimeError, IndexError, ValueError) as error:
        known = ", ".join(_device_name(d) for d in jax.devices())
        msg = f"`device` must be one that JAX has here ({known}), got {name!r}."
        raise ValueError(msg) from error

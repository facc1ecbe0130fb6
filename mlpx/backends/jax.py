"""JAX: steps are compiled by XLA from the one source."""

from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, cast

import array_api_compat
import jax
import jax.numpy as xp
import numpy as np

from mlpx._typing import Array, DType
from mlpx.backends.base import Backend, F


class JAXBackend(Backend):
    """JAX arrays; every public call enters JAX's 64-bit mode, so that float64 stays float64."""

    name = "jax"

    def __init__(self, device: str | None = None) -> None:
        self.device = _find_device(device)
        self.device_name = _device_name(self.device)
        self.xp = xp
        self.version = jax.__version__

    @staticmethod
    def owns(x: Any) -> bool:
        """Say whether `x` is an array of this library."""
        return array_api_compat.is_jax_array(x)

    @staticmethod
    def to_numpy(x: Array) -> Array:
        """Return an array as a NumPy array."""
        return np.asarray(x)

    def asarray(self, x: Any, dtype: DType | None = None) -> Array:
        """Return `x` as an array on this device."""
        return jax.device_put(xp.asarray(x, dtype=dtype), self.device)

    def array_device(self, x: Array) -> str:
        """Return the device of an array in words."""
        return _device_name(next(iter(x.devices())))

    def context(self) -> AbstractContextManager[Any]:
        """Return JAX's 64-bit mode."""
        mode: AbstractContextManager[Any] = jax.enable_x64(True)
        return mode

    def compile(self, function: F) -> F:
        """Return `function` under `jax.jit`."""
        return cast("F", _jit(function))

    def synchronize(self, *arrays: Array) -> None:
        """Wait until the device has computed these arrays."""
        jax.block_until_ready(arrays)


_jit = lru_cache(maxsize=64)(jax.jit)
"""One compiled form for equal descriptions, so that a second fit does not compile again."""


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

"""NumPy: the default, and the reference that every other backend is compared with."""

from contextlib import AbstractContextManager
from typing import Any

import array_api_compat
import array_api_compat.numpy as xp
import numpy as np

from mlpx._typing import Array
from mlpx.backends.base import Backend


class NumPyBackend(Backend):
    """NumPy on the processor."""

    name = "numpy"

    def __init__(self, device: str | None = None) -> None:
        if device not in (None, "cpu"):
            msg = f'`device` must be "cpu" or None on the backend "numpy", got {device!r}.'
            raise ValueError(msg)
        self.xp = xp
        self.device = "cpu"
        self.device_name = "cpu"
        self.version = np.__version__

    @staticmethod
    def owns(x: Any) -> bool:
        """Say whether `x` is an array of this library."""
        return array_api_compat.is_numpy_array(x)

    def read_only(self, x: Array) -> Array:
        """Return a view that cannot be written through."""
        view = x.view()
        view.flags.writeable = False
        return view

    def context(self) -> AbstractContextManager[Any]:
        """Return a context without floating-point warnings: what is not finite is reported by `DivergenceError`."""
        return np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore")

    def weight_gradient(self, x: Array, delta: Array, *, bias: bool, out: Array | None = None) -> Array:
        """Return ``Xᵀ delta`` over ``1ᵀ delta``, both written into one block."""
        fan_in, fan_out = x.shape[-1], delta.shape[-1]
        if out is None:
            stack = np.broadcast_shapes(x.shape[:-2], delta.shape[:-2])
            out = np.empty((*stack, fan_in + bias, fan_out), dtype=delta.dtype)
        np.matmul(x.mT, delta, out=out[..., :fan_in, :])
        if bias:
            np.sum(delta, axis=-2, out=out[..., fan_in, :])
        return out

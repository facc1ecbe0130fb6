"""NumPy: the default, and the reference that every other backend is compared with."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import array_api_compat
import array_api_compat.numpy as xp
import numpy as np

from mlpx._typing import Array, DType
from mlpx.backends.base import Backend
from mlpx.backends.numpy_calls import NumPyCalls, aligned
from mlpx.backends.replay import FEW, Replayed
from mlpx.backends.staging import SharedTransfers, Transfers
from mlpx.backends.threads import Workers


class NumPyBackend(Backend):
    """NumPy on the processor."""

    name = "numpy"

    def __init__(self, device: str | None = None) -> None:
        if device not in (None, "cpu"):
            hint = '; for an NVIDIA GPU take backend="cupy"' if str(device).startswith(("cuda", "gpu")) else ""
            msg = f'`device` must be "cpu" or None on the backend "numpy", got {device!r}{hint}.'
            raise ValueError(msg)
        self.xp = xp
        self.device = "cpu"
        self.device_name = "cpu"
        self.version = np.__version__

    @staticmethod
    def owns(x: Any) -> bool:
        """Say whether `x` is an array of this library."""
        return array_api_compat.is_numpy_array(x)

    @staticmethod
    def to_numpy(x: Array) -> Array:
        """Return the array itself."""
        return np.asarray(x)

    @staticmethod
    def is_half(x: Array) -> bool:
        """Say whether an array is of float16."""
        return bool(x.dtype == np.float16)

    def host_dtype(self, dtype: DType) -> Any:
        """Return the type itself."""
        return np.dtype(dtype)

    def asarray(self, x: Any, dtype: DType | None = None) -> Array:
        """Return `x` as an array in rows: gathering rows from columns would copy them all each time."""
        return np.asarray(x, dtype=dtype, order="C")

    def read_only(self, x: Array) -> Array:
        """Return a view that cannot be written through."""
        view = x.view()
        view.flags.writeable = False
        return view

    def context(self) -> AbstractContextManager[Any]:
        """Return a context without floating-point warnings: what is not finite is reported by `DivergenceError`."""
        return np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore")

    def transfers(self) -> Transfers:
        """Return how rows that stay on the host get here: they are read where they are gathered."""
        return SharedTransfers(self)

    def copy(self, x: Array, out: Array | None = None) -> Array:
        """Return a copy, in `out` or where a cache line begins."""
        if out is None or out.shape != x.shape:
            out = aligned(x.nbytes).view(x.dtype).reshape(x.shape)
        np.copyto(out, x)
        return out

    def rows_at_once(self, units: int) -> int:
        """Return few enough rows for the cache, so that each layer finds there what the one before it left."""
        return min(16384, max(1024, 2**17 // units))

    def net_input(self, x: Array, weights: Array, bias: Array | None) -> Array:
        """Return the net input ``Z = X W + b``, the bias added where the product lies."""
        z = self.product(x, weights)
        if bias is None:
            return z
        return np.add(z, bias[..., None, :], out=z if z.flags.writeable else None)

    def product(self, a: Array, b: Array) -> Array:
        """Return the matrix product; of float16 numbers in float32, since there is no BLAS for them."""
        if a.dtype != np.float16:
            return super().product(a, b)
        return (a.astype(np.float32) @ b.astype(np.float32)).astype(a.dtype)

    def fold(self, step: Any, steps: int | None = None) -> Callable[..., Any]:
        """Return the step recorded once for the shapes of its arguments, and replayed into fixed buffers.

        Few steps are made as they stand.
        """
        if steps is not None and steps <= FEW:
            return super().fold(step)
        return Replayed(step, NumPyCalls(), Workers())

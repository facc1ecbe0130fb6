"""array_api_strict: the proof that the algorithm uses nothing beyond the standard."""

from contextlib import AbstractContextManager
from typing import Any

import array_api_strict as xp
import numpy as np

from mlpx._typing import Array
from mlpx.backends.base import Backend


class StrictBackend(Backend):
    """The strictest reading of the standard, NumPy underneath; slow, meant for tests."""

    name = "array_api_strict"

    def __init__(self, device: str | None = None) -> None:
        if device not in (None, "cpu"):
            msg = f'`device` must be "cpu" or None on the backend "array_api_strict", got {device!r}.'
            raise ValueError(msg)
        self.xp = xp
        self.device = xp.Device("CPU_DEVICE")
        self.device_name = "cpu"
        self.version = xp.__version__

    @staticmethod
    def owns(x: Any) -> bool:
        """Say whether `x` is an array of this library."""
        return hasattr(x, "__array_namespace__") and x.__array_namespace__() is xp

    @staticmethod
    def to_numpy(x: Array) -> Array:
        """Return an array of this library as a NumPy array."""
        return np.asarray(x.to_device(xp.Device("CPU_DEVICE")))

    def context(self) -> AbstractContextManager[Any]:
        """Return a context without floating-point warnings, as on NumPy, which is underneath."""
        return np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore")

"""array_api_strict: the proof that the algorithm uses nothing beyond the standard."""

from contextlib import AbstractContextManager
from typing import Any

import array_api_strict as xp
import numpy as np

from mlpx._typing import Array
from mlpx.backends.base import Backend

_DEVICES = {"cpu": xp.Device("CPU_DEVICE"), "device1": xp.Device("device1"), "device2": xp.Device("device2")}
"""The processor, and two devices that the library imagines: between them nothing moves by itself."""


class StrictBackend(Backend):
    """The strictest reading of the standard, NumPy underneath; slow, meant for tests."""

    name = "array_api_strict"

    def __init__(self, device: str | None = None) -> None:
        if device is not None and device not in _DEVICES:
            names = ", ".join(map(repr, _DEVICES))
            msg = f'`device` must be None or one of {names} on the backend "array_api_strict", got {device!r}.'
            raise ValueError(msg)
        self.xp = xp
        self.device_name = device or "cpu"
        self.device = _DEVICES[self.device_name]
        self.version = xp.__version__

    @staticmethod
    def owns(x: Any) -> bool:
        """Say whether `x` is an array of this library."""
        return hasattr(x, "__array_namespace__") and x.__array_namespace__() is xp

    @staticmethod
    def to_numpy(x: Array) -> Array:
        """Return an array of this library as a NumPy array."""
        return np.asarray(x.to_device(xp.Device("CPU_DEVICE")))

    def array_device(self, x: Array) -> str:
        """Return the device of an array: the processor, or one of the library's imagined ones."""
        return next(name for name, device in _DEVICES.items() if device == x.device)

    def context(self) -> AbstractContextManager[Any]:
        """Return a context without floating-point warnings of the NumPy underneath, as on the backend "numpy"."""
        return np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore")

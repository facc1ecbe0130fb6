"""array_api_strict: the proof that the algorithm uses nothing beyond the standard."""

from contextlib import AbstractContextManager
from typing import Any

import array_api_strict as xp
import numpy as np

from mlpx._typing import Array
from mlpx.backends.base import Backend


_DEVICES = {"cpu": "CPU_DEVICE", "device1": "device1", "device2": "device2"}
"""The devices that the library plays, by our names: of arrays of two no one can be computed with."""


class StrictBackend(Backend):
    """The strictest reading of the standard, NumPy underneath; slow, meant for tests."""

    name = "array_api_strict"

    def __init__(self, device: str | None = None) -> None:
        device = device or "cpu"
        if device not in _DEVICES:
            msg = f'`device` must be one of {", ".join(map(repr, _DEVICES))} on "array_api_strict", got {device!r}.'
            raise ValueError(msg)
        self.xp = xp
        self.device = xp.Device(_DEVICES[device])
        self.device_name = device
        self.version = xp.__version__

    @staticmethod
    def owns(x: Any) -> bool:
        """Say whether `x` is an array of this library."""
        return hasattr(x, "__array_namespace__") and x.__array_namespace__() is xp

    @staticmethod
    def to_numpy(x: Array) -> Array:
        """Return an array of this library as a NumPy array."""
        return np.asarray(x.to_device(xp.Device("CPU_DEVICE")))

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """Return `x` as an array of this library on this device."""
        moved = x.to_device(self.device) if self.owns(x) else x
        return super().asarray(moved, dtype)

    def array_device(self, x: Array) -> str:
        """Return the device of an array."""
        return next((name for name, own in _DEVICES.items() if x.device == xp.Device(own)), str(x.device))

    def context(self) -> AbstractContextManager[Any]:
        """Return a context without floating-point warnings of the NumPy underneath, as on the backend "numpy"."""
        return np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore")

"""CuPy: NVIDIA GPUs through CUDA."""

from contextlib import AbstractContextManager
from typing import Any

import array_api_compat
import array_api_compat.cupy as xp
import cupy

from mlpx._typing import Array, DType
from mlpx.backends.base import Backend
from mlpx.exceptions import BackendUnavailableError


class CuPyBackend(Backend):
    """CuPy arrays on one CUDA device.

    CuPy's creation functions ignore ``device=``, so every public call makes this backend's device the current one.
    """

    name = "cupy"

    def __init__(self, device: str | None = None) -> None:
        if not cupy.is_available():
            msg = 'The backend "cupy" needs a CUDA device, and CuPy finds none (is NVIDIA\'s driver installed?).'
            raise BackendUnavailableError(msg)
        self.device = _find_device(device)
        self.xp = xp
        self.device_name = f"cuda:{self.device.id}"
        self.version = cupy.__version__

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
        if name != "bfloat16":
            return super().dtype(name)
        try:
            from ml_dtypes import bfloat16
        except ImportError as error:
            msg = "`dtype` 'bfloat16' on the backend 'cupy' needs the library ml_dtypes: pip install ml_dtypes"
            raise BackendUnavailableError(msg) from error
        return cupy.dtype(bfloat16)

    def array_device(self, x: Array) -> str:
        """Return the device of an array in words."""
        return f"cuda:{x.device.id}"

    def context(self) -> AbstractContextManager[Any]:
        """Return this device as the current one."""
        current: AbstractContextManager[Any] = cupy.cuda.Device(self.device.id)
        return current

    def synchronize(self, *arrays: Array) -> None:
        """Wait until the device has done all that was asked of it."""
        self.device.synchronize()


def _find_device(name: str | None) -> Any:
    platform, _, number = str(name or "cuda:0").partition(":")
    count = cupy.cuda.runtime.getDeviceCount()
    if platform != "cuda" or not (number or "0").isdecimal() or int(number or 0) >= count:
        msg = f"`device` must be 'cuda:0' to 'cuda:{count - 1}' here, got {name!r}."
        raise ValueError(msg)
    return cupy.cuda.Device(int(number or 0))

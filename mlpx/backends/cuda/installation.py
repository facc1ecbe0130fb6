"""What of CUDA is installed: driver, devices and the compiler of kernels; or what is missing, and its remedy."""

from __future__ import annotations

from typing import Any

from mlpx.exceptions import BackendUnavailableError

__all__ = ["check_compiler", "count_devices", "device_number", "missing"]


def count_devices() -> int:
    """Return how many devices CUDA has; raise `BackendUnavailableError` where it has none, with CUDA's own reason."""
    import cupy

    runtime = cupy.cuda.runtime
    try:
        count = int(runtime.getDeviceCount())
    except runtime.CUDARuntimeError as error:
        raise BackendUnavailableError(_no_device(cupy, str(error))) from error
    if not count:
        raise BackendUnavailableError(_no_device(cupy, "no device"))
    return count


def _no_device(cupy: Any, answer: str) -> str:
    needed, there = cupy.cuda.runtime.runtimeGetVersion(), cupy.cuda.runtime.driverGetVersion()
    driver = f"for CUDA {there // 1000}.{there % 1000 // 10}" if there else "none"
    older = ', or "cupy-cuda12x[ctk]" for one of CUDA 12' if needed // 1000 > 12 else ""
    return (
        f"CuPy {cupy.__version__} is installed, but CUDA answers: {answer} (driver: {driver}). Install NVIDIA's driver "
        f"for CUDA {needed // 1000}{older}; nvidia-smi shows it."
    )


def check_compiler() -> None:
    """Raise `BackendUnavailableError` where NVRTC, which compiles kernels, is not found."""
    import cupy

    try:
        cupy.cuda.nvrtc.getVersion()
    except (ImportError, OSError, RuntimeError) as error:
        raise BackendUnavailableError(missing("NVRTC", "kernels", error)) from error


def missing(library: str, purpose: str, error: Exception) -> str:
    """Say that a library of CUDA is missing, and what brings it."""
    import cupy

    major = cupy.cuda.runtime.runtimeGetVersion() // 1000
    return (
        f'The backend "cupy" needs {library} for {purpose}, which is not found ({" ".join(str(error).split())}): '
        f'pip install "cupy-cuda{major}x[ctk]"'
    )


def device_number(name: str | None, count: int) -> int:
    """Return the number of a device such as ``"cuda:1"``; by default the first."""
    platform, _, number = str(name or "cuda:0").partition(":")
    if platform != "cuda" or not (number or "0").isdecimal() or int(number or 0) >= count:
        here = "the only device here is 'cuda:0'" if count == 1 else f"here are 'cuda:0' to 'cuda:{count - 1}'"
        msg = f"`device` must be one that CUDA has: {here}, got {name!r}."
        raise ValueError(msg)
    return int(number or 0)

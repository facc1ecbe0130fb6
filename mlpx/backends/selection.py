"""Which backend is meant: by argument, by context, by process, by environment; and what library an array is of."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from mlpx._checks import check_choice
from mlpx._typing import Array
from mlpx.backends.base import Backend
from mlpx.exceptions import BackendUnavailableError

VARIABLE = "MLPX_BACKEND"


class _Place(NamedTuple):
    """Where a backend is written, the module that it needs, and how that module is installed."""

    module: str
    cls: str
    library: str
    install: str


_PLACES = {
    "numpy": _Place("mlpx.backends.numpy", "NumPyBackend", "numpy", "pip install numpy"),
    "cupy": _Place(
        "mlpx.backends.cupy",
        "CuPyBackend",
        "cupy",
        'pip install "cupy-cuda13x[ctk]" ml_dtypes  (in a clone of mlpx ".[cuda13]", on CUDA 12 with 12 for 13)',
    ),
    "torch": _Place("mlpx.backends.torch", "TorchBackend", "torch", "pip install torch"),
    "jax": _Place("mlpx.backends.jax", "JAXBackend", "jax", "pip install jax"),
    "array_api_strict": _Place(
        "mlpx.backends.array_api_strict", "StrictBackend", "array_api_strict", "pip install array-api-strict"
    ),
}

_ALIASES = {"cuda": "cupy", "gpu": "cupy", "pytorch": "torch"}


class _Choice(NamedTuple):
    name: str
    device: str | None


_process_choice: _Choice | None = None
_context_choice: ContextVar[_Choice | None] = ContextVar("mlpx_backend", default=None)


@dataclass(frozen=True)
class BackendInfo:
    """What `available_backends` tells of one backend.

    Attributes
    ----------
    name : str
        The name by which it is chosen.
    available : bool
        Whether it can be used here.
    version, device : str or None
        The library's version and its default device, where it is available.
    reason : str or None
        Why it is not available.
    install : str or None
        The command that installs its library, where that is missing.

    Examples
    --------
    >>> import mlpx
    >>> info = mlpx.available_backends()[0]
    >>> info.name, info.available, info.device
    ('numpy', True, 'cpu')
    """

    name: str
    available: bool
    version: str | None = None
    device: str | None = None
    reason: str | None = None
    install: str | None = None


def _backend_class(name: str) -> type[Backend]:
    place = _PLACES[name]
    try:
        module = importlib.import_module(place.module)
    except ImportError as error:
        why = f"needs the library {place.library}, which cannot be imported ({error})"
        msg = f'The backend "{name}" {why}: {place.install}'
        raise BackendUnavailableError(msg) from error
    cls: type[Backend] = getattr(module, place.cls)
    return cls


@lru_cache(maxsize=1)
def _numpy_class() -> type[Backend]:
    return _backend_class("numpy")


def make_backend(name: str, device: str | None = None, precision: str | None = None) -> Backend:
    """Return the backend of this name on this device and with this precision, always the same object."""
    if not (precision is None or (isinstance(precision, str) and precision == "tf32")):
        msg = f'`precision` must be None, for products in the network\'s dtype, or "tf32"; got {precision!r}.'
        raise ValueError(msg)
    if not (device is None or isinstance(device, str)):
        msg = f'`device` must be None or a text such as "cuda:1", got {device!r}.'
        raise TypeError(msg)
    return _make(check_choice("backend", name, [*_PLACES, "auto"], _ALIASES), device, precision)


@lru_cache(maxsize=64)
def _make(name: str, device: str | None, precision: str | None) -> Backend:
    if name == "auto":
        return _automatic(device, precision)
    backend = _backend_class(name)(device)
    if precision is not None and not backend.device_name.startswith("cuda"):
        msg = (
            f"`precision` {precision!r} needs a CUDA device, got the backend {name!r} on {backend.device_name}. Leave "
            'it at None, or take the backend "cupy", or "torch" or "jax" with device="cuda:0".'
        )
        raise ValueError(msg)
    backend.precision = precision
    return backend


def _automatic(device: str | None, precision: str | None) -> Backend:
    """Return CuPy where a CUDA device answers, else NumPy; that CuPy is incomplete there is an error."""
    try:
        _backend_class("cupy").check_device()
    except BackendUnavailableError as error:
        if device in (None, "cpu") and precision is None:
            return _make("numpy", device, precision)
        asked = f"`device` {device!r}" if device not in (None, "cpu") else f"`precision` {precision!r}"
        reason = str(error).rstrip(".")
        msg = f'{asked} cannot be had: "auto" found no CUDA device ({reason}), so NumPy was taken.'
        raise ValueError(msg) from error
    return _make("cupy", device, precision)


def get_backend(name: str | Backend | None = None, device: str | None = None, precision: str | None = None) -> Backend:
    """Return the backend that is meant.

    Parameters
    ----------
    name : str or Backend, optional
        ``"numpy"``, ``"cupy"``, ``"torch"``, ``"jax"``, ``"array_api_strict"`` or ``"auto"`` (CuPy where a CUDA device
        answers, else NumPy). By default that of `use_backend`, else of `set_backend`, else of the environment variable
        ``MLPX_BACKEND``, else NumPy.
    device : str, optional
        Such as ``"cuda:1"``; by default the library's own first device.
    precision : "tf32" or None
        Whether products of float32 numbers may be computed in TensorFloat-32, on CUDA; by default they are not.

    Returns
    -------
    Backend
        The same object for the same name, device and precision.

    Raises
    ------
    ValueError, TypeError
        For an unknown name, a device that is not there, or a precision that the device does not have; for a class.
    BackendUnavailableError
        For a library that is not installed, finds no device, or lacks libraries of CUDA.

    Examples
    --------
    >>> import mlpx
    >>> mlpx.get_backend("numpy").device_name
    'cpu'
    """
    if isinstance(name, Backend):
        if device in (None, name.device_name) and precision in (None, name.precision):
            return name
        return make_backend(name.name, device or name.device_name, precision or name.precision)
    if isinstance(name, type) and issubclass(name, Backend):
        msg = f"`backend` must be a name or an object, and {name.__name__} is a class; give {name.__name__}()."
        raise TypeError(msg)
    if name is not None:
        return make_backend(name, device, precision)
    choice = _context_choice.get() or _process_choice
    if choice is not None:
        return make_backend(choice.name, device or choice.device, precision)
    variable = os.environ.get(VARIABLE) or "numpy"
    try:
        check_choice(VARIABLE, variable, [*_PLACES, "auto"], _ALIASES)
    except ValueError as error:
        msg = f"The environment variable {error}"
        raise ValueError(msg) from None
    return make_backend(variable, device, precision)


def set_backend(name: str | None, device: str | None = None) -> None:
    """Choose the backend of networks made from now on in this process, where nothing nearer says otherwise.

    Parameters
    ----------
    name : str or None
        As for `get_backend`; None goes back to the environment variable and NumPy.
    device : str, optional
        Such as ``"cuda:1"``.

    Raises
    ------
    ValueError, BackendUnavailableError
        As for `get_backend`; the choice is then as it was.

    Examples
    --------
    >>> import mlpx
    >>> mlpx.set_backend("numpy")
    >>> mlpx.set_backend(None)
    """
    global _process_choice
    if name is not None:
        make_backend(name, device)
    _process_choice = None if name is None else _Choice(name, device)


@contextmanager
def use_backend(name: str, device: str | None = None) -> Iterator[Backend]:
    """Choose the backend of networks made inside a ``with`` block; other threads are not touched.

    Parameters
    ----------
    name, device
        As for `get_backend`.

    Returns
    -------
    context manager
        It gives the `Backend`.

    Raises
    ------
    ValueError, BackendUnavailableError
        As for `get_backend`.

    Examples
    --------
    >>> import mlpx
    >>> with mlpx.use_backend("numpy") as backend:
    ...     backend.name
    'numpy'
    """
    backend = make_backend(name, device)
    token = _context_choice.set(_Choice(name, device))
    try:
        yield backend
    finally:
        _context_choice.reset(token)


def available_backends() -> list[BackendInfo]:
    """List every backend, with version and device, or why it is missing and how it is installed.

    Returns
    -------
    list of BackendInfo

    Examples
    --------
    >>> import mlpx
    >>> [info.name for info in mlpx.available_backends()]
    ['numpy', 'cupy', 'torch', 'jax', 'array_api_strict']
    """
    return [_describe(name) for name in _PLACES]


def _describe(name: str) -> BackendInfo:
    place = _PLACES[name]
    try:
        backend = make_backend(name)
    except Exception as error:
        installed = importlib.util.find_spec(place.library) is not None
        if installed:
            return BackendInfo(name, available=False, reason=str(error))
        return BackendInfo(name, available=False, reason=f"{place.library} is not installed", install=place.install)
    return BackendInfo(name, available=True, version=backend.version, device=backend.device_name)


def library_of(x: Any) -> type[Backend] | None:
    """Return the backend class whose arrays `x` is one of; None for lists, tables and scalars."""
    if type(x) is np.ndarray and x.dtype.kind in "biuf":  # nearly every call
        return _numpy_class()
    root = type(x).__module__.partition(".")[0]
    name = {"jaxlib": "jax"}.get(root, root)
    if name not in _PLACES or (name == "numpy" and not isinstance(x, np.ndarray)):
        return None
    cls = _backend_class(name)
    return cls if cls.owns(x) else None


def to_numpy(x: Any) -> Array:
    """Return any array (or list, or table) as a NumPy array.

    Parameters
    ----------
    x : array of shape (...), table or sequence
        Of any library and device.

    Returns
    -------
    array of shape (...)
        NumPy's; the same object where `x` is one.

    Examples
    --------
    >>> import mlpx
    >>> mlpx.to_numpy([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    cls = library_of(x)
    return np.asarray(x) if cls is None else cls.to_numpy(x)

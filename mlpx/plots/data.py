"""What is drawn, as NumPy arrays: numbers, members of a stack, labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpx.backends import to_numpy

__all__ = ["check_member", "finite", "host", "labels", "median", "numbers"]


def host(name: str, value: Any) -> np.ndarray[Any, Any]:
    """Return lists, tables and arrays of any library as a NumPy array."""
    try:
        return np.asarray(value) if hasattr(value, "columns") else np.asarray(to_numpy(value))
    except (TypeError, ValueError) as error:
        msg = f"`{name}` must be an array, got {type(value).__name__} ({error})."
        raise TypeError(msg) from error


def numbers(name: str, value: Any, *ndims: int) -> np.ndarray[Any, Any]:
    """Return an array of real numbers with one of these numbers of axes, and with something in it."""
    array = host(name, value)
    if array.dtype.kind not in "iufb":
        msg = f"`{name}` must hold real numbers, got the dtype {array.dtype}."
        raise TypeError(msg)
    if array.ndim not in ndims or not array.size:
        msg = f"`{name}` must have {' or '.join(map(str, ndims))} axes and not be empty, got the shape {array.shape}."
        raise ValueError(msg)
    return array.astype(np.float64)


def finite(name: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the array, in which every number must be finite."""
    if not np.isfinite(array).all():
        msg = f"`{name}` must be finite, but holds NaN or infinity; leave these rows out."
        raise ValueError(msg)
    return array


def labels(name: str, value: Any) -> np.ndarray[Any, Any]:
    """Return labels of shape (N,): class numbers, strings or truth values; a column of them is flattened."""
    array = host(name, value)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or not array.size:
        msg = f"`{name}` must have the shape (N,), one label a row; got {array.shape}."
        raise ValueError(msg)
    return array


def check_member(member: Any, members: int | None, *, needed: bool = False) -> int | None:
    """Return the number of a member from 0, or None for all of them or for a network that is no stack."""
    if members is None:
        if member is not None:
            msg = f"`member` is for stacks, and this is none; leave it out (got {member!r})."
            raise ValueError(msg)
        return None
    if member is None:
        if needed:
            msg = f"`member` must say which of the {members} networks of the stack to draw, such as member=0."
            raise ValueError(msg)
        return None
    if isinstance(member, bool) or not hasattr(member, "__index__"):
        msg = f"`member` must be a whole number, got {member!r}."
        raise TypeError(msg)
    if not -members <= member < members:
        msg = f"`member` must be from 0 to {members - 1}, got {member}."
        raise IndexError(msg)
    return int(member) % members


def median(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the median along the second axis over what is not NaN; NaN where nothing is left."""
    some = ~np.isnan(values).all(axis=1)
    middle = np.full((values.shape[0], *values.shape[2:]), np.nan)
    rows = some if some.ndim == 1 else some.all(axis=tuple(range(1, some.ndim)))
    middle[rows] = np.nanmedian(values[rows], axis=1)
    return middle

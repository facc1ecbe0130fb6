"""The edge: from what a caller gives to arrays, their namespace and the context in which they are computed with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from array_api_compat import array_namespace, is_array_api_obj

from mlpx._typing import Array, Namespace
from mlpx.backends import get_backend, host
from mlpx.backends.selection import library_of
from mlpx.differentiation.tracing import stripped

__all__ = ["arrays_of", "context_of", "split"]


def split(arguments: Sequence[Any], xp: Namespace | None) -> tuple[list[Any], Namespace | None]:
    """Return the arrays among the arguments, and the namespace, which may stand behind them."""
    last = arguments[-1] if arguments else None
    if xp is None and hasattr(last, "asarray") and hasattr(last, "matmul"):
        return list(arguments[:-1]), last
    return list(arguments), xp


def arrays_of(arguments: Sequence[Any], xp: Namespace | None) -> tuple[list[Array], Namespace]:
    """Return arguments as arrays, and their namespace; numbers and lists become NumPy's, or go beside the arrays."""
    arrays = [x for x in arguments if _is_array(x)]
    if xp is None:
        xp = array_namespace(*arrays) if arrays else host.xp
    first = arrays[0] if arrays else None
    return [x if _is_array(x) else _made(x, first, xp) for x in arguments], xp


def _is_array(x: Any) -> bool:
    return is_array_api_obj(x) or hasattr(x, "__array_namespace__")


def _made(x: Any, like: Any, xp: Namespace) -> Array:
    try:
        made = host.xp.asarray(x, dtype=None if like is None else host.xp.float64)
    except (TypeError, ValueError) as error:
        msg = f"An argument of a function that is differentiated must be an array, a number or a list, got {x!r}."
        raise TypeError(msg) from error
    if made.dtype.kind not in "iufb":
        msg = f"An argument of a function that is differentiated must hold numbers, got {x!r}."
        raise TypeError(msg)
    if like is None:
        return host.xp.astype(made, host.xp.float64)
    return xp.asarray(made.tolist(), dtype=like.dtype, device=stripped(like).device)


def context_of(arrays: Sequence[Array]) -> AbstractContextManager[Any]:
    """Return what calls on these arrays are made under: their backend's context, such as JAX's 64-bit mode."""
    found = [library_of(stripped(x)) for x in arrays]
    name = next((library.name for library in found if library is not None), "numpy")
    return get_backend(name).context()

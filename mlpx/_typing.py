"""Names for the types that stand in signatures."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of any library that the Array API standard covers."""

Namespace: TypeAlias = Any
"""The functions of one array library, as the Array API standard names them."""

DType: TypeAlias = Any
Device: TypeAlias = Any
Formula: TypeAlias = Callable[..., Any]
"""A function ``f(*arrays, xp)`` written in functions of the standard alone."""

Numbers: TypeAlias = float | Sequence[float] | Array
"""One number, or one number a member of the stack."""

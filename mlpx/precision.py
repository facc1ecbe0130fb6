"""Precision: what a network computes in, what its parameters are kept in, and the loss scale that float16 needs.

With a `dtype` of half precision the parameters, the moments of the optimizer, the loss and the update are float32. A
step casts the parameters once, runs forward and backward in half precision, and casts the gradient back.

The smallest number of float16 is 2^-24, and error terms are often smaller. The loss, and with it every error term, is
therefore multiplied by a scale, and the gradient divided by it. A step whose gradient is not finite is skipped.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mlpx._checks import check_choice
from mlpx._typing import Array, Namespace
from mlpx.backends import Backend
from mlpx.backends.host import xp as hxp

__all__ = ["EXACT", "GOOD_STEPS", "LEAST_SCALE", "MASTER", "Scaling", "check_dtype", "check_precision"]

MASTER = {"bfloat16": "float32", "float16": "float32", "float32": "float32", "float64": "float64"}
"""The type of the parameters, by the type that the network computes in."""

EXACT = {"bfloat16": 2**8, "float16": 2**11, "float32": 2**24, "float64": 2**53}
"""The number up to which all whole numbers are numbers of a type."""

_ALIASES = {
    "bf16": "bfloat16", "double": "float64", "fp16": "float16", "fp32": "float32", "fp64": "float64",
    "half": "float16", "single": "float32",
}  # fmt: skip

GOOD_STEPS = 2000
"""Steps in a row without a skip after which the scale is doubled."""

LEAST_SCALE = 2.0**-24
_FIRST_SCALE, _LARGEST_SCALE = 2.0**16, 2.0**24
"""A gradient that needs less than the least is beyond 2^40; one that needs more than the largest is zero."""


class Scaling(NamedTuple):
    """The loss scale, a part of the state of training; each array has the shape (..., 1), float32.

    Attributes
    ----------
    scale : array
        By what the error terms are multiplied, a power of two.
    good : array
        Steps since it changed, or since one was skipped.
    skipped : array
        Steps that were skipped so far.
    """

    scale: Array
    good: Array
    skipped: Array

    @classmethod
    def start(cls, ops: Backend, stack: tuple[int, ...]) -> Scaling:
        """Return the state before the first step, for each member of a stack."""
        return cls(*(ops.asarray(hxp.full((*stack, 1), x, dtype=hxp.float32)) for x in (_FIRST_SCALE, 0.0, 0.0)))

    def after(self, finite: Array, xp: Namespace) -> Scaling:
        """Return the state after a step whose gradient is finite or not, shape (..., 1)."""
        zero = xp.zeros_like(self.good)
        good = xp.where(finite, self.good + 1, zero)
        grows = good >= GOOD_STEPS
        grown = xp.where(grows, xp.minimum(2 * self.scale, _LARGEST_SCALE), self.scale)
        return Scaling(
            xp.where(finite, grown, 0.5 * self.scale),
            xp.where(grows, zero, good),
            xp.where(finite, self.skipped, self.skipped + 1),
        )


def check_dtype(dtype: Any) -> str:
    """Return the name of a type that a network computes in."""
    if isinstance(dtype, str):
        return check_choice("dtype", dtype, MASTER, _ALIASES)
    # the classes, types and objects of the array libraries end in it
    name = getattr(dtype, "__name__", str(dtype)).rpartition(".")[2]
    hint = f" Did you mean {name!r}?" if name in MASTER else ""
    msg = f"`dtype` must be a string, one of {', '.join(map(repr, MASTER))}; got {dtype!r}.{hint}"
    raise ValueError(msg)


def check_precision(precision: str | None, dtype: str) -> None:
    """Refuse TF32 for other types than float32."""
    if isinstance(precision, str) and precision == "tf32" and dtype != "float32":
        msg = (
            f"`precision` {precision!r} is a way to multiply float32 numbers, but `dtype` is {dtype!r}; take "
            f'dtype="float32", or precision=None.'
        )
        raise ValueError(msg)

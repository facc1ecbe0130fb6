"""Dropout that keeps mean and variance of self-normalizing networks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from mlpx._checks import check_numbers, member_of
from mlpx._typing import Array, DType, Namespace, Numbers
from mlpx.activations import SELU_GAMMA, SELU_LAMBDA
from mlpx.backends import Backend
from mlpx.backends.host import StepKeys
from mlpx.backends.host import xp as hxp
from mlpx.layers.base import Parameters
from mlpx.layers.dropout import MOST_DROPPED, DropoutSaved, RandomMask

__all__ = ["AlphaDropout"]

_LOWEST = -SELU_LAMBDA * SELU_GAMMA
"""The limit of SELU at minus infinity, which is what a dropped element becomes."""


class AlphaDropoutDraw(NamedTuple):
    """Factors, or what the backend makes them from, and the number that is added."""

    factors: Array
    offset: Array


@dataclass(frozen=True)
class AlphaDropout(RandomMask):
    """Dropout for SELU: dropped elements take its lower limit, and mean 0 and variance 1 are kept [1]_.

    With the probability q of being kept, ``Y = a (X d + alpha (1 - d)) + b``, where d is 1 or 0, alpha = -1.7581 is the
    limit, ``a = (q + alpha² q (1 - q))^(-1/2)`` and ``b = -a (1 - q) alpha``; at prediction the identity.

    Parameters
    ----------
    rate : float or sequence of float
        The probability of being dropped, from 0 to below 1, to the nearest 1/65536; with a stack also one a member.

    Raises
    ------
    ValueError
        For a rate out of its range.

    References
    ----------
    .. [1] G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, "Self-normalizing neural networks", NIPS 2017.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.Network([mlpx.Dense(4, 8, "selu"), mlpx.AlphaDropout(0.1), mlpx.Dense(8, 1)])
    """

    rate: Numbers

    def __post_init__(self) -> None:
        self._store("rate", check_numbers("rate", self.rate, least=0, below=MOST_DROPPED))

    def draw(
        self, ops: Backend, who: StepKeys, position: int, shape: tuple[int, int], dtype: DType
    ) -> AlphaDropoutDraw | None:
        """Return the factors, 0 or a, and the offsets ``alpha a q``, one a member."""
        thresholds = [round(65536 * member_of(self.rate, member)) for member in who.members]  # type: ignore[arg-type]
        if not any(thresholds):
            return None
        kept = [1 - threshold / 65536 for threshold in thresholds]
        scales = [1 / math.sqrt(q + _LOWEST**2 * q * (1 - q)) for q in kept]
        factors = ops.dropout_draws(who.keys, position, who.steps, shape, thresholds, scales, dtype)
        offsets = hxp.asarray([_LOWEST * a * q for a, q in zip(scales, kept, strict=True)])[:, None, None]
        steps = hxp.asarray(who.steps).shape[:-1]
        offset = ops.asarray(hxp.asarray(hxp.broadcast_to(offsets, (*steps, *offsets.shape)), copy=True), dtype=dtype)
        return AlphaDropoutDraw(factors, offset)

    def forward(
        self, ops: Backend, params: Parameters, x: Array, *, training: bool, draw: AlphaDropoutDraw | None
    ) -> tuple[Array, DropoutSaved]:
        """Return ``mask (x - alpha) + alpha a q`` in training, which is the formula above; else `x`."""
        if not training or draw is None:
            return x, DropoutSaved(None)
        mask = ops.dropout_factors(draw.factors, x.shape[-2:], x.dtype)
        return ops.evaluate(_dropped, x, mask, draw.offset), DropoutSaved(mask)


def _dropped(x: Array, mask: Array, offset: Array, xp: Namespace) -> Array:
    return mask * (x - _LOWEST) + offset

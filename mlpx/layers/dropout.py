"""Dropout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from mlpx._checks import check_members, check_number, check_numbers, member_of
from mlpx._typing import Array, DType, Namespace, Numbers
from mlpx.backends import Backend
from mlpx.backends.host import StepKeys
from mlpx.layers.base import Layer, Parameters

__all__ = ["MOST_DROPPED", "Dropout", "DropoutSaved", "RandomMask"]

MOST_DROPPED = 65535.5 / 65536
"""Rate from which on the threshold would drop everything."""


class DropoutSaved(NamedTuple):
    """What `Dropout` keeps for its backward pass: its factors, or None where it did nothing."""

    mask: Array | None


class DropoutGradients(NamedTuple):
    """Dropout has no parameters."""


class RandomMask(Layer, abstract=True):
    """A layer whose output is its input times random factors, and perhaps something that does not depend on it."""

    random = True
    rate: Numbers

    def backward(
        self,
        ops: Backend,
        params: Parameters,
        saved: DropoutSaved,
        dy: Array,
        *,
        need_dx: bool = True,
        out: dict[str, Array] | None = None,
    ) -> tuple[Array | None, DropoutGradients]:
        """Return ``dy * mask``."""
        dx = dy if saved.mask is None else ops.evaluate(_product, dy, saved.mask)
        return dx, DropoutGradients()

    def check_stack(self, members: int | None) -> None:
        """Refuse rates by member whose count is not the stack's."""
        check_members("rate", self.rate, members)  # type: ignore[arg-type]

    def member(self, index: int) -> Layer:
        """Return the layer of one member of the stack."""
        return replace(self, rate=member_of(self.rate, index))  # type: ignore[arg-type,type-var]


@dataclass(frozen=True)
class Dropout(RandomMask):
    """In training, zero each element with some probability and scale the kept ones; else the identity.

    Source: [1]_.

    Parameters
    ----------
    rate : float or sequence of float
        The probability, from 0 to below 1, to the nearest 1/65536; with a stack also one number a member.
    scale : float, optional
        Factor of the kept elements; by default one over the probability of being kept (inverted dropout).

    Raises
    ------
    ValueError
        For a rate or a scale out of its range.
    TypeError
        Where it is no number.

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: a simple way to prevent
       neural networks from overfitting", JMLR 15, 2014.

    Examples
    --------
    >>> import mlpx
    >>> mlpx.Dropout(0.5).shapes()
    {}
    """

    rate: Numbers
    scale: float | None = None

    def __post_init__(self) -> None:
        self._store("rate", check_numbers("rate", self.rate, least=0, below=MOST_DROPPED))
        if self.scale is not None:
            self._store("scale", check_number("scale", self.scale, above=0))

    def draw(
        self,
        ops: Backend,
        who: StepKeys,
        position: int,
        shape: tuple[int, int],
        dtype: DType,
    ) -> Array | None:
        """Return what the backend makes 0 for each dropped element and the scale for each kept one from."""
        rates = [member_of(self.rate, member) for member in who.members]  # type: ignore[arg-type]
        thresholds = [round(65536 * rate) for rate in rates]
        scales = [self.scale or 65536 / (65536 - threshold) for threshold in thresholds]
        if not any(thresholds) and self.scale is None:
            return None
        return ops.dropout_draws(who.keys, position, who.steps, shape, thresholds, scales, dtype)

    def forward(
        self, ops: Backend, params: Parameters, x: Array, *, training: bool, draw: Array | None
    ) -> tuple[Array, DropoutSaved]:
        """Return ``x * mask`` in training, else `x`."""
        mask = ops.dropout_factors(draw, x.shape[-2:], x.dtype) if training and draw is not None else None
        return (x if mask is None else ops.evaluate(_product, x, mask)), DropoutSaved(mask)


def _product(a: Array, b: Array, xp: Namespace) -> Array:
    return a * b

"""Operations with their derivatives in both directions.

`push` carries changes of the inputs to a change of the result (forward mode); `pull` carries the derivative of a scalar
from the result to an input (reverse mode). A change may be a Python number, which stands for an array full of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from array_api_compat import device

from mlpx._typing import Array, Namespace
from mlpx.differentiation.rules import KINKS, RULES, product

__all__ = ["Concat", "Elementwise", "Extreme", "Linear", "Matmul", "Where", "filled", "unbroadcast"]


def filled(change: Any, like: Array, xp: Namespace) -> Array:
    """Return a change as an array of the shape and type of `like`."""
    if change is None:
        return xp.zeros_like(like)
    if isinstance(change, (int, float)):
        return change * xp.ones_like(like)
    return change if tuple(change.shape) == tuple(like.shape) else xp.broadcast_to(change, tuple(like.shape))


def unbroadcast(dy: Array, like: Array, xp: Namespace) -> Array:
    """Return a derivative by a broadcast array as one by the array itself: summed over the axes that were repeated."""
    shape = tuple(like.shape)
    for _ in range(len(dy.shape) - len(shape)):
        dy = xp.sum(dy, axis=0)
    for axis, (size, wide) in enumerate(zip(shape, dy.shape, strict=True)):
        if size == 1 and wide != 1:
            dy = xp.sum(dy, axis=axis, keepdims=True)
    return dy if dy.dtype == like.dtype else xp.astype(dy, like.dtype)


class Smooth:
    """What has no kink of its own."""

    has_kink: ClassVar[bool] = False


@dataclass(frozen=True)
class Elementwise:
    """A function of `mlpx.differentiation.rules.RULES`, by its name."""

    name: str

    def value(self, xp: Namespace, *inputs: Any) -> Array:
        """Return the result."""
        return getattr(xp, self.name)(*inputs)

    @property
    def has_kink(self) -> bool:
        """Whether the derivatives from the left and from the right can differ."""
        return self.name in KINKS

    def _partial(self, xp: Namespace, i: int, inputs: Sequence[Any], y: Array) -> Any:
        partial = RULES[self.name].partials[i]
        if not callable(partial):
            return partial
        p = partial(*inputs, y, xp)
        # a factor such as z > 0 is no number to add: True + True is True
        return xp.astype(p, y.dtype) if getattr(p, "dtype", y.dtype) != y.dtype else p

    def push(self, xp: Namespace, inputs: Sequence[Any], y: Array, changes: Sequence[Any], side: int) -> Any:
        """Return the sum of the changes, each times its partial derivative."""
        if self.has_kink:
            return KINKS[self.name](side, *inputs, y, *(0.0 if change is None else change for change in changes), xp)
        terms = [
            self._term(change, self._partial(xp, i, inputs, y), xp)
            for i, change in enumerate(changes)
            if change is not None
        ]
        return sum(terms[1:], terms[0])

    def _term(self, change: Any, p: Any, xp: Namespace) -> Any:
        for one, other in ((change, p), (p, change)):
            if isinstance(one, (int, float)):
                return other if one == 1 else one * other
        return product(change, p, xp) if RULES[self.name].singular else xp.multiply(change, p)

    def pull(self, xp: Namespace, inputs: Sequence[Any], y: Array, dy: Array, i: int) -> Array:
        """Return ``dy`` times the partial derivative, summed over the axes that were repeated."""
        p = self._partial(xp, i, inputs, y)
        if isinstance(p, (int, float)):
            return unbroadcast(dy if p == 1 else p * dy, inputs[i], xp)
        return unbroadcast(product(dy, p, xp), inputs[i], xp)


@dataclass(frozen=True)
class Where(Smooth):
    """``where(condition, a, b)``: a choice, never a product with 0 and 1, so that only what was taken counts."""

    condition: Array
    name: str = "where"

    def value(self, xp: Namespace, *inputs: Any) -> Array:
        """Return the result."""
        return xp.where(self.condition, *inputs)

    def push(self, xp: Namespace, inputs: Sequence[Any], y: Array, changes: Sequence[Any], side: int) -> Array:
        """Choose between the changes."""
        return xp.where(self.condition, *(filled(change, y, xp) for change in changes))

    def pull(self, xp: Namespace, inputs: Sequence[Any], y: Array, dy: Array, i: int) -> Array:
        """Return ``dy`` where the input was taken, else 0."""
        none = xp.zeros_like(dy)
        taken = xp.where(self.condition, *((dy, none) if i == 0 else (none, dy)))
        return unbroadcast(taken, inputs[i], xp)


@dataclass(frozen=True)
class Matmul(Smooth):
    """The product of matrices, with any leading axes."""

    name: str = "matmul"

    def value(self, xp: Namespace, *inputs: Any) -> Array:
        """Return the result."""
        return xp.matmul(*inputs)

    def push(self, xp: Namespace, inputs: Sequence[Any], y: Array, changes: Sequence[Any], side: int) -> Array:
        """Return ``dA B + A dB``."""
        a, b = inputs
        terms = []
        if changes[0] is not None:
            terms.append(xp.matmul(filled(changes[0], a, xp), b))
        if changes[1] is not None:
            terms.append(xp.matmul(a, filled(changes[1], b, xp)))
        return terms[0] if len(terms) == 1 else xp.add(*terms)

    def pull(self, xp: Namespace, inputs: Sequence[Any], y: Array, dy: Array, i: int) -> Array:
        """Return ``dY Bᵀ`` or ``Aᵀ dY``."""
        a, b = inputs
        if i == 0:
            return unbroadcast(xp.matmul(dy, xp.matrix_transpose(b)), a, xp)
        return unbroadcast(xp.matmul(xp.matrix_transpose(a), dy), b, xp)


@dataclass(frozen=True)
class Linear(Smooth):
    """A linear function of one array, known by its name; `mlpx.differentiation.transposes` holds the way back."""

    name: str
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def value(self, xp: Namespace, *inputs: Any) -> Array:
        """Return the result."""
        if self.name == "getitem":
            return inputs[0][self.arguments[0]]
        return getattr(xp, self.name)(*inputs, *self.arguments, **self.options)

    def push(self, xp: Namespace, inputs: Sequence[Any], y: Array, changes: Sequence[Any], side: int) -> Array:
        """Do the same to the change."""
        return self.value(xp, filled(changes[0], inputs[0], xp))

    def pull(self, xp: Namespace, inputs: Sequence[Any], y: Array, dy: Array, i: int) -> Array:
        """Return what the transposed function makes of ``dy``."""
        from mlpx.differentiation.transposes import TRANSPOSES

        return TRANSPOSES[self.name](xp, dy, inputs[0], *self.arguments, **self.options)


@dataclass(frozen=True)
class Concat(Smooth):
    """Arrays side by side."""

    axis: int
    name: str = "concat"

    def value(self, xp: Namespace, *inputs: Any) -> Array:
        """Return the result."""
        return xp.concat(list(inputs), axis=self.axis)

    def push(self, xp: Namespace, inputs: Sequence[Any], y: Array, changes: Sequence[Any], side: int) -> Array:
        """Put the changes side by side."""
        return self.value(xp, *(filled(change, x, xp) for change, x in zip(changes, inputs, strict=True)))

    def pull(self, xp: Namespace, inputs: Sequence[Any], y: Array, dy: Array, i: int) -> Array:
        """Return the part that belongs to the input."""
        start = sum(x.shape[self.axis] for x in inputs[:i])
        index = [slice(None)] * len(dy.shape)
        index[self.axis] = slice(start, start + inputs[i].shape[self.axis])
        return unbroadcast(dy[tuple(index)], inputs[i], xp)


@dataclass(frozen=True)
class Extreme(Smooth):
    """``max`` or ``min`` along axes; equal extremes share the derivative equally."""

    name: str
    axis: int | tuple[int, ...] | None
    keepdims: bool

    def value(self, xp: Namespace, *inputs: Any) -> Array:
        """Return the result."""
        return getattr(xp, self.name)(*inputs, axis=self.axis, keepdims=self.keepdims)

    def _weights(self, xp: Namespace, x: Array) -> Array:
        extreme = getattr(xp, self.name)(x, axis=self.axis, keepdims=True)
        mask = xp.astype(x == extreme, x.dtype)
        return mask / xp.sum(mask, axis=self.axis, keepdims=True)

    def push(self, xp: Namespace, inputs: Sequence[Any], y: Array, changes: Sequence[Any], side: int) -> Array:
        """Return the change of the extreme entry."""
        change = xp.multiply(filled(changes[0], inputs[0], xp), self._weights(xp, inputs[0]))
        return xp.sum(change, axis=self.axis, keepdims=self.keepdims)

    def pull(self, xp: Namespace, inputs: Sequence[Any], y: Array, dy: Array, i: int) -> Array:
        """Return ``dy`` at the extreme entry, else 0."""
        from mlpx.differentiation.transposes import repeated

        x = inputs[0]
        return xp.multiply(repeated(xp, dy, x, axis=self.axis, keepdims=self.keepdims), self._weights(xp, x))


def new(xp: Namespace, shape: tuple[int, ...], like: Array) -> Array:
    """Return zeros of some shape, of the type and on the device of `like`."""
    return xp.zeros(shape, dtype=like.dtype, device=device(like))

"""Linear functions backwards: from the derivative by the result to the derivative by the input."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from array_api_compat import device

from mlpx._typing import Array, DType, Namespace
from mlpx.differentiation.operations import new, unbroadcast

__all__ = ["TRANSPOSES", "repeated"]

_LARGEST_MASK = 1 << 22  # entries at a time


def repeated(
    xp: Namespace, dy: Array, x: Array, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False
) -> Array:
    """Return ``dy``, the derivative by a reduction of `x` along axes, repeated along them."""
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    if not keepdims:
        reduced = {a % x.ndim for a in axes} if x.ndim else set()
        dy = xp.reshape(dy, tuple(1 if a in reduced else size for a, size in enumerate(x.shape)))
    return xp.broadcast_to(dy, tuple(x.shape))


def _reshape(xp: Namespace, dy: Array, x: Array, *_: Any, **__: Any) -> Array:
    return xp.reshape(dy, tuple(x.shape))


def _permute(xp: Namespace, dy: Array, x: Array, axes: tuple[int, ...]) -> Array:
    axes = tuple(a % x.ndim for a in axes)
    return xp.permute_dims(dy, tuple(axes.index(a) for a in range(x.ndim)))


def _astype(xp: Namespace, dy: Array, x: Array, dtype: DType) -> Array:
    return xp.astype(dy, x.dtype)


def _cumulative(xp: Namespace, dy: Array, x: Array, *, axis: int) -> Array:
    return xp.flip(xp.cumulative_sum(xp.flip(dy, axis=axis), axis=axis), axis=axis)


def _scattered(xp: Namespace, dy: Array, size: int, index: Array, axis: int) -> Array:
    """Return an array with `size` entries along an axis, to which those of ``dy`` are added at `index`."""
    count, block = index.shape[0], max(1, _LARGEST_MASK // max(1, size))
    if count <= block:
        return _scattered_block(xp, dy, size, index, axis)
    before = (slice(None),) * axis
    cuts = [slice(start, start + block) for start in range(0, count, block)]
    parts = (_scattered_block(xp, dy[(*before, cut, ...)], size, index[cut], axis) for cut in cuts)
    return functools.reduce(xp.add, parts)


def _scattered_block(xp: Namespace, dy: Array, size: int, index: Array, axis: int) -> Array:
    places = xp.arange(size, dtype=index.dtype, device=device(index))
    index = xp.where(index < 0, index + size, index)
    one_hot = xp.astype(places[:, None] == index[None, :], dy.dtype)
    if axis == len(dy.shape) - 1:
        return xp.matmul(dy, xp.matrix_transpose(one_hot)) if dy.ndim > 1 else xp.matmul(one_hot, dy)
    order = [a for a in range(dy.ndim) if a not in (axis, dy.ndim - 1)] + [axis, dy.ndim - 1]
    moved = xp.matmul(one_hot, xp.permute_dims(dy, tuple(order)))
    return xp.permute_dims(moved, tuple(order.index(a) for a in range(dy.ndim)))


def _take(xp: Namespace, dy: Array, x: Array, index: Array, *, axis: int) -> Array:
    return _scattered(xp, dy, x.shape[axis], index, axis % x.ndim)


def _padded(xp: Namespace, dy: Array, axis: int, before: int, after: int) -> Array:
    parts = [dy]
    for missing, position in ((before, 0), (after, len(parts) + bool(before))):
        if missing:
            shape = list(dy.shape)
            shape[axis] = missing
            parts.insert(position, new(xp, tuple(shape), dy))
    return parts[0] if len(parts) == 1 else xp.concat(parts, axis=axis)


def _getitem(xp: Namespace, dy: Array, x: Array, index: tuple[int | slice | None, ...]) -> Array:
    """Put ``dy`` where it was cut out, and zeros around it."""
    parts = [part for part in index if part is not None]
    sizes = [1 if isinstance(p, int) else len(range(*p.indices(n))) for p, n in zip(parts, x.shape, strict=True)]
    dy = xp.reshape(dy, tuple(sizes))
    for axis, (part, size) in enumerate(zip(parts, x.shape, strict=True)):
        if isinstance(part, int):
            dy = _padded(xp, dy, axis, part % size, size - 1 - part % size)
            continue
        places = range(*part.indices(size))
        if places.step == 1:
            dy = _padded(xp, dy, axis, places.start, size - max(places.stop, places.start))
        else:
            dy = _spread(xp, dy, axis, places, size)
    return dy


def _spread(xp: Namespace, dy: Array, axis: int, places: range, size: int) -> Array:
    """Return an array with `size` entries along an axis, those of ``dy`` at `places`, and zeros between them."""
    if places.step < 0:
        dy, places = xp.flip(dy, axis=axis), places[::-1]
    shape, count, step = tuple(dy.shape), len(places), places.step
    dy = _padded(xp, xp.expand_dims(dy, axis=axis + 1), axis + 1, 0, step - 1)
    dy = xp.reshape(dy, (*shape[:axis], count * step, *shape[axis + 1 :]))
    start = places.start if count else 0
    after = size - start - count * step
    dy = _padded(xp, dy, axis, start, max(after, 0))
    return dy[(*[slice(None)] * axis, slice(0, size), ...)]


def _same(name: str) -> Callable[..., Array]:
    def transposed(xp: Namespace, dy: Array, x: Array, *arguments: Any, **options: Any) -> Array:
        return getattr(xp, name)(dy, *arguments, **options)

    return transposed


def _roll(xp: Namespace, dy: Array, x: Array, shift: int | tuple[int, ...], **options: Any) -> Array:
    back = tuple(-s for s in shift) if isinstance(shift, tuple) else -shift
    return xp.roll(dy, back, **options)


TRANSPOSES: dict[str, Callable[..., Array]] = {
    "astype": _astype,
    "broadcast_to": lambda xp, dy, x, shape: unbroadcast(dy, x, xp),
    "cumulative_sum": _cumulative,
    "expand_dims": _reshape,
    "flip": _same("flip"),
    "getitem": _getitem,
    "permute_dims": _permute,
    "reshape": _reshape,
    "roll": _roll,
    "squeeze": _reshape,
    "sum": repeated,
    "take": _take,
    "tril": _same("tril"),
    "triu": _same("triu"),
}

"""Which rows go where: training and validation rows, their order in an epoch, and batches; all on the host.

With a stack each member may have rows of its own, also of different number: shorter lists are padded at the end, and
what is padded gets the weight zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mlpx._typing import Array
from mlpx.backends import to_numpy
from mlpx.backends.host import Key, permutations
from mlpx.backends.host import xp as hxp

__all__ = ["Rows", "Slices", "choose_rows", "ordered", "padded", "slices", "split_rows"]


class Rows(NamedTuple):
    """Rows of a data set.

    Attributes
    ----------
    index : integer array of shape (n,) or (S, n)
        Rows of all members, or of each; padded with row 0.
    count : integer array of shape () or (S,)
        How many of them count.
    """

    index: Array
    count: Array

    def select(self, members: Array) -> Rows:
        """Return the rows of some members."""
        if self.index.ndim == 1:
            return self
        return Rows(hxp.take(self.index, members, axis=0), hxp.take(self.count, members))

    def typical(self, weight: Array | None) -> int:
        """Return one row that counts: the heaviest of the first member."""
        own = self.by_member(1)[0]
        if weight is None:
            return int(own[0])
        return int(own[hxp.argmax(hxp.take(weight[0] if weight.ndim == 2 else weight, own))])

    def by_member(self, members: int) -> list[Array]:
        """Return a list of rows for each member."""
        if self.index.ndim == 1:
            return [self.index] * members
        return [self.index[s, : int(self.count[s])] for s in range(self.index.shape[0])]


def choose_rows(n: int, subsets: Sequence[Any] | None, members: int | None) -> Rows:
    """Return all rows, or those that `subsets` names for each member."""
    if subsets is None:
        return Rows(hxp.arange(n), hxp.asarray(n))
    if members is None:
        msg = "`subsets` is for stacks: it gives one list of rows a member, but `members` is None."
        raise ValueError(msg)
    if not hasattr(subsets, "__len__") or getattr(subsets, "ndim", 1) == 0 or len(subsets) != members:
        msg = f"`subsets` must hold one list of rows for each of the {members} members, got {subsets!r}."
        raise ValueError(msg)
    lists = [_check_subset(to_numpy(subset), n, s) for s, subset in enumerate(subsets)]
    return padded(lists)


def _check_subset(rows: Array, n: int, member: int) -> Array:
    rows = hxp.reshape(rows, (-1,))
    if rows.dtype == hxp.bool or not hxp.isdtype(rows.dtype, "integral") or rows.shape[0] == 0:
        came = f"dtype {rows.dtype}, size {rows.shape[0]}"
        msg = f"`subsets[{member}]` must be a list of at least one row number, got {came}."
        raise ValueError(msg)
    low, high = int(hxp.min(rows)), int(hxp.max(rows))
    if low < 0 or high >= n:
        msg = f"`subsets[{member}]` must hold row numbers from 0 to {n - 1}, got {low} to {high}."
        raise ValueError(msg)
    return hxp.astype(rows, hxp.int64)


def padded(lists: Sequence[Array]) -> Rows:
    """Return lists of rows, one a member, as one."""
    width = max(rows.shape[0] for rows in lists)
    rows = [hxp.concat([rows, hxp.zeros(width - rows.shape[0], dtype=hxp.int64)]) for rows in lists]
    return Rows(hxp.stack(rows), hxp.asarray([rows.shape[0] for rows in lists]))


def split_rows(
    rows: Rows, fraction: float, keys: Sequence[Key], epochs: Sequence[int], *, shuffle: bool, shared: bool, stack: bool
) -> tuple[Rows, Rows]:
    """Return training and validation rows: ``ceil(fraction n)`` of them drawn at random, the last if not `shuffle`.

    Parameters
    ----------
    rows : Rows
        What is split.
    fraction : float
        Share of the validation rows.
    keys, epochs : sequence
        Key and epoch counter of each member.
    shuffle : bool
        Whether to draw.
    shared : bool
        Whether members that share their rows share the split too.
    stack : bool
        Whether there is a stack.
    """
    parts = []
    alone = _one_list(rows, shuffle=shuffle, shared=shared, stack=stack)
    for own, key, epoch in zip(_lists(rows, len(keys), alone=alone), keys, epochs, strict=not alone):
        n = own.shape[0]
        held = math.ceil(fraction * n)
        if not 0 < held < n:
            msg = (
                f"`validation` of {fraction:g} leaves {n - held} of {n} rows for training; both parts need one or more."
            )
            raise ValueError(msg)
        order = permutations([key], "split", [epoch], n)[0, :] if shuffle else hxp.arange(n)
        parts.append((hxp.take(own, order[: n - held]), hxp.take(own, order[n - held :])))
    train, held_out = (_gather(lists, alone=alone) for lists in zip(*parts, strict=True))
    return train, held_out


def ordered(
    rows: Rows, keys: Sequence[Key], epochs: Sequence[int], *, shuffle: bool, shared: bool, stack: bool
) -> Rows:
    """Return the rows in the order of an epoch; `shared` says that all keys and epochs are one."""
    if not shuffle:
        return rows
    alone = _one_list(rows, shuffle=shuffle, shared=shared, stack=stack)
    if rows.index.ndim == 1:
        order = permutations(
            keys[:1] if alone else keys, "shuffle", epochs[:1] if alone else epochs, rows.index.shape[0]
        )
        index = hxp.reshape(hxp.take(rows.index, hxp.reshape(order, (-1,))), order.shape)
        return Rows(index[0, :], rows.count) if alone else Rows(index, hxp.full(len(keys), index.shape[-1]))
    lists = rows.by_member(len(keys))
    orders = [
        permutations([key], "shuffle", [epoch], own.shape[0])[0, :]
        for own, key, epoch in zip(lists, keys, epochs, strict=True)
    ]
    return padded([hxp.take(own, order) for own, order in zip(lists, orders, strict=True)])


def _one_list(rows: Rows, *, shuffle: bool, shared: bool, stack: bool) -> bool:
    """Say whether one list of rows serves all members."""
    return rows.index.ndim == 1 and (not stack or shared or not shuffle)


def _lists(rows: Rows, members: int, *, alone: bool) -> list[Array]:
    return rows.by_member(1 if alone else members)


def _gather(lists: Sequence[Array], *, alone: bool) -> Rows:
    return Rows(lists[0], hxp.asarray(lists[0].shape[0])) if alone else padded(lists)


class Slices(NamedTuple):
    """Batches of equal size, one after the other along the first axis.

    Attributes
    ----------
    index : integer array of shape (n, B) or (n, S, B)
        The rows.
    weight : array of shape (n, B) or (n, S, B), optional
        Their weights with the sum 1 (0 where all are zero); None: equal weights.
    total : array of shape (n,) or (n, S)
        Sums of the weights before.
    count : array of shape (n,) or (n, S)
        Numbers of rows, those of weight zero among them.
    """

    index: Array
    weight: Array | None
    total: Array
    count: Array

    def select(self, steps: Any) -> Slices:
        """Return some of the batches."""
        weight = None if self.weight is None else self.weight[steps, ...]
        return Slices(self.index[steps, ...], weight, self.total[steps, ...], self.count[steps, ...])


def slices(rows: Rows, batch_size: int, weight: Array | None) -> Iterator[Slices]:
    """Cut rows into batches: those of full size, then the last one where it is shorter.

    Parameters
    ----------
    rows : Rows
        In their order.
    batch_size : int
        Rows a batch.
    weight : array of shape (N,) or (S, N), optional
        Weights by row of the data set.
    """
    index, w = _weighted(rows, weight)
    width = index.shape[-1]
    whole = width - width % batch_size
    for start, stop, size in ((0, whole, batch_size), (whole, width, width - whole)):
        if start == stop:
            continue
        part = _cut(index[..., start:stop], size)
        full = hxp.full(part.shape[0], float(size))
        if w is None:
            yield Slices(part, None, full, full)
            continue
        own = _cut(w[..., start:stop], size)
        total = hxp.sum(own, axis=-1)
        count = full
        if rows.count.ndim:
            first = hxp.arange(start, stop, size)[:, None]
            count = hxp.clip(hxp.astype(rows.count - first, hxp.float64), 0.0, float(size))
        yield Slices(part, own / hxp.where(total > 0, total, 1.0)[..., None], total, count)


def _cut(array: Array, size: int) -> Array:
    """Return the parts of the last axis along a new first one."""
    parts = hxp.reshape(array, (*array.shape[:-1], -1, size))
    return hxp.asarray(hxp.moveaxis(parts, -2, 0), copy=True) if array.ndim == 2 else parts


def _weighted(rows: Rows, weight: Array | None) -> tuple[Array, Array | None]:
    """Return rows and their weights; None where all count alike.

    A row of weight zero is replaced by one that counts, so that nothing that overflows in it reaches a sum.
    """
    index, width = rows.index, rows.index.shape[-1]
    uneven = index.ndim == 2 and bool(hxp.any(rows.count != width))
    if weight is None and not uneven:
        return index, None
    w = hxp.ones(index.shape) if weight is None else _weights_of(weight, index)
    if uneven:
        w = w * (hxp.arange(width) < rows.count[:, None])
    if hxp.all(w > 0):
        return index, w
    index = hxp.broadcast_to(index, w.shape)
    heaviest = hxp.argmax(w, axis=-1, keepdims=True)
    return hxp.where(w > 0, index, hxp.take_along_axis(index, heaviest, axis=-1)), w


def _weights_of(weight: Array, index: Array) -> Array:
    if weight.ndim == 2:
        return hxp.take_along_axis(weight, hxp.broadcast_to(index, (weight.shape[0], index.shape[-1])), axis=-1)
    return hxp.reshape(hxp.take(weight, hxp.reshape(index, (-1,))), index.shape)

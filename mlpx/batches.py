"""The batches of an epoch, handed out in runs of many steps with all that differs from step to step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from mlpx._typing import Array
from mlpx.backends.host import Key, StepKeys, scatter
from mlpx.backends.host import xp as hxp
from mlpx.data import Rows, Slices, ordered, slices
from mlpx.evaluation import Sample
from mlpx.optimizers import Optimizer
from mlpx.plan import Batch
from mlpx.schedules import Point

__all__ = ["Batches", "Drawn", "Order", "Run"]

_MOST_STEPS, _MOST_DRAWN = 256, 2**23
"""Of the steps that are handed over at once: how many, and how many random numbers from the host."""

_MOST_AHEAD = 2**14
"""For how many steps, of all members, the numbers of an optimizer without a schedule are made at once."""

Run = tuple[Batch, Array, Array]
"""The batches of a run, their weights in the means of the epoch, and the step counters of the members after them, of
shape (A,), or (1,) where they are alike."""


class Order(Protocol):
    """Who says in which order the rows are taken."""

    ahead: bool
    """Whether an epoch's order may be asked for before the epoch: where it is drawn from a stream it may not."""

    resumable: bool
    """Whether a later process can draw the same orders."""

    def __call__(self, rows: Rows, members: Array, epoch: int) -> Rows:
        """Return the rows of some members of the stack in the order of an epoch, counted from 0 within the fit."""


@dataclass(frozen=True)
class Drawn:
    """A new order for each epoch from the stream of each member, or the rows as they come.

    Parameters
    ----------
    keys : tuple of Key
        Those of the members.
    first_epoch : tuple of int
        How many epochs each member has seen before the fit.
    shuffle : bool
        Whether to draw at all.
    shared : bool
        Whether all members of a stack take the order of the first.
    stack : bool
        Whether there is a stack.
    """

    keys: tuple[Key, ...]
    first_epoch: tuple[int, ...]
    shuffle: bool
    shared: bool
    stack: bool
    ahead = True
    resumable = True

    def __call__(self, rows: Rows, members: Array, epoch: int) -> Rows:
        """Return the rows in the order of an epoch."""
        chosen = [0] * members.shape[0] if self.shared else members.tolist()
        return ordered(
            rows,
            [self.keys[member] for member in chosen],
            [self.first_epoch[member] + epoch for member in chosen],
            shuffle=self.shuffle,
            shared=self.shared,
            stack=self.stack,
        )


class Batches:
    """The batches of a fit.

    Parameters
    ----------
    net : mlpx.Network
        The network.
    optimizer : Optimizer
        Whose coefficients go with each step.
    batch_size : int
        Rows a step.
    order : Order
        The order of the rows.
    clip : array, optional
        Bound on the norm of the gradient.
    epochs : int
        Epochs that were asked for.
    rows : array of shape () or (S,)
        How many rows each member has.
    l2_by_batch : bool
        Whether the penalty of the network is divided by the weight of the batch, instead of being the same in all.
    by_row : bool
        Whether a batch counts in the means of the epoch by its rows, instead of by their weight.

    Attributes
    ----------
    steps_asked : integer array of shape (S,)
        How many steps each member makes, where none leaves earlier.
    rate : array of shape () or (S,)
        The learning rate of the last step.
    """

    def __init__(
        self,
        net: Any,
        optimizer: Optimizer,
        batch_size: int,
        order: Order,
        clip: Array | None,
        epochs: int,
        rows: Array,
        *,
        l2_by_batch: bool = False,
        by_row: bool = False,
    ) -> None:
        batch_size = min(batch_size, max(int(hxp.max(rows)), 1))  # int64 does not hold every whole number
        self._net, self._optimizer, self._batch_size = net, optimizer, batch_size
        self._order, self._ordered = order, (-1, hxp.zeros(0), Rows(rows, rows), Rows(rows, rows))
        self._l2, self._l2_by_batch, self._by_row = hxp.asarray(net.l2, dtype=hxp.float64), l2_by_batch, by_row
        self._clip = hxp.asarray(0.0) if clip is None else clip
        self._stack, self._members = net.members is not None, net.members or 1
        self.steps_asked = hxp.broadcast_to(-(-rows // batch_size) * epochs, (self._members,))
        self._ahead = 0, hxp.zeros(0), hxp.zeros((0, 0))
        self._reached = hxp.zeros(1, dtype=hxp.int64), 0
        self.rate = hxp.asarray(hxp.nan)

    def order(self, rows: Rows, alive: Array, epoch: int) -> Rows:
        """Return the rows in the order of an epoch; what was drawn ahead is not drawn again."""
        drawn, whose, of, ordered = self._ordered
        if drawn != epoch or whose is not alive or of is not rows:
            ordered = self._order(rows, alive, epoch)
            self._ordered = epoch, alive, rows, ordered
        return ordered

    def draw_ahead(self, rows: Rows, alive: Array, epoch: int) -> None:
        """Draw the order of a coming epoch, while the device is at work."""
        if self._order.ahead:
            self.order(rows, alive, epoch)

    def begin(self, steps: Array) -> None:
        """Begin an epoch, before which the members that are left had made so many steps, of shape (A,) or (1,)."""
        self._reached = steps, 0

    def __call__(
        self, train: Sample, alive: Array, epoch: int, schedule: Any, most: Any, done: int = 0
    ) -> Iterator[Run]:
        """Yield the runs of an epoch that has begun, or of a part of it after those before.

        Parameters
        ----------
        train : Sample
            The training rows of the members that are left.
        alive : integer array of shape (A,)
            Which members are left.
        epoch : int
            The epoch, from 0.
        schedule : Any
            What the learning-rate schedule remembers.
        most : callable
            ``most(index, position)``: the most batches of a run that begins there in the epoch, or None.
        done : int
            How many batches of the epoch are left out, since they have been made.
        """
        steps, position = self._reached
        for pieces, active in self._pieces(self.order(train.rows, alive, epoch), train.weight, alive):
            after = self._counters(steps, active, pieces.total.shape[0])
            n, start = pieces.total.shape[0], max(0, done - position)
            while start < n:
                size = self._run_length(pieces.index, alive, most(pieces.index, position + start))
                part = slice(start, min(start + size, n))
                start = part.stop
                own = None if active is None else active[part]
                before = after[part] - (1 if own is None else own)
                some = pieces.select(part)
                batch = Batch(
                    some.index,
                    some.weight,
                    some.total,
                    self._numbers(before, own, some.total, alive, epoch, schedule),
                    self._draws(before, alive, some.index.shape[-1]),
                    None if own is None or hxp.all(own) else own[:, :, None],
                )
                if self._by_row:
                    batch = batch._replace(total=some.count)
                yield batch, batch.total, after[part][-1, :]
            steps, position = self._reached = after[-1, :], position + n

    def _pieces(self, order: Rows, weight: Array | None, alive: Array) -> Iterator[tuple[Slices, Array | None]]:
        """Yield the batches of an epoch by size, without those that nobody has, and who has weight in which.

        The latter has the shape (n, A), or is None where all have weight in all.
        """
        for pieces in slices(order, self._batch_size, weight):
            if pieces.weight is None or hxp.all(pieces.total > 0):
                yield pieces, None
                continue
            has_weight = hxp.reshape(pieces.total > 0, (pieces.total.shape[0], -1))
            active = hxp.broadcast_to(has_weight, (has_weight.shape[0], alive.shape[0]))
            some = hxp.any(active, axis=-1)
            if hxp.all(some):
                yield pieces, active
            elif hxp.any(some):
                yield pieces.select(some), active[some]

    def _counters(self, steps: Array, active: Array | None, n: int) -> Array:
        """Return the step counters after each of n steps, shape (n, A), or (n, 1) where those of all are alike."""
        if active is not None:
            return steps + hxp.cumulative_sum(hxp.astype(active, hxp.int64), axis=0)
        if steps.shape[0] > 1 and hxp.all(steps == steps[0]):
            steps = steps[:1]
        return steps + hxp.arange(1, n + 1)[:, None]

    def _run_length(self, index: Array, alive: Array, allowed: int | None) -> int:
        """Return how many steps are handed to the device at once: work of some tenths of a second on two cores."""
        net, members, batch_size = self._net, alive.shape[0], index.shape[-1]
        on_host = net.architecture.random and not net.backend.draws_in_step
        drawn = sum(net.architecture.widths) * batch_size * members if on_host else 0
        work = 6 * net.architecture.size * batch_size * members
        most = _MOST_DRAWN // drawn if drawn else _MOST_STEPS
        return max(1, min(_MOST_STEPS, int(net.backend.flops // work), most, allowed or _MOST_STEPS))

    def _draws(self, before: Array, alive: Array, batch_size: int) -> tuple[Array | None, ...]:
        """Return the random arrays of each layer for the steps of a run."""
        net = self._net
        if not net.architecture.random:
            return (None,) * len(net.architecture.layers)
        members = alive.tolist()
        counted = before + hxp.take(hxp.asarray(net.steps_seen), alive)
        who = StepKeys(members, [net.keys[member] for member in members], counted)
        drawn: tuple[Array | None, ...] = net.architecture.draw(
            net.backend, who, batch_size, net.dtype, stack=self._stack
        )
        return drawn

    def _numbers(
        self, before: Array, active: Array | None, total: Array, alive: Array, epoch: int, schedule: Any
    ) -> Array:
        """Return the numbers of many steps for the members that are left, shape (n, C) or, by member, (n, C, A, 1).

        `before` has the step counters before each step, shape (n, A) or (n, 1), `active` says for whom it is one.
        """
        n, first = before.shape[0], int(before[0, 0])
        if not (self._optimizer.constant and before.shape[1] == 1):
            numbers = self._table(before, active, alive, epoch, schedule)
        else:  # they are those of any other epoch: many steps' are made at once
            start, whose, ahead = self._ahead
            if whose is not alive or not start <= first <= start + ahead.shape[0] - n:
                many = max(n, min(_MOST_AHEAD // self._members, int(hxp.max(self.steps_asked))))
                ahead = self._table(hxp.arange(first, first + many)[:, None], None, alive, epoch, schedule)
                start, self._ahead = first, (first, alive, ahead)
            numbers = ahead[first - start : first - start + n, ...]
        if not self._l2_by_batch:
            return numbers
        weight = hxp.reshape(total, (n, -1))
        l2 = self._of(self._l2, alive) / hxp.where(weight > 0, weight, 1.0)
        return self._with_l2(numbers, l2)

    def _with_l2(self, numbers: Array, l2: Array) -> Array:
        """Return the numbers with other strengths of the penalty, of shape (n, A) or (n, 1)."""
        if numbers.ndim == 2 and l2.shape[1] > 1:
            numbers = hxp.broadcast_to(numbers[:, :, None, None], (*numbers.shape, l2.shape[1], 1))
        numbers = hxp.asarray(numbers, copy=True)
        numbers[:, 0, ...] = l2[:, 0] if numbers.ndim == 2 else l2[..., None]
        return numbers

    def _table(self, before: Array, active: Array | None, alive: Array, epoch: int, schedule: Any) -> Array:
        """Return the numbers of steps, the penalty's strength being that of the network."""
        t = before + 1
        if 1 < t.shape[1] < self._members:
            t = scatter(t, alive, self._members, 1)
        point = Point(t, epoch, self.steps_asked)
        rate = self._optimizer.schedule(point, schedule, hxp)
        self._note_rate(rate, active, alive)
        coefficients = self._optimizer.at(point, hxp).coefficients(rate, hxp.astype(t, hxp.float64), hxp)
        values = [self._of(value, alive) for value in (self._l2, self._clip, *coefficients)]
        width = max((value.shape[-1] for value in values if value.ndim), default=1)
        numbers = hxp.empty((t.shape[0], len(values), width), dtype=getattr(hxp, self._net.master_dtype_name))
        for i, value in enumerate(values):
            numbers[:, i, :] = value
        return numbers[:, :, 0] if width == 1 else numbers[..., None]

    def _note_rate(self, rate: Array, active: Array | None, alive: Array) -> None:
        """Keep the rate of the last step that each member made."""
        if rate.ndim < 2:
            self.rate = rate
        elif active is None or hxp.all(active[-1, :]):
            self.rate = rate[-1, :]
        else:
            own = self._of(hxp.broadcast_to(rate, (rate.shape[0], self._members)), alive)
            position = active.shape[0] - 1 - hxp.argmax(hxp.flip(active, axis=0), axis=0)
            last = hxp.take_along_axis(own, position[None, :], axis=0)[0, :]
            made = scatter(hxp.any(active, axis=0), alive, self._members, fill=False)
            self.rate = hxp.where(made, scatter(last, alive, self._members, hxp.nan), self.rate)

    def _of(self, value: Array, alive: Array) -> Array:
        """Return numbers of the members that are left, where there is one for each."""
        if value.ndim == 0 or value.shape[-1] != self._members or alive.shape[0] == self._members:
            return value
        return hxp.take(value, alive, axis=-1)

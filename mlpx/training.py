"""The algorithm: shuffle, step, validate, stop.

`Run` is one fit. An epoch is a sequence of pure steps on the device; the host draws the order of the rows, hands out
batches and learning rates for many steps at once, and looks at the device once an epoch, when the sums of loss and
metrics are read. A stack trains all members side by side; a member that stops leaves the stack, so that it neither
costs nor changes any more. A single network is trained as a stack of one, without the axis.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlpx import divergence
from mlpx._typing import Array
from mlpx.backends import trees
from mlpx.backends.host import StepKeys, scatter
from mlpx.backends.host import xp as hxp
from mlpx.callbacks import Callback
from mlpx.data import Rows, Slices, ordered, slices
from mlpx.evaluation import Sample, score, summarize
from mlpx.exceptions import DivergenceError
from mlpx.history import History
from mlpx.metrics import Metric
from mlpx.optimizers import Optimizer
from mlpx.plan import Batch, Finite, State, TrainingStep, compiled
from mlpx.precision import LEAST_SCALE, Scaling
from mlpx.progress import Progress
from mlpx.schedules import Point
from mlpx.streaming import Feed

__all__ = ["Run", "Settings"]

_MOST_STEPS, _MOST_DRAWN = 256, 2**23
"""Of the steps that are handed over at once: how many, and how many random numbers from the host."""


@dataclass(frozen=True)
class Settings:
    """What `mlpx.Network.fit` was asked for, checked."""

    epochs: int
    batch_size: int
    optimizer: Optimizer
    metrics: tuple[Metric, ...]
    monitor: str
    patience: int | None
    clip_norm: float | tuple[float, ...] | None
    shuffle: bool
    shared_order: bool
    callbacks: tuple[Callback, ...]
    progress: bool


class Run:
    """One fit of a network; callbacks see it.

    Parameters
    ----------
    net : mlpx.Network
        The network; its parameters and counters change.
    settings : Settings
        What was asked for.
    train : Sample
        What is trained on.
    validation : Sample, optional
        What is validated on.

    Attributes
    ----------
    epoch, epochs : int
        Epochs that are done, and that were asked for.
    row : dict
        The numbers of the last epoch, by name.
    history : History
        Those of all epochs.
    """

    def __init__(self, net: Any, settings: Settings, train: Sample, validation: Sample | None) -> None:
        self.net, self.settings = net, settings
        self.epoch, self.epochs = 0, settings.epochs
        self.row: dict[str, Any] = {}
        self.history = History(("validation_" if validation else "") + settings.monitor)
        self._train, self._validation = train, validation
        self._stack = net.members is not None
        self._members = net.members or 1
        self._alive = hxp.arange(self._members)
        self._steps = hxp.zeros(self._members, dtype=hxp.int64)
        batches = -(-train.rows.count // settings.batch_size)
        self._steps_asked = hxp.broadcast_to(batches * settings.epochs, (self._members,))
        self._first_epoch = list(net.epochs_seen)
        self._stop_asked = False
        self._drawn: tuple[int, Array, Rows] | None = None
        self._diverged = 0
        self._prepare_step()
        self._prepare_best()

    def _prepare_step(self) -> None:
        net, settings, ops = self.net, self.settings, self.net.backend
        # copies: a plan may update the state where it lies
        moments = [ops.copy(ops.xp.zeros_like(net.vector)) for _ in settings.optimizer.moments]
        terms = 1 + sum(metric.size(net.architecture.output) for metric in settings.metrics if metric.additive)
        zero = ops.asarray(hxp.zeros((*net.vector.shape[:-1], terms)))
        scaling = Scaling.start(ops, net.vector.shape[:-1]) if net.dtype_name == "float16" else ()
        self._state = State(ops.copy(net.vector), tuple(moments), zero, scaling)
        decay, trained = net.architecture.masks()
        self._masks = (ops.asarray(decay, dtype=net.master_dtype), ops.asarray(trained, dtype=net.master_dtype))
        self._l2 = hxp.asarray(net.l2, dtype=hxp.float64)
        clip = settings.clip_norm
        self._clip = None if clip is None else hxp.asarray(clip, dtype=hxp.float64)
        self._step = TrainingStep(
            ops,
            net.architecture,
            settings.optimizer.without_rate(),
            settings.metrics,
            frozen=not bool(hxp.all(trained == 1)),
            penalized=bool(hxp.any(self._l2 > 0)),
            clipped=clip is not None,
        )
        self._scaling = hxp.zeros((2, self._members))
        self._before = self._state
        self._fold = ops.fold(self._step)
        self._feed = Feed(ops)
        self._schedule = settings.optimizer.schedule
        self._schedule_state = self._schedule.start(hxp)
        self._rate = hxp.asarray(hxp.nan)

    def _prepare_best(self) -> None:
        settings = self.settings
        higher = {metric.name: metric.higher_is_better for metric in settings.metrics}
        self._sign = -1.0 if higher.get(settings.monitor, False) else 1.0
        self._keep_best = self._validation is not None or settings.patience is not None
        self._best = self._state.parameters
        self._best_score = hxp.full(self._members, hxp.inf)
        self._best_epoch = hxp.zeros(self._members, dtype=hxp.int64)
        self._waited = hxp.zeros(self._members, dtype=hxp.int64)
        self._finished: dict[int, Array] = {}

    def stop(self) -> None:
        """End training after this epoch; for callbacks."""
        self._stop_asked = True

    def __call__(self) -> History:
        """Train, and return what happened."""
        started = time.perf_counter()
        bar = Progress(self.settings.progress, self.epochs, int(hxp.max(self._train.rows.count)))
        try:
            for callback in self.settings.callbacks:
                callback.start(self)
            self._loop(bar)
        except KeyboardInterrupt:
            self.history.stopped = "interrupted"
        except BaseException as error:
            self.history.stopped = "divergence" if isinstance(error, DivergenceError) else "error"
            raise
        finally:
            bar.close()
            self._finish()
            self.history.seconds = time.perf_counter() - started
            for callback in self.settings.callbacks:
                callback.end(self)
        return self.history

    def _loop(self, bar: Progress) -> None:
        while self.epoch < self.epochs:
            bar.epoch(self.epoch)
            for callback in self.settings.callbacks:
                callback.begin(self)
            before, steps_before = self._copied_state(), self._steps
            self._before = before
            means = self._train_epoch(bar)
            self._note_scaling()
            means = self._without_diverged(means, before, steps_before)
            if self._alive.shape[0] == 0:
                self.history.stopped = "divergence"
                return
            self.epoch += 1
            for member in self._alive.tolist():
                self.net.epochs_seen[member] += 1
            self._close_epoch(means)
            bar.report(self.row)
            for callback in self.settings.callbacks:
                self.net.vector = self._assembled(self.net.backend.copy(self._state.parameters))
                callback.epoch(self)
            if self._stop_asked:
                self.history.stopped = "callback"
                return
            self._retire()
            if self._alive.shape[0] == 0:
                self.history.stopped = "patience"
                return

    def _copied_state(self) -> State:
        """Return a copy of the state, over that from before the last epoch."""
        copy, old = self.net.backend.copy, self._before if self._before is not self._state else None
        new = trees.leaves(self._state)
        places = [None] * len(new) if old is None else trees.leaves(old)
        return trees.rebuilt(self._state, map(copy, new, places))  # type: ignore[no-any-return]

    # An epoch.

    def _train_epoch(self, bar: Progress) -> Array:
        """Make the steps of an epoch; return the means of the terms of loss and metrics by member, on the host."""
        ops = self.net.backend
        self._state = self._state._replace(terms=ops.asarray(hxp.zeros(self._state.terms.shape)))
        weight: Any = 0.0
        members = self._alive.shape[0] if self._stack else None
        for data, batches, total, steps in self._feed(self._train.data, self._runs(self._steps)):
            self._state = self._fold((data, self._masks), self._state, batches, members)
            self._steps = steps
            weight = weight + total
            bar.advance(batches.index.shape[0] * batches.index.shape[-1])
        if self.epoch + 1 < self.epochs:
            self._order(self.epoch + 1)
        terms = hxp.reshape(ops.to_numpy(self._state.terms), (self._alive.shape[0], -1))
        return terms / hxp.reshape(weight, (-1, 1))

    def _note_scaling(self) -> None:
        """Put loss scale and number of skipped steps of the members that are left into the history."""
        scaling, history = self._state.scaling, self.history
        if not scaling:
            return
        found = [hxp.reshape(self.net.backend.to_numpy(leaf), (-1,)) for leaf in (scaling.scale, scaling.skipped)]
        now = scatter(hxp.stack(found), self._alive, self._members, hxp.nan)
        self._scaling = hxp.where(hxp.isnan(now), self._scaling, now)
        scale, skipped = self._scaling[0, :].tolist(), hxp.astype(self._scaling[1, :], hxp.int64).tolist()
        history.loss_scale, history.skipped_steps = (scale, skipped) if self._stack else (scale[0], skipped[0])

    def _runs(self, steps: Array) -> Iterator[tuple[Batch, Array, Array]]:
        """Yield the batches of an epoch, many steps at once, with their weight and the step counters after them."""
        for pieces, active in self._pieces():
            counted = scatter(active, self._alive, self._members, fill=False)
            after = steps + hxp.cumulative_sum(hxp.astype(counted, hxp.int64), axis=0)
            numbers = self._numbers(after - counted, counted)
            n, size = active.shape[0], self._run_length(pieces.index)
            for start in range(0, n, size):
                part = slice(start, min(start + size, n))
                batches = self._batches(
                    pieces.select(part), numbers[part, ...], after[part] - counted[part], active[part]
                )
                yield batches, hxp.sum(pieces.total[part], axis=0), after[part][-1, :]
            steps = after[-1, :]

    def _pieces(self) -> Iterator[tuple[Slices, Array]]:
        """Yield the batches of an epoch by size, without those that nobody has, and who has weight in which."""
        settings, alive = self.settings, self._alive
        order = self._order(self.epoch)
        for pieces in slices(order, settings.batch_size, self._train.weight):
            has_weight = hxp.reshape(pieces.total > 0, (pieces.total.shape[0], -1))
            active = hxp.broadcast_to(has_weight, (has_weight.shape[0], alive.shape[0]))
            some = hxp.any(active, axis=-1)
            if hxp.all(some):
                yield pieces, active
            elif hxp.any(some):
                yield pieces.select(some), active[some]

    def _order(self, epoch: int) -> Rows:
        """Return the rows in the order of an epoch; the next one's is drawn while the device is at work."""
        if self._drawn is None or self._drawn[0] != epoch or self._drawn[1] is not self._alive:
            alive, shared = self._alive.tolist(), self.settings.shared_order
            keys = [self.net.keys[member] for member in alive]
            order = ordered(
                self._train.rows,
                [self.net.keys[0]] * len(keys) if shared else keys,
                [self._first_epoch[0 if shared else member] + epoch for member in alive],
                shuffle=self.settings.shuffle,
                shared=shared,
                stack=self._stack,
            )
            self._drawn = epoch, self._alive, order
        return self._drawn[2]

    def _run_length(self, index: Array) -> int:
        """Return how many steps are handed to the device at once: work of some tenths of a second on two cores."""
        net, members, batch_size = self.net, self._alive.shape[0], index.shape[-1]
        on_host = net.architecture.random and not net.backend.draws_in_step
        drawn = sum(net.architecture.widths) * batch_size * members if on_host else 0
        work = 6 * net.architecture.size * batch_size * members
        most = _MOST_DRAWN // drawn if drawn else _MOST_STEPS
        staged = self._feed.most_steps(self._train.data, index) or _MOST_STEPS
        return max(1, min(_MOST_STEPS, int(net.backend.flops // work), most, staged))

    def _batches(self, pieces: Slices, numbers: Array, steps: Array, active: Array) -> Batch:
        """Return the batches of a run; `steps` are the step counters before each of its steps."""
        return Batch(
            pieces.index,
            pieces.weight,
            pieces.total,
            hxp.astype(numbers, getattr(hxp, self.net.master_dtype_name)),
            self._draws(steps, pieces.index.shape[-1]),
            None if hxp.all(active) else active[:, :, None],
        )

    def _draws(self, steps: Array, batch_size: int) -> tuple[Array | None, ...]:
        """Return the random arrays of each layer for the steps of a run."""
        net, ops = self.net, self.net.backend
        if not net.architecture.random:
            return (None,) * len(net.architecture.layers)
        members = self._alive.tolist()
        counted = hxp.take(steps + hxp.asarray(net.steps_seen), self._alive, axis=1)
        who = StepKeys(members, [net.keys[member] for member in members], counted)
        drawn: tuple[Array | None, ...] = net.architecture.draw(ops, who, batch_size, net.dtype, stack=self._stack)
        return drawn

    def _numbers(self, steps: Array, counted: Array) -> Array:
        """Return the numbers of many steps for the members that are left, shape (n, C) or, by member, (n, C, S, 1).

        `steps` has the step counters before each step, `counted` says for whom it is one; both have shape (n, S).
        """
        t = steps + 1
        rate = self._schedule(Point(t, self.epoch, self._steps_asked), self._schedule_state, hxp)
        rate = hxp.broadcast_to(rate, t.shape)
        self._rate = _last(rate, counted, self._rate)
        coefficients = self.settings.optimizer.coefficients(rate, hxp.astype(t, hxp.float64), hxp)
        clip = hxp.asarray(0.0) if self._clip is None else self._clip
        numbers = hxp.stack(hxp.broadcast_arrays(rate, self._l2, clip, *coefficients)[1:], axis=1)
        if self._alive.shape[0] < self._members:
            numbers = hxp.take(numbers, self._alive, axis=2)
        shared = numbers.shape[2] == 1 or hxp.all(numbers == numbers[:, :, :1])
        return numbers[:, :, 0] if shared else numbers[..., None]

    # The end of an epoch.

    def _close_epoch(self, means: Array) -> None:
        """Write the epoch's row, note the best weights and let the schedule know."""
        net, settings = self.net, self.settings
        additive = [metric for metric in settings.metrics if metric.additive]
        row = summarize(means, additive, net.architecture.output)
        if self._validation is not None:
            held_out = score(net.backend, net.architecture, self._validation, self._state.parameters, settings.metrics)
            row.update({f"validation_{name}": value for name, value in held_out.items()})
        row["learning_rate"] = hxp.take(hxp.broadcast_to(self._rate, (self._members,)), self._alive)
        full = {name: scatter(value, self._alive, self._members, hxp.nan) for name, value in row.items()}
        better = self._note_best(self._sign * full[self.history.monitor])
        self._schedule_state = self._schedule.observe(self._schedule_state, better if self._stack else better[0], hxp)
        self.row = {name: value.tolist() if self._stack else float(value[0]) for name, value in full.items()}
        self.history.append(self.row)

    def _note_best(self, watched: Array) -> Array:
        """Keep the weights of the members whose score is better than ever; return which those are."""
        better = watched < self._best_score
        best = self._best
        if self._keep_best:
            best = self._choose(better, self.net.backend.copy(self._state.parameters), best)
        # in one go, so that Ctrl-C finds either all of it or nothing
        self._best, self._best_score, self._best_epoch, self._waited = (
            best,
            hxp.where(better, watched, self._best_score),
            hxp.where(better, self.epoch, self._best_epoch),
            hxp.where(better, 0, self._waited + 1),
        )
        return better

    def _choose(self, condition: Array, yes: Array, no: Array) -> Array:
        """Return the parameters `yes` of the members for which the condition holds, `no` of the others."""
        own = hxp.take(condition, self._alive)
        if hxp.all(own):
            return yes
        if not hxp.any(own):
            return no
        return self.net.backend.xp.where(self.net.backend.asarray(own[:, None]), yes, no)

    def _final(self, current: Array) -> Array:
        """Return the parameters that stay: those of the best epoch, where best epochs count and there was one."""
        return self._choose(self._best_epoch > 0, self._best, current) if self._keep_best else current

    def _retire(self) -> None:
        """Take the members whose patience is over out of the stack."""
        if self.settings.patience is not None:
            staying = hxp.take(self._waited, self._alive) < self.settings.patience
            self._leave(staying, self._final(self._state.parameters))

    def _leave(self, staying: Array, final: Array) -> None:
        """Drop members; their final parameters are kept."""
        if hxp.all(staying):
            return
        finished = dict(self._finished)
        for position in hxp.nonzero(~staying)[0].tolist():
            finished[int(self._alive[position])] = final[position, ...] if self._stack else final
        kept = hxp.nonzero(staying)[0]
        state, best, train, held_out = self._state, self._best, self._train, self._validation
        if kept.shape[0]:
            ops = self.net.backend
            index = ops.asarray(kept)
            state = trees.mapped(lambda leaf: ops.xp.take(leaf, index, axis=0), state)
            best = ops.xp.take(best, index, axis=0)
            train = train.select(ops, kept)
            held_out = None if held_out is None else held_out.select(ops, kept)
        # in one go, so that Ctrl-C finds either all of it or nothing
        self._finished, self._alive = finished, hxp.take(self._alive, kept)
        self._state, self._best, self._train, self._validation = state, best, train, held_out

    # The end of training.

    def _finish(self) -> None:
        """Put the final weights and the counters into the network."""
        net = self.net
        for member, steps in enumerate(self._steps.tolist()):
            net.steps_seen[member] += steps
        net.vector = self._assembled(self._final(self._last_finite()))
        best, score = self._best_epoch.tolist(), hxp.where(self._best_epoch > 0, self._sign * self._best_score, hxp.nan)
        self.history.best_epoch = best if self._stack else best[0]
        self.history.best_score = score.tolist() if self._stack else float(score[0])

    def _last_finite(self) -> Array:
        """Return the present parameters, or those from before the epoch where Ctrl-C came upon infinite ones."""
        now, before = self._state.parameters, self._before.parameters
        if self._alive.shape[0] == 0 or now.shape != before.shape:
            return now
        return self._choose(scatter(self._are_finite(now), self._alive, self._members), now, before)

    def _are_finite(self, *vectors: Array) -> Array:
        """Say for each member that is left whether vectors are finite, on the host."""
        ops = self.net.backend
        return hxp.reshape(ops.to_numpy(compiled(Finite(ops))(vectors)), (-1,))

    def _assembled(self, current: Array) -> Array:
        """Return the parameters of all members: those that left, and `current` for the others."""
        if not self._finished:
            return current
        if not self._stack:
            return self._finished[0]
        rows = self._finished | {member: current[i, ...] for i, member in enumerate(self._alive.tolist())}
        return self.net.backend.xp.stack([rows[member] for member in range(self._members)])

    # What is not finite.

    def _without_diverged(self, means: Array, before: State, steps_before: Array) -> Array:
        """Take members whose loss or weights are not finite out of the stack; raise where none is left."""
        finite = hxp.isfinite(means[:, 0]) & self._are_finite(self._state.parameters, *self._state.moments)
        if self._state.scaling:
            finite = finite & (hxp.take(self._scaling[0, :], self._alive) >= LEAST_SCALE)
        if hxp.all(finite):
            return means
        position = int(hxp.nonzero(~finite)[0][0])
        runs = (
            (data, trees.mapped(self.net.backend.asarray, run))
            for data, run, *_ in self._feed(self._train.data, self._runs(steps_before))
        )
        batches = ((data, trees.entry(run, i)) for data, run in runs for i in range(trees.length(run)))
        where = divergence.find(self._step, self._masks, before, batches, position if self._stack else None)
        message = self._describe(where, int(self._alive[position]), int(hxp.sum(~finite)))
        self._diverged += int(hxp.sum(~finite))
        self._leave(finite, self._final(before.parameters))
        if self._diverged == self._members:
            raise DivergenceError(
                message,
                epoch=self.epoch + 1,
                step=where.step,
                layer=where.layer,
                quantity=where.quantity,
                history=self.history,
            )
        warnings.warn(message, RuntimeWarning, stacklevel=5)
        return hxp.take(means, hxp.nonzero(finite)[0], axis=0)

    def _describe(self, where: divergence.Place, member: int, count: int) -> str:
        whose = f" of member {member}" if self._stack else ""
        others = f" ({count} members in all)" if count > 1 else ""
        best = self._keep_best and bool(self._best_epoch[member] > 0)
        kept = "The weights of the best epoch are kept." if best else "The weights from before this epoch are kept."
        half = self.net.dtype_name == "float16"
        scaled = " in float16, even with the least loss scale" if where.scaled else ""
        remedy = ', or take dtype="bfloat16"' if half else ""
        return (
            f"Training{whose}{others} diverged in epoch {self.epoch + 1}, step {where.step}: the {where.quantity} of "
            f"{where.layer} is not finite{scaled}. Lower the learning rate, bound the gradient with `clip_norm`, or "
            f"scale the features{remedy}. {kept}"
        )


def _last(values: Array, counted: Array, old: Array) -> Array:
    """Return the last value of each column that counts, the old one where none does; shapes (n, S)."""
    if hxp.all(counted[-1, :]):
        return values[-1, :]
    position = counted.shape[0] - 1 - hxp.argmax(hxp.flip(counted, axis=0), axis=0)
    last = hxp.take_along_axis(values, position[None, :], axis=0)[0, :]
    return hxp.where(hxp.any(counted, axis=0), last, old)

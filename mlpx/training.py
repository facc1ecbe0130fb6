"""The algorithm: shuffle, step, validate, stop.

`Run` is one fit. An epoch is a sequence of pure steps on the device; the host draws the order of the rows, hands out
batches and learning rates for many steps at once, and looks at the device once an epoch, when the sums of loss and
metrics are read. A stack trains all members side by side; a member that stops leaves the stack, so that it neither
costs nor changes any more. A single network is trained as a stack of one, without the axis.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from mlpx import divergence
from mlpx._typing import Array
from mlpx.backends import trees
from mlpx.backends.host import scatter
from mlpx.backends.host import xp as hxp
from mlpx.batches import Batches, Order
from mlpx.callbacks import Callback
from mlpx.data import Rows, Slices, slices
from mlpx.evaluation import Sample, score, summarize
from mlpx.exceptions import DivergenceError, SourceError
from mlpx.history import History
from mlpx.metrics import Metric
from mlpx.optimizers import Optimizer
from mlpx.plan import Batch, Data, Finite, State, TrainingStep, compiled
from mlpx.precision import LEAST_SCALE, Scaling
from mlpx.progress import Progress
from mlpx.stopping import Standing, Stopping
from mlpx.streaming import Feed, fetch

__all__ = ["Carried", "Run", "Settings"]


@dataclass(frozen=True)
class Settings:
    """What is asked of a fit, checked.

    Parameters
    ----------
    epochs, batch_size, optimizer
        As in `mlpx.Network.fit`.
    order : Order
        In which the rows are taken.
    metrics, held_out_metrics : tuple of Metric
        What is reported beside the loss, of the training rows and of the validation rows.
    monitor : str
        The column of the history that is watched.
    stopping : Stopping
        When a member stops, by what is watched.
    keep_best : bool
        Whether the weights of the best epoch stay in the end, instead of the last.
    clip_norm : float or tuple of float, optional
        Bound on the norm of the gradient.
    callbacks : tuple of Callback
        Called while training goes on.
    progress : bool
        Whether to show a bar.
    l2_by_batch, by_row : bool
        As in `mlpx.batches.Batches`.
    finite : bool
        Whether members leave, and training ends, where loss or weights are not finite.
    scorer : callable, optional
        ``scorer(run)`` gives more numbers of an epoch: by name an array with one number a member, of which more is
        better.
    """

    epochs: int
    batch_size: int
    optimizer: Optimizer
    order: Order
    metrics: tuple[Metric, ...] = ()
    held_out_metrics: tuple[Metric, ...] = ()
    monitor: str = "loss"
    stopping: Stopping = field(default_factory=Stopping)
    keep_best: bool = False
    clip_norm: float | tuple[float, ...] | None = None
    callbacks: tuple[Callback, ...] = ()
    progress: bool = False
    l2_by_batch: bool = False
    by_row: bool = False
    finite: bool = True
    scorer: Callable[[Run], dict[str, Array]] | None = None


class Carried(NamedTuple):
    """What a later fit goes on from, where it shall go on as if it were the same.

    Attributes
    ----------
    moments : tuple of array of shape (..., P)
        What the optimizer remembers; empty: zeros.
    steps : integer array of shape (S,)
        The steps that were made.
    best_score : array of shape (S,)
        The best score so far, less being better.
    waited : integer array of shape (S,)
        Epochs since the last improvement.
    schedule : Any
        What the learning-rate schedule remembers; None: it starts anew.
    """

    moments: tuple[Array, ...]
    steps: Array
    best_score: Array
    waited: Array
    schedule: Any = None

    @classmethod
    def start(cls, members: int) -> Carried:
        """Return what a first fit goes on from."""
        zeros = hxp.zeros(members, dtype=hxp.int64)
        return cls((), zeros, hxp.full(members, hxp.inf), zeros)


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
    carried : Carried, optional
        What to go on from; by default a fresh start.

    Attributes
    ----------
    epoch, epochs : int
        Epochs that are done, and that were asked for.
    row : dict
        The numbers of the last epoch, by name.
    history : History
        Those of all epochs.
    """

    def __init__(
        self, net: Any, settings: Settings, train: Sample, validation: Sample | None, carried: Carried | None = None
    ) -> None:
        self.net, self.settings = net, settings
        self.epoch, self.epochs = 0, settings.epochs
        self.row: dict[str, Any] = {}
        self.history = History(settings.monitor)
        self._train, self._validation = train, validation
        self._stack = net.members is not None
        self._members = net.members or 1
        self._alive = hxp.arange(self._members)
        self._stop_asked = False
        self._diverged = 0
        self._prepare_step(carried or Carried.start(self._members))

    def _prepare_step(self, carried: Carried) -> None:
        net, settings, ops = self.net, self.settings, self.net.backend
        # copies: a plan may update the state where it lies
        moments = carried.moments or [ops.xp.zeros_like(net.vector) for _ in settings.optimizer.moments]
        self._additive = tuple(metric for metric in settings.metrics if metric.additive)
        terms = 1 + sum(metric.size(net.architecture.output) for metric in self._additive)
        self._zero = ops.asarray(hxp.zeros((*net.vector.shape[:-1], terms)))
        scaling = Scaling.start(ops, net.vector.shape[:-1]) if net.dtype_name == "float16" else ()
        self._state = State(ops.copy(net.vector), tuple(map(ops.copy, moments)), ops.copy(self._zero), scaling)
        decay, trained = net.architecture.masks()
        self._masks = (ops.asarray(decay, dtype=net.master_dtype), ops.asarray(trained, dtype=net.master_dtype))
        clip = None if settings.clip_norm is None else hxp.asarray(settings.clip_norm, dtype=hxp.float64)
        self._step = TrainingStep(
            ops,
            net.architecture,
            settings.optimizer.without_rate(),
            settings.metrics,
            frozen=not bool(hxp.all(trained == 1)),
            penalized=bool(hxp.any(hxp.asarray(net.l2) > 0)),
            clipped=clip is not None,
        )
        self._batches = Batches(
            net,
            settings.optimizer,
            settings.batch_size,
            settings.order,
            clip,
            settings.epochs,
            self._train.rows.count,
            l2_by_batch=settings.l2_by_batch,
            by_row=settings.by_row,
        )
        self._scaling = hxp.zeros((2, self._members))
        self._before = self._state
        self._fold = ops.fold(self._step, int(hxp.max(self._batches.steps_asked)))
        self._fixed = self._train.data, self._masks
        self._feed = Feed(ops)
        self._schedule = settings.optimizer.schedule
        self._schedule_state = self._schedule.start(hxp) if carried.schedule is None else carried.schedule
        self._steps = carried.steps
        metrics = (*settings.metrics, *settings.held_out_metrics)
        higher = {metric.name: metric.higher_is_better for metric in metrics}
        watched = settings.monitor.removeprefix("validation_")
        self._sign = -1.0 if higher.get(watched, watched != "loss") else 1.0
        self._best = self._state.parameters
        self._standing = Standing(carried.best_score, hxp.zeros(self._members, dtype=hxp.int64), carried.waited)
        self._finished: dict[int, Array] = {}

    @property
    def left(self) -> list[int]:
        """Numbers of the members that are left in the stack."""
        return self._alive.tolist()  # type: ignore[no-any-return]

    @property
    def step(self) -> int:
        """Number of the steps that were made, by the member that made most."""
        return int(hxp.max(self._steps))

    def first_rows(self, size: int) -> Slices:
        """Return the first training rows in the order of the first epoch, before which a callback may ask for them."""
        index, count = self._batches.order(self._train.rows, self._alive, self.epoch)
        some = Rows(hxp.asarray(index[..., :size], copy=True), hxp.clip(count, 0, size))
        return next(slices(some, min(size, index.shape[-1]), self._train.weight)).select(0)

    def fetch(self, rows: Slices) -> tuple[Array, Array, Array | None]:
        """Return features, targets and weights of rows on the device, for the members that are left."""
        index, weight = (
            hxp.take(array, self._alive, axis=0) if array is not None and array.ndim == 2 else array
            for array in (rows.index, rows.weight)
        )
        ops = self.net.backend
        x, y = fetch(ops, self._train.data, index)
        return x, y, None if weight is None else ops.asarray(weight)

    def stop(self) -> None:
        """End training after this epoch; for callbacks."""
        self._stop_asked = True

    def carried(self) -> Carried:
        """Return what a later fit may go on from; for a run from which no member has left."""
        steps = hxp.broadcast_to(self._steps, (self._members,))
        return Carried(self._state.moments, steps, self._standing.best, self._standing.waited, self._schedule_state)

    def __call__(self) -> History:
        """Train, and return what happened."""
        started = time.perf_counter()
        bar = Progress(self.settings.progress, self.epochs, self._train.samples)
        first = self._steps
        try:
            for callback in self.settings.callbacks:
                callback.start(self)
            self._loop(bar)
        except KeyboardInterrupt:
            self.history.stopped = "interrupted"
        except BaseException as error:
            self.history.stopped = "divergence" if isinstance(error, DivergenceError) else "error"
            if isinstance(error, SourceError):
                error.history = self.history
            raise
        finally:
            bar.close()
            self._finish(first)
            self.history.seconds = time.perf_counter() - started
            for callback in self.settings.callbacks:
                callback.end(self)
        return self.history

    def _loop(self, bar: Progress) -> None:
        while self.epoch < self.epochs:
            bar.epoch(self.epoch)
            for callback in self.settings.callbacks:
                callback.begin(self)
            if self.settings.finite:
                self._before = self._copied_state()
            before, steps_before = self._before, self._steps
            means = self._train_epoch(bar)
            self._note_scaling()
            if self.settings.finite:
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
                self._show_weights()
                callback.epoch(self)
            if self._stop_asked:
                self.history.stopped = "callback"
                return
            self._retire()
            if self._alive.shape[0] == 0:
                self.history.stopped = "patience"
                return

    def _show_weights(self) -> None:
        """Give the network the present weights."""
        self.net.vector = self._assembled(self.net.backend.copy(self._state.parameters))

    def _copied_state(self) -> State:
        """Return a copy of the state, over that from before the last epoch."""
        copy, old = self.net.backend.copy, self._before if self._before is not self._state else None
        new = trees.leaves(self._state)
        places = [None] * len(new) if old is None else trees.leaves(old)
        return trees.rebuilt(self._state, map(copy, new, places))  # type: ignore[no-any-return]

    # An epoch.

    def _train_epoch(self, bar: Progress) -> Array:
        """Make the steps of an epoch; return the means of the terms of loss and metrics by member, on the host."""
        ops, alive = self.net.backend, self._alive
        terms = ops.copy(self._zero, self._state.terms)
        if terms is not self._state.terms:
            self._state = self._state._replace(terms=terms)
        weight: Any = 0.0
        members = alive.shape[0] if self._stack else None
        for data, batches, total, steps in self._runs(self._steps):
            if data is not self._fixed[0]:
                self._fixed = data, self._masks
            self._state = self._fold(self._fixed, self._state, batches, members)
            self._steps = self._counted(steps)
            weight = weight + total
            bar.advance(batches.index.shape[0] * batches.index.shape[-1])
        if self.epoch + 1 < self.epochs:
            self._batches.draw_ahead(self._train.rows, alive, self.epoch + 1)
        sums = hxp.reshape(ops.to_numpy(self._state.terms), (alive.shape[0], -1))
        return sums / hxp.reshape(weight, (-1, 1))

    def _runs(self, steps: Array) -> Iterator[tuple[Data, Batch, Array, Array]]:
        """Yield the runs of the epoch under way with their data, after so many steps of all members."""
        if steps.shape[0] == self._members:
            steps = hxp.take(steps, self._alive)
        for sample in self._train.windows(self.epoch):
            staged = partial(self._feed.most_steps, sample.data)
            runs = self._batches(sample, self._alive, self.epoch, steps, self._schedule_state, staged)
            for data, batches, total, after in self._feed(sample.data, runs):
                yield data, batches, total, after
                steps = after

    def _counted(self, steps: Array) -> Array:
        """Return the step counters of all members from those of the members that are left."""
        if self._alive.shape[0] == self._members:
            return steps
        counted = hxp.asarray(hxp.broadcast_to(self._steps, (self._members,)), copy=True)
        counted[self._alive] = steps
        return counted

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

    # The end of an epoch.

    def _close_epoch(self, means: Array) -> None:
        """Write the epoch's row, note the best weights and let the schedule know."""
        net, settings = self.net, self.settings
        row = {
            name: self._by_member(value)
            for name, value in summarize(means, self._additive, net.architecture.output).items()
        }
        if self._validation is not None:
            held_out = score(
                net.backend, net.architecture, self._validation, self._state.parameters, settings.held_out_metrics
            )
            row.update({f"validation_{name}": self._by_member(value) for name, value in held_out.items()})
        if settings.scorer is not None:
            self._show_weights()
            row.update(settings.scorer(self))
        row["learning_rate"] = self._rates()
        improved = self._note_best(self._sign * row[settings.monitor])
        self._schedule_state = self._schedule.observe(
            self._schedule_state, improved if self._stack else improved[0], hxp
        )
        self.row = {name: value.tolist() if self._stack else float(value[0]) for name, value in row.items()}
        self.history.append(self.row)

    def _by_member(self, values: Array) -> Array:
        """Return the numbers of the members that are left as those of all, NaN for the others."""
        if self._alive.shape[0] == self._members:
            return values
        return scatter(values, self._alive, self._members, hxp.nan)

    def _rates(self) -> Array:
        """Return the last learning rate of each member that is left, NaN for the others."""
        rate = self._batches.rate
        if rate.shape != (self._members,):
            rate = hxp.full(self._members, float(hxp.reshape(rate, (-1,))[0]))
        return rate if self._alive.shape[0] == self._members else self._by_member(hxp.take(rate, self._alive))

    def _note_best(self, watched: Array) -> Array:
        """Keep the weights of the members whose score is better than ever; return whose is an improvement."""
        present = True if self._alive.shape[0] == self._members else self._by_member(self._alive) >= 0
        standing = self._standing.after(watched, self.epoch, self.settings.stopping, hxp.asarray(present))
        best = self._best
        if self.settings.keep_best:
            better = standing.epoch == self.epoch
            best = self._choose(better, self.net.backend.copy(self._state.parameters), best)
        # in one go, so that Ctrl-C finds either all of it or nothing
        self._best, self._standing = best, standing
        return standing.waited == 0

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
        return self._choose(self._standing.epoch > 0, self._best, current) if self.settings.keep_best else current

    def _retire(self) -> None:
        """Take the members that are to stop out of the stack."""
        over = self.settings.stopping.over(self._standing.waited, self.epoch)
        over = over | self._schedule.exhausted(self._schedule_state)
        if hxp.any(over):
            self._leave(~hxp.take(over, self._alive), self._final(self._state.parameters))

    def _leave(self, staying: Array, final: Array) -> None:
        """Drop members; their final parameters are kept."""
        if hxp.all(staying):
            return
        finished = dict(self._finished)
        for position in hxp.nonzero(~staying)[0].tolist():
            finished[int(self._alive[position])] = final[position, ...] if self._stack else final
        kept = hxp.nonzero(staying)[0]
        state, best, zero = self._state, self._best, self._zero
        train, held_out = self._train, self._validation
        if kept.shape[0]:
            ops = self.net.backend
            index = ops.asarray(kept)
            state = trees.mapped(lambda leaf: ops.xp.take(leaf, index, axis=0), state)
            best = ops.xp.take(best, index, axis=0)
            train = train.select(ops, kept)
            held_out = None if held_out is None else held_out.select(ops, kept)
            zero = ops.xp.take(zero, index, axis=0)
        # in one go, so that Ctrl-C finds either all of it or nothing
        self._finished, self._alive = finished, hxp.take(self._alive, kept)
        self._state, self._best, self._zero = state, best, zero
        self._train, self._validation = train, held_out

    # The end of training.

    def _finish(self, first: Array) -> None:
        """Put the final weights and the counters into the network; `first` are the step counters at the start."""
        net = self.net
        for member, steps in enumerate(hxp.broadcast_to(self._steps - first, (self._members,)).tolist()):
            net.steps_seen[member] += steps
        net.vector = self._assembled(self._final(self._last_finite()))
        epoch = self._standing.epoch
        best, score = epoch.tolist(), hxp.where(epoch > 0, self._sign * self._standing.best, hxp.nan)
        self.history.best_epoch = best if self._stack else best[0]
        self.history.best_score = score.tolist() if self._stack else float(score[0])

    def _last_finite(self) -> Array:
        """Return the present parameters, or those from before the epoch where Ctrl-C came upon infinite ones."""
        now, before = self._state.parameters, self._before.parameters
        if not self.settings.finite or self._alive.shape[0] == 0 or now.shape != before.shape:
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
        runs = ((data, trees.mapped(self.net.backend.asarray, run)) for data, run, *_ in self._runs(steps_before))
        batches = ((data, trees.entry(run, i)) for data, run in runs for i in range(trees.length(run)))
        where = divergence.find(self._step, self._masks, before, batches, position if self._stack else None)
        member, count = int(self._alive[position]), int(hxp.sum(~finite))
        message = where.message(
            self.epoch + 1,
            half=self.net.dtype_name == "float16",
            best=self.settings.keep_best and bool(self._standing.epoch[member] > 0),
            member=member if self._stack else None,
            count=count,
        )
        self._diverged += count
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

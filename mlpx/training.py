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
from functools import cached_property, partial, reduce
from operator import add
from typing import Any

from mlpx import resuming
from mlpx._typing import Array
from mlpx.backends import trees
from mlpx.backends.host import scatter
from mlpx.backends.host import xp as hxp
from mlpx.batches import Batches
from mlpx.batches import Run as Steps
from mlpx.callbacks import Callback
from mlpx.data import Rows, Slices, slices
from mlpx.evaluation import Sample, score, summarize
from mlpx.exceptions import DivergenceError, SourceError
from mlpx.history import History
from mlpx.plan import Batch, Data, State, TrainingStep
from mlpx.precision import LEAST_SCALE, Scaling
from mlpx.progress import Progress
from mlpx.settings import Carried, Settings
from mlpx.snapshots import Snapshot
from mlpx.stopping import Standing
from mlpx.streaming import Feed, fetch
from mlpx.watching import Watch, diagnosed

__all__ = ["Carried", "Run", "Settings"]


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
    averaged : array of the shape of `parameters`, optional
        Where a callback sets it, it is validated, and kept in the end, in place of `parameters`.
    """

    def __init__(
        self, net: Any, settings: Settings, train: Sample, validation: Sample | None, carried: Carried | None = None
    ) -> None:
        self.net, self.settings = net, settings
        self.epoch, self.epochs = 0, settings.epochs
        self.row: dict[str, Any] = {}
        self.history = History(settings.monitor)
        self.averaged: Array | None = None
        self.callbacks = tuple(sorted(settings.callbacks, key=lambda callback: callback.last))
        self._listeners = [c for c in self.callbacks if type(c).batch is not Callback.batch]
        self._train, self._validation = train, validation
        self._stack = net.members is not None
        self._members = net.members or 1
        self._alive = hxp.arange(self._members)
        self._stop_asked = self._may_go_on = False
        self._resumed: Snapshot | None = None
        self._clock = 0.0
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
        self._watch = Watch(ops, self._state, on=settings.finite)
        self._done = self._made_before = 0
        self._weight: Any = 0.0
        self._fold = ops.fold(self._step, int(hxp.max(self._batches.steps_asked)))
        self._fixed = self._train.data, self._masks
        self._feed = Feed(ops)
        self._schedule = settings.optimizer.schedule
        self._schedule_state = self._schedule.start(hxp) if carried.schedule is None else carried.schedule
        self._steps = self._epoch_steps = carried.steps
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

    @property
    def parameters(self) -> Array:
        """The present parameters of the members that are left, which the next step may write over."""
        return self._state.parameters

    @property
    def samples(self) -> int | None:
        """Training rows of an epoch, of the member that has most; None where a source does not know."""
        return self._train.samples

    @property
    def steps_asked(self) -> int | None:
        """Steps of all epochs that were asked for; None where a source does not know its rows."""
        return None if self.samples is None else int(hxp.max(self._batches.steps_asked))

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

    def stop(self, *, again: bool = False) -> None:
        """End training after this epoch, or after this batch where `Callback.batch` asks for it; for callbacks.

        Parameters
        ----------
        again : bool
            Whether training goes on where it is resumed from a checkpoint.
        """
        self._stop_asked, self._may_go_on = True, again and (self._may_go_on or not self._stop_asked)

    def carried(self) -> Carried:
        """Return what a later fit may go on from; for a run from which no member has left."""
        steps = hxp.broadcast_to(self._steps, (self._members,))
        return Carried(self._state.moments, steps, self._standing.best, self._standing.waited, self._schedule_state)

    @property
    def seconds(self) -> float:
        """How long training has taken, with that before an interruption."""
        return self.history.seconds + time.perf_counter() - self._clock

    def __call__(self) -> History:
        """Train, and return what happened."""
        self._clock = time.perf_counter()
        bar = Progress(self.settings.progress, self.epochs, self.samples)
        before, first = self.net.vector, self._steps
        begun, failed = False, None
        try:
            self._start(bar)
            begun = True
            self._loop(bar)
        except KeyboardInterrupt:
            self.history.stopped = "interrupted"
        except BaseException as error:
            failed = error
            self.history.stopped = "divergence" if isinstance(error, DivergenceError) else "error"
            if isinstance(error, SourceError):
                error.history = self.history
            raise
        finally:
            bar.close()
            self._finish(first)
            self.history.seconds, self._clock = self.seconds, time.perf_counter()
            self._end(failed)
            if not begun:  # what a callback kept of an earlier run does not count
                self.net.vector = before
        return self.history

    def _start(self, bar: Progress) -> None:
        """Tell all callbacks, and go on from a snapshot where one of them found it."""
        for callback in self.callbacks:
            callback.start(self)
        if self._resumed is not None:
            resuming.put_back(self, self._resumed)
            bar.advance(self.epoch * (self.samples or 0))

    def _end(self, failed: BaseException | None) -> None:
        """Tell all callbacks, also where one of them raises; what ended training comes before that."""
        errors = []
        for callback in self.callbacks:
            try:
                callback.end(self)
            except BaseException as error:
                errors.append(error)
        if not errors:
            return
        if failed is None:
            raise errors[0]
        failed.add_note(f"A callback failed at the end too, {type(errors[0]).__name__}: {errors[0]}")

    def _loop(self, bar: Progress) -> None:
        if not self._goes_on():
            return
        while self.epoch < self.epochs:
            bar.epoch(self.epoch)
            for callback in self.callbacks:
                callback.begin(self)
            means = self._train_epoch(bar)
            self._note_scaling()
            if self.settings.finite:
                means = self._without_diverged(means)
            if self._alive.shape[0] == 0:
                self.history.stopped = "divergence"
                return
            if not self._done:
                self._complete_epoch(means, bar)
                self._retire()
            if not self._goes_on():
                return

    def _goes_on(self) -> bool:
        """Say whether members are left; a run that is resumed after its end has none, or was stopped for good."""
        if self._stop_asked:
            self.history.stopped = "callback"
        elif self._alive.shape[0] == 0:
            self.history.stopped = "divergence" if self._diverged == self._members else "patience"
        return self._alive.shape[0] > 0 and not self._stop_asked

    def _complete_epoch(self, means: Array, bar: Progress) -> None:
        """Count the epoch, write its row, and tell callbacks."""
        self.epoch += 1
        for member in self._alive.tolist():
            self.net.epochs_seen[member] += 1
        self._close_epoch(means)
        bar.report(self.row)
        for callback in self.callbacks:
            self._show_weights()
            callback.epoch(self)

    def _show_weights(self) -> None:
        """Give the network the present weights."""
        self.net.vector = self._assembled(self.net.backend.copy(self._evaluated))

    @property
    def _evaluated(self) -> Array:
        """The parameters that are validated and kept: the averaged ones, where there are any."""
        return self._state.parameters if self.averaged is None else self.averaged

    # An epoch.

    def _train_epoch(self, bar: Progress) -> Array:
        """Make the steps of an epoch; return the means of the terms of loss and metrics by member, on the host.

        `_done` is 0 after a whole epoch, else the number of its batches that were made.
        """
        ops, alive = self.net.backend, self._alive
        if not self._done:
            self._begin_sums()
            if self.settings.finite:
                self._watch.set_mark(self._state, 0)
        members = alive.shape[0] if self._stack else None
        whole = True
        for data, batches, totals, steps in self._runs(self._done):
            if data is not self._fixed[0]:
                self._fixed = data, self._masks
            self._state = self._fold(self._fixed, self._state, batches, members)
            self._steps = self._counted(steps)
            self._weight = _added(self._weight, totals)
            self._done += batches.index.shape[0]
            bar.advance(batches.index.shape[0] * batches.index.shape[-1])
            whole = self._goes_through()
            if not whole:
                break
        if whole:
            self._made_before, self._done = self._made_before + self._done, 0
            if self.epoch + 1 < self.epochs:
                self._batches.draw_ahead(self._train.rows, alive, self.epoch + 1)
        sums = hxp.reshape(ops.to_numpy(self._state.terms), (alive.shape[0], -1))
        return sums / hxp.reshape(hxp.asarray(self._weight), (-1, 1))

    def _begin_sums(self) -> None:
        terms = self.net.backend.copy(self._zero, self._state.terms)
        if terms is not self._state.terms:
            self._state = self._state._replace(terms=terms)
        self._weight, self._epoch_steps = 0.0, self._steps

    def _goes_through(self) -> bool:
        """Look at the sums where it is time, tell callbacks, and say whether the epoch goes on."""
        if self._watch.is_time(self._done) and not self._look():
            return False
        made = self._made_before + self._done
        for callback in self._listeners:
            if callback.every is None or made % callback.every == 0:
                callback.batch(self)
        return not self._stop_asked

    def _look(self) -> bool:
        """Mark the present state where all is finite; say whether any member still is.

        Where only some are, training goes on to the end of the epoch, when they leave.
        """
        return bool(hxp.any(self._watch.look(self._state, self._done)))

    def _runs(self, done: int) -> Iterator[tuple[Data, Batch, Array, Array]]:
        """Yield the runs of the epoch under way with their data, without so many of its batches."""
        for sample, runs in self._windows(done):
            yield from self._feed(sample.data, runs)

    def _windows(self, done: int, most: int | None = None) -> Iterator[tuple[Sample, Iterator[Steps]]]:
        """Yield what is trained on one after the other, each with its runs; these are of at most so many batches."""
        steps = self._epoch_steps
        self._batches.begin(hxp.take(steps, self._alive) if steps.shape[0] == self._members else steps)
        for sample in self._train.windows(self.epoch):
            allowed = partial(self._most, sample.data) if most is None else lambda *_: most
            yield sample, self._batches(sample, self._alive, self.epoch, self._schedule_state, allowed, done)

    def _most(self, data: Data, index: Array, position: int) -> int | None:
        """Return how many batches may be handed over at once from a position in the epoch on."""
        made = self._made_before + position
        found = [c.every - made % c.every for c in self._listeners if c.every is not None]
        if self.settings.finite:
            found.append(self._watch.steps_left(position))
        staged = self._feed.most_steps(data, index)
        return min(found if staged is None else [*found, staged], default=None)

    def _counted(self, steps: Array) -> Array:
        """Return the step counters of all members from those of the members that are left."""
        if self._alive.shape[0] == self._members:
            return steps
        counted = hxp.asarray(hxp.broadcast_to(self._steps, (self._members,)), copy=True)
        counted[self._alive] = steps
        return counted

    def _note_scaling(self) -> None:
        """Note loss scale and number of skipped steps of the members that are left."""
        scaling = self._state.scaling
        if not scaling:
            return
        found = [hxp.reshape(self.net.backend.to_numpy(leaf), (-1,)) for leaf in (scaling.scale, scaling.skipped)]
        now = scatter(hxp.stack(found), self._alive, self._members, hxp.nan)
        self._scaling = hxp.where(hxp.isnan(now), self._scaling, now)
        self._report_scaling()

    def _report_scaling(self) -> None:
        """Put loss scale and number of skipped steps into the history."""
        scale, skipped = self._scaling[0, :].tolist(), hxp.astype(self._scaling[1, :], hxp.int64).tolist()
        self.history.loss_scale, self.history.skipped_steps = (
            (scale, skipped) if self._stack else (scale[0], skipped[0])
        )

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
                net.backend, net.architecture, self._validation, self._evaluated, settings.held_out_metrics
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
            best = self._choose(better, self.net.backend.copy(self._evaluated), best)
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
            self._leave(~hxp.take(over, self._alive), self._final(self._evaluated))

    def _leave(self, staying: Array, final: Array) -> None:
        """Drop members; their final parameters are kept."""
        if hxp.all(staying):
            return
        finished = dict(self._finished)
        for position in hxp.nonzero(~staying)[0].tolist():
            finished[int(self._alive[position])] = final[position, ...] if self._stack else final
        # in one go, so that Ctrl-C finds either all of it or nothing
        self._finished = finished
        self._keep(hxp.nonzero(staying)[0])

    def _keep(self, kept: Array) -> None:
        """Drop all members but those at some positions."""
        state, best, zero, averaged = self._state, self._best, self._zero, self.averaged
        train, held_out, weight = self._train, self._validation, self._weight
        if 0 < kept.shape[0] < self._alive.shape[0]:
            ops = self.net.backend
            index = ops.asarray(kept)
            state = trees.mapped(lambda leaf: ops.xp.take(leaf, index, axis=0), state)
            best = ops.xp.take(best, index, axis=0)
            train = train.select(ops, kept)
            held_out = None if held_out is None else held_out.select(ops, kept)
            zero = ops.xp.take(zero, index, axis=0)
            averaged = None if averaged is None else ops.xp.take(averaged, index, axis=0)
            weight = hxp.take(weight, kept) if hxp.asarray(weight).ndim else weight
        # in one go, so that Ctrl-C finds either all of it or nothing
        self._alive = hxp.take(self._alive, kept)
        self._state, self._best, self._zero, self.averaged = state, best, zero, averaged
        self._train, self._validation, self._weight = train, held_out, weight

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
        now, before = self._evaluated, self._watch.mark.state.parameters
        if not self.settings.finite or self._alive.shape[0] == 0 or now.shape != before.shape:
            return now
        return self._choose(scatter(self._watch.finite(now), self._alive, self._members), now, before)

    def _assembled(self, current: Array) -> Array:
        """Return the parameters of all members: those that left, and `current` for the others."""
        if not self._finished:
            return current
        if not self._stack:
            return self._finished[0]
        rows = self._finished | {member: current[i, ...] for i, member in enumerate(self._alive.tolist())}
        return self.net.backend.xp.stack([rows[member] for member in range(self._members)])

    # Going on after an interruption.

    def snapshot(self) -> Snapshot | None:
        """Return all that is needed to go on from here; None where some number is no longer finite.

        Returns
        -------
        Snapshot or None
            The state between two steps; to be asked for in a callback that comes `last`.
        """
        return resuming.taken(self) if self._is_sound() else None

    def _is_sound(self) -> bool:
        """Say whether the numbers of all members that are left are finite."""
        if not self.settings.finite or self._alive.shape[0] == 0:
            return True
        return self._watch.sound and bool(hxp.all(self._watch.are_finite(self._state)))

    def resume(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of a run like this one; to be asked for in `Callback.start`.

        Parameters
        ----------
        snapshot : Snapshot
            What `snapshot` gave, in this process or another.

        Raises
        ------
        ModelFileError
            Where it is of a run that was asked for something else.
        """
        resuming.check(self, snapshot)
        self._resumed = snapshot

    @cached_property
    def asked(self) -> dict[str, Any]:
        """What this run was asked for, as JSON can hold it; to be looked at first in `Callback.start`."""
        return resuming.asked(self)

    # What is not finite.

    def _without_diverged(self, means: Array) -> Array:
        """Take members whose loss or weights are not finite out of the stack; raise where none is left."""
        finite = hxp.isfinite(means[:, 0]) & self._watch.finite(self._state.parameters, *self._state.moments)
        if self._state.scaling:
            finite = finite & (hxp.take(self._scaling[0, :], self._alive) >= LEAST_SCALE)
        if hxp.all(finite):
            return means
        position, count = int(hxp.nonzero(~finite)[0][0]), int(hxp.sum(~finite))
        last = self._diverged + count == self._members
        error = diagnosed(self, position, count, last=last)
        self._diverged += count
        self._leave(finite, self._final(self._watch.mark.state.parameters))
        if self._done:  # a run that goes on does so from before, and they leave when the epoch is over
            self._watch.sound = False
        if last:
            raise error
        warnings.warn(str(error), RuntimeWarning, stacklevel=5)
        return hxp.take(means, hxp.nonzero(finite)[0], axis=0)


def _added(weight: Any, totals: Array) -> Any:
    """Return a sum to which numbers are added one after the other, so that it does not depend on how they are cut."""
    if totals.ndim == 1:  # for few numbers Python is faster, and its own sum would correct rounding
        return reduce(add, totals.tolist(), float(weight))
    sums = hxp.asarray(totals, copy=True)
    sums[0, ...] += weight
    return hxp.cumulative_sum(sums, axis=0)[-1, ...]
